/* SPDX-License-Identifier: Apache-2.0
 *
 * Records trials of every technique on one task, as numbers, one CSV row for each.
 *
 *     build/bench/record TASK TRAIN TEST OUT [name=values]...
 *
 *     techniques=lora,ia3   all registered ones
 *     rates=1e-3,3e-3       the learning rates of each technique; usual: its middle one
 *     examples=128,512      training examples
 *     seeds=1               of the training; the split is always that of seed 0
 *     dev=200 test=300      examples answered, the first ones of each side
 *     threads=1             one process for each core is faster than one for all
 *     set=num_epochs=2      settings of all techniques that have them, separated by ';'
 *     model=FILE
 *     write=FILE            measures nothing: writes the training examples in the order in which
 *                           trials take them, as CSV with text and label, for another program
 *
 * Rows that OUT already has are not measured again, so a recording can be stopped at any time and
 * goes on with the same command. Seconds are those of the processor, summed over the threads, so
 * that another process beside it does not count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "datasets/split.h"
#include "evaluators/evaluate.h"
#include "tests/default_model.h"

enum { MOST_VALUES = 32, LONGEST = 512 };

struct values {
    char text[LONGEST];
    const char *items[MOST_VALUES]; /* in `text` */
    size_t count;
};

struct plan {
    const char *task, *train, *test, *out, *model;
    const char *techniques, *rates, *examples, *seeds, *settings; /* lists; NULL: all */
    const char *write;                                            /* a file, or NULL */
    int dev, test_count, threads;
};

struct recorder {
    struct plan plan;
    struct dataset data, test;
    struct split split;
    struct evaluator evaluator;
    struct arena arena; /* of one trial */
    char *known;        /* what OUT held at the start and what was added */
};

static void must(enum status status, const struct error *err)
{
    if (status == OK)
        return;
    fprintf(stderr, "record: %s\n", err->text);
    exit((int)status);
}

static void refuse(const char *argument)
{
    fprintf(stderr,
            "record: \"%s\" is not an argument; the start of tests/bench/record.c says "
            "which there are\n",
            argument);
    exit(USAGE);
}

static void cut(struct values *values, const char *text, const char *at)
{
    snprintf(values->text, sizeof values->text, "%s", text ? text : "");
    values->count = 0;
    for (char *item = strtok(values->text, at); item && values->count < MOST_VALUES;
         item = strtok(NULL, at))
        values->items[values->count++] = item;
}

static void read_argument(struct plan *plan, const char *argument)
{
    const char *equals = strchr(argument, '=');
    if (!equals)
        refuse(argument);
    size_t length = (size_t)(equals - argument);
    const char *value = equals + 1;
    const struct {
        const char *name;
        const char **text;
        int *number;
    } rows[] = {{"techniques", &plan->techniques, NULL}, {"rates", &plan->rates, NULL},
                {"examples", &plan->examples, NULL},     {"seeds", &plan->seeds, NULL},
                {"set", &plan->settings, NULL},          {"model", &plan->model, NULL},
                {"write", &plan->write, NULL},           {"dev", NULL, &plan->dev},
                {"test", NULL, &plan->test_count},       {"threads", NULL, &plan->threads}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strlen(rows[i].name) != length || strncmp(rows[i].name, argument, length) != 0)
            continue;
        if (rows[i].text)
            *rows[i].text = value;
        else
            *rows[i].number = atoi(value);
        return;
    }
    refuse(argument);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    size_t size = 0, room = 1 << 16;
    char *text = malloc(room);
    for (size_t got; text && (got = fread(text + size, 1, room - size - 1, file)); size += got)
        if (room - size - got < 2)
            text = realloc(text, room *= 2);
    fclose(file);
    if (text)
        text[size] = 0;
    return text;
}

/* ---- One trial ------------------------------------------------------------------------------ */

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

struct stages {
    double scoring; /* processor time when scoring began; 0: not yet */
};

static enum status on_progress(void *context, const char *stage, size_t done, size_t total,
                               struct error *err)
{
    struct stages *stages = context;
    (void)done;
    (void)total;
    (void)err;
    if (!stages->scoring && !strcmp(stage, "scoring"))
        stages->scoring = cpu_seconds();
    return OK;
}

/* One bit for each prediction, the first one highest, as hexadecimal digits. */
static void write_bits(FILE *file, const struct prediction *predictions, size_t count)
{
    fputc(',', file);
    for (size_t i = 0; i < count; i += 4) {
        int digit = 0;
        for (size_t j = i; j < i + 4; j++)
            digit = 2 * digit + (j < count && predictions[j].correct);
        fputc("0123456789abcdef"[digit], file);
    }
}

static void write_number(FILE *file, struct measured value)
{
    fputc(',', file);
    if (value.known)
        fprintf(file, "%.6g", value.value);
}

static const char heading[] =
    "task,technique,learning_rate,examples,seed,setting,dev,test,metric,dev_metric,test_metric,"
    "train_seconds,score_seconds,train_tokens,request_tokens,parameters,peak_bytes,"
    "prequential_nll,final_loss,dev_nll,dev_right,test_right,failure";

