// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    bed_port(bed, 3, "9-9");
    bed_listen(bed, BED_SILENCE);
    for (unsigned int i = 0; i < bed->front.nr_events; i++)
        bed_note(bed, "  event: port %u, speed %u", bed->front.event[i].portnum, bed->front.event[i].speed);
    return bed_descriptor(bed, 1, BED_PORT(3)) == USBIF_STATUS_NODEV ? RIGHT : OTHER;
}

const struct known known_conn_18 = {
    .id = "conn-18",
    .rule = "A port whose device is not on the host is empty.",
    .expected = "no event, and -19 to requests",
    .observed = "it announces a low-speed device, and the first request fails an assertion",
    .signal = 6,
    .steps = steps,
};
