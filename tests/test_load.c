/* SPDX-License-Identifier: Apache-2.0
 *
 * From files to models: the biases that a file may have, must have and must not have, as its
 * architecture says; the files are the tiny models with some tensors more or less.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "model/gguf.h"
#include "model/gguf_write.h"
#include "tests/fixture.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define LLAMA       FIXTURES "tiny.gguf"
#define QWEN2       FIXTURES "tiny_qwen2.gguf"

enum { TYPE_F32 = 0, MOST_ADDED = 14, MOST_VALUES = 512, TOKENS = 6 };

/* A vector that the file shall have, too; value i is (1 + i % 5) * scale. */
struct vector {
    const char *name;
    int size;
    float scale;
};

/* What becomes of a file. */
struct edit {
    const char *without;       /* a tensor or a pair that is left out, or NULL */
    const char *architecture;  /* another one, or NULL */
    const struct vector *more; /* ended by a row without a name, or NULL */
};

static enum status sink(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)err;
    text_append(context, bytes, length);
    return OK;
}

static bool is_left_out(const struct edit *edit, const char *name)
{
    return edit->without && !strcmp(edit->without, name);
}

static void copy_pairs(const struct gguf *from, const struct edit *edit, struct gguf_writer *writer)
{
    struct text pair = {0};
    struct error err;
    for (size_t i = 0; i < gguf_pair_count(from); i++) {
        const char *key = gguf_pair_key(from, i);
        if (is_left_out(edit, key))
            continue;
        if (edit->architecture && !strcmp(key, "general.architecture")) {
            gguf_writer_string(writer, key, edit->architecture);
            continue;
        }
        text_clear(&pair);
        assert_int_equal(gguf_pair_bytes(from, i, &pair, &err), OK);
        gguf_writer_pair(writer, pair.bytes, pair.length);
    }
    text_release(&pair);
}

static void declare_tensors(const struct gguf *from, const struct edit *edit,
                            struct gguf_writer *writer)
{
    for (size_t i = 0; i < gguf_tensor_count(from); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(from, i);
        if (!is_left_out(edit, t->name))
            gguf_writer_tensor(writer, t->name, t->n_dims, t->ne, t->type->id, t->bytes);
    }
    for (const struct vector *v = edit->more; v && v->name; v++)
        gguf_writer_tensor(writer, v->name, 1, (int64_t[]){v->size}, TYPE_F32,
                           (uint64_t)v->size * sizeof(float));
}

static float value_of(const struct vector *vector, int index)
{
    return vector->scale * (float)(1 + index % 5);
}

static void write_tensors(const struct gguf *from, const struct edit *edit,
                          struct gguf_writer *writer)
{
    struct error err;
    float values[MOST_VALUES];
    for (size_t i = 0; i < gguf_tensor_count(from); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(from, i);
        if (is_left_out(edit, t->name))
            continue;
        char *bytes = memory_alloc((size_t)t->bytes);
        assert_int_equal(gguf_read(from, t, 0, t->rows, bytes, &err), OK);
        assert_int_equal(gguf_writer_data(writer, bytes, (size_t)t->bytes, &err), OK);
        free(bytes);
    }
    for (const struct vector *v = edit->more; v && v->name; v++) {
        assert_in_range(v->size, 1, MOST_VALUES);
        for (int i = 0; i < v->size; i++)
            values[i] = value_of(v, i);
        assert_int_equal(gguf_writer_data(writer, values, (size_t)v->size * sizeof *values, &err),
                         OK);
    }
}

/* Loads what the file becomes. */
static enum status load_edited(const char *path, const struct edit *edit, struct model **model,
                               struct error *err)
{
    struct gguf *from, *to;
    struct text bytes = {0};
    struct gguf_writer writer = {.sink = sink, .context = &bytes};
    assert_int_equal(gguf_open(&from, path, err), OK);
    copy_pairs(from, edit, &writer);
    declare_tensors(from, edit, &writer);
    assert_int_equal(gguf_writer_begin(&writer, err), OK);
    write_tensors(from, edit, &writer);
    assert_int_equal(gguf_writer_end(&writer, err), OK);
    gguf_writer_release(&writer);
    assert_int_equal(gguf_from_bytes(&to, bytes.bytes, bytes.length, "edited", err), OK);
    enum status status = model_from_gguf(model, to, err);
    gguf_free(to);
    gguf_free(from);
    text_release(&bytes);
    return status;
}

/* ---- refused -------------------------------------------------------------------------------- */