struct job {
    const struct technique *technique;
    const char *rate; /* "" when nothing is trained by steps */
    size_t examples;
    uint64_t seed;
};

/* The start of the job's row, by which it is known. */
static void name_job(const struct recorder *r, const struct job *job, char key[LONGEST])
{
    snprintf(key, LONGEST, "\n%s,%s,%s,%zu,%llu,", r->plan.task, job->technique->name, job->rate,
             job->examples, (unsigned long long)job->seed);
}

struct result {
    struct trial_outcome outcome;
    struct prediction *test;
    struct metric_value test_value;
    double train_seconds, score_seconds;
};

static void append(struct recorder *r, const struct job *job, const struct setting *setting,
                   const struct result *result, const char *failure)
{
    FILE *file = fopen(r->plan.out, "a");
    char key[LONGEST];
    struct text json = {0};
    const struct trial_record *t = &result->outcome.record;
    bool done = !*failure;
    if (!file) {
        fprintf(stderr, "record: cannot write %s\n", r->plan.out);
        exit(FAILED);
    }
    name_job(r, job, key);
    setting_json(setting, &json);
    fprintf(file, "%s\"", key + 1);
    for (const char *c = text_string(&json); *c; c++)
        fprintf(file, *c == '"' ? "\"\"" : "%c", *c);
    fprintf(file, "\",%zu,%zu,%s", r->evaluator.dev_count, r->evaluator.test_count,
            r->evaluator.metric->name);
    write_number(file, t->metric);
    write_number(file, done ? measured(result->test_value.value) : (struct measured){0});
    write_number(file, measured(result->train_seconds));
    write_number(file, measured(result->score_seconds));
    write_number(file, measured((double)result->outcome.training.tokens));
    write_number(file, t->tokens_per_request);
    write_number(file, t->trainable_parameters);
    write_number(file, t->peak_memory_bytes);
    write_number(file, t->prequential_nll);
    write_number(file, measured(result->outcome.training.final_loss));
    write_number(file, t->nll);
    write_bits(file, result->outcome.predictions, done ? r->evaluator.dev_count : 0);
    write_bits(file, result->test, done ? r->evaluator.test_count : 0);
    fprintf(file, ",\"%s\"\n", failure);
    fclose(file);
    text_release(&json);
}

static struct setting choose(struct recorder *r, const struct job *job)
{
    struct setting setting = setting_default(job->technique);
    struct values settings;
    struct error err;
    cut(&settings, r->plan.settings, ";");
    for (size_t i = 0; i < settings.count; i++) {
        char name[LONGEST];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(settings.items[i], "="),
                 settings.items[i]);
        if (setting_has(&setting, name))
            must(setting_set(&setting, settings.items[i], &r->arena, &err), &err);
    }
    if (*job->rate)
        setting_set_number(&setting, "learning_rate", strtod(job->rate, NULL), &r->arena);
    return setting;
}

static void run(struct recorder *r, const struct job *job)
{
    char key[LONGEST];
    name_job(r, job, key);
    if (r->known && strstr(r->known, key))
        return;
    arena_clear(&r->arena);
    struct setting setting = choose(r, job);
    struct result result = {0};
    struct stages stages = {0};
    struct trial_hooks hooks = {.context = &stages, .progress = on_progress};
    struct error err = {0};
    double start = cpu_seconds();
    enum status status = evaluate_trial(&r->evaluator, &setting, job->examples, job->seed, &hooks,
                                        NULL, &r->arena, &result.outcome, &err);
    double end = cpu_seconds();
    if (status == OK) {
        result.train_seconds = stages.scoring - start;
        result.score_seconds = end - stages.scoring;
        status = evaluate_test(&r->evaluator, &setting, job->examples, job->seed,
                               result.outcome.artifact, result.outcome.artifact_length, NULL,
                               &r->arena, &result.test, &result.test_value, &err);
    }
    for (char *c = err.text; *c && status != OK; c++)
        if (*c == '"' || *c == '\n')
            *c = '\'';
    append(r, job, &setting, &result, status == OK ? "" : err.text);
    printf("%s %s %s %zu rows, seed %llu: dev %.3f, test %.3f, %.0f s + %.0f s%s%s\n", r->plan.task,
           job->technique->name, job->rate, job->examples, (unsigned long long)job->seed,
           result.outcome.record.metric.value, result.test_value.value, result.train_seconds,
           result.score_seconds, status == OK ? "" : ": ", status == OK ? "" : err.text);
    fflush(stdout);
}

/* ---- All of them ---------------------------------------------------------------------------- */

static bool fits(const struct recorder *r, const struct technique *technique)
{
    if (technique->needs & NEEDS_LABELS && !r->data.label_count)
        return false;
    if (technique->needs & NEEDS_RATIONALE && !r->data.rationale_count)
        return false;
    struct values names;
    cut(&names, r->plan.techniques, ",");
    for (size_t i = 0; i < names.count; i++)
        if (!strcmp(names.items[i], technique->name))
            return true;
    return !r->plan.techniques;
}

