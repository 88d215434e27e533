/* SPDX-License-Identifier: Apache-2.0
 *
 * This project's side of the comparison that peers.py makes; see there.
 *
 *     build/bench/bench_peers [MODEL [THREADS]]
 *
 * Reads one command a line and answers each with one line of JSON:
 *
 *   texts        the token ids of all the work below, for the peers to do the same
 *   score        labels for prompts of 48 to 64 tokens, packed, behind a shared instruction
 *   lora, full   training steps on 16 examples each: LoRA with r 8 everywhere, or all weights
 *   decode       greedy answers to many requests at once
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/bench/rates.h"

enum {
    SHORTEST = 48, /* tokens of a prompt that is scored */
    LONGEST = 64,
    SCORED = 64, /* at most; there are fewer */
    TRAINED = 48,
    DECODED = 96,
    MOST_LABELS = 16,
    ANSWER = 64 /* tokens that are decoded for each request, at most */
};

static const char plain[] = "calibration=none";
static const char letter[] = "instruction=Write a friendly and detailed answer to the customer.";

/* One kind of work: what runs it, and on which rows of the data. */
struct work {
    struct adapted *adapted;
    struct rows rows;
    struct sequence *sequences; /* (rows.count) */
};

struct peers {
    struct bench bench;
    struct work scoring, training, decoding;
};

/* ---- The work ------------------------------------------------------------------------------- */

/* All rows in turn whose request has `shortest` to `longest` tokens, at most `count`. */
static struct work take_rows(struct peers *p, struct adapted *adapted, int shortest, int longest,
                             size_t count)
{
    struct arena *arena = &p->bench.arena;
    const struct dataset *data = &p->bench.data;
    size_t *rows = arena_alloc(arena, count * sizeof *rows);
    struct work work = {.adapted = adapted,
                        .rows = {.at = rows},
                        .sequences = arena_alloc(arena, count * sizeof *work.sequences)};
    for (size_t i = 0; i < data->count && work.rows.count < count; i++) {
        const struct example *example = &data->examples[i];
        struct sequence *sequence;
        struct error err;
        must(prompt_encode(adapted, &example, 1, true, arena, &sequence, &err), &err);
        if (sequence->request < shortest || sequence->request > longest)
            continue;
        work.sequences[work.rows.count] = *sequence;
        rows[work.rows.count++] = i;
    }
    return work;
}

static void make_work(struct peers *p)
{
    struct bench *b = &p->bench;
    const struct rows none = {0};
    p->scoring = take_rows(p, bench_adapt(b, "zero_shot", plain, none), SHORTEST, LONGEST, SCORED);
    const struct label_trie *trie = p->scoring.adapted->labels;
    if (trie->n_forks != 1 || trie->n_choices > MOST_LABELS) { /* the peers read one row for each */
        fputs("bench: this model's tokens of the labels do not all differ in the first\n", stderr);
        exit(BAD_MODEL);
    }
    p->training = take_rows(p, bench_adapt(b, "lora", NULL, none), 1, LONGEST, TRAINED);
    p->decoding = take_rows(p, bench_adapt(b, "zero_shot", letter, none), 1, LONGEST, DECODED);
}

static void release_work(struct peers *p)
{
    adapted_release(p->scoring.adapted);
    adapted_release(p->training.adapted);
    adapted_release(p->decoding.adapted);
}

/* ---- Texts ---------------------------------------------------------------------------------- */

static void print_ids(const int32_t *ids, int count)
{
    putchar('[');
    for (int i = 0; i < count; i++)
        printf("%s%d", i ? "," : "", (int)ids[i]);
    putchar(']');
}

static void print_work(const char *name, const struct work *work)
{
    const struct tokens *prefix = &work->adapted->prefix;
    printf("\"%s\":{\"prefix\":", name);
    print_ids(prefix->ids, (int)prefix->count);
    printf(",\"examples\":[");
    for (size_t i = 0; i < work->rows.count; i++) {
        const struct sequence *s = &work->sequences[i];
        printf("%s{\"request\":", i ? "," : "");
        print_ids(s->ids, s->request);
        printf(",\"answer\":");
        print_ids(s->ids + s->request, s->answer);
        putchar('}');
    }
    printf("]}");
}

/* The tokens among which the label is decided. */
static void print_choices(const struct label_trie *labels)
{
    printf("\"choices\":[");
    for (int i = 0; i < labels->n_choices; i++)
        printf("%s%d", i ? "," : "", (int)labels->choices[i].token);
    putchar(']');
}

