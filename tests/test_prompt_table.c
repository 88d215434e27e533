/* SPDX-License-Identifier: Apache-2.0
 *
 * The prompt table: its file, what it refuses, and answers of mixed batches beside those that each
 * task gives alone.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "techniques/labels.h"
#include "techniques/pack.h"
#include "techniques/prompt_serving.h"
#include "techniques/trainer.h"
#include "tests/adapting.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- the file ---- */

enum { WIDTH = 2, DIGEST = 64 };

/* Two tasks written by hand; the offsets of the malformed ones below are in its file. */
static void small_table(struct prompt_table *table)
{
    static const char *labels[] = {"x", "y"};
    static const int32_t first[] = {-1, 7, -2}, second[] = {9};
    static const float values[] = {1, -2, 0.5F, 3}, more[] = {4, 5};
    static struct prompt_task tasks[] = {{.name = "a",
                                          .task = TASK_CLASSIFICATION,
                                          .longest_answer = 1,
                                          .labels = labels,
                                          .label_count = 2,
                                          .rows = 2,
                                          .prompt_length = 3,
                                          .prompt = first,
                                          .values = values},
                                         {.name = "b",
                                          .task = TASK_GENERATION,
                                          .longest_answer = 20,
                                          .rows = 1,
                                          .prompt_length = 1,
                                          .prompt = second,
                                          .values = more}};
    *table = (struct prompt_table){.width = WIDTH, .tasks = tasks, .count = COUNT(tasks)};
}

static void must_write(const struct prompt_table *table, struct text *out)
{
    struct error err;
    text_clear(out);
    if (prompt_table_write(table, out, &err) != OK)
        fail_msg("%s", err.text);
}

static void assert_same_task(const struct prompt_task *a, const struct prompt_task *b, int width)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->task, b->task);
    assert_int_equal(a->longest_answer, b->longest_answer);
    assert_int_equal(a->label_count, b->label_count);
    for (size_t i = 0; i < a->label_count; i++)
        assert_string_equal(a->labels[i], b->labels[i]);
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->prompt_length, b->prompt_length);
    assert_memory_equal(a->prompt, b->prompt, a->prompt_length * sizeof *a->prompt);
    assert_string_equal(a->about ? a->about : "", b->about ? b->about : "");
    assert_memory_equal(a->values, b->values, (size_t)(a->rows * width) * sizeof *a->values);
}

static void test_written_and_read(void **state)
{
    (void)state;
    struct prompt_table table, again;
    struct text bytes = {0}, twice = {0};
    struct error err;
    small_table(&table);
    table.tasks[1].about = "{\"from\": \"there\"}";
    must_write(&table, &bytes);
    table.tasks[1].about = NULL;
    assert_int_equal(prompt_table_read(&again, "t", bytes.bytes, bytes.length, &err), OK);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.width, WIDTH);
    assert_string_equal(again.model_sha256, "");
    assert_string_equal(again.tasks[0].about, "");
    assert_string_equal(again.tasks[1].about, "{\"from\": \"there\"}");
    table.tasks[1].about = again.tasks[1].about;
    for (size_t i = 0; i < 2; i++)
        assert_same_task(&table.tasks[i], &again.tasks[i], WIDTH);
    assert_ptr_equal(prompt_table_find(&again, "b"), &again.tasks[1]);
    assert_null(prompt_table_find(&again, "c"));
    must_write(&again, &twice);
    assert_int_equal(twice.length, bytes.length);
    assert_memory_equal(twice.bytes, bytes.bytes, bytes.length);
    table.tasks[1].about = NULL;
    prompt_table_release(&again);
    text_release(&bytes);
    text_release(&twice);
}

/* Reads `length` bytes, at the very end of a block, behind which sanitizers see a reader go. */
static enum status read_copy(const char *bytes, size_t length, struct error *err)
{
    struct prompt_table table;
    char *copy = memory_alloc(length);
    memcpy(copy, bytes, length);
    enum status status = prompt_table_read(&table, "t.prompts", copy, length, err);
    if (status == OK)
        prompt_table_release(&table);
    free(copy);
    return status;
}

