/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "datasets/dataset.h"
#include "datasets/duplicates.h"
#include "datasets/split.h"

static struct dataset must_parse(const char *name, const char *bytes,
                                 const struct dataset_options *options)
{
    struct dataset dataset;
    struct error err = {0};
    if (dataset_parse(name, bytes, strlen(bytes), options, &dataset, &err))
        fail_msg("%s", err.text);
    return dataset;
}

static struct split must_split(const struct dataset *data, const struct dataset *test,
                               uint64_t seed)
{
    struct split split;
    struct error err = {0};
    struct split_options options = {.seed = seed};
    if (split_make(data, test, &options, &split, &err))
        fail_msg("%s", err.text);
    return split;
}

/* Ten words out of 5000, so that chance duplicates do not happen. */
static void add_words(struct random *random, struct text *out)
{
    for (int i = 0; i < 10; i++)
        text_printf(out, "%sw%zu", i ? " " : "", random_below(random, 5000));
}

/* A made-up dataset: class i has sizes[i] examples, in a random order of rows; one row in `repeat`
 * (0: none) copies an earlier text of its class, exactly or with one word more. */
static struct dataset make_data(uint64_t seed, const size_t *sizes, size_t classes, size_t repeat)
{
    struct random random = random_stream(seed, "test split", 0);
    struct text bytes = {0};
    struct text *last = memory_zalloc(classes * sizeof *last);
    size_t *rows = NULL;
    size_t count = 0;
    for (size_t i = 0; i < classes; i++)
        for (size_t j = 0; j < sizes[i]; j++) {
            rows = memory_realloc(rows, (count + 1) * sizeof *rows);
            rows[count++] = i;
        }
    random_shuffle(&random, rows, count);
    text_add(&bytes, "text,label\n");
    for (size_t i = 0; i < count; i++) {
        struct text *text = &last[rows[i]];
        if (repeat && text->length && random_below(&random, repeat) == 0) {
            text_add(text, random_below(&random, 2) ? " more" : "");
        } else {
            text_clear(text);
            add_words(&random, text);
        }
        text_printf(&bytes, "%s,class %zu\n", text->bytes, rows[i]);
    }
    struct dataset_options options = {.task = TASK_CLASSIFICATION};
    struct dataset dataset = must_parse("data.csv", bytes.bytes, &options);
    for (size_t i = 0; i < classes; i++)
        text_release(&last[i]);
    free(last);
    free(rows);
    text_release(&bytes);
    return dataset;
}

struct layout {
    const char *what;
    size_t sizes[8];
    size_t classes;
    size_t repeat;
    size_t train, dev, test; /* expected; 0: not checked */
};

static const struct layout layouts[] = {
    {"two equal classes", {500, 500}, 2, 0, 640, 160, 200},
    {"imbalanced", {1700, 300}, 2, 0, 1280, 320, 400},
    {"large: test and dev at their limits", {5000, 5000}, 2, 0, 8600, 400, 1000},
    {"small: test and dev at 50", {100, 110}, 2, 0, 110, 50, 50},
    {"smaller: a third each", {30, 30}, 2, 0, 27, 13, 20},
    {"tiny", {3, 3}, 2, 0, 3, 1, 2},
    {"seldom classes", {400, 90, 2, 2, 1, 1}, 6, 0, 0, 0, 0},
    {"duplicates", {400, 300, 200}, 3, 4, 0, 0, 0},
    {"mostly duplicates", {200, 100}, 2, 2, 0, 0, 0},
    {"many classes", {40, 41, 42, 43, 44, 45, 46, 47}, 8, 10, 0, 0, 0},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

static struct dataset make_layout(const struct layout *layout, uint64_t seed)
{
    return make_data(seed, layout->sizes, layout->classes, layout->repeat);
}

/* 1, 2 or 3 for the side of each example; fails when one stands twice or nowhere. */
static int *sides_of(const struct dataset *data, const struct split *split)
{
    int *side = memory_zalloc(data->count * sizeof *side);
    const struct {
        const size_t *items;
        size_t count;
    } lists[] = {{split->train, split->train_count},
                 {split->dev, split->dev_count},
                 {split->test, split->test_from == data ? split->test_count : 0}};
    size_t seen = 0;
    for (int list = 0; list < 3; list++)
        for (size_t i = 0; i < lists[list].count; i++) {
            assert_true(lists[list].items[i] < data->count);
            assert_int_equal(side[lists[list].items[i]], 0);
            side[lists[list].items[i]] = list + 1;
            seen++;
        }
    assert_int_equal(seen, data->count);
    return side;
}

static void sides_are_disjoint_and_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYOUTS; i++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            struct dataset data = make_layout(&layouts[i], seed);
            struct split split = must_split(&data, NULL, seed);
            free(sides_of(&data, &split));
            assert_true(split.train_count && split.dev_count && split.test_count);
            assert_ptr_equal(split.test_from, &data);
            assert_null(split.leaked);
            split_release(&split);
            split_release(&split);
            dataset_release(&data);
        }
}

