/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/words.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"

enum { ASCII = 0x80 }; /* below are most characters of most texts, so these are looked at first */

static uint32_t fold(uint32_t c)
{
    if (c < ASCII)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c >= 0xC0 && c <= 0xDE && c != 0xD7)
        return c + 32;
    if ((c >= 0x100 && c <= 0x137 && c != 0x130) || (c >= 0x14A && c <= 0x177))
        return c | 1;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E))
        return c & 1 ? c + 1 : c;
    if ((c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F))
        return c + 32;
    if (c >= 0x400 && c <= 0x40F)
        return c + 80;
    return c;
}

static bool is_space(uint32_t c)
{
    if (c < ASCII)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return c == 0x85 || c == 0xA0 || (c >= 0x2000 && c <= 0x200B) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x3000;
}

/* Scripts that put no spaces between words: Thai to Tibetan, Burmese, Khmer, CJK and Hangul. */
static bool is_unspaced(uint32_t c)
{
    return (c >= 0xE00 && c <= 0xFFF) || (c >= 0x1000 && c <= 0x109F) ||
           (c >= 0x1780 && c <= 0x17FF) || (c >= 0x3041 && c <= 0x9FFF) ||
           (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x20000 && c <= 0x3FFFF);
}

static bool is_letter(uint32_t c)
{
    if (c < ASCII)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return c >= 0xC0 && c != 0xD7 && c != 0xF7 && !is_space(c) && !(c >= 0x2010 && c <= 0x206F) &&
           !(c >= 0x3000 && c <= 0x303F) && !(c >= 0xFF00 && c <= 0xFF0F);
}

/* Decodes the character at `text` and returns what follows it. */
static const char *next_character(const char *text, uint32_t *code)
{
    *code = (unsigned char)*text;
    if (*code < ASCII)
        return text + 1;
    int used = utf8_decode(text, 4, code, NULL); /* reads no further than the terminator */
    return text + (used ? used : 1);
}

void words_normalise(const char *text, struct text *out)
{
    enum { AT_ONCE = 256, LARGEST = 5 /* a space and a character */ };
    char bytes[AT_ONCE];
    size_t length = 0;
    bool gap = false;
    text_clear(out);
    while (*text) {
        uint32_t code;
        text = next_character(text, &code);
        if (is_space(code)) {
            gap = out->length + length > 0;
            continue;
        }
        if (length > AT_ONCE - LARGEST) {
            text_append(out, bytes, length);
            length = 0;
        }
        if (gap)
            bytes[length++] = ' ';
        code = fold(code);
        if (code < ASCII)
            bytes[length++] = (char)code;
        else
            length += (size_t)utf8_encode(code, bytes + length);
        gap = false;
    }
    text_append(out, bytes, length);
}

/* The end of a word whose first character ends at `at`. */
static const char *word_end(const char *at)
{
    while (*at) {
        uint32_t code;
        const char *behind = next_character(at, &code);
        if (!is_letter(code) || is_unspaced(code))
            break;
        at = behind;
    }
    return at;
}

/* The end of a pair of characters whose first one ends at `at`. */
static const char *pair_end(const char *at)
{
    uint32_t code = 0;
    const char *behind = *at ? next_character(at, &code) : at;
    return is_unspaced(code) ? behind : at;
}

size_t words_hash(const char *text, uint64_t *words)
{
    size_t count = 0;
    bool inside = false; /* the character before is part of a run without spaces */
    while (*text) {
        uint32_t code;
        const char *next = next_character(text, &code);
        if (!is_letter(code)) {
            inside = false;
            text = next;
            continue;
        }
        bool unspaced = is_unspaced(code);
        const char *end = unspaced ? pair_end(next) : word_end(next);
        if (!unspaced || end > next || !inside)
            words[count++] = hash_quick(text, (size_t)(end - text));
        inside = unspaced;
        text = unspaced ? next : end;
    }
    return count;
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Shell's method with the gaps of Ciura (2001): twice as fast as the library for the words of a
 * usual text, since it calls no function to compare. */
static void sort_few(uint64_t *hashes, size_t count)
{
    static const size_t gaps[] = {132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++)
        for (size_t i = gaps[g]; i < count; i++) {
            uint64_t hash = hashes[i];
            size_t at = i;
            for (; at >= gaps[g] && hashes[at - gaps[g]] > hash; at -= gaps[g])
                hashes[at] = hashes[at - gaps[g]];
            hashes[at] = hash;
        }
}

size_t words_unique(uint64_t *hashes, size_t count)
{
    enum { FEW = 500 };
    size_t kept = 0;
    if (count <= FEW)
        sort_few(hashes, count);
    else
        qsort(hashes, count, sizeof *hashes, compare_hashes);
    for (size_t i = 0; i < count; i++)
        if (!kept || hashes[i] != hashes[kept - 1])
            hashes[kept++] = hashes[i];
    return kept;
}

size_t words_count(const char *text)
{
    struct text plain = {0};
    words_normalise(text, &plain);
    uint64_t *words = memory_alloc((plain.length + 1) * sizeof *words);
    size_t count = words_hash(text_string(&plain), words);
    free(words);
    text_release(&plain);
    return count;
}
