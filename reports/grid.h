/* SPDX-License-Identifier: Apache-2.0
 *
 * A table on a terminal: columns as wide as their widest cell, two spaces apart, or one where the
 * line would be too long, and without the last columns where even that does not help.
 */
#ifndef REPORTS_GRID_H
#define REPORTS_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct grid_column {
    const char *title;
    bool right; /* aligned to the right, as numbers are */
};

struct grid {
    const struct grid_column *columns; /* not owned */
    size_t column_count, row_count;
    struct text *cells; /* (rows, columns) */
};

void grid_init(struct grid *grid, const struct grid_column *columns, size_t column_count,
               size_t row_count);
struct text *grid_cell(const struct grid *grid, size_t row, size_t column);
void grid_release(struct grid *grid);

/* Appends the titles and the rows, each line indented by two and at most `width` columns long;
 * what no line can hold is cut in the second column. Texts go through plain_cut. `color`: titles
 * dim, row `chosen` bold (pass row_count for none). */
void grid_write(const struct grid *grid, int width, bool color, size_t chosen, struct text *out);

#endif
