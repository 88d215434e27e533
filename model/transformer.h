/* SPDX-License-Identifier: Apache-2.0
 *
 * The language model: a decoder-only transformer read from a GGUF file, written once with the
 * operators of operators.h, with named sites where a technique can attach trainable parts.
 */
#ifndef MODEL_TRANSFORMER_H
#define MODEL_TRANSFORMER_H

#include "base/error.h"
#include "model/layout.h"
#include "model/operators.h"
#include "model/tape.h"

struct gguf;
struct tokenizer;

/* The linear projections of a layer, in the order of the files. */
enum site { SITE_Q, SITE_K, SITE_V, SITE_O, SITE_GATE, SITE_UP, SITE_DOWN, N_SITES };

/* The two residual branches of a layer. */
enum branch { BRANCH_ATTENTION, BRANCH_FEED_FORWARD };

struct site_name {
    const char *peft;   /* "q_proj": what users write in target_modules */
    const char *module; /* "self_attn.q_proj": its path within a Hugging Face layer */
    const char *gguf;   /* "attn_q": its tensor within "blk.N." */
};

const struct site_name *site_name(enum site site);

struct layer {
    struct tensor attention_norm, feed_forward_norm; /* (1, n_embd) */
    struct tensor linear[N_SITES];                   /* (out, in) */
    struct tensor bias[N_SITES];                     /* (1, out) where the model has biases */
};

/* How the weights are held in memory; results are the same bytes either way. Norms are always
 * expanded. */
enum weight_form {
    WEIGHTS_EXPANDED, /* as `real` */
    WEIGHTS_PACKED    /* as the file has them, expanded for each product (model/weight.h) */
};

struct model {
    char *path, *name;
    char sha256[65];
    int n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_context;
    int n_rotated; /* features of a head that rotate */
    enum rope_pairs rope_pairs;
    bool biased[N_SITES]; /* whether the projections of a kind have a bias; alike in all layers */
    double epsilon, rope_base;
    double *rope_frequencies;  /* (n_rotated / 2) */
    struct tensor embedding;   /* (n_vocab, n_embd) */
    struct tensor output_norm; /* (1, n_embd) */
    struct tensor output;      /* (n_vocab, n_embd); shares the embedding's data when tied */
    struct layer *layers;      /* (n_layer) */
    struct tokenizer *tokenizer;
    const struct chat_format *chat;
    size_t n_parameters;
    enum weight_form form;
    size_t form_bytes[2]; /* what the weights take in each form; of a sketch both as `real` */
    size_t bytes;         /* memory that all of this takes now */
    struct arena values;  /* of the weights */
    struct arena arena;   /* everything above but the tokenizer */
};

/* Reads a model; every weight is expanded to `real`, on one thread. Errors: BAD_MODEL with file,
 * place, what was expected and found; FAILED when memory is short. `*model` is NULL after an error.
 */
enum status model_load(struct model **model, const char *path, struct error *err);

/* The same in either form, on `threads` >= 1 threads; their number changes nothing in the model. */
enum status model_load_as(struct model **model, const char *path, enum weight_form form,
                          int threads, struct error *err);

/* Holds the weights of a model that was read from a file in another form from now on, reading the
 * file again. No engine may be at work with it. BAD_MODEL when it is not the same file any more,
 * and the model can only be freed then. */
enum status model_hold(struct model *model, enum weight_form form, int threads, struct error *err);
enum status model_from_gguf(struct model **model, const struct gguf *gguf, struct error *err);
void model_free(struct model *model); /* NULL is fine */

/* ---- Shapes without weights, for arithmetic ---- */

/* What decides a model's size; a number that is 0 takes what is usual at this size. */
struct model_numbers {
    double parameters; /* needed, > 0 */
    int context;
    int n_layer, n_embd;
};

/* A model whose tensors have rows and columns but no values: good for counting, for nothing else.
 * n_parameters is the number asked for, which the tensors meet nearly; layers, widths and heads are
 * those of the llama family at this size. Release with model_free. */
struct model *model_sketch(const struct model_numbers *numbers);

/* The same for a file, from its header alone: nothing but the shape, the name and the count of
 * parameters, exactly. Errors as model_load, `*model` is NULL after one. */
