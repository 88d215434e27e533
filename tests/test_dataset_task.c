/* SPDX-License-Identifier: Apache-2.0
 *
 * What the targets of data are for: the task, told or inferred, its labels, options and numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "datasets/task.h"
#include "tests/dataset_support.h"

struct inference {
    const char *what;
    const char *inputs;  /* "%d" is the number of the row */
    const char *targets; /* separated by '|', repeated to fill the rows */
    size_t rows;
    enum task task;
    const char *rationale;
};

static const struct inference inferences[] = {
    {"two classes", "text %d", "pos|neg", 10, TASK_CLASSIFICATION, NULL},
    {"four rows", "text %d", "pos|neg", 4, TASK_CLASSIFICATION, NULL},
    {"numbers as classes", "text %d", "0|1", 50, TASK_CLASSIFICATION, NULL},
    {"ratings", "text %d", "1|2|3|4|5", 50, TASK_CLASSIFICATION, NULL},
    {"half stars", "text %d", "1|1.5|2|2.5", 40, TASK_CLASSIFICATION, NULL},
    {"letters without options", "text %d", "A|B|C", 30, TASK_CLASSIFICATION, NULL},
    {"letters, two listed", "q %d?\nA) x\nB) y", "A|B|C", 30, TASK_CLASSIFICATION, NULL},
    {"options", "q %d?\nA) x\nB) y\nC) z", "A|B|C", 30, TASK_MULTIPLE_CHOICE, NULL},
    {"options with points", "q %d?\nA. x\nB. y", "A|B", 30, TASK_MULTIPLE_CHOICE, NULL},
    {"options in brackets", "q %d?\n (A) x\n (B) y", "A|B", 30, TASK_MULTIPLE_CHOICE, NULL},
    {"options not from A", "q %d?\nB) x\nC) y", "B|C", 30, TASK_CLASSIFICATION, NULL},
    {"options in one line", "q %d? A) x B) y", "A|B", 30, TASK_MULTIPLE_CHOICE, NULL},
    {"not all in one line", "q %d? A) x B) y", "A|B|C", 30, TASK_CLASSIFICATION, NULL},
    {"one option in one line", "q %d? A) x", "A|A|B", 30, TASK_CLASSIFICATION, NULL},
    {"lower-case letters", "q %d?\nA) x\nB) y", "a|b", 30, TASK_CLASSIFICATION, NULL},
    {"few numbers once each", "text %d", "3|8|17|26", 4, TASK_NUMERIC_ANSWER, NULL},
    {"many numbers", "text %d",
     "1|2.5|3|-4|1,200|6|$7|80%|9|10|11|12|13|14|15|16|17|18|19|20|21|99", 66, TASK_NUMERIC_ANSWER,
     NULL},
    {"many classes by number", "text %d",
     "0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|23", 240, TASK_CLASSIFICATION,
     NULL},
    {"with a gap", "text %d", "0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|24", 240,
     TASK_NUMERIC_ANSWER, NULL},
    {"with a rationale", "text %d", "0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|23",
     240, TASK_NUMERIC_ANSWER, "so"},
    {"objects", "text %d", "{\"\"a\"\":1}|{\"\"a\"\":2}", 10, TASK_EXTRACTION, NULL},
    {"lists", "text %d", "[]|[1]", 10, TASK_EXTRACTION, NULL},
    {"nearly objects", "text %d", "{\"\"a\"\":1}|{\"\"a\"\":2", 10, TASK_CLASSIFICATION, NULL},
    {"free text", "text %d", "one|two|three|four|five|six|seven|eight|nine|ten", 10,
     TASK_GENERATION, NULL},
    {"two of each", "text %d", "one|two|three|four|five", 10, TASK_CLASSIFICATION, NULL},
    {"seldom repeated", "text %d", "one|two|three|four|five|six|seven", 10, TASK_GENERATION, NULL},
    {"a third never repeated", "text %d", "a|a|a|a|a|a|a|b|c|d", 10, TASK_GENERATION, NULL},
    {"consecutive numbers from 2 on", "text %d",
     "2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25", 240, TASK_NUMERIC_ANSWER,
     NULL},
    {"long targets", "text %d",
     "this target is longer than sixty characters, so it is a sentence|and here is another one "
     "that "
     "is too long to be the name of a class",
     10, TASK_GENERATION, NULL},
    {"targets of two lines", "text %d", "a\nb|c", 10, TASK_GENERATION, NULL},
    {"one row of text", "text %d", "pos", 1, TASK_GENERATION, NULL},
    {"one number", "text %d", "5", 1, TASK_NUMERIC_ANSWER, NULL},
    {"one object", "text %d", "{}", 1, TASK_EXTRACTION, NULL},
};

