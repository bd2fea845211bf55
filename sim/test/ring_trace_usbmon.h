/* SPDX-License-Identifier: MIT */
/*
 * What usbmon saw in a guest of the same kind while the rings were recorded. It is not the same boot: the
 * devices sit on other ports, so they have other addresses, and the first read of a disk is cut into
 * other pieces. A table says which device of a ring recording is which one there. The transfers of an
 * endpoint are then aligned by what was asked (setup packet, direction, length), as diff(1) aligns lines; how
 * they ended plays no part in that, and must be equal for each aligned pair.
 */
#ifndef SIM_TEST_RING_TRACE_USBMON_H
#define SIM_TEST_RING_TRACE_USBMON_H

#include "ring_trace.h"

/* An URB as the guest got it back. */
struct ring_trace_result {
    uint8_t device;
    uint8_t endpoint;
    uint8_t type;
    bool in;
    uint8_t setup[8]; /* zero but for control */
    uint32_t length;
    int32_t status;
    uint32_t actual;
};

/*
 * Compares all endpoints that the table has for a recording, and the number of pairs with what the table
 * says. Returns how many pairs there are.
 */
unsigned int ring_trace_usbmon_compare(struct ring_trace_report *report, const char *dir,
                                       const char *recording, const struct ring_trace_result *results,
                                       unsigned int count);

#endif
