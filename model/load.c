/* SPDX-License-Identifier: Apache-2.0
 *
 * From a GGUF file to the weights of a transformer: hyper-parameters, shapes, and every weight
 * expanded to `real`.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "model/chat.h"
#include "model/gguf.h"
#include "model/reading.h"
#include "model/tokenizer.h"
#include "model/transformer.h"
#include "model/weight.h"

enum { MOST_LAYERS = 1024, MOST_WIDTH = 1 << 17, MOST_CONTEXT = 1 << 28, KEY_BYTES = 128 };

/* The names and sizes of a layer's projections; how rows and columns follow from the model. */
struct site_row {
    struct site_name name;
    int (*out)(const struct model *model);
    int (*in)(const struct model *model);
};

static int width(const struct model *model)
{
    return model->n_embd;
}

static int query_width(const struct model *model)
{
    return model->n_head * model->head_dim;
}

static int key_width(const struct model *model)
{
    return model->n_head_kv * model->head_dim;
}

static int hidden_width(const struct model *model)
{
    return model->n_ff;
}

static const struct site_row sites[N_SITES] = {
    [SITE_Q] = {{"q_proj", "self_attn.q_proj", "attn_q"}, query_width, width},
    [SITE_K] = {{"k_proj", "self_attn.k_proj", "attn_k"}, key_width, width},
    [SITE_V] = {{"v_proj", "self_attn.v_proj", "attn_v"}, key_width, width},
    [SITE_O] = {{"o_proj", "self_attn.o_proj", "attn_output"}, width, query_width},
    [SITE_GATE] = {{"gate_proj", "mlp.gate_proj", "ffn_gate"}, hidden_width, width},
    [SITE_UP] = {{"up_proj", "mlp.up_proj", "ffn_up"}, hidden_width, width},
    [SITE_DOWN] = {{"down_proj", "mlp.down_proj", "ffn_down"}, width, hidden_width},
};

const struct site_name *site_name(enum site site)
{
    return &sites[site].name;
}

/* The architectures that can be read (llama.cpp, src/models/). Both may do without a tensor for the
 * output head; it is tied to the embedding then. */
static const struct architecture {
    const char *name;
    /* llama.cpp's converter moves the rows of a llama model's queries and keys, so that the
     * features that rotate together become neighbours; of qwen2 they stay as they are. */
    enum rope_pairs rope_pairs;
    bool needs_biases; /* of queries, keys and values; others may have any */
} architectures[] = {{"llama", ROPE_NEIGHBOURS, false}, {"qwen2", ROPE_HALVES, true}};

static enum status find_architecture(const struct gguf *gguf, const struct architecture **found,
                                     struct error *err)
{
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++) {
        *found = &architectures[i];
        if (!strcmp((*found)->name, gguf_architecture(gguf)))
            return OK;
    }
    return gguf_reject_key(gguf, "general.architecture", err,
                           "architecture \"%s\" is not supported; expected llama or qwen2",
                           gguf_architecture(gguf));
}

/* "<architecture>.<suffix>" */
static const char *key_of(const struct gguf *gguf, const char *suffix, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "%s.%s", gguf_architecture(gguf), suffix);
    return key;
}

/* The key of that suffix as an integer within bounds. */
static enum status read_int(const struct gguf *gguf, const char *suffix, int maximum, int *value,
                            struct error *err)
{
    char key[KEY_BYTES];
    uint64_t number;
    enum status status =
        gguf_unsigned(gguf, key_of(gguf, suffix, key), 1, (uint64_t)maximum, &number, err);
    if (status == OK)
        *value = (int)number;
    return status;
}

static enum status read_int_or(const struct gguf *gguf, const char *suffix, int maximum,
                               int fallback, int *value, struct error *err)
{
    char key[KEY_BYTES];
    uint64_t number;
    enum status status = gguf_unsigned_or(gguf, key_of(gguf, suffix, key), 1, (uint64_t)maximum,
                                          (uint64_t)fallback, &number, err);
    if (status == OK)
        *value = (int)number;
    return status;
}

