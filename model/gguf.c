/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "model/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/memory.h"

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
    WINDOW_BYTES = 1 << 16,   /* read at once, both header and weights */
    SLAB_BYTES = 1 << 16      /* strings are packed into pieces of this size */
};

/* Value types as written in the file. */
enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64, VALUE_TYPES };

enum kind { UNSIGNED, SIGNED, REAL, TRUTH, OTHER };

static const struct value_type {
    const char *name;
    enum kind kind;
    unsigned bytes; /* in the file; of a string: its length field */
} value_types[VALUE_TYPES] = {
    [U8] = {"u8", UNSIGNED, 1},     [I8] = {"i8", SIGNED, 1},     [U16] = {"u16", UNSIGNED, 2},
    [I16] = {"i16", SIGNED, 2},     [U32] = {"u32", UNSIGNED, 4}, [I32] = {"i32", SIGNED, 4},
    [F32] = {"f32", REAL, 4},       [BOOL] = {"bool", TRUTH, 1},  [STRING] = {"string", OTHER, 8},
    [ARRAY] = {"array", OTHER, 12}, [U64] = {"u64", UNSIGNED, 8}, [I64] = {"i64", SIGNED, 8},
    [F64] = {"f64", REAL, 8},
};

/* A value is an array, or an array of one: `items` holds `count` items of type `type`. */
struct pair {
    const char *key;
    uint64_t start, end; /* of the whole entry, from the start of the file */
    uint64_t offset;     /* of the value, likewise */
    void *items;         /* numbers as in the file, or struct gguf_string */
    size_t count;
    int type;
    bool array;
};

/* Finds entries of a list by name. */
struct names {
    struct slot {
        const char *name; /* NULL: free */
        size_t index;
    } * slots;
    size_t capacity; /* power of two */
    size_t count;
};

struct gguf {
    char *path;
    int fd;               /* -1 when `bytes` is set */
    const uint8_t *bytes; /* NULL when read from a file */
    uint64_t size;
    struct arena arena; /* strings and arrays */
    char *slab;         /* where the next string goes */
    size_t slab_left;
    uint64_t held; /* bytes of memory for metadata */
    struct pair *pairs;
    size_t n_pairs;
    struct names keys;
    struct gguf_tensor *tensors;
    size_t n_tensors;
    struct names tensor_names;
    char **warnings;
    size_t n_warnings;
    const char *architecture;
    const char *type;
    uint64_t alignment;
};

/* The header is read front to back through a window. */
struct reader {
    struct gguf *gguf;
    uint64_t at; /* offset of the next byte */
    uint64_t window_start;
    size_t window_length;
    uint8_t window[WINDOW_BYTES];
};

/* ---- Messages ------------------------------------------------------------------------------- */

enum { PATH_SHOWN = 300, QUOTE = 72 };

/* Text of a file made fit for a message: ASCII without control characters, cut when long. */
static const char *quote(char out[QUOTE], const char *bytes, size_t length)
{
    size_t shown = length < QUOTE - 4 ? length : QUOTE - 4;
    for (size_t i = 0; i < shown; i++)
        out[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
    memcpy(out + shown, shown < length ? "..." : "", shown < length ? 4 : 1);
    return out;
}

/* The end of a path too long for a message. */
static const char *shown_path(const char *path)
{
    size_t length = strlen(path);
    const char *shown = length > PATH_SHOWN ? path + length - PATH_SHOWN : path;
    while (((unsigned char)*shown & 0xC0) == 0x80) /* not from the middle of a character */
        shown++;
    return shown;
}

static enum status reject_va(const struct gguf *gguf, uint64_t offset, struct error *err,
                             const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));

static enum status reject_va(const struct gguf *gguf, uint64_t offset, struct error *err,
                             const char *format, va_list args)
{
    char sentence[sizeof err->text];
    vsnprintf(sentence, sizeof sentence, format, args);
    if (offset == UINT64_MAX)
        return error_set(err, BAD_MODEL, "%s: %s", shown_path(gguf->path), sentence);
    return error_set(err, BAD_MODEL, "%s: byte %" PRIu64 ": %s", shown_path(gguf->path), offset,
                     sentence);
}

enum status gguf_reject(const struct gguf *gguf, uint64_t offset, struct error *err,
                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum status status = reject_va(gguf, offset, err, format, args);
    va_end(args);
    return status;
}

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

const char *gguf_warning(const struct gguf *gguf, size_t index)
{
    return index < gguf->n_warnings ? gguf->warnings[index] : NULL;
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

static bool names_find(const struct names *names, const char *name, size_t *index)
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
                     shown_path(gguf->path), gguf->size);
}

