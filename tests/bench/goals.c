/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* clock_gettime */
#include "tests/bench/goals.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void print(const char *figure, double value, const char *relation, double goal, bool met)
{
    printf("%s %.3g %s%g %s\n", figure, value, relation, goal, met ? "met" : "missed");
    fflush(stdout);
}

void goal_at_least(const char *figure, double value, double goal)
{
    print(figure, value, ">=", goal, value >= goal);
}

void goal_at_most(const char *figure, double value, double goal)
{
    print(figure, value, "<=", goal, value <= goal);
}

double processor_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

void must(enum status status, const struct error *err)
{
    if (status == OK)
        return;
    fprintf(stderr, "bench: %s\n", err->text);
    exit((int)status);
}
