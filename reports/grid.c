/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/grid.h"

#include <stdlib.h>

#include "base/memory.h"
#include "reports/plain.h"

enum { INDENT = 2, NAME_COLUMN = 1, LEAST_NAME = 6 };

void grid_init(struct grid *grid, const struct grid_column *columns, size_t column_count,
               size_t row_count)
{
    *grid = (struct grid){.columns = columns, .column_count = column_count, .row_count = row_count};
    grid->cells = memory_zalloc((row_count * column_count + 1) * sizeof *grid->cells);
}

struct text *grid_cell(const struct grid *grid, size_t row, size_t column)
{
    return &grid->cells[row * grid->column_count + column];
}

void grid_release(struct grid *grid)
{
    for (size_t i = 0; i < grid->row_count * grid->column_count; i++)
        text_release(&grid->cells[i]);
    free(grid->cells);
    *grid = (struct grid){0};
}

/* How the table is laid out. */
struct layout {
    int *widths; /* (columns) */
    size_t shown;
    int gap;
};

static int width_of(const struct grid *grid, size_t column)
{
    int widest = utf8_columns(grid->columns[column].title);
    for (size_t row = 0; row < grid->row_count; row++) {
        struct text plain = {0};
        plain_add(&plain, text_string(grid_cell(grid, row, column)));
        int width = utf8_columns(text_string(&plain));
        widest = width > widest ? width : widest;
        text_release(&plain);
    }
    return widest;
}

static int line_width(const struct layout *layout)
{
    int width = INDENT;
    for (size_t i = 0; i < layout->shown; i++)
        width += layout->widths[i] + (i ? layout->gap : 0);
    return width;
}

static struct layout lay_out(const struct grid *grid, int width)
{
    struct layout layout = {.shown = grid->column_count, .gap = 2};
    layout.widths = memory_alloc(grid->column_count * sizeof *layout.widths);
    for (size_t i = 0; i < grid->column_count; i++)
        layout.widths[i] = width_of(grid, i);
    if (line_width(&layout) > width)
        layout.gap = 1;
    while (line_width(&layout) > width && layout.shown > NAME_COLUMN + 2)
        layout.shown--;
    while (line_width(&layout) > width && layout.widths[NAME_COLUMN] > LEAST_NAME)
        layout.widths[NAME_COLUMN]--;
    return layout;
}

static void write_cell(const struct grid_column *column, const char *string, int width, bool last,
                       struct text *out)
{
    struct text cell = {0};
    int used = plain_cut(&cell, string, width);
    text_repeat(out, " ", column->right ? width - used : 0);
    text_add(out, text_string(&cell));
    text_repeat(out, " ", column->right || last ? 0 : width - used);
    text_release(&cell);
}

/* `row` is row_count for the titles. */
static void write_line(const struct grid *grid, const struct layout *layout, size_t row,
                       const char *color, struct text *out)
{
    text_add(out, color);
    text_repeat(out, " ", INDENT);
    for (size_t i = 0; i < layout->shown; i++) {
        const char *string =
            row == grid->row_count ? grid->columns[i].title : text_string(grid_cell(grid, row, i));
        text_repeat(out, " ", i ? layout->gap : 0);
        write_cell(&grid->columns[i], string, layout->widths[i], i + 1 == layout->shown, out);
    }
    text_add(out, *color ? "\033[0m\n" : "\n");
}

void grid_write(const struct grid *grid, int width, bool color, size_t chosen, struct text *out)
{
    struct layout layout = lay_out(grid, width);
    write_line(grid, &layout, grid->row_count, color ? "\033[2m" : "", out);
    for (size_t row = 0; row < grid->row_count; row++)
        write_line(grid, &layout, row, color && row == chosen ? "\033[1m" : "", out);
    free(layout.widths);
}
