/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows with choices: how they become an input with lettered options and a letter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "datasets/choices.h"
#include "datasets/dataset.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static enum status parse(const char *name, const char *bytes, const struct dataset_options *options,
                         struct dataset *dataset, struct error *err)
{
    *err = (struct error){0};
    return dataset_parse(name, bytes, strlen(bytes), options, dataset, err);
}

static struct dataset must_parse(const char *name, const char *bytes,
                                 const struct dataset_options *options)
{
    struct dataset dataset;
    struct error err;
    if (parse(name, bytes, options, &dataset, &err))
        fail_msg("%s", err.text);
    return dataset;
}

/* "input=>target;" of every row, with '/' for line ends */
static void expect(const char *what, const struct dataset *dataset, const char *expected)
{
    struct text out = {0};
    for (size_t i = 0; i < dataset->count; i++)
        text_printf(&out, "%s=>%s;", dataset->examples[i].input,
                    dataset->examples[i].target ? dataset->examples[i].target : "-");
    for (size_t i = 0; i < out.length; i++)
        out.bytes[i] = (char)(out.bytes[i] == '\n' ? '/' : out.bytes[i]);
    if (strcmp(text_string(&out), expected) != 0)
        fail_msg("%s: got %s", what, text_string(&out));
    text_release(&out);
}

struct reading {
    const char *what;
    const char *name;
    const char *bytes;
    enum choice_key key;
    const char *expected;
};

