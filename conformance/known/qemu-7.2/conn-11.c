// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    bed_port(bed, 1, "1-1");
    if (!bed_event(bed, 0, 1, USBIF_SPEED_LOW))
        return OTHER;
    bed_listen(bed, BED_SILENCE);
    unsigned int from = bed->front.nr_events;
    bed_port(bed, 1, "1-2");
    bed->hasty = true;
    unsigned int gone = bed_event(bed, from, 1, USBIF_SPEED_NONE);
    if (gone)
        return bed_event(bed, gone, 1, USBIF_SPEED_HIGH) ? RIGHT : OTHER;
    if (bed_descriptor(bed, 1, BED_PORT(1)))
        return OTHER;
    uint8_t product = bed->front.page[10]; /* idProduct: 0101 is the keyboard */
    bed_note(bed, "  product xx%02x is on the port", product);
    return product == 0x01 ? WRONG : OTHER;
}

const struct known known_conn_11 = {
    .id = "conn-11",
    .rule = "Between two devices on one port there is an event that says that it is empty.",
    .expected = "speed 0, then the speed of the second device",
    .observed = "no event: the guest keeps the first device, and never gets the second",
    .devices = {"1-1=keyboard", "1-2=zero"},
    .empty = true,
    .steps = steps,
};
