/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/prompt_serving.h"

#include <stdlib.h>
#include <string.h>

#include "datasets/task.h"
#include "model/chat.h"
#include "model/decode.h"
#include "techniques/generate.h"
#include "techniques/pack.h"
#include "techniques/prompt.h"
#include "techniques/score.h"

/* Streams decoded together, and streams that one worker runs through. */
enum { STREAMS_TOGETHER = 16, STREAMS_A_WORKER = 32 };

/* A task on duty: an adapted model of its own, on the common base. */
struct served {
    struct dataset data; /* first: the material of `adapted` leads back to here. Labels only */
    const struct prompt_task *task; /* while it is created */
    const char *name;
    struct adapted *adapted;
};

struct prompt_server {
    struct engine *engine;
    struct arena arena;
    struct served *served; /* (count) */
    size_t count;
};

/* ---- Tasks as adapted models ---------------------------------------------------------------- */

static enum status read_prompt(struct adapted *adapted, const struct material *material,
                               struct error *err)
{
    const struct prompt_task *task = ((const struct served *)material->data)->task;
    const struct model *model = adapted->engine->model;
    for (size_t i = 0; i < task->prompt_length; i++)
        if (task->prompt[i] >= model->n_vocab)
            return error_set(err, BAD_MODEL,
                             "the prompt of the task \"%s\" has the token %d, but the model's "
                             "vocabulary ends at %d; expected a prompt table made for this model",
                             task->name, (int)task->prompt[i], model->n_vocab - 1);
    if (task->prompt_length >= (size_t)model->n_context)
        return error_set(err, BAD_MODEL,
                         "the prompt of the task \"%s\" has %zu tokens; expected fewer than the %d "
                         "of the model's context",
                         task->name, task->prompt_length, model->n_context);
    tokens_append(&adapted->prefix, task->prompt, task->prompt_length);
    return OK;
}

static struct tensor *virtual_tokens(struct pass *pass)
{
    return pass->parameters;
}

static enum status take_tokens(struct adapted *adapted, const struct material *material,
                               struct error *err)
{
    (void)err;
    static const struct attachment attachment = {.virtual_tokens = virtual_tokens};
    const struct prompt_task *task = ((const struct served *)material->data)->task;
    adapted_declare(adapted, task->rows, adapted->engine->model->n_embd, "prompt_embeddings");
    adapted_allocate(adapted);
    for (size_t i = 0; i < adapted->parameters.count; i++)
        adapted->parameters.values[i] = task->values[i];
    adapted->attachment = &attachment;
    return OK;
}

static enum status serve(struct prompt_server *server, const struct prompt_task *task,
                         struct error *err)
{
    /* No technique that anyone could choose: what makes the prompt and the rows for a task. */
    static const struct technique serving = {
        .name = "prompt_table",
        .family = "prompt_learning",
        .summary = "virtual tokens out of a prompt table",
        .needs = NEEDS_MODEL,
        .prompt = read_prompt,
        .attach = take_tokens,
    };
    struct arena *arena = &server->arena;
    struct served *served = &server->served[server->count];
    struct label *labels = arena_zalloc(arena, (task->label_count + 1) * sizeof *labels);
    for (size_t i = 0; i < task->label_count; i++)
        labels[i].name = arena_strdup(arena, task->labels[i]);
    *served = (struct served){
        .data = {.task = task->task, .labels = labels, .label_count = task->label_count},
        .task = task,
        .name = arena_strdup(arena, task->name)};
    struct setting setting = setting_default(&serving);
    struct material material = {.data = &served->data};
    enum status status = adapted_create(&served->adapted, server->engine, &setting, &material, err);
    if (status != OK)
        return status;
    served->task = NULL;
    served->adapted->longest_answer = task->longest_answer;
    server->count++;
    return OK;
}

enum status prompt_server_create(struct prompt_server **out, struct engine *engine,
                                 const struct prompt_table *table, struct error *err)
{
    const struct model *model = engine->model;
    *out = NULL;
    if (table->width != model->n_embd || strcmp(table->model_sha256, model->sha256) != 0)
        return error_set(err, USAGE,
                         "the prompt table was made for another model (SHA-256 %.12s, width %d) "
                         "than this one (%.12s, %d)",
                         table->model_sha256, table->width, model->sha256, model->n_embd);
    struct prompt_server *server = memory_zalloc(sizeof *server);
    server->engine = engine;
    arena_init(&server->arena, &engine->meter);
    server->served = arena_zalloc(&server->arena, (table->count + 1) * sizeof *server->served);
    enum status status = OK;
    for (size_t i = 0; i < table->count && status == OK; i++)
        status = serve(server, &table->tasks[i], err);
    if (status == OK)
        *out = server;
    else
        prompt_server_release(server);
    return status;
}

