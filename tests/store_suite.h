/* SPDX-License-Identifier: Apache-2.0
 *
 * What the suites of the store share: a place for each test, a study with planned trials, and a
 * look at what was written. To be included after cmocka.h.
 */
#ifndef TESTS_STORE_SUITE_H
#define TESTS_STORE_SUITE_H

#include "tests/store_faults.h"
#include "tests/store_support.h"

static inline int enter(void **state)
{
    *state = memory_alloc(sizeof(struct study_place));
    place_enter(*state);
    return 0;
}

static inline int leave(void **state)
{
    place_leave(*state);
    free(*state);
    return 0;
}

/* A study with `count` planned trials, numbered from 1. */
static inline struct store *start(const struct study_place *place, int count)
{
    struct store *store = must_open(place->file, STORE_CREATE);
    struct study_record study = small_study();
    struct error err = {0};
    must(store_study_put(store, &study, &err), &err);
    for (int i = 0; i < count; i++) {
        struct trial_key key = small_key(i);
        int64_t id = 0;
        must(trial_plan(store, &key, &id, &err), &err);
        assert_int_equal(id, i + 1);
    }
    return store;
}

static inline void must_claim(struct store *store, int64_t id, enum claim expected)
{
    struct error err = {0};
    enum claim claim;
    must(trial_claim(store, id, &claim, &err), &err);
    assert_int_equal(claim, expected);
}

static inline struct trial_record read_trial(struct study_place *place, struct store *store,
                                             int64_t id)
{
    struct trial_record record;
    struct error err = {0};
    must(store_trial(store, id, &place->arena, &record, &err), &err);
    return record;
}

static inline void check_predictions(struct study_place *place, struct store *store, int64_t id,
                                     enum side side, size_t expected)
{
    struct prediction wanted[SMALL_DEV], *found;
    struct error err = {0};
    size_t count;
    small_predictions(wanted, expected);
    must(trial_predictions_get(store, id, side, &place->arena, &found, &count, &err), &err);
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(found[i].example, wanted[i].example);
        assert_int_equal(found[i].truth, wanted[i].truth);
        assert_int_equal(found[i].label, wanted[i].label);
        assert_true(found[i].correct == wanted[i].correct && found[i].scored == wanted[i].scored);
        assert_true(!found[i].scored || (found[i].nll == wanted[i].nll &&
                                         found[i].probability == wanted[i].probability));
        assert_true((found[i].text == NULL) == (wanted[i].text == NULL));
        if (wanted[i].text)
            assert_string_equal(found[i].text, wanted[i].text);
        assert_null(found[i].target);
        assert_null(found[i].probabilities);
    }
}

/* A test with a place of its own, as its state. */
#define TEST(function) cmocka_unit_test_setup_teardown(function, enter, leave)

#endif
