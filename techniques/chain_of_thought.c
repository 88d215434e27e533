/* SPDX-License-Identifier: Apache-2.0
 *
 * Chain of thought: the model writes its reasoning, and the answer is found in it by rule
 * (extract.h). With k worked solutions of the training data in front (Wei et al. 2022), or with the
 * instruction alone (Kojima et al. 2022).
 *
 * Self-consistency (Wang et al. 2023): several chains are drawn for each request, and the answer
 * that most of them come to counts; on a tie the one that was found first, in the order of the
 * chains. What every chain reads and writes is part of the cost.
 *
 * Where no chain names a label, the labels are scored behind the first chain and a cue, which is
 * the second prompt of Kojima et al.
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "techniques/adapted.h"
#include "techniques/extract.h"
#include "techniques/generate.h"
#include "techniques/labels.h"
#include "techniques/prompt.h"
#include "techniques/registry.h"
#include "techniques/score.h"
#include "techniques/worked.h"

enum { USUAL = 4, MOST_SAMPLES = 64 };

static const struct hyperparameter hyperparameters[] = {
    {.name = "k",
     .summary = "worked solutions in the prompt; -1: 4 or all classes where the data have them",
     .kind = VALUE_INTEGER,
     .low = WORKED_AUTOMATIC,
     .high = 1000,
     .fallback = "-1",
     .search = "0,8"},
    {.name = "samples",
     .summary = "chains that vote on each answer; 1: a single one, not drawn at random",
     .kind = VALUE_INTEGER,
     .low = 1,
     .high = MOST_SAMPLES,
     .fallback = "1",
     .search = "5"},
    {.name = "temperature",
     .summary = "of the softmax that several chains are drawn from",
     .kind = VALUE_REAL,
     .low = 0,
     .high = 10,
     .fallback = "0.7"},
    {.name = "max_new_tokens",
     .summary = "tokens at which a chain is cut",
     .kind = VALUE_INTEGER,
     .low = 1,
     .high = 8192,
     .fallback = "200"},
    {0}};

/* The technique's own state. */
struct thinking {
    uint64_t seed;
    int samples, longest;
    double temperature;
};

/* ---- The prompt ----------------------------------------------------------------------------- */

static const char reason_first[] =
    " First reason in a few short steps. Then end with \"The answer is\" and %s.";

static const char *goal(enum task task)
{
    switch (task) {
    case TASK_CLASSIFICATION:
        return "the label";
    case TASK_MULTIPLE_CHOICE:
        return "the letter of the right option";
    case TASK_NUMERIC_ANSWER:
        return "the number";
    case TASK_EXTRACTION:
        return "the JSON";
    default:
        return "the answer";
    }
}

/* What has to be done, without how the answer is to look. */
static void write_task(const struct dataset *data, struct text *out)
{
    enum { MOST_LABELS_LISTED = 20 }; /* as in prompt.c: a longer list costs more than the text */
    switch (data->task) {
    case TASK_CLASSIFICATION:
        text_add(out, "Classify the text.");
        for (size_t i = 0; data->label_count <= MOST_LABELS_LISTED && i < data->label_count; i++)
            text_printf(out, "%s%s", i ? ", " : " The labels are: ", data->labels[i].name);
        text_add(out, data->label_count <= MOST_LABELS_LISTED ? "." : "");
        break;
    case TASK_MULTIPLE_CHOICE:
        text_add(out, "Answer the question.");
        break;
    case TASK_NUMERIC_ANSWER:
        text_add(out, "Solve the problem.");
        break;
    case TASK_EXTRACTION:
        text_add(out, "Extract the information from the text.");
        break;
    default:
        text_add(out, "Answer the request.");
    }
}

static void write_instruction(const struct setting *setting, const struct dataset *data,
                              struct text *out)
{
    const char *own = setting_text(setting, "instruction");
    if (*own) {
        text_add(out, own);
        return;
    }
    write_task(data, out);
    text_printf(out, " First reason in a few short steps. Then end with \"The answer is\" and %s.",
                goal(data->task));
}

/* A worked solution that ends like the chains the model is asked for; NULL without one. */
static const char *solution(const struct example *example, struct arena *arena)
{
    const char *rationale = example->rationale;
    if (!rationale || extract_has_cue(rationale))
        return rationale;
    const char *mark = strstr(rationale, "####");
    size_t length = mark ? (size_t)(mark - rationale) : strlen(rationale);
    while (length && strchr(" \t\r\n", rationale[length - 1]))
        length--;
    return arena_printf(arena, "%.*s The answer is %s.", (int)length, rationale, example->target);
}

