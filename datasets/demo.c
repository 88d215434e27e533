/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/demo.h"

#include <string.h>

/* The assembler copies the files into the object, so that no generated source is needed. Paths are
 * relative to the folder in which make runs. */
__asm__(".pushsection .rodata\n"
        ".global demo_tickets_start\n"
        "demo_tickets_start:\n"
        ".incbin \"datasets/demo/tickets.csv\"\n"
        ".global demo_tickets_end\n"
        "demo_tickets_end:\n"
        ".byte 0\n"
        ".global demo_problems_start\n"
        "demo_problems_start:\n"
        ".incbin \"datasets/demo/problems.jsonl\"\n"
        ".global demo_problems_end\n"
        "demo_problems_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char demo_tickets_start[];
extern const char demo_tickets_end[];
extern const char demo_problems_start[];
extern const char demo_problems_end[];

bool demo_at(size_t index, struct demo *demo)
{
    const struct {
        const char *name, *file, *start, *end;
    } all[] = {{"tickets", "tickets.csv", demo_tickets_start, demo_tickets_end},
               {"problems", "problems.jsonl", demo_problems_start, demo_problems_end}};
    if (index >= sizeof all / sizeof *all)
        return false;
    *demo = (struct demo){all[index].name, all[index].file, all[index].start,
                          (size_t)(all[index].end - all[index].start)};
    return true;
}

bool demo_find(const char *path, struct demo *demo)
{
    if (strncmp(path, "demo:", 5) != 0)
        return false;
    for (size_t i = 0; demo_at(i, demo); i++)
        if (strcmp(path + 5, demo->name) == 0)
            return true;
    return false;
}
