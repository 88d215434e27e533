/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/prompt.h"

#include <string.h>

#include "base/text.h"
#include "model/chat.h"

/* Beyond this many labels the instruction does not list them: the list would cost more than the
 * texts, and scoring compares all labels anyway. */
enum { MOST_LABELS_LISTED = 20 };

const struct hyperparameter *prompt_hyperparameters(void)
{
    static const struct hyperparameter table[] = {
        {.name = "instruction",
         .summary = "what the model is asked to do; empty: written for the task",
         .kind = VALUE_TEXT,
         .fallback = ""},
        {.name = "system_prompt",
         .summary = "in front of the instruction in the system turn; empty: nothing",
         .kind = VALUE_TEXT,
         .fallback = ""},
        {0}};
    return table;
}

void prompt_write_list(const struct dataset *data, struct text *out)
{
    if (data->task != TASK_CLASSIFICATION)
        return;
    if (data->label_count > MOST_LABELS_LISTED) {
        text_add(out, " Answer with its label.");
        return;
    }
    text_add(out, " Answer with one of these labels: ");
    for (size_t i = 0; i < data->label_count; i++)
        text_printf(out, "%s%s", i ? ", " : "", data->labels[i].name);
    text_add(out, ".");
}

void prompt_write_instruction(const struct setting *setting, const struct dataset *data,
                              struct text *out)
{
    const char *own = setting_text(setting, "instruction");
    if (*own) {
        text_add(out, own);
        return;
    }
    switch (data->task) {
    case TASK_CLASSIFICATION:
        text_add(out, "Classify the text.");
        if (!setting->technique->learning_rates)
            prompt_write_list(data, out);
        break;
    case TASK_MULTIPLE_CHOICE:
        text_add(out, "Answer the question with the letter of the right option.");
        break;
    case TASK_NUMERIC_ANSWER:
        text_add(out, "Solve the problem. Answer with the number only.");
        break;
    case TASK_EXTRACTION:
        text_add(out, "Extract the information from the text. Answer with JSON only.");
        break;
    default:
        text_add(out, "Answer the request.");
    }
}

/* Refuses what leaves no room for a request. */
static enum status check_instruction(const struct model *model, const struct setting *setting,
                                     size_t tokens, struct error *err)
{
    if (tokens < (size_t)model->n_context)
        return OK;
    return error_set(err, USAGE,
                     "%s: instruction and system_prompt take %zu tokens with their marks; expected "
                     "fewer than the %d of the model's context, which also holds the request",
                     setting->technique->name, tokens, model->n_context);
}

enum status prompt_add_instruction(const struct model *model, const struct setting *setting,
                                   const char *instruction, struct tokens *ids, struct error *err)
{
    const char *system = setting_text(setting, "system_prompt");
    struct text turn = {0};
    text_printf(&turn, "%s%s%s", system, *system && *instruction ? "\n\n" : "", instruction);
    enum status status = chat_begin(model->chat, model->tokenizer, ids, err);
    if (status == OK)
        status = chat_turn(model->chat, model->tokenizer, CHAT_SYSTEM, text_string(&turn),
                           turn.length, ids, err);
    text_release(&turn);
    return status == OK ? check_instruction(model, setting, ids->count, err) : status;
}

enum status prompt_add_example(const struct model *model, const char *input, const char *answer,
                               struct tokens *ids, struct error *err)
{
    enum status status =
        chat_turn(model->chat, model->tokenizer, CHAT_USER, input, strlen(input), ids, err);
    if (status == OK)
        status = chat_turn(model->chat, model->tokenizer, CHAT_ASSISTANT, answer, strlen(answer),
                           ids, err);
    return status;
}

enum status prompt_insert_example(const struct model *model, const char *input, const char *answer,
                                  struct tokens *ids, struct error *err)
{
    const struct chat_format *chat = model->chat;
    const struct tokenizer *tokenizer = model->tokenizer;
    enum status status;
    if ((status = tokenizer_encode(tokenizer, input, strlen(input), ids, NULL, err)) ||
        (status = chat_close(chat, tokenizer, CHAT_USER, ids, err)) ||
        (status = chat_turn(chat, tokenizer, CHAT_ASSISTANT, answer, strlen(answer), ids, err)))
        return status;
    return chat_open(chat, tokenizer, CHAT_USER, ids, err);
}

