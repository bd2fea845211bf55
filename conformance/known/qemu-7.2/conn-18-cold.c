// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_event(bed, 0, 1, USBIF_SPEED_LOW))
        return OTHER;
    return bed_descriptor(bed, 1, BED_PORT(1)) == 0 ? RIGHT : OTHER;
}

const struct known known_conn_18_cold = {
    .id = "conn-18-cold",
    .rule = "A port may be assigned before the backend runs.",
    .expected = "the device is there",
    .observed = "it announces a device that it has not opened, and the first request fails an assertion",
    .devices = {"1-1=keyboard"},
    .signal = 6,
    .cold = true,
    .steps = steps,
};