/* The worked solutions of a setting; none when k is 0, or automatic and there are none. */
static enum status choose(const struct setting *setting, const struct model *model,
                          const struct material *material, const char *instruction,
                          struct arena *arena, size_t **rows, size_t *k, struct error *err)
{
    struct worked worked = {.setting = setting,
                            .model = model,
                            .material = material,
                            .instruction = instruction,
                            .usual = USUAL,
                            .reserve = setting_integer(setting, "max_new_tokens"),
                            .of = "training examples with a worked solution",
                            .answer = solution};
    int asked = setting_integer(setting, "k");
    *k = 0;
    if (!asked || (asked == WORKED_AUTOMATIC && !worked_usable(&worked)))
        return OK;
    if (!worked_usable(&worked))
        return error_set(err, USAGE,
                         "chain_of_thought: k=%d is not possible, since the data have no worked "
                         "solutions; expected 0, or a column named with --rationale",
                         asked);
    return worked_choose(&worked, arena, rows, k, err);
}

static enum status check(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err)
{
    int longest = setting_integer(setting, "max_new_tokens");
    int samples = setting_integer(setting, "samples");
    if (longest >= model->n_context)
        return error_set(err, USAGE,
                         "chain_of_thought: max_new_tokens=%d leaves no room for a request in a "
                         "context of %d tokens; expected 1 to %d",
                         longest, model->n_context, model->n_context - 1);
    if (samples > 1 && setting_number(setting, "temperature") <= 0)
        return error_set(err, USAGE,
                         "chain_of_thought: temperature=0 would draw the same chain %d times; "
                         "expected more than 0 with samples=%d",
                         samples, samples);
    struct text instruction = {0};
    struct arena arena;
    size_t *rows, k;
    arena_init(&arena, NULL);
    write_instruction(setting, material->data, &instruction);
    enum status status =
        choose(setting, model, material, text_string(&instruction), &arena, &rows, &k, err);
    text_release(&instruction);
    arena_release(&arena);
    return status;
}

static void remember(struct adapted *adapted, uint64_t seed)
{
    const struct setting *setting = &adapted->setting;
    struct thinking *self = arena_alloc(&adapted->arena, sizeof *self);
    *self = (struct thinking){.seed = seed,
                              .samples = setting_integer(setting, "samples"),
                              .longest = setting_integer(setting, "max_new_tokens")};
    if (self->samples > 1)
        self->temperature = setting_number(setting, "temperature");
    adapted->self = self;
}

static enum status prompt(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    const struct model *model = adapted->engine->model;
    struct arena *arena = &adapted->arena;
    struct text instruction = {0};
    size_t *rows = NULL, k;
    remember(adapted, material->seed);
    write_instruction(&adapted->setting, material->data, &instruction);
    const char *text = text_string(&instruction);
    enum status status = choose(&adapted->setting, model, material, text, arena, &rows, &k, err);
    if (status == OK)
        status = prompt_begin_with(adapted, text, err);
    struct random random = random_stream(material->seed, "chain_of_thought order", 0);
    if (status == OK)
        random_shuffle(&random, rows, k);
    for (size_t i = 0; i < k && status == OK; i++) {
        const struct example *example = &material->data->examples[rows[i]];
        status = prompt_worked_example(adapted, example, solution(example, arena), err);
    }
    text_release(&instruction);
    return status == OK ? prompt_open_request(adapted, err) : status;
}

static enum status keep(const struct adapted *adapted, const struct material *material,
                        struct kept *kept, struct arena *arena, struct error *err)
{
    struct text instruction = {0};
    write_instruction(&adapted->setting, material->data, &instruction);
    enum status status = choose(&adapted->setting, adapted->engine->model, material,
                                text_string(&instruction), arena, &kept->rows, &kept->count, err);
    text_release(&instruction);
    return status;
}

/* ---- Answers -------------------------------------------------------------------------------- */

/* The requests of one call of `answer`, with `samples` streams for each. */
struct chains {
    struct adapted *adapted;
    const struct example *const *examples;
    const struct sequence *sequences;
    const struct stream *streams;
    struct arena *arena;
    const struct deadline *deadline;
};

static bool same_answer(const struct extracted *a, const struct extracted *b)
{
    if (a->text && b->text)
        return !strcmp(a->text, b->text);
    return !a->text && !b->text && a->label >= 0 && a->label == b->label;
}