static const struct reading readings[] = {
    {"a list and a number", "f.jsonl",
     "{\"question\":\"q\",\"choices\":[\"x\",\"y\",\"z\"],\"answer\":0}\n"
     "{\"question\":\"r\",\"choices\":[\"u\",\"v\"],\"answer\":1}\n",
     CHOICE_FROM_0, "q/A) x/B) y/C) z=>A;r/A) u/B) v=>B;"},
    {"labels and texts", "f.jsonl",
     "{\"question\":\"q\",\"choices\":{\"label\":[\"A\",\"B\"],\"text\":[\"x\",\"y\"]},"
     "\"answerKey\":\"B\"}\n"
     "{\"question\":\"r\",\"choices\":{\"label\":[\"1\",\"2\"],\"text\":[\"u\",\"v\"]},"
     "\"answerKey\":\"1\"}\n",
     CHOICE_OWN_LABEL, "q/A) x/B) y=>B;r/A) u/B) v=>A;"},
    {"objects of a label and a text", "f.jsonl",
     "{\"question_stem\":\"q\",\"choices\":[{\"text\":\"x\",\"label\":\"P\"},{\"text\":\"y\","
     "\"label\":\"Q\"}],\"answerKey\":\"Q\"}\n",
     CHOICE_OWN_LABEL, "q/A) x/B) y=>B;"},
    {"labels that are numbers", "f.jsonl",
     "{\"question\":\"q\",\"choices\":{\"label\":[1,2],\"text\":[\"x\",\"y\"]},\"label\":2}\n",
     CHOICE_OWN_LABEL, "q/A) x/B) y=>B;"},
    {"letters and texts", "f.jsonl",
     "{\"question\":\"q\",\"options\":{\"A\":\"x\",\"B\":\"y\",\"C\":\"z\"},\"answer\":\"z\","
     "\"answer_idx\":\"C\"}\n",
     CHOICE_TEXT, "q/A) x/B) y/C) z=>C;"},
    {"letters of several kinds", "f.jsonl",
     "{\"question\":\"q\",\"options\":[\"x\",\"y\"],\"answer\":\"b\"}\n"
     "{\"question\":\"r\",\"options\":[\"x\",\"y\"],\"answer\":\"(A)\"}\n"
     "{\"question\":\"s\",\"options\":[\"x\",\"y\"],\"answer\":\"B.\"}\n",
     CHOICE_LETTER, "q/A) x/B) y=>B;r/A) x/B) y=>A;s/A) x/B) y=>B;"},
    {"options with letters of their own", "f.jsonl",
     "{\"question\":\"q\",\"options\":[\"A)21\",\"B) 22\",\"(C) 23\"],\"correct\":\"C\"}\n",
     CHOICE_LETTER, "q/A) 21/B) 22/C) 23=>C;"},
    {"not all with letters of their own", "f.jsonl",
     "{\"question\":\"q\",\"options\":[\"A) x\",\"y\"],\"correct\":\"A\"}\n", CHOICE_LETTER,
     "q/A) A) x/B) y=>A;"},
    {"numbers as text", "f.jsonl",
     "{\"ctx\":\"q\",\"endings\":[\"x\",\"y\",\"z\"],\"label\":\"2\"}\n"
     "{\"ctx\":\"r\",\"endings\":[\"x\",\"y\",\"z\"],\"label\":\"0\"}\n",
     CHOICE_FROM_0, "q/A) x/B) y/C) z=>C;r/A) x/B) y/C) z=>A;"},
    {"choices that are numbers", "f.jsonl",
     "{\"question\":\"q\",\"choices\":[7,8.5],\"answer\":8.5}\n", CHOICE_TEXT, "q/A) 7/B) 8.5=>B;"},
    {"a text and a passage", "f.jsonl",
     "{\"article\":\"a\",\"question\":\"q\",\"options\":[\"x\",\"y\"],\"answer\":\"A\"}\n",
     CHOICE_LETTER, "article: a/question: q/A) x/B) y=>A;"},
    {"white space and lines in choices", "f.jsonl",
     "{\"question\":\"q\",\"choices\":[\" x\\ny \",\"z\"],\"answer\":\"x\\ny\"}\n", CHOICE_TEXT,
     "q/A) x y/B) z=>A;"},
    {"choices that the input lists already", "f.jsonl",
     "{\"question\":\"q\\nA) x\\nB) y\",\"choices\":[\"x\",\"y\"],\"answer\":1}\n", CHOICE_FROM_0,
     "q/A) x/B) y=>B;"},
    {"letters as choices", "f.jsonl",
     "{\"question\":\"q\",\"choices\":[\"A\",\"B\"],\"answer\":\"B\"}\n", CHOICE_LETTER,
     "q/A) A/B) B=>B;"},
    {"a list as text", "f.jsonl",
     "{\"question\":\"q\",\"choices\":\"[\\\"x\\\", \\\"y\\\"]\",\"answer\":1}\n", CHOICE_FROM_0,
     "q/A) x/B) y=>B;"},
    {"ten choices", "f.jsonl",
     "{\"question\":\"q\",\"options\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\","
     "\"j\"],\"answer\":\"J\"}\n",
     CHOICE_LETTER, "q/A) a/B) b/C) c/D) d/E) e/F) f/G) g/H) h/I) i/J) j=>J;"},
    {"columns of letters", "f.csv", "question,A,B,C,D,answer\nq,x,y,z,w,D\nr,x,y,z,w,A\n",
     CHOICE_LETTER, "q/A) x/B) y/C) z/D) w=>D;r/A) x/B) y/C) z/D) w=>A;"},
    {"columns, some rows with fewer", "f.csv",
     "question,option_a,option_b,option_c,answer\nq,x,y,z,z\nr,x,y,,x\n", CHOICE_TEXT,
     "q/A) x/B) y/C) z=>C;r/A) x/B) y=>A;"},
    {"numbers from 1", "f.csv", "sentence,option1,option2,answer\nq,x,y,1\nr,x,y,2\n",
     CHOICE_FROM_1, "q/A) x/B) y=>A;r/A) x/B) y=>B;"},
    {"numbers from 0", "f.csv", "sentence,option1,option2,answer\nq,x,y,1\nr,x,y,0\n",
     CHOICE_FROM_0, "q/A) x/B) y=>B;r/A) x/B) y=>A;"},
    {"a list in a cell", "f.csv", "question,choices,answer\nq,\"[\"\"x\"\", \"\"y\"\"]\",1\n",
     CHOICE_FROM_0, "q/A) x/B) y=>B;"},
    {"columns in JSON", "f.jsonl", "{\"goal\":\"q\",\"sol1\":\"x\",\"sol2\":7,\"label\":1}\n",
     CHOICE_FROM_0, "q/A) x/B) 7=>B;"},
    {"an integer is a place, whatever the texts", "f.jsonl",
     "{\"question\":\"q\",\"choices\":[\"1\",\"0\"],\"answer\":0}\n", CHOICE_FROM_0,
     "q/A) 1/B) 0=>A;"},
    {"a text and a number agree", "f.csv", "question,A,B,C,answer\nq,0,1,2,1\nr,0,1,2,2\n",
     CHOICE_TEXT, "q/A) 0/B) 1/C) 2=>B;r/A) 0/B) 1/C) 2=>C;"},
};

