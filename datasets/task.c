/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/task.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

enum { MAX_LABEL_CHARACTERS = 60, MAX_CLASSES = 500 };

static const char *const task_names[] = {
    [TASK_INFER] = "infer",
    [TASK_CLASSIFICATION] = "classification",
    [TASK_MULTIPLE_CHOICE] = "multiple_choice",
    [TASK_NUMERIC_ANSWER] = "numeric_answer",
    [TASK_EXTRACTION] = "extraction",
    [TASK_GENERATION] = "generation",
};

const char *task_name(enum task task)
{
    return task_names[task];
}

bool task_from_name(const char *name, enum task *task)
{
    for (int i = TASK_CLASSIFICATION; i <= TASK_GENERATION; i++)
        if (strcmp(name, task_names[i]) == 0) {
            *task = (enum task)i;
            return true;
        }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Copies the digits of a whole part to `out`, without thousands commas; returns its end, or NULL
 * when the commas do not stand in front of three digits each. */
static const char *take_whole(const char *text, char **out)
{
    int since_comma = -1; /* digits since the last comma; -1 = no comma yet */
    int digits = 0;
    for (; is_digit(*text) || (*text == ',' && digits > 0); text++) {
        if (*text == ',') {
            if (since_comma >= 0 ? since_comma != 3 : digits > 3)
                return NULL;
            since_comma = 0;
            continue;
        }
        *(*out)++ = *text;
        digits++;
        since_comma += since_comma >= 0;
    }
    return since_comma < 0 || since_comma == 3 ? text : NULL;
}

static const char *take_digits(const char *text, char **out)
{
    while (is_digit(*text))
        *(*out)++ = *text++;
    return text;
}

/* An exponent, when there is a complete one. */
static const char *take_exponent(const char *text, char **out)
{
    if (*text != 'e' && *text != 'E')
        return text;
    bool sign = text[1] == '-' || text[1] == '+';
    if (!is_digit(text[1 + sign]))
        return text;
    *(*out)++ = 'e';
    if (sign)
        *(*out)++ = text[1];
    return take_digits(text + 1 + sign, out);
}

bool number_from_text(const char *text, double *value)
{
    char plain[80];
    char *out = plain;
    if (strlen(text) >= sizeof plain)
        return false;
    if (*text == '-' || *text == '+')
        *out++ = *text++;
    if (*text == '$')
        text++;
    const char *digits = out;
    text = take_whole(text, &out);
    if (!text)
        return false;
    if (text[0] == '.' && is_digit(text[1])) {
        *out++ = *text++;
        text = take_digits(text, &out);
    }
    if (out == digits)
        return false;
    text = take_exponent(text, &out);
    if (*text == '%')
        text++;
    *out = '\0';
    *value = strtod(plain, NULL);
    return *text == '\0' && isfinite(*value);
}

bool task_is_json(const char *target)
{
    if (*target != '{' && *target != '[')
        return false;
    json_t *value = json_loads(target, JSON_REJECT_DUPLICATES, NULL);
    json_decref(value);
    return value != NULL;
}

int task_letter(const char *target)
{
    bool letter = target[0] >= 'A' && target[0] < 'A' + TASK_OPTIONS && target[1] == '\0';
    return letter ? target[0] - 'A' : -1;
}

/* Whether a line starts like the option `letter`: "A) ", "A. ", "A: " or "(A) ". */
static bool is_option(const char *line, char letter)
{
    while (*line == ' ' || *line == '\t')
        line++;
    bool bracket = *line == '(';
    line += bracket;
    if (line[0] != letter)
        return false;
    bool mark = bracket ? line[1] == ')' : line[1] && strchr(").:", line[1]);
    return mark && (line[2] == ' ' || line[2] == '\t');
}

static int count_lines(const char *input)
{
    int count = 0;
    const char *end;
    for (const char *line = input; count < TASK_OPTIONS; line = end + 1) {
        count += is_option(line, (char)('A' + count));
        end = strchr(line, '\n');
        if (!end)
            break;
    }
    return count;
}

/* How the options of one text are marked. */
struct mark {
    char before; /* '(' or 0 */
    char behind;
    bool space; /* white space must follow: elsewhere a point ends a sentence */
};

static bool is_mark(const char *at, struct mark mark, char letter)
{
    if (mark.before && *at++ != mark.before)
        return false;
    if (at[0] != letter || at[1] != mark.behind)
        return false;
    return mark.space ? at[2] == ' ' || at[2] == '\t' || at[2] == '\n' : at[2] != '\0';
}

/* Options that follow each other anywhere in the text, each behind white space. */
static int count_inline(const char *input, struct mark mark)
{
    int count = 0;
    for (const char *at = input; *at && count < TASK_OPTIONS; at++)
        if ((at == input || strchr(" \t\r\n", at[-1])) && is_mark(at, mark, (char)('A' + count)))
            count++;
    return count;
}

int task_count_options(const char *input)
{
    static const struct mark marks[] = {{'(', ')', false}, {0, ')', false}, {0, '.', true}};
    int count = count_lines(input);
    for (size_t i = 0; count < 2 && i < sizeof marks / sizeof *marks; i++) {
        int found = count_inline(input, marks[i]);
        count = found >= 2 ? found : count;
    }
    return count;
}

const char *task_complaint(enum task task, const struct example *example)
{
    double number;
    switch (task) {
    case TASK_MULTIPLE_CHOICE:
        if (task_letter(example->target) < 0)
            return "is not one letter from A to J";
        if (task_letter(example->target) >= task_count_options(example->input))
            return "is not among the options that the input lists, such as \"A) ...\"";
        return NULL;
    case TASK_NUMERIC_ANSWER:
        return number_from_text(example->target, &number) ? NULL : "is not a number";
    case TASK_EXTRACTION:
        return task_is_json(example->target) ? NULL : "is not a JSON object or array";
    default:
        return NULL;
    }
}

/* What the targets of a dataset have in common. */
enum kind { KIND_JSON, KIND_OPTION, KIND_NUMBER, KIND_SHORT, KINDS };

struct traits {
    size_t count;
    size_t hits[KINDS];
    size_t first_miss[KINDS]; /* line of the first target that is not of the kind */
    size_t distinct;
    size_t shared;    /* examples whose target another one has too */
    bool consecutive; /* whole numbers that fill 0..k-1 or 1..k */
    size_t unknown;   /* targets "-1", which often stands for no answer */
    bool rationale;
};

static bool is_short_line(const char *target)
{
    size_t characters = 0;
    for (; *target; target++) {
        if (*target == '\n' || *target == '\r')
            return false;
        characters += ((unsigned char)*target & 0xC0) != 0x80;
    }
    return characters <= MAX_LABEL_CHARACTERS;
}

static bool is_of_kind(enum kind kind, const struct example *example)
{
    switch (kind) {
    case KIND_JSON:
        return !task_complaint(TASK_EXTRACTION, example);
    case KIND_OPTION:
        return !task_complaint(TASK_MULTIPLE_CHOICE, example);
    case KIND_NUMBER:
        return !task_complaint(TASK_NUMERIC_ANSWER, example);
    default:
        return is_short_line(example->target);
    }
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_whole(const char *target)
{
    size_t digits = strspn(target, "0123456789");
    return digits > 0 && digits < 10 && target[digits] == '\0' && (*target != '0' || digits == 1);
}

/* `sorted` are the targets. */
static void count_distinct(const char *const *sorted, struct traits *traits)
{
    long low = -1;
    long high = -1;
    traits->consecutive = true;
    for (size_t i = 0, next; i < traits->count; i = next) {
        for (next = i + 1; next < traits->count && strcmp(sorted[i], sorted[next]) == 0;)
            next++;
        traits->distinct++;
        traits->shared += next - i > 1 ? next - i : 0;
        traits->consecutive = traits->consecutive && is_whole(sorted[i]);
        long value = traits->consecutive ? strtol(sorted[i], NULL, 10) : 0;
        low = low < 0 || value < low ? value : low;
        high = value > high ? value : high;
    }
    traits->consecutive =
        traits->consecutive && low <= 1 && (size_t)(high - low) + 1 == traits->distinct;
}

static struct traits measure(const struct example *examples, size_t count)
{
    struct traits traits = {.count = count};
    const char **sorted = memory_alloc(count * sizeof *sorted);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = examples[i].target;
        traits.rationale = traits.rationale || examples[i].rationale;
        traits.unknown += !strcmp(examples[i].target, "-1");
        for (int kind = 0; kind < KINDS; kind++) {
            bool hit = is_of_kind((enum kind)kind, &examples[i]);
            traits.hits[kind] += hit;
            if (!hit && !traits.first_miss[kind])
                traits.first_miss[kind] = examples[i].line;
        }
    }
    qsort(sorted, count, sizeof *sorted, compare_strings);
    count_distinct(sorted, &traits);
    free(sorted);
    return traits;
}

static bool numbers_are_classes(const struct traits *traits)
{
    if (traits->distinct <= 20 && traits->count >= 3 * traits->distinct)
        return true;
    return traits->consecutive && traits->count >= 5 * traits->distinct && !traits->rationale;
}

static bool targets_are_classes(const struct traits *traits)
{
    return traits->hits[KIND_SHORT] == traits->count && traits->distinct <= MAX_CLASSES &&
           2 * traits->distinct <= traits->count && 5 * traits->shared >= 4 * traits->count;
}

/* Where nearly all targets are of one kind, the user will want to know which one is not. */
static void add_near_miss(const struct traits *traits, struct text *reason)
{
    static const char *const names[] = {[KIND_JSON] = "JSON objects or arrays",
                                        [KIND_OPTION] = "letters of options listed in the input",
                                        [KIND_NUMBER] = "numbers"};
    for (int kind = KIND_JSON; kind <= KIND_NUMBER; kind++)
        if (traits->hits[kind] < traits->count && 10 * traits->hits[kind] >= 9 * traits->count)
            text_printf(reason, " %zu of them are %s, but not the one of line %zu.",
                        traits->hits[kind], names[kind], traits->first_miss[kind]);
}

static enum task choose(const struct traits *traits, struct text *reason)
{
    size_t n = traits->count;
    if (n && traits->hits[KIND_JSON] == n) {
        text_add(reason, "Every target is a JSON object or array.");
        return TASK_EXTRACTION;
    }
    if (n && traits->hits[KIND_OPTION] == n) {
        text_add(reason, "Every target is the letter of an option that the input lists.");
        return TASK_MULTIPLE_CHOICE;
    }
    if (n && traits->hits[KIND_NUMBER] == n) {
        bool classes = numbers_are_classes(traits);
        text_printf(reason, "Every target is a number; %zu distinct ones in %zu examples %s.",
                    traits->distinct, n, classes ? "look like classes" : "look like answers");
        if (classes && traits->unknown)
            text_printf(reason,
                        " Some data write -1 where no answer is known: if these do, leave out the "
                        "%zu examples of class -1.",
                        traits->unknown);
        return classes ? TASK_CLASSIFICATION : TASK_NUMERIC_ANSWER;
    }
    bool classes = n && targets_are_classes(traits);
    text_printf(reason,
                classes ? "The targets are short and repeated: %zu distinct ones in %zu examples."
                        : "The targets are free text: %zu distinct ones in %zu examples.",
                traits->distinct, n);
    add_near_miss(traits, reason);
    return classes ? TASK_CLASSIFICATION : TASK_GENERATION;
}

enum task dataset_infer_task(const struct example *examples, size_t count, struct arena *arena,
                             const char **reason)
{
    struct traits traits = measure(examples, count);
    struct text sentence = {0};
    enum task task = choose(&traits, &sentence);
    *reason = arena_strdup(arena, text_string(&sentence));
    text_release(&sentence);
    return task;
}
