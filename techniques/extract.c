/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/extract.h"

#include <ctype.h>
#include <string.h>

#include "datasets/numbers.h"

static const char *const cues[] = {"answer is", "answer:"};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether `text` begins with the small letters of `word`, whatever its own case. */
static bool begins_with(const char *text, const char *word)
{
    while (*word && lower(*text) == *word) {
        text++;
        word++;
    }
    return !*word;
}

/* What stands behind the last cue, or NULL. */
static const char *behind_cue(const char *text)
{
    const char *behind = NULL;
    for (; *text; text++)
        for (size_t c = 0; c < sizeof cues / sizeof *cues; c++)
            if (begins_with(text, cues[c]))
                behind = text + strlen(cues[c]);
    return behind;
}

bool extract_has_cue(const char *text)
{
    return behind_cue(text) != NULL;
}

/* ---- Numbers -------------------------------------------------------------------------------- */

static const char *find_number(const char *part, const char *behind, struct arena *arena)
{
    struct numbers answer = {0}, all = numbers_in(part);
    if (behind)
        answer = numbers_in(behind);
    if (!answer.count && !all.count)
        return NULL;
    return arena_printf(arena, "%.15g", answer.count ? answer.first : all.last);
}

/* ---- Labels --------------------------------------------------------------------------------- */

/* Part of a word: letters, digits, and all that is not ASCII. */
static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || c == '_';
}

static bool same_sign(char label, char text)
{
    bool gap = label == '_' && (text == ' ' || text == '-');
    return gap || lower(label) == lower(text);
}

/* "A bird" begins with a word, not with a label. */
static bool is_article(char letter, const char *behind)
{
    return (letter == 'A' || letter == 'I') && *behind == ' ' && islower((unsigned char)behind[1]);
}

/* Bytes of `label` where `text` begins with it as words of its own, else 0. */
static size_t named_at(const char *text, const char *label)
{
    size_t length = strlen(label);
    if (length == 1)
        return *text == *label && !is_word(text[1]) && !is_article(*label, text + 1);
    for (size_t i = 0; i < length; i++)
        if (!text[i] || !same_sign(label[i], text[i]))
            return 0;
    return is_word(text[length]) && is_word(label[length - 1]) ? 0 : length;
}

/* The first label named in `text`, or the last; -1 when none is. */
static int find_label(const struct dataset *data, const char *text, bool first)
{
    int found = -1;
    for (const char *at = text; *at;) {
        size_t longest = 0;
        bool starts = at == text || !is_word(at[-1]) || !is_word(*at);
        for (size_t l = 0; l < data->label_count && starts; l++) {
            size_t length = named_at(at, data->labels[l].name);
            if (length > longest) {
                longest = length;
                found = (int)l;
            }
        }
        if (longest && first)
            return found;
        at += longest ? longest : 1;
    }
    return found;
}

/* ---- Texts ---------------------------------------------------------------------------------- */

static const char *find_json(const char *text, struct arena *arena)
{
    size_t start = strcspn(text, "{[");
    const char *last = NULL;
    for (const char *at = text + start; *at; at++)
        if (*at == '}' || *at == ']')
            last = at;
    return last ? arena_strndup(arena, text + start, (size_t)(last - text) + 1 - start) : NULL;
}

/* [text, end) without what only decorates it; NULL when nothing is left. */
static const char *trim(const char *text, const char *end, struct arena *arena)
{
    while (text < end && strchr(" \t\r:*\"'`", *text))
        text++;
    while (text < end && strchr(" \t\r.*\"'`", end[-1]))
        end--;
    return text < end ? arena_strndup(arena, text, (size_t)(end - text)) : NULL;
}

static const char *find_line(const char *part, const char *behind, struct arena *arena)
{
    const char *found = behind ? trim(behind, behind + strcspn(behind, "\n"), arena) : NULL;
    for (const char *line = part; !behind && *line;) {
        const char *end = line + strcspn(line, "\n");
        const char *text = trim(line, end, arena);
        found = text ? text : found;
        line = *end ? end + 1 : end;
    }
    return found;
}

struct extracted extract_answer(const struct dataset *data, const char *reasoning,
                                struct arena *arena)
{
    struct extracted found = {.label = -1};
    const char *part = numbers_final_part(reasoning), *behind = behind_cue(part);
    if (data->label_count) {
        found.label = behind ? find_label(data, behind, true) : -1;
        if (found.label < 0)
            found.label = find_label(data, part, false);
    } else if (data->task == TASK_NUMERIC_ANSWER) {
        found.text = find_number(part, behind, arena);
    } else if (data->task == TASK_EXTRACTION) {
        found.text = find_json(behind ? behind : part, arena);
    } else {
        found.text = find_line(part, behind, arena);
    }
    return found;
}
