/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a GGUF file: its header, read front to back and checked.
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "model/gguf_file.h"

enum {
    HEADER_BYTES = 24,
    SMALLEST_PAIR = 14,   /* bytes of a key-value pair: length, key of 1, type, value of 1 */
    SMALLEST_TENSOR = 24, /* bytes of a tensor's entry, by the layout's fixed fields */
    KEY_BYTES = 65535,
    STRING_BYTES = 1 << 20,
    TEMPLATE_BYTES = 1 << 24,
    NAME_BYTES = 63,
    ALIGNMENT_DEFAULT = 32,
    ALIGNMENT_BYTES = 1 << 20,
    ARRAY_BYTES = 1 << 28,    /* most memory for one array */
    METADATA_BYTES = 1 << 30, /* most memory for all metadata */
    SLAB_BYTES = 1 << 16      /* strings are packed into pieces of this size */
};

const struct value_type gguf_value_types[VALUE_TYPES] = {
    [U8] = {"u8", UNSIGNED, 1},     [I8] = {"i8", SIGNED, 1},     [U16] = {"u16", UNSIGNED, 2},
    [I16] = {"i16", SIGNED, 2},     [U32] = {"u32", UNSIGNED, 4}, [I32] = {"i32", SIGNED, 4},
    [F32] = {"f32", REAL, 4},       [BOOL] = {"bool", TRUTH, 1},  [STRING] = {"string", OTHER, 8},
    [ARRAY] = {"array", OTHER, 12}, [U64] = {"u64", UNSIGNED, 8}, [I64] = {"i64", SIGNED, 8},
    [F64] = {"f64", REAL, 8},
};

/* The header is read front to back through a window. */
struct reader {
    struct gguf *gguf;
    uint64_t at; /* offset of the next byte */
    uint64_t window_start;
    size_t window_length;
    uint8_t window[WINDOW_BYTES];
};

