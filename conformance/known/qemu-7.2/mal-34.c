// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    static const uint8_t setup[8] = {0x21, 0x09, 0x00, 0x02, 0, 0, 1, 0}; /* SET_REPORT, 1 byte OUT */
    if (!bed_device(bed, 1, 1, 1))
        return OTHER;
    bed_control(bed, 1, BED_ADDRESS(1) | 0x80, setup, 1); /* the pipe says IN */
    int status = bed_status(bed, 1, NULL);
    return status == USBIF_STATUS_INVAL ? RIGHT : status == 0 ? WRONG : OTHER;
}

const struct known known_mal_34 = {
    .id = "mal-34",
    .rule = "The pipe of a control request has the direction that its setup packet has.",
    .expected = "-22",
    .observed = "status 0",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
