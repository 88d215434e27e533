/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf_entries.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum {
    KEY_BYTES = 65535,
    STRING_BYTES = 1 << 20,
    TEMPLATE_BYTES = 1 << 24,
    NAME_BYTES = 63,
    ARRAY_BYTES = 1 << 28 /* most memory for one array */
};

const struct value_type gguf_value_types[VALUE_TYPES] = {
    [U8] = {"u8", UNSIGNED, 1},     [I8] = {"i8", SIGNED, 1},     [U16] = {"u16", UNSIGNED, 2},
    [I16] = {"i16", SIGNED, 2},     [U32] = {"u32", UNSIGNED, 4}, [I32] = {"i32", SIGNED, 4},
    [F32] = {"f32", REAL, 4},       [BOOL] = {"bool", TRUTH, 1},  [STRING] = {"string", OTHER, 8},
    [ARRAY] = {"array", OTHER, 12}, [U64] = {"u64", UNSIGNED, 8}, [I64] = {"i64", SIGNED, 8},
    [F64] = {"f64", REAL, 8},
};

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
    enum status status = reader_take_string(reader, KEY_BYTES, "a key", &string, err);
    if (status)
        return status;
    if (string.length == 0)
        return gguf_reject(reader->gguf, start, err, "a key is empty; expected a name");
    if (memchr(string.bytes, '\0', string.length))
        return gguf_reject(reader->gguf, start, err, "the key \"%s\" contains a NUL byte",
                           gguf_quote(quoted, string.bytes, string.length));
    if (!usual_key(string.bytes))
        gguf_warn(reader->gguf, "the key \"%s\" has characters other than a-z, 0-9, _ and .",
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
    enum status status = reader_take(reader, &value, sizeof value, "a value type", err);
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
        status = reader_take(reader, &count, sizeof count, "an array's count", err);
    if (status)
        return status;
    gguf_quote(quoted, pair->key, strlen(pair->key));
    if (pair->type == ARRAY)
        return gguf_reject(reader->gguf, start, err,
                           "the key \"%s\" is an array of arrays, which is not supported", quoted);
    if (count > reader_left(reader) / gguf_value_types[pair->type].bytes)
        return gguf_reject(reader->gguf, start, err,
                           "the key \"%s\" claims %" PRIu64 " items of type %s, but only %" PRIu64
                           " bytes are left in the file",
                           quoted, count, gguf_value_types[pair->type].name, reader_left(reader));
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
        enum status status = reader_take_string(reader, most, what, &items[i], err);
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
    enum status status = reader_hold(reader, pair->count * item, err);
    if (status)
        return status;
    pair->items = arena_alloc(&reader->gguf->arena, pair->count * item);
    if (pair->type == STRING)
        return take_strings(reader, pair, err);
    status = reader_take(reader, pair->items, pair->count * item, quoted, err);
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

enum status gguf_take_pairs(struct reader *reader, uint64_t count, struct error *err)
{
    struct gguf *gguf = reader->gguf;
    char quoted[QUOTE];
    for (uint64_t i = 0; i < count; i++) {
        struct pair pair = {.key = ""};
        uint64_t start = reader->at;
        enum status status = take_pair(reader, &pair, err);
        if (!status)
            status = reader_hold(reader, 4 * sizeof pair, err);
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
    enum status status = reader_take_string(reader, NAME_BYTES, "a tensor name", &string, err);
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
    enum status status = reader_take(reader, &n_dims, sizeof n_dims, "a tensor's dimensions", err);
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
            status = reader_take(reader, &ne, sizeof ne, "a tensor's shape", err);
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
    enum status status = reader_take(reader, &id, sizeof id, "a tensor's type", err);
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
        status =
            reader_take(reader, &tensor->offset, sizeof tensor->offset, "a tensor's offset", err);
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
            status = reader_hold(reader, 4 * sizeof tensor, err);
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
        gguf_warn(gguf, "%" PRIu64 " bytes follow the last tensor", gguf->size - end);
    return OK;
}

enum status gguf_take_tensors(struct reader *reader, uint64_t count, struct error *err)
{
    enum status status = take_tensors(reader, count, err);
    return status ? status : place_tensors(reader, err);
}
