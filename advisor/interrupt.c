/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "advisor/interrupt.h"

#include <stddef.h>
#include <unistd.h>

#include "base/error.h"

/* The one variable of the program that is not passed around: a signal handler has no argument. */
static volatile sig_atomic_t received;

static void note_signal(int number)
{
    if (received && number == SIGINT)
        _exit(INTERRUPTED); /* the study is safe on disk at any moment */
    received = number;
}

void interrupt_install(void)
{
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

const volatile sig_atomic_t *interrupt_flag(void)
{
    return &received;
}