/* A fitting digest behind the first `length` bytes. */
static void seal(struct text *bytes, size_t length)
{
    char digest[HASH_HEX];
    struct error err;
    assert_int_equal(hash_bytes(bytes->bytes, length, digest, &err), OK);
    bytes->length = length;
    text_append(bytes, digest, DIGEST);
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint32_t word; /* little-endian */
        const char *expected;
    } rows[] = {
        {0, 0x58585858, "a file that begins with PROMPTS1"},
        {8, 1, "the SHA-256 of a model"},
        {8, UINT32_MAX, "the SHA-256 of a model"},
        {12, 0, "the width of the embeddings"},
        {12, 1, "where the task came from"}, /* what follows is out of step */
        {12, 3, "byte 109: not a sound"},
        {12, 1U << 30, "the width of the embeddings"},
        {16, 1, "byte 101: not a sound prompt table; expected the end of the table"},
        {16, 3, "the name of a task"},
        {16, UINT32_MAX, "the number of tasks"},
        {20, 0, "the name of a task"},
        {20, 2000, "the name of a task"},
        {20, 0x01000001, "the name of a task"}, /* a length of many millions */
        {25, 0, "a kind of task"},
        {25, 13, "a kind of task that this program knows"},
        {29, 0x58585858, "a kind of task that this program knows"},
        {43, 0, "the length of an answer"},
        {43, UINT32_MAX, "the length of an answer"},
        {47, 0, "labels where the task has some"},
        {47, 1000, "labels in rising order"},
        {47, UINT32_MAX, "labels in rising order"},
        {51, 0, "labels in rising order"},
        {52, 0x79000000, "labels in rising order"}, /* x becomes y */
        {61, 0, "the number of virtual tokens"},
        {61, UINT32_MAX, "the number of virtual tokens"},
        {61, 1, "a virtual one there is"},
        {61, INT32_MAX, "finite values of the virtual tokens"},
        {65, 0, "the tokens of a prompt"},
        {65, UINT32_MAX, "the tokens of a prompt"},
        {69, (uint32_t)-3, "a virtual one there is"},
        {81, 0x7F800000, "finite values of the virtual tokens"},
        {93, 0xFFC00000, "finite values of the virtual tokens"},
        {97, UINT32_MAX, "where the task came from"},
        {101, 0x01000001, "the name of a task"},
        {124, 1, "labels"},
        {144, 0x7FC00001, "finite values of the virtual tokens"},
    };
    struct prompt_table table;
    struct text bytes = {0};
    small_table(&table);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {.text = ""};
        must_write(&table, &bytes);
        assert_int_equal(bytes.length, 152 + DIGEST);
        for (int b = 0; b < 4; b++)
            bytes.bytes[rows[i].at + (size_t)b] = (char)(rows[i].word >> 8 * b);
        seal(&bytes, bytes.length - DIGEST);
        assert_int_equal(read_copy(bytes.bytes, bytes.length, &err), BAD_MODEL);
        if (!strstr(err.text, rows[i].expected) || !strstr(err.text, "t.prompts: byte "))
            fail_msg("offset %zu: %s", rows[i].at, err.text);
    }
    text_release(&bytes);
}

/* The names of tasks: not twice, no NUL, valid UTF-8, no more than 255 bytes. */
static void test_malformed_names(void **state)
{
    (void)state;
    struct prompt_table table;
    struct text bytes = {0};
    struct error err;
    small_table(&table);
    for (int i = 0; i < 3; i++) {
        must_write(&table, &bytes);
        bytes.bytes[105] = "a\0\xFF"[i];
        seal(&bytes, bytes.length - DIGEST);
        assert_int_equal(read_copy(bytes.bytes, bytes.length, &err), BAD_MODEL);
        assert_non_null(strstr(err.text, i ? "the name of a task" : "that no other task has"));
    }
    char name[258] = {0};
    for (size_t length = 255; length < 257; length++) {
        memset(name, 'n', length);
        table.tasks[0].name = name;
        must_write(&table, &bytes);
        assert_int_equal(read_copy(bytes.bytes, bytes.length, &err),
                         length == 255 ? OK : BAD_MODEL);
    }
    table.tasks[0].name = "a";
    text_release(&bytes);
}