static enum status check_size(const struct gguf *gguf, struct error *err)
{
    struct stat info;
    if (gguf->bytes)
        return OK;
    if (fstat(gguf->fd, &info))
        return error_set(err, FAILED, "%s: cannot examine: %s", shown_path(gguf->path),
                         strerror(errno));
    return (uint64_t)info.st_size == gguf->size ? OK : file_changed(gguf, err);
}

/* `offset` + `length` lies within the size the file had when it was opened. */
static enum status fetch(const struct gguf *gguf, uint64_t offset, void *out, size_t length,
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
                             shown_path(gguf->path), offset + done, strerror(errno));
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
            enum status status = fetch(reader->gguf, reader->at, reader->window, fill, err);
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
                           quote(quoted, string.bytes, string.length));
    if (!usual_key(string.bytes))
        warn(reader->gguf, "the key \"%s\" has characters other than a-z, 0-9, _ and .",
             quote(quoted, string.bytes, string.length));
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
                           quote(quoted, key, strlen(key)), value, VALUE_TYPES - 1);
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
    quote(quoted, pair->key, strlen(pair->key));
    if (pair->type == ARRAY)
        return gguf_reject(reader->gguf, start, err,
                           "the key \"%s\" is an array of arrays, which is not supported", quoted);
    if (count > bytes_left(reader) / value_types[pair->type].bytes)
        return gguf_reject(reader->gguf, start, err,
                           "the key \"%s\" claims %" PRIu64 " items of type %s, but only %" PRIu64
                           " bytes are left in the file",
                           quoted, count, value_types[pair->type].name, bytes_left(reader));
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
    snprintf(what, sizeof what, "the value of \"%s\"", quote(quoted, pair->key, strlen(pair->key)));
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
                               quote(quoted, pair->key, strlen(pair->key)), items[i]);
    return OK;
}

static enum status take_items(struct reader *reader, struct pair *pair, struct error *err)
{
    size_t item = pair->type == STRING ? sizeof(struct gguf_string) : value_types[pair->type].bytes;
    char quoted[QUOTE];
    quote(quoted, pair->key, strlen(pair->key));
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
                               quote(quoted, pair.key, strlen(pair.key)));
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
                           quote(quoted, string.bytes, string.length));
    tensor->name = string.bytes;
    return OK;
}

static enum status take_shape(struct reader *reader, struct gguf_tensor *tensor, struct error *err)
{
    uint32_t n_dims;
    char quoted[QUOTE];
    quote(quoted, tensor->name, strlen(tensor->name));
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
    quote(quoted, tensor->name, strlen(tensor->name));
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
        quote(quoted, tensor.name, strlen(tensor.name));
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
                               quote(quoted, tensor->name, strlen(tensor->name)));
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
                       quote(quoted, magic, 4));
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
    if (!names_find(&gguf->keys, key, &index))
        return OK;
    const struct pair *pair = &gguf->pairs[index];
    if (pair->array || pair->type != U32)
        return gguf_reject(gguf, pair->offset, err, "%s is of type %s%s; expected u32", key,
                           pair->array ? "array of " : "", value_types[pair->type].name);
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
        status = check_size(gguf, err);
    free(reader);
    return status;
}