static bool is_answer(const struct extracted *a)
{
    return a->label >= 0 || a->text;
}

/* Which of the answers most chains came to, the earliest of those; -1 when none came to any. */
static int elect(const struct extracted *answers, int count)
{
    int best = -1, most = 0;
    for (int i = 0; i < count; i++) {
        int votes = 0;
        for (int j = 0; j < count; j++)
            votes += same_answer(&answers[i], &answers[j]);
        if (is_answer(&answers[i]) && votes > most) {
            most = votes;
            best = i;
        }
    }
    return best;
}

/* The shares of the votes, with one more vote spread over all labels: one that no chain came to is
 * not impossible. */
static void share_votes(const struct chains *c, size_t example, const struct extracted *answers,
                        int count, int elected, struct outcome *outcome)
{
    size_t labels = c->adapted->data->label_count;
    double *shares = arena_alloc(c->arena, labels * sizeof *shares);
    int votes = 0;
    for (size_t l = 0; l < labels; l++)
        shares[l] = 1 / (double)labels;
    for (int i = 0; i < count; i++)
        if (answers[i].label >= 0) {
            shares[answers[i].label]++;
            votes++;
        }
    for (size_t l = 0; l < labels; l++)
        shares[l] = log(shares[l] / (votes + 1));
    score_fill(c->adapted, c->examples[example], shares, outcome, c->arena);
    outcome->label = answers[elected].label; /* of several with as many votes the earliest */
}

/* The request, what the first chain said of it, and the cue. */
static enum status write_cue(const struct chains *c, const struct stream *stream, size_t i,
                             struct tokens *ids, struct error *err)
{
    static const char cue[] = "\nThe answer is:\n";
    const struct adapted *adapted = c->adapted;
    const struct model *model = adapted->engine->model;
    struct tokens end = {0};
    enum status status = tokenizer_encode(model->tokenizer, cue, strlen(cue), &end, NULL, err);
    int left = model->n_context - (int)adapted->prefix.count - c->sequences[i].request -
               (int)end.count - adapted->labels->tokens - 1;
    int kept = stream->length < left ? stream->length : left;
    tokens_clear(ids);
    tokens_append(ids, c->sequences[i].ids, (size_t)c->sequences[i].request);
    if (kept > 0)
        tokens_append(ids, stream->ids, (size_t)kept);
    tokens_append(ids, end.ids, end.count);
    tokens_release(&end);
    return status;
}

/* Scores the labels of the examples whose outcome has none. */
static enum status score_undecided(const struct chains *c, size_t count, struct outcome *outcomes,
                                   struct error *err)
{
    const struct thinking *self = c->adapted->self;
    struct sequence *sequences = arena_alloc(c->arena, count * sizeof *sequences);
    size_t *which = arena_alloc(c->arena, count * sizeof *which), n = 0;
    struct tokens ids = {0};
    struct scores found;
    enum status status = OK;
    for (size_t i = 0; i < count && status == OK; i++) {
        if (outcomes[i].label >= 0)
            continue;
        status = write_cue(c, &c->streams[i * (size_t)self->samples], i, &ids, err);
        int32_t *copy = arena_alloc(c->arena, ids.count * sizeof *copy);
        memcpy(copy, ids.ids, ids.count * sizeof *copy);
        sequences[n] = (struct sequence){.ids = copy, .request = (int)ids.count};
        which[n++] = i;
    }
    tokens_release(&ids);
    if (status == OK && n)
        status = score_labels(c->adapted, SCORE_BY_SIZE, sequences, n, &found, c->arena,
                              c->deadline, err);
    for (size_t j = 0; j < n && status == OK; j++) {
        struct outcome *outcome = &outcomes[which[j]];
        score_fill(c->adapted, c->examples[which[j]],
                   found.log_probabilities + j * c->adapted->data->label_count, outcome, c->arena);
        outcome->request_tokens += sequences[j].request + found.rows[j];
    }
    return status;
}

