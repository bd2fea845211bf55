// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_backend_is(bed, XenbusStateInitWait))
        return OTHER;
    bed_note(bed, "urb-ring-ref is granted for reading only");
    raw_front_make(&bed->front);
    grant_ref_t urb = bed->front.urb_ref;
    bed->front.urb_ref = bed->front.ro[0];
    raw_front_write_nodes(&bed->front);
    bed->front.urb_ref = urb;
    raw_front_set_state(&bed->front, XenbusStateConnected);
    bed->hasty = true;
    if (bed_backend_is(bed, XenbusStateClosing))
        return RIGHT;
    return bed_backend_state(bed) == XenbusStateInitWait ? WRONG : OTHER;
}

const struct known known_mal_44 = {
    .id = "mal-44",
    .rule = "A ring that cannot be mapped is an error that the frontend sees.",
    .expected = "state 5",
    .observed = "it stays in state 2, as if the frontend were not ready",
    .devices = {"1-1=keyboard"},
    .unconnected = true,
    .steps = steps,
};
