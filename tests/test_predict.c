/* SPDX-License-Identifier: Apache-2.0
 *
 * Labelling files: the same bytes in one go or in many, with any number of threads; errors name the
 * row; nothing finished is lost.
 */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "artifacts/predict.h"
#include "tests/adapting.h"
#include "tests/export_support.h"
#include "tests/files.h"

#define TINY FIXTURES "tiny.gguf"

enum { PATH = 512, FOLDER = 128, ROWS = 700 /* three chunks */ };

struct bench {
    char folder[FOLDER];
    char export[PATH], input[PATH], output[PATH], partial[PATH], state[PATH];
    struct shop shop;
    struct recalled recalled;
    struct engine *engine; /* of the recalled model */
};

static void join(char out[PATH], const struct bench *bench, const char *name)
{
    snprintf(out, PATH, "%.127s/%.127s", bench->folder, name);
}

static bool is_there(const char *path)
{
    return !access(path, F_OK);
}

/* Rows of several lines, with commas and quotes, of several lengths. */
static void write_inputs(const char *path, int rows)
{
    static const char *const words[] = {"warm", "dull", "no \"\"sense\"\"", "good,", "told\n", "x"};
    struct text out = {0};
    text_add(&out, "id,text\n");
    for (int i = 0; i < rows; i++) {
        text_printf(&out, "%d,\"row %d", i, i);
        for (int w = 0; w < i * 7 % 9; w++)
            text_printf(&out, " %s", words[(i + w) % 6]);
        text_add(&out, "\"\n");
    }
    files_write(path, out.bytes, out.length);
    text_release(&out);
}

