/* SPDX-License-Identifier: Apache-2.0
 *
 * A user's labelled rows, read strictly and turned into examples.
 *
 * Files: CSV and TSV with a header, JSONL, a JSON array of objects; the format follows from the
 * name (.csv, .tsv, .tab, .jsonl, .ndjson, .json) or, for other names, from a first character '{'
 * or '[', or from a delimiter given. UTF-8 only. `demo:tickets` and `demo:problems` are data built
 * into the program.
 *
 * Shapes of a row (one per file; a file that mixes two is refused):
 *   columns         one input column, or several joined as "name: value" lines, and a
 *                   target column; see below for their names
 *   choices         likewise, with choices beside the input, either a list or one
 *                   column for each; see below
 *   Alpaca          instruction, input (may be empty), output: the input is the instruction and, on
 *                   a new line, the input
 *   messages        OpenAI chat: the target is the last assistant message whose weight is not 0,
 *                   the input is what stands before it; one example a conversation
 *   conversations   ShareGPT chat: from human|gpt|system, value; as above
 * In a chat with one user message the input is the system text (if any), an empty line, and that
 * message; with more turns every line of speech is preceded by its role ("User: ...").
 *
 * Names: columns that are not named by the options are found by usual names, without regard
 * to case, spaces, '_' and '-'. All of them are in datasets/names.c; in short:
 *   input       text, sentence, input, prompt, question, review, content; where there is none of
 *               these, tweet, utterance, query, document, article, message ...; where there is
 *               none of these either, title, description, subject ...
 *               Or a pair, joined in this order: premise+hypothesis, sentence1+sentence2,
 *               passage+question, title+text, subject+body ... Of a title or subject and its
 *               text, a row may lack one; of a context and its question, the context.
 *   target      label, output, completion, answer, target, response; where there is none of
 *               these, class, category, intent, sentiment, summary, stars, answerKey ...
 *               A column label_text beside label (intent_name beside intent ...) is preferred,
 *               as it spells out what the numbers mean.
 *   rationale   rationale, explanation, reasoning, chain_of_thought, solution ...
 * Two names of equal standing are an error that lists both.
 *
 * Choices: a column choices, options, endings ... that holds a list; or the columns A, B, C;
 * option_a, option_b; choice1, choice2; ending0, ending1 ... With options.input they are the last
 * columns named. Lists are ["x", "y"]; {"label": ["A", "B"], "text": ["x", "y"]}; an array of
 * {"label": "A", "text": "x"}; {"A": "x", "B": "y"}; and the same as JSON text in a table. They
 * follow the input in lines "A) x", ten at most, and the target becomes the letter. In the file it
 * may be the label that the row gives a choice, a letter, the text of the choice, or its number
 * from 0 (from 1 where that fits more rows): one of these for all rows of a file.
 *
 * Values: a JSON number or boolean as target becomes its text, an object or array compact JSON
 * text; of SQuAD's {"text": [...], "answer_start": [...]} the first text is the target. Where every
 * target ends in "#### " and a number, as in GSM8K, the number is the target and what stands before
 * it the rationale. White space around a target is removed; an input is kept as it is. A missing,
 * null or empty input or target makes the row bad, as do ragged rows, bad UTF-8, NUL bytes, blank
 * lines between rows, fields beyond the limit, records that are not valid JSON, targets that do not
 * fit a task asked for. A bad row ends the reading with an error (file, line, what is wrong, what
 * to do), or is skipped, counted and listed where the options say so. Broken quoting and rows over
 * the limit always end the reading, since nobody can tell where the next row starts.
 */
#ifndef DATASETS_DATASET_H
#define DATASETS_DATASET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"

enum task {
    TASK_INFER = 0, /* in options only */
    TASK_CLASSIFICATION,
    TASK_MULTIPLE_CHOICE,
    TASK_NUMERIC_ANSWER,
    TASK_EXTRACTION,
    TASK_GENERATION
};

/* "classification", "multiple_choice", "numeric_answer", "extraction", "generation". */
const char *task_name(enum task task);
bool task_from_name(const char *name, enum task *task); /* false when there is no such task */

enum data_format { FORMAT_CSV, FORMAT_TSV, FORMAT_JSONL, FORMAT_JSON };
enum data_shape { SHAPE_COLUMNS, SHAPE_ALPACA, SHAPE_MESSAGES, SHAPE_CONVERSATIONS };

const char *data_format_name(enum data_format format); /* "CSV", "TSV", "JSONL", "JSON" */
const char *data_shape_name(enum data_shape shape);    /* "columns", "Alpaca", ... */

/* How the targets of rows with choices say which one is right. */
enum choice_key {
    CHOICE_NONE,      /* there are no choices */
    CHOICE_OWN_LABEL, /* by the label that the row gives it */
    CHOICE_LETTER,
    CHOICE_TEXT,
    CHOICE_FROM_0, /* by its number */
    CHOICE_FROM_1
};

struct example {
    const char *input;     /* never empty */
    const char *target;    /* never empty; NULL only with options.inputs_only */
    const char *rationale; /* worked solution, or NULL */
    size_t line;           /* where the row starts in the file, from 1 */
    int label;             /* index into the label table for classification and multiple choice,
                            * else -1 */
    int options;           /* multiple choice: answers A .. that the input lists; else 0 */
};

struct label {
    const char *name;
    size_t count; /* examples of this dataset; may be 0 with options.like or in multiple choice */
};

