// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "bed.h"

#define AT_ONCE 7u /* and as many unlinks: a ring has 16 slots */
#define ROUNDS  1000u

/* KiB of memory that the backend has. */
static long memory(const struct bed *bed)
{
    char path[32];
    char line[128];
    long kib = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)bed->pid);
    FILE *file = fopen(path, "r");
    while (file && kib < 0 && fgets(line, sizeof(line), file))
        (void)sscanf(line, "VmRSS: %ld kB", &kib);
    if (file)
        fclose(file);
    return kib;
}

static bool rounds(struct bed *bed)
{
    for (unsigned int i = 0; i < ROUNDS; i++) {
        bed->front.nr_rsp = 0;
        bed->length = 0;
        for (uint16_t id = 1; id <= AT_ONCE; id++)
            bed_transfer(bed, id, 1, RAW_INT, 0x81, 8);
        for (uint16_t id = 1; id <= AT_ONCE; id++)
            bed_unlink(bed, (uint16_t)(id + AT_ONCE), 1, 0x81, id);
        for (uint16_t id = 1; id <= 2 * AT_ONCE; id++) {
            if (bed_status(bed, id, NULL) == BED_NO_ANSWER)
                return false;
        }
    }
    return true;
}

static enum outcome steps(struct bed *bed)
{
    if (!bed_keyboard(bed, 1, 1) || !rounds(bed))
        return OTHER;
    long before = memory(bed);
    if (!rounds(bed))
        return OTHER;
    long after = memory(bed);
    bed_note(bed, "%u transfers unlinked: %ld KiB before, %ld KiB after", ROUNDS * AT_ONCE, before, after);
    /* With a sanitizer in it our own backend grows, too, by some 60 bytes each. */
    return after - before < 1024 ? RIGHT : WRONG;
}

const struct known known_unl_12 = {
    .id = "unl-12",
    .rule = "An unlinked transfer leaves nothing behind.",
    .expected = "memory stays as it is",
    .observed = "it loses some 360 bytes of memory for each",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
