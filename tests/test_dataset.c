/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read of data: every shape of a file, notes for the user, the labels of a test file, files
 * by path, the built-in data and real ones.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "datasets/demo.h"
#include "tests/dataset_support.h"

struct reading {
    const char *name;
    const char *bytes;
    struct dataset_options options;
    const char *columns; /* input|target|rationale */
    const char *dump;
};

static const struct reading readings[] = {
    {"a.csv",
     "text,label\nx,p\ny,q\nz,p\nw,q\n",
     {0},
     "text|label|-",
     "2:x=>p #0\n3:y=>q #1\n4:z=>p #0\n5:w=>q #1\n"},
    {"upper case and spaces in names.csv",
     "id, Text , LABEL\n1,x,p\n2,y,q\n3,x2,p\n4,y2,q\n",
     {0},
     " Text | LABEL|-",
     "2:x=>p #0\n3:y=>q #1\n4:x2=>p #0\n5:y2=>q #1\n"},
    {"a.tsv",
     "sentence\tlabel\nx, y\tp\nz\tq q\n",
     {.task = TASK_CLASSIFICATION},
     "sentence|label|-",
     "2:x, y=>p #0\n3:z=>q q #1\n"},
    {"a.tab",
     "review\ttarget\nx\tp\nz\tq\n",
     {.task = TASK_GENERATION},
     "review|target|-",
     "2:x=>p\n3:z=>q\n"},
    {"a.CSV",
     "prompt;completion\nx;p\nz;q\n",
     {.delimiter = ';'},
     "prompt|completion|-",
     "2:x=>p\n3:z=>q\n"},
    {"no extension",
     "content|answer\nx|p\nz|q\n",
     {.delimiter = '|'},
     "content|answer|-",
     "2:x=>p\n3:z=>q\n"},
    {"spaces around a target go.csv",
     "text,label\n x , p \ny,\" q\n\"\n",
     {0},
     "text|label|-",
     "2: x =>p\n3:y=>q\n"},
    {"rationale.csv",
     "question,answer,solution\nx,1.5,because\ny,2.5,\nz,3.5,so\n",
     {0},
     "question|answer|solution",
     "2:x=>1.5 (because)\n3:y=>2.5\n4:z=>3.5 (so)\n"},
    {"no rationale wanted.csv",
     "question,answer,solution\nx,1.5,because\n",
     {.rationale = ""},
     "question|answer|-",
     "2:x=>1.5\n"},
    {"named.csv",
     "a,b,c\nx,y,z\n",
     {.input = "c", .target = "a", .rationale = "b"},
     "c|a|b",
     "2:z=>x (y)\n"},
    {"named settles doubt.csv",
     "text,prompt,label\nx,y,z\n",
     {.input = "prompt"},
     "prompt|label|-",
     "2:y=>z\n"},
    {"target taken from the inputs.csv",
     "text,review\nx,y\n",
     {.target = "review"},
     "text|review|-",
     "2:x=>y\n"},
    {"joined.csv", "a,b,label\nx,y,z\n", {.input = "b,a"}, "b,a|label|-", "2:b: y\na: x=>z\n"},
    {"column with a comma.csv",
     "\"a,b\",label\nx,z\n",
     {.input = "a,b"},
     "a,b|label|-",
     "2:x=>z\n"},
    {"pair.csv",
     "premise,hypothesis,label\nx,y,z\n",
     {0},
     "premise,hypothesis|label|-",
     "2:premise: x\nhypothesis: y=>z\n"},
    {"alpaca.csv",
     "instruction,input,output\ndo,x,y\ndo that,,z\n",
     {0},
     "instruction,input|output|-",
     "2:do\nx=>y\n3:do that=>z\n"},
    {"a.jsonl",
     "{\"input\":\"x\",\"output\":\"p\"}\n{\"output\":\"q\",\"input\":\"y\"}\n",
     {0},
     "input|output|-",
     "1:x=>p\n2:y=>q\n"},
    {"a.ndjson",
     "{\"prompt\":\"x\",\"completion\":\" p\\n\"}\n",
     {0},
     "prompt|completion|-",
     "1:x=>p\n"},
    {"a.json",
     "[{\"text\":\"x\",\n\"label\":\"p\"},\n{\"text\":\"y\",\"label\":\"q\"}]",
     {0},
     "text|label|-",
     "1:x=>p\n3:y=>q\n"},
    {"array.jsonl",
     "\xEF\xBB\xBF\n[{\"text\":\"x\",\"label\":\"p\"}]",
     {0},
     "text|label|-",
     "2:x=>p\n"},
    {"no extension", "{\"text\":\"x\",\"label\":\"p\"}\n", {0}, "text|label|-", "1:x=>p\n"},
    {"values.jsonl",
     "{\"input\":\"a\",\"output\":7}\n{\"input\":\"b\",\"output\":0.1}\n"
     "{\"input\":\"c\",\"output\":true}\n{\"input\":\"d\",\"output\":{\"k\": [1, \"\xC3\xA9\"]}}\n"
     "{\"input\":\"e\",\"output\":[ ]}\n",
     {0},
     "input|output|-",
     "1:a=>7\n2:b=>0.1\n3:c=>true\n4:d=>{\"k\":[1,\"\xC3\xA9\"]}\n5:e=>[]\n"},
    {"rationale later.jsonl",
     "{\"input\":\"a\",\"output\":\"1.5\"}\n"
     "{\"input\":\"b\",\"output\":\"2.5\",\"reasoning\":\"so\"}\n"
     "{\"input\":\"c\",\"output\":\"3.5\",\"reasoning\":null}\n",
     {0},
     "input|output|reasoning",
     "1:a=>1.5\n2:b=>2.5 (so)\n3:c=>3.5\n"},
    {"alpaca.jsonl",
     "{\"instruction\":\"do\",\"output\":\"p\",\"text\":\"all of it\"}\n"
     "{\"instruction\":\"do\",\"input\":\"x\",\"output\":\"q\"}\n",
     {0},
     "instruction,input|output|-",
     "1:do=>p\n2:do\nx=>q\n"},
    {"dolly.jsonl",
     "{\"instruction\":\"do\",\"context\":\"x\",\"response\":\"p\"}\n",
     {0},
     "instruction,context|response|-",
     "1:do\nx=>p\n"},
    {"passage.jsonl",
     "{\"question\":\"q\",\"passage\":\"p\",\"answer\":true}\n",
     {0},
     "passage,question|answer|-",
     "1:passage: p\nquestion: q=>true\n"},
    {"context may be missing.jsonl",
     "{\"context\":\"\",\"question\":\"q\",\"answer\":\"a\"}\n"
     "{\"question\":\"r\",\"answer\":\"b\"}\n"
     "{\"context\":\"c\",\"question\":\"s\",\"answer\":\"d\"}\n",
     {0},
     "context,question|answer|-",
     "1:question: q=>a\n2:question: r=>b\n3:context: c\nquestion: s=>d\n"},
    {"one of title and text.csv",
     "title,text,label\nt,x,p\n,y,q\nu,,p\nv,w,q\n",
     {.task = TASK_GENERATION},
     "title,text|label|-",
     "2:title: t\ntext: x=>p\n3:text: y=>q\n4:title: u=>p\n5:title: v\ntext: w=>q\n"},
    {"squad.jsonl",
     "{\"title\":\"t\",\"context\":\"c\",\"question\":\"q\","
     "\"answers\":{\"text\":[\"a\",\"b\"],\"answer_start\":[0,3]}}\n",
     {0},
     "context,question|answers|-",
     "1:context: c\nquestion: q=>a\n"},
    {"label text.csv",
     "text,label,label_text\nx,0,no\ny,1,yes\nz,0,no\nw,1,yes\n",
     {0},
     "text|label_text|-",
     "2:x=>no #0\n3:y=>yes #1\n4:z=>no #0\n5:w=>yes #1\n"},
    {"openai.jsonl",
     "{\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},"
     "{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"Hello\"}]}\n"
     "{\"messages\":[{\"role\":\"user\",\"content\":\"Yo\"},"
     "{\"role\":\"assistant\",\"content\":\"Hey\"}]}\n",
     {0},
     "messages|messages|-",
     "1:Be kind.\n\nHi=>Hello\n2:Yo=>Hey\n"},
    {"turns.jsonl",
     "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"A\"},"
     "{\"role\":\"assistant\",\"content\":\"B\"},{\"role\":\"user\",\"content\":\"C\"},"
     "{\"role\":\"assistant\",\"content\":\"D\"}]}\n",
     {0},
     "messages|messages|-",
     "1:S\nUser: A\nAssistant: B\nUser: C=>D\n"},
    {"weights.jsonl",
     "{\"messages\":[{\"role\":\"user\",\"content\":\"A\"},"
     "{\"role\":\"assistant\",\"content\":\"B\",\"weight\":1},{\"role\":\"user\",\"content\":\"C\"}"
     ","
     "{\"role\":\"assistant\",\"content\":\"D\",\"weight\":0}]}\n",
     {0},
     "messages|messages|-",
     "1:A=>B\n"},
    {"sharegpt.json",
     "[{\"conversations\":[{\"from\":\"human\",\"value\":\"A\"},{\"from\":\"gpt\",\"value\":\"B\"}]"
     ","
     "\"system\":\"S\"}]",
     {0},
     "conversations|conversations|-",
     "1:S\n\nA=>B\n"},
};

