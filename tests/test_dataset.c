/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "datasets/dataset.h"
#include "datasets/demo.h"
#include "datasets/task.h"

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

/* "input => target (rationale) #label", one a line */
static void dump(const struct dataset *dataset, struct text *out)
{
    for (size_t i = 0; i < dataset->count; i++) {
        const struct example *e = &dataset->examples[i];
        text_printf(out, "%zu:%s=>%s", e->line, e->input, e->target ? e->target : "-");
        if (e->rationale)
            text_printf(out, " (%s)", e->rationale);
        if (e->label >= 0)
            text_printf(out, " #%d", e->label);
        text_add(out, "\n");
    }
}

static void expect_dump(const char *what, const struct dataset *dataset, const char *expected)
{
    struct text out = {0};
    dump(dataset, &out);
    if (strcmp(text_string(&out), expected) != 0)
        fail_msg("%s: got\n%s", what, text_string(&out));
    text_release(&out);
}

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

struct refusal {
    const char *name;
    const char *bytes;
    struct dataset_options options;
    enum status status;
    const char *message; /* how the sentence starts */
    const char *also;    /* what else is in it */
};

#define USER(text)      "{\"role\":\"user\",\"content\":\"" text "\"}"
#define ASSISTANT(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"

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
        cmocka_unit_test(refuses_with_place_and_remedy),
        cmocka_unit_test(skips_bad_rows_and_says_so),
        cmocka_unit_test(lists_a_thousand_skipped_rows_and_counts_all),
        cmocka_unit_test(infers_the_task),
        cmocka_unit_test(names_the_target_that_spoils_an_inference),
        cmocka_unit_test(tells_what_minus_one_may_mean),
        cmocka_unit_test(a_forced_task_wins),
        cmocka_unit_test(labels_are_sorted_and_counted),
        cmocka_unit_test(multiple_choice_has_letters_as_labels),
        cmocka_unit_test(options_are_counted),
        cmocka_unit_test(notes_what_the_user_should_know),
        cmocka_unit_test(tells_of_what_is_not_read),
        cmocka_unit_test(a_label_map_names_the_classes),
        cmocka_unit_test(a_test_file_uses_the_labels_of_its_data),
        cmocka_unit_test(inputs_alone_can_be_read),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(tasks_have_names),
        cmocka_unit_test(loads_files_by_path),
        cmocka_unit_test(hashes_the_bytes),
        cmocka_unit_test(the_demo_data_are_built_in),
        cmocka_unit_test(real_data_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
