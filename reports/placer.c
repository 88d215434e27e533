/* SPDX-License-Identifier: Apache-2.0
 *
 * Where labels go; declared in reports/svg.h.
 */
#include <math.h>
#include <stdbool.h>

#include "reports/svg.h"

void placer_block(struct placer *placer, struct box box, double weight)
{
    if (placer->count == MOST_BOXES)
        return;
    placer->boxes[placer->count] = box;
    placer->weights[placer->count++] = weight;
}

static double overlap(const struct box *a, const struct box *b)
{
    double width = fmin(a->x + a->width, b->x + b->width) - fmax(a->x, b->x);
    double height = fmin(a->y + a->height, b->y + b->height) - fmax(a->y, b->y);
    return width > 0 && height > 0 ? width * height : 0;
}

static bool inside(const struct box *box, const struct box *bounds)
{
    return box->x >= bounds->x && box->y >= bounds->y &&
           box->x + box->width <= bounds->x + bounds->width &&
           box->y + box->height <= bounds->y + bounds->height;
}

static double badness(const struct placer *placer, const struct box *box)
{
    double sum = inside(box, &placer->bounds) ? 0 : 1e6;
    for (size_t i = 0; i < placer->count; i++)
        sum += placer->weights[i] * overlap(box, &placer->boxes[i]);
    return sum;
}

/* A label beside, above or below a mark, `distance` from it in direction (dx, dy). */
static struct box beside(struct point mark, double distance, double width, double dx, double dy)
{
    const double height = SVG_LETTER_HEIGHT + 2;
    struct box box = {.width = width, .height = height};
    box.x = mark.x + dx * distance + (dx < 0 ? -width : dx > 0 ? 0 : -width / 2);
    box.y = mark.y + dy * distance - height / 2 + (dx == 0 ? dy * height / 2 : 0);
    return box;
}

struct box placer_find(struct placer *placer, struct point mark, double radius, double width)
{
    static const struct point directions[] = {{1, 0},     {-1, 0},   {1, -0.8},  {1, 0.8},
                                              {-1, -0.8}, {-1, 0.8}, {0, -1},    {0, 1},
                                              {0.5, -1},  {0.5, 1},  {-0.5, -1}, {-0.5, 1}};
    static const double distances[] = {4, 10, 18, 28, 40, 56, 76, 100};
    struct box best = {0};
    double least = INFINITY;
    for (size_t d = 0; d < sizeof distances / sizeof *distances; d++) {
        for (size_t i = 0; i < sizeof directions / sizeof *directions; i++) {
            struct box box =
                beside(mark, radius + distances[d], width, directions[i].x, directions[i].y);
            double cost = badness(placer, &box) + 0.8 * distances[d] + 0.4 * (double)i;
            if (cost < least) {
                least = cost;
                best = box;
            }
        }
    }
    placer_block(placer, best, 40);
    return best;
}

/* Pushes to one side, then back from the other end: with few labels this is as good as optimal. */
void spread(double *positions, size_t count, double gap, double low, double high)
{
    if (!count)
        return;
    if (gap * (double)(count - 1) > high - low)
        gap = count > 1 ? (high - low) / (double)(count - 1) : gap;
    for (int round = 0; round < 60; round++)
        for (size_t i = 0; i + 1 < count; i++) {
            double missing = gap - (positions[i + 1] - positions[i]);
            if (missing > 0) {
                positions[i] -= missing / 2;
                positions[i + 1] += missing / 2;
            }
        }
    for (size_t i = 0; i < count; i++)
        positions[i] = fmax(positions[i], i ? positions[i - 1] + gap : low);
    for (size_t i = count; i--;)
        positions[i] = fmin(positions[i], i + 1 < count ? positions[i + 1] - gap : high);
}
