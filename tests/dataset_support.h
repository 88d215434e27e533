/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of datasets share: data that stand in the test itself, and what was read of them
 * as lines of text. To be included after cmocka.h.
 */
#ifndef TESTS_DATASET_SUPPORT_H
#define TESTS_DATASET_SUPPORT_H

#include <string.h>

#include "base/text.h"
#include "datasets/dataset.h"

/* A message of a conversation, as JSON. */
#define USER(text)      "{\"role\":\"user\",\"content\":\"" text "\"}"
#define ASSISTANT(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"

static inline enum status parse(const char *name, const char *bytes,
                                const struct dataset_options *options, struct dataset *dataset,
                                struct error *err)
{
    *err = (struct error){0};
    return dataset_parse(name, bytes, strlen(bytes), options, dataset, err);
}

static inline struct dataset must_parse(const char *name, const char *bytes,
                                        const struct dataset_options *options)
{
    struct dataset dataset;
    struct error err;
    if (parse(name, bytes, options, &dataset, &err))
        fail_msg("%s", err.text);
    return dataset;
}

/* "input => target (rationale) #label", one a line */
static inline void dump(const struct dataset *dataset, struct text *out)
{
    for (size_t i = 0; i < dataset->count; i++) {
        const struct example *e = &dataset->examples[i];
        text_printf(out, "%zu:%s=>%s", e->line, e->input, e->target ? e->target : "-");
        if (e->rationale)
            text_printf(out, " (%s)", e->rationale);
        if (e->label >= 0)
            text_printf(out, " #%d", e->label);
        text_add(out, "\n");
    }
}

static inline void expect_dump(const char *what, const struct dataset *dataset,
                               const char *expected)
{
    struct text out = {0};
    dump(dataset, &out);
    if (strcmp(text_string(&out), expected) != 0)
        fail_msg("%s: got\n%s", what, text_string(&out));
    text_release(&out);
}

#endif