static void refuses_what_it_cannot_run(void **state)
{
    (void)state;
    static const struct vector short_bias[] = {{"blk.0.attn_q.bias", 31, 1}, {0}};
    static const struct vector one_layer[] = {{"blk.1.attn_output.bias", 32, 1}, {0}};
    static const struct vector head[] = {{"output.bias", 319, 1}, {0}};
    static const struct {
        const char *path;
        struct edit edit;
        const char *says;
    } rows[] = {
        {QWEN2,
         {"blk.1.attn_k.bias", NULL, NULL},
         "tensor \"blk.1.attn_k.bias\" is missing (expected shape [16])"},
        {QWEN2,
         {"blk.0.attn_q.bias", NULL, short_bias},
         "tensor \"blk.0.attn_q.bias\" has shape [31]; the metadata say [32]"},
        {LLAMA,
         {NULL, NULL, one_layer},
         "tensor \"blk.0.attn_output.bias\" is missing (expected shape [32])"},
        {QWEN2, {NULL, NULL, head}, "the output head has a bias (output.bias)"},
        {LLAMA, {NULL, NULL, head}, "the output head has a bias (output.bias)"},
        {QWEN2,
         {"qwen2.attention.head_count", NULL, NULL},
         "the key \"qwen2.attention.head_count\" is missing"},
        {QWEN2,
         {"qwen2.attention.layer_norm_rms_epsilon", NULL, NULL},
         "the key \"qwen2.attention.layer_norm_rms_epsilon\" is missing"},
        {QWEN2, {NULL, "llama", NULL}, "the key \"llama.block_count\" is missing"},
        {LLAMA,
         {NULL, "qwen3", NULL},
         "architecture \"qwen3\" is not supported; expected llama or qwen2"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct model *model;
        struct error err = {.text = ""};
        assert_int_equal(load_edited(rows[i].path, &rows[i].edit, &model, &err), BAD_MODEL);
        assert_null(model);
        if (!strstr(err.text, rows[i].says))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.text, rows[i].says);
    }
}

/* ---- a llama model with biases --------------------------------------------------------------- */

static const struct vector all_biases[MOST_ADDED + 1] = {{"blk.0.attn_q.bias", 32, 0.1F},
                                                         {"blk.0.attn_k.bias", 16, 0.5F},
                                                         {"blk.0.attn_v.bias", 16, 0.2F},
                                                         {"blk.0.attn_output.bias", 32, 0.3F},
                                                         {"blk.0.ffn_gate.bias", 64, 0.05F},
                                                         {"blk.0.ffn_up.bias", 64, 0.1F},
                                                         {"blk.0.ffn_down.bias", 32, 0.7F},
                                                         {"blk.1.attn_q.bias", 32, -0.4F},
                                                         {"blk.1.attn_k.bias", 16, 0.2F},
                                                         {"blk.1.attn_v.bias", 16, 0.1F},
                                                         {"blk.1.attn_output.bias", 32, 1},
                                                         {"blk.1.ffn_gate.bias", 64, -0.1F},
                                                         {"blk.1.ffn_up.bias", 64, 0.3F},
                                                         {"blk.1.ffn_down.bias", 32, -0.2F},
                                                         {0}};

/* Adds to the output of a projection what the bias of `all_biases` would. */
static struct tensor *add_bias(struct pass *pass, int layer, enum site site, struct tensor *x,
                               struct tensor *y)
{
    (void)pass;
    (void)x;
    const struct vector *bias = &all_biases[layer * N_SITES + (int)site];
    for (int r = 0; r < y->rows; r++)
        for (int c = 0; c < y->cols; c++)
            y->data[(size_t)r * (size_t)y->cols + (size_t)c] += (real)value_of(bias, c);
    return y;
}

/* Logits behind each token, (TOKENS, n_vocab), in the tape's arena. */
static const real *logits_of(const struct model *model, const struct attachment *attachment,
                             struct tape *tape)
{
    static const int32_t tokens[TOKENS] = {1, 88, 300, 2, 318, 7};
    struct batch batch;
    batch_init(&batch);
    batch_add(&batch, -1, NULL, tokens, TOKENS, TOKENS);
    tape_start(tape, false);
    struct pass pass = {
        .model = model, .tape = tape, .layout = &batch.layout, .attachment = attachment};
    struct tensor *x = transformer_forward(&pass);
    return op_linear(tape, x, transformer_head(&pass), NULL)->data;
}

static void a_llama_file_may_have_any(void **state)
{
    (void)state;
    static const struct attachment biases = {.linear = add_bias};
    static const struct edit edit = {NULL, NULL, all_biases};
    struct model *plain = fixture_model(LLAMA), *biased;
    struct arena arena;
    struct tape tape;
    struct error err;
    if (load_edited(LLAMA, &edit, &biased, &err) != OK)
        fail_msg("%s", err.text);
    assert_int_equal(model_bias_count(plain), 0);
    assert_int_equal(model_bias_count(biased), N_SITES);
    assert_int_equal(biased->n_parameters - plain->n_parameters, 2 * (32 + 16 + 16 + 32 + 160));
    arena_init(&arena, NULL);
    tape_init(&tape, &arena, NULL);
    const real *found = logits_of(biased, NULL, &tape);
    const real *want = logits_of(plain, &biases, &tape), *without = logits_of(plain, NULL, &tape);
    double difference = 0, effect = 0;
    for (int i = 0; i < TOKENS * plain->n_vocab; i++) {
        difference = fmax(difference, fabs((double)(found[i] - want[i])));
        effect = fmax(effect, fabs((double)(found[i] - without[i])));
    }
    assert_true(difference < 1e-4 && effect > 1);
    tape_release(&tape);
    arena_release(&arena);
    model_free(biased);
    model_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_it_cannot_run),
        cmocka_unit_test(a_llama_file_may_have_any),
    };
    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
