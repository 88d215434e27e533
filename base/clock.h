/* SPDX-License-Identifier: Apache-2.0
 *
 * Time: durations on a clock that never jumps, and one reason to stop early.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <signal.h>
#include <stdint.h>

#include "base/error.h"

double clock_seconds(void);  /* monotonic, from an arbitrary start */
int64_t clock_unix_ms(void); /* wall clock, milliseconds since 1970 */

/* When long work has to stop. Checked between micro-batches. */
struct deadline {
    double at;                           /* on the clock of clock_seconds; 0 = never */
    const volatile sig_atomic_t *signal; /* nonzero once the user interrupted; may be NULL */
};

/* OK, OUT_OF_TIME or INTERRUPTED (with a sentence in `err`). `deadline` may be NULL. */
enum status deadline_check(const struct deadline *deadline, struct error *err);

#endif
