// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_device(bed, 1, 1, 1))
        return OTHER;
    int status = bed_address(bed, 1, 1, 0xffff);
    bed->hasty = true;
    int after = bed_descriptor(bed, 2, BED_ADDRESS(1));
    if (status == USBIF_STATUS_INVAL && after == 0)
        return RIGHT;
    return OTHER;
}

const struct known known_ctl_06_far = {
    .id = "ctl-06-far",
    .rule = "SET_ADDRESS takes addresses up to 127.",
    .expected = "-22",
    .observed = "it writes half a megabyte behind its table",
    .devices = {"1-1=keyboard"},
    .signal = 11,
    .steps = steps,
};