/* Reads the chains of one example and takes the vote. */
static enum status decide(const struct chains *c, size_t i, struct outcome *outcome,
                          struct error *err)
{
    const struct thinking *self = c->adapted->self;
    struct extracted answers[MOST_SAMPLES];
    const struct stream *streams = c->streams + i * (size_t)self->samples;
    for (int s = 0; s < self->samples; s++) {
        const char *text;
        enum status status = generate_text(c->adapted, &streams[s], c->arena, &text, err);
        if (status != OK)
            return status;
        answers[s] = extract_answer(c->adapted->data, text, c->arena);
        outcome->request_tokens += c->sequences[i].request;
        outcome->answer_tokens += generate_tokens(&streams[s]);
    }
    int elected = elect(answers, self->samples);
    if (!c->adapted->labels)
        outcome->text = elected >= 0 ? answers[elected].text : "";
    else if (elected >= 0)
        share_votes(c, i, answers, self->samples, elected, outcome);
    return OK;
}

/* The chains of all requests. What is drawn is keyed by the line and the chain, so that no other
 * request has a part in it. */
static struct stream *open_streams(const struct adapted *adapted,
                                   const struct example *const *examples,
                                   const struct sequence *sequences, size_t count,
                                   struct arena *arena)
{
    const struct thinking *self = adapted->self;
    size_t samples = (size_t)self->samples;
    struct stream *streams = arena_alloc(arena, count * samples * sizeof *streams);
    for (size_t i = 0; i < count * samples; i++) {
        uint64_t index = (uint64_t)examples[i / samples]->line * MOST_SAMPLES + i % samples;
        streams[i] = generate_stream(adapted, &sequences[i / samples], self->longest, arena);
        streams[i].random = random_stream(self->seed, "chain_of_thought chain", index);
    }
    return streams;
}

static enum status answer(struct adapted *adapted, const struct example *const *examples,
                          size_t count, struct outcome *outcomes, struct arena *arena,
                          const struct deadline *deadline, struct error *err)
{
    const struct thinking *self = adapted->self;
    size_t samples = (size_t)self->samples;
    struct sequence *sequences;
    enum status status = prompt_encode(adapted, examples, count, false, arena, &sequences, err);
    if (status != OK)
        return status;
    struct stream *streams = open_streams(adapted, examples, sequences, count, arena);
    status = generate_run(adapted, streams, count * samples, self->longest, self->temperature,
                          deadline, err);
    struct chains chains = {.adapted = adapted,
                            .examples = examples,
                            .sequences = sequences,
                            .streams = streams,
                            .arena = arena,
                            .deadline = deadline};
    for (size_t i = 0; i < count && status == OK; i++)
        status = decide(&chains, i, &outcomes[i], err);
    return status == OK && adapted->labels ? score_undecided(&chains, count, outcomes, err)
                                           : status;
}

/* ---- Costs ---------------------------------------------------------------------------------- */

/* Tokens by which the instruction is longer than the plain one; 0 for one of the user. */
static double longer_instruction(const struct setting *setting, const struct model *model)
{
    static const char instead[] = " Answer with the number only.";
    struct tokens ids = {0};
    double tokens = 0;
    if (*setting_text(setting, "instruction"))
        return 0;
    if (!model->tokenizer) /* a shape: four bytes a token are usual */
        return ((double)strlen(reason_first) - (double)strlen(instead)) / 4;
    if (tokenizer_encode(model->tokenizer, reason_first, strlen(reason_first), &ids, NULL, NULL) ==
        OK)
        tokens = (double)ids.count;
    tokens_clear(&ids);
    if (tokenizer_encode(model->tokenizer, instead, strlen(instead), &ids, NULL, NULL) == OK)
        tokens -= (double)ids.count;
    tokens_release(&ids);
    return tokens;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    double steps = workload->rationale_tokens, before = cost->request_tokens;
    double longest = setting_number(setting, "max_new_tokens");
    double each = workload->input_tokens + steps + workload->answer_tokens;
    double chain = steps > 0 ? steps + workload->answer_tokens : longest; /* unknown: at most */
    chain = chain < longest ? chain : longest;
    cost->shared_tokens += longer_instruction(setting, workload->model);
    if (steps > 0)
        cost->shared_tokens += worked_expected(setting, workload, USUAL, each) * each;
    cost->stream_tokens = workload->input_tokens + chain;
    cost->request_tokens = setting_number(setting, "samples") * cost->stream_tokens;
    if (before > 0)
        cost->request_operations *= cost->request_tokens / before;
}

const struct technique chain_of_thought = {
    .name = "chain_of_thought",
    .family = "prompt",
    .summary = "the model reasons before it answers; several chains can vote",
    .needs = NEEDS_MODEL,
    .prior = -6,
    .hyperparameters = hyperparameters,
    .check = check,
    .predict = predict,
    .prompt = prompt,
    .keep = keep,
    .answer = answer,
};
