// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    static const uint8_t setup[8] = {0x21, 0x09, 0x00, 0x02, 0, 0, 8, 0}; /* SET_REPORT of 8 bytes */
    if (!bed_device(bed, 1, 1, 1))
        return OTHER;
    bed_control(bed, 1, BED_ADDRESS(1), setup, 0);
    return bed_status(bed, 1, NULL) == USBIF_STATUS_INVAL ? RIGHT : OTHER;
}

const struct known known_ctl_14 = {
    .id = "ctl-14",
    .rule = "The data of a control OUT request is in its segments, which may be fewer than wLength says.",
    .expected = "-22",
    .observed = "an assertion about the length of the data fails",
    .devices = {"1-1=keyboard"},
    .signal = 6,
    .steps = steps,
};
