/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets that are worked solutions with their number behind "####".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "datasets/dataset.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct row {
    const char *what;
    const char *bytes;
    struct dataset_options options;
    bool worked;
    enum task task;
    const char *expected; /* "target (rationale);" of every row, '/' for line ends */
};

static const struct row rows[] = {
    {"as GSM8K has them",
     "question,answer\nq,\"1 + 1 = <<1+1=2>>2.\nSo two.\n#### 2\"\nr,\"Many.\n#### 1,200\"\n",
     {0},
     true,
     TASK_NUMERIC_ANSWER,
     "2 (1 + 1 = <<1+1=2>>2./So two.);1,200 (Many.);"},
    {"the last mark counts",
     "question,answer\nq,a #### 3 b #### -4.5\n",
     {0},
     true,
     TASK_NUMERIC_ANSWER,
     "-4.5 (a #### 3 b);"},
    {"nothing before it",
     "question,answer\nq,####7\nr,so #### 8\n",
     {0},
     true,
     TASK_NUMERIC_ANSWER,
     "7;8 (so);"},
    {"a rationale of its own",
     "question,answer,solution\nq,a #### 7,mine\nr,b #### 8,\n",
     {0},
     true,
     TASK_NUMERIC_ANSWER,
     "7 (mine);8 (b);"},
    {"no rationale wanted",
     "question,answer\nq,a #### 7\n",
     {.rationale = ""},
     true,
     TASK_NUMERIC_ANSWER,
     "7;"},
    {"one without the mark",
     "question,answer\nq,a #### 7\nr,8\n",
     {0},
     false,
     TASK_GENERATION,
     "a #### 7;8;"},
    {"one without a number",
     "question,answer\nq,a #### 7\nr,b #### eight\n",
     {0},
     false,
     TASK_GENERATION,
     "a #### 7;b #### eight;"},
    {"a mark at the end", "question,answer\nq,a ####\n", {0}, false, TASK_GENERATION, "a ####;"},
    {"free text asked for",
     "question,answer\nq,a #### 7\n",
     {.task = TASK_GENERATION},
     false,
     TASK_GENERATION,
     "a #### 7;"},
};

static void the_number_becomes_the_target(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dataset data;
        struct error err;
        struct text out = {0};
        if (dataset_parse("f.csv", rows[i].bytes, strlen(rows[i].bytes), &rows[i].options, &data,
                          &err))
            fail_msg("%s: %s", rows[i].what, err.text);
        for (size_t k = 0; k < data.count; k++) {
            text_add(&out, data.examples[k].target);
            if (data.examples[k].rationale)
                text_printf(&out, " (%s)", data.examples[k].rationale);
            text_add(&out, ";");
        }
        for (size_t k = 0; k < out.length; k++)
            out.bytes[k] = (char)(out.bytes[k] == '\n' ? '/' : out.bytes[k]);
        if (strcmp(text_string(&out), rows[i].expected) != 0 || data.worked != rows[i].worked ||
            data.task != rows[i].task)
            fail_msg("%s: %s, %s", rows[i].what, task_name(data.task), text_string(&out));
        text_release(&out);
        dataset_release(&data);
    }
}

static void says_what_it_did(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *note;
    } cases[] = {
        {"question,answer\nq,a #### 7\nr,b #### 8\n",
         "Every target ends in \"#### number\": the number is the target, and what stands "
         "before it the rationale."},
        {"question,answer\nq,a #### 7\nr,8\n",
         "1 of 2 targets end in \"#### number\", but not the one of line 3, so the numbers "
         "were not taken out."}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct dataset data;
        struct error err;
        assert_int_equal(
            dataset_parse("f.csv", cases[i].bytes, strlen(cases[i].bytes), NULL, &data, &err), OK);
        assert_int_equal(data.note_count, 1);
        assert_string_equal(data.notes[0], cases[i].note);
        dataset_release(&data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_becomes_the_target),
        cmocka_unit_test(says_what_it_did),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
