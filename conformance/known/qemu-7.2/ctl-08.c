// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    /* A vendor's request, as ftdi_sio asks for the modem's status. */
    static const uint8_t setup[8] = {0xc0, 0x05, 0, 0, 0, 0, 2, 0};
    if (!bed_device(bed, 1, 1, 1))
        return OTHER;
    bed_control(bed, 1, BED_ADDRESS(1), setup, 2);
    int status = bed_status(bed, 1, NULL);
    int after = bed_descriptor(bed, 2, BED_ADDRESS(1));
    if (status == USBIF_STATUS_STALL && after == 0)
        return RIGHT;
    return status == 0 && after == USBIF_STATUS_NODEV ? WRONG : OTHER;
}

const struct known known_ctl_08 = {
    .id = "ctl-08",
    .rule = "Only the standard request 5 is SET_ADDRESS; those of classes and vendors are the device's.",
    .expected = "-32, for this device stalls what it does not know, and it stays where it is",
    .observed = "status 0 without data, and nothing is at the address any more",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
