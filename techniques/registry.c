/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/registry.h"

#include <string.h>

/* In the order of a report: baselines first, then by how much is trained. */
static const struct technique *const registry[] = {
    &majority,
    &zero_shot,
    &few_shot,
    &linear_probe,
    &prompt_tuning,
    &p_tuning,
    &prefix_tuning,
    &ia3,
    &norm_tuning,
    &lora,
    &adapter,
    &full_finetune,
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
