// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_backend_is(bed, XenbusStateInitWait))
        return OTHER;
    bed_note(bed, "event-channel is a port that is not there");
    raw_front_make(&bed->front);
    evtchn_port_t port = bed->front.port;
    bed->front.port = 999;
    raw_front_write_nodes(&bed->front);
    bed->front.port = port;
    raw_front_set_state(&bed->front, XenbusStateConnected);
    bed->hasty = true;
    if (bed_backend_is(bed, XenbusStateClosing))
        return RIGHT;
    return bed_backend_state(bed) == XenbusStateConnected ? WRONG : OTHER;
}

const struct known known_mal_45 = {
    .id = "mal-45",
    .rule = "An event channel that cannot be bound is an error that the frontend sees.",
    .expected = "state 5",
    .observed = "state 4, though no event will ever pass",
    .devices = {"1-1=keyboard"},
    .unconnected = true,
    .steps = steps,
};
