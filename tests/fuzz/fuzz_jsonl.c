/* SPDX-License-Identifier: Apache-2.0
 *
 * JSONL, JSON arrays and their shapes: whatever the bytes, an error with a sentence or sound
 * examples.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "datasets/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void insist(int condition)
{
    if (!condition)
        abort();
}

static void check_examples(const struct dataset *dataset, bool targets)
{
    insist(dataset->count > 0);
    for (size_t i = 0; i < dataset->count; i++) {
        const struct example *example = &dataset->examples[i];
        insist(*example->input && (example->target != NULL) == targets);
        insist(!targets || *example->target);
        insist(utf8_valid(example->input, strlen(example->input), NULL));
        insist(example->line > 0 && example->label < (int)dataset->label_count);
        insist(i == 0 || example->line >= dataset->examples[i - 1].line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct dataset_options options[] = {{0},
                                              {.on_bad_row = BAD_ROW_SKIP, .row_limit = 512},
                                              {.inputs_only = true},
                                              {.input = "a", .target = "b", .rationale = "c"}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct dataset dataset;
        struct error err = {0};
        enum status status =
            dataset_parse("f.jsonl", (const char *)bytes, size, &options[i], &dataset, &err);
        if (status) {
            insist(status == err.status && strlen(err.text) > 10);
            insist(utf8_valid(err.text, strlen(err.text), NULL));
            continue;
        }
        check_examples(&dataset, !options[i].inputs_only);
        dataset_release(&dataset);
    }
    return 0;
}
