/* SPDX-License-Identifier: MIT */
/*
 * What we found a peer's bytes to be. A verdict is about the peer, never about
 * us, so it is no errno; pvusb_verdict_name() is its name in logs and reports.
 */
#ifndef PVUSB_VERDICT_H
#define PVUSB_VERDICT_H

#include <stdint.h>

enum pvusb_verdict {
    PVUSB_OK = 0,
    PVUSB_EMPTY, /* nothing to take: not a violation */

    /* The ring itself. Fatal for the connector (rules RING-08, RING-09, MAL-37, MAL-38, MAL-63, MAL-69). */
    PVUSB_RING_OVERFLOW,  /* producer index more than a ring ahead */
    PVUSB_RING_UNDERFLOW, /* producer index went backwards */

    /* A request that cannot be meant (section 18 of the rules). Answered with USBIF_STATUS_INVAL. */
    PVUSB_TOO_MANY_SEGMENTS,     /* MAL-01, MAL-16 */
    PVUSB_SEGMENT_CROSSES_PAGE,  /* MAL-09, MAL-11 */
    PVUSB_LENGTH_MISMATCH,       /* MAL-02, MAL-03, MAL-06, MAL-07: buffer_length is not the segment sum mod 65536 */
    PVUSB_DIRECTION_MISMATCH,    /* MAL-34 */
    PVUSB_CONTROL_DATA_MISSING,  /* MAL-05: OUT data stage longer than the segments */
    PVUSB_ISO_PACKET_COUNT,      /* MAL-17, ISO-08 */
    PVUSB_ISO_DESCRIPTOR_LENGTH, /* MAL-18, ISO-07 */
    PVUSB_ISO_PACKET_BOUNDS,     /* MAL-19 */

    /* A response or event that cannot be meant. Fatal for the connector. */
    PVUSB_RESPONSE_ID,  /* MAL-60, MAL-61, MAL-62: id out of range or nothing owed for it */
    PVUSB_CONN_PORT,    /* MAL-68 */
    PVUSB_CONN_SPEED,   /* MAL-68 */
    PVUSB_GRANT_IN_USE, /* MAL-65: answered before the buffer was unmapped */

    PVUSB_VERDICTS
};

/* "ring-overflow" and so on; never NULL. */
const char *pvusb_verdict_name(enum pvusb_verdict verdict);

#endif
