/* SPDX-License-Identifier: Apache-2.0
 *
 * A check as JUnit XML: what GitLab, Jenkins, Azure and others read of it in common.
 *
 * One test for the verdict, one for each class and slice, one for the cost. GitLab shows the
 * classname as the suite and ignores the rest of what a suite may have, so the suite's name is in
 * the classname. A regression is a failure, and so is an inconclusive whole (its type says which);
 * a class or slice that has too few examples passes and says so; a check that could not be made is
 * an error. Cost never fails.
 */
#include <string.h>

#include "reports/guard.h"

enum { MOST_BYTES = 4000 };

/* Characters that XML 1.0 cannot hold, not even as references. */
static bool is_legal(uint32_t code)
{
    return code == '\t' || code == '\n' || code == '\r' || (code >= 0x20 && code < 0xD800) ||
           (code >= 0xE000 && code < 0xFFFE) || code > 0xFFFF;
}

static void add_character(struct text *out, uint32_t code)
{
    char bytes[4];
    switch (code) {
    case '&':
        text_add(out, "&amp;");
        break;
    case '<':
        text_add(out, "&lt;");
        break;
    case '>':
        text_add(out, "&gt;");
        break;
    case '"':
        text_add(out, "&quot;");
        break;
    case '\t':
    case '\n':
    case '\r':
        text_printf(out, "&#%d;", (int)code);
        break;
    default:
        text_append(out, bytes, (size_t)utf8_encode(is_legal(code) ? code : 0xFFFD, bytes));
    }
}

/* Text of the user, for an attribute or between tags; what is too long is cut. */
static void add_escaped(struct text *out, const char *string)
{
    size_t length = strlen(string);
    for (size_t at = 0; at < length;) {
        uint32_t code = 0xFFFD;
        int skip = 1;
        int used = utf8_decode(string + at, length - at, &code, &skip);
        if (at > MOST_BYTES) {
            text_add(out, "...");
            return;
        }
        add_character(out, used ? code : 0xFFFD);
        at += (size_t)(used ? used : skip);
    }
}

static void add_attribute(struct text *out, const char *name, const char *value)
{
    text_printf(out, " %s=\"", name);
    add_escaped(out, value);
    text_add(out, "\"");
}

/* ---- Suites --------------------------------------------------------------------------------- */

struct tally {
    size_t tests, failures, errors;
    double seconds;
};

static void add_tally(struct text *out, const struct tally *tally)
{
    text_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"0\" time=\"%.3f\"",
                tally->tests, tally->failures, tally->errors, tally->seconds);
}

static void open_suite(struct text *out, const struct tally *tally)
{
    text_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites");
    add_tally(out, tally);
    text_add(out, ">\n  <testsuite name=\"advisor check\"");
    add_tally(out, tally);
    text_add(out, ">\n");
}

static void open_test(struct text *out, const char *suite, const char *part, const char *name,
                      double seconds)
{
    struct text title = {0};
    text_printf(&title, "%s%s%s", part, *part ? " " : "", name);
    text_add(out, "    <testcase");
    add_attribute(out, "classname", suite);
    add_attribute(out, "name", text_string(&title));
    text_printf(out, " time=\"%.3f\">\n", seconds);
    text_release(&title);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

static bool fails(const struct guard_report *report, size_t row)
{
    enum guard_verdict verdict = row ? report->rows[row].group.verdict : report->verdict;
    return verdict == GUARD_REGRESSION || (!row && verdict == GUARD_INCONCLUSIVE);
}

static void describe(const struct guard_report *report, const struct guard_row *row,
                     struct text *out)
{
    const struct guard_group *group = &row->group;
    text_printf(out, "%s: %.4g before, %.4g now, change ", row->name, group->was, group->is);
    guard_add_change(out, group);
    text_printf(out, " (margin %g) on %zu examples", report->margin, group->after);
    if (report->paired)
        text_printf(out, ", %lld lost, %lld gained", (long long)group->lost,
                    (long long)group->gained);
    if (!group->tested)
        text_add(out, "; too few examples to tell");
    else if (group->verdict == GUARD_INCONCLUSIVE)
        text_printf(out, "; p %.3g that it is worse, not enough to tell", group->adjusted);
    else
        text_printf(out, "; p %.3g that it is worse", group->adjusted);
}

static void add_sentences(struct text *out, const char *const *sentences, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_add(out, i ? " " : "");
        add_escaped(out, sentences[i]);
    }
}

static void add_test(const struct guard_report *report, const char *suite, size_t i,
                     struct text *out)
{
    const struct guard_row *row = &report->rows[i];
    struct text facts = {0};
    describe(report, row, &facts);
    open_test(out, suite, i ? row->part : "", i ? row->name : report->metric,
              i ? 0 : report->seconds);
    if (fails(report, i)) {
        const char *type = guard_verdict_name(i ? row->group.verdict : report->verdict);
        text_add(out, "      <failure");
        add_attribute(out, "type", type);
        add_attribute(out, "message",
                      i || !report->reason_count ? text_string(&facts) : report->reasons[0]);
        text_add(out, ">");
        add_sentences(out, report->reasons, i ? 0 : report->reason_count);
        text_add(out, i ? "" : "\n");
        add_escaped(out, text_string(&facts));
        text_add(out, "</failure>\n");
    } else {
        text_add(out, "      <system-out>");
        add_sentences(out, report->reasons, i ? 0 : report->reason_count);
        text_add(out, i ? "" : "\n");
        add_escaped(out, text_string(&facts));
        text_add(out, "</system-out>\n");
    }
    text_add(out, "    </testcase>\n");
    text_release(&facts);
}

static void add_cost(const struct guard_report *report, const char *suite, struct text *out)
{
    open_test(out, suite, "", "cost", 0);
    text_add(out, "      <system-out>");
    for (size_t i = 0; i < report->cost_count; i++) {
        struct text facts = {0};
        guard_add_cost(&facts, &report->costs[i]);
        text_add(out, i ? "\n" : "");
        add_escaped(out, text_string(&facts));
        text_add(out, guard_is_dearer(&report->costs[i]) ? ": dearer than before" : "");
        text_release(&facts);
    }
    text_add(out, "</system-out>\n    </testcase>\n");
}

static void write_error(const struct guard_report *report, struct text *out)
{
    struct tally tally = {.tests = 1, .errors = 1, .seconds = report->seconds};
    open_suite(out, &tally);
    open_test(out, "advisor check", "", "check", report->seconds);
    text_add(out, "      <error type=\"error\"");
    add_attribute(out, "message", report->error);
    text_add(out, ">");
    add_escaped(out, report->error);
    text_add(out, "</error>\n    </testcase>\n");
}

static void write_results(const struct guard_report *report, struct text *out)
{
    struct tally tally = {.tests = report->row_count + 1, .seconds = report->seconds};
    struct text suite = {0};
    for (size_t i = 0; i < report->row_count; i++)
        tally.failures += fails(report, i);
    text_printf(&suite, "advisor check: %s", report->after.technique);
    open_suite(out, &tally);
    for (size_t i = 0; i < report->row_count; i++)
        add_test(report, text_string(&suite), i, out);
    add_cost(report, text_string(&suite), out);
    text_release(&suite);
}

void write_junit_guard(const struct guard_report *report, struct guard_style style,
                       struct text *out)
{
    (void)style;
    if (report->error)
        write_error(report, out);
    else
        write_results(report, out);
    text_add(out, "  </testsuite>\n</testsuites>\n");
}
