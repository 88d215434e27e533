/* SPDX-License-Identifier: Apache-2.0
 *
 * Axes, labels and break-even points, and that text in a page stays text.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "reports/calendar.h"
#include "reports/chart.h"
#include "reports/html_text.h"
#include "reports/svg.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Axes -------------------------------------------------------------------------------------
 */

static void ticks_of(const struct axis *axis, double gap, struct text *out)
{
    double ticks[AXIS_TICKS];
    size_t count = axis_ticks(axis, gap, ticks);
    assert_in_range(count, 1, AXIS_TICKS);
    for (size_t i = 0; i < count; i++) {
        text_add(out, i ? " | " : "");
        axis_label(axis, ticks[i], out);
        if (i) /* apart from each other, in order */
            assert_true(axis_at(axis, ticks[i]) > axis_at(axis, ticks[i - 1]) + gap * 0.75);
        double slack = 2e-3 * (axis->scale == SCALE_LOG ? ticks[i] : axis->high - axis->low);
        assert_true(ticks[i] >= axis->low - slack && ticks[i] <= axis->high + slack);
    }
}

static void test_linear_ticks(void **state)
{
    (void)state;
    static const struct {
        double low, high;
        const char *labels;
    } rows[] = {{0, 1, "0 | 0.2 | 0.4 | 0.6 | 0.8 | 1"},
                {0.25, 0.954, "0.2 | 0.4 | 0.6 | 0.8 | 1"},
                {0.71, 0.74, "0.71 | 0.715 | 0.72 | 0.725 | 0.73 | 0.735 | 0.74"},
                {-0.3, 0.4, "-0.4 | -0.2 | 0 | 0.2 | 0.4"},
                {0.5, 0.5, "0.44 | 0.46 | 0.48 | 0.5 | 0.52 | 0.54 | 0.56"},
                {0, 0, "-0.06 | -0.04 | -0.02 | 0 | 0.02 | 0.04 | 0.06"},
                {3, 12345, "0 | 2000 | 4000 | 6000 | 8000 | 10000 | 12000 | 14000"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text labels = {0};
        struct axis axis = axis_linear(rows[i].low, rows[i].high, 0, 300, 6);
        assert_true(axis.low <= rows[i].low && axis.high >= rows[i].high);
        ticks_of(&axis, 40, &labels);
        if (strcmp(text_string(&labels), rows[i].labels) != 0)
            fail_msg("%g to %g: found %s", rows[i].low, rows[i].high, text_string(&labels));
        text_release(&labels);
    }
}

static void test_log_ticks(void **state)
{
    (void)state;
    static const struct {
        enum unit unit;
        double low, high;
        const char *labels;
    } rows[] = {{UNIT_SECONDS, 0.02, 4000, "100 ms | 1 s | 15 s | 5 min | 1 h"},
                {UNIT_SECONDS, 30, 90, "20 s | 30 s | 1 min | 2 min"},
                {UNIT_SECONDS, 86400, 9e6, "1 d | 7 d | 30 d"},
                {UNIT_BYTES, 5e8, 3e9, "512 MB | 1 GB | 2 GB"},
                {UNIT_BYTES, 200000, 5e9, "256 KB | 2 MB | 16 MB | 128 MB | 1 GB"},
                {UNIT_EXAMPLES, 64, 512, "64 | 128 | 256 | 512"},
                {UNIT_EXAMPLES, 64, 64, "32 | 64 | 128"},
                {UNIT_COUNT, 10, 1e7, "10 | 100 | 1k | 10k | 100k | 1M | 10M"},
                {UNIT_COUNT, 41, 590, "50 | 100 | 200 | 500"},
                {UNIT_COUNT, 1, 1e12, "1 | 1k | 1M | 1G | 1T"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text labels = {0};
        struct axis axis = axis_log(rows[i].unit, rows[i].low, rows[i].high, false, 0, 320);
        ticks_of(&axis, 46, &labels);
        if (strcmp(text_string(&labels), rows[i].labels) != 0)
            fail_msg("%g to %g: found %s", rows[i].low, rows[i].high, text_string(&labels));
        text_release(&labels);
    }
}

static void test_zero_on_a_log_axis(void **state)
{
    (void)state;
    struct axis axis = axis_log(UNIT_SECONDS, 1, 100, true, 10, 310);
    assert_true(axis_at(&axis, 0) == 10);
    assert_true(axis_at(&axis, -1) == 10);
    assert_true(axis_at(&axis, 1) > 30);
    assert_true(axis_at(&axis, 100) == 310);
    assert_true(axis_at(&axis, 1e9) == 310); /* beyond: at the edge */
    assert_true(axis_at(&axis, 1e-9) > 30);
}

/* ---- Labels -----------------------------------------------------------------------------------
 */

static bool overlap(const struct box *a, const struct box *b)
{
    return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height &&
           b->y < a->y + a->height;
}

/* A dozen names around marks anywhere in a picture for a phone. */
static void test_labels_do_not_overlap(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct random random = random_stream(seed, "marks", 0);
        struct placer placer = {.bounds = {0, 0, 600, 330}};
        struct point marks[10];
        struct box boxes[10];
        for (size_t i = 0; i < COUNT(marks); i++) {
            marks[i] = (struct point){30 + 540 * random_uniform(&random),
                                      20 + 290 * random_uniform(&random)};
            placer_block(&placer, (struct box){marks[i].x - 6, marks[i].y - 6, 12, 12}, 12);
        }
        for (size_t i = 0; i < COUNT(marks); i++)
            boxes[i] = placer_find(&placer, marks[i], 5, 40 + 70 * random_uniform(&random));
        for (size_t i = 0; i < COUNT(marks); i++) {
            assert_true(boxes[i].x >= 0 && boxes[i].x + boxes[i].width <= 600);
            assert_true(boxes[i].y >= 0 && boxes[i].y + boxes[i].height <= 330);
            for (size_t j = 0; j < i; j++)
                if (overlap(&boxes[i], &boxes[j]))
                    fail_msg("seed %d: labels %d and %d", (int)seed, (int)j, (int)i);
        }
    }
}

static void test_spread(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct random random = random_stream(seed, "spread", 0);
        double places[16];
        size_t count = 1 + random_below(&random, COUNT(places));
        double at = 50 * random_uniform(&random);
        for (size_t i = 0; i < count; i++)
            places[i] = at += random_below(&random, 2) ? 0 : 30 * random_uniform(&random);
        double gap = count * 16.0 > 300 ? 300.0 / (double)count : 16;
        spread(places, count, gap, 0, 300);
        for (size_t i = 0; i < count; i++) {
            assert_true(places[i] >= -1e-9 && places[i] <= 300 + 1e-9);
            assert_true(!i || places[i] - places[i - 1] >= gap - 1e-9);
        }
    }
    double apart[] = {10, 100, 290}; /* what is apart stays where it is */
    spread(apart, 3, 16, 0, 300);
    assert_true(apart[0] == 10 && apart[1] == 100 && apart[2] == 290);
    double many[] = {5, 5, 5, 5};
    spread(many, 4, 100, 0, 90); /* too many: evenly */
    assert_true(fabs(many[0]) < 1e-9 && fabs(many[3] - 90) < 1e-9 && fabs(many[1] - 30) < 1e-9);
}