enum status model_load_shape(struct model **model, const char *path, struct error *err);

/* The weights of a model by number: 0 is the embedding, 1 the output norm, 2 the output head unless
 * it is tied to the embedding; then come, layer by layer, the two norms, the projections in the
 * order of enum site, and in the same order their biases where there are any. Both ways take
 * constant time. */
int model_weight_count(const struct model *model);
const struct tensor *model_weight(const struct model *model, int number);

/* `weight` must be one of the model's; a tied output head has the number of the embedding. */
int model_weight_number(const struct model *model, const struct tensor *weight);

enum { WEIGHT_NAME_BYTES = 64 };

/* The name of a weight in a GGUF file, "blk.0.attn_q.weight" or "blk.0.attn_q.bias". */
void model_weight_name(const struct model *model, int number, char name[WEIGHT_NAME_BYTES]);

/* How many biases each layer has; 0 with most models of the llama architecture. */
int model_bias_count(const struct model *model);

struct pass;
struct tap;

/* What a technique adds to a pass. Every hook may be NULL; each gets `pass`, whose `self` and
 * `parameters` are the technique's own, and but for `low_rank` and `past` returns what takes the
 * place of what it was given. */
struct attachment {
    /* The input x of a linear site (IA3 on down_proj). */
    struct tensor *(*linear_input)(struct pass *pass, int layer, enum site site, struct tensor *x);
    /* What is added to the weight of a linear site; false: nothing (LoRA). */
    bool (*low_rank)(struct pass *pass, int layer, enum site site, struct low_rank *low);
    /* The output y = x w^T, with its bias, of a linear site, which may be changed in place (IA3,
     * DoRA). */
    struct tensor *(*linear)(struct pass *pass, int layer, enum site site, struct tensor *x,
                             struct tensor *y);
    /* The output y of a branch before it is added to the residual stream; x is the normalised input
     * of the branch (adapters). */
    struct tensor *(*branch)(struct pass *pass, int layer, enum branch branch, struct tensor *x,
                             struct tensor *y);
    /* Keys and values that every token of a layer sees first, (n, n_head_kv * head_dim), after
     * rotation (prefix tuning). */
    void (*past)(struct pass *pass, int layer, struct tensor **keys, struct tensor **values);
    /* Rows for the virtual tokens of the layout, (n, n_embd) (prompt and p-tuning). Not asked when
     * the layout has none, as behind a cached prompt. */
    struct tensor *(*virtual_tokens)(struct pass *pass);
    /* What stands in for a frozen weight, which is one of pass->model's: model_weight_number tells
     * which (full fine-tuning, norm tuning, BitFit). */
    struct tensor *(*weight)(struct pass *pass, struct tensor *weight);
};

/* One run of the model over one packed batch. */
struct pass {
    const struct model *model;
    struct tape *tape;
    const struct layout *layout;
    const struct attachment *attachment; /* or NULL: the bare model */
    const void *self;                    /* the technique's state, read-only */
    struct tensor *parameters;           /* the technique's parameters, seen by this worker */
    bool recompute; /* keep only the input of each layer, and run the layer again on the way back
                       (Chen et al. 2016): a fraction of the memory for a third more time */
    const struct tap *tap; /* or NULL */
};

/* Looks on: is shown what the residual stream of every row holds behind each layer, 1 .. n_layer -
 * 1, in a pass whose tape does not record. */
struct tap {
    void (*see)(void *context, int layer, const struct tensor *states); /* (rows, n_embd) */
    void *context;
};

/* Runs the model and returns the normalised state of the scored rows, (n_scored, n_embd), ready for
 * the output head. In a tape that does not record, each layer's memory is reused by the next.
 * Segments with `capture` are appended to their cache, which must have room; its length has grown
 * when this returns. With nothing scored, the pass ends after the last layer's keys and values and
 * the result is NULL. */
struct tensor *transformer_forward(struct pass *pass);

/* The output head's weight, (n_vocab, n_embd), as this pass sees it. */
struct tensor *transformer_head(struct pass *pass);

/* A cache for up to `capacity` rows behind `parent` (or NULL). Released with its arena. */
struct cache *cache_create(struct arena *arena, const struct model *model,
                           const struct cache *parent, int capacity);

#endif
