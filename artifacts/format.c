/* SPDX-License-Identifier: Apache-2.0 */
#include "artifacts/format.h"

#include <string.h>

/* In the order of preference: what most other programs read comes first, and the last one holds
 * everything. */
static const struct export_format *const formats[] = {
    &export_peft,   &export_gguf,         &export_merged_gguf,
    &export_prompt, &export_prompt_table, &export_adapter,
};

const struct export_format *export_format_at(size_t index)
{
    return index < sizeof formats / sizeof *formats ? formats[index] : NULL;
}

const struct export_format *export_format_find(const char *name)
{
    const struct export_format *format;
    for (size_t i = 0; (format = export_format_at(i)); i++)
        if (!strcmp(format->name, name))
            return format;
    return NULL;
}

const struct export_format *export_format_for(const struct setting *setting,
                                              const struct kept *kept)
{
    size_t i = 0;
    while (export_format_at(i + 1) && formats[i]->refuses(setting, kept))
        i++;
    return formats[i];
}

void parameter_floats(const struct adapted *adapted, int index, float *out)
{
    const struct parameter *item = &adapted->parameters.items[index];
    const real *values = adapted->parameters.values + item->offset;
    for (size_t i = 0; i < (size_t)item->rows * (size_t)item->cols; i++)
        out[i] = (float)values[i];
}

void parameter_take(struct adapted *adapted, int index, const float *values)
{
    const struct parameter *item = &adapted->parameters.items[index];
    real *out = adapted->parameters.values + item->offset;
    for (size_t i = 0; i < (size_t)item->rows * (size_t)item->cols; i++)
        out[i] = values[i];
}
