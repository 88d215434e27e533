/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: runs a command and tells how it went.
 */
#include <stdio.h>

#include "advisor/command.h"
#include "advisor/interrupt.h"
#include "base/error.h"
#include "base/text.h"
#include "reports/plain.h"

static void print_error(const struct error *err)
{
    struct text line = {0};
    plain_add(&line, err->text); /* it may quote the user's data */
    fprintf(stderr, "advisor: %s\n", text_string(&line));
    text_release(&line);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    interrupt_install();
    enum status status = command_dispatch(argc, argv, &err);
    if (status != OK && *err.text)
        print_error(&err);
    return status == OUT_OF_TIME ? FAILED : status;
}
