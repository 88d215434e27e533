/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* fseeko */
#include "artifacts/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/excerpt.h"
#include "model/quant.h"

enum { MOST_HEADER = 100000000, LENGTH_BYTES = 8, ALIGNMENT = 8, MOST_TENSORS = 1 << 20 };

/* ---- Writing -------------------------------------------------------------------------------- */

size_t float_tensor_count(const struct float_tensor *tensor)
{
    size_t count = 1;
    for (int d = 0; d < tensor->n_dims; d++)
        count *= (size_t)tensor->shape[d];
    return count;
}

static json_t *describe(const struct float_tensor *tensor, uint64_t begin)
{
    json_t *shape = json_array();
    for (int d = 0; d < tensor->n_dims; d++)
        json_array_append_new(shape, json_integer(tensor->shape[d]));
    uint64_t end = begin + float_tensor_count(tensor) * sizeof(float);
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

/* The header as JSON, filled up with spaces so that the data are aligned. */
static char *make_header(const struct float_tensor *tensors, size_t count, const char *format)
{
    json_t *header = json_object();
    uint64_t at = 0;
    json_object_set_new(header, "__metadata__", json_pack("{s:s}", "format", format));
    for (size_t i = 0; i < count; i++) {
        json_object_set_new(header, tensors[i].name, describe(&tensors[i], at));
        at += float_tensor_count(&tensors[i]) * sizeof(float);
    }
    char *json = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    if (!json)
        return NULL;
    size_t length = strlen(json);
    size_t padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    json = memory_realloc(json, padded + 1);
    memset(json + length, ' ', padded - length);
    json[padded] = '\0';
    return json;
}

enum status safetensors_write(const struct float_tensor *tensors, size_t count, const char *format,
                              byte_sink *sink, void *context, struct error *err)
{
    char *header = make_header(tensors, count, format);
    if (!header)
        return error_set(err, FAILED, "a tensor's name is not valid UTF-8; please report this");
    uint64_t length = strlen(header);
    enum status status = sink(context, &length, sizeof length, err);
    if (status == OK)
        status = sink(context, header, length, err);
    for (size_t i = 0; i < count && status == OK; i++)
        status =
            sink(context, tensors[i].values, float_tensor_count(&tensors[i]) * sizeof(float), err);
    free(header);
    return status;
}

/* ---- Opening -------------------------------------------------------------------------------- */

struct safetensors {
    struct arena arena; /* of names and the path */
    const char *path;
    FILE *stream;
    uint64_t data; /* offset of the data in the file */
    uint64_t data_bytes;
    struct safetensor *tensors; /* (count), by offset */
    size_t count;
};

struct dtype {
    const char *name;
    unsigned bits;
};

static const struct dtype dtypes[] = {
    {"BOOL", 8}, {"U8", 8},   {"I8", 8},    {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"I16", 16},
    {"U16", 16}, {"F16", 16}, {"BF16", 16}, {"I32", 32},    {"U32", 32},    {"F32", 32},
    {"F64", 64}, {"I64", 64}, {"U64", 64},  {"C64", 64},
};

static enum status reject(const struct safetensors *file, const char *name, const char *what,
                          struct error *err)
{
    if (name)
        return error_set(err, BAD_MODEL, "%s: tensor %s: %s; the file is damaged", file->path,
                         excerpt_string(name).text, what);
    return error_set(err, BAD_MODEL, "%s: %s; the file is damaged or no safetensors file",
                     file->path, what);
}

static enum status read_at(const struct safetensors *file, uint64_t offset, void *out,
                           size_t length, struct error *err)
{
    errno = 0;
    if (!fseeko(file->stream, (off_t)offset, SEEK_SET) &&
        fread(out, 1, length, file->stream) == length)
        return OK;
    if (feof(file->stream))
        return error_set(err, BAD_MODEL, "%s: byte %" PRIu64 ": the file ends too early",
                         file->path, offset);
    return error_set(err, FAILED, "%s: byte %" PRIu64 ": cannot read: %s", file->path, offset,
                     strerror(errno));
}

/* An integer of the header within 0 .. 2^62. */
static bool take_size(const json_t *value, uint64_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > INT64_MAX / 2)
        return false;
    *size = (uint64_t)json_integer_value(value);
    return true;
}

static const struct dtype *find_dtype(const char *name)
{
    for (size_t i = 0; name && i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(dtypes[i].name, name))
            return &dtypes[i];
    return NULL;
}