struct skipped_row {
    size_t line;
    const char *reason; /* a finished sentence, with file and line */
};

struct dataset {
    struct arena arena; /* holds everything below */
    const char *path;   /* as given */
    char sha256[65];    /* of the bytes of the file, lower-case hexadecimal */
    size_t bytes;       /* size of the file */
    enum data_format format;
    enum data_shape shape;
    const char *input_column; /* several are joined by commas; chat shapes: "messages" ... */
    const char *target_column;
    const char *rationale_column; /* NULL when there is none */
    const char **unused_columns;  /* read by nobody, in the order of the file */
    size_t unused_count;
    enum choice_key choice_key; /* CHOICE_NONE also with inputs_only */
    bool worked;                /* the targets were worked solutions, cut at "####" */

    struct example *examples; /* in the order of the file */
    size_t count;
    size_t rationale_count; /* examples with a rationale */

    enum task task;
    bool task_forced;        /* by the options, not inferred */
    const char *task_reason; /* one sentence: why this task */

    struct label *labels; /* sorted by byte value, unique. Classification: the targets found;
                           * multiple choice: the letters from A to the last one that any input
                           * lists. Else none. */
    size_t label_count;

    struct skipped_row *skipped; /* the first `skipped_listed` of the `skipped_count` bad rows */
    size_t skipped_listed;
    size_t skipped_count;

    const char **notes; /* facts the user should know, finished sentences */
    size_t note_count;
};

enum on_bad_row { BAD_ROW_ERROR = 0, BAD_ROW_SKIP };

/* One entry of a label map: a target as the file has it, and the class name meant by it. */
struct label_name {
    const char *from;
    const char *to;
};

enum { DATASET_SKIPPED_LISTED = 1000 }; /* skipped rows that are listed; all are counted */

/* All zero is the default. */
struct dataset_options {
    const char *input;     /* column of the input, or several separated by commas; NULL: found */
    const char *target;    /* column of the target; NULL: found by name */
    const char *rationale; /* column of the rationale; NULL: found by name; "": none */
    enum task task;        /* force the task; TASK_INFER: see dataset_infer_task */
    char delimiter;        /* CSV: 0 is ',' (.csv) or tab (.tsv, .tab) */
    const struct label_name *label_map; /* classes behind numbers, e.g. 0 -> negative. A target
                                         * that is not in a map given is an error. */
    size_t label_map_count;
    enum on_bad_row on_bad_row;
    const struct dataset *like; /* read as further data of this one (a test file): its task, its
                                 * label table, its columns where they exist here too. A label it
                                 * does not have is an error. Nothing of it is kept. */
    bool inputs_only;           /* targets are neither needed nor read: for prediction */
    bool part;                  /* the bytes are a part of a file (datasets/stream.h): they may hold
                                 * no usable row, and before them, behind the header of a table, */
    size_t skipped_lines;       /* so many lines are missing */
    size_t field_limit;         /* bytes; 0: 1 MiB */
    size_t row_limit;           /* bytes; 0: 16 MiB */
};

/* Reads `path`. `options` may be NULL. On success the caller ends with dataset_release; after an
 * error `*dataset` is empty and needs none. Status: BAD_DATA (the file), USAGE (options that do not
 * fit together or name a column the file does not have), FAILED (the machine).
 *
 * Errors besides bad rows: no such file; compressed, Excel, Parquet or UTF-16 files; no rows; no
 * input or target column found (the columns found are listed); a classification with one class,
 * with a label of invisible characters, or with two labels that look the same. */
enum status dataset_load(const char *path, const struct dataset_options *options,
                         struct dataset *dataset, struct error *err);

/* The same for bytes in memory; `name` stands in messages and decides the format. */
enum status dataset_parse(const char *name, const char *bytes, size_t size,
                          const struct dataset_options *options, struct dataset *dataset,
                          struct error *err);

void dataset_release(struct dataset *dataset); /* safe on {0} and twice */

/* Index of a label of `name`, or -1. */
int dataset_label_index(const struct dataset *dataset, const char *name);

/* Parses "0=negative,1=positive" into entries allocated from `arena`. Status USAGE on error. */
enum status label_map_parse(const char *text, struct arena *arena, struct label_name **map,
                            size_t *count, struct error *err);

/* The task that the examples look like; the first rule that holds:
 *   1. extraction       every target is a JSON object or array
 *   2. multiple choice  every target is one letter A-J, and the input lists that letter among its
 *                       options, starting with A: on lines "A) ..." (also "A. ", "A: ", "(A) "), or
 *                       in running text (task_count_options)
 *   3. numeric answer   every target is a number, unless the numbers look like classes:
 *                       at most 20 distinct ones, each used 3 times on average; or whole numbers
 *                       that fill 0..k-1 or 1..k without a gap, each used 5 times on average and
 *                       no rationale present
 *   4. classification   every target is one line of at most 60 characters; at most 500 distinct
 *                       ones and at most half as many as examples; at least 80 % of the examples
 *                       share their target with another one
 *   5. generation       everything else
 * `*reason` is set to a sentence in `arena`. `count` may be 0 (generation). */
enum task dataset_infer_task(const struct example *examples, size_t count, struct arena *arena,
                             const char **reason);

/* The number a target or an answer holds: sign, digits with thousands commas, decimals, exponent;
 * "$" in front and "%" behind are ignored. False when there is anything else. */
bool number_from_text(const char *text, double *value);

#endif
