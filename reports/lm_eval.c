/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of lm-evaluation-harness, so that its tools read ours: a folder for each measured
 * technique, as it has one for each model, with results_TIME.json and samples_TASK_TIME.jsonl; one
 * task for the development examples and one for the test examples.
 *
 * The layout is that of its EvaluationTracker (lm_eval/loggers/evaluation_tracker.py) and
 * evaluator, with answers as "generate_until": a response is the text of the answer. Hashes are
 * SHA-256 of the same bytes as there (json.dumps with indent=2 and ensure_ascii=False), which is
 * why texts are escaped here as Python escapes them. The prompt is not in the study; what stands
 * for it is the user's input. TIME is that of the study, so that the same study gives the same
 * bytes.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "reports/calendar.h"
#include "reports/formats.h"
#include "reports/writer.h"

enum { SLUG = 64 };

/* One task of one technique. */
struct run {
    const struct report *report;
    const struct ranked *ranked;
    enum side side;
    char task[SLUG + 8];
    const struct prediction *predictions; /* may be missing: then there are no samples */
    size_t count;
    struct measured value;
    struct text samples;      /* the lines of its file */
    char task_hash[HASH_HEX]; /* of the hashes of all samples */
};

/* ---- Names -------------------------------------------------------------------------------------
 */

/* Letters, digits, "-" and "_" of a name, small, for a file. */
static void slug(const char *name, char out[SLUG])
{
    size_t n = 0;
    for (const char *c = name; *c && n + 1 < SLUG; c++) {
        char small = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        bool kept = (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9') ||
                    small == '_' || small == '-';
        if (kept)
            out[n++] = small;
        else if (n && out[n - 1] != '_')
            out[n++] = '_';
    }
    out[n] = '\0';
    if (!n)
        memcpy(out, "study", sizeof "study");
}

/* The name of a metric there; the same as here where there is none. */
static const char *metric_name(const char *name)
{
    static const char *const names[][2] = {
        {"accuracy", "acc"}, {"macro_f1", "f1"}, {"matthews", "mcc"}, {"brier", "brier_score"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i][0]))
            return names[i][1];
    return name;
}

/* "2026-08-21T14-03-07.250000": ISO 8601 with "-" for ":". */
static void add_time(const struct report *report, struct text *out)
{
    struct calendar date = calendar_of(report->evidence.created_ms);
    text_printf(out, "%04d-%02d-%02dT%02d-%02d-%02d.%03d000", date.year, date.month, date.day,
                date.hour, date.minute, date.second, date.millisecond);
}

/* How many worked examples stand in the prompt; `setting` is canonical JSON. */
static int64_t shots(const char *setting)
{
    const char *at = setting ? strstr(setting, "\"k\":") : NULL;
    return at ? strtoll(at + strlen("\"k\":"), NULL, 10) : 0;
}

/* ---- Samples -----------------------------------------------------------------------------------
 */

/* As json.dumps(string, ensure_ascii=False) writes it. */
static void add_python(struct text *out, const char *string)
{
    static const char pairs[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    size_t left = strlen(string);
    text_add(out, "\"");
    while (left) {
        uint32_t code;
        int skip = 1;
        int used = utf8_decode(string, left, &code, &skip);
        const char *pair = used == 1 ? strchr(pairs, *string) : NULL;
        while (pair && (pair - pairs) % 2)
            pair = strchr(pair + 1, *string);
        if (!used)
            text_add(out, "\uFFFD");
        else if (pair && *pair)
            text_printf(out, "\\%c", pair[1]);
        else if (code < 0x20)
            text_printf(out, "\\u%04x", (unsigned)code);
        else
            text_append(out, string, (size_t)used);
        string += used ? used : skip;
        left -= (size_t)(used ? used : skip);
    }
    text_add(out, "\"");
}

static void add_hash(struct text *out, const char *bytes, size_t length)
{
    char hex[HASH_HEX] = "";
    hash_bytes(bytes, length, hex, NULL);
    text_add(out, hex);
}

static const struct example_record *find_example(const struct run *run, int64_t example)
{
    const struct evidence *evidence = &run->report->evidence;
    const struct example_record *rows = run->side == SIDE_DEV ? evidence->dev : evidence->test;
    size_t count = run->side == SIDE_DEV ? evidence->dev_count : evidence->test_count;
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle].example < example)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && rows[low].example == example ? &rows[low] : NULL;
}

