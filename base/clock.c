/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"

#include <time.h>

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int64_t clock_unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum status deadline_check(const struct deadline *deadline, struct error *err)
{
    if (!deadline)
        return OK;
    if (deadline->signal && *deadline->signal)
        return error_set(err, INTERRUPTED, "interrupted by the user");
    if (deadline->at > 0 && clock_seconds() >= deadline->at)
        return error_set(err, OUT_OF_TIME, "the time budget is used up");
    return OK;
}
