// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (bed_descriptor(bed, 1, BED_PORT(1)))
        return OTHER;
    bed_note(bed, "req_prod is 1000 too far");
    raw_set_word(bed->front.urb_page, 0, bed->front.urb_published + 1000);
    raw_front_notify(&bed->front);
    bed_listen(bed, BED_SILENCE);
    if (!bed_disconnect(bed) || !bed_connect(bed))
        return OTHER;
    bed->hasty = true;
    int status = bed_descriptor(bed, 2, BED_PORT(1));
    return status == 0 ? RIGHT : status == BED_NO_ANSWER ? WRONG : OTHER;
}

const struct known known_ring_10 = {
    .id = "ring-10",
    .rule = "A ring that was violated is forgotten when the frontend connects again with new ones.",
    .expected = "the new rings work",
    .observed = "it connects, and never looks at the new ring",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
