/* SPDX-License-Identifier: Apache-2.0
 *
 * What a user waits for before any trial runs: a model, a command that needs none, the search for
 * duplicates.
 *
 *     build/bench/bench_start PROGRAM [MODEL [THREADS]]
 *
 * Prints lines `figure value goal met|missed`, and comments after #. A model's seconds are those of
 * the clock, with all cores and the file in the page cache, so they are good for as much as the
 * machine is quiet; the processor time beside them is not much disturbed. Commands are measured by
 * their processor time, which on a quiet machine is what one waits for, and so are the duplicates,
 * whose goal is a ratio. Medians of several runs.
 */
#define _DEFAULT_SOURCE /* sysconf */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "datasets/duplicates.h"
#include "model/gguf.h"
#include "model/tokenizer.h"
#include "model/transformer.h"
#include "tests/bench/goals.h"
#include "tests/bench/programs.h"
#include "tests/default_model.h"

enum { RUNS = 7 };

static const char small_model[] = "tests/parity/fixtures/tiny.gguf";

/* ---- A model -------------------------------------------------------------------------------- */

/* Parts of the work one after the other: the header, the tokenizer, the hash of the file. */
static void measure_parts(const char *path, double parts[3])
{
    struct gguf *gguf;
    struct tokenizer *tokenizer;
    struct error err;
    char sha256[HASH_HEX];
    double start = processor_seconds();
    must(gguf_open(&gguf, path, &err), &err);
    double opened = processor_seconds();
    must(tokenizer_load(&tokenizer, gguf, NULL, &err), &err);
    double loaded = processor_seconds();
    must(hash_file(path, sha256, &err), &err);
    parts[0] = opened - start;
    parts[1] = loaded - opened;
    parts[2] = processor_seconds() - loaded;
    tokenizer_free(tokenizer);
    gguf_free(gguf);
}

static void bench_model(const char *path, int threads)
{
    double seconds[RUNS], processor[RUNS], parts[3][RUNS], run[3];
    struct model *model;
    struct error err;
    measure_parts(path, run); /* brings the file into the page cache */
    for (int i = 0; i < RUNS; i++) {
        double before = processor_seconds(), start = clock_seconds();
        must(model_load_as(&model, path, WEIGHTS_EXPANDED, threads, &err), &err);
        seconds[i] = clock_seconds() - start;
        processor[i] = processor_seconds() - before;
        model_free(model);
        measure_parts(path, run);
        for (int part = 0; part < 3; part++)
            parts[part][i] = run[part];
    }
    double all = median(processor, RUNS), header = median(parts[0], RUNS),
           tokenizer = median(parts[1], RUNS), hash = median(parts[2], RUNS);
    printf("# model: %.3f s of processor time on %d threads: header %.3f, tokenizer %.3f, hash "
           "%.3f, weights %.3f\n",
           all, threads, header, tokenizer, hash, all - header - tokenizer - hash);
    goal_at_most("model_ready_seconds", median(seconds, RUNS), 0.3);
}

/* ---- Commands ------------------------------------------------------------------------------- */

static double measure_command(const char *program, const struct command *command)
{
    double times[RUNS];
    for (int i = 0; i < RUNS; i++)
        times[i] = run_command(program, command).milliseconds;
    return median(times, RUNS);
}

static void run_commands(const char *program, const char *few, const char *many, const char *study)
{
    /* So that there is something to report. */
    const struct command prepare = {"recommend",
                                    {"recommend", few, "--model", small_model, "--techniques",
                                     "majority,zero_shot", "--budget=10s", "--quiet", "--study",
                                     study}};
    const struct command commands[] = {
        {"version", {"--version"}},
        {"help", {"recommend", "--help"}},
        {"manual", {"help", "manual"}},
        {"list_techniques", {"list", "techniques"}},
        {"list_rules", {"list", "rules"}},
        {"advise_numbers",
         {"advise", "--task=classification", "--examples=400", "--labels=6", "--tokens=60",
          "--parameters=7B", "--context=8192", "--memory=24G"}},
        {"advise_demo", {"advise", "demo:tickets"}},
        {"advise_2000_rows", {"advise", many, "--model", small_model}},
        {"report_text", {"report", study}},
        {"report_html", {"report", study, "--format=html"}},
        {"report_json", {"report", study, "--format=json"}},
    };
    run_command(program, &prepare);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s_milliseconds", commands[i].name);
        goal_at_most(name, measure_command(program, &commands[i]), 50);
    }
}

static void bench_commands(const char *program)
{
    char folder[BENCH_PATH], few[BENCH_PATH + 16], many[BENCH_PATH + 16], study[BENCH_PATH + 16];
    bench_folder(folder);
    snprintf(few, sizeof few, "%s/few.csv", folder);
    snprintf(many, sizeof many, "%s/many.csv", folder);
    snprintf(study, sizeof study, "%s/study.db", folder);
    write_rows(few, 60, 6);
    write_rows(many, 2000, 20);
    run_commands(program, few, many, study);
}

/* ---- Duplicates ----------------------------------------------------------------------------- */

static double duplicates_seconds(const char *const *texts, size_t count)
{
    double times[RUNS];
    for (int i = 0; i < RUNS; i++) {
        struct arena arena;
        struct duplicates found;
        arena_init(&arena, NULL);
        double start = processor_seconds();
        duplicates_find(texts, count, &arena, &found);
        times[i] = processor_seconds() - start;
        arena_release(&arena);
    }
    return median(times, RUNS);
}

/* Four times as many rows may take six times as long: lists of candidates grow up to their limit,
 * and caches do not. */
static void bench_duplicates(void)
{
    enum { FEW = 25000, MANY = 4 * FEW, WORDS = 14 };
    struct arena arena;
    struct text text = {0};
    struct random random = random_stream(1, "texts", 0);
    arena_init(&arena, NULL);
    const char **texts = arena_alloc(&arena, MANY * sizeof *texts);
    for (size_t i = 0; i < MANY; i++) {
        text_clear(&text);
        for (int w = 0; w < WORDS; w++)
            text_printf(&text, "w%zu ", random_below(&random, 3000));
        texts[i] = arena_strdup(&arena, text_string(&text));
    }
    double few = duplicates_seconds(texts, FEW), many = duplicates_seconds(texts, MANY);
    printf("# duplicates: %.3f s of processor time for %d rows of %d words, %.3f s for %d\n", few,
           FEW, WORDS, many, MANY);
    goal_at_most("duplicates_100k_over_25k_rows", many / few, 6);
    text_release(&text);
    arena_release(&arena);
}

int main(int argc, char **argv)
{
    char path[MODEL_PATH];
    bool given = argc > 2 && *argv[2];
    if (argc < 2) {
        fprintf(stderr, "Usage: bench_start PROGRAM [MODEL [THREADS]]\n");
        return USAGE;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (given || default_model(path))
        bench_model(given ? argv[2] : path, argc > 3 ? atoi(argv[3]) : (int)cores);
    bench_commands(argv[1]);
    bench_duplicates();
    return 0;
}
