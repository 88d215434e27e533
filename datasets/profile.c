/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "datasets/words.h"

/* ---- Lengths ----------------------------------------------------------------------------------
 */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double rank_of(const double *sorted, size_t count, double share)
{
    size_t rank = (size_t)ceil(share * (double)count);
    return sorted[rank ? rank - 1 : 0];
}

struct lengths lengths_of(double *values, size_t count)
{
    struct lengths lengths = {0};
    if (!count)
        return lengths;
    qsort(values, count, sizeof *values, compare_doubles);
    for (size_t i = 0; i < count; i++)
        lengths.mean += values[i] / (double)count;
    lengths.p50 = rank_of(values, count, 0.5);
    lengths.p95 = rank_of(values, count, 0.95);
    lengths.max = values[count - 1];
    return lengths;
}

static double byte_length(const char *text)
{
    return (double)strlen(text);
}

static double word_length(const char *text)
{
    return (double)words_count(text);
}

static struct lengths measure(const struct dataset *data, bool targets,
                              double (*length)(const char *text))
{
    double *values = memory_alloc((data->count + 1) * sizeof *values);
    for (size_t i = 0; i < data->count; i++) {
        const struct example *example = &data->examples[i];
        values[i] = length(targets ? example->target : example->input);
    }
    struct lengths lengths = lengths_of(values, data->count);
    free(values);
    return lengths;
}

/* ---- Targets ----------------------------------------------------------------------------------
 */

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The most frequent target, the first in byte order among equals, as the baseline answers. */
static void find_majority(const struct dataset *data, struct data_profile *profile)
{
    const char **targets = memory_alloc((data->count + 1) * sizeof *targets);
    size_t most = 0;
    for (size_t i = 0; i < data->count; i++)
        targets[i] = data->examples[i].target;
    qsort(targets, data->count, sizeof *targets, compare_strings);
    for (size_t i = 0, run = 0; i < data->count; i++) {
        run = i && !strcmp(targets[i], targets[i - 1]) ? run + 1 : 1;
        if (run > most) {
            most = run;
            profile->majority_answer = targets[i];
        }
    }
    free(targets);
    profile->majority = data->count ? (double)most / (double)data->count : 0;
}

static void describe_classes(const struct dataset *data, struct data_profile *profile)
{
    double entropy = 0;
    profile->balance = 1;
    for (size_t i = 0; i < data->label_count; i++) {
        size_t count = data->labels[i].count;
        if (!count)
            continue;
        double share = (double)count / (double)data->count;
        entropy -= share * log(share);
        profile->smallest =
            !profile->classes || count < profile->smallest ? count : profile->smallest;
        profile->largest = count > profile->largest ? count : profile->largest;
        profile->classes++;
    }
    if (profile->classes > 1)
        profile->balance = entropy / log((double)profile->classes);
}

/* ---- Words of one side that the other one lacks -----------------------------------------------
 */

struct words {
    uint64_t *table; /* 0 = free */
    size_t size, used;
};

static bool insert(struct words *words, uint64_t word)
{
    size_t at = (size_t)hash_quick_u64(word) & (words->size - 1);
    while (words->table[at] && words->table[at] != word)
        at = (at + 1) & (words->size - 1);
    if (words->table[at])
        return false;
    words->table[at] = word;
    words->used++;
    return true;
}

static bool contains(const struct words *words, uint64_t word)
{
    size_t at = (size_t)hash_quick_u64(word) & (words->size - 1);
    while (words->table[at] && words->table[at] != word)
        at = (at + 1) & (words->size - 1);
    return words->table[at] != 0;
}

static void add_word(struct words *words, uint64_t word)
{
    if (2 * words->used >= words->size) {
        struct words larger = {.size = words->size ? 2 * words->size : 4096};
        larger.table = memory_zalloc(larger.size * sizeof *larger.table);
        for (size_t i = 0; i < words->size; i++)
            if (words->table[i])
                insert(&larger, words->table[i]);
        free(words->table);
        *words = larger;
    }
    insert(words, word);
}

/* The words of example `index`, none of them 0; free() them. */
static uint64_t *words_of(const struct dataset *data, size_t index, struct text *plain,
                          size_t *count)
{
    words_normalise(data->examples[index].input, plain);
    uint64_t *words = memory_alloc((plain->length + 1) * sizeof *words);
    *count = words_hash(text_string(plain), words);
    for (size_t i = 0; i < *count; i++)
        words[i] |= words[i] == 0;
    return words;
}

