// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    unsigned int event = bed_event(bed, 0, 1, USBIF_SPEED_LOW);
    if (!event)
        return OTHER;
    bed_listen(bed, BED_SILENCE);
    event = bed->front.nr_events;
    bed_bus(bed, "unplug 1-1");
    event = bed_event(bed, event, 1, USBIF_SPEED_NONE);
    if (!event)
        return OTHER;
    bed_bus(bed, "plug 1-1 keyboard");
    event = bed_event(bed, event, 1, UINT32_MAX);
    if (!event)
        return OTHER;
    return bed->front.event[event - 1].speed == USBIF_SPEED_LOW ? RIGHT : WRONG;
}

const struct known known_conn_19 = {
    .id = "conn-19",
    .rule = "A device that is pulled out and plugged in again is announced.",
    .expected = "speed 0, then the device's speed",
    .observed = "speed 0 twice, though it has opened the device again",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