enum status prompt_begin_with(struct adapted *adapted, const char *instruction, struct error *err)
{
    return prompt_add_instruction(adapted->engine->model, &adapted->setting, instruction,
                                  &adapted->prefix, err);
}

enum status prompt_begin(struct adapted *adapted, struct error *err)
{
    struct text instruction = {0};
    prompt_write_instruction(&adapted->setting, adapted->data, &instruction);
    enum status status = prompt_begin_with(adapted, text_string(&instruction), err);
    text_release(&instruction);
    return status;
}

enum status prompt_worked_example(struct adapted *adapted, const struct example *example,
                                  const char *answer, struct error *err)
{
    return prompt_add_example(adapted->engine->model, example->input, answer, &adapted->prefix,
                              err);
}

enum status prompt_open_request(struct adapted *adapted, struct error *err)
{
    const struct model *model = adapted->engine->model;
    return chat_open(model->chat, model->tokenizer, CHAT_USER, &adapted->prefix, err);
}

enum status prompt_instruction(struct adapted *adapted, const struct material *material,
                               struct error *err)
{
    (void)material;
    enum status status = prompt_begin(adapted, err);
    return status == OK ? prompt_open_request(adapted, err) : status;
}

enum status prompt_request(const struct adapted *adapted, const struct example *example,
                           struct tokens *ids, struct error *err)
{
    const struct model *model = adapted->engine->model;
    enum status status;
    if ((status = tokenizer_encode(model->tokenizer, example->input, strlen(example->input), ids,
                                   NULL, err)) ||
        (status = chat_close(model->chat, model->tokenizer, CHAT_USER, ids, err)))
        return status;
    return chat_open(model->chat, model->tokenizer, CHAT_ASSISTANT, ids, err);
}

enum status prompt_answer(const struct adapted *adapted, const char *answer, struct tokens *ids,
                          struct error *err)
{
    const struct model *model = adapted->engine->model;
    return chat_answer(model->chat, model->tokenizer, answer, strlen(answer), ids, err);
}

struct sequence prompt_behind(const struct retrieved *retrieved, const struct sequence *sequence,
                              struct arena *arena)
{
    size_t front = (size_t)retrieved->count;
    size_t own = (size_t)sequence->request + (size_t)sequence->answer;
    int32_t *ids = arena_alloc(arena, (front + own) * sizeof *ids);
    if (front)
        memcpy(ids, retrieved->ids, front * sizeof *ids);
    memcpy(ids + front, sequence->ids, own * sizeof *ids);
    return (struct sequence){
        .ids = ids, .request = (int)front + sequence->request, .answer = sequence->answer};
}

static enum status encode_one(const struct adapted *adapted, const struct example *example,
                              bool with_answer, struct tokens *scratch, struct arena *arena,
                              struct sequence *sequence, struct error *err)
{
    tokens_clear(scratch);
    enum status status = prompt_request(adapted, example, scratch, err);
    size_t request = scratch->count;
    if (status == OK && with_answer)
        status = prompt_answer(adapted, example->target, scratch, err);
    if (status != OK)
        return status;
    size_t context = (size_t)adapted->engine->model->n_context;
    size_t needed = adapted->prefix.count + (size_t)adapted->past_rows + scratch->count;
    if (needed > context)
        return error_set(err, BAD_DATA,
                         "line %zu: the prompt of %s for this example has %zu tokens, but the "
                         "model's context holds %zu; shorten the text or leave the row out",
                         example->line, adapted->technique->name, needed, context);
    int32_t *ids = arena_alloc(arena, scratch->count * sizeof *ids);
    memcpy(ids, scratch->ids, scratch->count * sizeof *ids);
    *sequence = (struct sequence){
        .ids = ids, .request = (int)request, .answer = (int)(scratch->count - request)};
    return OK;
}

enum status prompt_encode(const struct adapted *adapted, const struct example *const *examples,
                          size_t count, bool with_answer, struct arena *arena,
                          struct sequence **sequences, struct error *err)
{
    struct tokens scratch = {0};
    enum status status = OK;
    *sequences = arena_alloc(arena, count * sizeof **sequences);
    for (size_t i = 0; i < count && status == OK; i++)
        status =
            encode_one(adapted, examples[i], with_answer, &scratch, arena, &(*sequences)[i], err);
    tokens_release(&scratch);
    return status;
}
