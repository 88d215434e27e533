/* SPDX-License-Identifier: Apache-2.0
 *
 * Ctrl-C: the first one asks the work to stop and save, the second one ends the program at once.
 */
#ifndef ADVISOR_INTERRUPT_H
#define ADVISOR_INTERRUPT_H

#include <signal.h>

/* SIGINT and SIGTERM set the flag; the second SIGINT ends the process with status 130. SIGPIPE is
 * ignored, so that a reader that goes away is an ordinary write error. */
void interrupt_install(void);

/* 0 until the first signal, then its number. For struct deadline and struct progress. */
const volatile sig_atomic_t *interrupt_flag(void);

#endif
