/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a GGUF file: its header, read front to back and checked.
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/gguf_entries.h"

enum {
    HEADER_BYTES = 24,
    SMALLEST_PAIR = 14,   /* bytes of a key-value pair: length, key of 1, type, value of 1 */
    SMALLEST_TENSOR = 24, /* bytes of a tensor's entry, by the layout's fixed fields */
    ALIGNMENT_DEFAULT = 32,
    ALIGNMENT_BYTES = 1 << 20
};

/* ---- The header ----------------------------------------------------------------------------- */

static enum status check_magic(const struct gguf *gguf, const char magic[4], struct error *err)
{
    static const char old[][5] = {"GGML", "GGMF", "GGJT", "GGLA", "lmgg", "fmgg", "tjgg", "algg"};
    char quoted[QUOTE];
    if (memcmp(magic, "GGUF", 4) == 0)
        return OK;
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (memcmp(magic, old[i], 4) == 0)
            return gguf_reject(gguf, 0, err,
                               "the file has an old format (\"%s\") from before GGUF; "
                               "download a GGUF version of the model",
                               old[i]);
    return gguf_reject(gguf, 0, err,
                       "expected \"GGUF\" at the start, found \"%s\"; not a GGUF file",
                       gguf_quote(quoted, magic, 4));
}

static enum status check_version(const struct gguf *gguf, uint32_t version, struct error *err)
{
    if (version == 3)
        return OK;
    if (version != 0 && (version & 0xFFFF) == 0)
        return gguf_reject(gguf, 4, err,
                           "the file is big-endian (version field 0x%08" PRIx32
                           "); only little-endian files are supported",
                           version);
    return gguf_reject(gguf, 4, err,
                       "GGUF version %" PRIu32 " is not supported; expected version 3%s", version,
                       version > 3 ? " (the file is newer than this program)" : "");
}

static enum status check_count(const struct gguf *gguf, uint64_t offset, uint64_t count,
                               uint64_t left, uint64_t smallest, const char *what,
                               struct error *err)
{
    if (count > INT64_MAX)
        return gguf_reject(gguf, offset, err, "the number of %s is negative (%" PRId64 ")", what,
                           (int64_t)count);
    if (count > left / smallest)
        return gguf_reject(gguf, offset, err,
                           "the file claims %" PRIu64 " %s, but its %" PRIu64
                           " remaining bytes hold at most %" PRIu64,
                           count, what, left, left / smallest);
    return OK;
}

static enum status take_header(struct reader *reader, uint64_t *n_tensors, uint64_t *n_pairs,
                               struct error *err)
{
    const struct gguf *gguf = reader->gguf;
    char magic[4];
    uint32_t version = 0;
    if (gguf->size < HEADER_BYTES) {
        const char *found = gguf->size ? "too short for" : "empty, not";
        return gguf_reject(gguf, 0, err,
                           "the file is %s a GGUF file: it has %" PRIu64
                           " bytes, expected at least %d",
                           found, gguf->size, HEADER_BYTES);
    }
    enum status status = reader_take(reader, magic, sizeof magic, "the header", err);
    if (!status)
        status = check_magic(gguf, magic, err);
    if (!status)
        status = reader_take(reader, &version, sizeof version, "the header", err);
    if (!status)
        status = check_version(gguf, version, err);
    if (!status)
        status = reader_take(reader, n_tensors, sizeof *n_tensors, "the header", err);
    if (!status)
        status = reader_take(reader, n_pairs, sizeof *n_pairs, "the header", err);
    if (!status)
        status =
            check_count(gguf, 8, *n_tensors, reader_left(reader), SMALLEST_TENSOR, "tensors", err);
    if (!status)
        status = check_count(gguf, 16, *n_pairs, reader_left(reader), SMALLEST_PAIR,
                             "key-value pairs", err);
    return status;
}

static enum status find_alignment(struct gguf *gguf, struct error *err)
{
    static const char key[] = "general.alignment";
    size_t index;
    gguf->alignment = ALIGNMENT_DEFAULT;
    if (!gguf_names_find(&gguf->keys, key, &index))
        return OK;
    const struct pair *pair = &gguf->pairs[index];
    if (pair->array || pair->type != U32)
        return gguf_reject(gguf, pair->offset, err, "%s is of type %s%s; expected u32", key,
                           pair->array ? "array of " : "", gguf_value_types[pair->type].name);
    uint32_t value;
    memcpy(&value, pair->items, sizeof value);
    if (value == 0 || (value & (value - 1)) || value > ALIGNMENT_BYTES)
        return gguf_reject(gguf, pair->offset, err,
                           "%s is %" PRIu32 "; expected a power of two from 1 to %d", key, value,
                           ALIGNMENT_BYTES);
    gguf->alignment = value;
    return OK;
}

