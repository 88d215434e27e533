/* SPDX-License-Identifier: Apache-2.0
 *
 * The study file as a file: what is none, or damaged, is refused and left as it was; who may read
 * and write it; and what the check finds in it.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/files.h"
#include "tests/store_suite.h"

/* ---- Files that are no study ---------------------------------------------------------------- */

static void plant_nothing(const struct study_place *place)
{
    (void)place;
}

static void plant_empty(const struct study_place *place)
{
    files_write(place->file, "", 0);
}

static void plant_text(const struct study_place *place)
{
    static const char line[] = "input,label\nsome text that is long enough for a header,a\n";
    FILE *file = fopen(place->file, "wb");
    assert_non_null(file);
    for (int i = 0; i < 200; i++)
        fputs(line, file);
    fclose(file);
}

static void plant_short(const struct study_place *place)
{
    files_write(place->file, "SQLite format 3", 15);
}

static void plant_folder(const struct study_place *place)
{
    assert_int_equal(mkdir(place->file, 0700), 0);
}

static void plant_foreign(const struct study_place *place)
{
    raw_sql(place->file, "PRAGMA application_id = 0x12345678; CREATE TABLE t (a)");
}

static void plant_nameless(const struct study_place *place)
{
    raw_sql(place->file, "CREATE TABLE study (a)");
}

static void plant_newer(const struct study_place *place)
{
    store_close(start(place, 1));
    raw_sql(place->file, "PRAGMA user_version = 3");
}

static void plant_older(const struct study_place *place)
{
    store_close(start(place, 1));
    raw_sql(place->file, "PRAGMA user_version = 0");
}

/* A journal that says the last writer did not end well. */
static void leave_journal(const struct study_place *place)
{
    char journal[400];
    snprintf(journal, sizeof journal, "%s-wal", place->file);
    files_write(journal, "left behind", 11);
}

/* Garbage in the middle. */
static void plant_damaged(const struct study_place *place)
{
    store_close(start(place, 200));
    FILE *file = fopen(place->file, "r+b");
    assert_non_null(file);
    for (long page = 1; page < 12; page++) {
        fseek(file, 4096 * page + 100, SEEK_SET);
        for (int i = 0; i < 500; i++)
            fputc(0xA5, file);
    }
    fclose(file);
    leave_journal(place);
}

static void plant_cut(const struct study_place *place)
{
    store_close(start(place, 200));
    assert_int_equal(truncate(place->file, 4096 * 5), 0);
    leave_journal(place);
}

struct refusal {
    void (*plant)(const struct study_place *place);
    int flags;
    enum status status;
    const char *words;
};

static void test_no_studies(void **state)
{
    struct study_place *place = *state;
    const struct refusal rows[] = {
        {plant_nothing, STORE_EXISTING, USAGE, "no such study file"},
        {plant_nothing, STORE_READ, USAGE, "no such study file"},
        {plant_nothing, STORE_READ | STORE_CREATE, USAGE, "no such study file"},
        {plant_empty, STORE_EXISTING, USAGE, "empty"},
        {plant_empty, STORE_READ, USAGE, "empty"},
        {plant_text, STORE_EXISTING, USAGE, "not a database"},
        {plant_text, STORE_CREATE, USAGE, "not a database"},
        {plant_text, STORE_READ, USAGE, "not a database"},
        {plant_short, STORE_CREATE, USAGE, "not a database"},
        {plant_folder, STORE_CREATE, USAGE, "regular file"},
        {plant_foreign, STORE_CREATE, USAGE, "another program"},
        {plant_foreign, STORE_READ, USAGE, "0x12345678"},
        {plant_nameless, STORE_CREATE, USAGE, "another program"},
        {plant_newer, STORE_CREATE, USAGE, "newer version"},
        {plant_newer, STORE_READ, USAGE, "newer version"},
        {plant_older, STORE_CREATE, USAGE, "never released"},
        {plant_damaged, STORE_EXISTING, FAILED, "damaged"},
        {plant_cut, STORE_EXISTING, FAILED, "damaged"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct store *store;
        struct error err = {0};
        rows[i].plant(place);
        enum status status = store_open(place->file, rows[i].flags, &store, &err);
        assert_null(store);
        must_refuse(status, rows[i].status, &err, rows[i].words);
        must_refuse(status, rows[i].status, &err, place->file);
        place_empty(place);
    }
}

/* Many events, and their last pages overwritten: nothing that opening a file reads. */
static void plant_hidden_damage(const struct study_place *place)
{
    struct error err = {0};
    struct store *store = start(place, 1);
    char text[500];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 200; i++)
        must(store_log(store, "note", text, &err), &err);
    store_close(store);
    FILE *file = fopen(place->file, "r+b");
    assert_non_null(file);
    for (long page = 1; page <= 8; page++) {
        fseek(file, -4096 * page, SEEK_END);
        fputc(0xA5, file);
    }
    fclose(file);
}

