// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    raw_front_set_state(&bed->front, XenbusStateClosing);
    if (!bed_backend_is(bed, XenbusStateClosing))
        return OTHER;
    bed_note(bed, "the frontend's state becomes 1 without having been 6");
    raw_front_set_state(&bed->front, XenbusStateInitialising);
    bed->hasty = true;
    if (bed_backend_is(bed, XenbusStateInitWait))
        return RIGHT;
    return bed_backend_state(bed) == XenbusStateClosing ? WRONG : OTHER;
}

const struct known known_bus_15 = {
    .id = "bus-15",
    .rule = "A frontend that begins anew is waited for, also from state 5.",
    .expected = "state 2",
    .observed = "it stays in state 5",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