static void write_inference(const struct inference *c, struct text *bytes)
{
    text_printf(bytes, "text,label%s\n", c->rationale ? ",rationale" : "");
    const char *target = c->targets;
    for (size_t row = 0; row < c->rows; row++) {
        size_t length = strcspn(target, "|");
        const char *place = strstr(c->inputs, "%d");
        text_printf(bytes, "\"%.*s%zu%s\",\"%.*s\"", (int)(place - c->inputs), c->inputs, row,
                    place + 2, (int)length, target);
        text_printf(bytes, "%s%s\n", c->rationale ? "," : "", c->rationale ? c->rationale : "");
        target = target[length] ? target + length + 1 : c->targets;
    }
}

static void infers_the_task(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof inferences / sizeof *inferences; i++) {
        struct text bytes = {0};
        write_inference(&inferences[i], &bytes);
        struct dataset dataset;
        struct error err;
        if (parse("f.csv", bytes.bytes, NULL, &dataset, &err))
            fail_msg("%s: %s", inferences[i].what, err.text);
        if (dataset.task != inferences[i].task)
            fail_msg("%s: inferred %s", inferences[i].what, task_name(dataset.task));
        assert_false(dataset.task_forced);
        assert_non_null(dataset.task_reason);
        dataset_release(&dataset);
        text_release(&bytes);
    }
}

static void names_the_target_that_spoils_an_inference(void **state)
{
    (void)state;
    struct text bytes = {0};
    text_add(&bytes, "text,label\n");
    for (int i = 0; i < 30; i++)
        text_printf(&bytes, "text %d,%d%s\n", i, 7 * i, i == 20 ? " apples" : "");
    struct dataset dataset = must_parse("f.csv", bytes.bytes, NULL);
    assert_int_equal(dataset.task, TASK_GENERATION);
    assert_non_null(
        strstr(dataset.task_reason, "29 of them are numbers, but not the one of line 22."));
    dataset_release(&dataset);
    text_release(&bytes);
}

static void tells_what_minus_one_may_mean(void **state)
{
    (void)state;
    static const struct {
        const char *labels[3];
        bool told;
    } cases[] = {{{"0", "1", "-1"}, true}, {{"0", "1", "2"}, false}, {{"a", "b", "-1"}, false}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct text bytes = {0};
        text_add(&bytes, "text,label\n");
        for (int i = 0; i < 30; i++)
            text_printf(&bytes, "row %d,%s\n", i, cases[c].labels[i % 3]);
        struct dataset dataset = must_parse("f.csv", bytes.bytes, NULL);
        assert_int_equal(dataset.task, TASK_CLASSIFICATION);
        assert_int_equal(strstr(dataset.task_reason, "leave out the 10 examples of class -1") !=
                             NULL,
                         cases[c].told);
        dataset_release(&dataset);
        text_release(&bytes);
    }
}

static void a_forced_task_wins(void **state)
{
    (void)state;
    struct dataset_options options = {.task = TASK_GENERATION};
    struct dataset dataset = must_parse("f.csv", "text,label\na,p\nb,q\nc,p\nd,q\n", &options);
    assert_int_equal(dataset.task, TASK_GENERATION);
    assert_true(dataset.task_forced);
    assert_int_equal(dataset.label_count, 0);
    assert_int_equal(dataset.examples[0].label, -1);
    dataset_release(&dataset);
}

static void labels_are_sorted_and_counted(void **state)
{
    (void)state;
    struct dataset dataset =
        must_parse("f.csv", "text,label\na,b\nb,B\nc,\xC3\xA9\nd,b\ne,B\nf,b\ng,\xC3\xA9\n", NULL);
    static const struct label expected[] = {{"B", 2}, {"b", 3}, {"\xC3\xA9", 2}};
    assert_int_equal(dataset.label_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(dataset.labels[i].name, expected[i].name);
        assert_int_equal(dataset.labels[i].count, expected[i].count);
        assert_int_equal(dataset_label_index(&dataset, expected[i].name), (int)i);
    }
    assert_int_equal(dataset_label_index(&dataset, "c"), -1);
    assert_int_equal(dataset.note_count, 1);
    assert_memory_equal(dataset.notes[0], "The labels 'B' and 'b' differ in case only", 42);
    dataset_release(&dataset);
}

static void multiple_choice_has_letters_as_labels(void **state)
{
    (void)state;
    struct dataset dataset =
        must_parse("f.jsonl",
                   "{\"input\":\"q\\nA) x\\nB) y\\nC) z\\nD) w\",\"output\":\"B\"}\n"
                   "{\"input\":\"q2\\nA) x\\nB) y\\nC) z\",\"output\":\"A\"}\n",
                   NULL);
    assert_int_equal(dataset.task, TASK_MULTIPLE_CHOICE);
    assert_int_equal(dataset.label_count, 4);
    assert_string_equal(dataset.labels[3].name, "D");
    assert_int_equal(dataset.labels[3].count, 0);
    assert_int_equal(dataset.examples[0].label, 1);
    assert_int_equal(dataset.examples[0].options, 4);
    assert_int_equal(dataset.examples[1].label, 0);
    assert_int_equal(dataset.examples[1].options, 3);
    dataset_release(&dataset);
}