/* Reads the shape; `*bytes` is what a tensor of it takes. NULL or what is wrong. */
static const char *take_shape(const json_t *info, struct safetensor *tensor, uint64_t *bytes)
{
    const json_t *shape = json_object_get(info, "shape");
    const struct dtype *dtype = find_dtype(json_string_value(json_object_get(info, "dtype")));
    if (!dtype)
        return "its dtype is missing or not known";
    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_DIMS)
        return "its shape is missing or has more than 8 dimensions";
    tensor->dtype = dtype->name;
    tensor->n_dims = (int)json_array_size(shape);
    *bytes = dtype->bits / 8;
    for (int d = 0; d < tensor->n_dims; d++) {
        uint64_t size;
        if (!take_size(json_array_get(shape, (size_t)d), &size))
            return "a dimension is not a number from 0 on";
        if (__builtin_mul_overflow(*bytes, size, bytes) || *bytes > INT64_MAX / 2)
            return "its shape is too large";
        tensor->shape[d] = (int64_t)size;
    }
    return NULL;
}

static const char *take_tensor(const json_t *info, struct safetensor *tensor)
{
    uint64_t bytes;
    const json_t *offsets = json_object_get(info, "data_offsets");
    if (!json_is_object(info))
        return "its entry is not an object";
    const char *wrong = take_shape(info, tensor, &bytes);
    if (wrong)
        return wrong;
    if (json_array_size(offsets) != 2 || !take_size(json_array_get(offsets, 0), &tensor->begin) ||
        !take_size(json_array_get(offsets, 1), &tensor->end))
        return "its data_offsets are not two numbers";
    if (tensor->end < tensor->begin || tensor->end - tensor->begin != bytes)
        return "its data_offsets do not fit its shape and dtype";
    return NULL;
}

static enum status check_metadata(const struct safetensors *file, const json_t *metadata,
                                  struct error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return reject(file, NULL, "__metadata__ is not an object", err);
    json_object_foreach((json_t *)metadata, key, value) if (!json_is_string(value)) return reject(
        file, NULL, "__metadata__ holds something other than strings", err);
    return OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* From the first byte of the data to the last, without overlap or hole. */
static enum status check_cover(const struct safetensors *file, struct error *err)
{
    uint64_t at = 0;
    for (size_t i = 0; i < file->count; i++) {
        if (file->tensors[i].begin != at)
            return reject(file, file->tensors[i].name,
                          "its data do not begin where those before it end", err);
        at = file->tensors[i].end;
    }
    if (at == file->data_bytes)
        return OK;
    return error_set(err, BAD_MODEL,
                     "%s: its tensors take %" PRIu64 " bytes, but %" PRIu64
                     " bytes of data are there; the file is cut off or damaged",
                     file->path, at, file->data_bytes);
}

static enum status take_header(struct safetensors *file, json_t *header, struct error *err)
{
    const char *key;
    json_t *value;
    if (json_object_size(header) > MOST_TENSORS)
        return reject(file, NULL, "the header has more than 2^20 entries", err);
    file->tensors = arena_zalloc(&file->arena, json_object_size(header) * sizeof *file->tensors);
    json_object_foreach(header, key, value)
    {
        if (!strcmp(key, "__metadata__")) {
            enum status status = check_metadata(file, value, err);
            if (status != OK)
                return status;
            continue;
        }
        struct safetensor *tensor = &file->tensors[file->count++];
        tensor->name = arena_strdup(&file->arena, key);
        const char *wrong = take_tensor(value, tensor);
        if (wrong)
            return reject(file, tensor->name, wrong, err);
    }
    qsort(file->tensors, file->count, sizeof *file->tensors, by_offset);
    return check_cover(file, err);
}

static enum status read_header(struct safetensors *file, uint64_t length, struct error *err)
{
    char *bytes = memory_alloc(length);
    json_error_t fault;
    json_t *header = NULL;
    enum status status = read_at(file, LENGTH_BYTES, bytes, length, err);
    if (status == OK && bytes[0] != '{') {
        status = reject(file, NULL, "the header does not begin with {", err);
    } else if (status == OK) {
        header = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &fault);
        status = header ? take_header(file, header, err)
                        : error_set(err, BAD_MODEL, "%s: byte %d: the header is not valid JSON: %s",
                                    file->path, LENGTH_BYTES + fault.position,
                                    excerpt_clean(fault.text).text);
    }
    json_decref(header);
    free(bytes);
    return status;
}

