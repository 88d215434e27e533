/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the default model is, for tests that need it.
 */
#ifndef TESTS_DEFAULT_MODEL_H
#define TESTS_DEFAULT_MODEL_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { MODEL_PATH = 4096 };

/* $ADVISOR_MODEL, else the file that set-up puts into the user's cache. False, with a line on
 * standard output, when it is not there; the test then calls skip(). */
static inline bool default_model(char path[MODEL_PATH])
{
    const char *model = getenv("ADVISOR_MODEL");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    const char *file = "advisor/models/SmolLM2-135M-Instruct.Q4_1.gguf";
    if (model && *model)
        snprintf(path, MODEL_PATH, "%s", model);
    else if (cache && *cache)
        snprintf(path, MODEL_PATH, "%s/%s", cache, file);
    else
        snprintf(path, MODEL_PATH, "%s/.cache/%s", home ? home : "", file);
    FILE *in = fopen(path, "rb");
    if (!in) {
        printf("skipped: no default model at %s (`make model` fetches it)\n", path);
        return false;
    }
    fclose(in);
    return true;
}

#endif
