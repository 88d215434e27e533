/* SPDX-License-Identifier: Apache-2.0
 *
 * Likeness of texts against rouge-score, sacrebleu and SQuAD's definition
 * (tests/parity/make_text_metrics.py), and at the edges.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "evaluators/metrics.h"
#include "evaluators/text_metrics.h"

static json_t *fixture(void)
{
    json_t *document = json_load_file("tests/parity/fixtures/text_metrics.json", 0, NULL);
    assert_non_null(document);
    return document;
}

static const char *string_of(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

static void expect(const json_t *row, const char *name, double found)
{
    double expected = json_number_value(json_object_get(row, name));
    if (!(fabs(found - expected) <= 1e-12))
        fail_msg("%s of \"%s\" for \"%s\": %.17g, expected %.17g", name, string_of(row, "answer"),
                 string_of(row, "target"), found, expected);
}

static void test_pairs(void **state)
{
    (void)state;
    json_t *document = fixture(), *row;
    size_t index;
    json_array_foreach(json_object_get(document, "pairs"), index, row)
    {
        const char *answer = string_of(row, "answer"), *target = string_of(row, "target");
        double counts[CHRF_COUNTS];
        text_chrf_count(answer, target, counts);
        expect(row, "chrf", text_chrf(counts));
        expect(row, "rouge_l", text_rouge_l(answer, target));
        expect(row, "token_f1", text_token_f1(answer, target));
    }
    assert_true(index > 200);
    json_decref(document);
}

/* chrF of many texts is that of their summed counts, not a mean; the interval holds it. */
static void test_groups(void **state)
{
    (void)state;
    static struct prediction predictions[1000];
    const struct bootstrap options = {.resamples = 200, .seed = 1, .confidence = 0.95};
    json_t *document = fixture(), *row;
    json_t *pairs = json_object_get(document, "pairs");
    size_t index;
    json_array_foreach(pairs, index, row)
    {
        predictions[index] = (struct prediction){.truth = NO_LABEL,
                                                 .label = NO_LABEL,
                                                 .text = string_of(row, "answer"),
                                                 .target = string_of(row, "target")};
    }
    json_array_foreach(json_object_get(document, "groups"), index, row)
    {
        struct metric_value found;
        size_t first = (size_t)json_integer_value(json_object_get(row, "first"));
        size_t count = (size_t)json_integer_value(json_object_get(row, "count"));
        assert_int_equal(metric_measure(metric_find("chrf"), predictions + first, count, 0, options,
                                        &found, NULL),
                         OK);
        double expected = json_number_value(json_object_get(row, "chrf"));
        if (!(fabs(found.value - expected) <= 1e-12))
            fail_msg("group %zu: %.17g, expected %.17g", index, found.value, expected);
        assert_true(found.low <= found.value && found.value <= found.high);
        assert_true(count == 1 || found.high - found.low > 0.005);
    }
    assert_true(index >= 4);
    json_decref(document);
}

static void test_edges(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *target;
        double token_f1, rouge_l, chrf;
    } rows[] = {
        {"", "", 1, 0, 0},
        {"", "word", 0, 0, 0},
        {"word", "", 0, 0, 0},
        {"The end.", "end", 1, 2.0 / 3, -1},
        {"a", "the", 1, 0, 0},
        {"\xFF\xFE", "\xC3", 1, 0, -1}, /* replaced: the same sign */
        {"one two", "two one", 1, 0.5, -1},
        {"Same Text", "same text", 1, 1, -1},
        {"yes", "yes", 1, 1, 1},
        {"y e s", "yes", 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double counts[CHRF_COUNTS];
        text_chrf_count(rows[i].answer, rows[i].target, counts);
        bool chrf = rows[i].chrf < 0 || fabs(text_chrf(counts) - rows[i].chrf) < 1e-12;
        double token = text_token_f1(rows[i].answer, rows[i].target);
        double rouge = text_rouge_l(rows[i].answer, rows[i].target);
        if (!chrf || (i != 5 && fabs(token - rows[i].token_f1) > 1e-12) ||
            fabs(rouge - rows[i].rouge_l) > 1e-12)
            fail_msg("row %zu: token F1 %g, ROUGE-L %g, chrF %g", i, token, rouge,
                     text_chrf(counts));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
