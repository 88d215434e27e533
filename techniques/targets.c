/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/targets.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "techniques/adapted.h"

static int find_site(const char *name, size_t length)
{
    for (int s = 0; s < N_SITES; s++) {
        const char *known = site_name((enum site)s)->peft;
        if (strlen(known) == length && !memcmp(known, name, length))
            return s;
    }
    return -1;
}

static enum status refuse(const char *technique, const char *text, const char *part, size_t length,
                          struct error *err)
{
    struct text names = {0};
    for (int s = 0; s < N_SITES; s++)
        text_printf(&names, "%s, ", site_name((enum site)s)->peft);
    enum status status = error_set(err, USAGE,
                                   "%s: target_modules=%s is not possible: the model has no module "
                                   "\"%.*s\"; expected some of %sor all-linear",
                                   technique, text, (int)length, part, text_string(&names));
    text_release(&names);
    return status;
}

enum status targets_parse(const char *technique, const char *text, bool sites[N_SITES],
                          struct error *err)
{
    bool all = !strcmp(text, "all-linear");
    for (int s = 0; s < N_SITES; s++)
        sites[s] = all;
    for (const char *at = text; !all;) {
        size_t length = strcspn(at, ",");
        int site = find_site(at, length);
        if (site < 0)
            return refuse(technique, text, at, length, err);
        sites[site] = true;
        if (!at[length])
            break;
        at += length + 1;
    }
    return OK;
}

int *targets_declare(struct adapted *adapted, const bool sites[N_SITES], target_declare *declare)
{
    const struct model *model = adapted->engine->model;
    int *index = arena_alloc(&adapted->arena, (size_t)model->n_layer * N_SITES * sizeof *index);
    for (int layer = 0; layer < model->n_layer; layer++)
        for (int s = 0; s < N_SITES; s++) {
            enum site site = (enum site)s;
            char prefix[WEIGHT_NAME_BYTES];
            snprintf(prefix, sizeof prefix, "blk.%d.%s", layer, site_name(site)->gguf);
            index[layer * N_SITES + s] =
                sites[s] ? declare(adapted, prefix, site, &model->layers[layer].linear[s]) : -1;
        }
    return index;
}

int targets_index(const struct model *model, int number)
{
    const struct tensor *weight = model_weight(model, number);
    for (int layer = 0; layer < model->n_layer; layer++)
        for (int s = 0; s < N_SITES; s++)
            if (weight == &model->layers[layer].linear[s])
                return layer * N_SITES + s;
    return -1;
}

int targets_bias_index(const struct model *model, int number)
{
    const struct tensor *weight = model_weight(model, number);
    for (int layer = 0; layer < model->n_layer; layer++)
        for (int s = 0; s < N_SITES; s++)
            if (weight == &model->layers[layer].bias[s])
                return layer * N_SITES + s;
    return -1;
}
