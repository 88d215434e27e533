/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk for the tests of the store: it forgets to wait for the platter, which a kill does not
 * notice, and at a chosen write it is full, broken, or kills the process in the middle of it.
 */
#ifndef TESTS_STORE_FAULTS_H
#define TESTS_STORE_FAULTS_H

#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>

enum fault { FAULT_NONE, FAULT_KILL, FAULT_FULL, FAULT_BROKEN };

static struct {
    enum fault fault;
    long at;     /* number of the write, from 1, that fails; later ones fail too */
    long writes; /* writes and syncs so far */
    long syncs;
} disk;

/* SQLite's method tables in use, each with a copy whose writes go through disk_write. */
static struct {
    const sqlite3_io_methods *original;
    sqlite3_io_methods copy;
} disk_methods[4];

static const sqlite3_io_methods *disk_original(sqlite3_file *file)
{
    for (int i = 0; i < 4; i++)
        if (file->pMethods == &disk_methods[i].copy)
            return disk_methods[i].original;
    abort();
}

/* SQLITE_OK while the disk is in order. */
static int disk_state(void)
{
    disk.writes++;
    if (disk.fault == FAULT_NONE || disk.writes < disk.at)
        return SQLITE_OK;
    return disk.fault == FAULT_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int disk_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
    const sqlite3_io_methods *original = disk_original(file);
    int state = disk_state();
    if (state != SQLITE_OK && disk.fault == FAULT_KILL) {
        original->xWrite(file, bytes, count / 2, offset);
        raise(SIGKILL);
    }
    return state != SQLITE_OK ? state : original->xWrite(file, bytes, count, offset);
}

static int disk_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    disk.syncs++;
    int state = disk_state();
    if (state != SQLITE_OK && disk.fault == FAULT_KILL)
        raise(SIGKILL);
    return state == SQLITE_IOERR_WRITE ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static const sqlite3_io_methods *disk_wrap(const sqlite3_io_methods *original)
{
    for (int i = 0; i < 4; i++) {
        if (disk_methods[i].original && disk_methods[i].original != original)
            continue;
        disk_methods[i].original = original;
        disk_methods[i].copy = *original;
        disk_methods[i].copy.xWrite = disk_write;
        disk_methods[i].copy.xSync = disk_sync;
        return &disk_methods[i].copy;
    }
    abort();
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    int code = sqlite3_vfs_find("unix")->xOpen(vfs, name, file, flags, out);
    if (code == SQLITE_OK && file->pMethods)
        file->pMethods = disk_wrap(file->pMethods);
    return code;
}

/* From now on every database of this process is on this disk. */
static void disk_install(void)
{
    static sqlite3_vfs vfs;
    vfs = *sqlite3_vfs_find("unix");
    vfs.zName = "test-disk";
    vfs.xOpen = disk_open;
    sqlite3_vfs_register(&vfs, 1);
}

static inline void disk_set(enum fault fault, long at)
{
    disk.fault = fault;
    disk.at = at;
    disk.writes = 0;
    disk.syncs = 0;
}

#endif
