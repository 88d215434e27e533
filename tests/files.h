/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole files and folders for tests. To be included after cmocka.h; the including file defines
 * _XOPEN_SOURCE 700.
 */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"

/* Replaces `out`. */
static inline void files_read(const char *path, struct text *out)
{
    char buffer[4096];
    size_t got;
    FILE *file = fopen(path, "rb");
    text_clear(out);
    if (!file)
        fail_msg("%s is not there", path);
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        text_append(out, buffer, got);
    fclose(file);
}

static inline void files_write(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        fail_msg("%s cannot be written", path);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static inline int files_remove_one(const char *path, const struct stat *facts, int kind,
                                   struct FTW *where)
{
    (void)facts;
    (void)kind;
    (void)where;
    return remove(path);
}

/* A folder with all in it. */
static inline void files_remove(const char *folder)
{
    nftw(folder, files_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* How many files and folders a folder has, hidden ones aside. */
static inline int files_count(const char *folder)
{
    int count = 0;
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));)
        count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

#endif
