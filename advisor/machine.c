/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"
#include "techniques/adapted.h"
#include "techniques/trainer.h"

enum { SHORT_TEXT = 32, LONG_TEXT = 192, EXAMPLES_PER_THREAD = 4, LONG_PER_THREAD = 1 };

/* ---- What there is ----------------------------------------------------------------------------
 */

/* The number that `text` begins with, in units of `unit`. */
static struct measured read_digits(const char *text, double unit)
{
    char *end;
    double number = strtod(text, &end);
    return (struct measured){end > text && number >= 0, number * unit};
}

/* "MemTotal:  23456 kB" */
static struct measured read_meminfo(const char *key)
{
    FILE *file = fopen("/proc/meminfo", "r");
    char line[256];
    struct measured value = {0};
    size_t length = strlen(key);
    while (file && !value.known && fgets(line, sizeof line, file)) {
        if (!strncmp(line, key, length) && line[length] == ':')
            value = read_digits(line + length + 1, 1024);
    }
    if (file)
        fclose(file);
    return value;
}

/* A number in a file of its own; not known when it is "max" or the file is missing. */
static struct measured read_number_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[256];
    struct measured value = {0};
    if (file && fgets(line, sizeof line, file))
        value = read_digits(line, 1);
    if (file)
        fclose(file);
    return value;
}

static struct measured smaller(struct measured a, struct measured b)
{
    if (!a.known || !b.known)
        return a.known ? a : b;
    return a.value < b.value ? a : b;
}

struct machine machine_describe(int cores)
{
    struct measured limit = read_number_file("/sys/fs/cgroup/memory.max");
    struct measured used = read_number_file("/sys/fs/cgroup/memory.current");
    struct measured left = {0};
    if (limit.known && used.known)
        left = measured(limit.value > used.value ? limit.value - used.value : 0);
    return (struct machine){.cores = cores,
                            .memory_bytes = smaller(read_meminfo("MemTotal"), limit),
                            .memory_available_bytes = smaller(read_meminfo("MemAvailable"), left)};
}

/* ---- How fast a model is ----------------------------------------------------------------------
 */

/* Texts of about one length, as a dataset without labels. */
struct probe {
    struct arena arena;
    struct engine *engine;
    struct dataset data;
    const struct example **examples;
    size_t *rows;
    size_t count;
    const struct deadline *deadline;
};

/* Bytes of at most `most` of `text` that end with a whole character. */
static size_t whole_characters(const char *text, size_t most)
{
    size_t length = strlen(text);
    if (length <= most)
        return length;
    while (most && ((unsigned char)text[most] & 0xC0) == 0x80)
        most--;
    return most;
}

/* A text of at least `tokens` tokens: inputs of the data one after the other, from number `from`
 * on. */
static enum status make_text(struct probe *p, const struct dataset *data, size_t from, int tokens,
                             const char **out, struct error *err)
{
    struct tokens ids = {0};
    struct text text = {0};
    enum status status = OK;
    for (size_t i = from; status == OK && ids.count < (size_t)tokens; i++) {
        const char *input = data->examples[i % data->count].input;
        size_t before = text.length;
        text_add(&text, before ? " " : "");
        text_append(&text, input, whole_characters(input, (size_t)tokens * 8));
        status = tokenizer_encode(p->engine->model->tokenizer, text_string(&text) + before,
                                  text.length - before, &ids, NULL, err);
    }
    *out = arena_strdup(&p->arena, text_string(&text));
    tokens_release(&ids);
    text_release(&text);
    return status;
}

/* Cuts a text at a character so that it has about `tokens` tokens. */
static enum status cut_text(struct probe *p, const char *text, int tokens, const char **out,
                            struct error *err)
{
    struct tokens ids = {0};
    size_t length = strlen(text);
    enum status status =
        tokenizer_encode(p->engine->model->tokenizer, text, length, &ids, NULL, err);
    if (status == OK && ids.count > (size_t)tokens)
        length = length * (size_t)tokens / ids.count;
    *out = arena_strndup(&p->arena, text, whole_characters(text, length));
    tokens_release(&ids);
    return status;
}