static enum status open_file(struct gguf *gguf, struct error *err)
{
    struct stat info;
    const char *path = shown_path(gguf->path);
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

const char *gguf_path(const struct gguf *gguf)
{
    return gguf->path;
}

uint64_t gguf_file_bytes(const struct gguf *gguf)
{
    return gguf->size;
}

const char *gguf_architecture(const struct gguf *gguf)
{
    return gguf->architecture;
}

const char *gguf_type(const struct gguf *gguf)
{
    return gguf->type;
}

enum status gguf_expect_type(const struct gguf *gguf, const char *type, struct error *err)
{
    char quoted[QUOTE];
    if (strcmp(gguf->type, type) == 0)
        return OK;
    return gguf_reject_key(gguf, "general.type", err, "the file is of type \"%s\"; expected \"%s\"",
                           quote(quoted, gguf->type, strlen(gguf->type)), type);
}

/* ---- Metadata values ------------------------------------------------------------------------ */

static const struct pair *find_pair(const struct gguf *gguf, const char *key)
{
    size_t index;
    return names_find(&gguf->keys, key, &index) ? &gguf->pairs[index] : NULL;
}

bool gguf_has(const struct gguf *gguf, const char *key)
{
    return find_pair(gguf, key) != NULL;
}

enum status gguf_reject_key(const struct gguf *gguf, const char *key, struct error *err,
                            const char *format, ...)
{
    const struct pair *pair = find_pair(gguf, key);
    va_list args;
    va_start(args, format);
    enum status status = reject_va(gguf, pair ? pair->offset : UINT64_MAX, err, format, args);
    va_end(args);
    return status;
}

static enum status missing(const struct gguf *gguf, const char *key, const char *expected,
                           struct error *err)
{
    return gguf_reject_key(gguf, key, err,
                           "the key \"%s\" is missing (expected %s); the file is incomplete", key,
                           expected);
}

static enum status wrong_type(const struct gguf *gguf, const struct pair *pair,
                              const char *expected, struct error *err)
{
    return gguf_reject(gguf, pair->offset, err, "the key \"%s\" is %s %s; expected %s", pair->key,
                       pair->array ? "an array of" : "of type", value_types[pair->type].name,
                       expected);
}

static enum status string_value(const struct gguf *gguf, const struct pair *pair,
                                const char **value, struct error *err)
{
    if (pair->array || pair->type != STRING)
        return wrong_type(gguf, pair, "a string", err);
    const struct gguf_string *string = pair->items;
    if (memchr(string->bytes, '\0', string->length))
        return gguf_reject(gguf, pair->offset, err, "the value of \"%s\" contains a NUL byte",
                           pair->key);
    *value = string->bytes;
    return OK;
}

enum status gguf_string(const struct gguf *gguf, const char *key, const char **value,
                        struct error *err)
{
    const struct pair *pair = find_pair(gguf, key);
    return pair ? string_value(gguf, pair, value, err) : missing(gguf, key, "a string", err);
}

enum status gguf_string_or(const struct gguf *gguf, const char *key, const char *fallback,
                           const char **value, struct error *err)
{
    const struct pair *pair = find_pair(gguf, key);
    *value = fallback;
    return pair ? string_value(gguf, pair, value, err) : OK;
}

/* Item `index` of a pair of integers. Negative numbers are taken as what they are. */
static bool integer_item(const struct pair *pair, size_t index, uint64_t *value, bool *negative)
{
    const struct value_type *type = &value_types[pair->type];
    if (type->kind != UNSIGNED && type->kind != SIGNED)
        return false;
    uint64_t bits = 0;
    memcpy(&bits, (const char *)pair->items + index * type->bytes, type->bytes);
    *value = bits;
    *negative = type->kind == SIGNED && bits >> (8 * type->bytes - 1);
    return true;
}

static enum status unsigned_value(const struct gguf *gguf, const struct pair *pair,
                                  uint64_t minimum, uint64_t maximum, uint64_t *value,
                                  struct error *err)
{
    uint64_t first = 0;
    bool negative = false;
    for (size_t i = 0; i < pair->count; i++) {
        uint64_t item;
        if (!integer_item(pair, i, &item, &negative))
            return wrong_type(gguf, pair, "an unsigned integer", err);
        if (i > 0 && item != first)
            return gguf_reject(gguf, pair->offset, err,
                               "the key \"%s\" is an array of different numbers (layers that "
                               "differ are not supported); expected equal ones",
                               pair->key);
        first = item;
    }
    if (pair->count == 0)
        return gguf_reject(gguf, pair->offset, err,
                           "the key \"%s\" is an empty array; expected an unsigned integer",
                           pair->key);
    if (negative)
        return gguf_reject(gguf, pair->offset, err,
                           "the key \"%s\" is negative; expected %" PRIu64 " to %" PRIu64,
                           pair->key, minimum, maximum);
    if (first < minimum || first > maximum)
        return gguf_reject(gguf, pair->offset, err,
                           "the key \"%s\" is %" PRIu64 "; expected %" PRIu64 " to %" PRIu64,
                           pair->key, first, minimum, maximum);
    *value = first;
    return OK;
}

enum status gguf_unsigned(const struct gguf *gguf, const char *key, uint64_t minimum,
                          uint64_t maximum, uint64_t *value, struct error *err)
{
    const struct pair *pair = find_pair(gguf, key);
    return pair ? unsigned_value(gguf, pair, minimum, maximum, value, err)
                : missing(gguf, key, "an unsigned integer", err);
}

enum status gguf_unsigned_or(const struct gguf *gguf, const char *key, uint64_t minimum,
                             uint64_t maximum, uint64_t fallback, uint64_t *value,
                             struct error *err)
{
    const struct pair *pair = find_pair(gguf, key);
    *value = fallback;
    return pair ? unsigned_value(gguf, pair, minimum, maximum, value, err) : OK;
}

static enum status float_value(const struct gguf *gguf, const struct pair *pair, double *value,
                               struct error *err)
{
    if (pair->array || value_types[pair->type].kind != REAL)
        return wrong_type(gguf, pair, "a floating-point number", err);
    double number;
    float narrow;
    if (pair->type == F64) {
        memcpy(&number, pair->items, sizeof number);
    } else {
        memcpy(&narrow, pair->items, sizeof narrow);
        number = (double)narrow;
    }
    if (!isfinite(number))
        return gguf_reject(gguf, pair->offset, err,
                           "the key \"%s\" is %s; expected a finite number", pair->key,
                           isnan(number) ? "NaN" : "infinite");
    *value = number;
    return OK;
}

enum status gguf_float(const struct gguf *gguf, const char *key, double *value, struct error *err)
{
    const struct pair *pair = find_pair(gguf, key);
    return pair ? float_value(gguf, pair, value, err)
                : missing(gguf, key, "a floating-point number", err);
}

enum status gguf_float_or(const struct gguf *gguf, const char *key, double fallback, double *value,
                          struct error *err)
{
    const struct pair *pair = find_pair(gguf, key);
    *value = fallback;
    return pair ? float_value(gguf, pair, value, err) : OK;
}

enum status gguf_bool_or(const struct gguf *gguf, const char *key, bool fallback, bool *value,
                         struct error *err)
{
    const struct pair *pair = find_pair(gguf, key);
    *value = fallback;
    if (!pair)
        return OK;
    if (pair->array || pair->type != BOOL)
        return wrong_type(gguf, pair, "a bool", err);
    *value = *(const uint8_t *)pair->items;
    return OK;
}

static enum status array_value(const struct gguf *gguf, const char *key, int type,
                               const char *expected, const struct pair **pair, struct error *err)
{
    *pair = find_pair(gguf, key);
    if (!*pair)
        return missing(gguf, key, expected, err);
    if (!(*pair)->array || (*pair)->type != type)
        return wrong_type(gguf, *pair, expected, err);
    return OK;
}

enum status gguf_string_array(const struct gguf *gguf, const char *key, struct gguf_strings *value,
                              struct error *err)
{
    const struct pair *pair;
    enum status status = array_value(gguf, key, STRING, "an array of string", &pair, err);
    if (!status)
        *value = (struct gguf_strings){pair->items, pair->count};
    return status;
}

enum status gguf_i32_array(const struct gguf *gguf, const char *key, const int32_t **items,
                           size_t *count, struct error *err)
{
    const struct pair *pair;
    enum status status = array_value(gguf, key, I32, "an array of i32", &pair, err);
    if (!status) {
        *items = pair->items;
        *count = pair->count;
    }
    return status;
}

enum status gguf_f32_array(const struct gguf *gguf, const char *key, const float **items,
                           size_t *count, struct error *err)
{
    const struct pair *pair;
    enum status status = array_value(gguf, key, F32, "an array of f32", &pair, err);
    if (!status) {
        *items = pair->items;
        *count = pair->count;
    }
    return status;
}

/* ---- Tensors -------------------------------------------------------------------------------- */

size_t gguf_pair_count(const struct gguf *gguf)
{
    return gguf->n_pairs;
}

const char *gguf_pair_key(const struct gguf *gguf, size_t index)
{
    return gguf->pairs[index].key;
}

enum status gguf_pair_bytes(const struct gguf *gguf, size_t index, struct text *out,
                            struct error *err)
{
    const struct pair *pair = &gguf->pairs[index];
    size_t length = (size_t)(pair->end - pair->start);
    char *bytes = memory_alloc(length);
    enum status status = fetch(gguf, pair->start, bytes, length, err);
    if (!status)
        text_append(out, bytes, length);
    free(bytes);
    return status;
}

uint64_t gguf_alignment(const struct gguf *gguf)
{
    return gguf->alignment;
}

size_t gguf_tensor_count(const struct gguf *gguf)
{
    return gguf->n_tensors;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t index)
{
    return &gguf->tensors[index];
}

const struct gguf_tensor *gguf_tensor(const struct gguf *gguf, const char *name)
{
    size_t index;
    return names_find(&gguf->tensor_names, name, &index) ? &gguf->tensors[index] : NULL;
}

/* A shape as "[576, 49152]". */
static void print_shape(char out[96], const int64_t *ne, int n_dims)
{
    size_t length = 0;
    for (int i = 0; i < n_dims; i++)
        length += (size_t)snprintf(out + length, 96 - length, "%s%" PRId64, i ? ", " : "[", ne[i]);
    snprintf(out + length, 96 - length, "]");
}

enum status gguf_tensor_expect(const struct gguf *gguf, const char *name, int64_t ne0, int64_t ne1,
                               const struct gguf_tensor **tensor, struct error *err)
{
    const struct gguf_tensor *found = gguf_tensor(gguf, name);
    const int64_t ne[2] = {ne0, ne1};
    char expected_shape[96], found_shape[96];
    print_shape(expected_shape, ne, ne1 == 1 ? 1 : 2);
    if (!found)
        return gguf_reject(gguf, UINT64_MAX, err,
                           "tensor \"%s\" is missing (expected shape %s); the file is incomplete "
                           "or of another architecture",
                           name, expected_shape);
    if (found->ne[0] != ne0 || found->ne[1] != ne1 || found->ne[2] != 1 || found->ne[3] != 1) {
        print_shape(found_shape, found->ne, found->n_dims);
        return gguf_reject(gguf, found->info_offset, err,
                           "tensor \"%s\" has shape %s; the metadata say %s", name, found_shape,
                           expected_shape);
    }
    *tensor = found;
    return OK;
}

static enum status check_rows(const struct gguf *gguf, const struct gguf_tensor *tensor,
                              int64_t first_row, int64_t n_rows, struct error *err)
{
    if (first_row < 0 || n_rows < 0 || first_row > tensor->rows ||
        n_rows > tensor->rows - first_row)
        return error_set(err, FAILED,
                         "%s: %" PRId64 " rows from row %" PRId64
                         " of tensor \"%s\" were asked for; it has %" PRId64,
                         shown_path(gguf->path), n_rows, first_row, tensor->name, tensor->rows);
    return check_size(gguf, err);
}

enum status gguf_read(const struct gguf *gguf, const struct gguf_tensor *tensor, int64_t first_row,
                      int64_t n_rows, void *out, struct error *err)
{
    enum status status = check_rows(gguf, tensor, first_row, n_rows, err);
    if (status)
        return status;
    uint64_t bytes = (uint64_t)n_rows * tensor->row_bytes;
    uint64_t offset = tensor->offset + (uint64_t)first_row * tensor->row_bytes;
    return fetch(gguf, offset, out, (size_t)bytes, err);
}

static enum status not_finite(const struct gguf *gguf, const struct gguf_tensor *tensor,
                              uint64_t offset, uint64_t element, struct error *err)
{
    uint64_t ne0 = (uint64_t)tensor->ne[0];
    char quoted[QUOTE];
    return gguf_reject(gguf, offset, err,
                       "tensor \"%s\" has a NaN or infinite weight in row %" PRIu64
                       ", column %" PRIu64 " (%s block); the file is damaged",
                       quote(quoted, tensor->name, strlen(tensor->name)), element / ne0,
                       element % ne0, tensor->type->name);
}

enum status gguf_expand(const struct gguf *gguf, const struct gguf_tensor *tensor,
                        int64_t first_row, int64_t n_rows, float *out, struct error *err)
{
    const struct quant_type *type = tensor->type;
    const size_t elements = (size_t)type->block_elements, bytes = (size_t)type->block_bytes;
    enum status status = check_rows(gguf, tensor, first_row, n_rows, err);
    if (status)
        return status;
    const uint64_t row_blocks = (uint64_t)tensor->ne[0] / elements;
    const uint64_t first = (uint64_t)first_row * row_blocks;
    const uint64_t end = first + (uint64_t)n_rows * row_blocks;
    const size_t most = WINDOW_BYTES / bytes;
    const size_t at_once = end - first < most ? (size_t)(end - first) : most;
    uint8_t *blocks = memory_alloc(at_once * bytes);
    float *scratch = out ? NULL : memory_alloc(at_once * elements * sizeof *scratch);
    for (uint64_t block = first; block < end && !status;) {
        size_t count = end - block < at_once ? (size_t)(end - block) : at_once;
        float *values = out ? out + (block - first) * elements : scratch;
        size_t bad;
        status = fetch(gguf, tensor->offset + block * bytes, blocks, count * bytes, err);
        if (status)
            break;
        type->expand(blocks, values, count);
        if (!quant_finite(values, count * elements, &bad))
            status = not_finite(gguf, tensor, tensor->offset + (block + bad / elements) * bytes,
                                block * elements + bad, err);
        block += count;
    }
    free(scratch);
    free(blocks);
    return status;
}