static enum status check_quantization(struct gguf *gguf, struct error *err)
{
    static const char key[] = "general.quantization_version";
    uint64_t version;
    enum status status = gguf_unsigned_or(gguf, key, 2, 2, 2, &version, err);
    if (status)
        return status;
    bool quantized = false;
    for (size_t i = 0; i < gguf->n_tensors; i++)
        quantized |= gguf->tensors[i].type->block_elements > 1;
    if (quantized && !gguf_has(gguf, key))
        gguf_warn(gguf, "%s is missing though tensors are quantized; version 2 is assumed", key);
    return OK;
}

static enum status check_metadata(struct gguf *gguf, struct error *err)
{
    uint64_t splits;
    enum status status = gguf_string(gguf, "general.architecture", &gguf->architecture, err);
    if (!status)
        status = gguf_string_or(gguf, "general.type", "model", &gguf->type, err);
    if (!status)
        status = gguf_unsigned_or(gguf, "split.count", 0, UINT64_MAX, 1, &splits, err);
    if (!status && splits > 1)
        return gguf_reject_key(gguf, "split.count", err,
                               "the model is split into %" PRIu64
                               " files, which is not supported; merge them into one first",
                               splits);
    if (!status)
        status = check_quantization(gguf, err);
    return status;
}

static enum status read_header(struct gguf *gguf, struct error *err)
{
    uint64_t n_tensors = 0, n_pairs = 0;
    struct reader *reader = memory_alloc(sizeof *reader);
    reader->gguf = gguf;
    reader->at = reader->window_start = reader->window_length = 0;
    enum status status = take_header(reader, &n_tensors, &n_pairs, err);
    if (!status)
        status = gguf_take_pairs(reader, n_pairs, err);
    if (!status)
        status = find_alignment(gguf, err);
    if (!status)
        status = gguf_take_tensors(reader, n_tensors, err);
    if (!status)
        status = check_metadata(gguf, err);
    if (!status)
        status = gguf_check_size(gguf, err);
    free(reader);
    return status;
}

/* ---- The file ------------------------------------------------------------------------------- */

static enum status open_file(struct gguf *gguf, struct error *err)
{
    struct stat info;
    const char *path = gguf_shown_path(gguf->path);
    gguf->fd = open(gguf->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
    if (gguf->fd < 0)
        return error_set(err, FAILED, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(gguf->fd, &info))
        return error_set(err, FAILED, "%s: cannot examine: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return error_set(err, BAD_MODEL, "%s: not a regular file; expected a GGUF file", path);
    gguf->size = (uint64_t)info.st_size;
    return OK;
}

static struct gguf *gguf_new(const char *path)
{
    struct gguf *gguf = memory_zalloc(sizeof *gguf);
    gguf->path = memory_strdup(path);
    gguf->fd = -1;
    arena_init(&gguf->arena, NULL);
    return gguf;
}

/* Hands out `gguf` when `status` is OK, and frees it otherwise. */
static enum status finish_opening(struct gguf **out, struct gguf *gguf, enum status status)
{
    *out = status ? NULL : gguf;
    if (status)
        gguf_free(gguf);
    return status;
}

enum status gguf_open(struct gguf **out, const char *path, struct error *err)
{
    struct gguf *gguf = gguf_new(path);
    enum status status = open_file(gguf, err);
    if (!status)
        status = read_header(gguf, err);
    return finish_opening(out, gguf, status);
}

enum status gguf_from_bytes(struct gguf **out, const void *bytes, size_t size, const char *name,
                            struct error *err)
{
    struct gguf *gguf = gguf_new(name);
    gguf->bytes = bytes ? bytes : (const uint8_t *)"";
    gguf->size = bytes ? size : 0;
    return finish_opening(out, gguf, read_header(gguf, err));
}

void gguf_free(struct gguf *gguf)
{
    if (!gguf)
        return;
    if (gguf->fd >= 0)
        close(gguf->fd);
    for (size_t i = 0; i < gguf->n_warnings; i++)
        free(gguf->warnings[i]);
    free(gguf->warnings);
    free(gguf->pairs);
    free(gguf->tensors);
    free(gguf->keys.slots);
    free(gguf->tensor_names.slots);
    arena_release(&gguf->arena);
    free(gguf->path);
    free(gguf);
}
