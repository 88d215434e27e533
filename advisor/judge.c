/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rules say about the techniques of a study; declared in advisor/study.h.
 */
#include "advisor/situation.h"
#include "advisor/study.h"

enum status study_judge(struct study *study, struct error *err)
{
    const struct options *options = study->options;
    struct data_profile profile = {0};
    struct facts facts;
    if (study->rules)
        return OK;
    enum status status = rules_open(&study->rules, options->rules_path, err);
    if (status != OK)
        return status;
    data_profile_of_split(&study->data, &study->split, options->seed, PROFILE_QUICK, &profile);
    status = situation_of_study(study, &profile, &facts, err);
    if (status == OK)
        status = rules_judge(study->rules, &facts, study->model, options->techniques,
                             options->technique_count, &study->arena, &study->judgements, err);
    data_profile_release(&profile);
    return status;
}

const char *study_excludes(const struct study *study, const struct technique *technique)
{
    const struct judgement *judgement = judgement_find(&study->judgements, technique);
    return judgement && judgement->excluded ? judgement->why : NULL;
}

double study_prior(const struct study *study, const struct technique *technique)
{
    const struct judgement *judgement = judgement_find(&study->judgements, technique);
    return judgement ? judgement->prior : 0;
}
