/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "datasets/duplicates.h"
#include "datasets/excerpt.h"

enum { SIDE_MIN = 50, TEST_MAX = 1000, DEV_MAX = 400, EARLY_MIN = 16 };
static const double test_share = 0.2, dev_share = 0.2;

enum side { TRAIN, DEV, TEST };

/* Examples that stay together. */
struct group {
    size_t stratum; /* class of its first example; 0 when the task has none */
    size_t size;
    enum side side;
};

/* The groups of one class, in random order. */
struct stratum {
    size_t *groups;
    size_t group_count; /* still in training */
    size_t size;        /* examples still in training */
    size_t quota;       /* examples wanted for the side at hand */
    double remainder;
};

struct plan {
    const struct dataset *data;
    struct arena scratch;
    struct group *groups;
    size_t group_count;
    size_t *group_of; /* by example: its group */
    struct stratum *strata;
    size_t stratum_count;
};

static void add_fact(struct fact *fact, size_t line, size_t other)
{
    if (fact->count < FACT_PLACES) {
        fact->places[fact->count].line = line;
        fact->places[fact->count].other = other;
    }
    fact->count++;
}

static size_t stratum_of(const struct example *example)
{
    return example->label >= 0 ? (size_t)example->label : 0;
}

/* Targets are compared for the first two that differ; each text counts once. */
static void find_conflicts(const struct dataset *data, const size_t *same,
                           struct split_facts *facts)
{
    bool *reported = memory_zalloc(data->count * sizeof *reported);
    for (size_t i = 0; i < data->count; i++) {
        const struct example *example = &data->examples[i];
        const struct example *first = &data->examples[same[i]];
        if (reported[same[i]] || !example->target || !first->target ||
            strcmp(example->target, first->target) == 0)
            continue;
        reported[same[i]] = true;
        add_fact(&facts->conflicting_targets, example->line, first->line);
    }
    free(reported);
}

static void find_facts(const struct plan *plan, const struct duplicates *found,
                       struct split_facts *facts)
{
    const struct dataset *data = plan->data;
    for (size_t i = 0; i < data->count; i++) {
        if (found->same[i] != i)
            add_fact(&facts->exact_duplicates, data->examples[i].line,
                     data->examples[found->same[i]].line);
        else if (found->group[i] != i)
            add_fact(&facts->near_duplicates, data->examples[i].line,
                     data->examples[found->group[i]].line);
    }
    for (size_t i = 0; i < plan->group_count; i++)
        if (plan->groups[i].size > facts->largest_group)
            facts->largest_group = plan->groups[i].size;
    find_conflicts(data, found->same, facts);
}

static void copy_inputs(const struct dataset *dataset, const char **texts)
{
    for (size_t i = 0; i < dataset->count; i++)
        texts[i] = dataset->examples[i].input;
}

/* Numbers the groups in the order of their first examples. */
static void list_groups(struct plan *plan, const size_t *root)
{
    const struct dataset *data = plan->data;
    plan->groups = arena_alloc(&plan->scratch, data->count * sizeof *plan->groups);
    plan->group_of = arena_alloc(&plan->scratch, data->count * sizeof *plan->group_of);
    for (size_t i = 0; i < data->count; i++) {
        if (root[i] == i) {
            plan->groups[plan->group_count] =
                (struct group){stratum_of(&data->examples[i]), 0, TRAIN};
            plan->group_of[i] = plan->group_count++;
        } else {
            plan->group_of[i] = plan->group_of[root[i]];
        }
        plan->groups[plan->group_of[i]].size++;
    }
}