static void reads_every_shape(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        const struct reading *r = &readings[i];
        struct dataset dataset = must_parse(r->name, r->bytes, &r->options);
        expect_dump(r->name, &dataset, r->dump);
        struct text columns = {0};
        text_printf(&columns, "%s|%s|%s", dataset.input_column, dataset.target_column,
                    dataset.rationale_column ? dataset.rationale_column : "-");
        if (strcmp(columns.bytes, r->columns) != 0)
            fail_msg("%s: columns are %s", r->name, columns.bytes);
        text_release(&columns);
        dataset_release(&dataset);
    }
}

static void knows_all_listed_names(void **state)
{
    (void)state;
    static const char *const inputs[] = {"text",     "sentence", "input",  "prompt",
                                         "question", "review",   "content"};
    static const char *const targets[] = {"label",  "output", "completion",
                                          "answer", "target", "response"};
    static const char *const rationales[] = {"rationale", "explanation", "reasoning",
                                             "chain_of_thought", "solution"};
    for (size_t i = 0; i < 7; i++) {
        struct text bytes = {0};
        text_printf(&bytes, "%s,%s,%s\nx,y,z\n", rationales[i % 5], targets[i % 6], inputs[i]);
        struct dataset dataset = must_parse("a.csv", bytes.bytes, NULL);
        assert_string_equal(dataset.input_column, inputs[i]);
        assert_string_equal(dataset.target_column, targets[i % 6]);
        assert_string_equal(dataset.rationale_column, rationales[i % 5]);
        expect_dump("names", &dataset, "2:z=>y (x)\n");
        dataset_release(&dataset);
        text_release(&bytes);
    }
}

