// SPDX-License-Identifier: MIT
#include "bed.h"

/* Each round brings the port's device and takes it away: two events, or three. */
static enum outcome steps(struct bed *bed)
{
    unsigned int rounds = 0;
    unsigned int event = 1;
    while (event && bed->front.nr_events < 300) {
        bed->length = 0; /* the story begins anew: the last round is the one that matters */
        bed_note(bed, "round %u, %u events so far", ++rounds, bed->front.nr_events);
        bed_port(bed, 1, "1-1");
        bed->hasty = bed->front.nr_events >= 250;
        event = bed_event(bed, event == 1 ? 0 : event, 1, USBIF_SPEED_LOW);
        if (!event)
            break;
        bed_port(bed, 1, "");
        event = bed_event(bed, event, 1, USBIF_SPEED_NONE);
    }
    bed_note(bed, "  %u events in all", bed->front.nr_events);
    return event ? RIGHT : bed->front.nr_events == 256 ? WRONG : OTHER;
}

const struct known known_conn_05 = {
    .id = "conn-05",
    .rule = "Events come as long as there are conn requests for them.",
    .expected = "any number of events",
    .observed = "after 256 events it takes the ring for full, and nothing comes any more",
    .devices = {"1-1=keyboard"},
    .empty = true,
    .steps = steps,
};
