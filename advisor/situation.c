/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/situation.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "advisor/machine.h"
#include "advisor/study.h"
#include "model/transformer.h"
#include "techniques/prompt.h"

enum {
    USUAL_BITS = 16,        /* of a weight, elsewhere */
    PROMPT_MARKS = 12,      /* tokens of a conversation's marks around an instruction */
    USUAL_INSTRUCTION = 30, /* tokens of an instruction nobody has written yet */
    LABEL_TOKENS = 4,       /* of a label in it */
    LISTED_LABELS = 20,     /* more are not listed */
    USUAL_TOKENS = 60       /* of a text nobody has counted */
};

/* ---- Data -------------------------------------------------------------------------------------
 */

/* The instruction that prompts would have, with the setting of the first technique that has one. */
static double instruction_tokens(const struct dataset *data)
{
    const struct technique *technique;
    struct text instruction = {0};
    for (size_t i = 0; (technique = technique_at(i)); i++)
        if (technique->needs & NEEDS_MODEL)
            break;
    if (!technique)
        return USUAL_INSTRUCTION;
    struct setting setting = setting_default(technique);
    prompt_write_instruction(&setting, data, &instruction);
    double tokens = ceil((double)instruction.length / BYTES_PER_TOKEN) + PROMPT_MARKS;
    text_release(&instruction);
    return tokens;
}

static double list_tokens(const struct dataset *data)
{
    struct text list = {0};
    prompt_write_list(data, &list);
    double tokens = ceil((double)list.length / BYTES_PER_TOKEN);
    text_release(&list);
    return tokens;
}

static enum status read_data(struct situation *s, const struct options *options, struct error *err)
{
    enum status status = dataset_load(options->operands[0], &options->reading, &s->data, err);
    if (status == OK && options->test_path) {
        struct dataset_options reading = options->reading;
        reading.like = &s->data;
        status = dataset_load(options->test_path, &reading, &s->test, err);
    }
    if (status != OK)
        return status;
    s->has_data = true;
    data_profile_make(&s->data, options->test_path ? &s->test : NULL, options->seed, PROFILE_QUICK,
                      &s->profile);
    facts_of_data(&s->facts, &s->data, &s->profile);
    facts_guess_tokens(&s->facts, &s->profile);
    facts_set(&s->facts, FACT_INSTRUCTION_TOKENS, instruction_tokens(&s->data));
    facts_set(&s->facts, FACT_LIST_TOKENS, list_tokens(&s->data));
    return OK;
}

/* A number instead of data, or beside them. */
static enum status refuse_both(const char *option, struct error *err)
{
    return error_set(err, USAGE,
                     "%s describes data in numbers, and DATA is given too; leave one of them out",
                     option);
}

static void describe_sizes(struct situation *s, const struct options *options)
{
    struct split_sizes sizes = split_sizes_of((size_t)options->examples);
    facts_set(&s->facts, FACT_EXAMPLES, (double)options->examples);
    facts_set(&s->facts, FACT_TRAIN, (double)sizes.train);
    if (options->examples)
        facts_set(&s->facts, FACT_DEV, (double)sizes.dev);
}