/* Names of classes by their number, in `arena`. */
static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **class_names(const struct report *report)
{
    const char **names = memory_alloc(report->label_count * sizeof *names + 1);
    for (size_t i = 0; i < report->label_count; i++)
        names[i] = report->labels[i].name;
    qsort(names, report->label_count, sizeof *names, by_bytes);
    return names;
}

static const char *answer_of(const struct run *run, const struct prediction *prediction,
                             const char *const *names)
{
    if (prediction->label >= 0 && (size_t)prediction->label < run->report->label_count)
        return names[prediction->label];
    return prediction->text ? prediction->text : "";
}

static const char *target_of(const struct run *run, const struct prediction *prediction,
                             const struct example_record *example, const char *const *names)
{
    if (prediction->truth >= 0 && (size_t)prediction->truth < run->report->label_count)
        return names[prediction->truth];
    return example ? example->target : "";
}

/* The three hashes of a sample, and the same appended to `all`. */
static void add_hashes(struct text *line, struct text *all, const char *input, const char *target)
{
    struct text doc = {0}, hashes = {0};
    text_add(&doc, "{\n  \"input\": ");
    add_python(&doc, input);
    text_add(&doc, ",\n  \"target\": ");
    add_python(&doc, target);
    text_add(&doc, "\n}");
    add_hash(&hashes, doc.bytes, doc.length);
    add_hash(&hashes, input, strlen(input));
    add_hash(&hashes, target, strlen(target));
    text_printf(line, ", \"doc_hash\": \"%.64s\", \"prompt_hash\": \"%.64s\", ", hashes.bytes,
                hashes.bytes + 64);
    text_printf(line, "\"target_hash\": \"%.64s\"", hashes.bytes + 128);
    text_append(all, hashes.bytes, hashes.length);
    text_release(&hashes);
    text_release(&doc);
}

static void add_sample(struct run *run, size_t i, const char *const *names, struct text *hashes)
{
    struct text *line = &run->samples;
    const struct prediction *prediction = &run->predictions[i];
    const struct example_record *example = find_example(run, prediction->example);
    const char *input = example ? example->input : "";
    const char *target = target_of(run, prediction, example, names);
    const char *answer = answer_of(run, prediction, names);
    const char *metric = run->report->label_count ? "acc" : "exact_match";
    text_printf(line, "{\"doc_id\": %" PRId64 ", \"doc\": {\"input\": ", prediction->example);
    add_python(line, input);
    text_add(line, ", \"target\": ");
    add_python(line, target);
    text_add(line, "}, \"target\": ");
    add_python(line, target);
    text_add(line, ", \"arguments\": {\"gen_args_0\": {\"arg_0\": ");
    add_python(line, input);
    text_add(line, ", \"arg_1\": {}}}, \"resps\": [[");
    add_python(line, answer);
    text_add(line, "]], \"filtered_resps\": [");
    add_python(line, answer);
    text_printf(line, "], \"filter\": \"none\", \"metrics\": [\"%s\"]", metric);
    add_hashes(line, hashes, input, target);
    text_printf(line, ", \"%s\": %s}\n", metric, prediction->correct ? "1.0" : "0.0");
}

static void fill_samples(struct run *run)
{
    const char **names = class_names(run->report);
    struct text hashes = {0};
    for (size_t i = 0; i < run->count; i++)
        add_sample(run, i, names, &hashes);
    hash_bytes(text_string(&hashes), hashes.length, run->task_hash, NULL);
    text_release(&hashes);
    free(names);
}

/* ---- Runs --------------------------------------------------------------------------------------
 */

static struct run run_of(const struct report *report, const struct ranked *ranked, enum side side)
{
    const struct ranked_answers *answers = report_answers(report, ranked->technique);
    bool dev = side == SIDE_DEV;
    struct run run = {.report = report, .ranked = ranked, .side = side};
    char name[SLUG];
    slug(report->study ? report->study : report->data_path, name);
    snprintf(run.task, sizeof run.task, "%s_%s", name, dev ? "dev" : "test");
    run.value = dev ? ranked->metric : ranked->test_metric;
    run.count = dev ? report->dev_used : report->test_used;
    if (!answers)
        return run;
    run.predictions = dev ? answers->dev : answers->test;
    run.count = dev ? answers->dev_count : answers->test_count;
    fill_samples(&run);
    return run;
}

