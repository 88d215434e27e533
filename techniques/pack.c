/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/pack.h"

#include <stdlib.h>
#include <string.h>

static int rows_of(const struct sequence *sequence, int extra)
{
    return sequence->request + (sequence->answer ? sequence->answer - 1 : 0) + extra;
}

static size_t sum_rows(const struct sequence *sequences, size_t count, int extra)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += (size_t)rows_of(&sequences[i], extra);
    return total;
}

/* Spans of `rows` rows that take `total` rows and `once` in each. */
static size_t count_spans(size_t total, int once, int rows)
{
    size_t room = (size_t)(rows - once > rows / 4 ? rows - once : rows / 4);
    return (total + room - 1) / room;
}

size_t pack_cut(const struct sequence *sequences, size_t count, int extra, int once, int rows,
                size_t workers, struct arena *arena, struct span **spans)
{
    size_t total = sum_rows(sequences, count, extra);
    size_t n = count_spans(total, once, rows);
    n = (n + workers - 1) / workers * workers;
    n = n > count ? count : n;
    *spans = arena_alloc(arena, (n ? n : 1) * sizeof **spans);
    size_t at = 0, before = 0;
    for (size_t s = 0; s < n; s++) {
        struct span *span = &(*spans)[s];
        span->first = at;
        size_t goal = total * (s + 1) / n; /* rows that should be behind us after this span */
        size_t must_leave = n - s - 1;     /* one example at least for each later span */
        do
            before += (size_t)rows_of(&sequences[at++], extra);
        while (at < count - must_leave && before < goal);
        span->last = at;
    }
    if (n)
        (*spans)[n - 1].last = count;
    return n;
}

/* A sequence to be shared out. */
struct piece {
    struct sequence sequence;
    size_t place, span;
};

static int longest_first(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    int more = rows_of(&y->sequence, 0) - rows_of(&x->sequence, 0);
    return more ? more : (x->place > y->place) - (x->place < y->place);
}

/* Gives each piece to one of `n` spans; spans[s].last becomes the number of its pieces. */
static void give_out(struct piece *pieces, size_t count, size_t *lengths, struct span *spans,
                     size_t n)
{
    for (size_t i = 0; i < count; i++) {
        size_t shortest = 0;
        for (size_t s = 1; s < n; s++)
            if (lengths[s] < lengths[shortest])
                shortest = s;
        pieces[i].span = shortest;
        lengths[shortest] += (size_t)rows_of(&pieces[i].sequence, 0);
        spans[shortest].last++;
    }
}

size_t pack_share(struct sequence *sequences, size_t count, int once, int rows, size_t workers,
                  struct arena *arena, struct span **spans)
{
    size_t n = count_spans(sum_rows(sequences, count, 0), once, rows);
    n = (n + workers - 1) / workers * workers;
    n = n > count ? count : n;
    *spans = arena_zalloc(arena, (n ? n : 1) * sizeof **spans);
    size_t *lengths = arena_zalloc(arena, (n ? n : 1) * sizeof *lengths);
    struct piece *pieces = arena_alloc(arena, (count ? count : 1) * sizeof *pieces);
    for (size_t i = 0; i < count; i++)
        pieces[i] = (struct piece){.sequence = sequences[i], .place = i};
    qsort(pieces, count, sizeof *pieces, longest_first);
    give_out(pieces, count, lengths, *spans, n);
    for (size_t s = 0, at = 0; s < n; s++) {
        struct span *span = &(*spans)[s];
        span->first = at;
        at = span->last += at;
    }
    for (size_t s = 0, at = 0; s < n; s++)
        for (size_t i = 0; i < count; i++)
            if (pieces[i].span == s)
                sequences[at++] = pieces[i].sequence;
    return n;
}

/* A layout under construction; the counts are those filled so far. */
struct builder {
    int32_t *tokens;
    struct segment *segments;
    int *scored;
    int rows, n_segments, n_scored;
};

static struct builder builder_for(struct arena *arena, size_t rows, size_t segments, size_t scored)
{
    return (struct builder){.tokens = arena_alloc(arena, rows * sizeof(int32_t)),
                            .segments = arena_alloc(arena, segments * sizeof(struct segment)),
                            .scored = arena_alloc(arena, scored * sizeof(int))};
}

/* Adds a segment of `length` tokens; returns its index. */
static int add_segment(struct builder *b, const int32_t *tokens, int length, int parent,
                       const struct cache *cache, int position)
{
    b->segments[b->n_segments] = (struct segment){
        .start = b->rows, .length = length, .parent = parent, .cache = cache, .position = position};
    memcpy(b->tokens + b->rows, tokens, (size_t)length * sizeof *tokens);
    b->rows += length;
    return b->n_segments++;
}

static struct layout finish(const struct builder *b)
{
    return (struct layout){.rows = b->rows,
                           .tokens = b->tokens,
                           .segments = b->segments,
                           .n_segments = b->n_segments,
                           .scored = b->scored,
                           .n_scored = b->n_scored};
}