static void choices_become_letters(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(readings); i++) {
        const struct reading *r = &readings[i];
        struct dataset dataset = must_parse(r->name, r->bytes, NULL);
        expect(r->what, &dataset, r->expected);
        if (dataset.choice_key != r->key || dataset.task != TASK_MULTIPLE_CHOICE)
            fail_msg("%s: key %d, %s", r->what, (int)dataset.choice_key, task_name(dataset.task));
        dataset_release(&dataset);
    }
}

/* A column that goes by the name of a list, and holds none. */
static void other_columns_are_left_alone(void **state)
{
    (void)state;
    struct dataset dataset =
        must_parse("f.csv", "text,options,label\na,fast,p\nb,slow,q\nc,fast,p\nd,,q\n", NULL);
    expect("csv", &dataset, "a=>p;b=>q;c=>p;d=>q;");
    assert_int_equal(dataset.task, TASK_CLASSIFICATION);
    assert_string_equal(dataset.input_column, "text");
    assert_int_equal(dataset.unused_count, 1);
    assert_string_equal(dataset.unused_columns[0], "options");
    dataset_release(&dataset);
    dataset = must_parse("f.jsonl", "{\"text\":\"a\",\"choices\":3,\"label\":\"x\"}\n", NULL);
    expect("jsonl", &dataset, "a=>x;");
    dataset_release(&dataset);
    dataset = must_parse("f.jsonl", "{\"text\":\"a\",\"choices\":[\"x\",\"y\"],\"label\":\"x\"}\n",
                         &(struct dataset_options){.input = "text"});
    expect("named", &dataset, "a=>x;");
    dataset_release(&dataset);
    dataset = must_parse("f.csv", "text,options,label\na,b ) c,A\n",
                         &(struct dataset_options){.input = "text,options"});
    expect("as text", &dataset, "text: a/options: b ) c=>A;");
    dataset_release(&dataset);
}

static void a_list_of_any_name_can_be_named(void **state)
{
    (void)state;
    struct dataset_options options = {.input = "stem,bag", .target = "t"};
    struct dataset dataset =
        must_parse("f.jsonl", "{\"stem\":\"q\",\"bag\":[\"x\",\"y\"],\"t\":\"y\"}\n", &options);
    expect("list", &dataset, "q/A) x/B) y=>B;");
    assert_string_equal(dataset.input_column, "stem,bag");
    dataset_release(&dataset);
    dataset = must_parse("f.jsonl", "{\"stem\":\"q\",\"bag\":\"x\",\"t\":\"y\"}\n", &options);
    expect("text", &dataset, "stem: q/bag: x=>y;");
    dataset_release(&dataset);
}

struct refusal {
    const char *name;
    const char *bytes;
    const char *message; /* how the sentence starts */
    const char *also;
};

#define ROW(choices, answer) "{\"question\":\"q\",\"choices\":" choices ",\"answer\":" answer "}\n"