static void sizes_are_as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYOUTS; i++) {
        const struct layout *layout = &layouts[i];
        struct dataset data = make_layout(layout, 1);
        struct split split = must_split(&data, NULL, 1);
        if (layout->train && (split.train_count != layout->train ||
                              split.dev_count != layout->dev || split.test_count != layout->test))
            fail_msg("%s: %zu, %zu, %zu", layout->what, split.train_count, split.dev_count,
                     split.test_count);
        split_release(&split);
        dataset_release(&data);
    }
}

static void options_set_the_sizes(void **state)
{
    (void)state;
    const size_t sizes[] = {500, 500};
    struct dataset data = make_data(1, sizes, 2, 0);
    struct split_options options = {
        .test_share = 0.3, .dev_share = 0.1, .test_max = 250, .dev_max = 60};
    struct split split;
    struct error err;
    assert_int_equal(split_make(&data, NULL, &options, &split, &err), OK);
    assert_int_equal(split.test_count, 250);
    assert_int_equal(split.dev_count, 60);
    split_release(&split);
    dataset_release(&data);
}

/* Copies are exact, or have the word "more" at the end: by construction all of a family. */
static void duplicates_stay_on_one_side(void **state)
{
    (void)state;
    for (size_t l = 0; l < LAYOUTS; l++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            struct dataset data = make_layout(&layouts[l], seed);
            struct split split = must_split(&data, NULL, seed);
            int *side = sides_of(&data, &split);
            size_t alike = 0;
            for (size_t i = 0; i < data.count; i++)
                for (size_t j = data.count > 3000 ? i : 0; j < i; j++)
                    if (strncmp(data.examples[i].input, data.examples[j].input, 24) == 0) {
                        alike++;
                        if (side[i] != side[j])
                            fail_msg("%s: lines %zu and %zu are on two sides", layouts[l].what,
                                     data.examples[i].line, data.examples[j].line);
                    }
            assert_true((alike > 0) == (layouts[l].repeat > 0));
            assert_true((split.facts.largest_group > 1) == (layouts[l].repeat > 0));
            free(side);
            split_release(&split);
            dataset_release(&data);
        }
}

static bool same_split(const struct split *a, const struct split *b)
{
    return a->train_count == b->train_count && a->dev_count == b->dev_count &&
           a->test_count == b->test_count &&
           memcmp(a->train, b->train, a->train_count * sizeof *a->train) == 0 &&
           memcmp(a->dev, b->dev, a->dev_count * sizeof *a->dev) == 0 &&
           memcmp(a->test, b->test, a->test_count * sizeof *a->test) == 0;
}

static void the_seed_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYOUTS; i++) {
        struct dataset data = make_layout(&layouts[i], 3);
        struct split one = must_split(&data, NULL, 7);
        struct split again = must_split(&data, NULL, 7);
        struct split other = must_split(&data, NULL, 8);
        assert_true(same_split(&one, &again));
        if (data.count > 10)
            assert_false(same_split(&one, &other));
        split_release(&one);
        split_release(&again);
        split_release(&other);
        dataset_release(&data);
    }
}

