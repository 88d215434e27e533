/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/facts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "advisor/values.h"
#include "model/transformer.h"
#include "reports/human.h"

static const struct fact_row rows[FACTS] = {
    [FACT_TASK] = {"task", UNIT_TEXT,
                   "classification, multiple_choice, numeric_answer, extraction "
                   "or generation"},
    [FACT_EXAMPLES] = {"examples", UNIT_COUNT, "labelled examples there are"},
    [FACT_TRAIN] = {"train", UNIT_COUNT, "those that techniques may learn from"},
    [FACT_DEV] = {"dev", UNIT_COUNT, "those that techniques are compared on"},
    [FACT_LABELS] = {"labels", UNIT_COUNT, "classes; not known for free answers"},
    [FACT_SMALLEST_CLASS] = {"smallest_class", UNIT_COUNT, "examples of the smallest class"},
    [FACT_MAJORITY] = {"majority", UNIT_SHARE,
                       "what always giving the most frequent answer "
                       "reaches"},
    [FACT_BALANCE] = {"balance", UNIT_SHARE, "entropy of the classes over that of equal ones"},
    [FACT_INPUT_TOKENS] = {"input_tokens", UNIT_COUNT, "tokens of an input, mean"},
    [FACT_INPUT_TOKENS_MAX] = {"input_tokens_max", UNIT_COUNT, "tokens of the longest input"},
    [FACT_ANSWER_TOKENS] = {"answer_tokens", UNIT_COUNT, "tokens of an answer, mean"},
    [FACT_ANSWER_TOKENS_MAX] = {"answer_tokens_max", UNIT_COUNT, "tokens of the longest answer"},
    [FACT_INSTRUCTION_TOKENS] = {"instruction_tokens", UNIT_COUNT, "tokens of the plain prompt"},
    [FACT_LIST_TOKENS] = {"list_tokens", UNIT_COUNT,
                          "those of its list of labels, which what is trained goes without"},
    [FACT_TARGET_TOKENS] = {"target_tokens", UNIT_COUNT, "answer tokens of all training examples"},
    [FACT_RATIONALES] = {"rationales", UNIT_SHARE, "examples with a worked solution"},
    [FACT_RATIONALE_TOKENS] = {"rationale_tokens", UNIT_COUNT, "tokens of a worked solution, mean"},
    [FACT_REASONING] = {"reasoning", UNIT_FLAG,
                        "answers are worked out: numbers, or with worked "
                        "solutions"},
    [FACT_DUPLICATES] = {"duplicates", UNIT_SHARE,
                         "examples that repeat another one, nearly or "
                         "exactly"},
    [FACT_CONFLICTS] = {"conflicts", UNIT_SHARE,
                        "texts that occur with more than one answer, of "
                        "the examples"},
    [FACT_LEAKED] = {"leaked", UNIT_COUNT, "examples of the test file that are in the data too"},
    [FACT_NOISE] = {"noise", UNIT_SHARE, "labels that are probably wrong"},
    [FACT_NOISE_LOW] = {"noise_low", UNIT_SHARE, "lower end of its interval"},
    [FACT_NOISE_HIGH] = {"noise_high", UNIT_SHARE, "upper end of its interval"},
    [FACT_UNSEEN_WORDS] = {"unseen_words", UNIT_SHARE,
                           "words of the development examples that the "
                           "training examples lack"},
    [FACT_TEST_UNSEEN_WORDS] = {"test_unseen_words", UNIT_SHARE,
                                "words of the test file that the "
                                "data lack"},
    [FACT_PARAMETERS] = {"parameters", UNIT_COUNT, "parameters of the model"},
    [FACT_CONTEXT] = {"context", UNIT_COUNT, "tokens the model can read at once"},
    [FACT_BIAS_TERMS] = {"bias_terms", UNIT_FLAG, "the model has bias vectors"},
    [FACT_WEIGHT_BITS] = {"weight_bits", UNIT_NUMBER,
                          "bits of a frozen weight in memory, at least"},
    [FACT_MEMORY] = {"memory", UNIT_BYTES, "memory that may be used"},
    [FACT_CORES] = {"cores", UNIT_COUNT, "processor cores"},
    [FACT_THROUGHPUT] = {"throughput", UNIT_OPERATIONS, "floating-point operations a second"},
    [FACT_TARGET] = {"target", UNIT_SHARE, "what the metric has to reach"},
    [FACT_BUDGET] = {"budget", UNIT_SECONDS, "time for all trials"},
    [FACT_REQUESTS] = {"requests", UNIT_COUNT, "requests in the lifetime of the model"},
    [FACT_MAX_LATENCY] = {"max_latency", UNIT_SECONDS, "longest time for a request"},
    [FACT_KEEP_SKILLS] = {"keep_skills", UNIT_FLAG,
                          "the model must keep its other skills; only "
                          "known when it is given"},
    [FACT_TECHNIQUE] = {"technique", UNIT_TEXT, "its name"},
    [FACT_FAMILY] = {"family", UNIT_TEXT, "its family"},
    [FACT_TRAINS] = {"trains", UNIT_FLAG, "it is trained with gradients"},
    [FACT_NEEDS_MODEL] = {"needs_model", UNIT_FLAG, "it uses the model at all"},
    [FACT_NEEDS_LABELS] = {"needs_labels", UNIT_FLAG, "it is for classes only"},
    [FACT_NEEDS_RATIONALES] = {"needs_rationales", UNIT_FLAG, "it needs worked solutions"},
    [FACT_MINIMUM_EXAMPLES] = {"minimum_examples", UNIT_COUNT, "training examples it needs"},
    [FACT_RATES] = {"rates", UNIT_COUNT, "learning rates it is tried with"},
    [FACT_TRAINED] = {"trained_parameters", UNIT_COUNT, "parameters it trains"},
    [FACT_TRAINED_SHARE] = {"trained_share", UNIT_SHARE, "those of all parameters"},
    [FACT_PROMPT_TOKENS] = {"prompt_tokens", UNIT_COUNT,
                            "tokens in front of every request, "
                            "computed once"},
    [FACT_ADDED_TOKENS] = {"added_tokens", UNIT_COUNT, "those beyond the instruction"},
    [FACT_REQUEST_TOKENS] = {"request_tokens", UNIT_COUNT, "tokens of a request and its answer"},
    [FACT_CONTEXT_NEEDED] = {"context_needed", UNIT_COUNT,
                             "tokens of the prompt, the longest "
                             "input and the longest answer"},
    [FACT_EPOCHS] = {"epochs", UNIT_COUNT, "passes over the examples"},
    [FACT_TRAINING_OPERATIONS] = {"training_operations", UNIT_OPERATIONS,
                                  "operations of one "
                                  "training run"},
    [FACT_TRAINING_SECONDS] = {"training_seconds", UNIT_SECONDS, "time of one training run"},
    [FACT_MEMORY_NEEDED] = {"memory_needed", UNIT_BYTES, "peak memory with this program's trainer"},
    [FACT_MEMORY_LEAST] = {"memory_least", UNIT_BYTES,
                           "weights, and 16 bytes for each trained "
                           "parameter"},
    [FACT_BREAK_EVEN] = {"break_even", UNIT_COUNT,
                         "requests after which the cheapest training run "
                         "costs less than reading the added tokens each "
                         "time"},
};

