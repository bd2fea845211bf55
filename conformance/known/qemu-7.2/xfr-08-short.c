// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    if (!bed_device(bed, 1, 1, 3))
        return OTHER;
    for (uint16_t id = 1; id <= 2; id++) {
        struct usbif_urb_request request = raw_request(id, RAW_PIPE(RAW_BULK, 1, 1, 1));
        request.transfer_flags = USBIF_SHORT_NOT_OK;
        raw_buffer(&bed->front, &request, id * PVUSB_PAGE_SIZE, 512);
        bed->hold = true;
        bed_send(bed, &request, "bulk IN, 512 bytes, and not less");
    }
    bed_push(bed);
    uint32_t actual = 0;
    (void)bed_status(bed, 1, &actual);
    int second = bed_status(bed, 2, NULL);
    return actual == 100 && second != BED_NO_ANSWER && bed_descriptor(bed, 3, BED_ADDRESS(1)) == 0 ? RIGHT
                                                                                                   : OTHER;
}

const struct known known_xfr_08_short = {
    .id = "xfr-08-short",
    .rule = "A transfer that must not be short and is may have others queued behind it.",
    .expected = "both are answered, and the backend lives",
    .observed = "both are answered, then it runs into a request that is no more",
    .devices = {"1-1=zero!ep 0x81 times 1: short 100"},
    .signal = 11,
    .steps = steps,
};
