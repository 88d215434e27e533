/* SPDX-License-Identifier: Apache-2.0
 *
 * Logistic regression on a part of a matrix is the same as on a copy of that part. That it finds
 * the optimum is shown beside Newton's method in test_prompts.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "techniques/logistic.h"

enum { ROWS = 24, COLUMNS = 9, LABELS = 3, FIRST = 2, WIDTH = 5, MOST = LABELS * (COLUMNS + 1) };

static void fit(const struct logistic *problem, real weights[MOST])
{
    struct arena arena;
    struct error err;
    arena_init(&arena, NULL);
    assert_int_equal(logistic_fit(problem, weights, &arena, NULL, &err), OK);
    arena_release(&arena);
}

static void test_parts(void **state)
{
    (void)state;
    static const int out[][2] = {{0, 0}, {0, 6}, {6, 12}, {18, 24}, {5, 23}};
    real all[ROWS * COLUMNS], part[ROWS * WIDTH], found[MOST], expected[MOST], same[MOST];
    int targets[ROWS], kept[ROWS];
    struct random random = random_stream(3, "logistic", 0);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        all[i] = (real)(2 * random_uniform(&random) - 1);
    for (int i = 0; i < ROWS; i++)
        targets[i] = (int)random_below(&random, LABELS);
    const struct logistic whole = {all,   targets, ROWS, COLUMNS, LABELS, FIRST,
                                   WIDTH, 0,       0,    0.1,     20000};
    fit(&whole, same);
    for (size_t c = 0; c < sizeof out / sizeof *out; c++) {
        int rows = 0;
        double apart = 0;
        for (int i = 0; i < ROWS; i++) {
            if (i >= out[c][0] && i < out[c][1])
                continue;
            kept[rows] = targets[i];
            memcpy(part + rows++ * WIDTH, all + i * COLUMNS + FIRST, WIDTH * sizeof *part);
        }
        struct logistic problem = whole;
        problem.out_from = out[c][0];
        problem.out_end = out[c][1];
        fit(&problem, found);
        const struct logistic copy = {part, kept, rows, WIDTH, LABELS, 0, WIDTH, 0, 0, 0.1, 20000};
        fit(&copy, expected);
        for (int i = 0; i < LABELS * (WIDTH + 1); i++) {
            if (!(fabs((double)(found[i] - expected[i])) < 1e-3))
                fail_msg("case %zu: weight %d is %g, expected %g", c, i, (double)found[i],
                         (double)expected[i]);
            apart = fmax(apart, fabs((double)(found[i] - same[i])));
        }
        assert_true(apart > 0.05 || !c); /* what is left out matters */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
