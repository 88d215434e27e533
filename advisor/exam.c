/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/exam.h"

#include <stdlib.h>
#include <string.h>

/* ---- The examples --------------------------------------------------------------------------- */

static enum status open_file(struct exam *exam, const struct study *study, const char *path,
                             struct error *err)
{
    struct dataset_options reading = study->options->reading;
    reading.like = &study->data;
    enum status status = dataset_load(path, &reading, &exam->own, err);
    if (status != OK)
        return status;
    size_t *rows = arena_alloc(&exam->arena, exam->own.count * sizeof *rows + 1);
    for (size_t i = 0; i < exam->own.count; i++)
        rows[i] = i;
    exam->from = &exam->own;
    exam->rows = rows;
    exam->count = exam->own.count;
    return OK;
}

enum status exam_open(struct exam *exam, const struct study *study, const char *test_path,
                      struct error *err)
{
    *exam = (struct exam){.path = test_path};
    arena_init(&exam->arena, NULL);
    if (test_path)
        return open_file(exam, study, test_path, err);
    exam->from = study->split.test_from;
    exam->path = exam->from->path;
    exam->rows = study->split.test;
    exam->count = study->split.test_count;
    return OK;
}

void exam_release(struct exam *exam)
{
    dataset_release(&exam->own);
    arena_release(&exam->arena);
    *exam = (struct exam){0};
}

const struct example *exam_example(const struct exam *exam, size_t index)
{
    return &exam->from->examples[exam->rows[index]];
}

/* ---- Keys ----------------------------------------------------------------------------------- */

static enum status key_of(const struct exam *exam, const struct example *example,
                          struct arena *arena, struct baseline_answer *key, struct error *err)
{
    char input[BASELINE_KEY];
    enum status status = baseline_key(example->input, input, err);
    key->input = arena_strdup(arena, input);
    if (status == OK && example->label >= 0)
        key->target = exam->from->labels[example->label].name;
    else if (status == OK)
        status = baseline_text(example->target, arena, &key->target, err);
    return status;
}

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int order = baseline_compare(&x->key, &y->key);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

enum status exam_keys(const struct exam *exam, struct arena *arena, struct keyed **keys,
                      struct error *err)
{
    enum status status = OK;
    struct keyed *items = arena_zalloc(arena, exam->count * sizeof *items + 1);
    for (size_t i = 0; i < exam->count && status == OK; i++) {
        items[i] = (struct keyed){.key = {.input = "", .target = ""}, .index = i};
        status = key_of(exam, exam_example(exam, i), arena, &items[i].key, err);
    }
    if (status == OK)
        qsort(items, exam->count, sizeof *items, compare_keyed);
    *keys = items;
    return status;
}

enum status exam_answer(const struct dataset *data, const struct prediction *prediction,
                        struct arena *arena, const char **answer, struct error *err)
{
    *answer = NULL;
    if (prediction->label >= 0)
        *answer = data->labels[prediction->label].name;
    else if (!data->label_count && prediction->text)
        return baseline_text(prediction->text, arena, answer, err);
    return OK;
}

/* ---- Pairs ---------------------------------------------------------------------------------- */

/* Examples and answers of one text, from `a` and `k` on. */
struct group {
    size_t answers, keys; /* how many */
};

static struct group group_at(const struct baseline *baseline, size_t a, const struct keyed *keys,
                             size_t count, size_t k, const char *input)
{
    struct group group = {0};
    while (a + group.answers < baseline->answer_count &&
           !strcmp(baseline->answers[a + group.answers].input, input))
        group.answers++;
    while (k + group.keys < count && !strcmp(keys[k + group.keys].key.input, input))
        group.keys++;
    return group;
}

/* The smaller one of the texts at `a` and `k`, of which at most one is past the last. */
static const char *next_text(const struct baseline *baseline, size_t a, const struct keyed *keys,
                             size_t count, size_t k)
{
    if (a == baseline->answer_count)
        return keys[k].key.input;
    if (k == count || strcmp(baseline->answers[a].input, keys[k].key.input) < 0)
        return baseline->answers[a].input;
    return keys[k].key.input;
}

/* Pairs what has the same right answer within the group; what is left on both sides of it was
 * relabelled. */
static void pair_group(const struct baseline *baseline, size_t a, const struct keyed *keys,
                       size_t k, struct group group, struct pairing *pairing)
{
    size_t a_end = a + group.answers, k_end = k + group.keys, missing = 0, extra = 0;
    const struct baseline_answer *left = NULL;
    size_t left_index = 0;
    while (a < a_end || k < k_end) {
        int order = a == a_end   ? 1
                    : k == k_end ? -1
                                 : strcmp(baseline->answers[a].target, keys[k].key.target);
        if (order == 0) {
            pairing->pairs[pairing->count++] = (struct pair){a++, keys[k++].index};
        } else if (order < 0) {
            missing++;
            left = &baseline->answers[a++];
        } else {
            extra++;
            left_index = keys[k++].index;
        }
    }
    size_t relabelled = missing < extra ? missing : extra;
    if (relabelled && !pairing->relabelled) {
        pairing->relabelled_index = left_index;
        pairing->relabelled_target = left->target;
    }
    pairing->relabelled += relabelled;
    pairing->missing += missing - relabelled;
    pairing->extra += extra - relabelled;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

enum status exam_pair(const struct exam *exam, const struct baseline *baseline, struct arena *arena,
                      struct pairing *pairing, struct error *err)
{
    struct keyed *keys;
    enum status status = exam_keys(exam, arena, &keys, err);
    *pairing = (struct pairing){0};
    if (status != OK)
        return status;
    pairing->pairs = arena_alloc(arena, exam->count * sizeof *pairing->pairs + 1);
    for (size_t a = 0, k = 0; a < baseline->answer_count || k < exam->count;) {
        const char *input = next_text(baseline, a, keys, exam->count, k);
        struct group group = group_at(baseline, a, keys, exam->count, k, input);
        pair_group(baseline, a, keys, k, group, pairing);
        a += group.answers;
        k += group.keys;
    }
    qsort(pairing->pairs, pairing->count, sizeof *pairing->pairs, compare_pairs);
    return OK;
}

/* ---- Running -------------------------------------------------------------------------------- */

struct running {
    struct study *study;
    const struct replay *replay;
};

static enum status on_progress(void *context, const char *stage, size_t done, size_t total,
                               struct error *err)
{
    (void)err;
    struct running *r = context;
    progress_update(r->study->progress, r->replay->setting.technique->name, stage, (double)done,
                    (double)total, study_spent(r->study), 0);
    return OK;
}

enum status exam_run(const struct exam *exam, struct study *study, struct replay *replay,
                     const size_t *chosen, size_t count, struct arena *arena,
                     struct trial_outcome *outcome, struct error *err)
{
    struct running running = {study, replay};
    struct trial_hooks hooks = {.context = &running, .progress = on_progress};
    struct deadline until_interrupted = {.signal = study->deadline.signal};
    size_t *rows = arena_alloc(arena, count * sizeof *rows + 1);
    for (size_t i = 0; i < count; i++)
        rows[i] = exam->rows[chosen ? chosen[i] : i];
    replay->from = exam->from;
    replay->rows = rows;
    replay->count = count;
    enum status status =
        evaluate_replay(&study->evaluator, replay, &hooks, &until_interrupted, arena, outcome, err);
    return status == INTERRUPTED ? error_set(err, INTERRUPTED, "interrupted; nothing was written")
                                 : status;
}