static void notes_what_the_user_should_know(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *note;
    } cases[] = {
        {"text,label\nx,y\n", "There is one example only; nothing can be measured with it."},
        {"id,text,label,date\n1,a,p,x\n2,b,q,x\n3,c,p,x\n4,d,q,x\n",
         "Not used: columns 'id', 'date'."},
        {"text,label,id\na,p,x\nb,q,x\nc,p,x\nd,q,x\n", "Not used: column 'id'."},
        {"text,label\na,p\nb,q\nc,p\nd,q\ne,p\nf,q\ng,p\nh,q\ni,r\n",
         "1 of 3 classes has one example only (such as 'r'): trained on, but never measured."},
        {"text,label,solution\na,1.5,x\nb,2.5,\n", "1 of 2 examples have a rationale."}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dataset dataset = must_parse("f.csv", cases[i].bytes, NULL);
        assert_int_equal(dataset.note_count, 1);
        assert_string_equal(dataset.notes[0], cases[i].note);
        dataset_release(&dataset);
    }
}

/* Notes of records, and of classes that are numbers. */
static void tells_of_what_is_not_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *bytes;
        const char *note; /* NULL: none */
    } cases[] = {
        {"f.jsonl",
         "{\"text\":\"a\",\"label\":\"p\"}\n{\"text\":\"b\",\"label\":\"q\",\"why\":\"x\"}\n",
         "Not used: column 'why'."},
        {"f.jsonl",
         "{\"messages\":[" USER("a") "," ASSISTANT("b") "],\"tools\":[]}\n"
                                                        "{\"messages\":[" USER("c") "," ASSISTANT(
                                                            "d") "],\"system\":\"s\"}\n",
         "Not used: column 'tools'."},
        {"f.csv", "text,label,label_text\na,0,p\nb,1,q\nc,0,p\nd,1,q\n",
         "The classes are named by column 'label_text', so 'label' is not read."},
        {"f.csv", "text,label\na,0\nb,1\nc,0\nd,1\ne,0\nf,1\n",
         "The classes are numbers; where they stand for names, a model can use these: give them "
         "with --label-names 0=NAME,1=NAME."},
        {"f.csv", "text,label\na,0\nb,-1\nc,0\nd,-1\ne,0\nf,-1\n", NULL},
        {"f.csv", "text,stars\na,1\nb,2\nc,1\nd,2\ne,1\nf,2\n", NULL},
        {"f.jsonl",
         "{\"question\":\"q\",\"context\":\"c\",\"answers\":{\"text\":[\"a\",\"b\"],"
         "\"answer_start\":[1,2]}}\n{\"question\":\"r\",\"context\":\"c\",\"answers\":{\"text\":"
         "[\"d\"],\"answer_start\":[1]}}\n",
         "Where a question has several answers, the first is the target."}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dataset dataset = must_parse(cases[i].name, cases[i].bytes, NULL);
        if (dataset.note_count != (cases[i].note != NULL) ||
            (cases[i].note && strcmp(dataset.notes[0], cases[i].note) != 0))
            fail_msg("case %zu: %s", i, dataset.note_count ? dataset.notes[0] : "no note");
        dataset_release(&dataset);
    }
}

