/* SPDX-License-Identifier: Apache-2.0
 *
 * From a study to labels, as a user does it: recommend, export, predict; and what is refused on the
 * way. The commands run in this process.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "tests/study_support.h"

enum { DATA_ROWS = 160 };

static struct bench bench;
static char home[BENCH_PATH]; /* where the test was started */

/* `advisor WORDS`, cut at spaces, in the bench's folder; standard output is not looked at. */
static enum status run(struct error *err, const char *words)
{
    char copy[2048], *list[BENCH_WORDS] = {"advisor"};
    int count = 1;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, " "); word && count < BENCH_WORDS; word = strtok(NULL, " "))
        list[count++] = word;
    *err = (struct error){0};
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    assert_true(saved >= 0 && freopen("stdout.txt", "w", stdout) != NULL);
    enum status status = command_dispatch(count, list, err);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    return status;
}

static void must(const char *words)
{
    struct error err;
    if (run(&err, words) != OK)
        fail_msg("advisor %s: %s", words, err.text);
}

static void refused(enum status status, const char *words, const char *says)
{
    struct error err;
    desk_refused(run(&err, words), status, &err, says);
}

static int make_study(void **state)
{
    (void)state;
    char model[2 * BENCH_PATH];
    assert_non_null(getcwd(home, sizeof home));
    bench_enter(&bench);
    bench_rows(bench.data, DATA_ROWS, 4, 3);
    snprintf(model, sizeof model, "%s/%s", home, TINY_MODEL);
    setenv("ADVISOR_MODEL", model, 1);
    setenv("ADVISOR_THREADS", "2", 1);
    assert_int_equal(chdir(bench.folder), 0);
    must("recommend data.csv --techniques majority,few_shot,lora,prompt_tuning --budget 20s "
         "--study made --quiet "
         "--no-progress -o report.txt");
    return 0;
}

static int remove_study(void **state)
{
    (void)state;
    assert_int_equal(chdir(home), 0);
    bench_leave(&bench);
    return 0;
}

static void exports_and_predicts(void **state)
{
    (void)state;
    struct text said = {0}, labels = {0};
    must("export made lora -o adapter -q");
    files_read("stdout.txt", &said);
    assert_non_null(strstr(said.bytes, " as peft: adapter\n"));
    assert_non_null(strstr(said.bytes, "labels equal, largest probability difference"));
    must("predict adapter data.csv -o labels.csv -q");
    files_read("labels.csv", &labels);
    assert_int_equal(strncmp(labels.bytes, "line,label,probability,p_class0,", 32), 0);
    size_t rows = 0;
    for (const char *at = labels.bytes; (at = strchr(at, '\n')); at++)
        rows++;
    assert_int_equal(rows, DATA_ROWS + 1);
    must("predict adapter data.csv -o labels.jsonl -q");
    files_read("labels.jsonl", &labels);
    assert_int_equal(strncmp(labels.bytes, "{\"line\": 2, ", 12), 0);
    must("predict adapter data.csv --format jsonl -q");
    files_read("stdout.txt", &said);
    assert_string_equal(said.bytes, labels.bytes);
    text_release(&said);
    text_release(&labels);
}

static void formats_and_paths(void **state)
{
    (void)state;
    must("export made lora --format gguf -o gguf -q");
    must("export made lora --format merged-gguf --type f32 -o model -q");
    must("export made few_shot -o prompt -q");
    must("export made majority -o majority -q");
    must("predict model data.csv -o merged.csv --model nowhere.gguf -q"); /* needs no other */
    must("predict majority data.csv -o majority.csv -q");
    must("export made lora --format gguf -o gguf --force -q");
    assert_int_equal(rename("data.csv", "moved.csv"), 0);
    refused(USAGE, "export made lora -o other -q", "name the file with --data FILE");
    must("export made lora --data moved.csv -o other -q");
    assert_int_equal(rename("moved.csv", "data.csv"), 0);
}

/* A study knows its model, as long as that is where it was; what is named on the command line goes
 * first. */
static void the_model_of_the_study(void **state)
{
    (void)state;
    char words[3 * BENCH_PATH], model[2 * BENCH_PATH];
    snprintf(model, sizeof model, "%s", getenv("ADVISOR_MODEL"));
    snprintf(words, sizeof words,
             "recommend data.csv --techniques zero_shot --budget 20s --study ./own.db --quiet "
             "--no-progress -o report.txt --model %s",
             model);
    must(words);
    unsetenv("ADVISOR_MODEL");
    must("export ./own.db zero_shot -o own -q");
    must("bless ./own.db zero_shot -o own.json -q");
    must("check own.json -q");
    refused(BAD_MODEL, "export ./own.db zero_shot -o third -q --model gone.gguf", "gone.gguf");
    setenv("ADVISOR_MODEL", model, 1);
}