/* Fixed once and for all: a study is resumed by another build of the program. */
static void the_order_is_the_same_everywhere(void **state)
{
    (void)state;
    static const size_t train[] = {2, 3, 12, 11, 9, 13, 1, 0};
    static const size_t dev[] = {10, 15, 7, 14};
    const size_t sizes[] = {8, 6, 4};
    struct dataset data = make_data(1, sizes, 3, 5);
    struct split split = must_split(&data, NULL, 42);
    assert_int_equal(split.train_count, sizeof train / sizeof *train);
    assert_memory_equal(split.train, train, sizeof train);
    assert_int_equal(split.dev_count, sizeof dev / sizeof *dev);
    assert_memory_equal(split.dev, dev, sizeof dev);
    split_release(&split);
    dataset_release(&data);
}

static void classes_keep_their_proportions(void **state)
{
    (void)state;
    for (size_t l = 0; l < LAYOUTS; l++) {
        if (layouts[l].repeat)
            continue; /* groups make the sides uneven */
        struct dataset data = make_layout(&layouts[l], 2);
        struct split split = must_split(&data, NULL, 2);
        int *side = sides_of(&data, &split);
        size_t sizes[4] = {0, split.train_count, split.dev_count, split.test_count};
        for (size_t c = 0; c < data.label_count; c++) {
            size_t here[4] = {0};
            for (size_t i = 0; i < data.count; i++)
                if (data.examples[i].label == (int)c)
                    here[side[i]]++;
            assert_true(here[1] >= 1);
            for (int s = 2; s < 4; s++) {
                double share = (double)sizes[s] * (double)data.labels[c].count / (double)data.count;
                if ((double)here[s] > share + 1.5 || (double)here[s] < share - 1.5)
                    fail_msg("%s: class %zu has %zu examples on side %d, not %.1f", layouts[l].what,
                             c, here[s], s, share);
            }
        }
        free(side);
        split_release(&split);
        dataset_release(&data);
    }
}

/* Every prefix of every order, class by class. */
static void prefixes_keep_the_proportions(void **state)
{
    (void)state;
    for (size_t l = 0; l < LAYOUTS; l++) {
        struct dataset data = make_layout(&layouts[l], 4);
        struct split split = must_split(&data, NULL, 4);
        size_t total[8] = {0};
        size_t seen[8] = {0};
        for (size_t i = 0; i < split.train_count; i++)
            total[data.examples[split.train[i]].label]++;
        for (size_t i = 0; i < split.train_count; i++) {
            seen[data.examples[split.train[i]].label]++;
            for (size_t c = 0; c < data.label_count; c++) {
                double share = (double)(i + 1) * (double)total[c] / (double)split.train_count;
                if ((double)seen[c] > share + 2.5 || (double)seen[c] < share - 2.5)
                    fail_msg("%s: %zu of class %zu in the first %zu, not %.1f", layouts[l].what,
                             seen[c], c, i + 1, share);
            }
        }
        split_release(&split);
        dataset_release(&data);
    }
}

static void seldom_classes_come_early(void **state)
{
    (void)state;
    const size_t sizes[] = {3000, 900, 10, 10, 4, 4};
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct dataset data = make_data(seed, sizes, 6, 0);
        struct split split = must_split(&data, NULL, seed);
        bool seen[6] = {false};
        for (size_t i = 0; i < 16 + 2 * 6; i++)
            seen[data.examples[split.train[i]].label] = true;
        for (int c = 0; c < 6; c++)
            if (!seen[c])
                fail_msg("seed %d: class %d is late", (int)seed, c);
        split_release(&split);
        dataset_release(&data);
    }
}

