/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of a GGUF file, read front to back through a window. For gguf_open.c and
 * gguf_entries.c alone.
 *
 * Nothing past the end of the file is read, and no memory is asked for that the file cannot back.
 * FAILED when the file cannot be read, BAD_MODEL when what it holds is not acceptable.
 */
#ifndef MODEL_GGUF_READER_H
#define MODEL_GGUF_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/gguf_file.h"

/* Start from the file alone; the window fills itself. */
struct reader {
    struct gguf *gguf;
    uint64_t at; /* offset of the next byte */
    uint64_t window_start;
    size_t window_length;
    uint8_t window[WINDOW_BYTES];
};

uint64_t reader_left(const struct reader *reader); /* bytes up to the end of the file */

/* The next `length` bytes, such as those of a number. `what` names them for the message when the
 * file ends before. */
enum status reader_take(struct reader *reader, void *out, size_t length, const char *what,
                        struct error *err);

/* The next string, of at most `most` bytes, terminated; the memory belongs to the file. */
enum status reader_take_string(struct reader *reader, uint64_t most, const char *what,
                               struct gguf_string *string, struct error *err);

/* Counts memory that the file makes us use; a file of holes must not fill the machine. */
enum status reader_hold(struct reader *reader, uint64_t bytes, struct error *err);

#endif
