/* SPDX-License-Identifier: Apache-2.0
 *
 * Giving up techniques: the evidence against an independent computation
 * (tests/parity/make_elimination.py), and how often a race gives up what it should not.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/memory.h"
#include "base/random.h"
#include "evaluators/elimination.h"

static double *numbers_of(const json_t *object, const char *key, size_t *count)
{
    const json_t *array = json_object_get(object, key);
    *count = json_array_size(array);
    double *values = memory_alloc(*count * sizeof *values);
    for (size_t i = 0; i < *count; i++)
        values[i] = json_number_value(json_array_get(array, i));
    return values;
}

static void test_evidence_agrees(void **state)
{
    (void)state;
    json_t *rows = json_load_file("tests/parity/fixtures/elimination.json", 0, NULL);
    assert_int_equal(json_array_size(rows), 10);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        size_t count, rivals;
        double *own = numbers_of(row, "own", &count), *rival = numbers_of(row, "rival", &rivals);
        assert_int_equal(count, rivals);
        double found = elimination_evidence(own, rival, count,
                                            json_number_value(json_object_get(row, "clip")));
        double expected = json_number_value(json_object_get(row, "evidence"));
        if (!(fabs(found - expected) <= 1e-10 * fmax(1, fabs(expected))))
            fail_msg("case %zu: %.15g, expected %.15g", i, found, expected);
        free(own);
        free(rival);
    }
    json_decref(rows);
}

static void test_ends_and_nonsense(void **state)
{
    (void)state;
    const double right[] = {0, 0, 0}, wrong[] = {1, 1, 1}, broken[] = {0, NAN, 0};
    assert_true(elimination_evidence(wrong, right, 0, 1) == 0);
    assert_true(fabs(elimination_evidence(right, right, 3, 1)) < 1e-15);
    assert_true(elimination_evidence(wrong, right, 3, 1) > 0);
    assert_true(elimination_evidence(right, wrong, 3, 1) < 0);
    /* Cut, a large loss counts as one of the size of the clip. */
    assert_true(fabs(elimination_evidence(wrong, right, 3, 0.1) -
                     elimination_evidence(wrong, right, 3, 1)) < 1e-15);
    assert_true(isnan(elimination_evidence(broken, right, 3, 1)));
    assert_true(isnan(elimination_evidence(wrong, right, 3, 0)));
    assert_true(isnan(elimination_evidence(wrong, right, 3, -1)));
    assert_true(isnan(elimination_evidence(wrong, right, 3, NAN)));
    assert_false(elimination_enough(NAN, 1, 0.1));
    assert_true(elimination_enough(log(30.001), 3, 0.1));
    assert_false(elimination_enough(log(29.999), 3, 0.1));
}

/* An arm is as good as its best trial, and rivals are averaged. */
static void test_race(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    double good[COUNT] = {0}, bad[COUNT], middling[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        bad[i] = 1;
        middling[i] = i % 2 ? 1 : 0;
    }
    const struct race_entry entries[] = {{0, good}, {1, bad}, {1, middling}, {2, bad}};
    struct race race = {entries, 4, COUNT, 1};
    double close = elimination_evidence(middling, good, COUNT, 1);
    double ahead = elimination_evidence(middling, bad, COUNT, 1);
    assert_true(fabs(race_evidence(&race, 1) - (log(exp(close) + exp(ahead)) - log(2))) < 1e-12);
    assert_true(race_evidence(&race, 0) < 0);
    assert_true(race_evidence(&race, 2) > race_evidence(&race, 1));
    assert_true(isinf(race_evidence(&race, 7)) && race_evidence(&race, 7) < 0); /* not there */
    race.count = 1;
    assert_true(isinf(race_evidence(&race, 0)) && race_evidence(&race, 0) < 0); /* no rival */
}

/* ---- Simulated races ------------------------------------------------------------------------ */

enum { ARMS = 8, RATES = 3, EXAMPLES = 200, RACES = 600, PAIRS = 4000 };