/* After an unclean end the whole file is looked at, otherwise only by store_check. */
static void test_hidden_damage(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct text findings = {0};
    struct store *store;
    plant_hidden_damage(place);
    store = must_open(place->file, STORE_EXISTING);
    assert_int_equal(store_check(store, &findings, &err), FAILED);
    store_close(store);
    text_release(&findings);
    leave_journal(place);
    must_refuse(store_open(place->file, STORE_EXISTING, &store, &err), FAILED, &err, "damaged");
}

/* A file of another program is left exactly as it was. */
static void test_foreign_file_untouched(void **state)
{
    struct study_place *place = *state;
    char before[8192] = {0}, after[8192] = {0};
    struct store *store;
    plant_foreign(place);
    for (int round = 0; round < 2; round++) {
        FILE *file = fopen(place->file, "rb");
        assert_non_null(file);
        assert_true(fread(round ? after : before, 1, sizeof before, file) > 0);
        fclose(file);
        if (!round)
            assert_int_equal(store_open(place->file, STORE_CREATE, &store, NULL), USAGE);
    }
    assert_memory_equal(before, after, sizeof before);
}

static void test_bad_paths(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store;
    char path[400];
    must_refuse(store_open("", STORE_CREATE, &store, &err), USAGE, &err, "name");
    must_refuse(store_open(":memory:", STORE_CREATE, &store, &err), USAGE, &err, "name");
    snprintf(path, sizeof path, "%s/no/study.db", place->folder);
    must_refuse(store_open(path, STORE_CREATE, &store, &err), FAILED, &err, "folder exists");
    plant_empty(place);
    snprintf(path, sizeof path, "%s/study.db", place->file);
    must_refuse(store_open(path, STORE_CREATE, &store, &err), FAILED, &err, path);
    store = must_open(place->file, STORE_CREATE); /* an empty file becomes a study file */
    must_be_sound(store);
    store_close(store);
}

/* ---- Access --------------------------------------------------------------------------------- */

static void test_read_only(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *writer = start(place, 1);
    struct store *reader = must_open(place->file, STORE_READ); /* beside a living writer */
    struct trial_key key = small_key(5);
    enum claim claim;
    int64_t id;
    must_refuse(trial_plan(reader, &key, &id, &err), FAILED, &err, "for reading only");
    must_refuse(trial_claim(reader, 1, &claim, &err), FAILED, &err, "for reading only");
    must_refuse(store_log(reader, "note", "x", &err), FAILED, &err, "for reading only");
    must_claim(writer, 1, CLAIM_OURS);
    must(small_finish(writer, 1, &err), &err);
    assert_int_equal(read_trial(place, reader, 1).status, TRIAL_DONE);
    check_predictions(place, reader, 1, SIDE_DEV, SMALL_DEV);
    store_close(reader);
    store_close(writer);
}

/* In a folder that cannot be written a study can still be read, and writing says what is wrong.
 * Root may write anywhere, so the child becomes somebody else. */
static void test_unwritable_folder(void **state)
{
    struct study_place *place = *state;
    struct store *store = start(place, 3);
    store_close(store);
    assert_int_equal(chmod(place->file, 0444), 0);
    assert_int_equal(chmod(place->folder, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
        struct error err = {0};
        struct trial_record *records;
        size_t count = 0;
        bool other = geteuid() != 0 || setuid(65534) == 0;
        bool read = store_open(place->file, STORE_READ, &store, &err) == OK &&
                    store_trials(store, &place->arena, &records, &count, &err) == OK && count == 3;
        store_close(store);
        bool refused = store_open(place->file, STORE_EXISTING, &store, &err) == FAILED &&
                       strstr(err.text, "cannot be written");
        if (!refused)
            fprintf(stderr, "%s\n", err.text);
        _exit(!other ? 2 : !read ? 3 : !refused ? 4 : 0);
    }
    int ended;
    waitpid(child, &ended, 0);
    assert_int_equal(chmod(place->folder, 0755), 0);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), 0);
}

