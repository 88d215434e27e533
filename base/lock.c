/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* flock */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the file that `descriptor` holds is still the one called `path`. */
static bool is_current(int descriptor, const char *path)
{
    struct stat held, named;
    return !fstat(descriptor, &held) && !stat(path, &named) && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

enum lock_outcome lock_try(const char *path, int *descriptor)
{
    for (;;) {
        int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        *descriptor = -1;
        if (file < 0)
            return LOCK_IMPOSSIBLE;
        bool taken = !flock(file, LOCK_EX | LOCK_NB);
        if (!taken && errno == EWOULDBLOCK) {
            close(file);
            return LOCK_BUSY;
        }
        if (!taken || is_current(file, path)) {
            *descriptor = file;
            return LOCK_TAKEN;
        }
        close(file);
    }
}

void lock_release(const char *path, int *descriptor)
{
    if (*descriptor < 0)
        return;
    unlink(path);
    close(*descriptor);
    *descriptor = -1;
}
