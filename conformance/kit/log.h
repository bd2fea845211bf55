/* SPDX-License-Identifier: MIT */
/*
 * What a case has seen, kept for the report of its failure. The memory may be shared with the process that
 * reports, which reads it after the case has ended in whatever way: all of it is plain data, bounded, and a
 * cut text ends with 0.
 */
#ifndef CONFORMANCE_KIT_LOG_H
#define CONFORMANCE_KIT_LOG_H

#include <stdint.h> /* Xen's headers need it first */

#include <xen/io/usbif.h>

#include "kit.h"

#define KIT_EVENTS      512u
#define KIT_EVENT_TEXT  144u
#define KIT_SLOTS       16u
#define KIT_URBS        512u
#define KIT_URB_DATA    1024u
#define KIT_URB_PACKETS 32u
#define KIT_STORE       32768u

/* Of each list the newest are kept: number n is at n % its size. */
struct kit_event {
    uint64_t ns; /* now() of the peer */
    char what[8];
    char text[KIT_EVENT_TEXT];
};

struct kit_slot {
    uint32_t index; /* in the ring, counted on */
    union {
        struct usbif_urb_request request;
        struct usbif_urb_response response;
        struct usbif_conn_response plug;
    } u;
};

/* A request (what 'S'), or a response to a request that is known here ('C'). */
struct kit_urb {
    uint64_t ns;
    uint32_t index; /* of the request */
    uint16_t bus;   /* 1 and following: the number of the frontend */
    char what;
    struct usbif_urb_request request;
    struct usbif_urb_response response; /* of 'C' */
    uint32_t captured;                  /* of the payload; an IN request gets it before it is answered */
    uint8_t data[KIT_URB_DATA];
    uint32_t nr_packets; /* captured */
    struct {
        uint32_t offset, length, actual, status; /* ISO-02 */
    } packet[KIT_URB_PACKETS];
};

struct kit_log {
    uint64_t start_ns; /* of the first event */
    uint32_t events, requests, responses, plugs, urbs; /* ever */
    struct kit_event event[KIT_EVENTS];
    struct kit_slot request[KIT_SLOTS], response[KIT_SLOTS], plug[KIT_SLOTS];
    uint32_t checked; /* number of the response that a check looked at last, plus 1; 0: none */
    struct kit_urb urb[KIT_URBS];
    char store[KIT_STORE]; /* both ends in xenstore when the case failed, as xenstore-ls prints them */
};

#endif