static enum status open_stream(struct safetensors *file, struct error *err)
{
    uint64_t length = 0;
    file->stream = fopen(file->path, "rb");
    if (!file->stream || fseeko(file->stream, 0, SEEK_END))
        return error_set(err, FAILED, "%s: cannot open: %s", file->path, strerror(errno));
    off_t end = ftello(file->stream);
    if (end < LENGTH_BYTES)
        return reject(file, NULL, "it is too short", err);
    enum status status = read_at(file, 0, &length, sizeof length, err);
    if (status != OK)
        return status;
    if (length > MOST_HEADER || length > (uint64_t)end - LENGTH_BYTES || !length)
        return error_set(err, BAD_MODEL,
                         "%s: the header claims %" PRIu64 " bytes; expected 1 to %d, and the file "
                         "has %lld in all",
                         file->path, length, MOST_HEADER, (long long)end);
    file->data = LENGTH_BYTES + length;
    file->data_bytes = (uint64_t)end - file->data;
    return read_header(file, length, err);
}

enum status safetensors_open(struct safetensors **out, const char *path, struct error *err)
{
    struct safetensors *file = memory_zalloc(sizeof *file);
    arena_init(&file->arena, NULL);
    file->path = arena_strdup(&file->arena, path);
    enum status status = open_stream(file, err);
    if (status != OK) {
        safetensors_close(file);
        file = NULL;
    }
    *out = file;
    return status;
}

void safetensors_close(struct safetensors *file)
{
    if (!file)
        return;
    if (file->stream)
        fclose(file->stream);
    arena_release(&file->arena);
    free(file);
}

/* ---- Using ---------------------------------------------------------------------------------- */

size_t safetensors_count(const struct safetensors *file)
{
    return file->count;
}

const struct safetensor *safetensors_at(const struct safetensors *file, size_t index)
{
    return &file->tensors[index];
}

const struct safetensor *safetensors_find(const struct safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (!strcmp(file->tensors[i].name, name))
            return &file->tensors[i];
    return NULL;
}

static void print_shape(char out[200], int n_dims, const int64_t *shape)
{
    size_t at = 0;
    out[0] = '\0';
    for (int d = 0; d < n_dims && at < 170; d++)
        at += (size_t)snprintf(out + at, 200 - at, "%s%lld", d ? ", " : "", (long long)shape[d]);
}

static enum status expect(const struct safetensors *file, const char *name, int n_dims,
                          const int64_t *shape, const struct safetensor **found, struct error *err)
{
    const struct safetensor *tensor = *found = safetensors_find(file, name);
    char expected[200], there[200];
    print_shape(expected, n_dims, shape);
    if (!tensor)
        return error_set(err, BAD_MODEL, "%s: there is no tensor %s; expected one of (%s)",
                         file->path, name, expected);
    bool same = tensor->n_dims == n_dims;
    for (int d = 0; same && d < n_dims; d++)
        same = tensor->shape[d] == shape[d];
    print_shape(there, tensor->n_dims, tensor->shape);
    if (!same)
        return error_set(err, BAD_MODEL, "%s: tensor %s is of shape (%s); expected (%s)",
                         file->path, name, there, expected);
    return OK;
}

/* Ids of quant.h whose blocks are single values. */
static const struct quant_type *type_of(const char *dtype)
{
    enum { F32 = 0, F16 = 1, BF16 = 30 };
    if (!strcmp(dtype, "F32"))
        return quant_type(F32);
    if (!strcmp(dtype, "F16"))
        return quant_type(F16);
    return strcmp(dtype, "BF16") ? NULL : quant_type(BF16);
}

enum status safetensors_values(const struct safetensors *file, const char *name, int n_dims,
                               const int64_t *shape, float *values, struct error *err)
{
    const struct safetensor *tensor;
    enum status status = expect(file, name, n_dims, shape, &tensor, err);
    if (status != OK)
        return status;
    const struct quant_type *type = type_of(tensor->dtype);
    if (!type)
        return error_set(err, BAD_MODEL, "%s: tensor %s is of type %s; expected F32, F16 or BF16",
                         file->path, name, tensor->dtype);
    size_t length = (size_t)(tensor->end - tensor->begin),
           count = length / (size_t)type->block_bytes;
    char *bytes = memory_alloc(length);
    size_t first;
    status = read_at(file, file->data + tensor->begin, bytes, length, err);
    if (status == OK) {
        type->expand(bytes, values, count);
        if (!quant_finite(values, count, &first))
            status = error_set(err, BAD_MODEL, "%s: tensor %s: value %zu is not finite", file->path,
                               name, first);
    }
    free(bytes);
    return status;
}
