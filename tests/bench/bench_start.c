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
#define _DEFAULT_SOURCE /* wait4 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
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
#include "tests/default_model.h"

enum { RUNS = 7, MOST_ARGUMENTS = 11, PATH = 256 };

static const char small_model[] = "tests/parity/fixtures/tiny.gguf";

static void must(enum status status, const struct error *err)
{
    if (status == OK)
        return;
    fprintf(stderr, "bench: %s\n", err->text);
    exit((int)status);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[RUNS])
{
    qsort(values, RUNS, sizeof *values, compare);
    return values[RUNS / 2];
}

static void figure(const char *name, double value, double goal)
{
    printf("%s %.3g <=%g %s\n", name, value, goal, value <= goal ? "met" : "missed");
    fflush(stdout);
}

/* ---- A model -------------------------------------------------------------------------------- */

static double processor_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

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
    double all = median(processor), header = median(parts[0]), tokenizer = median(parts[1]),
           hash = median(parts[2]);
    printf("# model: %.3f s of processor time on %d threads: header %.3f, tokenizer %.3f, hash "
           "%.3f, weights %.3f\n",
           all, threads, header, tokenizer, hash, all - header - tokenizer - hash);
    figure("model_ready_seconds", median(seconds), 0.3);
}

/* ---- Commands ------------------------------------------------------------------------------- */

/* Rows of random words out of 3,000, with one of two labels. */
static void write_rows(const char *path, size_t rows, size_t words)
{
    struct random random = random_stream(1, "rows", rows);
    FILE *file = fopen(path, "w");
    if (file)
        fprintf(file, "text,label\n");
    for (size_t i = 0; file && i < rows; i++) {
        for (size_t w = 0; w < words; w++)
            fprintf(file, "w%zu ", random_below(&random, 3000));
        fprintf(file, ",%s\n", random_below(&random, 2) ? "yes" : "no");
    }
    if (!file || fclose(file)) {
        fprintf(stderr, "bench: %s: cannot write: %s\n", path, strerror(errno));
        exit(FAILED);
    }
}

/* Runs the program; its processor time in milliseconds, or -1 when it fails. */
static double run_program(const char *const *arguments)
{
    struct rusage used;
    int status;
    pid_t process = fork();
    if (process == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        if (nowhere >= 0 && dup2(nowhere, 1) >= 0)
            execv(arguments[0], (char *const *)arguments);
        _exit(98);
    }
    if (process < 0 || wait4(process, &status, 0, &used) != process || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0)
        return -1;
    return 1e3 * (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-3 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

struct command {
    const char *name;
    const char *arguments[MOST_ARGUMENTS];
};

static double measure_command(const char *program, const struct command *command, size_t runs)
{
    const char *list[MOST_ARGUMENTS + 2] = {program};
    double times[RUNS];
    for (int i = 0; i < MOST_ARGUMENTS; i++)
        list[i + 1] = command->arguments[i];
    for (size_t i = 0; i < runs; i++)
        if ((times[i] = run_program(list)) < 0) {
            fprintf(stderr, "bench: advisor %s failed\n", command->name);
            exit(FAILED);
        }
    return runs == RUNS ? median(times) : times[0];
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
    measure_command(program, &prepare, 1);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s_milliseconds", commands[i].name);
        figure(name, measure_command(program, &commands[i], RUNS), 50);
    }
}

static void remove_all(const char *folder)
{
    const char *const list[] = {"/bin/rm", "-rf", folder, NULL};
    if (run_program(list) < 0)
        fprintf(stderr, "bench: %s is left behind\n", folder);
}

static void bench_commands(const char *program)
{
    char folder[] = "/tmp/advisor-bench-XXXXXX", few[PATH], many[PATH], study[PATH];
    if (!mkdtemp(folder) || setenv("XDG_DATA_HOME", folder, 1)) {
        fprintf(stderr, "bench: no folder in /tmp: %s\n", strerror(errno));
        exit(FAILED);
    }
    snprintf(few, sizeof few, "%s/few.csv", folder);
    snprintf(many, sizeof many, "%s/many.csv", folder);
    snprintf(study, sizeof study, "%s/study.db", folder);
    write_rows(few, 60, 6);
    write_rows(many, 2000, 20);
    run_commands(program, few, many, study);
    remove_all(folder);
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
    return median(times);
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
    figure("duplicates_100k_over_25k_rows", many / few, 6);
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