static struct dataset make_answers(size_t count)
{
    struct random random = random_stream(count, "test answers", 0);
    struct text bytes = {0};
    text_add(&bytes, "text,label\n");
    for (size_t i = 0; i < count; i++) {
        add_words(&random, &bytes);
        text_printf(&bytes, ",%zu.5\n", i);
    }
    struct dataset dataset = must_parse("answers.csv", bytes.bytes, NULL);
    text_release(&bytes);
    return dataset;
}

static void tasks_without_classes_are_split_too(void **state)
{
    (void)state;
    const size_t counts[] = {3, 4, 5, 10, 100, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct dataset data = make_answers(counts[i]);
        assert_int_equal(data.task, TASK_NUMERIC_ANSWER);
        struct split split = must_split(&data, NULL, 1);
        free(sides_of(&data, &split));
        assert_true(split.train_count && split.dev_count && split.test_count);
        split_release(&split);
        dataset_release(&data);
    }
}

static void too_few_examples_are_an_error(void **state)
{
    (void)state;
    static const char *const cases[] = {"text,label\nx,1.5\n", "text,label\nx,1.5\ny,2.5\n",
                                        "text,label\nx,1.5\nX ,2.5\n x,3.5\n", /* one text */
                                        "text,label\na,p\nb,q\nc,r\nd,s\n"};
    struct dataset_options numeric = {.task = TASK_NUMERIC_ANSWER};
    struct dataset_options classes = {.task = TASK_CLASSIFICATION};
    for (size_t i = 0; i < 4; i++) {
        struct dataset data = must_parse("few.csv", cases[i], i < 3 ? &numeric : &classes);
        struct split split;
        struct error err;
        assert_int_equal(split_make(&data, NULL, NULL, &split, &err), BAD_DATA);
        assert_memory_equal(err.text, "few.csv: ", 9);
        assert_non_null(strstr(err.text, "too few"));
        split_release(&split);
        dataset_release(&data);
    }
}

/* One text in 90 % of the rows must not starve a side. */
static void a_giant_group_stays_whole(void **state)
{
    (void)state;
    struct text bytes = {0};
    struct random random = random_stream(1, "test giant", 0);
    text_add(&bytes, "text,label\n");
    for (int i = 0; i < 200; i++) {
        if (i % 10 == 0)
            add_words(&random, &bytes);
        else
            text_add(&bytes, "the same text again");
        text_printf(&bytes, ",%d.5\n", i);
    }
    struct dataset data = must_parse("giant.csv", bytes.bytes, NULL);
    struct split split = must_split(&data, NULL, 1);
    int *side = sides_of(&data, &split);
    for (size_t i = 0; i < data.count; i++)
        if (data.examples[i].input[0] == 't')
            assert_int_equal(side[i], 1);
    assert_int_equal(split.facts.largest_group, 180);
    assert_true(split.dev_count >= 5 && split.test_count >= 5);
    free(side);
    split_release(&split);
    dataset_release(&data);
    text_release(&bytes);
}

static void facts_are_counted_and_placed(void **state)
{
    (void)state;
    struct dataset data =
        must_parse("f.csv",
                   "text,label\n"
                   "Where is my parcel now please tell me,p\n"      /* 2 */
                   "an entirely different sentence stands here,q\n" /* 3 */
                   "where is  my PARCEL now please tell me ,p\n"    /* 4: exact */
                   "Where is my parcel please tell me,p\n"          /* 5: near */
                   "an entirely different sentence stands here,p\n" /* 6: exact, conflict */
                   "short,q\n"                                      /* 7 */
                   "AN ENTIRELY different sentence stands here,p\n" /* 8: exact, same conflict */
                   "shorts,q\n"                                     /* 9 */
                   "\xC3\x84rger \xD0\x96,q\n"                      /* 10 */
                   "\xC3\xA4rger\xC2\xA0\xD0\xB6,q\n",              /* 11: exact */
                   NULL);
    struct split split = must_split(&data, NULL, 1);
    const struct split_facts *facts = &split.facts;
    assert_int_equal(facts->exact_duplicates.count, 4);
    assert_int_equal(facts->exact_duplicates.places[0].line, 4);
    assert_int_equal(facts->exact_duplicates.places[0].other, 2);
    assert_int_equal(facts->exact_duplicates.places[3].line, 11);
    assert_int_equal(facts->exact_duplicates.places[3].other, 10);
    assert_int_equal(facts->near_duplicates.count, 1);
    assert_int_equal(facts->near_duplicates.places[0].line, 5);
    assert_int_equal(facts->near_duplicates.places[0].other, 2);
    assert_int_equal(facts->conflicting_targets.count, 1);
    assert_int_equal(facts->conflicting_targets.places[0].line, 6);
    assert_int_equal(facts->conflicting_targets.places[0].other, 3);
    assert_int_equal(facts->leakage.count, 0);
    assert_int_equal(facts->near_leakage.count, 0);
    assert_int_equal(facts->largest_group, 3);
    split_release(&split);
    dataset_release(&data);
}

