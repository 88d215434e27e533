/* SPDX-License-Identifier: Apache-2.0
 *
 * Prompt tables: whatever the bytes in front of a fitting digest, an error with a sentence, or a
 * table that is written as it was read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "techniques/prompt_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void insist(int condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct text whole = {0}, again = {0};
    struct prompt_table table;
    struct error err;
    char digest[HASH_HEX];
    text_append(&whole, "PROMPTS1", 8); /* the fuzzer need not find that */
    text_append(&whole, (const char *)bytes, size);
    insist(hash_bytes(whole.bytes, whole.length, digest, &err) == OK);
    text_append(&whole, digest, HASH_HEX - 1);
    if (prompt_table_read(&table, "f", whole.bytes, whole.length, &err) == OK) {
        insist(prompt_table_write(&table, &again, &err) == OK);
        insist(again.length == whole.length);
        insist(memcmp(again.bytes, whole.bytes, whole.length) == 0);
        prompt_table_release(&table);
    } else {
        insist(err.status == BAD_MODEL && strlen(err.text) > 0);
    }
    text_release(&whole);
    text_release(&again);
    return 0;
}