static void answer_texts(struct peers *p)
{
    putchar('{');
    print_choices(p->scoring.adapted->labels);
    putchar(',');
    print_work("scoring", &p->scoring);
    putchar(',');
    print_work("training", &p->training);
    putchar(',');
    print_work("decoding", &p->decoding);
    puts("}");
}

/* ---- Measuring ------------------------------------------------------------------------------ */

/* Counts the tokens of the requests alone. */
static void answer_score(struct peers *p)
{
    const struct work *work = &p->scoring;
    const struct label_trie *trie = work->adapted->labels;
    float probabilities[SCORED * MOST_LABELS];
    size_t tokens = 0;
    struct measured measured = bench_score(&p->bench, work->adapted, work->rows, probabilities);
    for (size_t i = 0; i < work->rows.count; i++)
        tokens += (size_t)work->sequences[i].request;
    printf("{\"tokens\":%zu,\"seconds\":%.6f,\"answers\":[", tokens, measured.seconds);
    for (size_t i = 0; i < work->rows.count; i++)
        for (int c = 0; c < trie->n_choices; c++) {
            size_t at = i * p->bench.data.label_count + (size_t)trie->choices[c].label;
            printf("%s%.6f", c ? "," : i ? "],[" : "[", (double)probabilities[at]);
        }
    puts("]]}");
}

/* From the start every time, so that the loss of the first batch is that of the bare model. */
static void answer_train(struct peers *p, const char *technique)
{
    struct work *work = &p->training;
    const struct material material = {
        .data = &p->bench.data, .rows = work->rows.at, .count = work->rows.count};
    struct adapted *adapted = bench_adapt(&p->bench, technique, NULL, work->rows);
    double first_loss;
    struct measured measured = bench_train(adapted, &material, &first_loss);
    adapted_release(adapted);
    printf("{\"tokens\":%.0f,\"examples\":%zu,\"seconds\":%.6f,\"first_loss\":%.6f}\n",
           measured.tokens, work->rows.count, measured.seconds, first_loss);
}

/* Seconds to answer all requests with at most `longest` tokens each. */
static double decode_seconds(struct peers *p, int longest, struct stream *streams)
{
    struct work *work = &p->decoding;
    struct error err;
    for (size_t i = 0; i < work->rows.count; i++)
        streams[i] = generate_stream(work->adapted, &work->sequences[i], longest, &p->bench.arena);
    must(adapted_warm(work->adapted, &err), &err);
    double start = clock_seconds();
    must(generate_run(work->adapted, streams, work->rows.count, longest, 0, NULL, &err), &err);
    return clock_seconds() - start;
}

/* All answers, and how long reading the requests takes of that: the time for one token each. */
static void answer_decode(struct peers *p)
{
    struct arena_mark mark = arena_mark(&p->bench.arena);
    struct stream streams[DECODED];
    size_t tokens = 0, count = p->decoding.rows.count;
    double reading = decode_seconds(p, 1, streams);
    double all = decode_seconds(p, ANSWER, streams);
    for (size_t i = 0; i < count; i++)
        tokens += (size_t)generate_tokens(&streams[i]);
    printf("{\"tokens\":%zu,\"seconds\":%.6f,\"whole_tokens\":%zu,\"whole_seconds\":%.6f,"
           "\"answers\":[",
           tokens - count, all - reading, tokens, all);
    for (size_t i = 0; i < count; i++) {
        printf("%s", i ? "," : "");
        print_ids(streams[i].ids, streams[i].length);
    }
    puts("]}");
    arena_rewind(&p->bench.arena, mark);
}

static void answer(struct peers *p, const char *command)
{
    if (!strcmp(command, "texts"))
        answer_texts(p);
    else if (!strcmp(command, "score"))
        answer_score(p);
    else if (!strcmp(command, "lora"))
        answer_train(p, "lora");
    else if (!strcmp(command, "full"))
        answer_train(p, "full_finetune");
    else if (!strcmp(command, "decode"))
        answer_decode(p);
    else
        puts("null");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct peers p;
    char line[64];
    bench_open(&p.bench, argc > 1 ? argv[1] : NULL, argc > 2 ? atoi(argv[2]) : 0);
    make_work(&p);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        answer(&p, line);
    }
    release_work(&p);
    bench_close(&p.bench);
    return 0;
}
