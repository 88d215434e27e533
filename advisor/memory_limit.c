/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/memory_limit.h"

#include "advisor/cost.h"
#include "advisor/machine.h"
#include "reports/human.h"

struct measured memory_limit(const struct options *options)
{
    if (options->max_memory_bytes.known)
        return options->max_memory_bytes;
    return machine_describe(options->threads).memory_available_bytes;
}

/* Bytes of a trial in one way, all in all. */
static double bytes_of(const struct study *study, const struct setting *setting, size_t examples,
                       const struct way *way)
{
    const struct model *model = study->model;
    struct workload workload = study_workload(study, examples);
    double bits = 8.0 * (double)model->form_bytes[way->form] / (double)model->n_parameters;
    const struct site_facts site = {.threads = study->options->threads, .weight_bits = bits};
    workload.recompute = way->recompute;
    workload.form = way->form;
    return estimate_cost(setting, &workload, &site).memory_bytes + PROGRAM_BYTES;
}

/* The way that fits, or NULL. */
static const struct way *find_way(const struct study *study, const struct setting *setting,
                                  size_t examples)
{
    double limit = study->memory_limit.value;
    const struct way *way;
    for (size_t i = 0; (way = way_at(i)); i++)
        if (!study->memory_limit.known || !(setting->technique->needs & NEEDS_MODEL) ||
            bytes_of(study, setting, examples, way) <= limit)
            break;
    return way;
}

/* "takes 2.6G of memory, 2.4G with ..., of which the program takes 56M; --max-memory allows 1.0G"
 */
static const char *arithmetic(struct study *study, const struct setting *setting, size_t examples)
{
    struct text text = {0};
    const struct way *way;
    double before = -1;
    text_add(&text, "takes ");
    for (size_t i = 0; (way = way_at(i)); i++) {
        double bytes = bytes_of(study, setting, examples, way);
        if (before >= 0 && bytes >= before)
            continue;
        text_add(&text, before < 0 ? "" : ", ");
        human_bytes(&text, measured(bytes));
        text_printf(&text, "%s%s", before < 0 ? " of memory" : "", way->words);
        before = bytes;
    }
    text_add(&text, ", of which the program itself takes ");
    human_bytes(&text, measured(PROGRAM_BYTES));
    text_add(&text, study->options->max_memory_bytes.known ? "; --max-memory allows "
                                                           : "; this machine has ");
    human_bytes(&text, study->memory_limit);
    const char *copy = arena_strdup(&study->arena, text_string(&text));
    text_release(&text);
    return copy;
}

enum status memory_first_form(const struct study *study, enum weight_form *form, struct error *err)
{
    struct model *shape;
    *form = WEIGHTS_EXPANDED;
    if (!study->memory_limit.known)
        return OK;
    enum status status = model_load_shape(&shape, study->options->model, err);
    if (status != OK)
        return status;
    double expanded = (double)shape->form_bytes[WEIGHTS_EXPANDED];
    if (expanded + 2.0 * PROGRAM_BYTES > study->memory_limit.value)
        *form = WEIGHTS_PACKED;
    model_free(shape);
    return OK;
}

bool memory_fits(struct study *study, const struct setting *setting, size_t examples,
                 const char **why)
{
    if (find_way(study, setting, examples))
        return true;
    *why = arithmetic(study, setting, examples);
    return false;
}

enum status memory_settle(struct study *study, const struct setting *setting, size_t examples,
                          struct error *err)
{
    const struct way *way = find_way(study, setting, examples);
    struct engine *engine = study->engine;
    if (!study->memory_limit.known || !(setting->technique->needs & NEEDS_MODEL))
        return OK;
    if (!way)
        return error_set(err, FAILED, "%s %s", setting->technique->name,
                         arithmetic(study, setting, examples));
    engine_trim(engine);
    enum status status = model_hold(study->model, way->form, study->options->threads, err);
    double left = study->memory_limit.value - PROGRAM_BYTES - (double)study->model->bytes;
    engine->memory_limit = left > 1 ? (size_t)left : 1;
    return status;
}
