/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the program is; included after cmocka.h.
 */
#ifndef TESTS_PROGRAM_PATH_H
#define TESTS_PROGRAM_PATH_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The program that tests run: that of ADVISOR, or the one that `make` builds. */
static inline const char *program(void)
{
    const char *path = getenv("ADVISOR");
    path = path && *path ? path : "build/advisor";
    if (access(path, X_OK)) {
        printf("skipped: there is no program %s (`make` builds it)\n", path);
        skip();
    }
    return path;
}

#endif