static void no_more_than_five_places_are_kept(void **state)
{
    (void)state;
    struct text bytes = {0};
    text_add(&bytes, "text,label\nx y,1.5\nz w,1.5\nu v,2.5\n");
    for (int i = 0; i < 20; i++)
        text_add(&bytes, "x y,1.5\n");
    struct dataset data =
        must_parse("f.csv", bytes.bytes, &(struct dataset_options){.task = TASK_NUMERIC_ANSWER});
    struct split split = must_split(&data, NULL, 1);
    assert_int_equal(split.facts.exact_duplicates.count, 20);
    assert_int_equal(split.facts.exact_duplicates.places[FACT_PLACES - 1].line, 9);
    split_release(&split);
    dataset_release(&data);
    text_release(&bytes);
}

static void a_test_file_is_the_test_side(void **state)
{
    (void)state;
    const size_t sizes[] = {300, 200};
    struct dataset data = make_data(1, sizes, 2, 0);
    struct text bytes = {0};
    text_add(&bytes, "text,label\n");
    text_add(&bytes, "nothing like it was seen before,class 0\n");
    text_printf(&bytes, " %s,class 1\n", data.examples[7].input);     /* leaks, other label */
    text_printf(&bytes, "%s more,class 1\n", data.examples[9].input); /* nearly */
    text_add(&bytes, "nor anything like that one,class 1\n");
    struct dataset_options like = {.like = &data};
    struct dataset test = must_parse("test.csv", bytes.bytes, &like);
    struct split split = must_split(&data, &test, 5);
    assert_int_equal(split.train_count, 400);
    assert_int_equal(split.dev_count, 100);
    assert_int_equal(split.test_count, 4);
    assert_ptr_equal(split.test_from, &test);
    assert_int_equal(split.facts.leakage.count, 1);
    assert_int_equal(split.facts.leakage.places[0].line, 3);
    assert_int_equal(split.facts.leakage.places[0].other, data.examples[7].line);
    assert_int_equal(split.facts.near_leakage.count, 1);
    assert_int_equal(split.facts.near_leakage.places[0].line, 4);
    assert_int_equal(split.facts.near_leakage.places[0].other, data.examples[9].line);
    bool seen[4] = {false};
    for (size_t i = 0; i < 4; i++) {
        assert_false(seen[split.test[i]]);
        seen[split.test[i]] = true;
        assert_int_equal(split.leaked[i], split.test[i] == 1 || split.test[i] == 2);
    }
    dataset_release(&test);
    struct dataset clean = must_parse("test.csv", "text,label\nquite new,class 0\n", &like);
    struct split other = must_split(&data, &clean, 5);
    assert_null(other.leaked);
    assert_memory_equal(other.dev, split.dev, split.dev_count * sizeof *split.dev);
    assert_memory_equal(other.train, split.train, split.train_count * sizeof *split.train);
    split_release(&other);
    split_release(&split);
    dataset_release(&clean);
    dataset_release(&data);
    text_release(&bytes);
}

