/* SPDX-License-Identifier: Apache-2.0
 *
 * advisor list: what there is to choose from.
 */
#include <string.h>

#include "advisor/command.h"
#include "advisor/output.h"
#include "advisor/rules.h"
#include "advisor/values.h"
#include "reports/plain.h"
#include "reports/writer.h"
#include "techniques/setting.h"
#include "techniques/technique.h"

enum { WIDTH = 80 };

/* "  name    summary, wrapped"; a name that is too long has a line of its own. */
static void add_line(struct text *out, const char *name, int column, const char *summary)
{
    bool fits = (int)strlen(name) < column - 2;
    text_printf(out, "  %s%s", name, fits ? "" : "\n");
    text_repeat(out, " ", fits ? column - 2 - (int)strlen(name) : column);
    plain_wrap(out, summary, column, column, WIDTH);
    text_add(out, "\n");
}

/* ---- Techniques -------------------------------------------------------------------------------
 */

struct need {
    enum technique_needs flag;
    const char *name;
};

static const struct need needs[] = {{NEEDS_MODEL, "model"},
                                    {NEEDS_GRADIENT, "gradient"},
                                    {NEEDS_LABELS, "labels"},
                                    {NEEDS_RATIONALE, "rationale"}};

static void techniques_text(struct text *out)
{
    const struct technique *technique;
    text_add(out, "Techniques, from what costs nothing to what trains most:\n\n");
    for (size_t i = 0; (technique = technique_at(i)); i++)
        add_line(out, technique->name, 20, technique->summary);
    text_add(out, "\n`advisor list techniques NAME` has the hyper-parameters of one.\n");
}

static void write_needs(struct writer *w, const struct technique *technique)
{
    write_array(w, "needs");
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (technique->needs & needs[i].flag)
            write_string(w, NULL, needs[i].name);
    write_array_end(w);
}

static const char *kind_name(enum value_kind kind)
{
    static const char *const names[] = {[VALUE_INTEGER] = "integer",
                                        [VALUE_REAL] = "real",
                                        [VALUE_CHOICE] = "choice",
                                        [VALUE_TEXT] = "text"};
    return names[kind];
}

static void write_choices(struct writer *w, const char *choices)
{
    write_array(w, "choices");
    for (const char *at = choices; at;) {
        struct text one = {0};
        size_t length = strcspn(at, "|");
        text_append(&one, at, length);
        write_string(w, NULL, text_string(&one));
        text_release(&one);
        at = at[length] ? at + length + 1 : NULL;
    }
    write_array_end(w);
}

static bool is_number(const struct hyperparameter *h)
{
    return h->kind == VALUE_INTEGER || h->kind == VALUE_REAL;
}

static void write_hyperparameter(struct writer *w, const struct hyperparameter *h,
                                 const struct value *value)
{
    write_object(w, NULL);
    write_string(w, "name", h->name);
    write_string(w, "summary", h->summary);
    write_string(w, "kind", kind_name(h->kind));
    if (is_number(h)) {
        write_number(w, "default", value->number);
        write_number(w, "low", h->low);
        write_number(w, "high", h->high);
    } else {
        write_string(w, "default", value->text);
    }
    if (h->kind == VALUE_CHOICE)
        write_choices(w, h->choices);
    write_object_end(w);
}

static void write_technique(struct writer *w, const struct technique *technique)
{
    const struct hyperparameter *h;
    struct setting setting = setting_default(technique);
    write_string(w, "name", technique->name);
    write_string(w, "family", technique->family);
    write_string(w, "summary", technique->summary);
    write_needs(w, technique);
    write_integer(w, "minimum_examples", technique->minimum_examples);
    write_array(w, "hyperparameters");
    for (size_t i = 0; (h = setting_hyperparameter(technique, i)); i++)
        write_hyperparameter(w, h, &setting.values[i]);
    write_array_end(w);
}

static void techniques_json(struct writer *w)
{
    const struct technique *technique;
    write_array(w, "techniques");
    for (size_t i = 0; (technique = technique_at(i)); i++) {
        write_object(w, NULL);
        write_technique(w, technique);
        write_object_end(w);
    }
    write_array_end(w);
}

/* ---- One technique ----------------------------------------------------------------------------
 */

static void describe_value(const struct hyperparameter *h, const struct value *value,
                           struct text *out)
{
    text_add(out, h->summary);
    if (is_number(h))
        text_printf(out, "; %s from %g to %g, default %g",
                    h->kind == VALUE_INTEGER ? "a whole number" : "a number", h->low, h->high,
                    value->number);
    else if (h->kind == VALUE_CHOICE)
        text_printf(out, "; one of %s, default %s", h->choices, value->text);
    else if (*value->text)
        text_printf(out, "; default %s", value->text);
}

