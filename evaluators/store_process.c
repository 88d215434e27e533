/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evaluators/store_private.h"

/* First line of a small file, "" when it cannot be read. */
static void read_line(const char *path, char *line, size_t size)
{
    line[0] = '\0';
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    if (!fgets(line, (int)size, file))
        line[0] = '\0';
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
}

/* Fields 3 (state) and 22 (start) of /proc/PID/stat. Field 2 is the program's name in brackets and
 * may hold anything, so counting begins after the last bracket. */
static bool read_stat(int64_t pid, char *state, int64_t *start)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    read_line(path, line, sizeof line);
    const char *field = strrchr(line, ')');
    if (!field || field[1] != ' ')
        return false;
    field += 2;
    *state = *field;
    for (int number = 3; number < 22; number++) {
        field = strchr(field, ' ');
        if (!field)
            return false;
        field++;
    }
    *start = strtoll(field, NULL, 10);
    return true;
}

struct process process_self(void)
{
    struct process self = {.pid = getpid()};
    if (gethostname(self.host, sizeof self.host) != 0)
        strcpy(self.host, "unknown");
    self.host[sizeof self.host - 1] = '\0';
    read_line("/proc/sys/kernel/random/boot_id", self.boot_id, sizeof self.boot_id);
    char state;
    if (!read_stat(self.pid, &state, &self.start))
        self.start = 0;
    return self;
}

enum life process_life(const struct process *self, const struct process *other)
{
    if (strcmp(self->host, other->host) != 0)
        return LIFE_UNKNOWN;
    if (strcmp(self->boot_id, other->boot_id) != 0)
        return LIFE_GONE;
    char state;
    int64_t start;
    if (read_stat(other->pid, &state, &start)) {
        if (state == 'Z' || state == 'X' || (other->start && start != other->start))
            return LIFE_GONE;
        return other->start ? LIFE_ALIVE : LIFE_UNKNOWN;
    }
    return kill((pid_t)other->pid, 0) != 0 && errno == ESRCH ? LIFE_GONE : LIFE_UNKNOWN;
}