static const struct refusal refusals[] = {
    {"f.jsonl", ROW("[\"x\",\"y\"]", "\"z\""),
     "f.jsonl:1: the target 'z' is none of the 2 choices (column 'choices'); correct or remove",
     "--on-bad-row=skip"},
    {"f.jsonl", ROW("[\"x\",\"y\"]", "0") ROW("[\"x\",\"y\"]", "2"),
     "f.jsonl:2: the target '2' is none of the 2 choices", ""},
    {"f.jsonl", ROW("[\"x\",\"y\"]", "-1"), "f.jsonl:1: the target '-1' is none", ""},
    {"f.jsonl", ROW("[\"x\",\"y\"]", "0.0"), "f.jsonl:1: the target '0.0' is none", ""},
    {"f.jsonl", ROW("[\"x\",\"y\"]", "\"C\""), "f.jsonl:1: the target 'C' is none", ""},
    {"f.jsonl", ROW("[\"x\",\"x\"]", "\"x\""), "f.jsonl:1: the target 'x' is none", ""},
    {"f.jsonl",
     ROW("[\"x\",\"y\"]", "\"x\"") ROW("[\"x\",\"y\"]", "\"x\"") ROW("[\"x\",\"y\"]", "\"B\""),
     "f.jsonl:3: the target 'B' is none", ""},
    {"f.jsonl", ROW("[\"x\",\"y\"]", "null"), "f.jsonl:1: the target (key 'answer') is null", ""},
    {"f.jsonl", ROW("[]", "0"), "f.jsonl:1: the choices (column 'choices') are empty",
     "(to read the rows without them, name the input with --input)"},
    {"f.jsonl", ROW("[\"x\"]", "0"), "f.jsonl:1: the choices (column 'choices') are one only", ""},
    {"f.jsonl", ROW("[\"x\",\" \"]", "0"),
     "f.jsonl:1: the choices (column 'choices') have an empty", ""},
    {"f.jsonl", ROW("[\"x\",3]", "0"), "f.jsonl:1: the choices (column 'choices') are partly", ""},
    {"f.jsonl", ROW("[\"x\",null]", "0"), "f.jsonl:1: the choices (column 'choices') hold null",
     ""},
    {"f.jsonl", ROW("[[\"x\"],[\"y\"]]", "0"),
     "f.jsonl:1: the choices (column 'choices') hold an array", ""},
    {"f.jsonl", ROW("[{\"label\":\"A\",\"text\":\"x\"},\"y\"]", "0"),
     "f.jsonl:1: the choices (column 'choices') have no 'label' and 'text' in choice 2", ""},
    {"f.jsonl", ROW("[\"x\",{\"label\":\"A\",\"text\":\"x\"}]", "0"),
     "f.jsonl:1: the choices (column 'choices') hold an object", ""},
    {"f.jsonl", ROW("{\"label\":[\"A\"],\"text\":[\"x\",\"y\"]}", "0"),
     "f.jsonl:1: the choices (column 'choices') have 1 labels for 2 texts", ""},
    {"f.jsonl", ROW("{\"label\":\"AB\",\"text\":[\"x\",\"y\"]}", "0"),
     "f.jsonl:1: the choices (column 'choices') have no lists", ""},
    {"f.jsonl", ROW("{\"label\":[null,\"B\"],\"text\":[\"x\",\"y\"]}", "0"),
     "f.jsonl:1: the choices (column 'choices') hold null", ""},
    {"f.jsonl", ROW("{\"text\":\"x\"}", "0"), "f.jsonl:1: the choices (column 'choices') have no",
     ""},
    {"f.jsonl", ROW("{\"A\":\"x\",\"C\":\"y\"}", "0"),
     "f.jsonl:1: the choices (column 'choices') are an object with neither", ""},
    {"f.jsonl", ROW("[1,2,3,4,5,6,7,8,9,10,11]", "0"),
     "f.jsonl:1: the choices (column 'choices') are 11, and at most 10", ""},
    {"f.jsonl", ROW("\"['x', 'y']\"", "0"),
     "f.jsonl:1: the choices (column 'choices') are no JSON list", ""},
    {"f.jsonl", ROW("[\"x\",\"y\"]", "0") ROW("\"x\"", "0"),
     "f.jsonl:2: the choices (column 'choices') are no JSON list", ""},
    {"f.jsonl", ROW("[\"x\",\"y\"]", "0") ROW("7", "0"),
     "f.jsonl:2: the choices (column 'choices') are a number where a list", ""},
    {"f.jsonl", ROW("[\"x\",\"y\"]", "0") ROW("null", "0"),
     "f.jsonl:2: the choices (column 'choices') are null", ""},
    {"f.jsonl", ROW("[\"x\",\"y\"]", "0") "{\"question\":\"q\",\"answer\":1}\n",
     "f.jsonl:2: the choices (column 'choices') are missing", ""},
    {"f.jsonl",
     "{\"question\":\"q\\nA) u\\nB) v\\nC) w\",\"choices\":[\"x\",\"y\"],\"answer\":0}\n",
     "f.jsonl:1: the choices (column 'choices') do not go with an input that has lines", ""},
    {"f.jsonl", ROW("[1,2,3]", "1") ROW("[1,2,3]", "2"),
     "f.jsonl:1: the target '1' could be the text of one choice and the letter or the number",
     "in column 'answer'"},
    {"f.csv", "question,A,B,answer\nq,B,A,A\n", "f.csv:2: the target 'A' could be the text", ""},
    {"f.csv", "question,A,B,C,answer\nq,x,,z,A\n",
     "f.csv:2: the choices (column 'A') have an empty text", ""},
    {"f.csv", "question,A,B,C,answer\nq,x,,,A\n", "f.csv:2: the choices (column 'A') are one only",
     ""},
    {"f.csv", "question,A,B,C,answer\nq,,,,A\n", "f.csv:2: the choices (column 'A') are empty", ""},
    {"f.csv", "question,choices,answer\nq,\"['x' 'y']\",0\n",
     "f.csv:2: the choices (column 'choices') are no JSON list such as [\"yes\", \"no\"]", ""},
    {"f.csv", "question,choices,answer\nq,\"[\"\"x\"\",\"\"y\"\"]\",0\nq,,0\n",
     "f.csv:3: the choices (column 'choices') are no JSON list", ""},
    {"f.csv", "Problem,options,correct\nq,a ) 38 b ) 27,a\nr,a ) 3 b ) 4,b\n",
     "f.csv:2: the target 'a' could stand for one of the choices in column 'options', which are "
     "not",
     "or say --input Problem,options to read them as text or --input Problem to leave"},
    {"f.jsonl", "{\"goal\":\"q\",\"sol1\":\"x\",\"sol2\":true,\"label\":1}\n",
     "f.jsonl:1: the choices (column 'sol1') are not all texts", ""},
};