static void list_strata(struct plan *plan, uint64_t seed)
{
    plan->stratum_count = plan->data->label_count ? plan->data->label_count : 1;
    plan->strata = arena_zalloc(&plan->scratch, plan->stratum_count * sizeof *plan->strata);
    for (size_t i = 0; i < plan->group_count; i++)
        plan->strata[plan->groups[i].stratum].group_count++;
    for (size_t i = 0; i < plan->stratum_count; i++) {
        struct stratum *stratum = &plan->strata[i];
        stratum->groups =
            arena_alloc(&plan->scratch, stratum->group_count * sizeof *stratum->groups);
        stratum->group_count = 0;
    }
    for (size_t i = 0; i < plan->group_count; i++) {
        struct stratum *stratum = &plan->strata[plan->groups[i].stratum];
        stratum->groups[stratum->group_count++] = i;
        stratum->size += plan->groups[i].size;
    }
    for (size_t i = 0; i < plan->stratum_count; i++) {
        struct random random = random_stream(seed, "split groups", i);
        random_shuffle(&random, plan->strata[i].groups, plan->strata[i].group_count);
    }
}

static int compare_remainders(const void *a, const void *b)
{
    const struct stratum *x = *(struct stratum *const *)a;
    const struct stratum *y = *(struct stratum *const *)b;
    if (x->remainder != y->remainder)
        return x->remainder > y->remainder ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Shares `wanted` examples out over the classes in proportion; the largest remainders round up. */
static void set_quotas(struct plan *plan, size_t wanted, size_t available)
{
    struct arena_mark mark = arena_mark(&plan->scratch);
    struct stratum **sorted = arena_alloc(&plan->scratch, plan->stratum_count * sizeof *sorted);
    size_t given = 0;
    for (size_t i = 0; i < plan->stratum_count; i++) {
        struct stratum *stratum = &plan->strata[i];
        double share = (double)wanted * (double)stratum->size / (double)available;
        stratum->quota = (size_t)share;
        stratum->remainder = share - floor(share);
        given += stratum->quota;
        sorted[i] = stratum;
    }
    qsort(sorted, plan->stratum_count, sizeof *sorted, compare_remainders);
    for (size_t i = 0; i < plan->stratum_count && given < wanted; i++, given++)
        sorted[i]->quota++;
    arena_rewind(&plan->scratch, mark);
}

/* Moves groups of a class to `side` until the quota is filled: at most half of the groups, so that
 * some stay in training whatever their sizes are. Returns the number of examples moved. */
static size_t fill_quota(struct plan *plan, struct stratum *stratum, enum side side)
{
    size_t moved = 0;
    size_t allowed = stratum->group_count / 2;
    size_t kept = 0;
    for (size_t i = 0; i < stratum->group_count; i++) {
        struct group *group = &plan->groups[stratum->groups[i]];
        if (allowed > 0 && moved + group->size <= stratum->quota) {
            group->side = side;
            moved += group->size;
            allowed--;
        } else {
            stratum->groups[kept++] = stratum->groups[i];
        }
    }
    stratum->group_count = kept;
    stratum->size -= moved;
    return moved;
}

/* When no group was small enough: the smallest one of the class with the most groups. */
static size_t move_smallest(struct plan *plan, enum side side)
{
    struct stratum *stratum = &plan->strata[0];
    for (size_t i = 1; i < plan->stratum_count; i++)
        if (plan->strata[i].group_count > stratum->group_count)
            stratum = &plan->strata[i];
    if (stratum->group_count < 2)
        return 0;
    size_t best = stratum->groups[0];
    for (size_t i = 1; i < stratum->group_count; i++)
        if (plan->groups[stratum->groups[i]].size < plan->groups[best].size)
            best = stratum->groups[i];
    stratum->quota = plan->groups[best].size;
    return fill_quota(plan, stratum, side);
}

static size_t clamp_side(double share, size_t most, size_t available)
{
    size_t wanted = (size_t)(share * (double)available + 0.5);
    wanted = wanted < SIDE_MIN ? SIDE_MIN : wanted;
    wanted = wanted > most ? most : wanted;
    wanted = wanted > available / 3 ? available / 3 : wanted;
    return wanted ? wanted : 1;
}

static enum status cut_side(struct plan *plan, enum side side, double share, size_t most,
                            struct error *err)
{
    size_t available = 0;
    for (size_t i = 0; i < plan->stratum_count; i++)
        available += plan->strata[i].size;
    set_quotas(plan, clamp_side(share, most, available), available);
    size_t moved = 0;
    for (size_t i = 0; i < plan->stratum_count; i++)
        moved += fill_quota(plan, &plan->strata[i], side);
    if (moved || move_smallest(plan, side))
        return OK;
    return error_set(err, BAD_DATA,
                     "%s: there are too few examples to set some aside for measuring (%zu, with "
                     "inputs that differ: %zu); add examples, at least 3 different ones of one "
                     "class (20 or more of each are sensible).",
                     plan->data->path, plan->data->count, plan->group_count);
}

/* Where an example stands in an order: keys grow from 0 to 1. */
struct place {
    double key;
    size_t index;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The j-th of the n examples of a class gets a random key in its own slot [j/n, (j+1)/n), so the
 * number of examples of a class with keys below x is x * n to within one. `items` are shuffled
 * already. With `early` the first of a class that has several comes forward. */
static void set_keys(const struct dataset *data, struct place *places, size_t count, bool early,
                     struct random *random)
{
    size_t strata = data->label_count ? data->label_count : 1;
    size_t *sizes = memory_zalloc(2 * strata * sizeof *sizes);
    size_t *seen = sizes + strata;
    size_t front = strata > EARLY_MIN ? strata : EARLY_MIN;
    for (size_t i = 0; i < count; i++)
        sizes[stratum_of(&data->examples[places[i].index])]++;
    for (size_t i = 0; i < count; i++) {
        size_t stratum = stratum_of(&data->examples[places[i].index]);
        double key = ((double)seen[stratum]++ + random_uniform(random)) / (double)sizes[stratum];
        double forward = random_uniform(random) * (double)front / (double)count;
        bool first = early && seen[stratum] == 1 && sizes[stratum] > 1;
        places[i].key = first && forward < key ? forward : key;
    }
    free(sizes);
}

/* Puts indices into a stratified random order. */
static void order_side(const struct dataset *data, size_t *items, size_t count, enum side side,
                       uint64_t seed)
{
    struct random random = random_stream(seed, "split order", side);
    random_shuffle(&random, items, count);
    struct place *places = memory_alloc(count * sizeof *places);
    for (size_t i = 0; i < count; i++)
        places[i].index = items[i];
    set_keys(data, places, count, side == TRAIN, &random);
    qsort(places, count, sizeof *places, compare_places);
    for (size_t i = 0; i < count; i++)
        items[i] = places[i].index;
    free(places);
}

static size_t *list_side(const struct plan *plan, enum side side, uint64_t seed,
                         struct arena *arena, size_t *count)
{
    size_t *items = arena_alloc(arena, plan->data->count * sizeof *items);
    *count = 0;
    for (size_t i = 0; i < plan->data->count; i++)
        if (plan->groups[plan->group_of[i]].side == side)
            items[(*count)++] = i;
    order_side(plan->data, items, *count, side, seed);
    return items;
}

static void list_test_file(const struct dataset *test, uint64_t seed, struct split *split)
{
    split->test_from = test;
    split->test_count = test->count;
    split->test = arena_alloc(&split->arena, test->count * sizeof *split->test);
    for (size_t i = 0; i < test->count; i++)
        split->test[i] = i;
    order_side(test, split->test, test->count, TEST, seed);
}

/* Which examples of the test file stand in the data too. */
static void find_leaks(const struct plan *plan, const struct dataset *test, struct split *split)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    size_t n = plan->data->count;
    const char **texts = arena_alloc(&scratch, (n + test->count) * sizeof *texts);
    copy_inputs(plan->data, texts);
    copy_inputs(test, texts + n);
    struct duplicates found;
    duplicates_find(texts, n + test->count, &scratch, &found);
    bool *leaked = arena_zalloc(&scratch, test->count * sizeof *leaked);
    for (size_t i = 0; i < test->count; i++) {
        size_t same = found.same[n + i];
        size_t group = found.group[n + i];
        leaked[i] = group < n;
        if (same < n)
            add_fact(&split->facts.leakage, test->examples[i].line,
                     plan->data->examples[same].line);
        else if (group < n)
            add_fact(&split->facts.near_leakage, test->examples[i].line,
                     plan->data->examples[group].line);
    }
    if (split->facts.leakage.count + split->facts.near_leakage.count) {
        split->leaked = arena_alloc(&split->arena, test->count * sizeof *leaked);
        for (size_t i = 0; i < test->count; i++)
            split->leaked[i] = leaked[split->test[i]];
    }
    arena_release(&scratch);
}

static enum status check_test(const struct dataset *data, const struct dataset *test,
                              struct error *err)
{
    if (test->count == 0)
        return error_set(err, BAD_DATA, "%s: there are no examples in it to test with.",
                         test->path);
    for (size_t i = 0; i < test->count && data->label_count; i++) {
        const struct example *example = &test->examples[i];
        int label = example->target ? dataset_label_index(data, example->target) : -1;
        if (label < 0)
            return error_set(err, BAD_DATA,
                             "%s:%zu: the label %s does not occur in %s; correct it, or add "
                             "training examples of it.",
                             test->path, example->line,
                             excerpt_string(example->target ? example->target : "").text,
                             data->path);
        if (label != example->label)
            return error_set(err, FAILED,
                             "%s: the file was read with labels of its own instead of those of %s.",
                             test->path, data->path);
    }
    return OK;
}

static enum status cut(struct plan *plan, const struct dataset *test, const struct split_options *o,
                       struct split *split, struct error *err)
{
    enum status status = OK;
    if (!test)
        status = cut_side(plan, TEST, o->test_share > 0 ? o->test_share : test_share,
                          o->test_max ? o->test_max : TEST_MAX, err);
    if (!status)
        status = cut_side(plan, DEV, o->dev_share > 0 ? o->dev_share : dev_share,
                          o->dev_max ? o->dev_max : DEV_MAX, err);
    if (status)
        return status;
    split->train = list_side(plan, TRAIN, o->seed, &split->arena, &split->train_count);
    split->dev = list_side(plan, DEV, o->seed, &split->arena, &split->dev_count);
    split->test_from = plan->data;
    if (test)
        list_test_file(test, o->seed, split);
    else
        split->test = list_side(plan, TEST, o->seed, &split->arena, &split->test_count);
    return OK;
}

enum status split_make(const struct dataset *data, const struct dataset *test,
                       const struct split_options *options, struct split *split, struct error *err)
{
    struct split_options o = options ? *options : (struct split_options){0};
    *split = (struct split){0};
    enum status status = test ? check_test(data, test, err) : OK;
    if (status)
        return status;
    struct plan plan = {.data = data};
    arena_init(&plan.scratch, NULL);
    arena_init(&split->arena, NULL);
    const char **texts = arena_alloc(&plan.scratch, data->count * sizeof *texts);
    copy_inputs(data, texts);
    struct duplicates found;
    duplicates_find(texts, data->count, &split->arena, &found);
    split->group = found.group;
    list_groups(&plan, found.group);
    list_strata(&plan, o.seed);
    find_facts(&plan, &found, &split->facts);
    status = cut(&plan, test, &o, split, err);
    if (!status && test)
        find_leaks(&plan, test, split);
    arena_release(&plan.scratch);
    if (status) {
        struct split_facts facts = split->facts;
        split_release(split);
        split->facts = facts;
    }
    return status;
}

struct split_sizes split_sizes_of(size_t count)
{
    struct split_sizes sizes = {.train = count};
    if (count < 3)
        return sizes;
    sizes.test = clamp_side(test_share, TEST_MAX, sizes.train);
    sizes.train -= sizes.test;
    sizes.dev = clamp_side(dev_share, DEV_MAX, sizes.train);
    sizes.train -= sizes.dev;
    return sizes;
}

void split_release(struct split *split)
{
    arena_release(&split->arena);
    *split = (struct split){0};
}
