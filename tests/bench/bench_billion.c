/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a model with a billion parameters trains LoRA in the memory it is given.
 *
 *     build/bench/bench_billion PROGRAM [MODEL]
 *
 * Writes a model of the shape of Llama 3.2 1B with random 4-bit weights and the tokenizer of MODEL
 * into a folder of its own below /tmp (0.9 GB, removed again), and trains and scores it with the
 * program. Prints lines `figure value goal met|missed`, and comments after #.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "tests/bench/goals.h"
#include "tests/bench/made_model.h"
#include "tests/bench/programs.h"
#include "tests/default_model.h"

enum { ROWS = 24, WORDS = 6 }; /* some 20 tokens a row */

static const double gigabyte = 0x1p30;

/* Where things are. */
struct places {
    char folder[BENCH_PATH];
    char model[BENCH_PATH + 16], rows[BENCH_PATH + 16], result[BENCH_PATH + 16];
};

static void make_places(struct places *p)
{
    bench_folder(p->folder);
    snprintf(p->model, sizeof p->model, "%s/billion.gguf", p->folder);
    snprintf(p->rows, sizeof p->rows, "%s/rows.csv", p->folder);
    snprintf(p->result, sizeof p->result, "%s/result.json", p->folder);
    write_rows(p->rows, ROWS, WORDS);
}

/* A number in what a command wrote, at the top or in the first entry of a list; 0: there is none.
 */
static double result_number(const struct places *p, const char *list, const char *key)
{
    json_t *all = json_load_file(p->result, 0, NULL);
    const json_t *at = list ? json_array_get(json_object_get(all, list), 0) : all;
    double number = json_number_value(json_object_get(at, key));
    json_decref(all);
    return number;
}

/* What the plan of a study says that a trial takes. */
static double planned_bytes(const char *program, const struct places *p)
{
    const struct command plan = {"recommend",
                                 {"recommend", p->rows, "--model", p->model, "--techniques=lora",
                                  "--max-memory=3G", "--dry-run", "--quiet", "--json", "-o",
                                  p->result}};
    run_command(program, &plan);
    return result_number(p, "techniques", "memory_bytes");
}

static void train(const char *program, const struct places *p)
{
    const struct command trial = {"trial lora",
                                  {"trial", "lora", p->rows, "--model", p->model, "--examples=8",
                                   "--set=num_epochs=1", "--max-memory=3G", "--budget=10h",
                                   "--quiet", "--json", "-o", p->result}};
    double start = clock_seconds();
    struct used used = run_command(program, &trial);
    printf("# LoRA on 8 examples, and scoring: %.0f s, %.0f s of the processor\n",
           clock_seconds() - start, used.milliseconds / 1e3);
    goal_at_most("one_billion_lora_peak_gb", used.bytes / gigabyte, 3);
    double own = result_number(p, NULL, "peak_memory_bytes");
    printf("# without itself the program counts %.2f GB; it plans %.2f GB with layers run again\n",
           own / gigabyte, planned_bytes(program, p) / gigabyte);
}

/* What cannot be is refused, and that takes no more memory than it may. */
static void refuse(const char *program, const struct places *p)
{
    const struct command trial = {"trial lora under 1G",
                                  {"trial", "lora", p->rows, "--model", p->model, "--examples=8",
                                   "--max-memory=1G", "--quiet"}};
    goal_at_most("one_billion_refused_under_1g_peak_gb",
                 run_refused(program, &trial).bytes / gigabyte, 1);
}

int main(int argc, char **argv)
{
    char tokenizer[MODEL_PATH];
    struct places places;
    if (argc < 2) {
        fprintf(stderr, "Usage: bench_billion PROGRAM [MODEL]\n");
        return USAGE;
    }
    bool given = argc > 2 && *argv[2];
    if (!given && !default_model(tokenizer))
        return BAD_MODEL;
    make_places(&places);
    double start = clock_seconds();
    double parameters = made_model_write(places.model, &llama_1b, given ? argv[2] : tokenizer);
    printf("# %s, %.2f billion parameters, written in %.0f s\n", llama_1b.name, parameters / 1e9,
           clock_seconds() - start);
    refuse(argv[1], &places);
    train(argv[1], &places);
    return 0;
}