static void warn(struct gguf *gguf, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(struct gguf *gguf, const char *format, ...)
{
    char sentence[512];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    gguf->warnings =
        memory_realloc(gguf->warnings, (gguf->n_warnings + 1) * sizeof *gguf->warnings);
    gguf->warnings[gguf->n_warnings++] = memory_strdup(sentence);
}

/* ---- Names ---------------------------------------------------------------------------------- */

static struct slot *names_slot(const struct names *names, const char *name)
{
    size_t mask = names->capacity - 1;
    size_t i = hash_quick(name, strlen(name)) & mask;
    while (names->slots[i].name && strcmp(names->slots[i].name, name))
        i = (i + 1) & mask;
    return &names->slots[i];
}

static void names_grow(struct names *names)
{
    struct names larger = {.capacity = names->capacity ? 2 * names->capacity : 64};
    larger.slots = memory_zalloc(larger.capacity * sizeof *larger.slots);
    for (size_t i = 0; i < names->capacity; i++)
        if (names->slots[i].name)
            *names_slot(&larger, names->slots[i].name) = names->slots[i];
    larger.count = names->count;
    free(names->slots);
    *names = larger;
}

/* False when the name is there already. */
static bool names_add(struct names *names, const char *name, size_t index)
{
    if (2 * names->count >= names->capacity)
        names_grow(names);
    struct slot *slot = names_slot(names, name);
    if (slot->name)
        return false;
    *slot = (struct slot){name, index};
    names->count++;
    return true;
}

bool gguf_names_find(const struct names *names, const char *name, size_t *index)
{
    if (!names->capacity)
        return false;
    const struct slot *slot = names_slot(names, name);
    *index = slot->index;
    return slot->name;
}

/* ---- Reading bytes -------------------------------------------------------------------------- */

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

static uint64_t bytes_left(const struct reader *reader)
{
    return reader->gguf->size - reader->at;
}

/* The next `length` bytes. `what` names them for the message when the file ends before. */
static enum status take(struct reader *reader, void *out, size_t length, const char *what,
                        struct error *err)
{
    if (length > bytes_left(reader))
        return gguf_reject(reader->gguf, reader->at, err,
                           "expected %zu bytes of %s, but only %" PRIu64
                           " bytes are left; the file is cut off or damaged",
                           length, what, bytes_left(reader));
    size_t done = 0;
    while (done < length) {
        uint64_t skip = reader->at - reader->window_start;
        if (skip >= reader->window_length) {
            uint64_t left = bytes_left(reader);
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

static enum status take_u32(struct reader *reader, uint32_t *value, const char *what,
                            struct error *err)
{
    return take(reader, value, sizeof *value, what, err);
}

static enum status take_u64(struct reader *reader, uint64_t *value, const char *what,
                            struct error *err)
{
    return take(reader, value, sizeof *value, what, err);
}

/* ---- Memory for metadata -------------------------------------------------------------------- */

/* Counts memory that the file makes us use; a file of holes must not fill the machine. */
static enum status hold(struct reader *reader, uint64_t bytes, struct error *err)
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

static enum status take_string(struct reader *reader, uint64_t most, const char *what,
                               struct gguf_string *string, struct error *err)
{
    uint64_t start = reader->at;
    uint64_t length;
    enum status status = take_u64(reader, &length, what, err);
    if (status)
        return status;
    if (length > bytes_left(reader))
        return gguf_reject(reader->gguf, start, err,
                           "%s claims to have %" PRIu64 " bytes, but only %" PRIu64
                           " bytes are left in the file",
                           what, length, bytes_left(reader));
    if (length > most)
        return gguf_reject(reader->gguf, start, err,
                           "%s has %" PRIu64 " bytes; at most %" PRIu64 " are accepted", what,
                           length, most);
    status = hold(reader, length + 1, err);
    if (status)
        return status;
    char *bytes = string_memory(reader->gguf, (size_t)length + 1);
    bytes[length] = '\0';
    *string = (struct gguf_string){bytes, (size_t)length};
    return take(reader, bytes, (size_t)length, what, err);
}

/* ---- Pairs of key and value ----------------------------------------------------------------- */

static bool usual_key(const char *key)
{
    return key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_.")] == '\0';
}

static enum status take_key(struct reader *reader, const char **key, struct error *err)
{
    uint64_t start = reader->at;
    struct gguf_string string = {"", 0};
    char quoted[QUOTE];
    enum status status = take_string(reader, KEY_BYTES, "a key", &string, err);
    if (status)
        return status;
    if (string.length == 0)
        return gguf_reject(reader->gguf, start, err, "a key is empty; expected a name");
    if (memchr(string.bytes, '\0', string.length))
        return gguf_reject(reader->gguf, start, err, "the key \"%s\" contains a NUL byte",
                           gguf_quote(quoted, string.bytes, string.length));
    if (!usual_key(string.bytes))
        warn(reader->gguf, "the key \"%s\" has characters other than a-z, 0-9, _ and .",
             gguf_quote(quoted, string.bytes, string.length));
    *key = string.bytes;
    return OK;
}

static enum status take_value_type(struct reader *reader, const char *key, int *type,
                                   struct error *err)
{
    uint32_t value;
    char quoted[QUOTE];
    uint64_t start = reader->at;
    enum status status = take_u32(reader, &value, "a value type", err);
    if (!status && value >= VALUE_TYPES)
        return gguf_reject(reader->gguf, start, err,
                           "the key \"%s\" has value type %" PRIu32 "; expected 0 to %d",
                           gguf_quote(quoted, key, strlen(key)), value, VALUE_TYPES - 1);
    if (!status)
        *type = (int)value;
    return status;
}

/* Reads type and number of the items of an array, up to the first item. */
static enum status take_array_header(struct reader *reader, struct pair *pair, struct error *err)
{
    char quoted[QUOTE];
    uint64_t start = reader->at;
    uint64_t count;
    enum status status = take_value_type(reader, pair->key, &pair->type, err);
    if (!status)
        status = take_u64(reader, &count, "an array's count", err);
    if (status)
        return status;
    gguf_quote(quoted, pair->key, strlen(pair->key));
    if (pair->type == ARRAY)
        return gguf_reject(reader->gguf, start, err,
                           "the key \"%s\" is an array of arrays, which is not supported", quoted);
    if (count > bytes_left(reader) / gguf_value_types[pair->type].bytes)
        return gguf_reject(reader->gguf, start, err,
                           "the key \"%s\" claims %" PRIu64 " items of type %s, but only %" PRIu64
                           " bytes are left in the file",
                           quoted, count, gguf_value_types[pair->type].name, bytes_left(reader));
    pair->array = true;
    pair->count = (size_t)count;
    return OK;
}

static enum status take_strings(struct reader *reader, struct pair *pair, struct error *err)
{
    uint64_t most =
        strcmp(pair->key, "tokenizer.chat_template") == 0 ? TEMPLATE_BYTES : STRING_BYTES;
    struct gguf_string *items = pair->items;
    char quoted[QUOTE];
    char what[QUOTE + 16];
    snprintf(what, sizeof what, "the value of \"%s\"",
             gguf_quote(quoted, pair->key, strlen(pair->key)));
    for (size_t i = 0; i < pair->count; i++) {
        enum status status = take_string(reader, most, what, &items[i], err);
        if (status)
            return status;
    }
    return OK;
}

static enum status check_bools(struct reader *reader, const struct pair *pair, struct error *err)
{
    const uint8_t *items = pair->items;
    char quoted[QUOTE];
    for (size_t i = 0; i < pair->count; i++)
        if (items[i] > 1)
            return gguf_reject(reader->gguf, reader->at - pair->count + i, err,
                               "the key \"%s\" has a bool of %d; expected 0 or 1",
                               gguf_quote(quoted, pair->key, strlen(pair->key)), items[i]);
    return OK;
}

static enum status take_items(struct reader *reader, struct pair *pair, struct error *err)
{
    size_t item =
        pair->type == STRING ? sizeof(struct gguf_string) : gguf_value_types[pair->type].bytes;
    char quoted[QUOTE];
    gguf_quote(quoted, pair->key, strlen(pair->key));
    if (pair->count > ARRAY_BYTES / item)
        return gguf_reject(reader->gguf, reader->at, err,
                           "the key \"%s\" has %zu items; at most %zu are accepted", quoted,
                           pair->count, ARRAY_BYTES / item);
    enum status status = hold(reader, pair->count * item, err);
    if (status)
        return status;
    pair->items = arena_alloc(&reader->gguf->arena, pair->count * item);
    if (pair->type == STRING)
        return take_strings(reader, pair, err);
    status = take(reader, pair->items, pair->count * item, quoted, err);
    if (!status && pair->type == BOOL)
        status = check_bools(reader, pair, err);
    return status;
}

static enum status take_pair(struct reader *reader, struct pair *pair, struct error *err)
{
    pair->start = reader->at;
    enum status status = take_key(reader, &pair->key, err);
    if (!status)
        status = take_value_type(reader, pair->key, &pair->type, err);
    pair->offset = reader->at;
    pair->count = 1;
    if (!status && pair->type == ARRAY)
        status = take_array_header(reader, pair, err);
    if (!status)
        status = take_items(reader, pair, err);
    pair->end = reader->at;
    return status;
}

/* Lists grow as their entries are read, so a claimed count alone reserves nothing. */
static void *grown(void *list, size_t count, size_t item)
{
    bool full = (count & (count - 1)) == 0; /* capacities are the powers of two */
    return full ? memory_realloc(list, (count ? 2 * count : 1) * item) : list;
}

static enum status take_pairs(struct reader *reader, uint64_t count, struct error *err)
{
    struct gguf *gguf = reader->gguf;
    char quoted[QUOTE];
    for (uint64_t i = 0; i < count; i++) {
        struct pair pair = {.key = ""};
        uint64_t start = reader->at;
        enum status status = take_pair(reader, &pair, err);
        if (!status)
            status = hold(reader, 4 * sizeof pair, err);
        if (status)
            return status;
        if (!names_add(&gguf->keys, pair.key, gguf->n_pairs))
            return gguf_reject(gguf, start, err, "the key \"%s\" appears twice",
                               gguf_quote(quoted, pair.key, strlen(pair.key)));
        gguf->pairs = grown(gguf->pairs, gguf->n_pairs, sizeof pair);
        gguf->pairs[gguf->n_pairs++] = pair;
    }
    return OK;
}

/* ---- Tensor entries ------------------------------------------------------------------------- */

static enum status take_tensor_name(struct reader *reader, struct gguf_tensor *tensor,
                                    struct error *err)
{
    struct gguf_string string = {"", 0};
    char quoted[QUOTE];
    enum status status = take_string(reader, NAME_BYTES, "a tensor name", &string, err);
    if (status)
        return status;
    if (string.length == 0)
        return gguf_reject(reader->gguf, tensor->info_offset, err,
                           "a tensor has an empty name; expected 1 to %d bytes", NAME_BYTES);
    if (memchr(string.bytes, '\0', string.length))
        return gguf_reject(reader->gguf, tensor->info_offset, err,
                           "the tensor name \"%s\" contains a NUL byte",
                           gguf_quote(quoted, string.bytes, string.length));
    tensor->name = string.bytes;
    return OK;
}

static enum status take_shape(struct reader *reader, struct gguf_tensor *tensor, struct error *err)
{
    uint32_t n_dims;
    char quoted[QUOTE];
    gguf_quote(quoted, tensor->name, strlen(tensor->name));
    enum status status = take_u32(reader, &n_dims, "a tensor's dimensions", err);
    if (status)
        return status;
    if (n_dims == 0 || n_dims > GGUF_DIMS)
        return gguf_reject(reader->gguf, tensor->info_offset, err,
                           "tensor \"%s\" has %" PRIu32 " dimensions; expected 1 to %d", quoted,
                           n_dims, GGUF_DIMS);
    tensor->n_dims = (int)n_dims;
    int64_t bound = 1; /* product of the dimensions that are not 0: a 0 must not hide an overflow */
    for (int i = 0; i < GGUF_DIMS; i++) {
        int64_t ne = 1;
        if (i < tensor->n_dims)
            status = take(reader, &ne, sizeof ne, "a tensor's shape", err);
        if (status)
            return status;
        if (ne < 0)
            return gguf_reject(reader->gguf, tensor->info_offset, err,
                               "tensor \"%s\": dimension %d is %" PRId64 "; expected 0 or more",
                               quoted, i, ne);
        if (ne > 0 && __builtin_mul_overflow(bound, ne, &bound))
            return gguf_reject(reader->gguf, tensor->info_offset, err,
                               "tensor \"%s\" claims more than 2^63 elements", quoted);
        tensor->ne[i] = ne;
    }
    tensor->rows = tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
    return OK;
}

static enum status take_tensor_type(struct reader *reader, struct gguf_tensor *tensor,
                                    struct error *err)
{
    uint32_t id;
    char quoted[QUOTE];
    gguf_quote(quoted, tensor->name, strlen(tensor->name));
    enum status status = take_u32(reader, &id, "a tensor's type", err);
    if (status)
        return status;
    int known = id > INT_MAX ? -1 : (int)id;
    tensor->type = quant_type(known);
    if (!tensor->type)
        return gguf_reject(reader->gguf, tensor->info_offset, err,
                           "tensor \"%s\" has type %" PRIu32
                           " (%s), which is not supported; supported are %s",
                           quoted, id, quant_name(known), quant_supported());
    int64_t block = tensor->type->block_elements;
    if (tensor->ne[0] % block)
        return gguf_reject(reader->gguf, tensor->info_offset, err,
                           "tensor \"%s\" has rows of %" PRId64
                           " elements; type %s needs a multiple of %" PRId64,
                           quoted, tensor->ne[0], tensor->type->name, block);
    int64_t blocks = tensor->ne[0] / block;
    int64_t bytes;
    if (__builtin_mul_overflow(blocks, tensor->type->block_bytes, &bytes) ||
        __builtin_mul_overflow(bytes, tensor->rows, &blocks))
        return gguf_reject(reader->gguf, tensor->info_offset, err,
                           "tensor \"%s\" claims more than 2^63 bytes", quoted);
    tensor->row_bytes = (uint64_t)bytes;
    tensor->bytes = (uint64_t)blocks;
    return OK;
}

static enum status take_tensor(struct reader *reader, struct gguf_tensor *tensor, struct error *err)
{
    tensor->info_offset = reader->at;
    enum status status = take_tensor_name(reader, tensor, err);
    if (!status)
        status = take_shape(reader, tensor, err);
    if (!status)
        status = take_tensor_type(reader, tensor, err);
    if (!status)
        status = take_u64(reader, &tensor->offset, "a tensor's offset", err);
    return status;
}

/* Rounds up; false when the result does not fit. */
static bool align(uint64_t value, uint64_t alignment, uint64_t *aligned)
{
    if (__builtin_add_overflow(value, alignment - 1, aligned))
        return false;
    *aligned &= ~(alignment - 1);
    return true;
}

static enum status take_tensors(struct reader *reader, uint64_t count, struct error *err)
{
    struct gguf *gguf = reader->gguf;
    char quoted[QUOTE];
    uint64_t expected = 0; /* offset of the next tensor within the data */
    for (uint64_t i = 0; i < count; i++) {
        struct gguf_tensor tensor = {.name = ""};
        enum status status = take_tensor(reader, &tensor, err);
        if (!status)
            status = hold(reader, 4 * sizeof tensor, err);
        if (status)
            return status;
        gguf_quote(quoted, tensor.name, strlen(tensor.name));
        if (!names_add(&gguf->tensor_names, tensor.name, gguf->n_tensors))
            return gguf_reject(gguf, tensor.info_offset, err, "tensor \"%s\" appears twice",
                               quoted);
        if (tensor.offset != expected)
            return gguf_reject(gguf, tensor.info_offset, err,
                               "tensor \"%s\" starts at %" PRIu64 " of the data; expected %" PRIu64
                               ", where the tensor before it ends (alignment %" PRIu64 ")",
                               quoted, tensor.offset, expected, gguf->alignment);
        if (__builtin_add_overflow(expected, tensor.bytes, &expected) ||
            !align(expected, gguf->alignment, &expected))
            return gguf_reject(gguf, tensor.info_offset, err,
                               "tensor \"%s\": the tensors claim more than 2^64 bytes", quoted);
        gguf->tensors = grown(gguf->tensors, gguf->n_tensors, sizeof tensor);
        gguf->tensors[gguf->n_tensors++] = tensor;
    }
    return OK;
}

/* Turns the offsets into offsets from the start of the file. */
static enum status place_tensors(struct reader *reader, struct error *err)
{
    struct gguf *gguf = reader->gguf;
    char quoted[QUOTE];
    uint64_t data;
    if (gguf->n_tensors == 0)
        return OK;
    if (!align(reader->at, gguf->alignment, &data))
        return gguf_reject(gguf, reader->at, err, "the tensor data would start past 2^64");
    uint64_t end = data;
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        struct gguf_tensor *tensor = &gguf->tensors[i];
        if (__builtin_add_overflow(tensor->offset, data, &tensor->offset) ||
            __builtin_add_overflow(tensor->offset, tensor->bytes, &end))
            return gguf_reject(gguf, tensor->info_offset, err, "tensor \"%s\" would end past 2^64",
                               gguf_quote(quoted, tensor->name, strlen(tensor->name)));
    }
    if (end > gguf->size)
        return gguf_reject(gguf, gguf->size, err,
                           "the file ends here, but its tensors need %" PRIu64 " bytes: %" PRIu64
                           " bytes are missing; download it again",
                           end, end - gguf->size);
    if (gguf->size - end > gguf->alignment)
        warn(gguf, "%" PRIu64 " bytes follow the last tensor", gguf->size - end);
    return OK;
}

/* ---- Whole header --------------------------------------------------------------------------- */

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
    enum status status = take(reader, magic, sizeof magic, "the header", err);
    if (!status)
        status = check_magic(gguf, magic, err);
    if (!status)
        status = take_u32(reader, &version, "the header", err);
    if (!status)
        status = check_version(gguf, version, err);
    if (!status)
        status = take_u64(reader, n_tensors, "the header", err);
    if (!status)
        status = take_u64(reader, n_pairs, "the header", err);
    if (!status)
        status =
            check_count(gguf, 8, *n_tensors, bytes_left(reader), SMALLEST_TENSOR, "tensors", err);
    if (!status)
        status = check_count(gguf, 16, *n_pairs, bytes_left(reader), SMALLEST_PAIR,
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
        warn(gguf, "%s is missing though tensors are quantized; version 2 is assumed", key);
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
        status = take_pairs(reader, n_pairs, err);
    if (!status)
        status = find_alignment(gguf, err);
    if (!status)
        status = take_tensors(reader, n_tensors, err);
    if (!status)
        status = place_tensors(reader, err);
    if (!status)
        status = check_metadata(gguf, err);
    if (!status)
        status = gguf_check_size(gguf, err);
    free(reader);
    return status;
}

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