static void run_rates(struct recorder *r, struct job job)
{
    struct values rates;
    const char *all = job.technique->learning_rates;
    job.rate = "";
    if (!all) {
        run(r, &job);
        return;
    }
    bool usual = r->plan.rates && !strcmp(r->plan.rates, "usual");
    cut(&rates, r->plan.rates && !usual ? r->plan.rates : all, ",");
    for (size_t i = 0; i < rates.count; i++) {
        if (usual && i != rates.count / 2)
            continue;
        job.rate = rates.items[i];
        run(r, &job);
    }
}

static void run_techniques(struct recorder *r, size_t examples, uint64_t seed)
{
    const struct technique *technique;
    struct job job = {.examples = examples, .seed = seed};
    if (job.examples > r->split.train_count)
        job.examples = r->split.train_count;
    for (size_t i = 0; (technique = technique_at(i)); i++) {
        job.technique = technique;
        if (fits(r, technique))
            run_rates(r, job);
    }
}

static void run_all(struct recorder *r)
{
    struct values seeds, examples;
    cut(&seeds, r->plan.seeds, ",");
    cut(&examples, r->plan.examples, ",");
    for (size_t s = 0; s < seeds.count; s++)
        for (size_t n = 0; n < examples.count; n++)
            run_techniques(r, (size_t)atol(examples.items[n]), strtoull(seeds.items[s], NULL, 10));
}

static void open_data(struct recorder *r)
{
    struct error err;
    must(dataset_load(r->plan.train, NULL, &r->data, &err), &err);
    struct dataset_options reading = {.like = &r->data};
    must(dataset_load(r->plan.test, &reading, &r->test, &err), &err);
    must(split_make(&r->data, &r->test, NULL, &r->split, &err), &err);
    size_t dev = (size_t)r->plan.dev, test = (size_t)r->plan.test_count;
    r->evaluator =
        (struct evaluator){.data = &r->data,
                           .split = &r->split,
                           .dev_count = dev < r->split.dev_count ? dev : r->split.dev_count,
                           .test_count = test < r->split.test_count ? test : r->split.test_count,
                           .metric = metric_for_task(r->data.task)};
}

static void close_data(struct recorder *r)
{
    split_release(&r->split);
    dataset_release(&r->test);
    dataset_release(&r->data);
}

static void write_cell(FILE *file, const char *text, char end)
{
    fputc('"', file);
    for (const char *c = text; *c; c++)
        fprintf(file, *c == '"' ? "\"\"" : "%c", *c);
    fprintf(file, "\"%c", end);
}

static void write_training(const struct recorder *r)
{
    FILE *file = fopen(r->plan.write, "w");
    if (!file) {
        fprintf(stderr, "record: cannot write %s\n", r->plan.write);
        exit(FAILED);
    }
    fputs("text,label\n", file);
    for (size_t i = 0; i < r->split.train_count; i++) {
        const struct example *example = &r->data.examples[r->split.train[i]];
        write_cell(file, example->input, ',');
        write_cell(file, example->target, '\n');
    }
    fclose(file);
}

/* Takes note of the rows there are; a new file gets its heading. */
static void open_out(struct recorder *r)
{
    r->known = read_file(r->plan.out);
    if (r->known && *r->known)
        return;
    FILE *file = fopen(r->plan.out, "w");
    if (!file) {
        fprintf(stderr, "record: cannot write %s\n", r->plan.out);
        exit(FAILED);
    }
    fprintf(file, "%s\n", heading);
    fclose(file);
}

int main(int argc, char **argv)
{
    static char path[MODEL_PATH];
    struct recorder r = {.plan = {.model = path,
                                  .examples = "128",
                                  .seeds = "1",
                                  .dev = 200,
                                  .test_count = 300,
                                  .threads = 1}};
    struct model *model;
    struct error err;
    if (argc < 5) {
        fputs("usage: record TASK TRAIN TEST OUT [name=values]...\n", stderr);
        return USAGE;
    }
    r.plan.task = argv[1], r.plan.train = argv[2], r.plan.test = argv[3], r.plan.out = argv[4];
    for (int i = 5; i < argc; i++)
        read_argument(&r.plan, argv[i]);
    open_data(&r);
    if (r.plan.write) {
        write_training(&r);
        close_data(&r);
        return OK;
    }
    if (r.plan.model == path && !default_model(path))
        return BAD_MODEL;
    open_out(&r);
    must(model_load(&model, r.plan.model, &err), &err);
    r.evaluator.engine = engine_create(model, r.plan.threads);
    arena_init(&r.arena, NULL);
    run_all(&r);
    arena_release(&r.arena);
    engine_free(r.evaluator.engine);
    model_free(model);
    close_data(&r);
    free(r.known);
    return 0;
}
