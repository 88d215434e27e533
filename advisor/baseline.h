/* SPDX-License-Identifier: Apache-2.0
 *
 * The baseline: what was accepted, in a text file that is committed beside the code it guards.
 *
 * A JSON object, one line for each example, so that a review shows which answers changed:
 *
 *   kind             "advisor baseline"
 *   schema           1
 *   program          version that wrote it
 *   engine           matrix library and processor kernel it ran with
 *   study            name of the study it comes from
 *   technique, setting, examples, seed      what was accepted: examples of training, study's seed
 *   model            name, path (as given, or null for the default), sha256
 *   data             path (as given), sha256, reading (how: see advisor/reading.h), task, and
 *                    test_apart: the study had a test file, so that none of the data were kept for
 *                    testing
 *   test             path and sha256 of the test file; null: the test side of the data
 *   labels           in their order; [] for free text
 *   artifact         file (beside the baseline), sha256, bytes; null when nothing is trained
 *   metric           name, value, and the bounds of its 95 % interval
 *   cost             tokens_per_request, latency_ms, peak_memory_bytes; null when not known
 *   answers          sorted by input and target, for each example:
 *     input          first 32 hexadecimal digits of the SHA-256 of its text
 *     target, answer names of labels (answer null: none); of free text "sha256:" and 32 digits
 *     correct        by the metric
 *     probability    of the answer, six decimals; null for free text
 *   sha256           of all the rest, as compact JSON with sorted keys and reals of 12 digits
 *
 * Texts are kept as hashes: the file goes where code goes, to more readers and longer than data
 * should, and only has to tell whether an example is the same. A hash does not hide a text that can
 * be guessed. The sum at the end finds damage and careless edits, not intent.
 *
 * What was learned is in a file of its own beside it, named after its hash: baselines stay fit for
 * review, and while a new one is written the old one still finds its own.
 */
#ifndef ADVISOR_BASELINE_H
#define ADVISOR_BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "evaluators/store.h"
#include "techniques/technique.h"

#define BASELINE_FILE "advisor-baseline.json"

enum { BASELINE_KEY = 33 }; /* 32 hexadecimal digits and the terminator */

struct baseline_answer {
    const char *input;  /* key of the example's text */
    const char *target; /* label, or key */
    const char *answer; /* label, or key; NULL: no answer */
    bool correct;
    struct measured probability;
};

struct baseline {
    const char *program, *engine, *study;
    const char *technique, *setting; /* JSON */
    int64_t examples;
    uint64_t seed;
    const char *model_name, *model_path, *model_sha256; /* model_path may be NULL */
    const char *data_path, *data_sha256, *reading, *task;
    bool test_apart;
    const char *test_path, *test_sha256; /* NULL: the test side of the data */
    const char *const *labels;
    size_t label_count;
    const char *artifact_file, *artifact_sha256; /* NULL: none */
    int64_t artifact_bytes;
    const char *metric;
    double value, low, high;
    struct measured tokens_per_request, latency_ms, peak_memory_bytes;
    struct baseline_answer *answers; /* sorted, see baseline_compare */
    size_t answer_count;
};

/* What stands for a text in a baseline. */
enum status baseline_key(const char *text, char key[BASELINE_KEY], struct error *err);

/* "sha256:" and the key, for a free text; in `arena`. */
enum status baseline_text(const char *text, struct arena *arena, const char **value,
                          struct error *err);

/* The order of answers: by input, then by target. For qsort too. */
int baseline_compare(const void *a, const void *b);

/* Appends the file. */
enum status baseline_write(const struct baseline *baseline, struct text *out, struct error *err);

/* Reads and checks `path`; everything lives in `arena`. USAGE when there is no such file; BAD_DATA,
 * with the place and what to do, for one that is damaged, cut short, edited, of a newer program or
 * no baseline at all: nothing of it is used then. */
enum status baseline_read(const char *path, struct arena *arena, struct baseline *baseline,
                          struct error *err);

/* The setting of the baseline, for its `technique`. BAD_DATA, with `path`, when it is none of this
 * program's, such as one with a hyper-parameter that it does not know. */
enum status baseline_setting(const struct baseline *baseline, const char *path,
                             const struct technique *technique, struct arena *arena,
                             struct setting *setting, struct error *err);

/* The path of a file beside the baseline `path`. */
void baseline_beside(const char *path, const char *file, struct text *out);

/* Reads the artifact beside `path`, whose hash must be the one in the baseline. `*bytes` is NULL
 * when the baseline has none. BAD_DATA when it is missing or another one. */
enum status baseline_artifact(const struct baseline *baseline, const char *path,
                              struct arena *arena, const void **bytes, size_t *length,
                              struct error *err);

/* The whole of a file in `arena`. */
enum status baseline_load_bytes(const char *path, struct arena *arena, const void **bytes,
                                size_t *length, struct error *err);

#endif
