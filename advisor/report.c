/* SPDX-License-Identifier: Apache-2.0
 *
 * advisor report: the report of a study out of its file alone, without data and model.
 */
#define _XOPEN_SOURCE 700 /* scandir */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/command.h"
#include "advisor/evidence.h"
#include "advisor/output.h"
#include "advisor/progress.h"
#include "advisor/study_file.h"

/* ---- Which study ------------------------------------------------------------------------------
 */

enum { MOST_NAMES = 12 };

/* Appends the names of the studies in the user's store, as far as there is room for them. */
static void list_studies(struct text *out)
{
    struct text path = {0};
    struct dirent **entries = NULL;
    int listed = 0, count = -1;
    if (study_file_folder(&path, NULL) == OK)
        count = scandir(text_string(&path), &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        size_t length = strlen(entries[i]->d_name);
        bool study = length > 3 && !strcmp(entries[i]->d_name + length - 3, ".db");
        if (study && listed++ < MOST_NAMES)
            text_printf(out, "%s%.*s", listed > 1 ? ", " : "", (int)length - 3, entries[i]->d_name);
        free(entries[i]);
    }
    if (listed > MOST_NAMES)
        text_printf(out, " and %d more", listed - MOST_NAMES);
    free(entries);
    text_release(&path);
}

static enum status no_study(const char *problem, struct error *err)
{
    struct text names = {0};
    list_studies(&names);
    enum status status =
        names.length ? error_set(err, USAGE, "%s; there are: %s", problem, text_string(&names))
                     : error_set(err, USAGE, "%s; `advisor recommend` makes one", problem);
    text_release(&names);
    return status;
}

static enum status find_study(const struct options *options, struct text *path, struct error *err)
{
    const char *given = options->operand_count ? options->operands[0] : options->study;
    if (options->operand_count && options->study)
        return error_set(err, USAGE, "report shows one study; found both \"%s\" and --study %s",
                         options->operands[0], options->study);
    if (!given)
        return no_study("report needs a study: a file, or the name of one in your store", err);
    return study_file_named(given, path, err);
}

static enum status open_study(const struct options *options, const char *path, struct store **store,
                              struct error *err)
{
    const char *given = options->operand_count ? options->operands[0] : options->study;
    enum status status = store_open(path, STORE_EXISTING | STORE_READ, store, err);
    if (status != USAGE || strchr(given, '/') || strchr(given, '.'))
        return status;
    struct text problem = {0};
    text_printf(&problem, "there is no study called \"%s\" in your store", given);
    status = no_study(text_string(&problem), err);
    text_release(&problem);
    return status;
}

/* ---- Reading it -------------------------------------------------------------------------------
 */

static enum status nothing_yet(struct store *store, const struct study_record *record,
                               struct arena *arena, struct error *err)
{
    struct trial_record *trials;
    size_t count, done = 0;
    enum status status = store_trials(store, arena, &trials, &count, err);
    if (status != OK)
        return status;
    for (size_t i = 0; i < count; i++)
        done += trials[i].status == TRIAL_DONE;
    return error_set(err, FAILED,
                     "%s: the study of %s has no recommendation yet (%zu trial%s done); run the "
                     "same `advisor recommend` again, which goes on and keeps one",
                     store_path(store), record->data_path, done, done == 1 ? " is" : "s are");
}

static enum status read_report(struct store *store, struct arena *arena, struct report *report,
                               struct error *err)
{
    struct study_record record;
    bool found;
    enum status status = store_study_get(store, arena, &record, &found, err);
    if (status != OK)
        return status;
    if (!found)
        return error_set(err, USAGE, "%s: the file holds no study", store_path(store));
    if (!record.recommendation)
        return nothing_yet(store, &record, arena, err);
    status = report_read(record.recommendation, arena, report, err);
    if (status != OK)
        return error_prefix(err, "%s", store_path(store));
    report->study_path = store_path(store);
    return evidence_fill(store, arena, report, err);
}

static void say_what_was_read(const struct options *options, const struct report *report)
{
    struct progress progress;
    progress_open(&progress, options);
    if (options->verbose)
        progress_note(&progress, "read %s: %zu trials, answers of %zu techniques to %zu examples",
                      report->study_path, report->evidence.trial_count,
                      report->evidence.answers_count,
                      report->evidence.dev_count + report->evidence.test_count);
}

enum status report_run(const struct options *options, struct error *err)
{
    struct text path = {0};
    struct arena arena;
    struct store *store = NULL;
    struct report report = {0};
    arena_init(&arena, NULL);
    enum status status = find_study(options, &path, err);
    if (status == OK)
        status = open_study(options, text_string(&path), &store, err);
    if (status == OK)
        status = read_report(store, &arena, &report, err);
    if (status == OK) {
        say_what_was_read(options, &report);
        status = output_report(options, &report, err);
    }
    store_close(store);
    arena_release(&arena);
    text_release(&path);
    return status;
}
