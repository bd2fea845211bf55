// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_device(bed, 1, 3, 1) || !bed_disconnect(bed) || !bed_connect(bed))
        return OTHER;
    int status = bed_descriptor(bed, 1, BED_ADDRESS(3));
    return status == USBIF_STATUS_NODEV ? RIGHT : status == 0 ? WRONG : OTHER;
}

const struct known known_adr_06 = {
    .id = "adr-06",
    .rule = "A frontend that connects anew finds no device addressed.",
    .expected = "-19 at the old address",
    .observed = "the device still answers there",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