static void open_bench(struct bench *bench, const char *technique, const char *data, enum task task)
{
    struct error err;
    struct agreement agreement;
    *bench = (struct bench){0};
    snprintf(bench->folder, sizeof bench->folder, "/tmp/predict-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    join(bench->export, bench, "export");
    join(bench->input, bench, "in.csv");
    join(bench->output, bench, "out.csv");
    join(bench->partial, bench, "out.csv.partial");
    join(bench->state, bench, "out.csv.partial.state");
    shop_open(&bench->shop, TINY, data, task, 2);
    shop_customise(&bench->shop, technique, "", 0.3);
    struct export_request request = shop_request(&bench->shop, "adapter", bench->export);
    request.format = export_format_for(&bench->shop.setting, &request.kept);
    shop_must(export_make(&request, &agreement, &err), &err);
    shop_must(recall_open(&bench->recalled, bench->export, &err), &err);
    bench->engine = engine_create(bench->shop.model, 1);
    shop_must(recall_model(&bench->recalled, bench->engine, 1, &err), &err);
    write_inputs(bench->input, ROWS);
}

static void close_bench(struct bench *bench)
{
    recall_close(&bench->recalled);
    engine_free(bench->engine);
    shop_close(&bench->shop);
    files_remove(bench->folder);
}

static int enter(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    open_bench(bench, "lora", data_two_labels, TASK_CLASSIFICATION);
    *state = bench;
    return 0;
}

static int leave(void **state)
{
    close_bench(*state);
    free(*state);
    return 0;
}

static struct predict_request request_of(const struct bench *bench)
{
    return (struct predict_request){
        .recalled = &bench->recalled, .input = bench->input, .output = bench->output};
}

static void must_predict(const struct predict_request *request, struct predict_result *result)
{
    struct error err;
    if (predict_file(request, result, &err) != OK)
        fail_msg("%s", err.text);
}

/* ---- What is written ------------------------------------------------------------------------ */

static void rows_are_what_the_model_answers(void **state)
{
    struct bench *bench = *state;
    static const char inputs[] = "text\na warm film\n\"weak,\n\nthen weaker\"\nfunny\n";
    struct predict_request request = request_of(bench);
    struct predict_result result;
    struct text out = {0}, expected = {0};
    struct dataset data;
    struct error err;
    struct outcome outcomes[3];
    const struct example *examples[3];
    struct dataset_options options = {.inputs_only = true};
    files_write(bench->input, inputs, strlen(inputs));
    assert_int_equal(dataset_parse("i.csv", inputs, strlen(inputs), &options, &data, &err), OK);
    for (size_t i = 0; i < 3; i++)
        examples[i] = &data.examples[i];
    assert_int_equal(
        adapted_answer(bench->shop.adapted, examples, 3, outcomes, &bench->shop.arena, NULL, &err),
        OK);
    text_add(&expected, "line,label,probability,p_negative,p_positive\r\n");
    static const int lines[] = {2, 3, 6};
    for (size_t i = 0; i < 3; i++) {
        const float *p = outcomes[i].probabilities;
        text_printf(&expected, "%d,%s,%.9g,%.9g,%.9g\r\n", lines[i],
                    outcomes[i].label ? "positive" : "negative", (double)p[outcomes[i].label],
                    (double)p[0], (double)p[1]);
    }
    must_predict(&request, &result);
    files_read(bench->output, &out);
    assert_string_equal(out.bytes, expected.bytes);
    assert_int_equal(result.rows, 3);
    assert_false(is_there(bench->partial) || is_there(bench->state));

    text_clear(&expected);
    for (size_t i = 0; i < 3; i++) {
        const float *p = outcomes[i].probabilities;
        text_printf(&expected,
                    "{\"line\": %d, \"label\": \"%s\", \"probability\": %.9g, \"probabilities\": "
                    "{\"negative\": %.9g, \"positive\": %.9g}}\n",
                    lines[i], outcomes[i].label ? "positive" : "negative",
                    (double)p[outcomes[i].label], (double)p[0], (double)p[1]);
    }
    request.format = PREDICTION_JSONL;
    request.replace = true;
    must_predict(&request, &result);
    files_read(bench->output, &out);
    assert_string_equal(out.bytes, expected.bytes);
    dataset_release(&data);
    text_release(&out);
    text_release(&expected);
}

static void words_are_answers(void **state)
{
    (void)state;
    struct bench bench;
    struct predict_result result;
    struct text out = {0};
    open_bench(&bench, "majority", data_texts, TASK_GENERATION);
    static const char inputs[] = "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n";
    join(bench.input, &bench, "in.jsonl");
    files_write(bench.input, inputs, strlen(inputs));
    struct predict_request request = request_of(&bench);
    must_predict(&request, &result);
    files_read(bench.output, &out);
    assert_string_equal(out.bytes, "line,answer\r\n1,good day\r\n2,good day\r\n");
    request.replace = true;
    request.format = PREDICTION_JSONL;
    must_predict(&request, &result);
    files_read(bench.output, &out);
    assert_string_equal(out.bytes, "{\"line\": 1, \"answer\": \"good day\"}\n"
                                   "{\"line\": 2, \"answer\": \"good day\"}\n");
    text_release(&out);
    close_bench(&bench);
}

/* An option that a question does not list has probability 0. */
static void choices_are_those_offered(void **state)
{
    (void)state;
    struct bench bench;
    struct predict_result result;
    struct text out = {0};
    open_bench(&bench, "zero_shot", data_choices, TASK_MULTIPLE_CHOICE);
    static const char inputs[] = "question\n\"Which is it?\nA) this\nB) that\"\n";
    files_write(bench.input, inputs, strlen(inputs));
    struct predict_request request = request_of(&bench);
    must_predict(&request, &result);
    files_read(bench.output, &out);
    assert_int_equal(strncmp(out.bytes, "line,label,probability,p_A,p_B,p_C\r\n2,", 38), 0);
    assert_string_equal(out.bytes + out.length - 4, ",0\r\n");
    text_release(&out);
    close_bench(&bench);
}

static void threads_do_not_matter(void **state)
{
    struct bench *bench = *state;
    struct text one = {0}, four = {0};
    struct predict_result result;
    struct error err;
    struct predict_request request = request_of(bench);
    must_predict(&request, &result);
    assert_int_equal(result.rows, ROWS);
    files_read(bench->output, &one);
    recall_close(&bench->recalled);
    engine_free(bench->engine);
    bench->engine = engine_create(bench->shop.model, 4);
    assert_int_equal(recall_open(&bench->recalled, bench->export, &err), OK);
    assert_int_equal(recall_model(&bench->recalled, bench->engine, 4, &err), OK);
    request.replace = true;
    must_predict(&request, &result);
    files_read(bench->output, &four);
    assert_int_equal(one.length, four.length);
    assert_memory_equal(one.bytes, four.bytes, one.length);
    text_release(&one);
    text_release(&four);
}

/* ---- Stopped and resumed -------------------------------------------------------------------- */

struct stopping {
    volatile sig_atomic_t signal;
    size_t after; /* rows */
};

static void stop(void *context, size_t done, size_t total)
{
    struct stopping *s = context;
    assert_int_equal(total, ROWS);
    if (done >= s->after)
        s->signal = 1;
}

/* What a kill may leave behind the bytes that count. */
static void tear(const struct bench *bench)
{
    FILE *file = fopen(bench->partial, "ab");
    assert_non_null(file);
    for (int i = 0; i < 20000; i++) /* more than is still to come */
        fputs("99999,posit", file);
    fclose(file);
}

static void resumes_to_the_same_bytes(void **state)
{
    struct bench *bench = *state;
    static const size_t stops[] = {0, 1, 300, 699};
    struct text whole = {0}, found = {0};
    struct predict_result result;
    struct error err;
    struct predict_request request = request_of(bench);
    must_predict(&request, &result);
    files_read(bench->output, &whole);
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        struct stopping stopping = {.after = stops[i]};
        struct deadline deadline = {.signal = &stopping.signal};
        unlink(bench->output);
        struct predict_request stopped = request;
        stopped.deadline = &deadline;
        stopped.context = &stopping;
        stopped.progress = stop;
        enum status status = predict_file(&stopped, &result, &err);
        assert_int_equal(status, stops[i] < 699 ? INTERRUPTED : OK);
        if (status == OK)
            continue;
        assert_non_null(strstr(err.text, "goes on"));
        assert_false(is_there(bench->output));
        size_t before = result.rows;
        assert_int_equal(before % 256, 0);
        tear(bench);
        must_predict(&request, &result);
        assert_int_equal(result.rows, ROWS);
        assert_int_equal(result.resumed, before);
        files_read(bench->output, &found);
        assert_int_equal(found.length, whole.length);
        assert_memory_equal(found.bytes, whole.bytes, whole.length);
        assert_false(is_there(bench->partial) || is_there(bench->state));
    }
    text_release(&whole);
    text_release(&found);
}