void pack_answers(const struct adapted *adapted, const int32_t *prefix, int prefix_count,
                  const struct cache *cache, const struct sequence *sequences, size_t count,
                  struct arena *arena, struct training_pack *pack)
{
    size_t rows = (size_t)prefix_count, answers = 0;
    for (size_t i = 0; i < count; i++) {
        rows += (size_t)rows_of(&sequences[i], 0);
        answers += (size_t)sequences[i].answer;
    }
    struct builder b = builder_for(arena, rows, count + 1, answers);
    pack->targets = arena_alloc(arena, answers * sizeof *pack->targets);
    int position = cache ? cache->position + cache->length : adapted->past_rows, root = -1;
    if (prefix_count)
        root = add_segment(&b, prefix, prefix_count, -1, cache, position);
    for (size_t i = 0; i < count; i++) {
        const struct sequence *s = &sequences[i];
        int start = b.rows;
        add_segment(&b, s->ids, rows_of(s, 0), root, root < 0 ? cache : NULL,
                    position + prefix_count);
        for (int t = 0; t < s->answer; t++) {
            pack->targets[b.n_scored] = s->ids[s->request + t];
            b.scored[b.n_scored++] = start + s->request - 1 + t;
        }
    }
    pack->layout = finish(&b);
}

void pack_training(const struct adapted *adapted, const struct sequence *sequences, size_t count,
                   struct arena *arena, struct training_pack *pack)
{
    pack_answers(adapted, adapted->prefix.ids, (int)adapted->prefix.count, NULL, sequences, count,
                 arena, pack);
}

/* The segments of one example: its request with the first fork's path, then the other paths. */
static void add_example(const struct adapted *adapted, const struct sequence *sequence,
                        struct builder *b, int *segment_of)
{
    const struct label_trie *trie = adapted->labels;
    int before = adapted->past_rows + (int)adapted->prefix.count;
    for (int f = 0; f < trie->n_forks; f++) {
        const struct fork *fork = &trie->forks[f];
        if (f == 0) {
            segment_of[f] =
                add_segment(b, sequence->ids, sequence->request, -1, adapted->prefix_cache, before);
            memcpy(b->tokens + b->rows, fork->path, (size_t)fork->path_length * sizeof(int32_t));
            b->rows += fork->path_length;
            b->segments[segment_of[f]].length += fork->path_length;
        } else {
            int parent = segment_of[fork->parent];
            int position = b->segments[parent].position + b->segments[parent].length;
            segment_of[f] = add_segment(b, fork->path, fork->path_length, parent, NULL, position);
        }
        b->scored[b->n_scored++] = b->rows - 1;
    }
}

void pack_scoring_mixed(const struct adapted *const *to, const struct sequence *sequences,
                        size_t count, struct arena *arena, struct layout *layout)
{
    size_t rows = 0, forks = 0, most = 1;
    for (size_t i = 0; i < count; i++) {
        size_t own = (size_t)to[i]->labels->n_forks;
        rows += (size_t)(sequences[i].request + to[i]->labels->tokens);
        forks += own;
        most = own > most ? own : most;
    }
    struct builder b = builder_for(arena, rows, forks, forks);
    int *segment_of = arena_alloc(arena, most * sizeof *segment_of);
    for (size_t i = 0; i < count; i++)
        add_example(to[i], &sequences[i], &b, segment_of);
    *layout = finish(&b);
}

void pack_scoring(const struct adapted *adapted, const struct sequence *sequences, size_t count,
                  struct arena *arena, struct layout *layout)
{
    const struct adapted **to = arena_alloc(arena, count * sizeof *to);
    for (size_t i = 0; i < count; i++)
        to[i] = adapted;
    pack_scoring_mixed(to, sequences, count, arena, layout);
}

void pack_continuations(const struct continuation *continuations, size_t count, struct arena *arena,
                        struct layout *layout)
{
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += (size_t)continuations[i].length;
    struct builder b = builder_for(arena, rows, count, count);
    for (size_t i = 0; i < count; i++) {
        const struct continuation *c = &continuations[i];
        int segment = add_segment(&b, c->ids, c->length, -1, c->cache, c->position);
        b.segments[segment].capture = c->capture;
        b.scored[b.n_scored++] = b.rows - 1;
    }
    *layout = finish(&b);
}

void pack_requests(const struct adapted *adapted, const struct sequence *sequences, size_t count,
                   struct arena *arena, struct layout *layout)
{
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += (size_t)sequences[i].request;
    struct builder b = builder_for(arena, rows, count, count);
    int before = adapted->past_rows + (int)adapted->prefix.count;
    for (size_t i = 0; i < count; i++) {
        add_segment(&b, sequences[i].ids, sequences[i].request, -1, adapted->prefix_cache, before);
        b.scored[b.n_scored++] = b.rows - 1;
    }
    *layout = finish(&b);
}