static enum status make_examples(struct probe *p, const struct dataset *data, int tokens,
                                 size_t count, struct error *err)
{
    struct example *examples = arena_zalloc(&p->arena, count * sizeof *examples);
    enum status status = OK;
    p->count = count;
    p->examples = arena_alloc(&p->arena, count * sizeof(struct example *));
    p->rows = arena_alloc(&p->arena, count * sizeof *p->rows);
    for (size_t i = 0; i < count && status == OK; i++) {
        examples[i] = (struct example){.target = "1", .line = i + 1, .label = -1};
        status = make_text(p, data, i * 7, tokens, &examples[i].input, err);
        if (status == OK)
            status = cut_text(p, examples[i].input, tokens, &examples[i].input, err);
        p->examples[i] = &examples[i];
        p->rows[i] = i;
    }
    p->data = (struct dataset){
        .path = data->path, .examples = examples, .count = count, .task = TASK_NUMERIC_ANSWER};
    return status;
}

/* The first technique that asks the model as it is, or that trains a small part of it. */
static const struct technique *find(bool trains)
{
    const struct technique *technique;
    for (size_t i = 0; (technique = technique_at(i)); i++)
        if (trains ? technique->learning_rates && !strcmp(technique->family, "peft")
                   : technique->needs == NEEDS_MODEL && !technique->learning_rates)
            return technique;
    return NULL;
}

static enum status adapt(struct probe *p, bool trains, struct adapted **adapted, struct error *err)
{
    struct material material = {.data = &p->data, .rows = p->rows, .count = p->count};
    const struct technique *technique = find(trains);
    *adapted = NULL;
    if (!technique)
        return error_set(err, FAILED, "there is no technique to measure the speed with");
    struct setting setting = setting_default(technique);
    if (trains)
        setting_set_number(&setting, "num_epochs", 1, &p->arena);
    return adapted_create(adapted, p->engine, &setting, &material, err);
}

static enum status time_forward(struct probe *p, struct measured *speed, struct error *err)
{
    struct adapted *adapted;
    struct outcome *outcomes = arena_zalloc(&p->arena, p->count * sizeof *outcomes);
    double tokens = 0;
    enum status status = adapt(p, false, &adapted, err);
    if (adapted)
        adapted->longest_answer = 1;
    if (status == OK)
        status = adapted_warm(adapted, err);
    double start = clock_seconds();
    if (status == OK)
        status =
            adapted_answer(adapted, p->examples, p->count, outcomes, &p->arena, p->deadline, err);
    double seconds = clock_seconds() - start;
    for (size_t i = 0; i < p->count; i++)
        tokens += outcomes[i].request_tokens + outcomes[i].answer_tokens;
    if (status == OK && seconds > 0)
        *speed = measured(tokens / seconds);
    adapted_release(adapted);
    return status;
}

static enum status time_training(struct probe *p, struct measured *speed, struct error *err)
{
    struct adapted *adapted;
    struct training_report report;
    struct material material = {.data = &p->data, .rows = p->rows, .count = p->count};
    enum status status = adapt(p, true, &adapted, err);
    if (status == OK)
        status = trainer_run(adapted, &material, NULL, p->deadline, &report, err);
    if (status == OK && report.seconds > 0)
        *speed = measured((double)report.tokens / report.seconds);
    adapted_release(adapted);
    return status;
}

static enum status probe_length(struct probe *p, const struct dataset *data, struct speed *speed,
                                size_t count, struct error *err)
{
    enum status status = make_examples(p, data, speed->tokens, count, err);
    if (status == OK)
        status = time_forward(p, &speed->forward, err);
    if (status == OK)
        status = time_training(p, &speed->training, err);
    return status;
}

enum status machine_probe(struct engine *engine, const struct dataset *data,
                          const struct deadline *deadline, struct speed speeds[SPEEDS],
                          struct error *err)
{
    static const int lengths[SPEEDS] = {SHORT_TEXT, LONG_TEXT};
    static const int each[SPEEDS] = {EXAMPLES_PER_THREAD, LONG_PER_THREAD};
    size_t threads = (size_t)pool_threads(engine->pool);
    enum status status = OK;
    for (size_t i = 0; i < SPEEDS; i++) {
        int most = engine->model->n_context / 2;
        speeds[i] = (struct speed){.tokens = lengths[i] < most ? lengths[i] : most};
    }
    for (size_t i = 0; i < SPEEDS && status == OK; i++) {
        struct probe probe = {.engine = engine, .deadline = deadline};
        arena_init(&probe.arena, NULL);
        status = probe_length(&probe, data, &speeds[i], threads * (size_t)each[i], err);
        arena_release(&probe.arena);
    }
    return status == OUT_OF_TIME ? OK : status;
}