/* Every cut and every changed byte is noticed, with a digest that fits and without. */
static void test_damaged(void **state)
{
    (void)state;
    struct prompt_table table;
    struct text bytes = {0};
    struct error err;
    small_table(&table);
    must_write(&table, &bytes);
    size_t whole = bytes.length;
    for (size_t at = 0; at < whole; at++) {
        bytes.bytes[at] ^= 1;
        assert_int_equal(read_copy(bytes.bytes, whole, &err), BAD_MODEL);
        bytes.bytes[at] ^= 1;
        assert_int_equal(read_copy(bytes.bytes, at, &err), BAD_MODEL);
    }
    assert_int_equal(read_copy(bytes.bytes, whole, &err), OK);
    for (size_t length = 0; length < whole - DIGEST; length++) {
        must_write(&table, &bytes);
        seal(&bytes, length);
        assert_int_equal(read_copy(bytes.bytes, bytes.length, &err), BAD_MODEL);
    }
    text_release(&bytes);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/advisor-prompts-XXXXXX", path[64], wrong[80];
    struct prompt_table table, again;
    struct error err;
    small_table(&table);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/tasks.prompts", folder);
    snprintf(wrong, sizeof wrong, "%s/none/tasks.prompts", folder);
    for (int i = 0; i < 2; i++) /* the second time over the first */
        assert_int_equal(prompt_table_save(&table, path, &err), OK);
    assert_int_equal(prompt_table_load(&again, path, &err), OK);
    assert_same_task(&table.tasks[0], &again.tasks[0], WIDTH);
    prompt_table_release(&again);
    assert_int_equal(prompt_table_save(&table, wrong, &err), FAILED);
    assert_non_null(strstr(err.text, "none/tasks.prompts: the prompt table cannot be written: No"));
    assert_int_equal(prompt_table_load(&again, wrong, &err), FAILED);
    assert_non_null(strstr(err.text, "cannot be read: No such file"));
    assert_int_equal(prompt_table_load(&again, folder, &err), FAILED);
    assert_int_equal(remove(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */
}

/* ---- tasks that were learned ---- */

/* A task of the tests: its data, and what the technique has learned of them. */
struct lesson {
    const char *name, *csv;
    enum task task;
    const char *technique, *setting;
    struct dataset data;
    const struct example *examples[SUBJECT_ROWS];
    struct adapted *adapted;
};

enum { LESSONS = 5 };

static const struct lesson lessons[LESSONS] = {
    {.name = "opinion",
     .csv = data_two_labels,
     .task = TASK_CLASSIFICATION,
     .technique = "prompt_tuning",
     .setting = "num_virtual_tokens=6"},
    {.name = "bank",
     .csv = data_seven_labels,
     .task = TASK_CLASSIFICATION,
     .technique = "p_tuning",
     .setting = "num_virtual_tokens=3;encoder_reparameterization_type=LSTM;encoder_hidden_size=5"},
    {.name = "reply",
     .csv = data_texts,
     .task = TASK_GENERATION,
     .technique = "p_tuning",
     .setting = "num_virtual_tokens=4"},
    {.name = "quiz",
     .csv = data_choices,
     .task = TASK_MULTIPLE_CHOICE,
     .technique = "prompt_tuning",
     .setting = "num_virtual_tokens=2;prompt_tuning_init=RANDOM"},
    {.name = "sums",
     .csv = data_numbers,
     .task = TASK_NUMERIC_ANSWER,
     .technique = "prompt_tuning",
     .setting = "num_virtual_tokens=5"},
};

static void learn_lesson(struct subject *s, struct lesson *l)
{
    struct error err;
    struct dataset_options options = {.task = l->task};
    struct training_report report;
    size_t rows[SUBJECT_ROWS];
    if (dataset_parse("data.csv", l->csv, strlen(l->csv), &options, &l->data, &err) != OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < l->data.count; i++) {
        rows[i] = i;
        l->examples[i] = &l->data.examples[i];
    }
    struct material material = {.data = &l->data, .rows = rows, .count = l->data.count, .seed = 3};
    struct setting setting = subject_setting(s, technique_find(l->technique), l->setting);
    assert_int_equal(setting_set(&setting, "num_epochs=4", &s->arena, &err), OK);
    assert_int_equal(setting_set(&setting, "learning_rate=0.05", &s->arena, &err), OK);
    if (adapted_create(&l->adapted, s->engine, &setting, &material, &err) != OK ||
        trainer_run(l->adapted, &material, NULL, NULL, &report, &err) != OK)
        fail_msg("%s: %s", l->name, err.text);
}

struct school {
    struct subject subject;
    struct lesson lessons[LESSONS];
    struct prompt_table table;
};

static void school_open(struct school *school, int threads)
{
    struct error err;
    subject_open(&school->subject, data_two_labels, TASK_CLASSIFICATION, threads);
    prompt_table_init(&school->table, school->subject.model);
    for (int i = 0; i < LESSONS; i++) {
        struct lesson *l = &school->lessons[i];
        *l = lessons[i];
        learn_lesson(&school->subject, l);
        if (prompt_table_add(&school->table, l->name, l->adapted, NULL, &err) != OK)
            fail_msg("%s", err.text);
    }
}

static void school_close(struct school *school)
{
    for (int i = 0; i < LESSONS; i++) {
        adapted_release(school->lessons[i].adapted);
        dataset_release(&school->lessons[i].data);
    }
    prompt_table_release(&school->table);
    subject_close(&school->subject);
}

/* Requests of all tasks in turn, and what each task answers alone. */
static size_t mix(struct school *school, struct prompt_request *requests,
                  const struct outcome **alone)
{
    struct arena *arena = &school->subject.arena;
    struct error err;
    struct outcome *outcomes[LESSONS];
    size_t count = 0, most = 0;
    for (int i = 0; i < LESSONS; i++) {
        struct lesson *l = &school->lessons[i];
        outcomes[i] = arena_alloc(arena, l->data.count * sizeof *outcomes[i]);
        if (adapted_answer(l->adapted, l->examples, l->data.count, outcomes[i], arena, NULL,
                           &err) != OK)
            fail_msg("%s", err.text);
        most = l->data.count > most ? l->data.count : most;
    }
    for (size_t e = 0; e < most; e++)
        for (int i = 0; i < LESSONS; i++) {
            const struct lesson *l = &school->lessons[i];
            if (e >= l->data.count)
                continue;
            requests[count] = (struct prompt_request){l->name, l->data.examples[e].input, 0};
            alone[count++] = &outcomes[i][e];
        }
    return count;
}

static void assert_alike(const char *task, const struct outcome *found, const struct outcome *want,
                         size_t labels)
{
    assert_int_equal(found->label, want->label);
    assert_int_equal(found->scored, want->scored);
    assert_int_equal(found->request_tokens, want->request_tokens);
    assert_int_equal(found->answer_tokens, want->answer_tokens);
    assert_int_equal(found->text != NULL, want->text != NULL);
    if (want->text)
        assert_string_equal(found->text, want->text);
    for (size_t l = 0; l < labels; l++)
        if (!(fabs((double)(found->probabilities[l] - want->probabilities[l])) < 1e-6))
            fail_msg("%s: label %zu has %g, expected %g", task, l, (double)found->probabilities[l],
                     (double)want->probabilities[l]);
    assert_true(fabs(found->probability - want->probability) < 1e-6);
}

/* Out of the file, in one batch, every task answers as it did when it was learned. */
static void test_mixed_batch(void **state)
{
    (void)state;
    for (int threads = 1; threads < 4; threads += 2) {
        struct school school;
        struct prompt_table table;
        struct prompt_server *server;
        struct text bytes = {0};
        struct error err;
        struct prompt_request requests[SUBJECT_ROWS];
        const struct outcome *alone[SUBJECT_ROWS];
        struct outcome outcomes[SUBJECT_ROWS];
        school_open(&school, threads);
        size_t count = mix(&school, requests, alone);
        must_write(&school.table, &bytes);
        assert_int_equal(prompt_table_read(&table, "t", bytes.bytes, bytes.length, &err), OK);
        if (prompt_server_create(&server, school.subject.engine, &table, &err) != OK)
            fail_msg("%s", err.text);
        prompt_table_release(&table);
        for (int round = 0; round < 2; round++) { /* the second one behind warm prompts */
            if (prompt_server_answer(server, requests, count, outcomes, &school.subject.arena, NULL,
                                     &err) != OK)
                fail_msg("%s", err.text);
            for (size_t i = 0; i < count; i++) {
                size_t labels;
                prompt_server_labels(server, requests[i].task, &labels);
                assert_alike(requests[i].task, &outcomes[i], alone[i], labels);
            }
        }
        prompt_server_release(server);
        text_release(&bytes);
        school_close(&school);
    }
}

/* An answer that a request does not offer is not given. */
static void test_options_not_offered(void **state)
{
    (void)state;
    struct school school;
    struct prompt_server *server;
    struct error err;
    struct outcome outcome;
    const struct prompt_request request = {"quiz", "Which is it?\nA) this\nB) that", 0};
    school_open(&school, 1);
    assert_int_equal(prompt_server_create(&server, school.subject.engine, &school.table, &err), OK);
    assert_int_equal(
        prompt_server_answer(server, &request, 1, &outcome, &school.subject.arena, NULL, &err), OK);
    double sum = (double)outcome.probabilities[0] + (double)outcome.probabilities[1];
    assert_true(fabs(sum - 1) < 1e-6);
    assert_true(outcome.probabilities[2] <= 0);
    assert_in_range(outcome.label, 0, 1);
    prompt_server_release(server);
    school_close(&school);
}

/* One pass holds the requests of several tasks, each behind its own prompt. */
static void test_one_pass(void **state)
{
    (void)state;
    struct school school;
    struct error err;
    struct layout layout;
    struct sequence sequences[2], *sequence;
    const struct adapted *to[2];
    school_open(&school, 1);
    for (int i = 0; i < 2; i++) {
        struct adapted *adapted = school.lessons[i].adapted;
        assert_int_equal(adapted_warm(adapted, &err), OK);
        assert_int_equal(prompt_encode(adapted, school.lessons[i].examples, 1, false,
                                       &school.subject.arena, &sequence, &err),
                         OK);
        sequences[i] = *sequence;
        to[i] = adapted;
    }
    pack_scoring_mixed(to, sequences, 2, &school.subject.arena, &layout);
    int first = to[0]->labels->n_forks, second = to[1]->labels->n_forks;
    assert_true(second > first);
    assert_int_equal(layout.n_segments, first + second);
    assert_int_equal(layout.n_scored, first + second);
    assert_ptr_equal(layout.segments[0].cache, to[0]->prefix_cache);
    assert_ptr_equal(layout.segments[first].cache, to[1]->prefix_cache);
    assert_int_equal(layout.segments[0].position, to[0]->prefix.count);
    assert_int_equal(layout.segments[first].position, to[1]->prefix.count);
    school_close(&school);
}

/* Tasks come and go without a trace in the others. */
static void test_changes(void **state)
{
    (void)state;
    struct school school;
    struct error err;
    struct text before = {0}, after = {0};
    school_open(&school, 1);
    struct prompt_table *table = &school.table;
    must_write(table, &before);
    assert_int_equal(table->count, LESSONS);
    for (int i = 0; i < LESSONS; i++) {
        struct lesson *l = &school.lessons[i];
        struct prompt_task others[LESSONS];
        memcpy(others, table->tasks, sizeof others);
        assert_string_equal(others[0].name, l->name);
        assert_int_equal(prompt_table_remove(table, l->name, &err), OK);
        assert_null(prompt_table_find(table, l->name));
        assert_int_equal(table->count, LESSONS - 1);
        for (int o = 1; o < LESSONS; o++)
            assert_same_task(&others[o], &table->tasks[o - 1], table->width);
        assert_int_equal(prompt_table_add(table, l->name, l->adapted, NULL, &err), OK);
    }
    must_write(table, &after);
    assert_int_equal(before.length, after.length);
    assert_memory_equal(before.bytes, after.bytes, before.length);
    text_release(&before);
    text_release(&after);
    school_close(&school);
}

static void assert_refused(enum status found, enum status status, const struct error *err,
                           const char *expected)
{
    assert_int_equal(found, status);
    if (!strstr(err->text, expected))
        fail_msg("%s", err->text);
}

static void test_refused_changes(void **state)
{
    (void)state;
    struct school school;
    struct error err = {.text = ""};
    school_open(&school, 1);
    struct prompt_table *table = &school.table;
    struct adapted *good = school.lessons[0].adapted;
    char name[257] = {0};
    memset(name, 'n', 256);
    assert_refused(prompt_table_add(table, "", good, NULL, &err), USAGE, &err, "1 to 255 bytes");
    assert_refused(prompt_table_add(table, name, good, NULL, &err), USAGE, &err, "1 to 255 bytes");
    assert_refused(prompt_table_add(table, "\xFF", good, NULL, &err), USAGE, &err,
                   "1 to 255 bytes");
    assert_refused(prompt_table_add(table, "bank", good, NULL, &err), USAGE, &err,
                   "already has a task");
    assert_refused(prompt_table_remove(table, "none", &err), USAGE, &err,
                   "no task \"none\"; expected one of: opinion, bank, reply, quiz, sums");
    static const char *const others[] = {"lora", "prefix_tuning", "zero_shot", "full_finetune"};
    for (size_t i = 0; i < COUNT(others); i++) {
        struct adapted *other = subject_adapt(&school.subject, technique_find(others[i]), "");
        assert_refused(prompt_table_add(table, "new", other, NULL, &err), USAGE, &err,
                       "expected a technique that learns virtual tokens and nothing else");
        adapted_release(other);
    }
    table->model_sha256[0] ^= 1;
    assert_refused(prompt_table_add(table, "new", good, NULL, &err), USAGE, &err,
                   "on another model");
    assert_int_equal(table->count, LESSONS);
    school_close(&school);
}

static void test_refused_requests(void **state)
{
    (void)state;
    struct school school;
    struct error err = {.text = ""};
    struct prompt_server *server;
    struct outcome outcome;
    struct deadline past = {.at = clock_seconds() - 1};
    size_t labels = 7;
    school_open(&school, 1);
    struct arena *arena = &school.subject.arena;
    struct engine *engine = school.subject.engine;
    assert_int_equal(prompt_server_create(&server, engine, &school.table, &err), OK);
    struct text longer = {0};
    text_repeat(&longer, "word ", 300);
    const struct prompt_request unknown = {"none", "x", 0}, fine = {"bank", "x", 0};
    const struct prompt_request too_long = {"bank", text_string(&longer), 7};
    assert_refused(prompt_server_answer(server, &unknown, 1, &outcome, arena, NULL, &err), USAGE,
                   &err, "no task \"none\"; expected one of: opinion, bank, reply, quiz, sums");
    assert_refused(prompt_server_answer(server, &too_long, 1, &outcome, arena, NULL, &err),
                   BAD_DATA, &err, "line 7: the prompt of prompt_table");
    assert_true(prompt_server_reads(server, &fine));
    assert_false(prompt_server_reads(server, &unknown));
    assert_false(prompt_server_reads(server, &too_long));
    assert_int_equal(prompt_server_answer(server, &fine, 1, &outcome, arena, &past, &err),
                     OUT_OF_TIME);
    assert_int_equal(prompt_server_answer(server, NULL, 0, NULL, arena, NULL, &err), OK);
    assert_null(prompt_server_labels(server, "none", &labels));
    assert_int_equal(labels, 0);
    assert_null(prompt_server_labels(server, "reply", &labels));
    assert_string_equal(prompt_server_labels(server, "quiz", &labels)[2].name, "C");
    assert_int_equal(labels, 3);
    prompt_server_release(server);
    text_release(&longer);
    school_close(&school);
}

/* A table for another model, or with what this model does not have. */
static void test_refused_tables(void **state)
{
    (void)state;
    struct school school;
    struct error err = {.text = ""};
    struct prompt_server *server;
    int32_t prompt[1000] = {0};
    school_open(&school, 1);
    struct engine *engine = school.subject.engine;
    struct prompt_task *task = &school.table.tasks[3];
    task->prompt = prompt;
    task->prompt_length = COUNT(prompt);
    assert_refused(prompt_server_create(&server, engine, &school.table, &err), BAD_MODEL, &err,
                   "the prompt of the task \"quiz\" has 1000 tokens; expected fewer than the 256");
    assert_null(server);
    prompt[0] = school.subject.model->n_vocab;
    assert_refused(prompt_server_create(&server, engine, &school.table, &err), BAD_MODEL, &err,
                   "vocabulary ends at 318");
    school.table.width++;
    assert_refused(prompt_server_create(&server, engine, &school.table, &err), USAGE, &err,
                   "was made for another model");
    school.table.width--;
    school_close(&school);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_and_read),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_malformed_names),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_mixed_batch),
        cmocka_unit_test(test_options_not_offered),
        cmocka_unit_test(test_one_pass),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_refused_changes),
        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_refused_tables),
    };
    return cmocka_run_group_tests_name("prompt_table", tests, NULL, NULL);
}