/* Two tasks in one table: by name, by a column, and what is refused. */
static void prompt_tables(void **state)
{
    (void)state;
    struct text said = {0};
    must("export made prompt_tuning --format prompt-table -o desk.prompts --json -q");
    files_read("stdout.txt", &said);
    assert_non_null(strstr(said.bytes, "\"task\": \"data\""));
    must("predict desk.prompts data.csv -o one.csv -q"); /* the only task */
    refused(USAGE, "export made prompt_tuning --format prompt-table -o desk.prompts -q",
            "a task \"data\" already; give --force");
    must("export made prompt_tuning --format prompt-table -o desk.prompts --force -q");
    must("export made prompt_tuning --format prompt-table -o desk.prompts --task-name other -q");
    files_read("stdout.txt", &said);
    assert_non_null(strstr(said.bytes, "task other, for `advisor predict desk.prompts"));
    assert_non_null(strstr(said.bytes, "labels equal"));
    must("predict desk.prompts data.csv --task-name data -o two.csv -q");
    struct text one = {0};
    files_read("one.csv", &one);
    files_read("two.csv", &said);
    assert_string_equal(said.bytes, one.bytes);
    bench_write("mixed.csv", "text,task\na b,data\nc d,other\n");
    must("predict desk.prompts mixed.csv --task-column task -q");
    files_read("stdout.txt", &said);
    assert_int_equal(strncmp(said.bytes, "line,task,answer,probability\r\n2,data,", 37), 0);
    refused(USAGE, "predict desk.prompts data.csv -q", "holds 2 tasks (data, other)");
    refused(USAGE, "predict desk.prompts data.csv --task-name x -q", "expected one of: data, ot");
    refused(USAGE, "predict desk.prompts data.csv --task-name data --task-column task -q",
            "contradict each other");
    refused(USAGE, "predict desk.prompts mixed.csv --task-column kind -q", "kind");
    bench_write("mixed.csv", "text,task\na b,data\nc d,\n");
    refused(BAD_DATA, "predict desk.prompts mixed.csv --task-column task -q", "mixed.csv:3: ");
    must("predict desk.prompts mixed.csv --task-column task --on-bad-row skip -q");
    refused(USAGE, "export made prompt_tuning -o x --task-name y -q", "expected --format prompt-");
    refused(USAGE, "export made lora --format prompt-table -o x -q", "expected one of peft, gguf");
    refused(USAGE, "export made prompt_tuning --format prompt-table -o data.csv --force -q",
            "not a sound prompt table");
    refused(USAGE, "export made prompt_tuning --format prompt-table -q", "--output FILE");
    text_release(&said);
    text_release(&one);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    refused(USAGE, "export made lora -q", "--output");
    refused(USAGE, "export made lore -o x -q", "did you mean lora?");
    refused(USAGE, "export made ia3 -o x -q", "has not measured ia3; expected one of: majority,");
    refused(USAGE, "export made lora --format peff -o x", "did you mean peft?");
    refused(USAGE, "export made few_shot --format gguf -o x -q", "expected one of prompt, adapter");
    refused(USAGE, "export made lora --format prompt -o x -q", "expected one of peft, gguf");
    refused(USAGE, "export made lora --type f8 -o x -q", "--type");
    refused(USAGE, "export unmade lora -o x -q", "unmade.db");
    refused(USAGE, "export ./data.csv lora -o x -q", "data.csv");
    refused(USAGE, "export made lora -o data.csv -q", "not a folder");
    refused(BAD_MODEL, "export made lora -o x --model nowhere.gguf -q", "nowhere.gguf");
    refused(BAD_DATA, "predict nowhere data.csv -q", "advisor export");
    refused(USAGE, "predict nowhere data.csv --format text -q", "expected one of csv, jsonl");
    bench_write("small.csv", "text,label\na,x\n");
    refused(BAD_DATA, "export made lora --data small.csv -o x -q", "small.csv");
    assert_true(access("x", F_OK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exports_and_predicts),   cmocka_unit_test(formats_and_paths),
        cmocka_unit_test(the_model_of_the_study), cmocka_unit_test(prompt_tables),
        cmocka_unit_test(says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, make_study, remove_study);
}
