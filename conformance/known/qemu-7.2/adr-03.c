// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_device(bed, 1, 3, 1) || bed_address(bed, 1, 1, 4) || bed_descriptor(bed, 2, BED_ADDRESS(4)))
        return OTHER;
    int status = bed_descriptor(bed, 3, BED_ADDRESS(3));
    return status == USBIF_STATUS_NODEV ? RIGHT : status == 0 ? WRONG : OTHER;
}

const struct known known_adr_03 = {
    .id = "adr-03",
    .rule = "A device that gets a new address has lost the old one.",
    .expected = "-19 at the old address",
    .observed = "the device answers at both",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
