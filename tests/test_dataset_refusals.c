/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with data, row by row: refused with the place and what to do about it, or left out
 * where the user wants that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/dataset_support.h"

struct refusal {
    const char *name;
    const char *bytes;
    struct dataset_options options;
    enum status status;
    const char *message; /* how the sentence starts */
    const char *also;    /* what else is in it */
};

static const struct refusal refusals[] = {
    {"f.csv", "", {0}, BAD_DATA, "f.csv: the file is empty", ""},
    {"f.csv", "text,label\n", {0}, BAD_DATA, "f.csv: there are no examples", "below the header"},
    {"f.json", "[]", {0}, BAD_DATA, "f.json: there are no examples", ""},
    {"f.csv",
     "foo,bar\nx,y\n",
     {0},
     BAD_DATA,
     "f.csv:1: no column has a name known for an input",
     "'foo', 'bar'. Name the input with --input NAME and the target with --label NAME"},
    {"f.csv",
     "text,bar\nx,y\n",
     {0},
     BAD_DATA,
     "f.csv:1: no column has a name known for a target",
     "'text', 'bar'. Name the target with --label NAME"},
    {"f.csv", "text;label\nx;y\n", {0}, BAD_DATA, "f.csv:1: no column", "--delimiter"},
    {"f.csv",
     "text,prompt,label\nx,y,z\n",
     {0},
     BAD_DATA,
     "f.csv:1: both 'text' and 'prompt' could be the input",
     "--input NAME"},
    {"f.csv",
     "text,answer,label\nx,y,z\n",
     {0},
     BAD_DATA,
     "f.csv:1: both 'label' and 'answer' could be the target",
     "--label NAME"},
    {"f.csv",
     "text,label,Label\nx,y,z\n",
     {.target = "LABEL"},
     USAGE,
     "f.csv:1: there is no column 'LABEL' as --label wants",
     "'label', 'Label'"},
    {"f.csv", "text,label,solution,reasoning\nx,y,z,w\n", {0}, BAD_DATA, "f.csv:1: both", "none"},
    {"f.csv", "premise,hypothesis,text,label\nx,y,z,w\n", {0}, BAD_DATA, "f.csv:1: both", ""},
    {"f.csv",
     "a,b\nx,y\n",
     {.input = "a,c", .target = "b"},
     USAGE,
     "f.csv:1: there is no column 'c'",
     ""},
    {"f.csv",
     "a,b\nx,y\n",
     {.input = "a", .target = "a"},
     USAGE,
     "f.csv:1: column 'a' is asked",
     ""},
    {"f.csv",
     "text,label\nx,y\n",
     {.rationale = "why"},
     USAGE,
     "f.csv:1: there is no column 'why'",
     "--rationale"},
    {"f.jsonl",
     "{\"text\":\"x\",\"label\":\"y\"}\n",
     {.rationale = "why"},
     USAGE,
     "f.jsonl: no record has the key 'why'",
     ""},
    {"f.jsonl", "{\"foo\":1,\"bar\":2}\n", {0}, BAD_DATA, "f.jsonl:1: no column", "'foo', 'bar'"},
    {"f.csv",
     "text,label\nx,p\n ,q\n",
     {0},
     BAD_DATA,
     "f.csv:3: the input (column 'text') is empty",
     "--on-bad-row=skip"},
    {"f.csv",
     "text,label\nx,p\ny,\n",
     {0},
     BAD_DATA,
     "f.csv:3: the target (column 'label') is empty",
     ""},
    {"f.csv", "text,label\nx,p\ny,\"\n\"\n", {0}, BAD_DATA, "f.csv:3: the target", ""},
    {"f.csv",
     "instruction,input,output\n,x,p\n",
     {0},
     BAD_DATA,
     "f.csv:2: the input (column 'instruction') is empty",
     ""},
    {"f.csv",
     "premise,hypothesis,label\nx,,p\n",
     {0},
     BAD_DATA,
     "f.csv:2: the input (column 'hypothesis') is empty",
     ""},
    {"f.csv",
     "text,label\nx,p\nx\n",
     {0},
     BAD_DATA,
     "f.csv:3: this row has 1 field",
     "--on-bad-row"},
    {"f.jsonl",
     "{\"text\":\"x\",\"label\":\"p\"}\n{\"text\":\"y\"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:2: the target (key 'label') is missing",
     ""},
    {"f.jsonl",
     "{\"text\":\"x\",\"label\":\"p\"}\n{\"label\":\"y\"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:2: the input (key 'text') is missing",
     ""},
    {"f.jsonl",
     "{\"text\":\"x\",\"label\":\"p\"}\n{\"text\":null,\"label\":\"y\"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:2: the input (key 'text') is null",
     ""},
    {"f.jsonl",
     "{\"text\":\"x\",\"label\":null}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the target (key 'label') is null",
     ""},
    {"f.jsonl",
     "{\"text\":\"x\",\"label\":\"\"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the target (key 'label') is empty",
     ""},
    {"f.jsonl",
     "{\"text\":\"x\",\"label\":\" \"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the target (column 'label') is empty",
     ""},
    {"f.jsonl",
     "{\"text\":5,\"label\":\"p\"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the input (key 'text') is a number where text",
     ""},
    {"f.jsonl",
     "{\"text\":[\"x\"],\"label\":\"p\"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the input (key 'text') is an array where text",
     ""},
    {"f.jsonl",
     "{\"text\":\"x\",\"label\":\"p\",\"solution\":[1]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the rationale (key 'solution') is an array",
     "--rationale"},
    {"f.jsonl",
     "{\"text\":\"x\",\"label\":\"p\"}\n{\"messages\":[" USER("a") "]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:2: this record has the shape messages, but line 1 has the shape columns",
     ""},
    {"f.jsonl",
     "{\"messages\":[" USER("a") "," ASSISTANT("b") "]}\n{\"prompt\":\"x\","
                                                    "\"completion\":\"y\"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:2: this record has the shape columns, but line 1 has the shape messages",
     ""},
    {"f.jsonl",
     "{\"messages\":[" USER("a") "," ASSISTANT("b") "]}\n{\"conversations\":[]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:2: this record has the shape conversations",
     ""},
    {"f.jsonl",
     "{\"input\":\"x\",\"output\":\"p\"}\n{\"instruction\":\"a\",\"output\":\"b\"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:2: this record has the shape Alpaca, but line 1 has the shape columns",
     ""},
    {"f.jsonl",
     "{\"prompt\":\"x\",\"completion\":\"p\"}\n{\"input\":\"a\",\"output\":\"b\"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:2: this record has the shape 'input -> output'",
     "'prompt -> completion'"},
    {"f.csv",
     "title,text,label\n,,p\n",
     {0},
     BAD_DATA,
     "f.csv:2: the input (column 'text') is empty",
     ""},
    {"f.csv",
     "context,question,answer\nc,,a\n",
     {0},
     BAD_DATA,
     "f.csv:2: the input (column 'question') is empty",
     ""},
    {"f.csv",
     "passage,question,answer\n,q,a\n",
     {0},
     BAD_DATA,
     "f.csv:2: the input (column 'passage') is empty",
     ""},
    {"f.jsonl",
     "{\"context\":{},\"question\":\"q\",\"answer\":\"a\"}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the input (key 'context') is an object where text is expected (name other keys "
     "with --input)",
     ""},
    {"f.jsonl",
     "{\"context\":\"c\",\"question\":\"q\",\"answers\":{\"text\":[],\"answer_start\":[]}}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the target (key 'answers') is missing",
     ""},
    {"f.jsonl",
     "{\"text\":\"x\",\"labels\":[1,4]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the target (key 'labels') is a list of labels, and one label for each row",
     ""},
    {"f.jsonl", "{\"messages\":[]}\n", {0}, BAD_DATA, "f.jsonl:1: 'messages' has no answer", ""},
    {"f.jsonl",
     "{\"messages\":[" USER("a") "]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: 'messages' has no answer",
     "weight"},
    {"f.jsonl",
     "{\"messages\":[" ASSISTANT("a") "]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: 'messages' has no message by the user",
     ""},
    {"f.jsonl",
     "{\"messages\":[" USER("a") "," ASSISTANT(" ") "]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the answer by the assistant is empty",
     ""},
    {"f.jsonl",
     "{\"messages\":[" USER("") "," ASSISTANT("x") "]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: the input is empty",
     ""},
    {"f.jsonl",
     "{\"messages\":[3]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: message 1 of 'messages' is not",
     ""},
    {"f.jsonl",
     "{\"messages\":[{\"content\":\"x\"}]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: message 1 of 'messages' has no text under 'role'",
     ""},
    {"f.jsonl",
     "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: message 1 of 'messages' is by 'tool'",
     ""},
    {"f.jsonl",
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: message 1 of 'messages' has no text under 'content'",
     ""},
    {"f.jsonl",
     "{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"weight\":2}]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: message 1 of 'messages' has a weight",
     ""},
    {"f.jsonl",
     "{\"conversations\":[{\"from\":\"human\"}]}\n",
     {0},
     BAD_DATA,
     "f.jsonl:1: message 1 of 'conversations' has no text under 'value'",
     ""},
    {"f.csv",
     "text,label\nx,p\ny,p\nz,p\n",
     {0},
     BAD_DATA,
     "f.csv: all examples (3) have the same label 'p'",
     "nothing to learn"},
    {"f.csv",
     "text,label\nx,p\n",
     {.task = TASK_CLASSIFICATION},
     BAD_DATA,
     "f.csv: all examples (1) have",
     ""},
    {"f.csv",
     "text,label\nx,1.5\ny,two\n",
     {.task = TASK_NUMERIC_ANSWER},
     BAD_DATA,
     "f.csv:3: the target 'two' is not a number, as the task numeric_answer wants",
     ""},
    {"f.csv",
     "text,label\nx,[1]\ny,{\n",
     {.task = TASK_EXTRACTION},
     BAD_DATA,
     "f.csv:3: the target '{' is not a JSON object or array",
     ""},
    {"f.csv",
     "text,label\n\"x\nA) 1\nB) 2\",C\n",
     {.task = TASK_MULTIPLE_CHOICE},
     BAD_DATA,
     "f.csv:2: the target 'C' is not among the options",
     ""},
    {"f.csv",
     "text,label\n\"x\nA) 1\nB) 2\",a\n",
     {.task = TASK_MULTIPLE_CHOICE},
     BAD_DATA,
     "f.csv:2: the target 'a' is not one letter",
     ""},
    {"f.csv",
     "text,label\na,p\nb,\xC2\xA0\xE2\x80\x8B\nc,p\nd,q\n",
     {.task = TASK_CLASSIFICATION},
     BAD_DATA,
     "f.csv:3: the label '\u00A0\\u200b' is empty: it has no character that can be seen",
     ""},
    {"f.csv",
     "text,label\na,p q\nb,p  q\nc,r\nd,r\n",
     {.task = TASK_CLASSIFICATION},
     BAD_DATA,
     "f.csv: the labels 'p  q' (line 3) and 'p q' (line 2) look the same",
     ""},
    {"f.csv",
     "text,label\na,p\nb,p\xE2\x80\x8B\nc,r\nd,r\n",
     {.task = TASK_CLASSIFICATION},
     BAD_DATA,
     "f.csv: the labels 'p' (line 2) and 'p\\u200b' (line 3) look the same",
     ""},
    {"f.csv",
     "text,label\na,b,c\n,x\n",
     {.on_bad_row = BAD_ROW_SKIP},
     BAD_DATA,
     "f.csv: all 2 rows had to be left out. The first one: f.csv:2:",
     ""},
    {"f.csv", "\xFF\xFEt\n", {0}, BAD_DATA, "f.csv: the file is UTF-16", ""},
    {"f.csv.gz", "\x1F\x8B\x08", {0}, BAD_DATA, "f.csv.gz: the file is compressed with gzip", ""},
    {"f.csv", "PK\x03\x04", {0}, BAD_DATA, "f.csv: the file is a ZIP archive or an Excel", ""},
    {"f.parquet", "PAR1", {0}, BAD_DATA, "f.parquet: the file is a Parquet file", ""},
    {"f.txt",
     "text,label\nx,y\n",
     {0},
     BAD_DATA,
     "f.txt: the name does not tell the format",
     ".csv"},
    {"f.csv", "text\xE9,label\nx,y\n", {0}, BAD_DATA, "f.csv:1:5: the byte 0xE9", ""},
    {"f.csv", "text,label\nx,y\n", {.delimiter = '"'}, USAGE, "The delimiter", ""},
};