static void a_test_file_uses_the_labels_of_its_data(void **state)
{
    (void)state;
    struct dataset data = must_parse(
        "train.csv", "foo,bar\na,p\nb,q\nc,r\n",
        &(struct dataset_options){.input = "foo", .target = "bar", .task = TASK_CLASSIFICATION});
    struct dataset_options like = {.like = &data};
    struct dataset test = must_parse("test.csv", "bar,foo\nr,x\nr,y\n", &like);
    expect_dump("like", &test, "2:x=>r #2\n3:y=>r #2\n");
    assert_int_equal(test.label_count, 3);
    assert_int_equal(test.labels[0].count, 0);
    assert_int_equal(test.labels[2].count, 2);
    assert_int_equal(test.task, TASK_CLASSIFICATION);
    dataset_release(&test);
    test = must_parse("test.csv", "text,label\nx,q\n", &like);
    assert_string_equal(test.input_column, "text");
    dataset_release(&test);
    struct error err;
    assert_int_equal(parse("test.csv", "text,label\nx,q\ny,s\n", &like, &test, &err), BAD_DATA);
    assert_memory_equal(err.text,
                        "test.csv:3: the label 's' does not occur in train.csv, so no technique "
                        "can learn it; the labels there are 'p', 'q', 'r'.",
                        118);
    like.task = TASK_GENERATION;
    assert_int_equal(parse("test.csv", "text,label\nx,q\n", &like, &test, &err), USAGE);
    dataset_release(&data);
}

static void inputs_alone_can_be_read(void **state)
{
    (void)state;
    struct dataset_options options = {.inputs_only = true};
    struct dataset dataset = must_parse("f.csv", "id,text\n1,x\n2,y\n", &options);
    expect_dump("csv", &dataset, "2:x=>-\n3:y=>-\n");
    assert_null(dataset.target_column);
    dataset_release(&dataset);
    dataset = must_parse(
        "f.jsonl",
        "{\"messages\":[" USER("a") "]}\n{\"messages\":[" USER("b") "," ASSISTANT("c") "]}\n",
        &options);
    expect_dump("jsonl", &dataset, "1:a=>-\n2:b=>-\n");
    dataset_release(&dataset);
    struct dataset data = must_parse("train.csv", "text,label\na,p\nb,q\nc,p\nd,q\n", NULL);
    options.like = &data;
    dataset = must_parse("f.csv", "text\nx\ny\n", &options);
    assert_int_equal(dataset.task, TASK_CLASSIFICATION);
    assert_int_equal(dataset.label_count, 2);
    assert_int_equal(dataset.examples[0].label, -1);
    dataset_release(&dataset);
    dataset_release(&data);
}

static void loads_files_by_path(void **state)
{
    (void)state;
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char dir[256], path[300], hex[65];
    struct dataset dataset;
    struct error err;
    snprintf(dir, sizeof dir, "%s/test_dataset.XXXXXX", folder);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/data.csv", dir);
    struct text bytes = {0};
    text_add(&bytes, "text,label\n");
    for (int i = 0; i < 20000; i++)
        text_printf(&bytes, "text %d,%s\n", i, i % 2 ? "p" : "q");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.bytes, 1, bytes.length, file), bytes.length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(dataset_load(path, NULL, &dataset, &err), OK);
    assert_int_equal(dataset.count, 20000);
    assert_int_equal(dataset.bytes, bytes.length);
    assert_string_equal(dataset.path, path);
    assert_int_equal(hash_bytes(bytes.bytes, bytes.length, hex, &err), OK);
    assert_string_equal(dataset.sha256, hex);
    dataset_release(&dataset);
    dataset_release(&dataset);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(dataset_load(path, NULL, &dataset, &err), BAD_DATA);
    assert_non_null(strstr(err.text, "there is no such file"));
    assert_int_equal(dataset_load(dir, NULL, &dataset, &err), BAD_DATA);
    assert_non_null(strstr(err.text, "this is a folder"));
    assert_int_equal(rmdir(dir), 0);
    text_release(&bytes);
}

