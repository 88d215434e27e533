/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/weights.h"

#include <string.h>

#include "model/weight.h"
#include "techniques/targets.h"

/* `self` tells for each number of a weight which parameter it is; -1: it stays frozen. */
static struct tensor *stand_in(struct pass *pass, struct tensor *weight)
{
    const int *self = pass->self;
    int index = self[model_weight_number(pass->model, weight)];
    return index < 0 ? weight : &pass->parameters[index];
}

static void copy_values(struct adapted *adapted, const int *self)
{
    const struct model *model = adapted->engine->model;
    for (int i = 0; i < model_weight_count(model); i++) {
        const struct tensor *weight = model_weight(model, i);
        if (self[i] >= 0)
            weight_copy(weight, 0, weight->rows, adapted_parameter(adapted, self[i]));
    }
}

bool weight_name_ends(const struct model *model, int number, const char *end)
{
    char name[WEIGHT_NAME_BYTES];
    model_weight_name(model, number, name);
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && !strcmp(name + length - tail, end);
}

void weights_attach(struct adapted *adapted, weight_choice *chosen)
{
    static const struct attachment attachment = {.weight = stand_in};
    const struct model *model = adapted->engine->model;
    int count = model_weight_count(model);
    int *self = arena_alloc(&adapted->arena, (size_t)count * sizeof *self);
    for (int i = 0; i < count; i++) {
        const struct tensor *weight = model_weight(model, i);
        char name[WEIGHT_NAME_BYTES];
        self[i] = -1;
        if (!chosen(model, i))
            continue;
        model_weight_name(model, i, name);
        self[i] = adapted_declare(adapted, weight->rows, weight->cols, "%s", name);
        adapted->parameters.items[self[i]].once = targets_index(model, i) >= 0;
    }
    adapted_allocate(adapted);
    copy_values(adapted, self);
    adapted->attachment = &attachment;
    adapted->self = self;
}

bool weights_merge(const struct adapted *adapted, int number, real *values)
{
    const int *self = adapted->self;
    if (self[number] < 0)
        return false;
    memcpy(values, adapted_parameter(adapted, self[number]),
           tensor_size(model_weight(adapted->engine->model, number)) * sizeof(real));
    return true;
}

size_t weights_count(const struct model *model, weight_choice *chosen)
{
    size_t count = 0;
    for (int i = 0; i < model_weight_count(model); i++)
        count += chosen(model, i) ? tensor_size(model_weight(model, i)) : 0;
    return count;
}

size_t weights_read_once(const struct model *model, weight_choice *chosen)
{
    size_t count = 0;
    for (int i = 0; i < model_weight_count(model); i++)
        if (chosen(model, i) && targets_index(model, i) >= 0)
            count += tensor_size(model_weight(model, i));
    return count;
}
