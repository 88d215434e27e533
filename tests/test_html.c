/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTML report: well-formed, safe with hostile texts, and fit for a screen reader. What it looks
 * like is for tests/visual/check.sh and a pair of eyes.
 *
 * ADVISOR_PAGES=FOLDER keeps the pages there.
 */
#define _XOPEN_SOURCE 700
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "advisor/evidence.h"
#include "base/clock.h"
#include "reports/formats.h"
#include "reports/html_text.h"
#include "tests/store_support.h"

#include "tests/report_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Pages ------------------------------------------------------------------------------------
 */

static void keep_page(const char *name, const struct text *page)
{
    const char *folder = getenv("ADVISOR_PAGES");
    char path[600];
    if (!folder)
        return;
    snprintf(path, sizeof path, "%s/%s.html", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fwrite(page->bytes, 1, page->length, file);
    fclose(file);
}

/* A report out of a study file, as `advisor report` makes it. */
static struct report stored_report(struct study_place *place, bool hostile)
{
    struct error err = {0};
    struct study_record record;
    struct report report;
    bool found;
    made_write(place->file, hostile, &place->arena);
    struct store *store = must_open(place->file, STORE_READ);
    must(store_study_get(store, &place->arena, &record, &found, &err), &err);
    must(report_read(record.recommendation, &place->arena, &report, &err), &err);
    must(evidence_fill(store, &place->arena, &report, &err), &err);
    report.study_path = arena_strdup(&place->arena, "studies/support-tickets.db");
    store_close(store);
    return report;
}

static struct text page_of(const struct report *report)
{
    struct text page = {0};
    write_html_report(report, (struct report_style){0}, &page);
    return page;
}

/* The same without the parts that may be missing. */
static struct report bare_report(const struct report *report)
{
    struct report bare = *report;
    bare.evidence = (struct evidence){0};
    bare.technique = NULL;
    bare.outcome = OUTCOME_BEATS_NOTHING;
    bare.target = bare.requests = (struct measured){0};
    bare.label_count = bare.warning_count = bare.pareto_count = 0;
    bare.ranking_count = 0;
    bare.command = bare.study_path = bare.program_version = NULL;
    return bare;
}

static const char *const page_names[] = {"rich", "hostile", "bare", "lone", "trial"};

static struct text make_page(struct study_place *place, size_t which)
{
    struct report report = stored_report(place, which == 1);
    if (which == 2)
        report = bare_report(&report);
    if (which == 3 || which == 4) {
        report.ranking_count = 1;
        report.evidence = (struct evidence){0};
    }
    struct text page = {0};
    if (which == 4)
        write_html_trial(&report, (struct report_style){0}, &page);
    else
        page = page_of(&report);
    keep_page(page_names[which], &page);
    return page;
}

/* ---- A small reader of HTML -------------------------------------------------------------------
 */

enum { MOST_DEPTH = 64, LONGEST_TAG = 32 };

struct tag {
    char name[LONGEST_TAG];
    bool closing, closed; /* "</a>", "<a/>" */
    const char *attributes, *end;
};

/* What the program ever writes; anything else came out of a text. */
static bool is_known(const char *name)
{
    static const char *const known[] = {
        "html",   "head",       "meta",    "link",  "title",      "style",    "body",     "a",
        "header", "p",          "span",    "main",  "section",    "h1",       "h2",       "h3",
        "h4",     "strong",     "em",      "small", "bdi",        "dl",       "dt",       "dd",
        "div",    "nav",        "ul",      "ol",    "li",         "figure",   "fieldset", "legend",
        "input",  "label",      "svg",     "desc",  "line",       "polyline", "polygon",  "circle",
        "rect",   "details",    "summary", "text",  "figcaption", "table",    "caption",  "thead",
        "tbody",  "tr",         "th",      "td",    "abbr",       "code",     "pre",      "wbr",
        "br",     "blockquote", "footer"};
    for (size_t i = 0; i < COUNT(known); i++)
        if (!strcmp(name, known[i]))
            return true;
    return false;
}

static bool is_void(const char *name)
{
    static const char *const names[] = {"meta", "link", "input", "br", "wbr"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

/* Reads the tag at `at`, which is a '<'; every attribute is name="value" or a bare name. */
static struct tag read_tag(const char *at)
{
    struct tag tag = {.closing = at[1] == '/'};
    const char *c = at + 1 + tag.closing;
    size_t length = strspn(c, "abcdefghijklmnopqrstuvwxyz0123456789");
    assert_in_range(length, 1, LONGEST_TAG - 1);
    memcpy(tag.name, c, length);
    tag.attributes = c += length;
    while (*c == ' ' || *c == '\n') {
        c++;
        c += strspn(c, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
        if (*c != '=')
            continue;
        if (c[1] != '"')
            fail_msg("an attribute without quotes: %.60s", at);
        c = strchr(c + 2, '"');
        assert_non_null(c);
        c++;
    }
    tag.closed = *c == '/';
    c += tag.closed;
    if (*c != '>')
        fail_msg("a tag that does not end: %.80s", at);
    tag.end = c + 1;
    return tag;
}

/* The next tag at or behind `at`; the end of the page gives a tag without a name. */
static struct tag next_tag(const char *at)
{
    const char *open = strchr(at, '<');
    if (!open)
        return (struct tag){.end = at + strlen(at)};
    if (!strncmp(open, "<!DOCTYPE html>", 15))
        return next_tag(open + 15);
    struct tag tag = read_tag(open);
    if (!strcmp(tag.name, "style") && !tag.closing) { /* its text is no markup */
        const char *end = strstr(tag.end, "</style>");
        assert_non_null(end);
        tag.end = end;
    }
    return tag;
}

static bool attribute(const struct tag *tag, const char *name, char *value, size_t size)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, " %s=\"", name);
    const char *at = strstr(tag->attributes, pattern);
    if (!at || at >= tag->end)
        return false;
    at += strlen(pattern);
    snprintf(value, size, "%.*s", (int)(strchr(at, '"') - at), at);
    return true;
}

/* ---- Tests over all pages ---------------------------------------------------------------------
 */

static void check_nesting(const char *page)
{
    char open[MOST_DEPTH][LONGEST_TAG];
    size_t depth = 0;
    for (struct tag tag = next_tag(page); *tag.name; tag = next_tag(tag.end)) {
        if (!is_known(tag.name))
            fail_msg("an element <%s> that no section writes", tag.name);
        if (tag.closing) {
            if (!depth || strcmp(open[depth - 1], tag.name) != 0)
                fail_msg("</%s> closes <%s>", tag.name, depth ? open[depth - 1] : "nothing");
            depth--;
        } else if (!tag.closed && !is_void(tag.name)) {
            assert_true(depth < MOST_DEPTH);
            memcpy(open[depth++], tag.name, LONGEST_TAG);
        }
    }
    assert_int_equal(depth, 0);
}

/* Nothing runs and nothing is loaded: no element for it, no handler, no address. */
static void check_safety(const char *page)
{
    static const char *const handlers[] = {"onload", "onerror", "onclick", "style",
                                           "srcset", "src",     "xlink"};
    char value[4096];
    assert_non_null(
        strstr(page, "content=\"default-src 'none'; img-src data:; style-src 'sha256-"));
    assert_true(utf8_valid(page, strlen(page), NULL));
    for (struct tag tag = next_tag(page); *tag.name; tag = next_tag(tag.end)) {
        for (size_t i = 0; i < COUNT(handlers); i++)
            if (attribute(&tag, handlers[i], value, sizeof value))
                fail_msg("<%s %s=\"%s\">", tag.name, handlers[i], value);
        if (attribute(&tag, "href", value, sizeof value) && value[0] != '#' &&
            strcmp(value, "data:,") != 0)
            fail_msg("a link to %s", value);
    }
    assert_null(strstr(page, "url("));
    assert_null(strstr(page, "@import"));
}

/* No control character, no byte that turns the text around. */
static void check_characters(const char *page)
{
    size_t left = strlen(page);
    for (const char *at = page; left;) {
        uint32_t code;
        int used = utf8_decode(at, left, &code, NULL);
        bool turns = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
        if (turns || (code < 0x20 && code != '\n'))
            fail_msg("U+%04X in the page: %.40s", (unsigned)code, at);
        at += used;
        left -= (size_t)used;
    }
}

/* ---- Fit for a screen reader ------------------------------------------------------------------
 */

static void must_have_id(const char *page, const char *id)
{
    char pattern[1100];
    snprintf(pattern, sizeof pattern, " id=\"%s\"", id);
    const char *first = strstr(page, pattern);
    if (!first || strstr(first + 1, pattern))
        fail_msg("the id \"%s\" is there %s", id, first ? "twice" : "never");
}

static void check_references(const char *page)
{
    static const char *const names[] = {"for", "aria-labelledby", "id"};
    char value[1024];
    for (struct tag tag = next_tag(page); *tag.name; tag = next_tag(tag.end)) {
        for (size_t i = 0; i < COUNT(names); i++) {
            if (!attribute(&tag, names[i], value, sizeof value))
                continue;
            for (char *id = strtok(value, " "); id; id = strtok(NULL, " "))
                must_have_id(page, id);
        }
        if (attribute(&tag, "href", value, sizeof value) && value[0] == '#')
            must_have_id(page, value + 1);
    }
}

static void check_headings(const char *page)
{
    int level = 0, first = 0;
    for (struct tag tag = next_tag(page); *tag.name; tag = next_tag(tag.end)) {
        bool heading = tag.name[0] == 'h' && isdigit((unsigned char)tag.name[1]);
        if (!heading || tag.closing)
            continue;
        int now = tag.name[1] - '0';
        first += now == 1;
        if (now > level + 1)
            fail_msg("<h%d> comes behind <h%d>", now, level);
        level = now;
    }
    assert_int_equal(first, 1);
}

static void check_tables_and_pictures(const char *page)
{
    char value[256];
    for (struct tag tag = next_tag(page); *tag.name; tag = next_tag(tag.end)) {
        struct tag inner = next_tag(tag.end);
        if (tag.closing)
            continue;
        if (!strcmp(tag.name, "table"))
            assert_string_equal(inner.name, "caption");
        if (!strcmp(tag.name, "th"))
            assert_true(attribute(&tag, "scope", value, sizeof value));
        if (strcmp(tag.name, "svg") != 0)
            continue;
        bool hidden = attribute(&tag, "aria-hidden", value, sizeof value);
        assert_true(hidden || attribute(&tag, "role", value, sizeof value));
        if (!hidden)
            assert_string_equal(inner.name, "title");
    }
    static const char *const landmarks[] = {"<header>",        "<main ",
                                            "<nav aria-label", "<footer>",
                                            "lang=\"en\"",     "class=\"skip\" href=\"#main\""};
    for (size_t i = 0; i < COUNT(landmarks); i++)
        if (!strstr(page, landmarks[i]) && !(strstr(page, "Trial of") && i == 2))
            fail_msg("there is no %s", landmarks[i]);
}

static void test_every_page(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(page_names); i++) {
        struct study_place place;
        place_enter(&place);
        struct text page = make_page(&place, i);
        check_nesting(text_string(&page));
        check_safety(text_string(&page));
        check_characters(text_string(&page));
        check_references(text_string(&page));
        check_headings(text_string(&page));
        check_tables_and_pictures(text_string(&page));
        text_release(&page);
        place_leave(&place);
    }
}

/* What is easily left out of a page: each in its section of the rich one. */
static void test_says_what_json_says(void **state)
{
    (void)state;
    static const char *const parts[][2] = {
        {"id=\"curves\"", " would overtake "},
        {"id=\"curves\"", " with about 4.1k training examples (probability 0.87)"},
        {"id=\"rules\"", "0.61 against 0.58 of lora"},
        {"id=\"rules\"", "0.889 against 0.806 of few_shot"},
        {"id=\"lifetime\"", "cheaper than lora"},
    };
    struct study_place place;
    place_enter(&place);
    struct text page = make_page(&place, 0);
    for (size_t i = 0; i < COUNT(parts); i++) {
        const char *section = strstr(text_string(&page), parts[i][0]);
        const char *end = section ? strstr(section, "</section>") : NULL;
        const char *found = section ? strstr(section, parts[i][1]) : NULL;
        if (!found || found > end)
            fail_msg("%s: no \"%s\"", parts[i][0], parts[i][1]);
    }
    text_release(&page);
    place_leave(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_page),
        cmocka_unit_test(test_says_what_json_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