static void hashes_the_bytes(void **state)
{
    (void)state;
    /* printf 'text,label\nx,1.5\n' | sha256sum */
    struct dataset dataset = must_parse("f.csv", "text,label\nx,1.5\n", NULL);
    assert_string_equal(dataset.sha256,
                        "6f6fbc6a8c9ce456a46299af26ea932feebf22d86734c31e43bbf569bb146d95");
    dataset_release(&dataset);
}

static void the_demo_data_are_built_in(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum task task;
        size_t least;
        size_t labels;
    } cases[] = {{"demo:tickets", TASK_CLASSIFICATION, 300, 2},
                 {"demo:problems", TASK_NUMERIC_ANSWER, 100, 0}};
    struct dataset dataset;
    struct error err;
    for (size_t i = 0; i < 2; i++) {
        if (dataset_load(cases[i].path, NULL, &dataset, &err))
            fail_msg("%s", err.text);
        assert_int_equal(dataset.task, cases[i].task);
        assert_true(dataset.count >= cases[i].least);
        assert_true(dataset.label_count >= cases[i].labels);
        assert_int_equal(dataset.skipped_count, 0);
        assert_string_equal(dataset.path, cases[i].path);
        dataset_release(&dataset);
    }
    assert_int_equal(dataset_load("demo:nothing", NULL, &dataset, &err), USAGE);
    struct demo demo;
    char hex[65], expected[65];
    assert_true(demo_find("demo:tickets", &demo));
    assert_int_equal(hash_bytes(demo.bytes, demo.size, hex, &err), OK);
    assert_int_equal(hash_file("datasets/demo/tickets.csv", expected, &err), OK);
    assert_string_equal(hex, expected);
    assert_false(demo_at(2, &demo));
}

/* A folder of real datasets can be named by ADVISOR_DATA: NAME/train.csv or .jsonl, and test. */
static void real_data_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *extension;
        enum task task;
        size_t labels;
    } sets[] = {{"sst2", "csv", TASK_CLASSIFICATION, 2},
                {"agnews", "csv", TASK_CLASSIFICATION, 4},
                {"trec", "csv", TASK_CLASSIFICATION, 6},
                {"banking77", "csv", TASK_CLASSIFICATION, 77},
                {"sms-spam", "csv", TASK_CLASSIFICATION, 2},
                {"gsm8k", "jsonl", TASK_NUMERIC_ANSWER, 0},
                {"addsub-multiarith", "jsonl", TASK_NUMERIC_ANSWER, 0},
                {"arc-easy", "jsonl", TASK_MULTIPLE_CHOICE, 5},
                {"snips-slots", "jsonl", TASK_EXTRACTION, 0}};
    const char *folder = getenv("ADVISOR_DATA");
    if (!folder) {
        print_message("skipped: set ADVISOR_DATA to a folder of real datasets to check them\n");
        skip();
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        char path[512];
        struct dataset data, test;
        struct error err;
        snprintf(path, sizeof path, "%s/%s/train.%s", folder, sets[i].name, sets[i].extension);
        if (dataset_load(path, NULL, &data, &err))
            fail_msg("%s", err.text);
        if (data.task != sets[i].task || data.label_count != sets[i].labels)
            fail_msg("%s: %s, %zu labels", path, task_name(data.task), data.label_count);
        struct dataset_options like = {.like = &data};
        snprintf(path, sizeof path, "%s/%s/test.%s", folder, sets[i].name, sets[i].extension);
        if (dataset_load(path, &like, &test, &err))
            fail_msg("%s", err.text);
        dataset_release(&test);
        if (dataset_load(path, NULL, &test, &err))
            fail_msg("%s", err.text);
        if (test.task != sets[i].task)
            fail_msg("%s: %s", path, task_name(test.task));
        dataset_release(&test);
        dataset_release(&data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_shape),
        cmocka_unit_test(knows_all_listed_names),
        cmocka_unit_test(notes_what_the_user_should_know),
        cmocka_unit_test(tells_of_what_is_not_read),
        cmocka_unit_test(a_test_file_uses_the_labels_of_its_data),
        cmocka_unit_test(inputs_alone_can_be_read),
        cmocka_unit_test(loads_files_by_path),
        cmocka_unit_test(hashes_the_bytes),
        cmocka_unit_test(the_demo_data_are_built_in),
        cmocka_unit_test(real_data_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