/* Development and test side, the second only of what was tested. Returns how many. */
static size_t runs_of(const struct report *report, const struct ranked *ranked, struct run runs[2])
{
    size_t count = 1;
    runs[0] = run_of(report, ranked, SIDE_DEV);
    if (ranked->test_metric.known)
        runs[count++] = run_of(report, ranked, SIDE_TEST);
    return count;
}

static void runs_release(struct run *runs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        text_release(&runs[i].samples);
}

/* ---- Results -----------------------------------------------------------------------------------
 */

/* Standard error of a mean of zeros and ones, as there: the sample's deviation over sqrt(n). */
static void write_error(struct writer *w, const struct run *run, const char *metric)
{
    const struct metric *known = metric_find(run->report->metric);
    double p = run->value.value, n = (double)run->count;
    char key[96];
    snprintf(key, sizeof key, "%.64s_stderr,none", metric);
    if (known && known->proportion && run->value.known && n > 1)
        write_number(w, key, sqrt(p * (1 - p) / (n - 1)));
    else
        write_string(w, key, "N/A");
}

static void write_results(struct writer *w, const struct run *runs, size_t count)
{
    write_object(w, "results");
    for (size_t i = 0; i < count; i++) {
        const char *metric = metric_name(runs[i].report->metric);
        char key[96];
        snprintf(key, sizeof key, "%.64s,none", metric);
        write_object(w, runs[i].task);
        write_string(w, "alias", runs[i].task);
        write_integer(w, "sample_len", (int64_t)runs[i].count);
        write_measured(w, key, runs[i].value);
        write_error(w, &runs[i], metric);
        write_object_end(w);
    }
    write_object_end(w);
}

static void write_config_of(struct writer *w, const struct run *run)
{
    const struct metric *metric = metric_find(run->report->metric);
    write_object(w, run->task);
    write_string(w, "task", run->task);
    write_string(w, "dataset_path",
                 run->side == SIDE_TEST && run->report->test_path ? run->report->test_path
                                                                  : run->report->data_path);
    write_string(w, "output_type", "generate_until");
    write_string(w, "doc_to_text", "{{input}}");
    write_string(w, "doc_to_target", "{{target}}");
    write_array(w, "metric_list");
    write_object(w, NULL);
    write_string(w, "metric", metric_name(run->report->metric));
    write_string(w, "aggregation", "mean");
    write_bool(w, "higher_is_better", !metric || metric->higher_is_better);
    write_object_end(w);
    write_array_end(w);
    write_integer(w, "num_fewshot", shots(run->ranked->setting));
    write_integer(w, "repeats", 1);
    write_json(w, "metadata", "{\"version\": 1}");
    write_object_end(w);
}

static void write_task_tables(struct writer *w, const struct run *runs, size_t count)
{
    write_object(w, "group_subtasks");
    for (size_t i = 0; i < count; i++)
        write_json(w, runs[i].task, "[]");
    write_object_end(w);
    write_object(w, "configs");
    for (size_t i = 0; i < count; i++)
        write_config_of(w, &runs[i]);
    write_object_end(w);
    write_object(w, "versions");
    for (size_t i = 0; i < count; i++)
        write_integer(w, runs[i].task, 1);
    write_object_end(w);
    write_object(w, "n-shot");
    for (size_t i = 0; i < count; i++)
        write_integer(w, runs[i].task, shots(runs[i].ranked->setting));
    write_object_end(w);
}

static void write_task_facts(struct writer *w, const struct run *runs, size_t count)
{
    const struct report *report = runs[0].report;
    const struct metric *metric = metric_find(report->metric);
    write_object(w, "higher_is_better");
    for (size_t i = 0; i < count; i++) {
        write_object(w, runs[i].task);
        write_bool(w, metric_name(report->metric), !metric || metric->higher_is_better);
        write_object_end(w);
    }
    write_object_end(w);
    write_object(w, "n-samples");
    for (size_t i = 0; i < count; i++) {
        write_object(w, runs[i].task);
        write_integer(w, "original",
                      (int64_t)(runs[i].side == SIDE_DEV ? report->dev : report->test));
        write_integer(w, "effective", (int64_t)runs[i].count);
        write_object_end(w);
    }
    write_object_end(w);
}

