/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/duplicates.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "datasets/words.h"

enum { COMPARED = 200 }; /* other texts that one text is compared with, at most */

/* One different text. */
struct document {
    size_t index;     /* of its first example */
    const char *text; /* normalised */
    uint64_t *words;  /* hashes of its words; later ranks, the rarest word first */
    size_t count;
    uint64_t signature; /* a bit for each word; several words can share one */
};

struct word {
    uint64_t hash;
    size_t documents; /* how many have it */
    size_t rank;      /* 0 = the rarest */
};

/* Finds equal texts; returns the different ones, `*count` of them, in order. */
static struct document *find_same(const char *const *texts, size_t count, size_t *same,
                                  struct arena *scratch, size_t *different)
{
    size_t size = hash_table_size(count);
    size_t *table = arena_zalloc(scratch, size * sizeof *table); /* document + 1; 0 = free */
    struct document *documents = arena_alloc(scratch, count * sizeof *documents);
    struct text text = {0};
    *different = 0;
    for (size_t i = 0; i < count; i++) {
        words_normalise(texts[i], &text);
        size_t at = (size_t)hash_quick(text.bytes, text.length) & (size - 1);
        while (table[at] && strcmp(documents[table[at] - 1].text, text.bytes) != 0)
            at = (at + 1) & (size - 1);
        if (!table[at]) {
            documents[*different] = (struct document){
                .index = i, .text = arena_strndup(scratch, text.bytes, text.length)};
            table[at] = ++*different;
        }
        same[i] = documents[table[at] - 1].index;
    }
    text_release(&text);
    return documents;
}

/* Sets the words of each document. */
static void collect_words(struct document *documents, size_t count, struct arena *scratch)
{
    for (size_t i = 0; i < count; i++) {
        struct document *document = &documents[i];
        uint64_t *words = memory_alloc(strlen(document->text) * sizeof *words);
        size_t found = words_hash(document->text, words);
        document->count = words_unique(words, found);
        size_t bytes = document->count * sizeof *words;
        document->words = memcpy(arena_alloc(scratch, bytes), words, bytes);
        free(words);
    }
}

/* A table of the different words, by hash. */
struct vocabulary {
    struct word *slots; /* documents = 0: free */
    size_t size;
    size_t count;
};

static struct word *find_word(const struct vocabulary *vocabulary, uint64_t hash)
{
    size_t at = (size_t)hash & (vocabulary->size - 1);
    while (vocabulary->slots[at].documents && vocabulary->slots[at].hash != hash)
        at = (at + 1) & (vocabulary->size - 1);
    return &vocabulary->slots[at];
}

/* Has room for one word more: the table grows with the different words, of which there are far
 * fewer than words. */
static void grow(struct vocabulary *vocabulary)
{
    if (2 * (vocabulary->count + 1) <= vocabulary->size)
        return;
    struct vocabulary larger = {.size = hash_table_size(2 * (vocabulary->count + 1)),
                                .count = vocabulary->count};
    larger.slots = memory_zalloc(larger.size * sizeof *larger.slots);
    for (size_t i = 0; i < vocabulary->size; i++)
        if (vocabulary->slots[i].documents)
            *find_word(&larger, vocabulary->slots[i].hash) = vocabulary->slots[i];
    free(vocabulary->slots);
    *vocabulary = larger;
}

static struct vocabulary count_words(const struct document *documents, size_t count)
{
    struct vocabulary vocabulary = {0};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < documents[i].count; j++) {
            grow(&vocabulary);
            struct word *word = find_word(&vocabulary, documents[i].words[j]);
            word->hash = documents[i].words[j];
            vocabulary.count += word->documents++ == 0;
        }
    return vocabulary;
}

