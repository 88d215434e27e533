/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf_write.h"

#include <string.h>

/* Value types as written in the file. */
enum { U32 = 4, F32 = 6, STRING = 8 };

enum { VERSION = 3, DEFAULT_ALIGNMENT = 32, ZEROS = 64 };

static void put_u32(struct text *out, uint32_t value)
{
    text_append(out, (const char *)&value, sizeof value);
}

static void put_u64(struct text *out, uint64_t value)
{
    text_append(out, (const char *)&value, sizeof value);
}

static void put_string(struct text *out, const char *string)
{
    put_u64(out, strlen(string));
    text_add(out, string);
}

static void put_key(struct gguf_writer *writer, const char *key, uint32_t type)
{
    put_string(&writer->pairs, key);
    put_u32(&writer->pairs, type);
    writer->n_pairs++;
}

void gguf_writer_string(struct gguf_writer *writer, const char *key, const char *value)
{
    put_key(writer, key, STRING);
    put_string(&writer->pairs, value);
}

void gguf_writer_u32(struct gguf_writer *writer, const char *key, uint32_t value)
{
    put_key(writer, key, U32);
    put_u32(&writer->pairs, value);
}

void gguf_writer_f32(struct gguf_writer *writer, const char *key, float value)
{
    put_key(writer, key, F32);
    text_append(&writer->pairs, (const char *)&value, sizeof value);
}

void gguf_writer_pair(struct gguf_writer *writer, const void *bytes, size_t length)
{
    text_append(&writer->pairs, bytes, length);
    writer->n_pairs++;
}

/* Bytes from `at` to the next multiple of the alignment. */
static uint64_t gap(const struct gguf_writer *writer, uint64_t at)
{
    uint64_t alignment = writer->alignment ? writer->alignment : DEFAULT_ALIGNMENT;
    return -at & (alignment - 1);
}

void gguf_writer_tensor(struct gguf_writer *writer, const char *name, int n_dims, const int64_t *ne,
                        int type, uint64_t bytes)
{
    put_string(&writer->infos, name);
    put_u32(&writer->infos, (uint32_t)n_dims);
    for (int i = 0; i < n_dims; i++)
        put_u64(&writer->infos, (uint64_t)ne[i]);
    put_u32(&writer->infos, (uint32_t)type);
    put_u64(&writer->infos, writer->declared);
    put_u64(&writer->sizes, writer->declared + bytes);
    writer->declared += bytes + gap(writer, bytes);
    writer->n_tensors++;
}

static enum status put_zeros(const struct gguf_writer *writer, uint64_t count, struct error *err)
{
    static const char zeros[ZEROS] = {0};
    enum status status = OK;
    while (count && status == OK) {
        size_t part = count < ZEROS ? (size_t)count : ZEROS;
        status = writer->sink(writer->context, zeros, part, err);
        count -= part;
    }
    return status;
}

enum status gguf_writer_begin(struct gguf_writer *writer, struct error *err)
{
    struct text head = {0};
    text_append(&head, "GGUF", 4);
    put_u32(&head, VERSION);
    put_u64(&head, writer->n_tensors);
    put_u64(&head, writer->n_pairs);
    text_append(&head, text_string(&writer->pairs), writer->pairs.length);
    text_append(&head, text_string(&writer->infos), writer->infos.length);
    enum status status = writer->sink(writer->context, head.bytes, head.length, err);
    if (status == OK)
        status = put_zeros(writer, gap(writer, head.length), err);
    text_release(&head);
    return status;
}

static uint64_t end_of(const struct gguf_writer *writer, uint64_t index)
{
    uint64_t end;
    memcpy(&end, writer->sizes.bytes + index * sizeof end, sizeof end);
    return end;
}

static enum status not_declared(const struct gguf_writer *writer, struct error *err)
{
    return error_set(err, FAILED,
                     "the program wrote other tensor data than it declared (%llu of %llu bytes); "
                     "please report this",
                     (unsigned long long)writer->written, (unsigned long long)writer->declared);
}

enum status gguf_writer_data(struct gguf_writer *writer, const void *bytes, size_t length,
                             struct error *err)
{
    const char *at = bytes;
    enum status status = OK;
    while (length && status == OK) {
        if (writer->current >= writer->n_tensors)
            return not_declared(writer, err);
        uint64_t end = end_of(writer, writer->current);
        size_t part = length < end - writer->written ? length : (size_t)(end - writer->written);
        status = writer->sink(writer->context, at, part, err);
        at += part;
        length -= part;
        writer->written += part;
        if (writer->written == end && status == OK) {
            status = put_zeros(writer, gap(writer, end), err);
            writer->written += gap(writer, end);
            writer->current++;
        }
    }
    return status;
}

enum status gguf_writer_end(struct gguf_writer *writer, struct error *err)
{
    return writer->written == writer->declared ? OK : not_declared(writer, err);
}

void gguf_writer_release(struct gguf_writer *writer)
{
    text_release(&writer->pairs);
    text_release(&writer->infos);
    text_release(&writer->sizes);
}
