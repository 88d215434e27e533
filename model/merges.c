/* SPDX-License-Identifier: Apache-2.0 */
#include "model/merges.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/tokenizer.h"

static const uint32_t NONE = UINT32_MAX; /* no neighbour, no rank */

/* ---- The table ------------------------------------------------------------------------------ */

/* The slot of a pair, or the free one where it belongs. */
static struct merge *find_merge(const struct merges *m, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = hash_quick_u64(pair) & m->mask;
    while (m->slots[i].pair != pair && m->slots[i].pair != UINT64_MAX)
        i = (i + 1) & m->mask;
    return &m->slots[i];
}

/* Splits "a b" and finds the three tokens. False when one does not exist. */
static bool parse_merge(const struct vocab *v, const struct gguf_string *merge, struct text *joined,
                        int32_t *left, int32_t *right, int32_t *result)
{
    const char *end = merge->bytes + merge->length;
    const char *space = memchr(merge->bytes, ' ', merge->length);
    if (!space || memchr(space + 1, ' ', (size_t)(end - space - 1)))
        return false;
    size_t left_length = (size_t)(space - merge->bytes);
    size_t right_length = (size_t)(end - space) - 1;
    text_clear(joined);
    text_append(joined, merge->bytes, left_length);
    text_append(joined, space + 1, right_length);
    *left = vocab_by_name(v, merge->bytes, left_length);
    *right = vocab_by_name(v, space + 1, right_length);
    *result = vocab_by_name(v, joined->bytes, joined->length);
    return *left >= 0 && *right >= 0 && *result >= 0;
}

enum status merges_load(struct merges *m, const struct gguf *gguf, const struct vocab *v,
                        struct error *err)
{
    static const char key[] = "tokenizer.ggml.merges";
    struct gguf_strings merges;
    *m = (struct merges){.slots = NULL};
    enum status status = gguf_string_array(gguf, key, &merges, err);
    if (status)
        return status;
    size_t capacity = hash_table_size(merges.count);
    m->slots = memory_alloc(capacity * sizeof *m->slots);
    m->mask = capacity - 1;
    for (size_t i = 0; i < capacity; i++)
        m->slots[i].pair = UINT64_MAX;
    struct text joined = {0};
    for (size_t i = 0; i < merges.count && !status; i++) {
        int32_t left, right, result;
        if (!parse_merge(v, &merges.items[i], &joined, &left, &right, &result)) {
            status = gguf_reject_key(gguf, key, err,
                                     "%s: merge %zu is not of the form \"a b\" with a, b and ab "
                                     "in the vocabulary",
                                     key, i);
            break;
        }
        /* Text must never become a control token, whatever the file says. */
        struct merge *merge = find_merge(m, left, right);
        if (merge->pair == UINT64_MAX && v->tokens[result].type != TOKEN_CONTROL)
            *merge = (struct merge){(uint64_t)(uint32_t)left << 32 | (uint32_t)right, (uint32_t)i,
                                    result};
    }
    text_release(&joined);
    return status;
}

void merges_release(struct merges *merges)
{
    free(merges->slots);
    *merges = (struct merges){.slots = NULL};
}

/* ---- Merging a piece ------------------------------------------------------------------------ */

/* A part of the piece; the parts form a list in text order. */
struct part {
    int32_t id;
    uint32_t previous, next;
    uint32_t rank; /* of the merge with the next part; NONE: no such merge */
};

static void heap_push(struct merger *m, uint64_t item)
{
    if (m->heap_count == m->heap_capacity) {
        m->heap_capacity = m->heap_capacity ? 2 * m->heap_capacity : 64;
        m->heap = memory_realloc(m->heap, m->heap_capacity * sizeof *m->heap);
    }
    size_t i = m->heap_count++;
    for (; i > 0 && m->heap[(i - 1) / 2] > item; i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = item;
}

static uint64_t heap_pop(struct merger *m)
{
    uint64_t least = m->heap[0];
    uint64_t item = m->heap[--m->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= m->heap_count)
            break;
        if (child + 1 < m->heap_count && m->heap[child + 1] < m->heap[child])
            child++;
        if (m->heap[child] >= item)
            break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = item;
    return least;
}

/* Looks up the merge of part `i` with its right neighbour and queues it. */
static void queue_merge(struct merger *m, uint32_t i)
{
    struct part *part = &m->parts[i];
    part->rank = NONE;
    if (part->next == NONE)
        return;
    const struct merge *merge = find_merge(m->merges, part->id, m->parts[part->next].id);
    if (merge->pair == UINT64_MAX)
        return;
    part->rank = merge->rank;
    heap_push(m, (uint64_t)merge->rank << 32 | i);
}

/* One part for each byte; returns how many. A byte without a token is left out, as the reference
 * implementation does, so that its neighbours may merge. (The first part's `previous` wraps to
 * NONE.) */
static uint32_t start_parts(struct merger *m, const char *bytes, uint32_t length)
{
    if (length > m->parts_capacity) {
        size_t capacity = 2 * m->parts_capacity;
        m->parts_capacity = capacity < length ? (length < 64 ? 64 : length) : capacity;
        m->parts = memory_realloc(m->parts, m->parts_capacity * sizeof *m->parts);
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < length; i++) {
        int32_t id = m->vocab->byte_id[(unsigned char)bytes[i]];
        if (id >= 0) {
            m->parts[count] = (struct part){id, count - 1, count + 1, NONE};
            count++;
        }
    }
    if (count)
        m->parts[count - 1].next = NONE;
    m->heap_count = 0;
    for (uint32_t i = 0; i < count; i++)
        queue_merge(m, i);
    return count;
}

/* Byte-pair encoding. A queued merge is stale when its left part has another rank by now: either
 * part was merged away meanwhile. */
void merge_piece(struct merger *m, const char *bytes, uint32_t length, struct tokens *ids)
{
    uint32_t count = start_parts(m, bytes, length);
    while (m->heap_count) {
        uint64_t item = heap_pop(m);
        uint32_t i = (uint32_t)item;
        struct part *left = &m->parts[i];
        if (left->rank != item >> 32)
            continue;
        struct part *right = &m->parts[left->next];
        left->id = find_merge(m->merges, left->id, right->id)->result;
        left->next = right->next;
        right->rank = NONE;
        if (left->next != NONE)
            m->parts[left->next].previous = i;
        queue_merge(m, i);
        if (left->previous != NONE)
            queue_merge(m, left->previous);
    }
    for (uint32_t i = count ? 0 : NONE; i != NONE; i = m->parts[i].next)
        tokens_add(ids, m->parts[i].id);
}

void merger_release(struct merger *m)
{
    free(m->parts);
    free(m->heap);
    *m = (struct merger){.merges = m->merges, .vocab = m->vocab};
}