static void take_note(void *context, const char *sentence)
{
    text_add(context, sentence);
}

static void begins_anew_for_another_input(void **state)
{
    struct bench *bench = *state;
    struct stopping stopping = {.after = 256};
    struct deadline deadline = {.signal = &stopping.signal};
    struct predict_result result;
    struct text note = {0}, out = {0};
    struct error err;
    struct predict_request request = request_of(bench);
    struct predict_request stopped = request;
    stopped.deadline = &deadline;
    stopped.context = &stopping;
    stopped.progress = stop;
    assert_int_equal(predict_file(&stopped, &result, &err), INTERRUPTED);
    write_inputs(bench->input, 5);
    request.context = &note;
    request.note = take_note;
    must_predict(&request, &result);
    assert_int_equal(result.rows, 5);
    assert_int_equal(result.resumed, 0);
    assert_non_null(strstr(text_string(&note), "beginning anew"));
    files_read(bench->output, &out);
    assert_int_equal(strncmp(out.bytes, "line,label", 10), 0);
    text_release(&note);
    text_release(&out);
}

/* A state that cannot be trusted counts for nothing. */
static void damaged_states_count_for_nothing(void **state)
{
    struct bench *bench = *state;
    static const char *const states[] = {"", "advisor predict 1 abc 1 2 3 4 end\n", "x"};
    struct text whole = {0}, found = {0};
    struct predict_result result;
    struct predict_request request = request_of(bench);
    request.replace = true;
    must_predict(&request, &result);
    files_read(bench->output, &whole);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        files_write(bench->state, states[i], strlen(states[i]));
        files_write(bench->partial, "garbage", 7);
        must_predict(&request, &result);
        files_read(bench->output, &found);
        assert_int_equal(found.length, whole.length);
        assert_memory_equal(found.bytes, whole.bytes, whole.length);
    }
    text_release(&whole);
    text_release(&found);
}

