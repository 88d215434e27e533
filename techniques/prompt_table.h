/* SPDX-License-Identifier: Apache-2.0
 *
 * A prompt table: the virtual tokens of many tasks by name, in one file beside one model.
 *
 * After prompt tuning or P-tuning all that a task needs is the output, a few rows of embeddings.
 * The table takes them, with the prompt and the labels that go with them. No value belongs to two
 * tasks: adding, replacing or removing one leaves all others as they are, to the bit. Answers:
 * techniques/prompt_serving.h.
 *
 * The file, little-endian, with u32 for unsigned and i32 for signed whole numbers and `text` for
 * u32 length and as many bytes of UTF-8 without NUL:
 *
 *     8 bytes   "PROMPTS1"
 *     text      SHA-256 of the model file, 64 hexadecimal digits, or empty
 *     u32       width: features of an embedding
 *     u32       number of tasks, then for each
 *         text      name, 1 to 255 bytes, in no other task
 *         text      kind of task, as task_name says it
 *         u32       tokens at which a free answer is cut, at least 1
 *         u32       labels, 0 when the answers are free text; then a text each, not empty, in
 *                   rising order of their bytes
 *         u32       rows of virtual tokens, at least 1
 *         u32       tokens of the prompt up to where the user's text begins; then an i32 each:
 *                   an id of the vocabulary, or -1 - i for row i
 *         f32       rows * width finite values, row by row
 *         text      where the task came from, in any form; may be empty
 *     64 bytes  SHA-256 of everything before, hexadecimal digits
 */
#ifndef TECHNIQUES_PROMPT_TABLE_H
#define TECHNIQUES_PROMPT_TABLE_H

#include "base/text.h"
#include "techniques/adapted.h"

struct prompt_task {
    const char *name;
    enum task task;
    int longest_answer;
    const char **labels; /* (label_count) */
    size_t label_count;
    int rows;
    size_t prompt_length;
    const int32_t *prompt; /* (prompt_length) */
    const float *values;   /* (rows, width) */
    const char *about;     /* where it came from; UTF-8 of any form, NULL for nothing */
};

struct prompt_table {
    struct arena arena; /* of everything below */
    char model_sha256[65];
    int width;
    struct prompt_task *tasks; /* (count), in the order they were added */
    size_t count;
};

/* An empty table for a model. prompt_table_release ends it, as it does after reading. */
void prompt_table_init(struct prompt_table *table, const struct model *model);
void prompt_table_release(struct prompt_table *table);

/* NULL when there is none of this name. */
const struct prompt_task *prompt_table_find(const struct prompt_table *table, const char *name);

/* Copies what a trained technique with virtual tokens needs into the table, after settling it; the
 * adapted model may be released. `about` says where it came from, NULL for nothing. USAGE for a
 * name that is taken or not possible, a technique that has learned anything but virtual tokens, or
 * another model. */
enum status prompt_table_add(struct prompt_table *table, const char *name, struct adapted *adapted,
                             const char *about, struct error *err);

/* Whether two tasks of tables of this width are the same, to the bit. */
bool prompt_task_equal(const struct prompt_task *a, const struct prompt_task *b, int width);

/* USAGE when there is none of this name; the sentence lists those there are. */
enum status prompt_table_remove(struct prompt_table *table, const char *name, struct error *err);

/* The table as the bytes of its file, and back. `where` begins the sentence of an error, which is
 * BAD_MODEL; `table` then needs no release. */
enum status prompt_table_write(const struct prompt_table *table, struct text *out,
                               struct error *err);
enum status prompt_table_read(struct prompt_table *table, const char *where, const void *bytes,
                              size_t length, struct error *err);

/* The same with a file. Saving replaces an older file in one step, when all is on the disk. FAILED
 * when the file cannot be read or written. */
enum status prompt_table_save(const struct prompt_table *table, const char *path,
                              struct error *err);
enum status prompt_table_load(struct prompt_table *table, const char *path, struct error *err);

/* USAGE for a name that the table does not have: the sentence lists those there are. */
enum status prompt_table_unknown(const struct prompt_table *table, const char *name,
                                 struct error *err);

#endif