static void add_needs(const struct technique *technique, struct text *out)
{
    struct text line = {0};
    text_add(&line, "Needs: ");
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (technique->needs & needs[i].flag)
            text_printf(&line, "%s, ", needs[i].name);
    text_printf(&line, "%d training example%s at least.", technique->minimum_examples,
                technique->minimum_examples == 1 ? "" : "s");
    plain_wrap(out, text_string(&line), 0, 0, WIDTH);
    text_add(out, "\n");
    text_release(&line);
}

static void technique_text(const struct technique *technique, struct text *out)
{
    enum { COLUMN = 22 };
    const struct hyperparameter *h;
    struct setting setting = setting_default(technique);
    struct text line = {0};
    text_printf(&line, "%s (%s): %s", technique->name, technique->family, technique->summary);
    plain_wrap(out, text_string(&line), 0, 2, WIDTH);
    text_add(out, "\n");
    add_needs(technique, out);
    text_add(out, setting_hyperparameter(technique, 0) ? "\nHyper-parameters, for --set:\n"
                                                       : "\nThere is nothing to set.\n");
    for (size_t i = 0; (h = setting_hyperparameter(technique, i)); i++) {
        text_clear(&line);
        describe_value(h, &setting.values[i], &line);
        add_line(out, h->name, COLUMN, text_string(&line));
    }
    text_release(&line);
}

/* ---- Formats and metrics ----------------------------------------------------------------------
 */

static void formats_text(struct text *out)
{
    const struct report_format *format;
    text_add(out, "Formats of the result, for --format:\n\n");
    for (size_t i = 0; (format = report_format_at(i)); i++)
        add_line(out, format->name, 14, format->summary);
}

static void formats_json(struct writer *w)
{
    const struct report_format *format;
    write_array(w, "formats");
    for (size_t i = 0; (format = report_format_at(i)); i++) {
        write_object(w, NULL);
        write_string(w, "name", format->name);
        write_string(w, "summary", format->summary);
        write_object_end(w);
    }
    write_array_end(w);
}

static void metrics_text(struct text *out)
{
    text_add(out, "Metrics, for --metric:\n\n");
    for (size_t i = 0; i < metric_count(); i++) {
        const struct metric *metric = metric_at(i);
        struct text line = {0};
        text_printf(&line, "%s (%s; %s is better)", metric->title, metric->unit,
                    metric->higher_is_better ? "higher" : "lower");
        add_line(out, metric->name, 22, text_string(&line));
        text_release(&line);
    }
}

static void metrics_json(struct writer *w)
{
    write_array(w, "metrics");
    for (size_t i = 0; i < metric_count(); i++) {
        const struct metric *metric = metric_at(i);
        write_object(w, NULL);
        write_string(w, "name", metric->name);
        write_string(w, "title", metric->title);
        write_string(w, "unit", metric->unit);
        write_bool(w, "higher_is_better", metric->higher_is_better);
        write_object_end(w);
    }
    write_array_end(w);
}

/* ---- Rules and facts --------------------------------------------------------------------------
 */

static void add_rule(const struct rule *rule, struct text *out)
{
    struct text line = {0};
    text_printf(&line, "%s: %s", rule->techniques, effect_name(rule->effect));
    if (rule->strength > 0)
        text_printf(&line, " %g", rule->strength);
    text_printf(&line, " where %s. %s (%s)", rule->condition, rule->reason, rule->source);
    add_line(out, rule->id, 9, text_string(&line));
    text_release(&line);
}

static void rules_text(struct text *out)
{
    struct rules *rules;
    const struct rule *rule;
    struct error err = {0};
    if (rules_open(&rules, NULL, &err) != OK) {
        text_add(out, err.text);
        return;
    }
    text_add(out, "Rules, which `advisor advise` reasons with (--rules FILE adds others):\n\n");
    for (size_t i = 0; (rule = rules_at(rules, i)); i++)
        add_rule(rule, out);
    rules_free(rules);
}

static void rules_json(struct writer *w)
{
    struct rules *rules;
    const struct rule *rule;
    write_array(w, "rules");
    if (rules_open(&rules, NULL, NULL) != OK)
        rules = NULL;
    for (size_t i = 0; rules && (rule = rules_at(rules, i)); i++) {
        write_object(w, NULL);
        write_string(w, "rule", rule->id);
        write_string(w, "condition", rule->condition);
        write_string(w, "techniques", rule->techniques);
        write_string(w, "effect", effect_name(rule->effect));
        write_number(w, "strength", rule->strength);
        write_string(w, "reason", rule->reason);
        write_string(w, "source", rule->source);
        write_object_end(w);
    }
    write_array_end(w);
    rules_free(rules);
}

static void facts_text(struct text *out)
{
    text_add(out, "Facts, for the conditions of rules (not known is NULL):\n\n");
    for (size_t i = 0; i < FACTS; i++) {
        const struct fact_row *row = fact_row((enum fact_name)i);
        struct text line = {0};
        text_printf(&line, "%s (%s)", row->summary, fact_unit_name(row->unit));
        add_line(out, row->name, 23, text_string(&line));
        text_release(&line);
    }
}

