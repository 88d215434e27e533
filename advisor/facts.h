/* SPDX-License-Identifier: Apache-2.0
 *
 * The facts that rules are about: one row for each technique, made of what is known about the data,
 * the model, the machine and the wishes, and of what the technique would cost.
 *
 * `advisor list facts` prints the table. A fact that is not known is NULL in a condition. To add
 * one: a name in the enum, a row in facts.c, and whoever knows its value sets it.
 */
#ifndef ADVISOR_FACTS_H
#define ADVISOR_FACTS_H

#include "advisor/condition.h"
#include "advisor/cost.h"
#include "base/text.h"
#include "datasets/profile.h"

enum fact_name {
    /* The data. */
    FACT_TASK,
    FACT_EXAMPLES,
    FACT_TRAIN,
    FACT_DEV,
    FACT_LABELS,
    FACT_SMALLEST_CLASS,
    FACT_MAJORITY,
    FACT_BALANCE,
    FACT_INPUT_TOKENS,
    FACT_INPUT_TOKENS_MAX,
    FACT_ANSWER_TOKENS,
    FACT_ANSWER_TOKENS_MAX,
    FACT_INSTRUCTION_TOKENS,
    FACT_LIST_TOKENS,
    FACT_TARGET_TOKENS,
    FACT_RATIONALES,
    FACT_RATIONALE_TOKENS,
    FACT_REASONING,
    FACT_DUPLICATES,
    FACT_CONFLICTS,
    FACT_LEAKED,
    FACT_NOISE,
    FACT_NOISE_LOW,
    FACT_NOISE_HIGH,
    FACT_UNSEEN_WORDS,
    FACT_TEST_UNSEEN_WORDS,
    /* The model. */
    FACT_PARAMETERS,
    FACT_CONTEXT,
    FACT_BIAS_TERMS,
    FACT_WEIGHT_BITS,
    /* The machine and the wishes. */
    FACT_MEMORY,
    FACT_CORES,
    FACT_THROUGHPUT,
    FACT_TARGET,
    FACT_BUDGET,
    FACT_REQUESTS,
    FACT_MAX_LATENCY,
    FACT_KEEP_SKILLS,
    /* The technique; facts_assign takes none from here on. */
    FACT_TECHNIQUE,
    FACT_FAMILY,
    FACT_TRAINS,
    FACT_NEEDS_MODEL,
    FACT_NEEDS_LABELS,
    FACT_NEEDS_RATIONALES,
    FACT_MINIMUM_EXAMPLES,
    FACT_RATES,
    FACT_TRAINED,
    FACT_TRAINED_SHARE,
    FACT_PROMPT_TOKENS,
    FACT_ADDED_TOKENS,
    FACT_REQUEST_TOKENS,
    FACT_CONTEXT_NEEDED,
    FACT_EPOCHS,
    FACT_TRAINING_OPERATIONS,
    FACT_TRAINING_SECONDS,
    FACT_MEMORY_NEEDED,
    FACT_MEMORY_LEAST,
    FACT_BREAK_EVEN,
    FACTS
};

enum fact_unit {
    UNIT_TEXT,
    UNIT_COUNT,
    UNIT_NUMBER,
    UNIT_SHARE, /* 0 .. 1 */
    UNIT_FLAG,  /* 0 or 1 */
    UNIT_BYTES,
    UNIT_SECONDS,
    UNIT_OPERATIONS
};

struct fact_row {
    const char *name;
    enum fact_unit unit;
    const char *summary; /* lower-case phrase, with the unit */
};

const struct fact_row *fact_row(enum fact_name fact);
bool fact_find(const char *name, size_t length, enum fact_name *fact); /* false: there is none */
const char *fact_unit_name(enum fact_unit unit);                       /* "share (0 to 1)" ... */

struct facts {
    struct fact_value values[FACTS];
};

void facts_set(struct facts *facts, enum fact_name fact, double number); /* NAN: not known */
void facts_set_measured(struct facts *facts, enum fact_name fact, struct measured value);
void facts_set_text(struct facts *facts, enum fact_name fact, const char *text); /* not copied */
double facts_number(const struct facts *facts, enum fact_name fact, double otherwise);

/* Sets a fact from "name=value", as --fact takes it: numbers with the suffixes k, M and G, "10 %",
 * yes and no. Not for facts of the technique. USAGE with a sentence. */
enum status facts_assign(struct facts *facts, const char *assignment, struct error *err);

/* Of the data: everything but tokens. */
void facts_of_data(struct facts *facts, const struct dataset *data,
                   const struct data_profile *profile);

/* Tokens guessed from bytes, BYTES_PER_TOKEN of them to a token. */
enum { BYTES_PER_TOKEN = 4 };
void facts_guess_tokens(struct facts *facts, const struct data_profile *profile);

/* The size of the work that the facts describe; `model` may be a sketch. */
struct workload facts_workload(const struct facts *facts, const struct model *model);

/* Of one technique with its default setting. `workload` may have no model: then costs stay unknown.
 * Fills in `estimate`, zero without a model. */
void facts_of_technique(struct facts *facts, const struct technique *technique,
                        const struct workload *workload, struct estimate *estimate);

/* The value for people: "36.2G", "12 %", "classification"; "unknown". */
void facts_write(const struct facts *facts, enum fact_name fact, struct text *out);

#endif