static void test_locked(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    sqlite3 *other;
    assert_int_equal(sqlite3_open(place->file, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    store_set_patience(store, 0.2);
    double begin = clock_seconds();
    must_refuse(store_log(store, "note", "x", &err), FAILED, &err, "keeps the file locked");
    assert_true(clock_seconds() - begin >= 0.15 && clock_seconds() - begin < 5);
    assert_int_equal(read_trial(place, store, 1).status, TRIAL_PLANNED); /* reading goes on */
    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(other);
    must(store_log(store, "note", "x", &err), &err);
    store_close(store);
}

static bool exists(const struct study_place *place, const char *ending)
{
    char path[400];
    snprintf(path, sizeof path, "%s%s", place->file, ending);
    return access(path, F_OK) == 0;
}

/* Where there is no shared memory: no write-ahead log, and nobody else beside the one writer. */
static void test_one_writer(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    store_close(start(place, 1)); /* the file was made with a write-ahead log */
    struct store *store = must_open(place->file, STORE_EXISTING | STORE_ONE_WRITER);
    must_claim(store, 1, CLAIM_OURS);
    must(small_finish(store, 1, &err), &err);
    assert_false(exists(place, "-wal") || exists(place, "-shm"));
    sqlite3 *other;
    assert_int_equal(sqlite3_open(place->file, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "SELECT * FROM trial", NULL, NULL, NULL), SQLITE_BUSY);
    sqlite3_close(other);
    must_be_sound(store);
    store_close(store);
    store = must_open(place->file, STORE_EXISTING); /* and back */
    must(store_log(store, "note", "x", &err), &err);
    assert_true(exists(place, "-wal"));
    check_predictions(place, store, 1, SIDE_DEV, SMALL_DEV);
    store_close(store);
    assert_false(exists(place, "-wal"));
}

/* ---- The check ------------------------------------------------------------------------------ */

/* Faults planted behind the store's back; trial 1 is done, 2 planned, 3 running. */
static void test_check_finds(void **state)
{
    struct study_place *place = *state;
    static const char *const rows[][2] = {
        {"DELETE FROM prediction WHERE trial_id = 1 AND split = 'dev' AND example = 4",
         "trial 1 is done with 12 and 5 predictions (development, test), stored are 11 and 5"},
        {"UPDATE trial SET test_predictions = 6 WHERE id = 1", "trial 1 is done with 12 and 6"},
        {"INSERT INTO prediction VALUES (2, 'dev', 1, 0, 0, 1, NULL, NULL, NULL)",
         "trial 2 is planned, yet has predictions"},
        {"UPDATE trial SET metric = 0.5 WHERE id = 2", "trial 2 is planned, yet has a result"},
        {"UPDATE trial SET finished_ms = NULL WHERE id = 1", "trial 1 is done without a time"},
        {"UPDATE trial SET host = NULL WHERE id = 3", "nobody is named"},
        {"UPDATE trial SET high = 0.4 WHERE id = 1", "outside its interval"},
        {"INSERT INTO checkpoint VALUES (1, 5, x'00')", "trial 1 is done, yet has a checkpoint"},
        {"UPDATE prediction SET correct = 1 - correct WHERE example = 2 AND split = 'test'",
         "trial 1, test, example 2"},
        {"INSERT INTO artifact VALUES (99, x'00')", "names a row of table trial"},
        {"UPDATE study SET profile = '{'", "a JSON text of the study"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        struct store *store = start(place, 3);
        must_claim(store, 1, CLAIM_OURS);
        must(small_finish(store, 1, &err), &err);
        must_claim(store, 3, CLAIM_OURS);
        must_be_sound(store);
        raw_sql(place->file, rows[i][0]);
        struct text findings = {0};
        must_refuse(store_check(store, &findings, &err), FAILED, &err, "found 1 fault");
        if (!strstr(text_string(&findings), rows[i][1]))
            fail_msg("%s: found \"%s\"", rows[i][0], text_string(&findings));
        text_release(&findings);
        store_close(store);
        place_empty(place);
    }
}

int main(void)
{
    disk_install(); /* without waiting for the platter */
    const struct CMUnitTest tests[] = {
        TEST(test_no_studies), TEST(test_hidden_damage), TEST(test_foreign_file_untouched),
        TEST(test_bad_paths),  TEST(test_read_only),     TEST(test_unwritable_folder),
        TEST(test_locked),     TEST(test_one_writer),    TEST(test_check_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