/* The state says more bytes than there are. */
static void missing_bytes_begin_anew(void **state)
{
    struct bench *bench = *state;
    struct stopping stopping = {.after = 256};
    struct deadline deadline = {.signal = &stopping.signal};
    struct predict_result result;
    struct error err;
    struct predict_request request = request_of(bench);
    struct predict_request stopped = request;
    stopped.deadline = &deadline;
    stopped.context = &stopping;
    stopped.progress = stop;
    assert_int_equal(predict_file(&stopped, &result, &err), INTERRUPTED);
    assert_int_equal(truncate(bench->partial, 100), 0);
    must_predict(&request, &result);
    assert_int_equal(result.resumed, 0);
    assert_int_equal(result.rows, ROWS);
}

static void outputs_are_not_overwritten(void **state)
{
    struct bench *bench = *state;
    struct predict_result result;
    struct error err;
    struct text out = {0};
    struct predict_request request = request_of(bench);
    files_write(bench->output, "mine", 4);
    assert_int_equal(predict_file(&request, &result, &err), USAGE);
    assert_non_null(strstr(err.text, "--force"));
    files_read(bench->output, &out);
    assert_string_equal(out.bytes, "mine");
    request.output = bench->folder;
    assert_int_equal(predict_file(&request, &result, &err), USAGE);
    request.output = "/nonexistent/folder/out.csv";
    assert_int_equal(predict_file(&request, &result, &err), FAILED);
    text_release(&out);
}

/* ---- Bad inputs ----------------------------------------------------------------------------- */

struct bad {
    const char *name, *bytes;
    enum status status;
    const char *says;
};

static const struct bad bads[] = {
    {"in.csv", "", BAD_DATA, "the file is empty"},
    {"in.csv", "text\n", BAD_DATA, "no rows"},
    {"in.csv", "text\n\n\n", BAD_DATA, "no rows"},
    {"in.csv", "a,b\n1,2\n", BAD_DATA, "no column has a name known for an input"},
    {"in.csv", "text\nok\n\"\"\n", BAD_DATA, "in.csv:3: the input (column 'text') is empty"},
    {"in.csv", "text,x\nok,1\nbad\n", BAD_DATA, "in.csv:3: this row has 1 field"},
    {"in.csv", "text\nok\n\xFF\n", BAD_DATA, "in.csv:3:1: the byte 0xFF"},
    {"in.csv", "text\n\"ok\n", BAD_DATA, "in.csv:2: a quote opened"},
    {"in.jsonl", "{\"text\":\"ok\"}\n{\"text\":\n", BAD_DATA, "in.jsonl:2:"},
    {"in.jsonl", "{\"text\":\"ok\"}\n{\"x\":\"y\"}\n", BAD_DATA,
     "in.jsonl:2: the input (key 'text') is missing"},
    {"in.json", "[{\"text\":\"ok\"}]", BAD_DATA, "JSON array"},
    {"in.dat", "text\nok\n", BAD_DATA, "the name does not tell the format"},
    {"in.csv", "\x1F\x8B\x08\x00\n", BAD_DATA, "gzip"},
};

