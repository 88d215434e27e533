/* SPDX-License-Identifier: Apache-2.0
 *
 * A model of a published shape with random weights, for measuring what a real one of its size would
 * take: memory and time depend on the shape alone.
 */
#ifndef TESTS_BENCH_MADE_MODEL_H
#define TESTS_BENCH_MADE_MODEL_H

struct made_shape {
    const char *name;
    int n_layer, n_embd, n_head, n_head_kv, n_ff, n_vocab, n_context;
    double rope_base;
};

/* Llama 3.2 1B, as its model card and configuration give it: 1.24e9 parameters, of which the output
 * head shares those of the embedding. */
extern const struct made_shape llama_1b;

/* As narrow as can be: next to nothing in it is a matrix product, so that what else grows with the
 * work shows. */
extern const struct made_shape narrow;

/* Writes a GGUF file of the llama architecture: matrices in Q4_1, the embedding in Q8_0, norms in
 * F32. Weights are uniform with a standard deviation of 0.02, which keeps every activation finite.
 * The tokenizer is that of the file `tokenizer`, with tokens that no text becomes up to the size of
 * the vocabulary. Ends the program when a file cannot be read or written. Returns the number of
 * parameters. */
double made_model_write(const char *path, const struct made_shape *shape, const char *tokenizer);

#endif
