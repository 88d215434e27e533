/* SPDX-License-Identifier: Apache-2.0
 *
 * What is filled when a GGUF file is opened (gguf_open.c, with gguf_reader.c and gguf_entries.c),
 * and gguf.c answers from. For these alone; everybody else includes model/gguf.h.
 */
#ifndef MODEL_GGUF_FILE_H
#define MODEL_GGUF_FILE_H

#include "base/memory.h"
#include "model/gguf.h"

enum {
    QUOTE = 72,            /* bytes that a quoted text takes in a message */
    WINDOW_BYTES = 1 << 16 /* read at once, both header and weights */
};

/* Value types as written in the file. */
enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64, VALUE_TYPES };

enum kind { UNSIGNED, SIGNED, REAL, TRUTH, OTHER };

struct value_type {
    const char *name;
    enum kind kind;
    unsigned bytes; /* in the file; of a string: its length field */
};

extern const struct value_type gguf_value_types[VALUE_TYPES];

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

/* Text of a file made fit for a message: ASCII without control characters, cut when long. */
const char *gguf_quote(char out[QUOTE], const char *bytes, size_t length);

/* The end of a path too long for a message. */
const char *gguf_shown_path(const char *path);

/* Adds a sentence for gguf_warning. */
void gguf_warn(struct gguf *gguf, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool gguf_names_find(const struct names *names, const char *name, size_t *index);

/* `offset` + `length` lies within the size the file had when it was opened. */
enum status gguf_fetch(const struct gguf *gguf, uint64_t offset, void *out, size_t length,
                       struct error *err);

/* BAD_MODEL when the file has another size by now. */
enum status gguf_check_size(const struct gguf *gguf, struct error *err);

#endif