const struct fact_row *fact_row(enum fact_name fact)
{
    return &rows[fact];
}

bool fact_find(const char *name, size_t length, enum fact_name *fact)
{
    for (size_t i = 0; i < FACTS; i++) {
        if (strlen(rows[i].name) == length && !memcmp(rows[i].name, name, length)) {
            *fact = (enum fact_name)i;
            return true;
        }
    }
    return false;
}

const char *fact_unit_name(enum fact_unit unit)
{
    static const char *const names[] = {
        [UNIT_TEXT] = "text",       [UNIT_COUNT] = "count",          [UNIT_NUMBER] = "number",
        [UNIT_SHARE] = "share",     [UNIT_FLAG] = "0 or 1",          [UNIT_BYTES] = "bytes",
        [UNIT_SECONDS] = "seconds", [UNIT_OPERATIONS] = "operations"};
    return names[unit];
}

/* ---- Values -----------------------------------------------------------------------------------
 */

void facts_set(struct facts *facts, enum fact_name fact, double number)
{
    facts->values[fact] = (struct fact_value){.known = isfinite(number)};
    if (isfinite(number))
        facts->values[fact].number = number;
}

void facts_set_measured(struct facts *facts, enum fact_name fact, struct measured value)
{
    facts_set(facts, fact, value.known ? value.value : NAN);
}