void prompt_server_release(struct prompt_server *server)
{
    if (!server)
        return;
    for (size_t i = 0; i < server->count; i++)
        adapted_release(server->served[i].adapted);
    arena_release(&server->arena);
    free(server);
}

static struct served *find(const struct prompt_server *server, const char *name)
{
    for (size_t i = 0; i < server->count; i++)
        if (!strcmp(server->served[i].name, name))
            return &server->served[i];
    return NULL;
}

const struct label *prompt_server_labels(const struct prompt_server *server, const char *task,
                                         size_t *count)
{
    const struct served *served = find(server, task);
    *count = served ? served->data.label_count : 0;
    return *count ? served->data.labels : NULL;
}

static enum status unknown(const struct prompt_server *server, const char *name, struct error *err)
{
    struct text names = {0};
    for (size_t i = 0; i < server->count; i++)
        text_printf(&names, "%s%s", i ? ", " : "", server->served[i].name);
    enum status status = error_set(err, USAGE, "there is no task \"%s\"; expected one of: %s", name,
                                   server->count ? text_string(&names) : "(none)");
    text_release(&names);
    return status;
}

/* ---- One batch ------------------------------------------------------------------------------ */

/* Requests of one kind, labels or free text, in the order they came. */
struct batch {
    const struct prompt_server *server;
    size_t count;
    const struct adapted **to;  /* (count) */
    struct sequence *sequences; /* (count) */
    struct outcome **outcomes;  /* (count) */
    struct example *examples;   /* (count) */
    double **log_probabilities; /* (count) of all labels; labels only */
    struct stream *streams;     /* (count), free text only */
    const struct span *spans;
    struct arena *arena;
    const struct deadline *deadline;
};

static struct batch batch_for(const struct prompt_server *server, size_t most, struct arena *arena,
                              const struct deadline *deadline)
{
    return (struct batch){.server = server,
                          .to = arena_alloc(arena, (most + 1) * sizeof(struct adapted *)),
                          .sequences = arena_alloc(arena, (most + 1) * sizeof(struct sequence)),
                          .outcomes = arena_alloc(arena, (most + 1) * sizeof(struct outcome *)),
                          .examples = arena_alloc(arena, (most + 1) * sizeof(struct example)),
                          .log_probabilities = arena_alloc(arena, (most + 1) * sizeof(double *)),
                          .arena = arena,
                          .deadline = deadline};
}

static enum status score_span(void *context, size_t task, int worker, struct error *err)
{
    const struct batch *batch = context;
    const struct span *span = &batch->spans[task];
    enum status status = deadline_check(batch->deadline, err);
    if (status != OK)
        return status;
    struct workspace *workspace = engine_workspace(batch->server->engine, worker, false);
    struct layout layout;
    pack_scoring_mixed(batch->to + span->first, batch->sequences + span->first,
                       span->last - span->first, &workspace->arena, &layout);
    struct pass pass = {
        .model = batch->server->engine->model, .tape = &workspace->tape, .layout = &layout};
    const struct tensor *states = transformer_forward(&pass);
    const real *at = states->data;
    for (size_t i = span->first; i < span->last; i++) {
        score_forks(batch->to[i]->labels, at, transformer_head(&pass), &workspace->arena,
                    batch->log_probabilities[i]);
        at += (size_t)batch->to[i]->labels->n_forks * (size_t)states->cols;
    }
    return OK;
}

static enum status score_batch(struct batch *batch, struct error *err)
{
    struct span *spans;
    int tokens = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct label_trie *trie = batch->to[i]->labels;
        tokens = trie->tokens > tokens ? trie->tokens : tokens;
        batch->log_probabilities[i] =
            arena_alloc(batch->arena, (size_t)trie->n_labels * sizeof(double));
    }
    size_t n = pack_cut(batch->sequences, batch->count, tokens, 0, PACK_ROWS, PACK_WORKERS,
                        batch->arena, &spans);
    batch->spans = spans;
    enum status status = pool_run(batch->server->engine->pool, n, score_span, batch, err);
    for (size_t i = 0; i < batch->count && status == OK; i++) {
        const struct adapted *adapted = batch->to[i];
        score_fill(adapted, &batch->examples[i], batch->log_probabilities[i], batch->outcomes[i],
                   batch->arena);
        batch->outcomes[i]->request_tokens = batch->sequences[i].request + adapted->labels->tokens;
    }
    return status;
}

