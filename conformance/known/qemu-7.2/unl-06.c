// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    return bed_descriptor(bed, 1, BED_PORT(0)) == USBIF_STATUS_NODEV ? RIGHT : OTHER;
}

const struct known known_unl_06 = {
    .id = "unl-06",
    .rule = "There is no port 0 (also MAL-21).",
    .expected = "-19",
    .observed = "it takes for a port what is in memory before its ports, and an assertion fails",
    .devices = {"1-1=keyboard"},
    .signal = 6,
    .steps = steps,
};
