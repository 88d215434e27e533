/* SPDX-License-Identifier: Apache-2.0 */
#include "model/reading.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/pool.h"

enum { PORTION_VALUES = 1 << 20 };

/* Some rows of a tensor and where they go, in one form or the other. */
struct portion {
    const struct gguf_tensor *tensor;
    int64_t first, rows;
    real *values;
    unsigned char *blocks; /* NULL: as values */
};

static void add_portion(struct reading *reading, const struct portion *portion)
{
    if (reading->count == reading->capacity) {
        reading->capacity = reading->capacity ? 2 * reading->capacity : 256;
        reading->portions =
            memory_realloc(reading->portions, reading->capacity * sizeof *reading->portions);
    }
    reading->portions[reading->count++] = *portion;
}

static int64_t rows_at_once(const struct gguf_tensor *tensor)
{
    return tensor->ne[0] < PORTION_VALUES ? PORTION_VALUES / tensor->ne[0] : 1;
}

void reading_add_values(struct reading *reading, const struct gguf_tensor *tensor, real *out)
{
    const int64_t most = rows_at_once(tensor);
    for (int64_t row = 0; row < tensor->rows; row += most) {
        int64_t rows = tensor->rows - row < most ? tensor->rows - row : most;
        struct portion portion = {tensor, row, rows, out + row * tensor->ne[0], NULL};
        add_portion(reading, &portion);
    }
}

void reading_add_blocks(struct reading *reading, const struct gguf_tensor *tensor,
                        unsigned char *out)
{
    const int64_t most = rows_at_once(tensor);
    for (int64_t row = 0; row < tensor->rows; row += most) {
        int64_t rows = tensor->rows - row < most ? tensor->rows - row : most;
        struct portion portion = {tensor, row, rows, NULL, out + (uint64_t)row * tensor->row_bytes};
        add_portion(reading, &portion);
    }
}

#ifdef ADVISOR_DOUBLE
static enum status expand(const struct gguf *gguf, const struct portion *portion, struct error *err)
{
    const int64_t columns = portion->tensor->ne[0];
    float *row = memory_alloc((size_t)columns * sizeof *row);
    enum status status = OK;
    for (int64_t r = 0; r < portion->rows && status == OK; r++) {
        status = gguf_expand(gguf, portion->tensor, portion->first + r, 1, row, err);
        for (int64_t c = 0; c < columns && status == OK; c++)
            portion->values[r * columns + c] = row[c];
    }
    free(row);
    return status;
}
#else
static enum status expand(const struct gguf *gguf, const struct portion *portion, struct error *err)
{
    return gguf_expand(gguf, portion->tensor, portion->first, portion->rows, portion->values, err);
}
#endif

static enum status read_portion(const struct gguf *gguf, const struct portion *portion,
                                struct error *err)
{
    if (!portion->blocks)
        return expand(gguf, portion, err);
    enum status status =
        gguf_read(gguf, portion->tensor, portion->first, portion->rows, portion->blocks, err);
    return status == OK
               ? gguf_expand(gguf, portion->tensor, portion->first, portion->rows, NULL, err)
               : status;
}

struct job {
    const struct reading *reading;
    char *sha256;
};

/* The hash cannot be cut into pieces, so it comes first and the portions fill up the other threads.
 */
static enum status run_task(void *context, size_t task, int worker, struct error *err)
{
    (void)worker;
    const struct job *job = context;
    const struct reading *reading = job->reading;
    if (job->sha256 && task == 0)
        return hash_file(gguf_path(reading->gguf), job->sha256, err);
    return read_portion(reading->gguf, &reading->portions[task - (job->sha256 ? 1 : 0)], err);
}

enum status reading_run(const struct reading *reading, int threads, char *sha256, struct error *err)
{
    struct job job = {reading, sha256};
    struct pool *pool = pool_create(threads);
    enum status status = pool_run(pool, reading->count + (sha256 ? 1 : 0), run_task, &job, err);
    pool_free(pool);
    return status;
}

void reading_release(struct reading *reading)
{
    free(reading->portions);
    *reading = (struct reading){0};
}
