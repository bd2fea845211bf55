// SPDX-License-Identifier: MIT
#include "bed.h"

static enum outcome steps(struct bed *bed)
{
    static const uint8_t setup[8] = {0x01, 0x0b, 1}; /* SET_INTERFACE: alternate setting 1 */
    if (!bed_device(bed, 1, 1, 3))
        return OTHER;
    bed_control(bed, 1, BED_ADDRESS(1), setup, 0);
    if (bed_status(bed, 1, NULL))
        return OTHER;
    bed_transfer(bed, 2, 1, RAW_BULK, 0x82, 1024);
    int status = bed_status(bed, 2, NULL);
    return status == 0 ? WRONG : status < 0 ? RIGHT : OTHER;
}

const struct known known_pipe_07 = {
    .id = "pipe-07",
    .rule = "The type in the pipe is that of the endpoint.",
    .expected = "an error for a bulk transfer from an isochronous endpoint",
    .observed = "status 0, without data",
    .devices = {"1-1=zero"},
    .steps = steps,
};