void facts_set_text(struct facts *facts, enum fact_name fact, const char *text)
{
    facts->values[fact] = (struct fact_value){.known = text != NULL, .text = text};
}

double facts_number(const struct facts *facts, enum fact_name fact, double otherwise)
{
    const struct fact_value *value = &facts->values[fact];
    return value->known && !value->text ? value->number : otherwise;
}

/* Exact as long as that is short; a billion is B, as parameters are counted. */
static void write_count(double count, struct text *out)
{
    if (count < 1e5)
        text_printf(out, "%.0f", count);
    else if (count < 1e9)
        human_count(out, measured(count));
    else
        text_printf(out, "%.3gB", count / 1e9);
}

void facts_write(const struct facts *facts, enum fact_name fact, struct text *out)
{
    const struct fact_value *value = &facts->values[fact];
    struct measured number = measured(value->number);
    if (!value->known) {
        text_add(out, "unknown");
        return;
    }
    switch (rows[fact].unit) {
    case UNIT_TEXT:
        text_add(out, value->text ? value->text : "");
        return;
    case UNIT_COUNT:
        write_count(value->number, out);
        return;
    case UNIT_SHARE:
        text_printf(out, "%.3g %%", 100 * value->number);
        return;
    case UNIT_BYTES:
        human_bytes(out, number);
        return;
    case UNIT_SECONDS:
        human_seconds(out, number);
        return;
    case UNIT_NUMBER:
    case UNIT_FLAG:
    case UNIT_OPERATIONS:
        text_printf(out, "%.3g", value->number);
    }
}

/* ---- From the command line --------------------------------------------------------------------
 */

static enum status read_flag(const char *name, const char *text, double *number, struct error *err)
{
    bool yes = !strcmp(text, "yes") || !strcmp(text, "1"),
         no = !strcmp(text, "no") || !strcmp(text, "0");
    *number = yes;
    if (yes || no)
        return OK;
    return error_set(err, USAGE, "%s: \"%s\" is not yes or no", name, text);
}

static enum status read_fact(const char *name, enum fact_unit unit, const char *text,
                             double *number, struct error *err)
{
    switch (unit) {
    case UNIT_SHARE:
        return read_share(name, text, number, err);
    case UNIT_FLAG:
        return read_flag(name, text, number, err);
    case UNIT_BYTES:
        return read_size(name, text, number, err);
    case UNIT_SECONDS:
        return read_duration(name, text, number, err);
    case UNIT_NUMBER:
        return read_real(name, text, 0, 1e18, number, err);
    case UNIT_COUNT:
    case UNIT_OPERATIONS:
    case UNIT_TEXT:
        break;
    }
    return read_count(name, text, number, err);
}

enum status facts_assign(struct facts *facts, const char *assignment, struct error *err)
{
    const char *equals = strchr(assignment, '=');
    size_t length = equals ? (size_t)(equals - assignment) : 0;
    enum fact_name fact;
    double number = 0;
    char name[64];
    if (!length)
        return error_set(
            err, USAGE, "--fact: \"%s\" sets nothing; expected name=value, such as keep_skills=yes",
            assignment);
    if (!fact_find(assignment, length, &fact))
        return error_set(err, USAGE,
                         "--fact: there is no fact \"%.*s\"; `advisor list facts` has "
                         "them",
                         (int)(length < 60 ? length : 60), assignment);
    if (fact >= FACT_TECHNIQUE || rows[fact].unit == UNIT_TEXT)
        return error_set(err, USAGE, "--fact: %s cannot be set; it follows from the rest",
                         rows[fact].name);
    snprintf(name, sizeof name, "--fact %s", rows[fact].name);
    enum status status = read_fact(name, rows[fact].unit, equals + 1, &number, err);
    if (status == OK)
        facts_set(facts, fact, number);
    return status;
}