static enum status check_heads(const struct gguf *gguf, const struct model *m, struct error *err)
{
    char key[KEY_BYTES];
    if (m->n_head % m->n_head_kv)
        return gguf_reject_key(gguf, key_of(gguf, "attention.head_count_kv", key), err,
                               "%d query heads cannot share %d key heads evenly; expected a "
                               "divisor of %d",
                               m->n_head, m->n_head_kv, m->n_head);
    if (m->head_dim % 2)
        return gguf_reject_key(gguf, key_of(gguf, "attention.key_length", key), err,
                               "the head size is %d; expected an even number", m->head_dim);
    if (m->n_rotated > m->head_dim || m->n_rotated % 2)
        return gguf_reject_key(gguf, key_of(gguf, "rope.dimension_count", key), err,
                               "%d rotated features do not fit a head of %d; expected an even "
                               "number up to the head size",
                               m->n_rotated, m->head_dim);
    return OK;
}

static enum status read_shape(const struct gguf *gguf, struct model *m, struct error *err)
{
    enum status status;
    char key[KEY_BYTES];
    int value_length;
    if ((status = read_int(gguf, "block_count", MOST_LAYERS, &m->n_layer, err)) ||
        (status = read_int(gguf, "embedding_length", MOST_WIDTH, &m->n_embd, err)) ||
        (status = read_int(gguf, "feed_forward_length", MOST_WIDTH, &m->n_ff, err)) ||
        (status = read_int(gguf, "context_length", MOST_CONTEXT, &m->n_context, err)) ||
        (status = read_int(gguf, "attention.head_count", MOST_WIDTH, &m->n_head, err)) ||
        (status = read_int_or(gguf, "attention.head_count_kv", MOST_WIDTH, m->n_head, &m->n_head_kv,
                              err)))
        return status;
    if (m->n_embd % m->n_head)
        return gguf_reject_key(gguf, key_of(gguf, "attention.head_count", key), err,
                               "%d heads do not divide an embedding of %d", m->n_head, m->n_embd);
    int usual = m->n_embd / m->n_head;
    if ((status =
             read_int_or(gguf, "attention.key_length", MOST_WIDTH, usual, &m->head_dim, err)) ||
        (status = read_int_or(gguf, "attention.value_length", MOST_WIDTH, m->head_dim,
                              &value_length, err)) ||
        (status = read_int_or(gguf, "rope.dimension_count", MOST_WIDTH, m->head_dim, &m->n_rotated,
                              err)))
        return status;
    if (value_length != m->head_dim)
        return gguf_reject_key(gguf, key_of(gguf, "attention.value_length", key), err,
                               "values of %d and keys of %d features per head are not supported; "
                               "expected equal lengths",
                               value_length, m->head_dim);
    return check_heads(gguf, m, err);
}

/* The key of that suffix as a positive number. */
static enum status read_positive(const struct gguf *gguf, const char *suffix, double *value,
                                 struct error *err)
{
    char key[KEY_BYTES];
    enum status status = gguf_float(gguf, key_of(gguf, suffix, key), value, err);
    if (status == OK && !(*value > 0 && isfinite(*value)))
        return gguf_reject_key(gguf, key, err, "%s is %g; expected a positive number", key, *value);
    return status;
}

static enum status read_positive_or(const struct gguf *gguf, const char *suffix, double fallback,
                                    double *value, struct error *err)
{
    char key[KEY_BYTES];
    *value = fallback;
    return gguf_has(gguf, key_of(gguf, suffix, key)) ? read_positive(gguf, suffix, value, err) : OK;
}

static enum status read_constants(const struct gguf *gguf, struct model *m, struct error *err)
{
    const char *scaling;
    char key[KEY_BYTES];
    double factor = 1;
    enum status status;
    if ((status = read_positive(gguf, "attention.layer_norm_rms_epsilon", &m->epsilon, err)) ||
        (status = read_positive_or(gguf, "rope.freq_base", 10000, &m->rope_base, err)) ||
        (status =
             gguf_string_or(gguf, key_of(gguf, "rope.scaling.type", key), "none", &scaling, err)))
        return status;
    if (strcmp(scaling, "none") && strcmp(scaling, "linear"))
        return gguf_reject_key(gguf, key, err,
                               "RoPE scaling \"%s\" is not supported; expected none or linear",
                               scaling);
    if (!strcmp(scaling, "linear") &&
        (status = read_positive_or(gguf, "rope.scaling.factor", 1, &factor, err)))
        return status;
    int pairs = m->n_rotated / 2;
    m->rope_frequencies = arena_alloc(&m->arena, (size_t)pairs * sizeof *m->rope_frequencies);
    for (int i = 0; i < pairs; i++)
        m->rope_frequencies[i] = pow(m->rope_base, -2.0 * i / m->n_rotated) / factor;
    return OK;
}