static void refuses_with_place_and_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        const struct refusal *r = &refusals[i];
        struct dataset dataset;
        struct error err;
        if (parse(r->name, r->bytes, NULL, &dataset, &err) != BAD_DATA)
            fail_msg("case %zu (%s): no error", i, r->message);
        if (strncmp(err.text, r->message, strlen(r->message)) != 0 || !strstr(err.text, r->also))
            fail_msg("case %zu: %s", i, err.text);
    }
}

static void bad_rows_can_be_left_out(void **state)
{
    (void)state;
    struct dataset_options skip = {.on_bad_row = BAD_ROW_SKIP};
    struct dataset dataset = must_parse("f.jsonl",
                                        ROW("null", "0") ROW("[\"x\",\"y\"]", "0") ROW("[]", "0")
                                            ROW("[\"x\",\"y\"]", "7") ROW("[\"x\",\"y\"]", "1"),
                                        &skip);
    expect("skip", &dataset, "q/A) x/B) y=>A;q/A) x/B) y=>B;");
    assert_int_equal(dataset.skipped_count, 3);
    assert_int_equal(dataset.examples[1].line, 5);
    dataset_release(&dataset);
}

/* A test file counts as its data do, even where it could be read otherwise. */
static void a_test_file_is_read_like_its_data(void **state)
{
    (void)state;
    struct dataset data =
        must_parse("f.csv", "sentence,option1,option2,answer\nq,x,y,1\nr,x,y,2\n", NULL);
    struct dataset_options like = {.like = &data};
    struct dataset test =
        must_parse("t.csv", "sentence,option1,option2,answer\nq,x,y,1\ns,x,y,1\n", &like);
    expect("like", &test, "q/A) x/B) y=>A;s/A) x/B) y=>A;");
    dataset_release(&test);
    test = must_parse("t.csv", "sentence,option1,option2,answer\nq,x,y,B\n", &like);
    expect("other key", &test, "q/A) x/B) y=>B;");
    dataset_release(&test);
    like.inputs_only = true;
    test = must_parse("t.csv", "sentence,option1,option2\nq,x,y\n", &like);
    expect("inputs", &test, "q/A) x/B) y=>-;");
    dataset_release(&test);
    dataset_release(&data);
}

static void says_how_numbers_were_read(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *note;
    } rows[] = {{"sentence,option1,option2,answer\nq,x,y,1\nr,x,y,2\n",
                 "The targets are the numbers of choices, from 1: 1 is A."},
                {"sentence,option1,option2,answer\nq,x,y,1\nr,x,y,0\n",
                 "The targets are the numbers of choices, from 0: 0 is A."}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dataset dataset = must_parse("f.csv", rows[i].bytes, NULL);
        assert_int_equal(dataset.note_count, 1);
        assert_string_equal(dataset.notes[0], rows[i].note);
        dataset_release(&dataset);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices_become_letters),
        cmocka_unit_test(other_columns_are_left_alone),
        cmocka_unit_test(a_list_of_any_name_can_be_named),
        cmocka_unit_test(refuses_with_place_and_remedy),
        cmocka_unit_test(bad_rows_can_be_left_out),
        cmocka_unit_test(a_test_file_is_read_like_its_data),
        cmocka_unit_test(says_how_numbers_were_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
