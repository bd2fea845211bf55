// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_device(bed, 1, 1, 1))
        return OTHER;
    int status = bed_address(bed, 1, 1, 128);
    bed->hasty = true;
    int after = bed_descriptor(bed, 2, BED_ADDRESS(1));
    if (status == USBIF_STATUS_INVAL && after == 0)
        return RIGHT;
    return status == 0 && after == BED_NO_ANSWER ? WRONG : OTHER;
}

const struct known known_ctl_06 = {
    .id = "ctl-06",
    .rule = "SET_ADDRESS takes addresses up to 127.",
    .expected = "-22",
    .observed =
        "status 0, but behind its table was what it reads the ring with: nothing is answered any more",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