/* Data in numbers: what is not given stays unknown, but for the few tokens of answers. */
static void describe_data(struct situation *s, const struct options *options)
{
    struct facts *facts = &s->facts;
    enum task task = options->reading.task;
    if (task == TASK_INFER && options->labels.known)
        task = TASK_CLASSIFICATION;
    bool classes = task == TASK_CLASSIFICATION || task == TASK_MULTIPLE_CHOICE;
    double labels = options->labels.known ? options->labels.value : 2;
    double listed = classes && labels <= LISTED_LABELS ? LABEL_TOKENS * labels : 0;
    if (options->examples >= 0)
        describe_sizes(s, options);
    if (task != TASK_INFER)
        facts_set_text(facts, FACT_TASK, task_name(task));
    if (task != TASK_INFER)
        facts_set(facts, FACT_REASONING, task == TASK_NUMERIC_ANSWER);
    facts_set(facts, FACT_LABELS, classes ? labels : NAN);
    bool short_answers = classes || task == TASK_NUMERIC_ANSWER;
    facts_set(facts, FACT_INPUT_TOKENS,
              options->tokens.known ? options->tokens.value : USUAL_TOKENS);
    facts_set_measured(facts, FACT_INPUT_TOKENS_MAX, options->tokens);
    facts_set(facts, FACT_ANSWER_TOKENS, short_answers ? 3 : USUAL_TOKENS);
    facts_set(facts, FACT_ANSWER_TOKENS_MAX, classes ? 6 : NAN);
    facts_set(facts, FACT_INSTRUCTION_TOKENS, USUAL_INSTRUCTION + PROMPT_MARKS + listed);
    facts_set(facts, FACT_LIST_TOKENS, listed);
}

static enum status take_data(struct situation *s, const struct options *options, struct error *err)
{
    if (!options->operand_count) {
        describe_data(s, options);
        return OK;
    }
    if (options->labels.known)
        return refuse_both("--labels", err);
    if (options->tokens.known)
        return refuse_both("--tokens", err);
    if (options->examples >= 0)
        return refuse_both("--examples", err);
    return read_data(s, options, err);
}

/* ---- Model ------------------------------------------------------------------------------------
 */

static void sketch(struct situation *s, const struct options *options)
{
    struct model_numbers numbers = {.parameters = options->parameters.value,
                                    .context = (int)options->context.value};
    s->model = model_sketch(&numbers);
    s->sketched = true;
    s->model_name = "";
}

/* Of a weight that stays as the file has it. */
static double least_bits(const struct model *model)
{
    return 8.0 * (double)model->form_bytes[WEIGHTS_PACKED] / (double)model->n_parameters;
}

static enum status take_model(struct situation *s, const struct options *options, struct error *err)
{
    s->model_name = "";
    if (options->parameters.known) {
        sketch(s, options);
    } else if (options->model_given || !access(options->model, R_OK)) {
        enum status status = options_check_model(options, err);
        if (status == OK)
            status = model_load_shape(&s->model, options->model, err);
        if (status != OK)
            return status;
        s->model_name = s->model->name;
    }
    if (!s->model)
        return OK;
    facts_set(&s->facts, FACT_PARAMETERS, (double)s->model->n_parameters);
    facts_set(&s->facts, FACT_WEIGHT_BITS, s->sketched ? USUAL_BITS : least_bits(s->model));
    facts_set(&s->facts, FACT_BIAS_TERMS, model_bias_count(s->model) > 0);
    if (s->model->n_context)
        facts_set(&s->facts, FACT_CONTEXT, s->model->n_context);
    return OK;
}

/* ---- Wishes -----------------------------------------------------------------------------------
 */

static void take_wishes(struct facts *facts, const struct options *options)
{
    facts_set_measured(facts, FACT_TARGET, options->target);
    facts_set_measured(facts, FACT_REQUESTS, options->requests);
    facts_set(facts, FACT_BUDGET, options->budget_given ? options->budget_seconds : NAN);
    if (options->max_latency_ms.known)
        facts_set(facts, FACT_MAX_LATENCY, options->max_latency_ms.value / 1e3);
}

/* What may be used: what the user allows, else what this machine has. */
static void take_machine(struct facts *facts, const struct options *options)
{
    struct machine machine = machine_describe(options->threads);
    facts_set(facts, FACT_CORES, machine.cores);
    if (options->memory.known)
        facts_set_measured(facts, FACT_MEMORY, options->memory);
    else if (options->max_memory_bytes.known)
        facts_set_measured(facts, FACT_MEMORY, options->max_memory_bytes);
    else
        facts_set_measured(facts, FACT_MEMORY, machine.memory_bytes);
}

/* ---- The whole --------------------------------------------------------------------------------
 */

