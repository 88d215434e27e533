/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "model/gguf_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    METADATA_BYTES = 1 << 30, /* most memory for all metadata */
    SLAB_BYTES = 1 << 16      /* strings are packed into pieces of this size */
};

/* ---- Bytes of the file ---------------------------------------------------------------------- */

static enum status file_changed(const struct gguf *gguf, struct error *err)
{
    return error_set(err, BAD_MODEL,
                     "%s: the file's size changed while it was in use (it had %" PRIu64
                     " bytes when it was opened); wait until it is written and start again",
                     gguf_shown_path(gguf->path), gguf->size);
}

enum status gguf_check_size(const struct gguf *gguf, struct error *err)
{
    struct stat info;
    if (gguf->bytes)
        return OK;
    if (fstat(gguf->fd, &info))
        return error_set(err, FAILED, "%s: cannot examine: %s", gguf_shown_path(gguf->path),
                         strerror(errno));
    return (uint64_t)info.st_size == gguf->size ? OK : file_changed(gguf, err);
}

enum status gguf_fetch(const struct gguf *gguf, uint64_t offset, void *out, size_t length,
                       struct error *err)
{
    if (gguf->bytes) {
        if (length)
            memcpy(out, gguf->bytes + offset, length);
        return OK;
    }
    size_t done = 0;
    while (done < length) {
        ssize_t got = pread(gguf->fd, (char *)out + done, length - done, (off_t)(offset + done));
        if (got == 0)
            return file_changed(gguf, err);
        if (got < 0 && errno != EINTR)
            return error_set(err, FAILED, "%s: byte %" PRIu64 ": cannot read: %s",
                             gguf_shown_path(gguf->path), offset + done, strerror(errno));
        if (got > 0)
            done += (size_t)got;
    }
    return OK;
}

uint64_t reader_left(const struct reader *reader)
{
    return reader->gguf->size - reader->at;
}

enum status reader_take(struct reader *reader, void *out, size_t length, const char *what,
                        struct error *err)
{
    if (length > reader_left(reader))
        return gguf_reject(reader->gguf, reader->at, err,
                           "expected %zu bytes of %s, but only %" PRIu64
                           " bytes are left; the file is cut off or damaged",
                           length, what, reader_left(reader));
    size_t done = 0;
    while (done < length) {
        uint64_t skip = reader->at - reader->window_start;
        if (skip >= reader->window_length) {
            uint64_t left = reader_left(reader);
            size_t fill = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
            enum status status = gguf_fetch(reader->gguf, reader->at, reader->window, fill, err);
            if (status)
                return status;
            reader->window_start = reader->at;
            reader->window_length = fill;
            skip = 0;
        }
        size_t part = reader->window_length - (size_t)skip;
        if (part > length - done)
            part = length - done;
        memcpy((char *)out + done, reader->window + skip, part);
        reader->at += part;
        done += part;
    }
    return OK;
}

/* ---- Memory for metadata -------------------------------------------------------------------- */

enum status reader_hold(struct reader *reader, uint64_t bytes, struct error *err)
{
    struct gguf *gguf = reader->gguf;
    if (bytes > METADATA_BYTES - gguf->held)
        return gguf_reject(gguf, reader->at, err,
                           "the metadata need more than %d MiB of memory; this is no usable model",
                           METADATA_BYTES >> 20);
    gguf->held += bytes;
    return OK;
}

static char *string_memory(struct gguf *gguf, size_t bytes)
{
    if (bytes > SLAB_BYTES / 2)
        return arena_alloc(&gguf->arena, bytes);
    if (bytes > gguf->slab_left) {
        gguf->slab = arena_alloc(&gguf->arena, SLAB_BYTES);
        gguf->slab_left = SLAB_BYTES;
    }
    char *memory = gguf->slab;
    gguf->slab += bytes;
    gguf->slab_left -= bytes;
    return memory;
}

enum status reader_take_string(struct reader *reader, uint64_t most, const char *what,
                               struct gguf_string *string, struct error *err)
{
    uint64_t start = reader->at;
    uint64_t length = 0;
    enum status status = reader_take(reader, &length, sizeof length, what, err);
    if (status)
        return status;
    if (length > reader_left(reader))
        return gguf_reject(reader->gguf, start, err,
                           "%s claims to have %" PRIu64 " bytes, but only %" PRIu64
                           " bytes are left in the file",
                           what, length, reader_left(reader));
    if (length > most)
        return gguf_reject(reader->gguf, start, err,
                           "%s has %" PRIu64 " bytes; at most %" PRIu64 " are accepted", what,
                           length, most);
    status = reader_hold(reader, length + 1, err);
    if (status)
        return status;
    char *bytes = string_memory(reader->gguf, (size_t)length + 1);
    bytes[length] = '\0';
    *string = (struct gguf_string){bytes, (size_t)length};
    return reader_take(reader, bytes, (size_t)length, what, err);
}
