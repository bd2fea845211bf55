// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (bed_descriptor(bed, 1, BED_PORT(1)))
        return OTHER;
    bed_note(bed, "req_prod is 1000 too far");
    raw_set_word(bed->front.urb_page, 0, bed->front.urb_published + 1000);
    raw_front_notify(&bed->front);
    bed->hasty = true;
    if (bed_backend_is(bed, XenbusStateClosing))
        return RIGHT;
    return bed_backend_state(bed) == XenbusStateConnected ? WRONG : OTHER;
}

const struct known known_ring_09 = {
    .id = "ring-09",
    .rule = "A violated ring ends the connection (also MAL-37).",
    .expected = "state 5",
    .observed = "it stays in state 4 and never looks at the ring again",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
