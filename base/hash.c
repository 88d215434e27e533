/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { READ_BYTES = 1 << 20 };

static enum status library_error(struct error *err)
{
    return error_set(err, FAILED, "SHA-256: the OpenSSL library refused to compute it");
}

static enum status digest_to_hex(EVP_MD_CTX *context, char hex[HASH_HEX], struct error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(context, digest, &length) != 1 || length != (HASH_HEX - 1) / 2)
        return library_error(err);
    for (unsigned i = 0; i < length; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", digest[i]);
    return OK;
}

enum status hash_bytes(const void *bytes, size_t size, char hex[HASH_HEX], struct error *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    enum status status = OK;
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 ||
        (size && EVP_DigestUpdate(context, bytes, size) != 1))
        status = library_error(err);
    else
        status = digest_to_hex(context, hex, err);
    EVP_MD_CTX_free(context);
    return status;
}

static enum status update_from_file(EVP_MD_CTX *context, FILE *file, const char *path,
                                    struct error *err)
{
    enum status status = OK;
    unsigned char *buffer = memory_alloc(READ_BYTES);
    size_t length;
    while (!status && (length = fread(buffer, 1, READ_BYTES, file)) > 0)
        if (EVP_DigestUpdate(context, buffer, length) != 1)
            status = library_error(err);
    if (!status && ferror(file))
        status = error_set(err, FAILED, "%s: cannot read: %s", path, strerror(errno));
    free(buffer);
    return status;
}

enum status hash_file(const char *path, char hex[HASH_HEX], struct error *err)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(err, FAILED, "%s: cannot open: %s", path, strerror(errno));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    enum status status = OK;
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        status = library_error(err);
    if (!status)
        status = update_from_file(context, file, path, err);
    if (!status)
        status = digest_to_hex(context, hex, err);
    EVP_MD_CTX_free(context);
    fclose(file);
    return status;
}

void hasher_begin(struct hasher *hasher)
{
    hasher->state = EVP_MD_CTX_new();
    hasher->failed = !hasher->state || EVP_DigestInit_ex(hasher->state, EVP_sha256(), NULL) != 1;
}

void hasher_update(struct hasher *hasher, const void *bytes, size_t size)
{
    if (!hasher->failed && size && EVP_DigestUpdate(hasher->state, bytes, size) != 1)
        hasher->failed = true;
}

enum status hasher_finish(struct hasher *hasher, char *hex, struct error *err)
{
    enum status status = OK;
    if (hex)
        status = hasher->failed ? library_error(err) : digest_to_hex(hasher->state, hex, err);
    EVP_MD_CTX_free(hasher->state);
    *hasher = (struct hasher){0};
    return status;
}

/* The finisher of SplitMix64. */
uint64_t hash_quick_u64(uint64_t key)
{
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9u;
    key = (key ^ key >> 27) * 0x94D049BB133111EBu;
    return key ^ key >> 31;
}

uint64_t hash_quick(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t hash = hash_quick_u64(size + 0x9E3779B97F4A7C15u);
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        hash = hash_quick_u64(hash ^ word);
    }
    uint64_t rest = 0;
    if (size)
        memcpy(&rest, at, size);
    return hash_quick_u64(hash ^ rest);
}

size_t hash_table_size(size_t entries)
{
    size_t size = 16;
    while (size < 2 * entries)
        size *= 2;
    return size;
}