/* ---- Of the data ------------------------------------------------------------------------------
 */

static void set_noise(struct facts *facts, const struct noise *noise)
{
    facts_set(facts, FACT_NOISE, noise->known ? noise->rate : NAN);
    facts_set(facts, FACT_NOISE_LOW, noise->known ? noise->low : NAN);
    facts_set(facts, FACT_NOISE_HIGH, noise->known ? noise->high : NAN);
}

void facts_of_data(struct facts *facts, const struct dataset *data,
                   const struct data_profile *profile)
{
    const struct split_facts *found = &profile->facts;
    double count = (double)(profile->examples ? profile->examples : 1);
    bool reasoning = data->task == TASK_NUMERIC_ANSWER || profile->rationale_share > 0.5;
    facts_set_text(facts, FACT_TASK, task_name(data->task));
    facts_set(facts, FACT_EXAMPLES, (double)profile->examples);
    facts_set(facts, FACT_TRAIN, (double)(profile->divides ? profile->train : profile->examples));
    facts_set(facts, FACT_DEV, profile->divides ? (double)profile->dev : NAN);
    facts_set(facts, FACT_LABELS, profile->classes ? (double)profile->classes : NAN);
    facts_set(facts, FACT_SMALLEST_CLASS, profile->classes ? (double)profile->smallest : NAN);
    facts_set(facts, FACT_MAJORITY, profile->majority);
    facts_set(facts, FACT_BALANCE, profile->classes ? profile->balance : NAN);
    facts_set(facts, FACT_RATIONALES, profile->rationale_share);
    facts_set(facts, FACT_REASONING, reasoning);
    facts_set(facts, FACT_DUPLICATES,
              (double)(found->exact_duplicates.count + found->near_duplicates.count) / count);
    facts_set(facts, FACT_CONFLICTS, (double)found->conflicting_targets.count / count);
    facts_set(facts, FACT_LEAKED, (double)(found->leakage.count + found->near_leakage.count));
    facts_set(facts, FACT_UNSEEN_WORDS, profile->unseen_words >= 0 ? profile->unseen_words : NAN);
    facts_set(facts, FACT_TEST_UNSEEN_WORDS,
              profile->test_unseen_words >= 0 ? profile->test_unseen_words : NAN);
    set_noise(facts, &profile->noise);
}

void facts_guess_tokens(struct facts *facts, const struct data_profile *profile)
{
    double each = BYTES_PER_TOKEN;
    facts_set(facts, FACT_INPUT_TOKENS, ceil(profile->input_bytes.mean / each));
    facts_set(facts, FACT_INPUT_TOKENS_MAX, ceil(profile->input_bytes.max / each));
    facts_set(facts, FACT_ANSWER_TOKENS, ceil(profile->target_bytes.mean / each) + 1);
    facts_set(facts, FACT_ANSWER_TOKENS_MAX, ceil(profile->target_bytes.max / each) + 1);
    if (profile->rationale_bytes > 0)
        facts_set(facts, FACT_RATIONALE_TOKENS, ceil(profile->rationale_bytes / each));
}

/* ---- Of a technique ---------------------------------------------------------------------------
 */

struct workload facts_workload(const struct facts *facts, const struct model *model)
{
    enum { MARKS = 5 }; /* tokens around the user's text */
    return (struct workload){.model = model,
                             .examples = (size_t)facts_number(facts, FACT_TRAIN, 0),
                             .input_tokens = facts_number(facts, FACT_INPUT_TOKENS, 0) + MARKS,
                             .instruction_tokens = facts_number(facts, FACT_INSTRUCTION_TOKENS, 0),
                             .list_tokens = facts_number(facts, FACT_LIST_TOKENS, 0),
                             .answer_tokens = facts_number(facts, FACT_ANSWER_TOKENS, 0),
                             .rationale_tokens = facts_number(facts, FACT_RATIONALE_TOKENS, 0),
                             .labels = (size_t)facts_number(facts, FACT_LABELS, 0)};
}

