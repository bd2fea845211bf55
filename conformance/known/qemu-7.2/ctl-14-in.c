// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    static const uint8_t setup[8] = {0x80, 0x06, 0x00, 0x01, 0, 0, 18, 0}; /* GET_DESCRIPTOR, 18 bytes */
    if (!bed_device(bed, 1, 1, 1))
        return OTHER;
    bed_control(bed, 1, BED_ADDRESS(1), setup, 8);
    return bed_status(bed, 1, NULL) == USBIF_STATUS_BABBLE ? RIGHT : OTHER;
}

const struct known known_ctl_14_in = {
    .id = "ctl-14-in",
    .rule = "What a device sends beyond the segments of a control IN request has no place.",
    .expected = "-75",
    .observed = "an assertion about the length of the data fails",
    .devices = {"1-1=keyboard"},
    .signal = 6,
    .steps = steps,
};
