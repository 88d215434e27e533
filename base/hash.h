/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes: SHA-256 to name the exact bytes of a model or a dataset, and a quick one for tables in
 * memory.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { HASH_HEX = 65 }; /* 64 hexadecimal digits and the terminator */

/* SHA-256 in lower-case hexadecimal digits. FAILED when the file cannot be read. */
enum status hash_file(const char *path, char hex[HASH_HEX], struct error *err);
enum status hash_bytes(const void *bytes, size_t size, char hex[HASH_HEX], struct error *err);

/* The same piece by piece: begin, any number of updates, then finish, which also releases it (`hex`
 * NULL: only that). A failure in between is kept and told by finish. */
struct hasher {
    void *state; /* of the library; NULL before begin and after finish */
    bool failed;
};

void hasher_begin(struct hasher *hasher);
void hasher_update(struct hasher *hasher, const void *bytes, size_t size);
enum status hasher_finish(struct hasher *hasher, char *hex, struct error *err);

/* Spreads a key over 64 bits; for tables in memory only, as it withstands no attack. */
uint64_t hash_quick(const void *bytes, size_t size);
uint64_t hash_quick_u64(uint64_t key);

/* Slots of a table with room for `entries` at a load of at most one half: a power of two. */
size_t hash_table_size(size_t entries);

#endif
