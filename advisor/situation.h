/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known before anything is measured: about the data or their description, about a model or
 * its description, about the machine, and about what is wanted.
 */
#ifndef ADVISOR_SITUATION_H
#define ADVISOR_SITUATION_H

#include "advisor/facts.h"
#include "advisor/options.h"

struct study;

struct situation {
    struct arena arena; /* of the texts below */
    struct facts facts; /* of everything but a technique */

    bool has_data;
    struct dataset data, test;
    struct data_profile profile; /* when there are data; its noise from PROFILE_QUICK texts */

    struct model *model;     /* a shape without weights; NULL: nothing is known about it */
    bool sketched;           /* from a number of parameters alone */
    const char *model_name;  /* "" when there is none */
    const char *assumptions; /* finished sentences about what was guessed, or "" */
};

/* From the command line: DATA, if any, the model's header, if there is a file, and the numbers,
 * which come before both. Reads no weights. Release with situation_close, also after an error.
 * USAGE for numbers that contradict the data; errors of dataset_load and model_load_shape. */
enum status situation_open(struct situation *situation, const struct options *options,
                           struct error *err);
void situation_close(struct situation *situation);

/* The facts of a study under way: its data, its own counts of tokens, its model, and the wishes,
 * --fact included. `profile` is that of the study's data. USAGE for a fact that is none. */
enum status situation_of_study(const struct study *study, const struct data_profile *profile,
                               struct facts *facts, struct error *err);

#endif
