// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_keyboard(bed, 1, 1))
        return OTHER;
    unsigned int events = bed->front.nr_events;
    bed_transfer(bed, 1, 1, RAW_INT, 0x81, 8);
    bed_transfer(bed, 2, 1, RAW_INT, 0x81, 8);
    bed_listen(bed, BED_SILENCE);
    bed_bus(bed, "unplug 1-1");
    int first = bed_status(bed, 1, NULL);
    int second = bed_status(bed, 2, NULL);
    return first < 0 && second < 0 && bed_event(bed, events, 1, USBIF_SPEED_NONE) ? RIGHT : OTHER;
}

const struct known known_xfr_08_unplug = {
    .id = "xfr-08-unplug",
    .rule = "Any number of transfers may wait when a device is unplugged.",
    .expected = "all end with an error, and the port becomes empty",
    .observed = "both are answered, then it runs into a request that is no more",
    .devices = {"1-1=keyboard"},
    .signal = 11,
    .steps = steps,
};