/* A projection whose kind has a bias in one layer must have it in all; reading tells. */
static enum status find_biases(const struct gguf *gguf, bool needed, struct model *m,
                               struct error *err)
{
    char name[KEY_BYTES];
    for (int layer = 0; layer < m->n_layer; layer++)
        for (int s = 0; s < N_SITES; s++) {
            snprintf(name, sizeof name, "blk.%d.%s.bias", layer, sites[s].name.gguf);
            m->biased[s] = m->biased[s] || (needed && s <= SITE_V) || gguf_tensor(gguf, name);
        }
    const struct gguf_tensor *head = gguf_tensor(gguf, "output.bias");
    if (!head)
        return OK;
    return gguf_reject(gguf, head->info_offset, err,
                       "the output head has a bias (output.bias), which is not supported; expected "
                       "a model without one");
}

/* Divides the frequencies by those of the optional rope_freqs.weight (llama 3 long context). */
static enum status read_frequency_factors(const struct gguf *gguf, struct model *m,
                                          struct error *err)
{
    if (!gguf_tensor(gguf, "rope_freqs.weight"))
        return OK;
    int pairs = m->n_rotated / 2;
    const struct gguf_tensor *tensor;
    enum status status = gguf_tensor_expect(gguf, "rope_freqs.weight", pairs, 1, &tensor, err);
    if (status != OK)
        return status;
    float *factors = memory_alloc((size_t)pairs * sizeof *factors);
    status = gguf_expand(gguf, tensor, 0, 1, factors, err);
    for (int i = 0; i < pairs && status == OK; i++) {
        if (factors[i] > 0)
            m->rope_frequencies[i] /= factors[i];
        else
            status = gguf_reject(gguf, tensor->offset, err,
                                 "rope_freqs.weight[%d] is %g; expected a positive number", i,
                                 (double)factors[i]);
    }
    free(factors);
    return status;
}

/* Whether a packed model leaves the tensor as it is: a matrix that the file has in fewer bytes. */
static bool can_stay(const struct gguf_tensor *tensor)
{
    return tensor->rows > 1 && tensor->row_bytes < (uint64_t)tensor->ne[0] * sizeof(real);
}

static void note_blocks(struct reading *reading, struct model *m, const struct gguf_tensor *tensor,
                        struct tensor *weight)
{
    struct packed *packed = arena_alloc(&m->values, sizeof *packed);
    unsigned char *blocks = arena_alloc(&m->values, (size_t)tensor->bytes);
    *packed = (struct packed){tensor->type, blocks, (size_t)tensor->row_bytes};
    weight->packed = packed;
    reading_add_blocks(reading, tensor, blocks);
}

/* Sizes of both forms, from the header. */
static void count_bytes(const struct gguf *gguf, struct model *m)
{
    m->form_bytes[WEIGHTS_EXPANDED] = m->form_bytes[WEIGHTS_PACKED] = 0;
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(gguf, i);
        size_t expanded = (size_t)tensor->rows * (size_t)tensor->ne[0] * sizeof(real);
        m->form_bytes[WEIGHTS_EXPANDED] += expanded;
        m->form_bytes[WEIGHTS_PACKED] += can_stay(tensor) ? (size_t)tensor->bytes : expanded;
    }
}

/* Notes tensor `name` of (rows, cols) for reading in the model's form. */
static enum status note_weight(struct reading *reading, struct model *m, const char *name, int rows,
                               int cols, struct tensor *weight, struct error *err)
{
    const struct gguf_tensor *tensor;
    enum status status = gguf_tensor_expect(reading->gguf, name, cols, rows, &tensor, err);
    if (status != OK)
        return status;
    *weight = (struct tensor){.rows = rows, .cols = cols};
    if (m->form == WEIGHTS_PACKED && can_stay(tensor)) {
        note_blocks(reading, m, tensor, weight);
        return OK;
    }
    weight->data = arena_alloc(&m->values, tensor_size(weight) * sizeof(real));
    reading_add_values(reading, tensor, weight->data);
    return OK;
}

