// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_keyboard(bed, 1, 1))
        return OTHER;
    bed_transfer(bed, 1, 1, RAW_INT, 0x81, 8);
    bed_listen(bed, BED_SILENCE);
    bed_note(bed, "the frontend's state becomes 5");
    raw_front_set_state(&bed->front, XenbusStateClosing);
    if (!bed_backend_is(bed, XenbusStateClosing))
        return OTHER;
    bed_listen(bed, BED_SILENCE);
    return bed->died ? OTHER : RIGHT;
}

const struct known known_lif_04 = {
    .id = "lif-04",
    .rule = "A frontend may close while transfers are under way.",
    .expected = "the transfers are taken back, the rings unmapped, state 5",
    .observed = "it reads the ring after it has unmapped it",
    .devices = {"1-1=keyboard"},
    .signal = 11,
    .steps = steps,
};