/* Rarest first; the hash decides between equals, so that the order is the same everywhere. */
static int compare_words(const void *a, const void *b)
{
    const struct word *x = *(struct word *const *)a;
    const struct word *y = *(struct word *const *)b;
    if (x->documents != y->documents)
        return x->documents < y->documents ? -1 : 1;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static void rank_words(struct vocabulary *vocabulary, struct arena *scratch)
{
    struct word **sorted = arena_alloc(scratch, vocabulary->count * sizeof *sorted);
    size_t found = 0;
    for (size_t i = 0; i < vocabulary->size; i++)
        if (vocabulary->slots[i].documents)
            sorted[found++] = &vocabulary->slots[i];
    qsort(sorted, found, sizeof *sorted, compare_words);
    for (size_t i = 0; i < found; i++)
        sorted[i]->rank = i;
}

/* Replaces the words of each document by their ranks, in order, without the too frequent ones.
 * Returns the number of different words. */
static size_t rank_documents(struct document *documents, size_t count, struct arena *scratch)
{
    collect_words(documents, count, scratch);
    struct vocabulary vocabulary = count_words(documents, count);
    rank_words(&vocabulary, scratch);
    size_t most = count < 4 ? count : count / 2;
    for (size_t i = 0; i < count; i++) {
        struct document *document = &documents[i];
        size_t kept = 0;
        for (size_t j = 0; j < document->count; j++) {
            const struct word *word = find_word(&vocabulary, document->words[j]);
            if (word->documents <= most)
                document->words[kept++] = word->rank;
        }
        document->count = words_unique(document->words, kept);
    }
    free(vocabulary.slots);
    return vocabulary.count;
}

/* Whether shared / all >= 0.8. With the sizes a and b that is: at most (a + b) / 9 words stand in
 * one of the two only, which most pairs exceed after a few words. */
static bool are_alike(const struct document *a, const struct document *b)
{
    size_t allowed = (a->count + b->count) / 9;
    size_t i = 0;
    size_t j = 0;
    while (i < a->count && j < b->count) {
        uint64_t x = a->words[i];
        uint64_t y = b->words[j];
        i += x <= y;
        j += y <= x;
        if (x != y && allowed-- == 0)
            return false;
    }
    return (a->count - i) + (b->count - j) <= allowed;
}

/* Fewer bits cannot differ than words, so this tells most pairs apart that are not alike, from what
 * stands side by side in a list. */
static uint64_t signature_of(const struct document *document)
{
    uint64_t signature = 0;
    for (size_t i = 0; i < document->count; i++)
        signature |= (uint64_t)1 << (hash_quick_u64(document->words[i]) & 63);
    return signature;
}

/* An entry of the list of documents that have a word among their rarest. */
struct entry {
    const struct document *document;
    uint64_t signature;
    size_t count;
};

struct join {
    struct entry *entries; /* list by list, in the order of ranks */
    size_t *first;         /* by rank: the list's first entry */
    size_t *end;           /* by rank: behind the entry added last */
    size_t *groups;        /* by example: an index of the same group, lower or equal */
};

static size_t root_of(size_t *groups, size_t index)
{
    while (groups[index] != index) {
        groups[index] = groups[groups[index]];
        index = groups[index];
    }
    return index;
}

static void unite(size_t *groups, size_t a, size_t b)
{
    a = root_of(groups, a);
    b = root_of(groups, b);
    groups[a > b ? a : b] = a > b ? b : a;
}

/* Two sets of sizes a <= b with Jaccard >= 0.8 share at least ceil(0.8 b) >= ceil(0.8 a) words, so
 * one of the first a - ceil(0.8 a) + 1 of each is shared. */
static size_t prefix_length(size_t words)
{
    return words - (4 * words + 4) / 5 + (words > 0);
}

/* The smaller of the two needs less: they share 4 / 9 of a + b, which is at least 8 / 9 of a, so
 * the rarest word they share is one of its first a - ceil(8 a / 9) + 1 (Xiao et al. 2008,
 * "Efficient similarity joins for near duplicate detection", on the indexing prefix). Documents
 * come in order of size, so what stands in the lists is the smaller one. */
static size_t listed_length(size_t words)
{
    return words - (8 * words + 8) / 9 + (words > 0);
}

static bool may_be_alike(const struct document *document, const struct entry *entry)
{
    size_t differ = (size_t)__builtin_popcountll(document->signature ^ entry->signature);
    return differ <= (document->count + entry->count) / 9;
}

/* Compares a document with those before it that share one of its rarest words. Documents come in
 * order of size, so the newest entry of a list is the largest. */
static void join_document(struct join *join, const struct document *document)
{
    int compared = 0;
    size_t prefix = prefix_length(document->count);
    for (size_t i = 0; i < prefix; i++) {
        const struct entry *first = &join->entries[join->first[document->words[i]]];
        const struct entry *at = &join->entries[join->end[document->words[i]]];
        for (; at > first && compared < COMPARED; compared++) {
            at--;
            if (5 * at->count < 4 * document->count)
                break; /* too small, and so are all that follow */
            size_t other = at->document->index, own = document->index;
            if (may_be_alike(document, at) &&
                root_of(join->groups, other) != root_of(join->groups, own) &&
                are_alike(document, at->document))
                unite(join->groups, other, own);
        }
    }
    for (size_t i = 0; i < listed_length(document->count); i++)
        join->entries[join->end[document->words[i]]++] =
            (struct entry){document, document->signature, document->count};
}

/* Room for the list of each word: as many entries as documents have it among their rarest. */
static void lay_out_lists(struct join *join, const struct document *documents, size_t count,
                          size_t words, struct arena *scratch)
{
    size_t entries = 0;
    join->first = arena_zalloc(scratch, words * sizeof *join->first);
    join->end = arena_alloc(scratch, words * sizeof *join->end);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < listed_length(documents[i].count); j++)
            join->first[documents[i].words[j]]++;
    for (size_t word = 0; word < words; word++) {
        size_t length = join->first[word];
        join->first[word] = join->end[word] = entries;
        entries += length;
    }
    join->entries = arena_alloc(scratch, entries * sizeof *join->entries);
}

static int compare_sizes(const void *a, const void *b)
{
    const struct document *x = a;
    const struct document *y = b;
    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

void duplicates_find(const char *const *texts, size_t count, struct arena *arena,
                     struct duplicates *found)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    found->same = arena_alloc(arena, count * sizeof *found->same);
    found->group = arena_alloc(arena, count * sizeof *found->group);
    size_t different;
    struct document *documents = find_same(texts, count, found->same, &scratch, &different);
    size_t words = rank_documents(documents, different, &scratch);
    for (size_t i = 0; i < different; i++)
        documents[i].signature = signature_of(&documents[i]);
    qsort(documents, different, sizeof *documents, compare_sizes);
    struct join join = {.groups = found->group};
    lay_out_lists(&join, documents, different, words, &scratch);
    for (size_t i = 0; i < count; i++)
        found->group[i] = found->same[i];
    for (size_t i = 0; i < different; i++)
        join_document(&join, &documents[i]);
    for (size_t i = 0; i < count; i++)
        found->group[i] = root_of(found->group, i);
    arena_release(&scratch);
}