static enum status decode_part(void *context, size_t task, int worker, struct error *err)
{
    const struct batch *batch = context;
    const struct model *model = batch->server->engine->model;
    struct workspace *workspace = engine_workspace(batch->server->engine, worker, false);
    size_t first = task * STREAMS_A_WORKER, left = batch->count - first;
    size_t n = left < STREAMS_A_WORKER ? left : STREAMS_A_WORKER;
    struct decoding how = {.pass = {.model = model},
                           .end = chat_end_token(model->chat, model->tokenizer),
                           .longest = 1,
                           .together = STREAMS_TOGETHER};
    for (size_t i = first; i < first + n; i++)
        if (batch->to[i]->longest_answer > how.longest)
            how.longest = batch->to[i]->longest_answer;
    return decode(&how, workspace, batch->streams + first, (int)n, batch->deadline, err);
}

static void prepare_stream(const struct batch *batch, size_t i)
{
    const struct adapted *adapted = batch->to[i];
    const struct sequence *sequence = &batch->sequences[i];
    /* The last token needs no row of its own, hence one more than is left. */
    int room = batch->server->engine->model->n_context - (int)adapted->prefix.count -
               sequence->request + 1;
    int longest = adapted->longest_answer < room ? adapted->longest_answer : room;
    batch->streams[i] =
        (struct stream){.prompt = sequence->ids,
                        .prompt_length = sequence->request,
                        .room = longest,
                        .prefix = adapted->prefix_cache,
                        .ids = arena_alloc(batch->arena, (size_t)longest * sizeof(int32_t))};
}

static enum status decode_batch(struct batch *batch, struct error *err)
{
    struct engine *engine = batch->server->engine;
    batch->streams = arena_alloc(batch->arena, (batch->count + 1) * sizeof *batch->streams);
    for (size_t i = 0; i < batch->count; i++)
        prepare_stream(batch, i);
    size_t tasks = (batch->count + STREAMS_A_WORKER - 1) / STREAMS_A_WORKER;
    enum status status = pool_run(engine->pool, tasks, decode_part, batch, err);
    for (size_t i = 0; i < batch->count && status == OK; i++) {
        const struct stream *stream = &batch->streams[i];
        struct outcome *outcome = batch->outcomes[i];
        status = generate_text(batch->to[i], stream, batch->arena, &outcome->text, err);
        outcome->request_tokens = batch->sequences[i].request;
        outcome->answer_tokens = stream->length + stream->ended;
    }
    return status;
}

/* What the model reads of one request. */
static enum status encode(struct adapted *adapted, const struct prompt_request *request,
                          struct example *example, struct arena *arena, struct sequence **sequence,
                          struct error *err)
{
    const struct example *examples = example;
    *example = (struct example){.input = request->input,
                                .line = request->line,
                                .label = -1,
                                .options = task_count_options(request->input)};
    return prompt_encode(adapted, &examples, 1, false, arena, sequence, err);
}

bool prompt_server_reads(struct prompt_server *server, const struct prompt_request *request)
{
    const struct served *served = find(server, request->task);
    struct example example;
    struct sequence *sequence;
    struct arena arena;
    arena_init(&arena, NULL);
    bool reads =
        served && encode(served->adapted, request, &example, &arena, &sequence, NULL) == OK;
    arena_release(&arena);
    return reads;
}

/* Reads one request and puts it into the batch of its kind. */
static enum status take_request(struct prompt_server *server, const struct prompt_request *request,
                                size_t number, struct outcome *outcome, struct batch *labelled,
                                struct batch *free_text, struct error *err)
{
    const struct served *served = find(server, request->task);
    if (!served)
        return unknown(server, request->task, err);
    struct adapted *adapted = served->adapted;
    struct batch *batch = adapted->labels ? labelled : free_text;
    struct prompt_request numbered = *request;
    struct example example;
    struct sequence *sequence;
    if (!numbered.line)
        numbered.line = number;
    enum status status = encode(adapted, &numbered, &example, batch->arena, &sequence, err);
    if (status == OK)
        status = adapted_warm(adapted, err);
    if (status != OK)
        return status;
    *outcome = (struct outcome){.label = -1};
    batch->to[batch->count] = adapted;
    batch->sequences[batch->count] = *sequence;
    batch->examples[batch->count] = example;
    batch->outcomes[batch->count++] = outcome;
    return OK;
}

enum status prompt_server_answer(struct prompt_server *server,
                                 const struct prompt_request *requests, size_t count,
                                 struct outcome *outcomes, struct arena *arena,
                                 const struct deadline *deadline, struct error *err)
{
    struct batch labelled = batch_for(server, count, arena, deadline);
    struct batch free_text = batch_for(server, count, arena, deadline);
    enum status status = deadline_check(deadline, err);
    for (size_t i = 0; i < count && status == OK; i++)
        status =
            take_request(server, &requests[i], i + 1, &outcomes[i], &labelled, &free_text, err);
    if (status == OK && labelled.count)
        status = score_batch(&labelled, err);
    if (status == OK && free_text.count)
        status = decode_batch(&free_text, err);
    return status;
}