static void a_foreign_test_label_is_an_error(void **state)
{
    (void)state;
    struct dataset data = must_parse("train.csv", "text,label\na,p\nb,q\nc,p\nd,q\n", NULL);
    struct dataset_options classes = {.task = TASK_CLASSIFICATION};
    struct split split;
    struct error err;
    struct dataset test = must_parse("test.csv", "text,label\nx,p\ny,s\n", &classes);
    assert_int_equal(split_make(&data, &test, NULL, &split, &err), BAD_DATA);
    assert_memory_equal(err.text, "test.csv:3: the label 's' does not occur in train.csv", 53);
    dataset_release(&test);
    test = must_parse("test.csv", "text,label\nx,q\ny,r\n", &classes); /* q is 0 here, 1 there */
    assert_int_equal(split_make(&data, &test, NULL, &split, &err), FAILED);
    dataset_release(&test);
    dataset_release(&data);
}

/* The Jaccard index of two texts of words separated by single spaces. */
static bool alike_by_force(const char *a, const char *b)
{
    char words[2][64][8];
    size_t counts[2] = {0};
    const char *texts[2] = {a, b};
    for (int t = 0; t < 2; t++)
        for (const char *at = texts[t]; *at;) {
            size_t length = strcspn(at, " ");
            char word[8] = {0};
            memcpy(word, at, length);
            bool known = false;
            for (size_t i = 0; i < counts[t]; i++)
                known = known || strcmp(words[t][i], word) == 0;
            if (!known)
                memcpy(words[t][counts[t]++], word, sizeof word);
            at += length + (at[length] == ' ');
        }
    size_t shared = 0;
    for (size_t i = 0; i < counts[0]; i++)
        for (size_t j = 0; j < counts[1]; j++)
            shared += strcmp(words[0][i], words[1][j]) == 0;
    return 10 * shared >= 8 * (counts[0] + counts[1] - shared);
}

/* Texts of 1 to 12 words out of a small vocabulary: many pairs near the limit of 0.8. No word is in
 * half of them, and no list is longer than the limit of comparisons. */
static void near_duplicates_agree_with_brute_force(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct random random = random_stream(seed, "test near", 0);
        struct arena arena;
        arena_init(&arena, NULL);
        const char *texts[COUNT];
        size_t root[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            struct text text = {0};
            size_t words = 1 + random_below(&random, 12);
            size_t first = random_below(&random, 60);
            for (size_t j = 0; j < words; j++)
                text_printf(&text, "%sw%zu", j ? " " : "",
                            first + j + random_below(&random, 8) / 7);
            texts[i] = arena_strdup(&arena, text.bytes);
            text_release(&text);
            root[i] = i;
        }
        for (size_t i = 0; i < COUNT; i++)
            for (size_t j = 0; j < i; j++)
                if (alike_by_force(texts[i], texts[j]) && root[i] != root[j]) {
                    size_t low = root[i] < root[j] ? root[i] : root[j];
                    size_t high = root[i] < root[j] ? root[j] : root[i];
                    for (size_t k = 0; k < COUNT; k++)
                        root[k] = root[k] == high ? low : root[k];
                }
        struct duplicates found;
        duplicates_find(texts, COUNT, &arena, &found);
        for (size_t i = 0; i < COUNT; i++)
            if (found.group[i] != root[i])
                fail_msg("'%s' is with '%s', not with '%s'", texts[i], texts[found.group[i]],
                         texts[root[i]]);
        arena_release(&arena);
    }
}