static void refuses_with_place_and_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *r = &refusals[i];
        struct dataset dataset;
        struct error err;
        enum status status = parse(r->name, r->bytes, &r->options, &dataset, &err);
        if (status != r->status || err.status != r->status)
            fail_msg("case %zu (%s): status %d, %s", i, r->message, status, err.text);
        if (strncmp(err.text, r->message, strlen(r->message)) != 0 || !strstr(err.text, r->also))
            fail_msg("case %zu: %s", i, err.text);
        assert_null(dataset.examples);
        dataset_release(&dataset);
    }
}

static void skips_bad_rows_and_says_so(void **state)
{
    (void)state;
    struct dataset_options skip = {.on_bad_row = BAD_ROW_SKIP};
    struct dataset dataset =
        must_parse("f.csv", "text,label\nx,p\n,p\nx,y,z\n\ncaf\xE9,q\ny,q\nz,p\nw,q\n", &skip);
    expect_dump("csv", &dataset, "2:x=>p #0\n7:y=>q #1\n8:z=>p #0\n9:w=>q #1\n");
    assert_int_equal(dataset.skipped_count, 4);
    assert_int_equal(dataset.skipped_listed, 4);
    const size_t lines[] = {3, 4, 5, 6};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(dataset.skipped[i].line, lines[i]);
    assert_string_equal(dataset.skipped[0].reason,
                        "f.csv:3: the input (column 'text') is empty; correct or remove the row.");
    assert_memory_equal(dataset.notes[0], "4 bad rows were left out. The first one: f.csv:3:", 49);
    dataset_release(&dataset);

    dataset = must_parse("f.jsonl",
                         "{\"text\":\"x\",\"label\":\"p\"}\n{\"text\":\"x\"}\n{\n"
                         "{\"text\":7,\"label\":\"p\"}\n{\"text\":\"y\",\"label\":[1]}\n",
                         &skip);
    expect_dump("jsonl", &dataset, "1:x=>p\n5:y=>[1]\n");
    assert_int_equal(dataset.skipped_count, 3);
    dataset_release(&dataset);

    skip.task = TASK_NUMERIC_ANSWER;
    dataset = must_parse("f.csv", "text,label\nx,1\ny,two\nz,3\n", &skip);
    expect_dump("task", &dataset, "2:x=>1\n4:z=>3\n");
    assert_int_equal(dataset.skipped_count, 1);
    dataset_release(&dataset);
}

static void lists_a_thousand_skipped_rows_and_counts_all(void **state)
{
    (void)state;
    struct text bytes = {0};
    text_add(&bytes, "text,label\nx,y\n");
    for (int i = 0; i < 2500; i++)
        text_add(&bytes, ",y\n");
    struct dataset_options skip = {.on_bad_row = BAD_ROW_SKIP};
    struct dataset dataset = must_parse("f.csv", bytes.bytes, &skip);
    assert_int_equal(dataset.skipped_count, 2500);
    assert_int_equal(dataset.skipped_listed, DATASET_SKIPPED_LISTED);
    assert_int_equal(dataset.skipped[999].line, 1002);
    dataset_release(&dataset);
    text_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_with_place_and_remedy),
        cmocka_unit_test(skips_bad_rows_and_says_so),
        cmocka_unit_test(lists_a_thousand_skipped_rows_and_counts_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
