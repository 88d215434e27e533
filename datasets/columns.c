/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/columns.h"

#include <stdbool.h>
#include <string.h>

#include "datasets/excerpt.h"
#include "datasets/names.h"

enum { LISTED_NAMES = 12, DOUBTS = 8 };

/* A role that a column can have, the names it goes by, and the option that settles it. */
struct role {
    const char *what;
    const char *option;
    const struct known_name *names;
};

static const struct role input_role = {"input", "--input", names_of_input};
static const struct role target_role = {"target", "--label", names_of_target};
static const struct role rationale_role = {"rationale", "--rationale", names_of_rationale};

/* What one search works on. */
struct search {
    const char *where;
    const char *const *names;
    size_t count;
};

static const char *find_called(const struct search *search, const char *known)
{
    for (size_t i = 0; i < search->count; i++)
        if (name_is(search->names[i], known))
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

/* What could fill a role: one column, or two that are one input together. */
struct candidate {
    const char *first;
    const char *second; /* NULL: none */
};

static enum status report_ambiguous(const struct search *search, const struct role *role,
                                    const struct candidate *candidates, size_t count,
                                    struct error *err)
{
    struct text sentence = {0};
    struct text remedy = {0};
    text_add(&sentence, count == 2 ? "both " : "each of ");
    for (size_t i = 0; i < count; i++) {
        text_add(&sentence, i == 0 ? "" : i + 1 == count ? " and " : ", ");
        text_add(&sentence, excerpt_string(candidates[i].first).text);
        if (candidates[i].second)
            text_printf(&sentence, " with %s", excerpt_string(candidates[i].second).text);
    }
    text_printf(&sentence, " could be the %s", role->what);
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

/* The columns that go by a name of this rank and are not taken. */
static size_t list_called(const struct search *search, const struct role *role, int rank,
                          const char *const *taken, size_t taken_count,
                          struct candidate found[DOUBTS])
{
    size_t count = 0;
    for (const struct known_name *known = role->names; known->name; known++)
        for (size_t i = 0; i < search->count && count < DOUBTS && known->rank == rank; i++)
            if (name_is(search->names[i], known->name) &&
                !is_among(search->names[i], taken, taken_count))
                found[count++] = (struct candidate){search->names[i], NULL};
    return count;
}

/* The one column that goes by a name of this role and is not taken; NULL when there is none. */
static enum status find_one(const struct search *search, const struct role *role,
                            const char *const *taken, size_t taken_count, const char **found,
                            struct error *err)
{
    struct candidate candidates[DOUBTS];
    for (int rank = 1; rank <= NAME_RANKS; rank++) {
        size_t count = list_called(search, role, rank, taken, taken_count, candidates);
        if (count > 1)
            return report_ambiguous(search, role, candidates, count, err);
        if (count == 1) {
            *found = candidates[0].first;
            return OK;
        }
    }
    return OK;
}

/* The pairs of this rank that are there, and the single columns that are in none of them. */
static size_t list_inputs(const struct search *search, int rank, const char *taken,
                          struct candidate found[DOUBTS])
{
    const char *used[2 * DOUBTS + 1] = {taken};
    size_t used_count = 1, count = 0;
    for (const struct known_pair *pair = name_pairs; pair->first && count < DOUBTS; pair++) {
        const char *first = find_called(search, pair->first);
        const char *second = find_called(search, pair->second);
        if (pair->rank != rank || !first || !second || is_among(first, &taken, 1) ||
            is_among(second, &taken, 1))
            continue;
        found[count++] = (struct candidate){first, second};
        used[used_count++] = first;
        used[used_count++] = second;
    }
    struct candidate singles[DOUBTS];
    size_t single_count = list_called(search, &input_role, rank, used, used_count, singles);
    /* Single columns come first in a message, as the names that are most usual. */
    size_t room = DOUBTS - count < single_count ? DOUBTS - count : single_count;
    memmove(found + room, found, count * sizeof *found);
    memcpy(found, singles, room * sizeof *singles);
    return count + room;
}

/* Whether a header looks like a row of data. */
static bool looks_like_data(const struct search *search)
{
    for (size_t i = 0; i < search->count; i++) {
        size_t words = 1;
        for (const char *c = search->names[i]; *c; c++)
            words += *c == ' ';
        if (words > 5)
            return true;
    }
    return false;
}

static enum status find_inputs(const struct search *search, const char *taken,
                               struct columns *columns, struct error *err)
{
    struct candidate found[DOUBTS];
    for (int rank = 1; rank <= NAME_RANKS; rank++) {
        size_t count = list_inputs(search, rank, taken, found);
        if (count > 1)
            return report_ambiguous(search, &input_role, found, count, err);
        if (count == 0)
            continue;
        columns->inputs[columns->input_count++] = found[0].first;
        if (found[0].second)
            columns->inputs[columns->input_count++] = found[0].second;
        return OK;
    }
    if (looks_like_data(search))
        return report(search, BAD_DATA, "no column has a name known for an input",
                      "The first line looks like data: put a line with the names of the columns "
                      "in front of it, such as text,label.",
                      err);
    return report(search, BAD_DATA, "no column has a name known for an input",
                  "Name the input with --input NAME and the target with --label NAME.", err);
}

/* ---- Choices -------------------------------------------------------------------------------- */

static const char *find_choice_list(const struct search *search)
{
    for (size_t i = 0; i < search->count; i++)
        if (name_is_choice_list(search->names[i]))
            return search->names[i];
    return NULL;
}

/* Adds the columns that hold the choices, where there are any beside the input found. */
static enum status add_choices(const struct search *search, const char *target,
                               struct columns *columns, struct error *err)
{
    const char *found[CHOICES_MOST + 1];
    size_t count = 0;
    found[0] = find_choice_list(search);
    if (found[0])
        count = 1;
    else
        count = names_of_choices(search->names, search->count, found, CHOICES_MOST + 1);
    for (size_t i = 0; i < count; i++)
        if ((target && strcmp(found[i], target) == 0) ||
            is_among(found[i], columns->inputs, columns->input_count))
            return OK;
    if (count > CHOICES_MOST)
        return error_set(err, BAD_DATA,
                         "%s: there are more than %d columns of choices, from %s on, and at most "
                         "%d (A to J) are read; name the columns of the input with --input.",
                         search->where, CHOICES_MOST, excerpt_string(found[0]).text, CHOICES_MOST);
    for (size_t i = 0; i < count; i++)
        columns->inputs[columns->input_count++] = found[i];
    return OK;
}

/* How many columns at the end are one choice each. */
static size_t count_spread(const struct columns *columns)
{
    const char *found[INPUT_COLUMNS];
    for (size_t from = 1; from + 2 <= columns->input_count; from++) {
        size_t rest = columns->input_count - from;
        const char *const *tail = columns->inputs + from;
        bool same = names_of_choices(tail, rest, found, INPUT_COLUMNS) == rest;
        for (size_t i = 0; i < rest && same; i++)
            same = strcmp(found[i], tail[i]) == 0;
        if (same && rest <= CHOICES_MOST)
            return rest;
    }
    return 0;
}

/* Tells texts from choices among the inputs, whoever named them. */
static void mark_choices(struct columns *columns)
{
    size_t count = columns->input_count;
    columns->text_count = count;
    if (columns->shape != SHAPE_COLUMNS || count < 2)
        return;
    size_t spread = count_spread(columns);
    if (spread) {
        columns->choices = CHOICES_SPREAD;
        columns->text_count = count - spread;
    } else if (name_is_choice_list(columns->inputs[count - 1])) {
        columns->choices = CHOICES_LISTED;
        columns->text_count = count - 1;
    }
}

void columns_settle_choices(struct columns *columns, bool list)
{
    size_t last = columns->input_count - 1;
    if (columns->choices == CHOICES_LISTED && !list) {
        if (columns->named && !columns->as_text)
            return;
        columns->choices = CHOICES_ABSENT;
        columns->dropped = columns->named ? NULL : columns->inputs[last];
        columns->input_count -= !columns->named;
        columns->text_count = columns->input_count;
    } else if (columns->choices == CHOICES_ABSENT && list && columns->named && last > 0) {
        columns->choices = CHOICES_LISTED;
        columns->text_count = last;
    }
}

/* Which values a row may lack, where the texts are a pair that is known. */
static void mark_missing(struct columns *columns)
{
    for (const struct known_pair *pair = name_pairs; pair->first; pair++)
        if (columns->shape == SHAPE_COLUMNS && columns->text_count == 2 &&
            name_is(columns->inputs[0], pair->first) && name_is(columns->inputs[1], pair->second)) {
            columns->one_missing = pair->needs == NEEDS_ONE;
            columns->first_missing = pair->needs == NEEDS_SECOND;
        }
}

/* ---- The columns of a file ------------------------------------------------------------------ */

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

/* Takes the column that spells out the classes instead of the one with their numbers. */
static void prefer_names(const struct search *search, struct columns *columns)
{
    for (size_t i = 0; i < search->count; i++)
        if (name_spells_out(search->names[i], columns->target) &&
            !is_among(search->names[i], columns->inputs, columns->input_count)) {
            columns->coded = columns->target;
            columns->target = search->names[i];
            return;
        }
}

/* A column called target beside an opinion is mostly what the opinion is about. */
static enum status check_aspect(const struct search *search, const struct columns *columns,
                                struct error *err)
{
    static const char *const opinions[] = {"stance", "sentiment", "polarity"};
    for (size_t i = 0; i < sizeof opinions / sizeof *opinions; i++) {
        const char *opinion = find_called(search, opinions[i]);
        struct candidate found[] = {{columns->target, NULL}, {opinion, NULL}};
        if (opinion && name_is(columns->target, "target"))
            return report_ambiguous(search, &target_role, found, 2, err);
    }
    return OK;
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
    if (status == OK && columns->target) {
        prefer_names(search, columns);
        status = check_aspect(search, columns, err);
    }
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

static void copy_names(struct columns *columns, struct arena *arena)
{
    for (size_t i = 0; i < columns->input_count; i++)
        columns->inputs[i] = arena_strdup(arena, columns->inputs[i]);
    if (columns->target)
        columns->target = arena_strdup(arena, columns->target);
    if (columns->coded)
        columns->coded = arena_strdup(arena, columns->coded);
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
    columns->named = wish != NULL;
    columns->as_text = options->input && !options->skipped_lines;
    if (wish)
        status = take_wish(&search, &input_role, wish, columns->inputs, INPUT_COLUMNS,
                           &columns->input_count, err);
    else if (!find_instruction(&search, columns))
        status = find_inputs(&search, options->target, columns, err);
    if (!status && !wish && columns->shape == SHAPE_COLUMNS)
        status = add_choices(&search, options->target, columns, err);
    if (!status)
        status = find_target(&search, options, columns, err);
    if (!status)
        status = check_distinct(&search, columns, err);
    if (status)
        return status;
    mark_choices(columns);
    mark_missing(columns);
    copy_names(columns, arena);
    return OK;
}

bool columns_is_instruction(const char *name)
{
    return name_is(name, "instruction");
}

static bool is_missing(const char *value)
{
    return !value || value[strspn(value, " \t\r\n")] == '\0';
}

static bool may_be_missing(const struct columns *columns, size_t i)
{
    if (columns->shape == SHAPE_ALPACA)
        return i > 0;
    return columns->one_missing || (columns->first_missing && i == 0);
}

const char *columns_join(const struct columns *columns, const char *const *values, struct text *out)
{
    bool named = columns->shape != SHAPE_ALPACA && columns->text_count > 1;
    size_t found = 0;
    for (size_t i = 0; i < columns->text_count; i++) {
        bool missing = is_missing(values[i]);
        if (missing && may_be_missing(columns, i))
            continue;
        if (missing)
            return columns->inputs[i];
        if (found++)
            text_add(out, "\n");
        if (named)
            text_printf(out, "%s: ", columns->inputs[i]);
        text_add(out, values[i]);
    }
    return found ? NULL : columns->inputs[columns->text_count - 1];
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