static void texts_are_compared_by_their_words(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same, near;
    } cases[] = {
        {"a b", "A  B\n", true, true},
        {"one two three four five", "five four three two one", false, true},
        {"one, two; three!", "one two three", false, true},
        {"one two three four five", "one two three four", false, true},
        {"one two three four five", "one two three four six", false, false},
        {"one two three", "one two", false, false},
        {"\xCE\xA3\xCE\x91", "\xCF\x83\xCE\xB1", true, true},
        {"...", "!!!", false, false},
        {"", " ", true, true},
        /* ten characters of Chinese, one appended: nine of ten pairs are shared */
        {"\xE4\xB8\x80\xE4\xBA\x8C\xE4\xB8\x89\xE5\x9B\x9B\xE4\xBA\x94"
         "\xE5\x85\xAD\xE4\xB8\x83\xE5\x85\xAB\xE4\xB9\x9D\xE5\x8D\x81",
         "\xE4\xB8\x80\xE4\xBA\x8C\xE4\xB8\x89\xE5\x9B\x9B\xE4\xBA\x94"
         "\xE5\x85\xAD\xE4\xB8\x83\xE5\x85\xAB\xE4\xB9\x9D\xE5\x8D\x81\xE7\x99\xBE",
         false, true},
        /* the same characters in another order */
        {"\xE4\xB8\x80\xE4\xBA\x8C\xE4\xB8\x89\xE5\x9B\x9B\xE4\xBA\x94",
         "\xE4\xBA\x94\xE5\x9B\x9B\xE4\xB8\x89\xE4\xBA\x8C\xE4\xB8\x80", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena;
        arena_init(&arena, NULL);
        const char *texts[] = {cases[i].a, cases[i].b};
        struct duplicates found;
        duplicates_find(texts, 2, &arena, &found);
        if ((found.same[1] == 0) != cases[i].same || (found.group[1] == 0) != cases[i].near)
            fail_msg("case %zu", i);
        arena_release(&arena);
    }
}

/* An instruction in every row must not make all rows one group. */
static void repeated_instructions_do_not_count(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct arena arena;
    arena_init(&arena, NULL);
    const char *texts[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        struct text text = {0};
        text_printf(&text,
                    "Decide whether the following review of a film is positive or negative, "
                    "and answer with one word only. Review: x%zu y%zu",
                    i, i % 7);
        texts[i] = arena_strdup(&arena, text.bytes);
        text_release(&text);
    }
    struct duplicates found;
    duplicates_find(texts, COUNT, &arena, &found);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(found.group[i], i);
    arena_release(&arena);
}

/* Families of thousands of alike texts: the work per text is bounded. */
static void large_families_take_no_time(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    struct arena arena;
    arena_init(&arena, NULL);
    const char **texts = arena_alloc(&arena, COUNT * sizeof *texts);
    for (size_t i = 0; i < COUNT; i++) {
        char text[160];
        snprintf(text, sizeof text, "f%zua f%zub f%zuc f%zud f%zue f%zuf f%zug f%zuh f%zui n%zu",
                 i % 3, i % 3, i % 3, i % 3, i % 3, i % 3, i % 3, i % 3, i % 3, i);
        texts[i] = arena_strdup(&arena, text);
    }
    struct duplicates found;
    duplicates_find(texts, COUNT, &arena, &found);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(found.group[i], i % 3);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sides_are_disjoint_and_complete),
        cmocka_unit_test(sizes_are_as_documented),
        cmocka_unit_test(options_set_the_sizes),
        cmocka_unit_test(duplicates_stay_on_one_side),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(the_order_is_the_same_everywhere),
        cmocka_unit_test(classes_keep_their_proportions),
        cmocka_unit_test(prefixes_keep_the_proportions),
        cmocka_unit_test(seldom_classes_come_early),
        cmocka_unit_test(tasks_without_classes_are_split_too),
        cmocka_unit_test(too_few_examples_are_an_error),
        cmocka_unit_test(a_giant_group_stays_whole),
        cmocka_unit_test(facts_are_counted_and_placed),
        cmocka_unit_test(no_more_than_five_places_are_kept),
        cmocka_unit_test(a_test_file_is_the_test_side),
        cmocka_unit_test(a_foreign_test_label_is_an_error),
        cmocka_unit_test(near_duplicates_agree_with_brute_force),
        cmocka_unit_test(texts_are_compared_by_their_words),
        cmocka_unit_test(repeated_instructions_do_not_count),
        cmocka_unit_test(large_families_take_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
