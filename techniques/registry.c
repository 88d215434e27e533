/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/registry.h"

#include <string.h>

/* In the order of a report: baselines first, then by how much is trained. */
static const struct technique *const registry[] = {
    &majority,         /* baseline */
    &zero_shot,        /* prompt */
    &few_shot,         /* prompt */
    &chain_of_thought, /* prompt */
    &linear_probe,     /* head */
    &prompt_tuning,    /* prompt learning */
    &p_tuning,         /* prompt learning */
    &prefix_tuning,    /* prompt learning */
    &ia3,              /* peft */
    &norm_tuning,      /* peft */
    &bitfit,           /* peft */
    &lora,             /* peft */
    &adapter,          /* peft */
    &full_finetune,    /* full */
};

const struct technique *technique_at(size_t index)
{
    return index < sizeof registry / sizeof *registry ? registry[index] : NULL;
}

const struct technique *technique_find(const char *name)
{
    const struct technique *technique;
    for (size_t i = 0; (technique = technique_at(i)); i++)
        if (!strcmp(technique->name, name))
            return technique;
    return NULL;
}

bool technique_is_baseline(const struct technique *technique)
{
    return !strcmp(technique->family, "baseline");
}

bool technique_learns(const struct technique *technique)
{
    return technique->learning_rates || technique->fit;
}

size_t technique_rate_count(const struct technique *technique)
{
    size_t count = technique->learning_rates != NULL;
    for (const char *c = technique->learning_rates; c && *c; c++)
        count += *c == ',';
    return count;
}
