// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_device(bed, 1, 1, 3))
        return OTHER;
    bed->hold = true; /* the second is queued before the first has met the device */
    bed_transfer(bed, 1, 1, RAW_BULK, 0x81, 512);
    bed_transfer(bed, 2, 1, RAW_BULK, 0x81, 512);
    bed_push(bed);
    int first = bed_status(bed, 1, NULL);
    int second = bed_status(bed, 2, NULL);
    return first == USBIF_STATUS_STALL && second < 0 && bed_descriptor(bed, 3, BED_ADDRESS(1)) == 0 ? RIGHT
                                                                                                    : OTHER;
}

const struct known known_xfr_08 = {
    .id = "xfr-08",
    .rule = "A transfer that ends with an error may have others queued behind it.",
    .expected = "the first ends with -32, the second with an error, for the endpoint is halted, and the "
                "backend lives",
    .observed = "the first ends with -32, the second with -108, then it runs into a request that is no more",
    .devices = {"1-1=zero!ep 0x81 times 1: stall"},
    .signal = 11,
    .steps = steps,
};