static void options_are_counted(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        int options;
    } rows[] = {
        {"q\nA) x\nB) y\nC) z", 3},
        {"q\n(A) x\n(B) y", 2},
        {"q\nA) see also D) and E)\nB) y", 2},
        {"q A) x B) y C) z", 3},
        {"q (A) x (B) y (C) z (D) w", 4},
        {"q A)21 B)22 C)23", 3},
        {"q A. one B. two C. three D. four E. five", 5},
        {"A) x B) y", 2},
        {"q A) x (B) y", 0},
        {"q A) x C) z", 0},
        {"q: B) y A) x", 0},
        {"vitamin A. B is another", 0},
        {"see (A) for that", 0},
        {"WA) or (NSB) or XB)", 0},
        {"q A) x B)", 0},
        {"q\nA) x", 1},
        {"q A.B.C.", 0},
        {"", 0},
        {"A) 1 B) 2 C) 3 D) 4 E) 5 F) 6 G) 7 H) 8 I) 9 J) 10 K) 11", 10},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (task_count_options(rows[i].input) != rows[i].options)
            fail_msg("\"%s\": %d options, expected %d", rows[i].input,
                     task_count_options(rows[i].input), rows[i].options);
}

static void a_label_map_names_the_classes(void **state)
{
    (void)state;
    struct arena arena;
    struct error err;
    arena_init(&arena, NULL);
    struct dataset_options options = {0};
    struct label_name *map;
    assert_int_equal(
        label_map_parse("0=negative, 1 = positive", &arena, &map, &options.label_map_count, &err),
        OK);
    options.label_map = map;
    struct dataset dataset = must_parse("f.csv", "text,label\na,0\nb,1\n", &options);
    expect_dump("map", &dataset, "2:a=>negative #0\n3:b=>positive #1\n");
    dataset_release(&dataset);
    assert_int_equal(parse("f.csv", "text,label\na,0\nb,2\n", &options, &dataset, &err), BAD_DATA);
    assert_memory_equal(err.text, "f.csv:3: the target '2' is not in the label map", 47);
    options.task = TASK_GENERATION;
    assert_int_equal(parse("f.csv", "text,label\na,0\nb,1\n", &options, &dataset, &err), USAGE);
    static const char *const refused[] = {"", "0", "=x", "0=", "0=a,", "0=a,0=b", "0=a,,1=b"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_int_equal(label_map_parse(refused[i], &arena, &map, &options.label_map_count, &err),
                         USAGE);
    arena_release(&arena);
}

static void reads_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool number;
        double value;
    } cases[] = {{"5", true, 5},
                 {"-3.25", true, -3.25},
                 {"+7", true, 7},
                 {"1,234", true, 1234},
                 {"1,234,567.5", true, 1234567.5},
                 {".5", true, 0.5},
                 {"0.10", true, 0.1},
                 {"1e3", true, 1000},
                 {"2.5E-2", true, 0.025},
                 {"$12", true, 12},
                 {"-$12.50", true, -12.5},
                 {"80%", true, 80},
                 {"007", true, 7},
                 {"", false, 0},
                 {"-", false, 0},
                 {".", false, 0},
                 {"5.", false, 0},
                 {"1,23", false, 0},
                 {"1234,567", false, 0},
                 {",123", false, 0},
                 {"1,,234", false, 0},
                 {"1,234,", false, 0},
                 {"five", false, 0},
                 {"5 apples", false, 0},
                 {" 5", false, 0},
                 {"5 ", false, 0},
                 {"0x10", false, 0},
                 {"nan", false, 0},
                 {"inf", false, 0},
                 {"1e999", false, 0},
                 {"1e", false, 0},
                 {"e5", false, 0},
                 {"--5", false, 0},
                 {"5%%", false, 0},
                 {"1.2.3", false, 0},
                 {"$", false, 0},
                 {"1/2", false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value = -1;
        if (number_from_text(cases[i].text, &value) != cases[i].number)
            fail_msg("'%s'", cases[i].text);
        if (cases[i].number && value != cases[i].value)
            fail_msg("'%s' is %g", cases[i].text, value);
    }
    char digits[200];
    double value;
    memset(digits, '9', sizeof digits - 1);
    digits[sizeof digits - 1] = '\0';
    assert_false(number_from_text(digits, &value));
}

static void tasks_have_names(void **state)
{
    (void)state;
    enum task task;
    for (int i = TASK_CLASSIFICATION; i <= TASK_GENERATION; i++) {
        assert_true(task_from_name(task_name((enum task)i), &task));
        assert_int_equal(task, i);
    }
    assert_false(task_from_name("infer", &task));
    assert_false(task_from_name("sorting", &task));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(infers_the_task),
        cmocka_unit_test(names_the_target_that_spoils_an_inference),
        cmocka_unit_test(tells_what_minus_one_may_mean),
        cmocka_unit_test(a_forced_task_wins),
        cmocka_unit_test(labels_are_sorted_and_counted),
        cmocka_unit_test(multiple_choice_has_letters_as_labels),
        cmocka_unit_test(options_are_counted),
        cmocka_unit_test(a_label_map_names_the_classes),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(tasks_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
