/* SPDX-License-Identifier: Apache-2.0
 *
 * CSV and TSV: whatever the bytes, an error with a sentence or sound examples.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "datasets/csv.h"
#include "datasets/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void insist(int condition)
{
    if (!condition)
        abort();
}

static void check_examples(const struct dataset *dataset)
{
    insist(dataset->count > 0);
    for (size_t i = 0; i < dataset->count; i++) {
        const struct example *example = &dataset->examples[i];
        insist(*example->input && *example->target);
        insist(utf8_valid(example->input, strlen(example->input), NULL));
        insist(utf8_valid(example->target, strlen(example->target), NULL));
        insist(example->line > 0 && example->label < (int)dataset->label_count);
    }
}

static void check_split(const struct dataset *dataset)
{
    struct split split;
    struct error err;
    if (split_make(dataset, NULL, NULL, &split, &err))
        return;
    insist(split.train_count + split.dev_count + split.test_count == dataset->count);
    insist(split.train_count && split.dev_count && split.test_count);
    split_release(&split);
}

/* Reading accepts what writing has written. */
static void check_writing(const char *bytes, size_t size)
{
    struct text out = {0};
    struct dataset dataset;
    struct error err;
    struct dataset_options options = {.task = TASK_GENERATION};
    text_add(&out, "text,label\n");
    csv_write_field(&out, bytes, size, ',');
    text_add(&out, ",x\n");
    if (!dataset_parse("f.csv", out.bytes, out.length, &options, &dataset, &err)) {
        insist(strlen(dataset.examples[0].input) == size);
        insist(memcmp(dataset.examples[0].input, bytes, size) == 0);
        dataset_release(&dataset);
    }
    text_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct dataset_options options[] = {
        {0},
        {.on_bad_row = BAD_ROW_SKIP, .field_limit = 64, .row_limit = 512},
        {.delimiter = '\t', .task = TASK_GENERATION, .input = "a", .target = "b"}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct dataset dataset;
        struct error err = {0};
        enum status status =
            dataset_parse("f.csv", (const char *)bytes, size, &options[i], &dataset, &err);
        if (status) {
            insist(status == err.status && strlen(err.text) > 10);
            continue;
        }
        check_examples(&dataset);
        check_split(&dataset);
        dataset_release(&dataset);
    }
    check_writing((const char *)bytes, size);
    return 0;
}
