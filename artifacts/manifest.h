/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.json: what an export is, where it came from, how to prompt it, and what it reached.
 *
 *     { "advisor_export": 1, "format": "peft", "technique": "lora", "setting": {...},
 *       "examples": 256, "seed": 0,
 *       "model": { "name", "file", "sha256" },
 *       "data": { "name", "sha256", "task", "input", "labels": [...],
 *                 "answers": [ { "text", "count" } ] },        of the training examples
 *       "prompt": { "chat_format", "virtual_tokens", "messages": [...],
 *                   "before", "after", "end",                  the exact text around the input
 *                   "longest_answer" },                        tokens; 0: the answers are labels
 *       "measured": { "metric", "value", "low", "high", "examples", "test", "test_examples" },
 *       "versions": { "advisor", "blas" },
 *       "files": { "adapter_model.safetensors": { "bytes", "sha256" } } }
 *
 * "answers" holds every label with its number of training examples or, when answers are free text,
 * the most frequent one. It is enough to stand in for the training data where only their answers
 * matter. Names are without folders. Reading checks every field, so that what it accepts is safe to
 * use; the labels are unique and sorted as in the study.
 */
#ifndef ARTIFACTS_MANIFEST_H
#define ARTIFACTS_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "artifacts/messages.h"
#include "base/error.h"
#include "base/memory.h"
#include "datasets/dataset.h"

enum { MANIFEST_VERSION = 1, MOST_EXPORT_LABELS = 1 << 20, MOST_EXPORT_EXAMPLES = 1 << 24 };

struct training_answer {
    const char *text;
    size_t count;
};

struct manifest_file {
    const char *name;
    uint64_t bytes;
    const char *sha256;
};

struct manifest {
    struct arena arena; /* of what manifest_read fills in; otherwise unused */

    const char *format, *technique;
    const char *setting; /* JSON object */
    int64_t examples;    /* training examples, >= 0 */
    uint64_t seed;
    const char *model_name, *model_file, *model_sha256;
    const char *data_name, *data_sha256;
    const char *input; /* columns, by commas; NULL: found by name */
    enum task task;
    const char *const *labels; /* (label_count) */
    size_t label_count;
    const struct training_answer *answers; /* (answer_count) */
    size_t answer_count;

    const char *chat_format; /* NULL: the technique reads no prompt, and the next ones are empty */
    struct turns turns;      /* of the shared prompt; none where the chat format has no marks */
    int virtual_tokens;      /* in front of it */
    const char *before, *after, *end; /* the exact text around the input, and behind the answer */
    int longest_answer;               /* tokens; 0 when the answers are labels */

    const char *metric; /* NULL: not measured */
    double value, low, high, test;
    size_t measured_on, tested_on; /* examples; 0: not tested */
    const char *advisor, *blas;

    const struct manifest_file *files;
    size_t file_count;
};

/* The whole file, with a newline at its end; release with free(). NULL when a text is not valid
 * UTF-8. */
char *manifest_write(const struct manifest *manifest);

/* Reads FOLDER/manifest.json. BAD_DATA: it is none, or damaged, or of a later version; FAILED: it
 * cannot be read. After an error nothing has to be released. */
enum status manifest_read(struct manifest *manifest, const char *folder, struct error *err);
/* The same for a manifest that stands in a file of another kind; `where` begins its errors. */
enum status manifest_parse(struct manifest *manifest, const char *where, const char *text,
                           struct error *err);
void manifest_release(struct manifest *manifest); /* safe on {0} and twice */

bool manifest_lists(const struct manifest *manifest, const char *file);

/* Compares the files of the folder with what the manifest says of them: BAD_DATA for one that is
 * missing or differs. */
enum status manifest_check_files(const struct manifest *manifest, const char *folder,
                                 struct error *err);

#endif
