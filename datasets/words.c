/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/words.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"

static uint32_t fold(uint32_t c)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7))
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
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 ||
           (c >= 0x2000 && c <= 0x200B) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x3000;
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
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return c >= 0xC0 && c != 0xD7 && c != 0xF7 && !is_space(c) && !(c >= 0x2010 && c <= 0x206F) &&
           !(c >= 0x3000 && c <= 0x303F) && !(c >= 0xFF00 && c <= 0xFF0F);
}

/* Decodes the character at `text` and returns what follows it. */
static const char *next_character(const char *text, uint32_t *code)
{
    int used = utf8_decode(text, 4, code, NULL); /* reads no further than the terminator */
    if (!used)
        *code = (unsigned char)*text;
    return text + (used ? used : 1);
}

void words_normalise(const char *text, struct text *out)
{
    bool gap = false;
    text_clear(out);
    while (*text) {
        uint32_t code;
        text = next_character(text, &code);
        if (is_space(code)) {
            gap = out->length > 0;
            continue;
        }
        char bytes[4];
        if (gap)
            text_append(out, " ", 1);
        text_append(out, bytes, (size_t)utf8_encode(fold(code), bytes));
        gap = false;
    }
    text_append(out, "", 0);
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
