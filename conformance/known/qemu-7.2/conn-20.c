// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    struct vusb_controller second = bed->controller;
    second.devid = 1;
    bed_port(bed, 1, "1-1");
    if (!bed_event(bed, 0, 1, USBIF_SPEED_LOW) || vusb_create(bed->dom0, &second))
        return OTHER;
    bed_note(bed, "toolstack: a second controller, its port/1 = \"1-2\"");
    if (vusb_set_port(bed->dom0, &second, 1, "1-2"))
        return OTHER;
    bed_listen(bed, BED_SILENCE);
    return bed_descriptor(bed, 1, BED_PORT(1)) == 0 ? RIGHT : OTHER;
}

const struct known known_conn_20 = {
    .id = "conn-20",
    .rule = "Two controllers of one guest may have devices on ports of the same number.",
    .expected = "both devices work",
    .observed = "the name of the second is the name of the first, and an assertion fails",
    .devices = {"1-1=keyboard", "1-2=zero"},
    .signal = 6,
    .empty = true,
    .steps = steps,
};
