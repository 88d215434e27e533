/* SPDX-License-Identifier: Apache-2.0
 *
 * One process at a time: a lock file beside what it guards.
 *
 * The lock is the kernel's (flock), so it goes with the process however that ends. Its owner
 * removes the file when it is done; whoever locked a file that was removed in between takes the
 * next one.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

enum lock_outcome {
    LOCK_TAKEN,     /* also where the file system has no locks */
    LOCK_BUSY,      /* another process, or another descriptor of this one, has it */
    LOCK_IMPOSSIBLE /* the file cannot be made; errno says why */
};

/* Tries to take the lock `path` without waiting; the file is made when it is not there. When it is
 * taken, `*descriptor` holds it until lock_release, otherwise it is -1. */
enum lock_outcome lock_try(const char *path, int *descriptor);

/* Removes the file and gives the lock back; safe on -1, which `*descriptor` is then. */
void lock_release(const char *path, int *descriptor);

#endif
