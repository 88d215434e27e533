/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling weights from a GGUF file on several threads.
 *
 * First everything that is wanted is noted with the memory it goes to, then it is read, in portions
 * of a few megabytes. What is read, and which error is told (that of the first tensor noted), does
 * not depend on the number of threads.
 */
#ifndef MODEL_READING_H
#define MODEL_READING_H

#include "base/error.h"
#include "model/gguf.h"
#include "model/real.h"

struct reading {
    const struct gguf *gguf;
    struct portion *portions;
    size_t count, capacity;
};

/* Notes a tensor whose rows * ne[0] values go to `out` as `real`. */
void reading_add_values(struct reading *reading, const struct gguf_tensor *tensor, real *out);

/* Notes a tensor whose `bytes` bytes go to `out` as the file has them; its values are checked, too.
 */
void reading_add_blocks(struct reading *reading, const struct gguf_tensor *tensor,
                        unsigned char *out);

/* Reads all that was noted, and the SHA-256 of the whole file where `sha256` (of HASH_HEX bytes) is
 * not NULL. `threads` >= 1. Errors: those of gguf_expand and hash_file. */
enum status reading_run(const struct reading *reading, int threads, char *sha256,
                        struct error *err);

void reading_release(struct reading *reading);

#endif