static enum status note_layer(struct reading *reading, struct model *m, int layer,
                              struct error *err)
{
    struct layer *weights = &m->layers[layer];
    char name[KEY_BYTES];
    enum status status;
    snprintf(name, sizeof name, "blk.%d.attn_norm.weight", layer);
    if ((status = note_weight(reading, m, name, 1, m->n_embd, &weights->attention_norm, err)))
        return status;
    snprintf(name, sizeof name, "blk.%d.ffn_norm.weight", layer);
    if ((status = note_weight(reading, m, name, 1, m->n_embd, &weights->feed_forward_norm, err)))
        return status;
    for (int s = 0; s < N_SITES; s++) {
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, sites[s].name.gguf);
        status = note_weight(reading, m, name, sites[s].out(m), sites[s].in(m), &weights->linear[s],
                             err);
        if (status != OK)
            return status;
        snprintf(name, sizeof name, "blk.%d.%s.bias", layer, sites[s].name.gguf);
        if (m->biased[s] &&
            (status = note_weight(reading, m, name, 1, sites[s].out(m), &weights->bias[s], err)))
            return status;
    }
    return OK;
}

/* One piece of memory for all weights, so that none of it is left over between them. */
static void reserve_values(struct model *m, size_t tensors)
{
    size_t around = tensors * (2 * MEMORY_ALIGNMENT + sizeof(struct packed));
    arena_reserve_filled(&m->values, m->form_bytes[m->form] + around);
}

static enum status note_weights(struct reading *reading, struct model *m, struct error *err)
{
    enum status status;
    if ((status = note_weight(reading, m, "token_embd.weight", m->n_vocab, m->n_embd, &m->embedding,
                              err)) ||
        (status =
             note_weight(reading, m, "output_norm.weight", 1, m->n_embd, &m->output_norm, err)))
        return status;
    m->output = m->embedding;
    if (gguf_tensor(reading->gguf, "output.weight") &&
        (status = note_weight(reading, m, "output.weight", m->n_vocab, m->n_embd, &m->output, err)))
        return status;
    for (int layer = 0; layer < m->n_layer && status == OK; layer++)
        status = note_layer(reading, m, layer, err);
    return status;
}

/* Every weight, and the hash of the file where there is one. */
static enum status read_weights(const struct gguf *gguf, struct model *m, int threads, char *sha256,
                                struct error *err)
{
    struct reading reading = {.gguf = gguf};
    reserve_values(m, gguf_tensor_count(gguf));
    enum status status = note_weights(&reading, m, err);
    if (status == OK)
        status = reading_run(&reading, threads, sha256, err);
    reading_release(&reading);
    return status;
}

/* Refuses what cannot be held before any of it is allocated. */
static enum status check_memory(const struct gguf *gguf, const struct model *m, struct error *err)
{
    double layer = 2.0 * m->n_embd;
    for (int s = 0; s < N_SITES; s++)
        layer += (double)sites[s].out(m) * (sites[s].in(m) + m->biased[s]);
    double values = layer * m->n_layer + (double)m->n_vocab * m->n_embd;
    double in_file = 0;
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(gguf, i);
        in_file += (double)tensor->rows * (double)tensor->ne[0];
    }
    if (values > in_file)
        return error_set(err, BAD_MODEL,
                         "%s: the hyper-parameters ask for %.0f weights but the file holds %.0f; "
                         "the file is damaged or incomplete, download it again",
                         gguf_path(gguf), values, in_file);
    size_t bytes = m->form_bytes[m->form];
    void *probe = memory_try(bytes);
    free(probe);
    if (!probe)
        return error_set(err, FAILED,
                         "%s: its weights need %.1f GB of memory, which the "
                         "system refuses; free memory or choose a smaller model",
                         gguf_path(gguf), (double)bytes / 1e9);
    return OK;
}

/* Name, sizes and kind of the model, whether its weights are wanted or not. */
static enum status read_outline(const struct gguf *gguf, struct model *m, struct error *err)
{
    const struct architecture *architecture;
    enum status status;
    const char *name;
    if ((status = gguf_expect_type(gguf, "model", err)) ||
        (status = find_architecture(gguf, &architecture, err)) ||
        (status = gguf_string_or(gguf, "general.name", "unnamed model", &name, err)) ||
        (status = read_shape(gguf, m, err)))
        return status;
    m->rope_pairs = architecture->rope_pairs;
    m->name = arena_strdup(&m->arena, name);
    m->path = arena_strdup(&m->arena, gguf_path(gguf));
    return find_biases(gguf, architecture->needs_biases, m, err);
}

/* How a model is read. */
struct way {
    enum weight_form form;
    int threads;
    bool hashed; /* it is in a file */
};