static void bad_inputs_are_named(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        struct predict_result result;
        struct error err = {0};
        join(bench->input, bench, bads[i].name);
        files_write(bench->input, bads[i].bytes, strlen(bads[i].bytes));
        struct predict_request request = request_of(bench);
        if (predict_file(&request, &result, &err) != bads[i].status)
            fail_msg("case %zu: %s", i, err.text);
        if (!strstr(err.text, bads[i].says))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, bads[i].says);
        assert_false(is_there(bench->output));
        unlink(bench->input);
    }
    struct predict_result result;
    struct error err;
    struct predict_request request = request_of(bench);
    assert_int_equal(predict_file(&request, &result, &err), BAD_DATA);
    assert_non_null(strstr(err.text, "no such file"));
}

/* A bad row in the third chunk: the first two are kept, and the rest follows when it is mended by
 * leaving it out. */
static void bad_rows_far_behind(void **state)
{
    struct bench *bench = *state;
    struct predict_result result;
    struct error err;
    struct text inputs = {0}, out = {0};
    text_add(&inputs, "text,x\n");
    for (int i = 0; i < ROWS; i++)
        text_add(&inputs, i == 600 ? ",1\n" : i == 650 ? "two\n" : "a film,1\n");
    files_write(bench->input, inputs.bytes, inputs.length);
    struct predict_request request = request_of(bench);
    assert_int_equal(predict_file(&request, &result, &err), BAD_DATA);
    assert_non_null(strstr(err.text, "in.csv:602: the input (column 'text') is empty"));
    assert_true(is_there(bench->partial));
    request.reading.on_bad_row = BAD_ROW_SKIP;
    must_predict(&request, &result);
    assert_int_equal(result.rows, ROWS - 2);
    assert_int_equal(result.skipped, 2);
    files_read(bench->output, &out);
    assert_null(strstr(out.bytes, "\r\n602,"));
    assert_non_null(strstr(out.bytes, "\r\n603,"));
    text_release(&inputs);
    text_release(&out);
}

static void rows_too_long_for_the_model(void **state)
{
    struct bench *bench = *state;
    struct predict_result result;
    struct error err;
    struct text inputs = {0};
    text_add(&inputs, "text\nok\n");
    text_repeat(&inputs, "a very long row ", 100);
    text_add(&inputs, "\nfine\n");
    files_write(bench->input, inputs.bytes, inputs.length);
    struct predict_request request = request_of(bench);
    assert_int_equal(predict_file(&request, &result, &err), BAD_DATA);
    assert_non_null(strstr(err.text, "in.csv: line 3: the prompt of lora"));
    request.reading.on_bad_row = BAD_ROW_SKIP;
    must_predict(&request, &result);
    assert_int_equal(result.rows, 2);
    assert_int_equal(result.skipped, 1);
    text_release(&inputs);
}

static void columns_can_be_named(void **state)
{
    struct bench *bench = *state;
    struct predict_result result;
    struct error err;
    static const char inputs[] = "text;body\nx;a warm film\n";
    files_write(bench->input, inputs, strlen(inputs));
    struct predict_request request = request_of(bench);
    request.reading.delimiter = ';';
    request.reading.input = "body";
    must_predict(&request, &result);
    request.reading.input = "nobody";
    request.replace = true;
    assert_int_equal(predict_file(&request, &result, &err), USAGE);
    assert_non_null(strstr(err.text, "--input"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(rows_are_what_the_model_answers),
        cmocka_unit_test(words_are_answers),
        cmocka_unit_test(choices_are_those_offered),
        TEST(threads_do_not_matter),
        TEST(resumes_to_the_same_bytes),
        TEST(begins_anew_for_another_input),
        TEST(damaged_states_count_for_nothing),
        TEST(missing_bytes_begin_anew),
        TEST(outputs_are_not_overwritten),
        TEST(bad_inputs_are_named),
        TEST(bad_rows_far_behind),
        TEST(rows_too_long_for_the_model),
        TEST(columns_can_be_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
