/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of a technique: one way to customise the model, one file, one row in registry.c.
 *
 * A technique answers four questions: what can be set (its table), what would it cost (predict),
 * what does the model get to read (prompt), and what is trained where (attach). Everything else is
 * common: the trainer, scoring, saving, measuring. A technique never knows which others exist and
 * nothing outside its file knows its name. To add one, copy template.c and follow its steps.
 *
 * The order of calls: setting_default / setting_set; check; predict; then adapted_create, which
 * calls prompt and attach; trainer_run when there are parameters; adapted_settle, which calls
 * settle; adapted_merge, which calls merge; adapted_answer; adapted_release.
 */
#ifndef TECHNIQUES_TECHNIQUE_H
#define TECHNIQUES_TECHNIQUE_H

#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "datasets/dataset.h"
#include "model/engine.h"
#include "techniques/setting.h"

struct adapted;
struct interchange;
struct outcome;
struct sequence;

/* What a technique needs; `recommend` passes over it, with this reason, where it is missing. */
enum technique_needs {
    NEEDS_MODEL = 1,     /* the language model at all: everything but a baseline */
    NEEDS_GRADIENT = 2,  /* it is trained */
    NEEDS_LABELS = 4,    /* classification or multiple choice */
    NEEDS_RATIONALE = 8, /* worked solutions in the data */
};

/* What a technique may learn from: the first `count` training examples of the study's one order. */
struct material {
    const struct dataset *data;
    const size_t *rows; /* (count) indices into data->examples */
    size_t count;
    uint64_t seed;
};

/* The size of the work, for predicting its cost. Tokens are means per example. */
struct workload {
    const struct model *model;
    size_t examples;           /* training examples */
    double input_tokens;       /* of the user's text, with the marks around it */
    double instruction_tokens; /* shared start of a prompt without worked examples */
    double list_tokens;      /* of these, the list of labels, which what is trained goes without */
    double answer_tokens;    /* of the target */
    double rationale_tokens; /* of the worked solution; 0 where the data have none */
    size_t labels;           /* 0 when the answer is free text */
    int threads;             /* workers that train at once; 0 counts as 1 */
    bool recompute;          /* as in struct engine */
    enum weight_form form;   /* of the model's weights while it runs */
};

/* What a setting would cost before it runs. Operations are floating-point operations. */
struct cost {
    size_t trainable_parameters;
    size_t added_in_place;      /* of these, those whose gradients take no memory of each thread:
                                   struct parameter, once */
    double shared_tokens;       /* of the prompt, computed once for all requests */
    double request_tokens;      /* new tokens per request, answer included */
    double request_operations;  /* per request, shared part excluded */
    double stream_tokens;       /* of a request and its answer while it is decoded; 0: scored */
    double training_operations; /* per pass over one training example */
    double training_tokens;     /* per pass over one training example */
    double fit_operations;      /* of all that `fit` does beside reading the examples */
    size_t memory_bytes;        /* beyond the weights of the model */
};

/* What of the material a prompt is made of. */
struct kept {
    size_t *rows; /* (count), in the order in which they make the same prompt again */
    size_t count;
    bool for_each_request; /* they are chosen anew for each request, not for all alike */
    int prompts;           /* that answer together; 0 and 1: a single one */
};

/* What stands in front of one request, behind the shared start of the prompt. */
struct retrieved {
    const int32_t *ids;
    int count;
    int tokens; /* read to find it, for the cost of the request */
};

struct technique {
    const char *name;    /* "lora" */
    const char *family;  /* "baseline", "prompt", "head", "prompt_learning", "peft", "full" */
    const char *summary; /* one line, for lists */
    unsigned needs;      /* enum technique_needs */
    int minimum_examples;
    double prior; /* points of right answers above the majority answer that it brought with 128
                     training examples, the mean over the tasks of tests/bench/recorded, rounded
                     (record_points there); without a measurement, that of its nearest relative.
                     Decides in which order techniques get their turn, and weighs where the
                     measured metrics tie (advisor/choice.h) */
    const struct hyperparameter *hyperparameters; /* its own, ended by a row without name */
    const char *learning_rates; /* "3e-4,1e-3,3e-3": the rates to race, the default
                                   in the middle; NULL: nothing is trained */

    /* Refuses a setting that cannot work with this model and data, before anything runs: names the
     * setting, its value and its range. NULL: nothing beyond the table's bounds. */
    enum status (*check)(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err);

    /* Fills in what differs from plain prompting; `cost` already holds that. NULL: nothing does.
     * The model may be a shape without weights and without a tokenizer (model_sketch). */
    void (*predict)(const struct setting *setting, const struct workload *workload,
                    struct cost *cost);

    /* Appends the shared start of every prompt to adapted->prefix, up to where the user's text
     * begins. NULL: the instruction alone (prompt_instruction). */
    enum status (*prompt)(struct adapted *adapted, const struct material *material,
                          struct error *err);

    /* The rows of the material that its prompts are made of; alone they make the same ones again.
     * Arrays live in `arena`. NULL: none. */
    enum status (*keep)(const struct adapted *adapted, const struct material *material,
                        struct kept *kept, struct arena *arena, struct error *err);

    /* Puts something of its own in front of each request: `retrieved` (count), all zero before; ids
     * live in `arena`. `sequences` are the requests as token ids. NULL: nothing. */
    enum status (*retrieve)(struct adapted *adapted, const struct example *const *examples,
                            const struct sequence *sequences, size_t count,
                            struct retrieved *retrieved, struct arena *arena,
                            const struct deadline *deadline, struct error *err);

    /* Declares and initialises the parameters and says where they attach. NULL: none. */
    enum status (*attach)(struct adapted *adapted, const struct material *material,
                          struct error *err);

    /* Learns the parameters in its own way. NULL: the common trainer, if there are any. */
    enum status (*fit)(struct adapted *adapted, const struct material *material,
                       const struct deadline *deadline, struct error *err);

    /* Replaces the parameters, when they are trained, by what has to be kept of them and answers
     * the same: an encoder of virtual tokens by its output. NULL: all of them are kept. */
    void (*settle)(struct adapted *adapted);

    /* Changes `values`, those of weight `number` of the model (model_weight), to what answers the
     * same in the bare model as the weight does with the parameters attached. False: this weight
     * stays as it is. NULL: what was learned is no change of weights. */
    bool (*merge)(const struct adapted *adapted, int number, real *values);

    /* Answers in its own way (baselines, heads on features); arrays of the outcomes live in
     * `arena`. NULL: labels are scored or text is decoded behind the prompt. */
    enum status (*answer)(struct adapted *adapted, const struct example *const *examples,
                          size_t count, struct outcome *outcomes, struct arena *arena,
                          const struct deadline *deadline, struct error *err);

    /* What other programs call its parameters. NULL: they do not know it. */
    const struct interchange *interchange;
};

/* The registered techniques in turn, in the order of a report; NULL when past the last. */
const struct technique *technique_at(size_t index);

/* By name; NULL when there is none. */
const struct technique *technique_find(const char *name);

/* Whether it learns parameters from examples, by the common trainer or in its own way. */
bool technique_learns(const struct technique *technique);

/* Any technique has to beat it to be worth its cost. */
bool technique_is_baseline(const struct technique *technique);

/* How many learning rates there are to race; 0 when it does not train by steps. */
size_t technique_rate_count(const struct technique *technique);

#endif
