/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the store share: a folder for each test, a small study, and statements that
 * change a file behind the store's back. To be included after cmocka.h.
 */
#ifndef TESTS_STORE_SUPPORT_H
#define TESTS_STORE_SUPPORT_H

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evaluators/store.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct study_place {
    char folder[256];
    char file[300];
    struct arena arena;
};

static inline void place_enter(struct study_place *place)
{
    const char *root = getenv("TMPDIR");
    snprintf(place->folder, sizeof place->folder, "%s/store-XXXXXX", root && *root ? root : "/tmp");
    if (!mkdtemp(place->folder))
        fail_msg("no temporary folder %s", place->folder);
    snprintf(place->file, sizeof place->file, "%s/study.db", place->folder);
    arena_init(&place->arena, NULL);
}

static inline void place_empty(const struct study_place *place)
{
    DIR *folder = opendir(place->folder);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", place->folder, entry->d_name);
        if (entry->d_name[0] != '.')
            remove(path);
    }
    if (folder)
        closedir(folder);
}

static inline void place_leave(struct study_place *place)
{
    place_empty(place);
    rmdir(place->folder);
    arena_release(&place->arena);
}

/* Statements of anybody who has the file, with all of SQLite's guards off. */
static inline void raw_sql(const char *path, const char *script)
{
    sqlite3 *database;
    char *words = NULL;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    sqlite3_exec(database, "PRAGMA ignore_check_constraints = ON", NULL, NULL, NULL);
    if (sqlite3_exec(database, script, NULL, NULL, &words) != SQLITE_OK)
        fail_msg("%s: %s", script, words);
    sqlite3_close(database);
}

static inline struct study_record small_study(void)
{
    return (struct study_record){
        .name = "tickets",
        .created_ms = 1700000000000,
        .model_name = "tiny",
        .model_sha256 = HASH,
        .model_facts = "{\"layers\":2}",
        .data_path = "tickets.csv",
        .data_sha256 = HASH,
        .constraints = "{}",
        .seed = 0xFEDCBA9876543210,
        .profile = "{\"examples\":10}",
        .program_version = "0.1.0",
    };
}

/* Trial number `index` of the small study. */
static inline struct trial_key small_key(int index)
{
    static const char *const techniques[] = {"majority", "zero_shot", "lora"};
    return (struct trial_key){techniques[index % 3], "{\"r\":8}", 64 + index, 7, "rung"};
}

enum { SMALL_DEV = 12, SMALL_TEST = 5 };

/* Predictions whose answers are right for the even examples. */
static inline void small_predictions(struct prediction *predictions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        predictions[i] = (struct prediction){
            .example = (int64_t)(2 * i),
            .truth = (int)(i % 3),
            .label = i % 2 ? (int)((i + 1) % 3) : (int)(i % 3),
            .correct = i % 2 == 0,
            .scored = i % 4 != 3,
            .probability = 0.5,
            .nll = 0.25 * (double)i,
            .text = i % 2 ? NULL : "yes",
        };
}

static inline struct trial_record small_result(int64_t id)
{
    return (struct trial_record){
        .id = id,
        .metric_name = "accuracy",
        .metric = measured(0.5),
        .low = measured(0.25),
        .high = measured(0.75),
        .nll = measured(0.7),
        .trial_seconds = measured(2.5),
        .trainable_parameters = measured(460800),
        .artifact_bytes = measured(0),
    };
}

static inline enum status small_finish(struct store *store, int64_t id, struct error *err)
{
    struct prediction dev[SMALL_DEV], test[SMALL_TEST];
    small_predictions(dev, SMALL_DEV);
    small_predictions(test, SMALL_TEST);
    struct trial_predictions predictions = {dev, SMALL_DEV, test, SMALL_TEST};
    struct trial_record record = small_result(id);
    record.test_metric = measured(0.6);
    return trial_finish(store, &record, &predictions, err);
}

/* Fails the test with the sentence of an error. */
static inline void must(enum status status, const struct error *err)
{
    if (status)
        fail_msg("%s", err->text);
}

static inline struct store *must_open(const char *path, int flags)
{
    struct store *store;
    struct error err = {0};
    must(store_open(path, flags, &store, &err), &err);
    return store;
}

/* The check of the file finds nothing. */
static inline void must_be_sound(struct store *store)
{
    struct text findings = {0};
    struct error err = {0};
    if (store_check(store, &findings, &err))
        fail_msg("%s\n%s", err.text, text_string(&findings));
    text_release(&findings);
}

static inline void must_refuse(enum status found, enum status expected, const struct error *err,
                               const char *words)
{
    assert_int_equal(found, expected);
    if (!strstr(err->text, words))
        fail_msg("\"%s\" does not say \"%s\"", err->text, words);
}

#endif