static enum status take_facts(struct facts *facts, const struct options *options, struct error *err)
{
    enum status status = OK;
    for (size_t i = 0; i < options->fact_count && status == OK; i++)
        status = facts_assign(facts, options->facts[i], err);
    return status;
}

/* Answer tokens of everything that techniques learn from. */
static void multiply_tokens(struct facts *facts)
{
    if (!facts->values[FACT_TARGET_TOKENS].known)
        facts_set(facts, FACT_TARGET_TOKENS,
                  facts_number(facts, FACT_TRAIN, NAN) *
                      facts_number(facts, FACT_ANSWER_TOKENS, NAN));
}

static const char *guesses(struct situation *s, const struct options *options)
{
    struct text text = {0};
    if (s->has_data)
        text_printf(&text, "Tokens are guessed at %d bytes each. ", BYTES_PER_TOKEN);
    else if (!options->tokens.known)
        text_printf(&text, "Inputs are taken to have %d tokens. ", USUAL_TOKENS);
    if (s->sketched)
        text_printf(&text, "The model is taken for one of the llama family with %g bits a weight. ",
                    facts_number(&s->facts, FACT_WEIGHT_BITS, 0));
    if (!s->model)
        text_add(&text, "Nothing is known about the model, so nothing about costs: name one with "
                        "--model FILE or --parameters N. ");
    if (!options->memory.known && !options->max_memory_bytes.known)
        text_add(&text, "The memory is that of this machine. ");
    const char *copy = arena_strdup(&s->arena, text_string(&text));
    text_release(&text);
    return copy;
}

enum status situation_open(struct situation *s, const struct options *options, struct error *err)
{
    *s = (struct situation){0};
    arena_init(&s->arena, NULL);
    enum status status;
    if ((status = take_data(s, options, err)) || (status = take_model(s, options, err)))
        return status;
    if (options->context.known)
        facts_set_measured(&s->facts, FACT_CONTEXT, options->context);
    facts_set_measured(&s->facts, FACT_THROUGHPUT, options->throughput);
    take_wishes(&s->facts, options);
    take_machine(&s->facts, options);
    status = take_facts(&s->facts, options, err);
    multiply_tokens(&s->facts);
    s->assumptions = guesses(s, options);
    return status;
}

void situation_close(struct situation *s)
{
    model_free(s->model);
    data_profile_release(&s->profile);
    dataset_release(&s->test);
    dataset_release(&s->data);
    arena_release(&s->arena);
    *s = (struct situation){0};
}

enum status situation_of_study(const struct study *study, const struct data_profile *profile,
                               struct facts *facts, struct error *err)
{
    const struct options *options = study->options;
    const struct model *model = study->model;
    *facts = (struct facts){0};
    facts_of_data(facts, &study->data, profile);
    facts_guess_tokens(facts, profile);
    if (study->evaluator.dev_count)
        facts_set(facts, FACT_DEV, (double)study->evaluator.dev_count);
    facts_set(facts, FACT_INPUT_TOKENS, study->tokens_mean);
    facts_set(facts, FACT_INPUT_TOKENS_MAX, study->tokens_max);
    facts_set(facts, FACT_ANSWER_TOKENS, study->tokens_answer);
    if (study->tokens_rationale > 0)
        facts_set(facts, FACT_RATIONALE_TOKENS, study->tokens_rationale);
    facts_set(facts, FACT_INSTRUCTION_TOKENS, study->prefix_tokens);
    facts_set(facts, FACT_LIST_TOKENS, study->list_tokens);
    facts_set(facts, FACT_PARAMETERS, (double)model->n_parameters);
    facts_set(facts, FACT_CONTEXT, model->n_context);
    facts_set(facts, FACT_BIAS_TERMS, model_bias_count(model) > 0);
    facts_set(facts, FACT_WEIGHT_BITS, least_bits(model));
    take_wishes(facts, options);
    take_machine(facts, options);
    enum status status = take_facts(facts, options, err);
    multiply_tokens(facts);
    return status;
}
