// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_device(bed, 1, 1, 1))
        return OTHER;
    unsigned int events = bed->front.nr_events;
    bed_port(bed, 1, "");
    if (!bed_event(bed, events, 1, USBIF_SPEED_NONE))
        return OTHER;
    return bed_descriptor(bed, 1, BED_ADDRESS(1)) == USBIF_STATUS_NODEV ? RIGHT : OTHER;
}

const struct known known_ctl_19 = {
    .id = "ctl-19",
    .rule = "Control requests may come after the toolstack has taken the device away.",
    .expected = "-19",
    .observed = "an assertion fails, for the address is still in the table and has no device",
    .devices = {"1-1=keyboard"},
    .signal = 6,
    .steps = steps,
};