struct simulation {
    double losses[ARMS][RATES][EXAMPLES];
    struct race_entry entries[ARMS * RATES];
};

/* Arms err with a chance of `error`, and `extra` more for those from `worse` on. Arms agree on some
 * examples more than on others, since some are hard for all. */
static void simulate(struct simulation *s, struct random *random, double error, double extra,
                     size_t worse)
{
    double hard[EXAMPLES];
    for (size_t i = 0; i < EXAMPLES; i++)
        hard[i] = random_uniform(random);
    for (size_t arm = 0; arm < ARMS; arm++)
        for (size_t rate = 0; rate < RATES; rate++) {
            double chance = error + (arm >= worse ? extra : 0);
            for (size_t i = 0; i < EXAMPLES; i++) {
                double luck = random_uniform(random) < 0.5 ? hard[i] : random_uniform(random);
                s->losses[arm][rate][i] = luck < chance;
            }
            s->entries[arm * RATES + rate] = (struct race_entry){arm, s->losses[arm][rate]};
        }
}

/* Shares of races in which some arm below `worse` was given up, and of worse arms that were. */
static void count_given_up(double error, double extra, size_t worse, double alpha, double *wrongly,
                           double *rightly)
{
    struct simulation *s = memory_alloc(sizeof *s);
    struct random random = random_stream(11, "races", (uint64_t)(100 * error));
    size_t wrong = 0, right = 0;
    for (size_t i = 0; i < RACES; i++) {
        simulate(s, &random, error, extra, worse);
        struct race race = {s->entries, ARMS * RATES, EXAMPLES, 1};
        bool any = false;
        for (size_t arm = 0; arm < ARMS; arm++) {
            bool gone = elimination_enough(race_evidence(&race, arm), ARMS, alpha);
            any |= gone && arm < worse;
            right += gone && arm >= worse;
        }
        wrong += any;
    }
    *wrongly = (double)wrong / RACES;
    *rightly = worse < ARMS ? (double)right / RACES / (double)(ARMS - worse) : 0;
    free(s);
}

/* One technique and one rival that are alike: wrong less often than allowed, but not never. */
static void test_false_alarms_of_pairs(void **state)
{
    (void)state;
    const double alpha = 0.1;
    struct random random = random_stream(13, "pairs", 0);
    size_t wrong = 0;
    for (size_t pair = 0; pair < PAIRS; pair++) {
        double own[EXAMPLES], rival[EXAMPLES];
        for (size_t i = 0; i < EXAMPLES; i++) {
            own[i] = random_uniform(&random) < 0.4;
            rival[i] = random_uniform(&random) < 0.4;
        }
        wrong += elimination_enough(elimination_evidence(own, rival, EXAMPLES, 1), 1, alpha);
    }
    print_message("of pairs that are alike, %.4f are told apart\n", (double)wrong / PAIRS);
    assert_true((double)wrong / PAIRS <= alpha);
    assert_true((double)wrong / PAIRS >= 0.002);
}

static void test_false_eliminations(void **state)
{
    (void)state;
    static const double errors[] = {0.05, 0.2, 0.5};
    const double alpha = 0.1;
    double wrongly, rightly;
    for (size_t i = 0; i < 3; i++) {
        count_given_up(errors[i], 0, ARMS, alpha, &wrongly, &rightly); /* all are alike */
        print_message("all err in %.2f: %.4f of races give up any\n", errors[i], wrongly);
        assert_true(wrongly <= alpha);
    }
    count_given_up(0.2, 0.25, 4, alpha, &wrongly, &rightly);
    print_message("half err in 0.20, half in 0.45: %.4f wrongly, %.3f of the worse ones\n", wrongly,
                  rightly);
    assert_true(wrongly <= alpha);
    assert_true(rightly >= 0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evidence_agrees),
        cmocka_unit_test(test_ends_and_nonsense),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_false_alarms_of_pairs),
        cmocka_unit_test(test_false_eliminations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
