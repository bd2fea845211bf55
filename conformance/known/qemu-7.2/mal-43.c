// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_backend_is(bed, XenbusStateInitWait))
        return OTHER;
    bed_note(bed, "conn-ring-ref is the same as urb-ring-ref");
    raw_front_make(&bed->front);
    bed->front.deaf = true; /* what is on such a ring cannot be read */
    grant_ref_t conn = bed->front.conn_ref;
    bed->front.conn_ref = bed->front.urb_ref;
    raw_front_write_nodes(&bed->front);
    bed->front.conn_ref = conn;
    raw_front_set_state(&bed->front, XenbusStateConnected);
    bed->hasty = true;
    if (bed_backend_is(bed, XenbusStateClosing))
        return RIGHT;
    return bed_backend_state(bed) == XenbusStateConnected ? WRONG : OTHER;
}

const struct known known_mal_43 = {
    .id = "mal-43",
    .rule = "The two rings are two pages.",
    .expected = "state 5",
    .observed = "it connects, and has both rings in one page",
    .devices = {"1-1=keyboard"},
    .unconnected = true,
    .steps = steps,
};
