/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/names.h"

#include <string.h>

const struct known_name names_of_input[] = {
    {"text", 1},       {"sentence", 1},    {"input", 1},       {"prompt", 1},
    {"question", 1},   {"review", 1},      {"content", 1},

    {"tweet", 2},      {"inputs", 2},      {"utterance", 2},   {"utt", 2},
    {"query", 2},      {"document", 2},    {"article", 2},     {"message", 2},
    {"comment", 2},    {"body", 2},        {"post", 2},        {"headline", 2},
    {"sms", 2},        {"email", 2},       {"request", 2},     {"ticket", 2},
    {"dialogue", 2},   {"dialog", 2},      {"transcript", 2},  {"claim", 2},
    {"statement", 2},  {"phrase", 2},      {"problem", 2},     {"questionstem", 2},
    {"stem", 2},       {"ctx", 2},         {"goal", 2},        {"reviewtext", 2},
    {"reviewbody", 2}, {"tweettext", 2},   {"commenttext", 2}, {"inputtext", 2},
    {"passage", 2},

    {"title", 3},      {"description", 3}, {"subject", 3},     {"abstract", 3},
    {"context", 3},    {"source", 3},      {NULL, 0},
};

const struct known_name names_of_target[] = {
    {"label", 1},     {"output", 1},        {"completion", 1},  {"answer", 1},
    {"target", 1},    {"response", 1},

    {"labels", 2},    {"targets", 2},       {"labeltext", 2},   {"labelname", 2},
    {"class", 2},     {"classlabel", 2},    {"classindex", 2},  {"classname", 2},
    {"category", 2},  {"intent", 2},        {"sentiment", 2},   {"emotion", 2},
    {"topic", 2},     {"tag", 2},           {"polarity", 2},    {"stance", 2},
    {"summary", 2},   {"highlights", 2},    {"stars", 2},       {"rating", 2},
    {"score", 2},     {"overall", 2},       {"isduplicate", 2}, {"issarcastic", 2},
    {"isspam", 2},    {"spam", 2},          {"coarselabel", 2}, {"finelabel", 2},
    {"goldlabel", 2}, {"gold", 2},          {"groundtruth", 2}, {"expectedoutput", 2},
    {"answers", 2},   {"answerkey", 2},     {"answeridx", 2},   {"answerindex", 2},
    {"correct", 2},   {"correctanswer", 2}, {"cop", 2},         {"finalanswer", 2},
    {"finalans", 2},  {"entities", 2},      {"slots", 2},       {NULL, 0},
};

const struct known_name names_of_rationale[] = {
    {"rationale", 1},      {"explanation", 1},    {"reasoning", 1},
    {"chainofthought", 1}, {"solution", 1},       {"cot", 2},
    {"justification", 2},  {"workedsolution", 2}, {NULL, 0},
};

const struct known_pair name_pairs[] = {
    {"premise", "hypothesis", 1, NEEDS_BOTH},
    {"sentence1", "sentence2", 1, NEEDS_BOTH},
    {"question1", "question2", 1, NEEDS_BOTH},
    {"texta", "textb", 1, NEEDS_BOTH},
    {"text1", "text2", 1, NEEDS_BOTH},
    {"context", "question", 1, NEEDS_SECOND},
    {"passage", "question", 1, NEEDS_BOTH},
    {"paragraph", "question", 1, NEEDS_BOTH},
    {"article", "question", 1, NEEDS_BOTH},
    {"document", "question", 1, NEEDS_BOTH},
    {"story", "question", 1, NEEDS_BOTH},
    {"body", "question", 1, NEEDS_BOTH},
    {"text", "question", 1, NEEDS_BOTH},
    {"premise", "question", 1, NEEDS_BOTH},
    {"question", "sentence", 1, NEEDS_BOTH},
    {"title", "text", 1, NEEDS_ONE},
    {"title", "content", 1, NEEDS_ONE},
    {"title", "review", 1, NEEDS_ONE},
    {"reviewtitle", "review", 1, NEEDS_ONE},
    {"title", "body", 2, NEEDS_ONE},
    {"title", "article", 2, NEEDS_ONE},
    {"title", "document", 2, NEEDS_ONE},
    {"title", "post", 2, NEEDS_ONE},
    {"title", "selftext", 2, NEEDS_ONE},
    {"headline", "body", 2, NEEDS_ONE},
    {"headline", "shortdescription", 2, NEEDS_ONE},
    {"subject", "body", 2, NEEDS_ONE},
    {"subject", "message", 2, NEEDS_ONE},
    {"subject", "email", 2, NEEDS_ONE},
    {"reviewtitle", "reviewbody", 2, NEEDS_ONE},
    {"reviewtitle", "reviewtext", 2, NEEDS_ONE},
    {"questiontitle", "questioncontent", 2, NEEDS_ONE},
    {"document", "query", 2, NEEDS_BOTH},
    {"passage", "query", 2, NEEDS_BOTH},
    {"context", "query", 2, NEEDS_SECOND},
    {"claim", "evidence", 2, NEEDS_BOTH},
    {"title", "description", 3, NEEDS_ONE},
    {"title", "abstract", 3, NEEDS_ONE},
    {NULL, NULL, 0, NEEDS_BOTH},
};

