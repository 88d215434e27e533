/* SPDX-License-Identifier: Apache-2.0
 *
 * What an opened GGUF file answers: metadata of the wanted type, tensors and their values.
 */
#include "model/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf_file.h"

/* ---- Messages ------------------------------------------------------------------------------- */

enum { PATH_SHOWN = 300 };

const char *gguf_quote(char out[QUOTE], const char *bytes, size_t length)
{
    size_t shown = length < QUOTE - 4 ? length : QUOTE - 4;
    for (size_t i = 0; i < shown; i++)
        out[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
    memcpy(out + shown, shown < length ? "..." : "", shown < length ? 4 : 1);
    return out;
}

const char *gguf_shown_path(const char *path)
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
        return error_set(err, BAD_MODEL, "%s: %s", gguf_shown_path(gguf->path), sentence);
    return error_set(err, BAD_MODEL, "%s: byte %" PRIu64 ": %s", gguf_shown_path(gguf->path),
                     offset, sentence);
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

void gguf_warn(struct gguf *gguf, const char *format, ...)
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

/* ---- The whole file ------------------------------------------------------------------------- */

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
                           gguf_quote(quoted, gguf->type, strlen(gguf->type)), type);
}

/* ---- Metadata values ------------------------------------------------------------------------ */

static const struct pair *find_pair(const struct gguf *gguf, const char *key)
{
    size_t index;
    return gguf_names_find(&gguf->keys, key, &index) ? &gguf->pairs[index] : NULL;
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
                       pair->array ? "an array of" : "of type", gguf_value_types[pair->type].name,
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
    const struct value_type *type = &gguf_value_types[pair->type];
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
    if (pair->array || gguf_value_types[pair->type].kind != REAL)
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
    enum status status = gguf_fetch(gguf, pair->start, bytes, length, err);
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
    return gguf_names_find(&gguf->tensor_names, name, &index) ? &gguf->tensors[index] : NULL;
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
                         gguf_shown_path(gguf->path), n_rows, first_row, tensor->name,
                         tensor->rows);
    return gguf_check_size(gguf, err);
}

enum status gguf_read(const struct gguf *gguf, const struct gguf_tensor *tensor, int64_t first_row,
                      int64_t n_rows, void *out, struct error *err)
{
    enum status status = check_rows(gguf, tensor, first_row, n_rows, err);
    if (status)
        return status;
    uint64_t bytes = (uint64_t)n_rows * tensor->row_bytes;
    uint64_t offset = tensor->offset + (uint64_t)first_row * tensor->row_bytes;
    return gguf_fetch(gguf, offset, out, (size_t)bytes, err);
}

static enum status not_finite(const struct gguf *gguf, const struct gguf_tensor *tensor,
                              uint64_t offset, uint64_t element, struct error *err)
{
    uint64_t ne0 = (uint64_t)tensor->ne[0];
    char quoted[QUOTE];
    return gguf_reject(gguf, offset, err,
                       "tensor \"%s\" has a NaN or infinite weight in row %" PRIu64
                       ", column %" PRIu64 " (%s block); the file is damaged",
                       gguf_quote(quoted, tensor->name, strlen(tensor->name)), element / ne0,
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
        status = gguf_fetch(gguf, tensor->offset + block * bytes, blocks, count * bytes, err);
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