static void write_config(struct writer *w, const struct run *run)
{
    static const char *const unknown[] = {"batch_size", "device",     "use_cache",
                                          "limit",      "gen_kwargs", "bootstrap_iters",
                                          "numpy_seed", "torch_seed"};
    struct text arguments = {0};
    text_printf(&arguments, "technique=%s,setting=%s", run->ranked->technique,
                run->ranked->setting);
    write_object(w, "config");
    write_string(w, "model", "advisor");
    write_string(w, "model_args", text_string(&arguments));
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        write_null(w, unknown[i]);
    write_integer(w, "random_seed", (int64_t)run->report->seed);
    write_integer(w, "fewshot_seed", (int64_t)run->report->seed);
    write_object_end(w);
    text_release(&arguments);
}

static void write_origin(struct writer *w, const struct run *runs, size_t count)
{
    static const char *const unknown[] = {"git_hash",           "lm_eval_version",
                                          "system_instruction", "system_instruction_sha",
                                          "chat_template",      "chat_template_sha"};
    const struct report *report = runs[0].report;
    struct text name = {0}, seconds = {0};
    char folder[SLUG];
    slug(runs[0].ranked->technique, folder);
    text_printf(&name, "%s + %s", report->model_name, runs[0].ranked->technique);
    text_printf(&seconds, "%.12g", runs[0].ranked->trial_seconds.value);
    write_integer(w, "date", report->evidence.created_ms / 1000);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        write_null(w, unknown[i]);
    write_string(w, "model_source", "advisor");
    write_string(w, "model_name", text_string(&name));
    write_string(w, "model_name_sanitized", folder);
    write_bool(w, "fewshot_as_multiturn", false);
    write_object(w, "task_hashes");
    for (size_t i = 0; i < count; i++)
        if (*runs[i].task_hash)
            write_string(w, runs[i].task, runs[i].task_hash);
    write_object_end(w);
    write_string(w, "total_evaluation_time_seconds", text_string(&seconds));
    text_release(&name);
    text_release(&seconds);
}

static void write_document(const struct run *runs, size_t count, struct text *out)
{
    struct writer w = writer_begin(out);
    write_object(&w, NULL);
    write_results(&w, runs, count);
    write_task_tables(&w, runs, count);
    write_task_facts(&w, runs, count);
    write_config(&w, &runs[0]);
    write_origin(&w, runs, count);
    write_object_end(&w);
    writer_end(&w);
}

/* ---- The format --------------------------------------------------------------------------------
 */

void write_lm_eval_report(const struct report *report, struct report_style style, struct text *out)
{
    (void)style;
    const struct ranked *ranked = report_ranked(report, report->technique);
    struct run runs[2];
    if (!ranked && report->ranking_count)
        ranked = &report->ranking[0];
    if (!ranked) {
        text_add(out, "{\"results\": {}}\n");
        return;
    }
    size_t count = runs_of(report, ranked, runs);
    write_document(runs, count, out);
    runs_release(runs, count);
}

static enum status put_technique(const struct report *report, const struct ranked *ranked,
                                 const struct report_sink *sink, struct error *err)
{
    struct run runs[2];
    struct text path = {0}, document = {0};
    char folder[SLUG];
    slug(ranked->technique, folder);
    size_t count = runs_of(report, ranked, runs);
    text_printf(&path, "%s/results_", folder);
    add_time(report, &path);
    text_add(&path, ".json");
    write_document(runs, count, &document);
    enum status status = sink->put(sink->context, text_string(&path), &document, err);
    for (size_t i = 0; i < count && status == OK; i++) {
        if (!runs[i].predictions)
            continue;
        text_clear(&path);
        text_printf(&path, "%s/samples_%s_", folder, runs[i].task);
        add_time(report, &path);
        text_add(&path, ".jsonl");
        status = sink->put(sink->context, text_string(&path), &runs[i].samples, err);
    }
    runs_release(runs, count);
    text_release(&path);
    text_release(&document);
    return status;
}

enum status write_lm_eval_files(const struct report *report, const struct report_sink *sink,
                                struct error *err)
{
    enum status status = OK;
    for (size_t i = 0; i < report->ranking_count && status == OK; i++)
        if (report->ranking[i].status == STANDING_MEASURED)
            status = put_technique(report, &report->ranking[i], sink, err);
    return status;
}
