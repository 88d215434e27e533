/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* renameat2 */
#include "artifacts/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifacts/manifest.h"
#include "base/memory.h"
#include "base/text.h"

char *folder_join(const char *folder, const char *name)
{
    size_t length = strlen(folder) + strlen(name) + 2;
    char *path = memory_alloc(length);
    snprintf(path, length, "%s/%s", folder, name);
    return path;
}

static enum status failed(const char *path, const char *what, struct error *err)
{
    return error_set(err, FAILED, "%s: %s: %s", path, what, strerror(errno));
}

/* ---- An export that is there already -------------------------------------------------------- */

/* Whether `name` is the manifest or among the files it lists. */
static bool belongs(const struct manifest *manifest, const char *name)
{
    return !strcmp(name, MANIFEST_FILE) || manifest_lists(manifest, name);
}

static bool is_dot(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Only an export may be replaced: --force must not cost anybody a folder of another kind. */
static enum status check_replaceable(const char *target, struct error *err)
{
    struct manifest manifest;
    struct error why;
    if (manifest_read(&manifest, target, &why) != OK)
        return error_set(err, USAGE,
                         "%s is there and is no export of this program, so --force does not "
                         "replace it (%s); choose another --output",
                         target, why.text);
    DIR *list = opendir(target);
    struct dirent *entry;
    enum status status = list ? OK : failed(target, "the folder cannot be read", err);
    while (list && status == OK && (entry = readdir(list)))
        if (!is_dot(entry->d_name) && !belongs(&manifest, entry->d_name))
            status = error_set(err, USAGE,
                               "%s: the export there also holds %.100s, which is not part of it, "
                               "so --force does not replace it; move that file away",
                               target, entry->d_name);
    if (list)
        closedir(list);
    manifest_release(&manifest);
    return status;
}

/* Removes a flat folder with all its files. */
static void remove_folder(const char *path)
{
    DIR *list = opendir(path);
    struct dirent *entry;
    while (list && (entry = readdir(list)))
        if (!is_dot(entry->d_name))
            unlinkat(dirfd(list), entry->d_name, 0);
    if (list)
        closedir(list);
    rmdir(path);
}

/* ---- The new one ---------------------------------------------------------------------------- */

enum status folder_check(const char *target, bool replace, struct error *err)
{
    struct stat facts;
    if (lstat(target, &facts)) {
        if (errno == ENOENT)
            return OK;
        return failed(target, "the folder cannot be made", err);
    }
    if (!S_ISDIR(facts.st_mode))
        return error_set(err, USAGE, "--output: %s is there and is not a folder; choose another",
                         target);
    if (replace)
        return check_replaceable(target, err);
    return error_set(err, USAGE,
                     "--output: %s is there already; choose another folder, or --force to replace "
                     "an earlier export",
                     target);
}

/* Without slashes at the end, so that the new folder stands beside it. */
static char *trimmed(const char *target)
{
    char *copy = memory_strdup(target);
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    return copy;
}

static enum status make_temporary(struct folder *folder, struct error *err)
{
    struct text name = {0};
    text_printf(&name, "%s.XXXXXX", folder->target);
    enum status status = OK;
    mode_t mask = umask(0);
    umask(mask);
    if (!mkdtemp(name.bytes)) {
        status = failed(folder->target, "the folder cannot be made", err);
    } else if (chmod(name.bytes, 0777 & ~mask) ||
               (folder->descriptor = open(name.bytes, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        status = failed(name.bytes, "the folder cannot be opened", err);
        rmdir(name.bytes);
    } else {
        folder->path = memory_strdup(name.bytes);
    }
    text_release(&name);
    return status;
}

enum status folder_begin(struct folder *folder, const char *target, bool replace, struct error *err)
{
    *folder = (struct folder){.replace = replace, .descriptor = -1, .open_file = -1};
    folder->target = trimmed(target);
    enum status status = folder_check(folder->target, replace, err);
    if (status == OK)
        status = make_temporary(folder, err);
    if (status != OK)
        folder_discard(folder);
    return status;
}

enum status folder_open_file(struct folder *folder, const char *name, struct error *err)
{
    if (folder->file_count == FOLDER_FILES || folder->open_file >= 0)
        return error_set(err, FAILED, "%s: the program cannot write %s now; please report this",
                         folder->target, name);
    int file = openat(folder->descriptor, name,
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file < 0)
        return failed(folder->path, "a file cannot be made in it", err);
    folder->open_file = file;
    folder->files[folder->file_count++] = (struct folder_file){.name = name};
    hasher_begin(&folder->hasher);
    return OK;
}

enum status folder_write(void *context, const void *bytes, size_t length, struct error *err)
{
    struct folder *folder = context;
    struct folder_file *file = &folder->files[folder->file_count - 1];
    const char *at = bytes;
    hasher_update(&folder->hasher, bytes, length);
    file->bytes += length;
    while (length) {
        ssize_t written = write(folder->open_file, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return error_set(err, FAILED, "%s: %s cannot be written: %s", folder->target,
                             file->name, strerror(errno));
        at += written;
        length -= (size_t)written;
    }
    return OK;
}

enum status folder_close_file(struct folder *folder, struct error *err)
{
    struct folder_file *file = &folder->files[folder->file_count - 1];
    int descriptor = folder->open_file;
    folder->open_file = -1;
    enum status status = hasher_finish(&folder->hasher, file->sha256, err);
    if (status == OK && fsync(descriptor))
        status = failed(folder->target, "a file does not reach the disk", err);
    if (close(descriptor) && status == OK)
        status = failed(folder->target, "a file cannot be closed", err);
    return status;
}

enum status folder_add(struct folder *folder, const char *name, const void *bytes, size_t length,
                       struct error *err)
{
    enum status status = folder_open_file(folder, name, err);
    if (status == OK)
        status = folder_write(folder, bytes, length, err);
    return status == OK ? folder_close_file(folder, err) : status;
}

/* ---- The end -------------------------------------------------------------------------------- */

/* The name of the folder reaches the disk with the folder above it. */
static void sync_above(const char *path)
{
    char *above = memory_strdup(path);
    char *slash = strrchr(above, '/');
    if (slash)
        slash[slash == above] = '\0';
    int descriptor = open(slash ? above : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    free(above);
}

/* Afterwards `path` holds what was there before, if anything. */
static bool take_place(const struct folder *folder)
{
    if (!renameat2(AT_FDCWD, folder->path, AT_FDCWD, folder->target, RENAME_NOREPLACE))
        return true;
    if (errno == EEXIST && folder->replace)
        return !renameat2(AT_FDCWD, folder->path, AT_FDCWD, folder->target, RENAME_EXCHANGE);
    if (errno != EINVAL && errno != ENOSYS) /* not every file system has these two */
        return false;
    if (folder->replace && check_replaceable(folder->target, NULL) == OK)
        remove_folder(folder->target);
    return !rename(folder->path, folder->target);
}

enum status folder_finish(struct folder *folder, struct error *err)
{
    enum status status = OK;
    if (fsync(folder->descriptor))
        status = failed(folder->target, "the folder does not reach the disk", err);
    else if (!take_place(folder))
        status = failed(folder->target, "the folder cannot take its place", err);
    else
        sync_above(folder->target);
    folder_discard(folder); /* what is left under the other name: nothing, or what was replaced */
    return status;
}

void folder_discard(struct folder *folder)
{
    if (!folder->target)
        return;
    if (folder->open_file >= 0) {
        close(folder->open_file);
        hasher_finish(&folder->hasher, NULL, NULL);
    }
    if (folder->descriptor >= 0)
        close(folder->descriptor);
    if (folder->path)
        remove_folder(folder->path);
    free(folder->path);
    free(folder->target);
    *folder = (struct folder){.descriptor = -1, .open_file = -1};
}
