/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* renameat2, flock */
#include "artifacts/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

static const char mark[] = "advisor predict 1";
static const double commit_seconds = 1;

enum { STATE_BYTES = 512 };

static enum status failed(const char *path, const char *what, struct error *err)
{
    return error_set(err, FAILED, "%s: %s: %s", path, what, strerror(errno));
}

static char *with_ending(const char *path, const char *ending)
{
    size_t length = strlen(path) + strlen(ending) + 1;
    char *joined = memory_alloc(length);
    snprintf(joined, length, "%s%s", path, ending);
    return joined;
}

/* ---- The state ------------------------------------------------------------------------------ */

/* The numbers of a state, as write_state has them; false when there are others. */
static bool take_numbers(const char *at, struct partial_state *state)
{
    uint64_t *const fields[] = {&state->chunks, &state->bytes, &state->rows, &state->skipped};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char *end;
        errno = 0;
        *fields[i] = strtoull(at, &end, 10);
        if (end == at || *end != ' ' || errno)
            return false;
        at = end + 1;
    }
    return !strcmp(at, "end\n");
}

/* Reads the state; false when there is none. `*foreign` is set for one of something else, or one
 * that cannot be read. */
static bool read_state(struct partial *p, bool *foreign)
{
    char text[STATE_BYTES] = "", start[STATE_BYTES];
    struct partial_state state;
    FILE *stream = fopen(p->state_path, "rb");
    *foreign = stream != NULL;
    if (!stream)
        return false;
    size_t length = fread(text, 1, sizeof text - 1, stream);
    fclose(stream);
    text[length] = '\0';
    snprintf(start, sizeof start, "%s %s ", mark, p->identity);
    if (strncmp(text, start, strlen(start)) != 0 || !take_numbers(text + strlen(start), &state))
        return false;
    *foreign = false;
    p->state = state;
    return true;
}

/* In one step, so that a torn state cannot be read. */
static enum status write_state(const struct partial *p, struct error *err)
{
    char *other = with_ending(p->state_path, ".new");
    enum status status = OK;
    FILE *stream = fopen(other, "wb");
    if (!stream) {
        status = failed(other, "cannot be written", err);
    } else {
        fprintf(stream, "%s %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " end\n", mark,
                p->identity, p->state.chunks, p->state.bytes, p->state.rows, p->state.skipped);
        bool good = !fflush(stream) && !fsync(fileno(stream));
        if (fclose(stream) || !good || rename(other, p->state_path))
            status = failed(other, "cannot be written", err);
    }
    free(other);
    return status;
}

/* ---- Opening -------------------------------------------------------------------------------- */

static enum status open_partial(struct partial *p, struct error *err)
{
    p->descriptor = open(p->path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (p->descriptor < 0)
        return failed(p->path, "cannot be written", err);
    if (flock(p->descriptor, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return error_set(err, FAILED, "%s: another advisor is writing it; wait for that one",
                         p->path);
    return OK;
}

/* Goes on behind what is whole, or begins anew. */
static enum status find_place(struct partial *p, bool *foreign, struct error *err)
{
    struct stat facts;
    if (fstat(p->descriptor, &facts))
        return failed(p->path, "cannot be examined", err);
    bool known = read_state(p, foreign);
    if (known && (uint64_t)facts.st_size < p->state.bytes) { /* bytes went missing */
        *foreign = true;
        known = false;
    }
    if (!known)
        p->state = (struct partial_state){0};
    p->written = p->state.bytes;
    if (ftruncate(p->descriptor, (off_t)p->state.bytes) ||
        lseek(p->descriptor, (off_t)p->state.bytes, SEEK_SET) < 0)
        return failed(p->path, "cannot be written", err);
    return OK;
}

static enum status check_output(const struct partial *p, struct error *err)
{
    struct stat facts;
    if (!p->output || lstat(p->output, &facts))
        return OK;
    if (S_ISDIR(facts.st_mode))
        return error_set(err, USAGE, "--output: %s is a folder; expected the name of a file",
                         p->output);
    if (p->replace)
        return OK;
    return error_set(err, USAGE,
                     "--output: %s is there already; choose another name, or --force to replace it",
                     p->output);
}

static bool is_plain(const char *output)
{
    struct stat facts;
    return !output || (!stat(output, &facts) && !S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode));
}

static enum status open_plain(struct partial *p, struct error *err)
{
    p->plain = true;
    p->descriptor = p->output ? open(p->output, O_WRONLY | O_CLOEXEC) : dup(STDOUT_FILENO);
    return p->descriptor < 0
               ? failed(p->output ? p->output : "standard output", "cannot be written", err)
               : OK;
}

enum status partial_open(struct partial *partial, const char *output, const char *identity,
                         bool replace, bool *foreign, struct error *err)
{
    *partial = (struct partial){.descriptor = -1, .replace = replace};
    *foreign = false;
    partial->output = output ? memory_strdup(output) : NULL;
    snprintf(partial->identity, sizeof partial->identity, "%s", identity);
    enum status status;
    if (is_plain(output)) {
        status = open_plain(partial, err);
    } else {
        partial->path = with_ending(output, ".partial");
        partial->state_path = with_ending(output, ".partial.state");
        status = check_output(partial, err);
        if (status == OK)
            status = open_partial(partial, err);
        if (status == OK)
            status = find_place(partial, foreign, err);
    }
    if (status != OK)
        partial_close(partial);
    return status;
}

/* ---- Writing -------------------------------------------------------------------------------- */

static enum status write_all(struct partial *p, const struct text *bytes, struct error *err)
{
    const char *at = text_string(bytes);
    size_t left = bytes->length;
    while (left) {
        ssize_t written = write(p->descriptor, at, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0 && p->plain && errno == EPIPE) /* the reader went away */
            return error_set(err, FAILED, "%s", "");
        if (written <= 0)
            return failed(p->path ? p->path : "standard output", "cannot be written", err);
        at += written;
        left -= (size_t)written;
    }
    p->written += bytes->length;
    return OK;
}

enum status partial_add(struct partial *partial, const struct text *bytes,
                        struct partial_state state, bool now, struct error *err)
{
    enum status status = write_all(partial, bytes, err);
    if (status != OK || partial->plain)
        return status;
    partial->state = state;
    partial->state.bytes = partial->written;
    if (!now && clock_seconds() - partial->committed < commit_seconds)
        return OK;
    partial->committed = clock_seconds();
    if (fdatasync(partial->descriptor))
        return failed(partial->path, "does not reach the disk", err);
    return write_state(partial, err);
}

static bool take_place(const struct partial *p)
{
    if (p->replace)
        return !rename(p->path, p->output);
    if (!renameat2(AT_FDCWD, p->path, AT_FDCWD, p->output, RENAME_NOREPLACE))
        return true;
    /* Not every file system has it; the output was not there when this began. */
    return (errno == EINVAL || errno == ENOSYS) && !rename(p->path, p->output);
}

enum status partial_finish(struct partial *partial, struct error *err)
{
    if (partial->plain)
        return OK;
    if (fsync(partial->descriptor))
        return failed(partial->path, "does not reach the disk", err);
    if (!take_place(partial))
        return failed(partial->output, "cannot be written", err);
    unlink(partial->state_path);
    return OK;
}

void partial_close(struct partial *partial)
{
    if (partial->descriptor >= 0 && (partial->output || partial->plain))
        close(partial->descriptor);
    free(partial->output);
    free(partial->path);
    free(partial->state_path);
    *partial = (struct partial){.descriptor = -1};
}