static void describe(struct facts *facts, const struct technique *technique)
{
    bool trains = technique->learning_rates != NULL;
    facts_set_text(facts, FACT_TECHNIQUE, technique->name);
    facts_set_text(facts, FACT_FAMILY, technique->family);
    facts_set(facts, FACT_TRAINS, trains);
    facts_set(facts, FACT_NEEDS_MODEL, (technique->needs & NEEDS_MODEL) != 0);
    facts_set(facts, FACT_NEEDS_LABELS, (technique->needs & NEEDS_LABELS) != 0);
    facts_set(facts, FACT_NEEDS_RATIONALES, (technique->needs & NEEDS_RATIONALE) != 0);
    facts_set(facts, FACT_MINIMUM_EXAMPLES, technique->minimum_examples);
    facts_set(facts, FACT_RATES, (double)technique_rate_count(technique));
}

static void set_costs(struct facts *facts, const struct workload *workload,
                      const struct estimate *e)
{
    double prompt = e->cost.shared_tokens;
    double longest = facts_number(facts, FACT_INPUT_TOKENS_MAX, NAN) +
                     facts_number(facts, FACT_ANSWER_TOKENS_MAX, NAN);
    facts_set(facts, FACT_TRAINED, (double)e->cost.trainable_parameters);
    facts_set(facts, FACT_TRAINED_SHARE,
              (double)e->cost.trainable_parameters / (double)workload->model->n_parameters);
    facts_set(facts, FACT_PROMPT_TOKENS, prompt);
    facts_set(facts, FACT_ADDED_TOKENS,
              prompt > workload->instruction_tokens ? prompt - workload->instruction_tokens : 0);
    facts_set(facts, FACT_REQUEST_TOKENS, e->cost.request_tokens);
    facts_set(facts, FACT_CONTEXT_NEEDED, prompt + longest);
    if (facts->values[FACT_TRAIN].known) {
        facts_set(facts, FACT_EPOCHS, e->epochs);
        facts_set(facts, FACT_TRAINING_OPERATIONS, e->training_operations);
        facts_set_measured(facts, FACT_TRAINING_SECONDS, e->training_seconds);
    }
    facts_set(facts, FACT_MEMORY_NEEDED, e->memory_bytes);
    facts_set(facts, FACT_MEMORY_LEAST, e->memory_least);
}

/* Bits of a weight in a form. What a file has in fewer can stay so; a sketch has no file. */
static double bits_of(const struct model *model, enum weight_form form, double least)
{
    double held = (double)model->form_bytes[form];
    if (form == WEIGHTS_PACKED || (double)model->form_bytes[WEIGHTS_PACKED] >= held)
        return least;
    return fmax(least, 8 * held / (double)model->n_parameters);
}

/* In the first way that fits into the memory, else in the last. */
static struct estimate estimate_within(const struct facts *facts, const struct setting *setting,
                                       const struct workload *workload)
{
    const struct fact_value *throughput = &facts->values[FACT_THROUGHPUT];
    double least = facts_number(facts, FACT_WEIGHT_BITS, 32);
    struct site_facts site = {.threads = (int)facts_number(facts, FACT_CORES, 1),
                              .weight_bits = least,
                              .throughput = {throughput->known, throughput->number}};
    double memory_least = estimate_cost(setting, workload, &site).memory_least;
    struct workload here = *workload;
    struct estimate e = {0};
    const struct way *way;
    for (size_t i = 0; (way = way_at(i)); i++) {
        here.recompute = way->recompute;
        here.form = way->form;
        site.weight_bits = bits_of(workload->model, way->form, least);
        e = estimate_cost(setting, &here, &site);
        if (e.memory_bytes <= facts_number(facts, FACT_MEMORY, INFINITY))
            break;
    }
    e.memory_least = memory_least;
    return e;
}

void facts_of_technique(struct facts *facts, const struct technique *technique,
                        const struct workload *workload, struct estimate *estimate)
{
    *estimate = (struct estimate){0};
    for (size_t i = FACT_TECHNIQUE; i < FACTS; i++)
        facts->values[i] = (struct fact_value){0};
    describe(facts, technique);
    if (!workload->model)
        return;
    struct setting setting = setting_default(technique);
    *estimate = estimate_within(facts, &setting, workload);
    set_costs(facts, workload, estimate);
}