static void add_examples(struct words *known, const struct dataset *data, const size_t *rows,
                         size_t count)
{
    struct text plain = {0};
    for (size_t i = 0; i < count; i++) {
        size_t n;
        uint64_t *words = words_of(data, rows[i], &plain, &n);
        for (size_t w = 0; w < n; w++)
            add_word(known, words[w]);
        free(words);
    }
    text_release(&plain);
}

/* -1 when there is no word to look at. */
static double unknown_share(const struct words *known, const struct dataset *data,
                            const size_t *rows, size_t count)
{
    struct text plain = {0};
    size_t all = 0, unknown = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n;
        uint64_t *words = words_of(data, rows[i], &plain, &n);
        for (size_t w = 0; w < n; w++)
            unknown += !contains(known, words[w]);
        all += n;
        free(words);
    }
    text_release(&plain);
    return all ? (double)unknown / (double)all : -1;
}

static void compare_words(const struct dataset *data, const struct split *split,
                          struct data_profile *profile)
{
    struct words known = {0};
    add_word(&known, 1);
    add_examples(&known, data, split->train, split->train_count);
    profile->unseen_words = unknown_share(&known, data, split->dev, split->dev_count);
    if (split->test_from != data) {
        add_examples(&known, data, split->dev, split->dev_count);
        profile->test_unseen_words =
            unknown_share(&known, split->test_from, split->test, split->test_count);
    }
    free(known.table);
}

/* ---- The whole --------------------------------------------------------------------------------
 */

static void describe(const struct dataset *data, struct data_profile *profile)
{
    *profile =
        (struct data_profile){.examples = data->count, .unseen_words = -1, .test_unseen_words = -1};
    arena_init(&profile->arena, NULL);
    describe_classes(data, profile);
    find_majority(data, profile);
    profile->input_words = measure(data, false, word_length);
    profile->target_words = measure(data, true, word_length);
    profile->input_bytes = measure(data, false, byte_length);
    profile->target_bytes = measure(data, true, byte_length);
    if (data->count)
        profile->rationale_share = (double)data->rationale_count / (double)data->count;
    for (size_t i = 0; i < data->count; i++)
        if (data->examples[i].rationale)
            profile->rationale_bytes +=
                byte_length(data->examples[i].rationale) / (double)data->rationale_count;
}

static void take_facts(const struct split_facts *facts, struct data_profile *profile)
{
    profile->facts = *facts;
    profile->different =
        profile->examples - facts->exact_duplicates.count - facts->near_duplicates.count;
}

void data_profile_of_split(const struct dataset *data, const struct split *split, uint64_t seed,
                           size_t noise_texts, struct data_profile *profile)
{
    describe(data, profile);
    take_facts(&split->facts, profile);
    profile->divides = true;
    profile->train = split->train_count;
    profile->dev = split->dev_count;
    profile->test = split->test_count;
    compare_words(data, split, profile);
    noise_estimate(data, split->group, noise_texts, seed, &profile->noise);
}

/* A split without one of its sides is none. */
static const char *missing_side(const struct dataset *data, const struct split *split,
                                struct arena *arena)
{
    if (split->train_count && split->dev_count && split->test_count)
        return NULL;
    return arena_printf(arena,
                        "%s: its %zu rows cannot be divided into training, development and test "
                        "examples, since a class needs three different texts for that.",
                        data->path, data->count);
}

void data_profile_make(const struct dataset *data, const struct dataset *test, uint64_t seed,
                       size_t noise_texts, struct data_profile *profile)
{
    struct split split;
    struct error err = {0};
    struct split_options options = {.seed = seed};
    if (split_make(data, test, &options, &split, &err) == OK) {
        data_profile_of_split(data, &split, seed, noise_texts, profile);
        profile->why_not = missing_side(data, &split, &profile->arena);
        profile->divides = !profile->why_not;
        split_release(&split);
        return;
    }
    describe(data, profile);
    take_facts(&split.facts, profile);
    profile->why_not = arena_strdup(&profile->arena, err.text);
    profile->noise.why = "the data cannot be divided";
}

void data_profile_release(struct data_profile *profile)
{
    arena_release(&profile->arena);
    *profile = (struct data_profile){0};
}