static bool is_separator(char c)
{
    return c == ' ' || c == '_' || c == '-';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static const char *skip_separators(const char *name)
{
    while (is_separator(*name))
        name++;
    return name;
}

/* Where `column` goes on behind `start`, or NULL when it does not begin so. */
static const char *behind(const char *column, const char *start)
{
    for (; *start; start++, column++) {
        column = skip_separators(column);
        if (lower(*column) != *start)
            return NULL;
    }
    return skip_separators(column);
}

bool name_is(const char *column, const char *known)
{
    const char *rest = behind(column, known);
    return rest && *rest == '\0';
}

static bool is_any(const char *column, const char *const *known)
{
    for (; *known; known++)
        if (name_is(column, *known))
            return true;
    return false;
}

bool name_is_choice_list(const char *column)
{
    static const char *const known[] = {
        "choices",       "options",       "endings",      "candidates",
        "answerchoices", "answeroptions", "alternatives", NULL};
    return is_any(column, known);
}

bool name_spells_out(const char *name, const char *target)
{
    static const char *const coded[] = {"label",     "class",  "category", "coarselabel",
                                        "finelabel", "intent", "emotion",  "sentiment",
                                        "topic",     NULL};
    static const char *const endings[] = {"text", "name", "str", NULL};
    for (size_t i = 0; coded[i]; i++) {
        const char *rest = name_is(target, coded[i]) ? behind(name, coded[i]) : NULL;
        if (rest && is_any(rest, endings))
            return true;
    }
    return name_is(target, "label") && name_is(name, "textlabel");
}

bool name_is_scale(const char *column)
{
    static const char *const known[] = {"stars", "rating", "score", "overall", NULL};
    return is_any(column, known);
}

/* How the columns of one choice each are called: what they begin with, and the first sign behind
 * it. */
struct choice_series {
    const char *start;
    char first;
};

static bool is_choice(const char *column, struct choice_series series, size_t number)
{
    const char *rest = behind(column, series.start);
    char sign = (char)(series.first + (char)number);
    if (!rest || !*rest || *skip_separators(rest + 1))
        return false;
    /* Bare letters are common names: only A, B ... in capitals are choices. */
    return *series.start ? lower(*rest) == sign : *rest == sign;
}

static size_t find_series(const char *const *names, size_t count, struct choice_series series,
                          const char **found, size_t limit)
{
    size_t length = 0;
    for (size_t i = 0; i < count && length < limit;)
        if (is_choice(names[i], series, length)) {
            found[length++] = names[i];
            i = 0;
        } else {
            i++;
        }
    return length;
}

size_t names_of_choices(const char *const *names, size_t count, const char **found, size_t limit)
{
    static const char *const starts[] = {"option", "choice", "ending", "answer", "sol", "op"};
    static const char signs[] = {'a', '0', '1'};
    size_t length = find_series(names, count, (struct choice_series){"", 'A'}, found, limit);
    for (size_t i = 0; i < sizeof starts / sizeof *starts && length < 2; i++)
        for (size_t k = 0; k < sizeof signs && length < 2; k++)
            length = find_series(names, count, (struct choice_series){starts[i], signs[k]}, found,
                                 limit);
    return length < 2 ? 0 : length;
}