static enum status fill(struct model *m, const struct gguf *gguf, const struct way *way,
                        struct error *err)
{
    enum status status;
    if ((status = read_outline(gguf, m, err)) || (status = read_constants(gguf, m, err)) ||
        (status = tokenizer_load(&m->tokenizer, gguf, NULL, err)) ||
        (status = chat_format_find(&m->chat, gguf, m->tokenizer, NULL, err)))
        return status;
    m->n_vocab = (int)tokenizer_size(m->tokenizer);
    count_bytes(gguf, m);
    if ((status = check_memory(gguf, m, err)))
        return status;
    m->layers = arena_zalloc(&m->arena, (size_t)m->n_layer * sizeof *m->layers);
    if ((status = read_weights(gguf, m, way->threads, way->hashed ? m->sha256 : NULL, err)) ||
        (status = read_frequency_factors(gguf, m, err)))
        return status;
    for (int i = 0; i < model_weight_count(m); i++)
        m->n_parameters += tensor_size(model_weight(m, i));
    m->bytes = arena_held(&m->arena) + arena_held(&m->values);
    return OK;
}

static struct model *new_model(enum weight_form form)
{
    struct model *m = memory_zalloc(sizeof *m);
    m->form = form;
    arena_init(&m->arena, NULL);
    arena_init(&m->values, NULL);
    return m;
}

static enum status from_gguf(struct model **model, const struct gguf *gguf, const struct way *way,
                             struct error *err)
{
    struct model *m = new_model(way->form);
    enum status status = fill(m, gguf, way, err);
    if (status != OK) {
        model_free(m);
        m = NULL;
    }
    *model = m;
    return status;
}

enum status model_from_gguf(struct model **model, const struct gguf *gguf, struct error *err)
{
    const struct way way = {WEIGHTS_EXPANDED, 1, false};
    return from_gguf(model, gguf, &way, err);
}

enum status model_load(struct model **model, const char *path, struct error *err)
{
    return model_load_as(model, path, WEIGHTS_EXPANDED, 1, err);
}

enum status model_load_as(struct model **model, const char *path, enum weight_form form,
                          int threads, struct error *err)
{
    const struct way way = {form, threads, true};
    *model = NULL;
    struct gguf *gguf;
    enum status status = gguf_open(&gguf, path, err);
    if (status != OK)
        return status;
    status = from_gguf(model, gguf, &way, err);
    gguf_free(gguf);
    return status;
}

enum status model_hold(struct model *model, enum weight_form form, int threads, struct error *err)
{
    struct gguf *gguf;
    char sha256[sizeof model->sha256];
    if (model->form == form)
        return OK;
    enum status status = hash_file(model->path, sha256, err);
    if (status == OK && strcmp(sha256, model->sha256) != 0)
        status = error_set(err, BAD_MODEL,
                           "%s: it is not the file any more that was read before; start again",
                           model->path);
    if (status == OK)
        status = gguf_open(&gguf, model->path, err);
    if (status != OK)
        return status;
    arena_release(&model->values);
    model->form = form;
    status = read_weights(gguf, model, threads, NULL, err);
    gguf_free(gguf);
    model->bytes = arena_held(&model->arena) + arena_held(&model->values);
    return status;
}

/* ---- Shapes without weights ------------------------------------------------------------------ */

/* Tensors of the model's sizes. Values that were tied stay so: that is told by where they are. */
static void shape_tensors(struct model *m, bool tied)
{
    real *nowhere = arena_alloc(&m->arena, 2 * sizeof *nowhere);
    m->embedding = (struct tensor){.rows = m->n_vocab, .cols = m->n_embd, .data = nowhere};
    m->output = m->embedding;
    m->output.data = tied ? nowhere : nowhere + 1;
    m->output_norm = (struct tensor){.rows = 1, .cols = m->n_embd};
    m->layers = arena_zalloc(&m->arena, (size_t)m->n_layer * sizeof *m->layers);
    for (int i = 0; i < m->n_layer; i++) {
        struct layer *layer = &m->layers[i];
        layer->attention_norm = layer->feed_forward_norm = m->output_norm;
        for (int s = 0; s < N_SITES; s++) {
            layer->linear[s] = (struct tensor){.rows = sites[s].out(m), .cols = sites[s].in(m)};
            if (m->biased[s])
                layer->bias[s] = (struct tensor){.rows = 1, .cols = sites[s].out(m)};
        }
    }
    for (int i = 0; i < model_weight_count(m); i++)
        m->n_parameters += tensor_size(model_weight(m, i));
}

