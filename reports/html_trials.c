/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings tried, one trial a row; declared in reports/html_parts.h.
 */
#include <stdio.h>
#include <string.h>

#include "reports/html_parts.h"
#include "reports/human.h"

enum { SETTING_COLUMNS = 400, SUMMARY_COLUMNS = 40, REASON_COLUMNS = 200 };

bool html_has_trials(const struct report *report)
{
    return report->evidence.trial_count > 0;
}

static void add_titles(const struct report *report, struct text *out)
{
    text_add(out, "<thead><tr>");
    html_head(out, "", "technique");
    html_head(out, "", "for");
    html_head(out, "n", "examples");
    html_head(out, "n", "seed");
    html_head(out, "n", report->metric);
    html_head(out, "n", "loss");
    html_head(out, "n", "time");
    html_head(out, "wide-text", "setting");
    text_add(out, "</tr></thead>\n<tbody>\n");
}

/* The loss on batches before training on them, which is what learning rates are raced by. */
static void add_result(const struct trial_record *trial, struct text *out)
{
    struct text cell = {0};
    if (trial->status == TRIAL_DONE)
        human_interval(&cell, trial->metric, trial->low, trial->high);
    else
        text_add(&cell, trial_status_name(trial->status));
    html_cell(out, "n", text_string(&cell));
    text_clear(&cell);
    if (trial->prequential_nll.known)
        text_printf(&cell, "%.3f", trial->prequential_nll.value);
    html_cell(out, "n", text_string(&cell));
    text_clear(&cell);
    human_seconds(&cell, trial->trial_seconds);
    html_cell(out, "n", text_string(&cell));
    text_release(&cell);
}

/* What tells the trials of a technique apart at a glance, as it stands in the setting. */
static void add_summary(const char *setting, struct text *out)
{
    static const char rate[] = "\"learning_rate\":";
    const char *value = strstr(setting, rate);
    if (!value) {
        text_add(out, "all of it");
        return;
    }
    value += strlen(rate);
    char number[SUMMARY_COLUMNS];
    snprintf(number, sizeof number, "%.*s", (int)strcspn(value, ",}"), value);
    text_add(out, "learning_rate ");
    html_user(out, number);
}

/* `{"a":1,"b":"x"}` as "a 1, b x" would be nicer to read and worse to copy: it stays JSON, with
 * places where a line may end, and folded away. */
static void add_setting(const char *setting, struct text *out)
{
    struct text plain = {0};
    text_add(out, "<td class=\"setting\"><details><summary>");
    add_summary(setting, out);
    text_add(out, "</summary><code>");
    html_user_cut(&plain, setting, SETTING_COLUMNS);
    for (const char *at = text_string(&plain); *at; at++) {
        text_append(out, at, 1);
        if (*at == ',')
            text_add(out, "<wbr>");
    }
    text_add(out, "</code></details>");
    text_release(&plain);
}

static void add_trial(const struct report *report, const struct trial_record *trial,
                      struct text *out)
{
    const struct ranked *ranked = report_ranked(report, trial->key.technique);
    const struct ranked_answers *answers = report_answers(report, trial->key.technique);
    bool stands = answers && answers->trial == trial->id;
    text_printf(out, "<tr%s><th scope=\"row\">", stands ? " class=\"stands\"" : "");
    if (ranked)
        html_technique(report, ranked, out);
    else
        html_user(out, trial->key.technique);
    text_add(out, "</th>");
    html_cell(out, "", trial->key.purpose);
    text_printf(out, "<td class=\"n\">%lld</td><td class=\"n\">%llu</td>",
                (long long)trial->key.examples, (unsigned long long)trial->key.seed);
    add_result(trial, out);
    add_setting(trial->key.setting, out);
    if (trial->reason && *trial->reason)
        html_user_cut(out, trial->reason, REASON_COLUMNS);
    text_add(out, "</td></tr>\n");
}

void html_trials(const struct report *report, struct text *out)
{
    html_table(out, "trials", "Every trial in the order of planning");
    add_titles(report, out);
    for (size_t i = 0; i < report->evidence.trial_count; i++)
        add_trial(report, &report->evidence.trials[i], out);
    html_table_end(out);
    text_add(out, "<p class=\"legend\">Marked rows stand for their technique in the ranking. loss: "
                  "nats for each token of the answer, on training batches before training on "
                  "them.</p>\n");
}