static void facts_json(struct writer *w)
{
    write_array(w, "facts");
    for (size_t i = 0; i < FACTS; i++) {
        const struct fact_row *row = fact_row((enum fact_name)i);
        write_object(w, NULL);
        write_string(w, "name", row->name);
        write_string(w, "unit", fact_unit_name(row->unit));
        write_string(w, "summary", row->summary);
        write_bool(w, "of_technique", i >= FACT_TECHNIQUE);
        write_object_end(w);
    }
    write_array_end(w);
}

/* ---- The command ------------------------------------------------------------------------------
 */

static void technique_names(struct text *out)
{
    const struct technique *technique;
    for (size_t i = 0; (technique = technique_at(i)); i++)
        text_printf(out, "%s\n", technique->name);
}

static void format_names(struct text *out)
{
    const struct report_format *format;
    for (size_t i = 0; (format = report_format_at(i)); i++)
        text_printf(out, "%s\n", format->name);
}

static void metric_names(struct text *out)
{
    for (size_t i = 0; i < metric_count(); i++)
        text_printf(out, "%s\n", metric_at(i)->name);
}

static void rules_names(struct text *out)
{
    struct rules *rules;
    const struct rule *rule;
    if (rules_open(&rules, NULL, NULL) != OK)
        return;
    for (size_t i = 0; (rule = rules_at(rules, i)); i++)
        text_printf(out, "%s\n", rule->id);
    rules_free(rules);
}

static void facts_names(struct text *out)
{
    for (size_t i = 0; i < FACTS; i++)
        text_printf(out, "%s\n", fact_row((enum fact_name)i)->name);
}

struct topic {
    const char *name;
    void (*text)(struct text *out);
    void (*json)(struct writer *w);
    void (*names)(struct text *out); /* one in a line */
};

static const struct topic topics[] = {
    {"techniques", techniques_text, techniques_json, technique_names},
    {"formats", formats_text, formats_json, format_names},
    {"metrics", metrics_text, metrics_json, metric_names},
    {"rules", rules_text, rules_json, rules_names},
    {"facts", facts_text, facts_json, facts_names}};

enum { TOPICS = sizeof topics / sizeof *topics };

static const struct topic *find_topic(const char *name, struct error *err)
{
    const char *names[TOPICS];
    for (size_t i = 0; i < TOPICS; i++) {
        if (!strcmp(name, topics[i].name))
            return &topics[i];
        names[i] = topics[i].name;
    }
    const char *meant = nearest(name, names, TOPICS);
    error_set(err, USAGE,
              "list: there is nothing called \"%s\"%s%s%s; expected techniques, formats, "
              "metrics, rules or facts",
              name, meant ? " (did you mean " : "", meant ? meant : "", meant ? "?)" : "");
    return NULL;
}

static void list_json(const struct topic *topic, const struct technique *technique,
                      struct text *out)
{
    struct writer w = writer_begin(out);
    write_object(&w, NULL);
    write_integer(&w, "schema", 1);
    if (technique)
        write_technique(&w, technique);
    else
        topic->json(&w);
    write_object_end(&w);
    writer_end(&w);
}

/* --quiet: one name a line, for a script. */
static void list_names(const struct topic *topic, const struct technique *technique,
                       struct text *out)
{
    const struct hyperparameter *h;
    for (size_t i = 0; technique && (h = setting_hyperparameter(technique, i)); i++)
        text_printf(out, "%s\n", h->name);
    if (!technique)
        topic->names(out);
}

/* --verbose: with the hyper-parameters of each. */
static void list_details(struct text *out)
{
    for (size_t i = 0; technique_at(i); i++) {
        text_add(out, i ? "\n" : "");
        technique_text(technique_at(i), out);
    }
}

static void list_text(const struct options *options, const struct topic *topic,
                      const struct technique *technique, struct text *out)
{
    if (options->quiet)
        list_names(topic, technique, out);
    else if (technique)
        technique_text(technique, out);
    else if (options->verbose && topic == topics)
        list_details(out);
    else
        topic->text(out);
}

enum status list_run(const struct options *options, struct error *err)
{
    const char *what = options->operand_count ? options->operands[0] : topics[0].name;
    const struct topic *topic = find_topic(what, err);
    const struct technique *technique = NULL;
    bool json = !strcmp(options->format->name, "json");
    if (!topic)
        return USAGE;
    if (!json && options->format != report_format_at(0))
        return error_set(err, USAGE, "list has no format %s; expected text or json",
                         options->format->name);
    if (options->operand_count > 1 && topic != topics)
        return error_set(err, USAGE, "list %s cannot use \"%s\"; only techniques have details",
                         topic->name, options->operands[1]);
    if (options->operand_count > 1 &&
        options_technique("list techniques", options->operands[1], &technique, err) != OK)
        return USAGE;
    struct text out = {0};
    if (json)
        list_json(topic, technique, &out);
    else
        list_text(options, topic, technique, &out);
    enum status status = output_write(options, &out, err);
    text_release(&out);
    return status;
}
