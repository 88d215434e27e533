/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/columns.h"

#include <stdbool.h>
#include <string.h>

#include "datasets/excerpt.h"

enum { LISTED_NAMES = 12 };

/* A role that a column can have, the names it goes by, and the option that settles it. */
struct role {
    const char *what;
    const char *option;
    const char *const *names; /* ends with NULL */
};

static const struct role input_role = {"input", "--input",
                                       (const char *const[]){"text", "sentence", "input", "prompt",
                                                             "question", "review", "content",
                                                             NULL}};
static const struct role target_role = {
    "target", "--label",
    (const char *const[]){"label", "output", "completion", "answer", "target", "response", NULL}};
static const struct role rationale_role = {"rationale", "--rationale",
                                           (const char *const[]){"rationale", "explanation",
                                                                 "reasoning", "chain_of_thought",
                                                                 "solution", NULL}};
static const char *const input_pairs[][2] = {{"premise", "hypothesis"},
                                             {"sentence1", "sentence2"},
                                             {"question1", "question2"},
                                             {"text_a", "text_b"}};

/* What one search works on. */
struct search {
    const char *where;
    const char *const *names;
    size_t count;
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

/* Equal but for ASCII case and for spaces around `name`. */
static bool is_called(const char *name, const char *known)
{
    while (*name == ' ')
        name++;
    for (; *known; known++, name++)
        if (lower(*name) != *known)
            return false;
    while (*name == ' ')
        name++;
    return *name == '\0';
}

static const char *find_called(const struct search *search, const char *known)
{
    for (size_t i = 0; i < search->count; i++)
        if (is_called(search->names[i], known))
            return search->names[i];
    return NULL;
}

static const char *find_exactly(const struct search *search, const char *name, size_t length)
{
    for (size_t i = 0; i < search->count; i++)
        if (strncmp(search->names[i], name, length) == 0 && search->names[i][length] == '\0')
            return search->names[i];
    return NULL;
}

void columns_list(const char *const *names, size_t count, struct text *out)
{
    for (size_t i = 0; i < count && i < LISTED_NAMES; i++)
        text_printf(out, "%s%s", i ? ", " : "", excerpt_string(names[i]).text);
    if (count > LISTED_NAMES)
        text_printf(out, " and %zu more", count - LISTED_NAMES);
}

/* Sets an error that ends with the list of columns. */
static enum status report(const struct search *search, enum status status, const char *sentence,
                          const char *remedy, struct error *err)
{
    struct text list = {0};
    columns_list(search->names, search->count, &list);
    const char *delimiter = "";
    if (search->count == 1 && strpbrk(search->names[0], ";\t|"))
        delimiter = " If the columns are separated by another character, give it with --delimiter.";
    error_set(err, status, "%s: %s; the columns found are %s. %s%s", search->where, sentence,
              text_string(&list), remedy, delimiter);
    text_release(&list);
    return status;
}

static enum status report_absent(const struct search *search, const struct role *role,
                                 const char *name, size_t length, struct error *err)
{
    struct text sentence = {0};
    text_printf(&sentence, "there is no column %s as %s wants", excerpt(name, length).text,
                role->option);
    enum status status =
        report(search, USAGE, text_string(&sentence), "Name one of them (case matters).", err);
    text_release(&sentence);
    return status;
}

static enum status report_ambiguous(const struct search *search, const struct role *role,
                                    const char *one, const char *other, struct error *err)
{
    struct text sentence = {0};
    struct text remedy = {0};
    text_printf(&sentence, "both %s and %s could be the %s", excerpt_string(one).text,
                excerpt_string(other).text, role->what);
    text_printf(&remedy, "Say which one with %s NAME%s.", role->option,
                role == &rationale_role ? " (\"\" for none)" : "");
    enum status status =
        report(search, BAD_DATA, text_string(&sentence), text_string(&remedy), err);
    text_release(&sentence);
    text_release(&remedy);
    return status;
}

/* The columns that the user names in `wish`: one column, or several separated by commas. */
static enum status take_wish(const struct search *search, const struct role *role, const char *wish,
                             const char **found, size_t limit, size_t *count, struct error *err)
{
    *count = 0;
    const char *whole = find_exactly(search, wish, strlen(wish));
    if (whole || limit == 1) {
        if (!whole)
            return report_absent(search, role, wish, strlen(wish), err);
        found[(*count)++] = whole;
        return OK;
    }
    for (;;) {
        size_t length = strcspn(wish, ",");
        const char *one = find_exactly(search, wish, length);
        if (!one)
            return report_absent(search, role, wish, length, err);
        if (*count == limit)
            return error_set(err, USAGE, "%s takes at most %zu columns.", role->option, limit);
        found[(*count)++] = one;
        if (wish[length] == '\0')
            return OK;
        wish += length + 1;
    }
}

static bool is_among(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (names[i] && strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* The one column that goes by a name of this role and is not taken; NULL when there is none. */
static enum status find_one(const struct search *search, const struct role *role,
                            const char *const *taken, size_t taken_count, const char **found,
                            struct error *err)
{
    for (const char *const *known = role->names; *known; known++) {
        const char *one = find_called(search, *known);
        if (!one || is_among(one, taken, taken_count))
            continue;
        if (*found)
            return report_ambiguous(search, role, *found, one, err);
        *found = one;
    }
    return OK;
}

static enum status find_inputs(const struct search *search, const char *taken,
                               struct columns *columns, struct error *err)
{
    const char *single = NULL;
    enum status status = find_one(search, &input_role, &taken, 1, &single, err);
    if (status)
        return status;
    if (single)
        columns->inputs[columns->input_count++] = single;
    for (size_t i = 0; i < sizeof input_pairs / sizeof *input_pairs; i++) {
        const char *first = find_called(search, input_pairs[i][0]);
        const char *second = find_called(search, input_pairs[i][1]);
        if (!first || !second)
            continue;
        if (columns->input_count)
            return report_ambiguous(search, &input_role, columns->inputs[0], first, err);
        columns->inputs[columns->input_count++] = first;
        columns->inputs[columns->input_count++] = second;
    }
    if (columns->input_count)
        return OK;
    return report(search, BAD_DATA, "no column has a name known for an input",
                  "Name the input with --input NAME and the target with --label NAME.", err);
}

/* Alpaca: an instruction, and an input or context that may be missing. */
static bool find_instruction(const struct search *search, struct columns *columns)
{
    const char *instruction = find_called(search, "instruction");
    if (!instruction)
        return false;
    const char *input = find_called(search, "input");
    if (!input)
        input = find_called(search, "context");
    columns->shape = SHAPE_ALPACA;
    columns->inputs[columns->input_count++] = instruction;
    columns->inputs[columns->input_count++] = input ? input : "input";
    return true;
}

static bool has_all(const struct search *search, const char *wish)
{
    if (find_exactly(search, wish, strlen(wish)))
        return true;
    for (;; wish++) {
        size_t length = strcspn(wish, ",");
        if (!find_exactly(search, wish, length))
            return false;
        wish += length;
        if (*wish == '\0')
            return true;
    }
}

/* What the user named, or else what the dataset that this one belongs to uses. */
static const char *wish_of(const struct search *search, const char *option, const char *like)
{
    return option ? option : like && has_all(search, like) ? like : NULL;
}

static enum status find_target(const struct search *search, const struct dataset_options *options,
                               struct columns *columns, struct error *err)
{
    if (options->inputs_only)
        return OK;
    const char *wish =
        wish_of(search, options->target, options->like ? options->like->target_column : NULL);
    if (wish) {
        size_t count;
        return take_wish(search, &target_role, wish, &columns->target, 1, &count, err);
    }
    enum status status = find_one(search, &target_role, columns->inputs, columns->input_count,
                                  &columns->target, err);
    if (status || columns->target)
        return status;
    return report(search, BAD_DATA, "no column has a name known for a target",
                  "Name the target with --label NAME (and the input with --input NAME).", err);
}

enum status columns_find_rationale(const char *where, const char *const *names, size_t count,
                                   const struct dataset_options *options, struct arena *arena,
                                   struct columns *columns, struct error *err)
{
    struct search search = {where, names, count};
    const char *found = NULL;
    size_t wishes;
    enum status status = OK;
    if (!options->rationale)
        status =
            find_one(&search, &rationale_role, columns->inputs, columns->input_count, &found, err);
    else if (*options->rationale)
        status = take_wish(&search, &rationale_role, options->rationale, &found, 1, &wishes, err);
    bool is_target = found && columns->target && strcmp(found, columns->target) == 0;
    columns->rationale = found && !is_target ? arena_strdup(arena, found) : NULL;
    return status;
}

static enum status check_distinct(const struct search *search, const struct columns *columns,
                                  struct error *err)
{
    for (size_t i = 0; i < columns->input_count; i++)
        if (columns->target && strcmp(columns->inputs[i], columns->target) == 0)
            return error_set(err, USAGE,
                             "%s: column %s is asked for as input and as target; name two "
                             "different columns with --input and --label.",
                             search->where, excerpt_string(columns->target).text);
    return OK;
}

enum status columns_find(const char *where, const char *const *names, size_t count,
                         const struct dataset_options *options, struct arena *arena,
                         struct columns *columns, struct error *err)
{
    struct search search = {where, names, count};
    const struct dataset *like = options->like;
    *columns = (struct columns){.shape = SHAPE_COLUMNS};
    const char *wish = wish_of(&search, options->input,
                               like && like->shape == SHAPE_COLUMNS ? like->input_column : NULL);
    enum status status = OK;
    if (wish)
        status = take_wish(&search, &input_role, wish, columns->inputs, INPUT_COLUMNS,
                           &columns->input_count, err);
    else if (!find_instruction(&search, columns))
        status = find_inputs(&search, options->target, columns, err);
    if (!status)
        status = find_target(&search, options, columns, err);
    if (!status)
        status = check_distinct(&search, columns, err);
    if (status)
        return status;
    for (size_t i = 0; i < columns->input_count; i++)
        columns->inputs[i] = arena_strdup(arena, columns->inputs[i]);
    if (columns->target)
        columns->target = arena_strdup(arena, columns->target);
    return OK;
}

bool columns_is_instruction(const char *name)
{
    return is_called(name, "instruction");
}

static bool is_missing(const char *value)
{
    return !value || value[strspn(value, " \t\r\n")] == '\0';
}

const char *columns_join(const struct columns *columns, const char *const *values, struct text *out)
{
    bool alpaca = columns->shape == SHAPE_ALPACA;
    for (size_t i = 0; i < columns->input_count; i++) {
        bool missing = is_missing(values[i]);
        if (missing && alpaca && i > 0)
            continue;
        if (missing)
            return columns->inputs[i];
        if (i)
            text_add(out, "\n");
        if (!alpaca && columns->input_count > 1)
            text_printf(out, "%s: ", columns->inputs[i]);
        text_add(out, values[i]);
    }
    return NULL;
}

const char *columns_input_names(const struct columns *columns, struct arena *arena)
{
    struct text joined = {0};
    for (size_t i = 0; i < columns->input_count; i++)
        text_printf(&joined, "%s%s", i ? "," : "", columns->inputs[i]);
    const char *copy = arena_strdup(arena, text_string(&joined));
    text_release(&joined);
    return copy;
}
