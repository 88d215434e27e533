/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers found at the end of reasoning.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "techniques/extract.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void check(const struct dataset *data, const char *reasoning, int label, const char *text)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct extracted found = extract_answer(data, reasoning, &arena);
    bool same = !text == !found.text && (!text || !strcmp(text, found.text));
    if (found.label != label || !same)
        fail_msg("\"%s\": label %d, text %s; expected %d, %s", reasoning, found.label,
                 found.text ? found.text : "none", label, text ? text : "none");
    arena_release(&arena);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct dataset data = {.task = TASK_NUMERIC_ANSWER};
    static const struct {
        const char *reasoning, *text;
    } cases[] = {
        {"", NULL},
        {"I do not know.", NULL},
        {"7", "7"},
        {"3 and 4 make 7", "7"},
        {"3 + 4 = 7. The answer is 7. Check: 7 - 4 = 3", "7"},
        {"the ANSWER IS $1,250.50 for 2 people", "1250.5"},
        {"Answer: -3", "-3"},
        {"The answer is 5. No, the answer is 6.", "6"},
        {"First 12, then 15. The answer is", "15"},
        {"12 - 4 = 8\n#### 8", "8"},
        {"The answer is 3 #### 4", "4"},
        {"1e6", "1000000"},
        {"0.1", "0.1"},
    };
    for (size_t c = 0; c < COUNT(cases); c++)
        check(&data, cases[c].reasoning, -1, cases[c].text);
}

static void test_labels(void **state)
{
    (void)state;
    struct label labels[] = {{.name = "card"},          {.name = "card lost"}, {.name = "not_sure"},
                             {.name = "\u00E9t\u00E9"}, {.name = "C++"},       {.name = "Sports"}};
    struct dataset data = {
        .task = TASK_CLASSIFICATION, .labels = labels, .label_count = COUNT(labels)};
    static const struct {
        const char *reasoning;
        int label;
    } cases[] = {
        {"", -1},
        {"nothing of it", -1},
        {"card", 0},
        {"cards and discard are others", -1},
        {"It is about a card lost somewhere.", 1},
        {"card lost, or just card", 0},
        {"The answer is card lost, not card.", 1},
        {"card lost? The answer is CARD.", 0},
        {"Not sure", 2},
        {"not-sure", 2},
        {"not_sure", 2},
        {"notsure", -1},
        {"card, but the answer is unclear", 0},
        {"en \u00E9t\u00E9.", 3},
        {"\u00E9t\u00E9s", -1},
        {"written in C++!", 4},
        {"**sports**", 5},
        {"sports\n#### card", 0},
        {"card_lost", -1},
    };
    for (size_t c = 0; c < COUNT(cases); c++)
        check(&data, cases[c].reasoning, cases[c].label, NULL);
}

static void test_letters(void **state)
{
    (void)state;
    struct label labels[] = {{.name = "A"}, {.name = "B"}, {.name = "C"}};
    struct dataset data = {
        .task = TASK_MULTIPLE_CHOICE, .labels = labels, .label_count = COUNT(labels)};
    static const struct {
        const char *reasoning;
        int label;
    } cases[] = {
        {"A bird can fly.", -1},
        {"A bird can fly. B", 1},
        {"The answer is A.", 0},
        {"The answer is (B)", 1},
        {"A) is right", 0},
        {"a or b or c", -1},
        {"B because C is not", 2},
        {"ABC", -1},
        {"Answer: C) snow, not A)", 2},
        {"The answer is: A", 0},
    };
    for (size_t c = 0; c < COUNT(cases); c++)
        check(&data, cases[c].reasoning, cases[c].label, NULL);
}

static void test_texts(void **state)
{
    (void)state;
    static const struct dataset text = {.task = TASK_GENERATION}, json = {.task = TASK_EXTRACTION};
    static const struct {
        const char *reasoning, *text, *json;
    } cases[] = {
        {"", NULL, NULL},
        {"\n \n", NULL, NULL},
        {"one\ntwo\n\n", "two", NULL},
        {"The answer is \"good day\".\nBye", "good day", NULL},
        {"Answer: **so**", "so", NULL},
        {"First {\"a\": 1}. Answer: {\"b\": [2]} is it", "{\"b\": [2]} is it", "{\"b\": [2]}"},
        {"[1, {\"a\": 2}]", "[1, {\"a\": 2}]", "[1, {\"a\": 2}]"},
        {"{ never closed", "{ never closed", NULL},
        {"} turned {", "} turned {", NULL},
        {"The answer is", NULL, NULL},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        check(&text, cases[c].reasoning, -1, cases[c].text);
        check(&json, cases[c].reasoning, -1, cases[c].json);
    }
}

static void test_cue(void **state)
{
    (void)state;
    assert_true(extract_has_cue("So the Answer Is 4"));
    assert_true(extract_has_cue("answer:"));
    assert_false(extract_has_cue("#### 4"));
    assert_false(extract_has_cue(""));
    assert_false(extract_has_cue("answer i"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_labels),
        cmocka_unit_test(test_letters), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_cue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