static enum status fill_shape(struct model *m, const struct gguf *gguf, struct error *err)
{
    enum status status = read_outline(gguf, m, err);
    if (status != OK)
        return status;
    const struct gguf_tensor *embedding = gguf_tensor(gguf, "token_embd.weight");
    if (!embedding || embedding->rows > MOST_WIDTH * 16)
        return error_set(err, BAD_MODEL,
                         "%s: there is no tensor token_embd.weight to tell its "
                         "vocabulary from; the file is no language model",
                         gguf_path(gguf));
    m->n_vocab = (int)embedding->rows;
    shape_tensors(m, !gguf_tensor(gguf, "output.weight"));
    count_bytes(gguf, m);
    return OK;
}

enum status model_load_shape(struct model **model, const char *path, struct error *err)
{
    struct gguf *gguf;
    *model = NULL;
    enum status status = gguf_open(&gguf, path, err);
    if (status != OK)
        return status;
    struct model *m = new_model(WEIGHTS_EXPANDED);
    status = fill_shape(m, gguf, err);
    gguf_free(gguf);
    if (status != OK) {
        model_free(m);
        m = NULL;
    }
    *model = m;
    return status;
}

/* Sizes that are usual in the llama family, as their papers and model cards give them. */
static const struct usual {
    double parameters;
    int n_layer, n_embd, n_ff, n_head, n_head_kv, n_vocab;
} usual[] = {
    {0.135e9, 30, 576, 1536, 9, 3, 49152},    {0.36e9, 32, 960, 2560, 15, 5, 49152},
    {1.1e9, 22, 2048, 5632, 32, 4, 32000},    {3.2e9, 28, 3072, 8192, 24, 8, 128256},
    {6.7e9, 32, 4096, 11008, 32, 32, 32000},  {13e9, 40, 5120, 13824, 40, 40, 32000},
    {32.5e9, 60, 6656, 17920, 52, 52, 32000}, {69e9, 80, 8192, 28672, 64, 8, 32000},
};

static const struct usual *nearest_usual(double parameters)
{
    const struct usual *best = &usual[0];
    for (size_t i = 1; i < sizeof usual / sizeof *usual; i++)
        if (fabs(log(usual[i].parameters / parameters)) < fabs(log(best->parameters / parameters)))
            best = &usual[i];
    return best;
}

static int multiple_of(double value, int of)
{
    int most = MOST_WIDTH / 2 / of;
    double count = floor(value / of + 0.5);
    if (count < 1)
        return of;
    return count > most ? most * of : (int)count * of;
}

/* The feed-forward width takes up what is left of the parameters. */
static void fit_feed_forward(struct model *m, double parameters)
{
    double attention = 0;
    for (int s = SITE_Q; s <= SITE_O; s++)
        attention += (double)sites[s].out(m) * sites[s].in(m);
    double layers = parameters - (double)m->n_vocab * m->n_embd;
    double left = layers / m->n_layer - attention;
    m->n_ff = multiple_of(left / (3.0 * m->n_embd), 8);
}

struct model *model_sketch(const struct model_numbers *numbers)
{
    const struct usual *like = nearest_usual(numbers->parameters);
    double scale = cbrt(numbers->parameters / like->parameters);
    struct model *m = new_model(WEIGHTS_EXPANDED);
    m->name = arena_strdup(&m->arena, "");
    m->path = arena_strdup(&m->arena, "");
    m->head_dim = like->n_embd / like->n_head;
    m->n_embd = multiple_of(numbers->n_embd ? numbers->n_embd : like->n_embd * scale, m->head_dim);
    m->n_rotated = m->head_dim;
    m->n_head = m->n_embd / m->head_dim;
    m->n_head_kv = multiple_of((double)m->n_head * like->n_head_kv / like->n_head, 1);
    m->n_layer = numbers->n_layer ? numbers->n_layer : multiple_of(like->n_layer * scale, 1);
    m->n_context = numbers->context;
    m->n_vocab = like->n_vocab;
    while (m->n_vocab > 256 && (double)m->n_vocab * m->n_embd > 0.3 * numbers->parameters)
        m->n_vocab /= 2; /* a very small model has fewer tokens */
    fit_feed_forward(m, numbers->parameters);
    shape_tensors(m, true);
    m->n_parameters = (size_t)numbers->parameters;
    m->form_bytes[WEIGHTS_EXPANDED] = m->form_bytes[WEIGHTS_PACKED] =
        m->n_parameters * sizeof(real);
    return m;
}

void model_free(struct model *model)
{
    if (!model)
        return;
    tokenizer_free(model->tokenizer);
    arena_release(&model->values);
    arena_release(&model->arena);
    free(model);
}
