// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    bed_unlink(bed, 1, 0, 0, 7);
    int status = bed_status(bed, 1, NULL);
    return status == USBIF_STATUS_NODEV ? RIGHT : status == 0 ? WRONG : OTHER;
}

const struct known known_mal_30 = {
    .id = "mal-30",
    .rule = "There is no port 0 to unlink on.",
    .expected = "-19",
    .observed = "status 0: it takes for a port what is in memory before its ports",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