/* ---- Break-even -------------------------------------------------------------------------------
 */

static void test_break_even(void **state)
{
    (void)state;
    static const struct {
        double once, each, other_once, other_each;
        enum crossing crossing;
        double requests;
    } rows[] = {{60000, 43, 0, 402, CHEAPER_FROM, 168}, /* 60000 / 359 = 167.1 */
                {0, 402, 60000, 43, CHEAPER_UP_TO, 168}, {100, 5, 100, 5, SAME_COST, 0},
                {100, 5, 200, 5, ALWAYS_CHEAPER, 0},     {100, 5, 200, 6, ALWAYS_CHEAPER, 0},
                {200, 6, 100, 5, NEVER_CHEAPER, 0},      {0, 10, 1000, 9, CHEAPER_UP_TO, 1000}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ranked a = {.training_tokens = measured(rows[i].once),
                           .tokens_per_request = measured(rows[i].each)};
        struct ranked b = {.training_tokens = measured(rows[i].other_once),
                           .tokens_per_request = measured(rows[i].other_each)};
        struct break_even found = break_even_of(&a, &b);
        assert_int_equal(found.crossing, rows[i].crossing);
        assert_true(found.requests == rows[i].requests);
    }
}

/* ---- Text -------------------------------------------------------------------------------------
 */

static void test_text_stays_text(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"", "<bdi></bdi>"},
        {"a & b", "<bdi>a &amp; b</bdi>"},
        {"<script>\"'", "<bdi>&lt;script&gt;&quot;&#39;</bdi>"},
        {"</bdi>\u202Ex", "<bdi>&lt;/bdi&gt;&lt;U+202E&gt;x</bdi>"},
        {"\033[31m\n\t", "<bdi>&lt;U+001B&gt;[31m  </bdi>"},
        {"\xFF\u6F22", "<bdi>&lt;0xFF&gt;\u6F22</bdi>"},
        {"&lt;&#60;", "<bdi>&amp;lt;&amp;#60;</bdi>"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        html_user(&out, rows[i].from);
        assert_string_equal(text_string(&out), rows[i].to);
        text_release(&out);
    }
    char cell[10241];
    memset(cell, '<', sizeof cell - 1);
    cell[sizeof cell - 1] = '\0';
    struct text out = {0};
    html_user_cut(&out, cell, 4);
    assert_string_equal(text_string(&out), "<bdi>&lt;&lt;&lt;\u2026</bdi> <small>(10240 characters "
                                           "in all)</small>");
    text_clear(&out);
    html_user_cut(&out, "short\u2026", 80);
    assert_string_equal(text_string(&out), "<bdi>short\u2026</bdi>");
    text_release(&out);
}

static void test_calendar(void **state)
{
    (void)state;
    /* From `date -u -d @SECONDS`. */
    static const struct {
        int64_t seconds;
        int date[6];
    } rows[] = {{0, {1970, 1, 1, 0, 0, 0}},
                {951782400, {2000, 2, 29, 0, 0, 0}},
                {951868799, {2000, 2, 29, 23, 59, 59}},
                {1700000000, {2023, 11, 14, 22, 13, 20}},
                {1709164800, {2024, 2, 29, 0, 0, 0}},
                {1735689599, {2024, 12, 31, 23, 59, 59}},
                {4107542400, {2100, 3, 1, 0, 0, 0}}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct calendar c = calendar_of(rows[i].seconds * 1000 + 250);
        int found[] = {c.year, c.month, c.day, c.hour, c.minute, c.second};
        assert_memory_equal(found, rows[i].date, sizeof found);
        assert_int_equal(c.millisecond, 250);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_ticks),
        cmocka_unit_test(test_log_ticks),
        cmocka_unit_test(test_zero_on_a_log_axis),
        cmocka_unit_test(test_labels_do_not_overlap),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_break_even),
        cmocka_unit_test(test_text_stays_text),
        cmocka_unit_test(test_calendar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
