// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    static const uint8_t setup[8] = {0x80, 0x06, 0x00, 0x01,
                                     0,    0,    0x01, 0x10}; /* GET_DESCRIPTOR, 4097 bytes */
    if (!bed_device(bed, 1, 1, 1))
        return OTHER;
    bed_control(bed, 1, BED_ADDRESS(1), setup, 4097);
    uint32_t actual = 0;
    int status = bed_status(bed, 1, &actual);
    return status == 0 && actual == 18 ? RIGHT : status == USBIF_STATUS_STALL ? WRONG : OTHER;
}

const struct known known_mal_36 = {
    .id = "mal-36",
    .rule = "A control request may ask for up to 65535 bytes, if there is room for them.",
    .expected = "what the device has: 18 bytes",
    .observed = "-32 for more than 4096 bytes, and the device never sees it",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
