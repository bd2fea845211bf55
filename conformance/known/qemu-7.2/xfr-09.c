// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_keyboard(bed, 1, 1))
        return OTHER;
    bed_transfer(bed, 1, 1, RAW_INT, 0x81, 8);
    bed_transfer(bed, 2, 1, RAW_INT, 0x81, 8);
    bed_unlink(bed, 3, 1, 0x81, 1);
    if (bed_status(bed, 1, NULL) >= 0 || bed_status(bed, 3, NULL) == BED_NO_ANSWER)
        return OTHER;
    bed_bus(bed, "type 1-1 x");
    bed->hasty = true;
    int status = bed_status(bed, 2, NULL);
    return status == 0 ? RIGHT : status == BED_NO_ANSWER ? WRONG : OTHER;
}

const struct known known_xfr_09 = {
    .id = "xfr-09",
    .rule = "When the transfer that is under way is unlinked, the next one of the endpoint starts.",
    .expected = "the second transfer brings the key",
    .observed = "the second transfer never ends: the endpoint hangs until it is unlinked, too",
    .devices = {"1-1=keyboard"},
    .steps = steps,
};
