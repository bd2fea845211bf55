/* SPDX-License-Identifier: MIT */
/*
 * Both ends of the two PVUSB rings, on the layout of xen/io/ring.h.
 *
 * Pure: no system call, allocation, clock, thread or log; the caller owns all storage. An
 * end is used by one thread at a time; the two ends may run in different threads
 * or processes. The page is shared with a hostile peer: an index is
 * read once and bounded before use, a slot is copied out exactly once.
 *
 * The URB ring carries requests from the frontend (rule RING-01: 16 slots); the
 * connection ring carries dummy requests the same way, and plug events as their
 * responses (512 slots). Both are the same machine with another geometry.
 *
 * A ring of more than one page is the same layout over pages that follow each other in both ends' memory:
 * header, then as many slots as fit, a power of two; a slot may lie across two pages (as in blkif.h).
 */
#ifndef PVUSB_RING_H
#define PVUSB_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <pvusb/abi.h>
#include <pvusb/verdict.h>

/* Geometry of a ring: pages, slots (a power of two) and bytes per slot, request and response. */
struct pvusb_ring_kind {
    uint16_t pages;
    uint16_t slots;
    uint16_t slot_size;
    uint16_t request_size;
    uint16_t response_size;
};

/* The URB ring by page order, that is in 1, 2, 4, 8 or 16 pages. What is more than one page is an extension. */
extern const struct pvusb_ring_kind pvusb_urb_ring[PVUSB_RING_ORDER_MAX + 1];
extern const struct pvusb_ring_kind pvusb_conn_ring;

/* The frontend's end: produces requests, consumes responses. Fields are private but may be read. */
struct pvusb_ring_front {
    const struct pvusb_ring_kind *kind;
    uint8_t *page;
    uint32_t req_prod; /* produced, not necessarily published */
    uint32_t req_published;
    uint32_t rsp_cons;
};

/* The backend's end: consumes requests, produces responses. */
struct pvusb_ring_back {
    const struct pvusb_ring_kind *kind;
    uint8_t *page;
    uint32_t req_cons;
    uint32_t rsp_prod;
    uint32_t rsp_published;
};

/* Clears the pages and makes an empty ring of it: producers 0, events 1 (ring.h SHARED_RING_INIT, rule RING-02). */
void pvusb_ring_front_init(struct pvusb_ring_front *front, const struct pvusb_ring_kind *kind, void *page);
/* Takes a page that is in use, all indexes at `index`; for tests of index wrap (rule RING-17). */
void pvusb_ring_front_attach(struct pvusb_ring_front *front, const struct pvusb_ring_kind *kind, void *page,
                             uint32_t index);
/* Slots that can take a request now. */
uint32_t pvusb_ring_front_free(const struct pvusb_ring_front *front);
/* Copies a request (kind->request_size bytes) into the next slot; false when no slot is free. Not yet visible. */
bool pvusb_ring_front_put(struct pvusb_ring_front *front, const void *request);
/* The same for a request of the URB ring, without the segments that it does not use: what they hold stays. */
bool pvusb_ring_front_put_urb(struct pvusb_ring_front *front, const struct usbif_urb_request *request);
/* Publishes what was put. True when the backend asked to be notified (rule RING-05). */
bool pvusb_ring_front_push(struct pvusb_ring_front *front);
/* Copies out the next response. PVUSB_OK, PVUSB_EMPTY, or the violation, after which the ring must not be used. */
enum pvusb_verdict pvusb_ring_front_take(struct pvusb_ring_front *front, void *response);
/*
 * To be called after PVUSB_EMPTY and before sleeping: asks for a notification with the next
 * response. True when one is there already (rule RING-06).
 */
bool pvusb_ring_front_final_check(struct pvusb_ring_front *front);
/* One look at the backend's index, for who polls: whether pvusb_ring_front_take() would not say PVUSB_EMPTY. */
bool pvusb_ring_front_pending(const struct pvusb_ring_front *front);

/* The backend's private indexes start at 0 whatever the page holds (rule RING-02). */
void pvusb_ring_back_init(struct pvusb_ring_back *back, const struct pvusb_ring_kind *kind, void *page);
void pvusb_ring_back_attach(struct pvusb_ring_back *back, const struct pvusb_ring_kind *kind, void *page,
                            uint32_t index);
/* Requests taken and not yet answered. */
uint32_t pvusb_ring_back_owed(const struct pvusb_ring_back *back);
/*
 * Copies out the next request, once. While a full ring of answers is owed there can be none:
 * PVUSB_EMPTY, or a violation if the frontend's index says otherwise (rules RING-09, RING-18).
 */
enum pvusb_verdict pvusb_ring_back_take(struct pvusb_ring_back *back, void *request);
/* The same for a request of the URB ring, without the segments that it does not use: those of *request stay. */
enum pvusb_verdict pvusb_ring_back_take_urb(struct pvusb_ring_back *back, struct usbif_urb_request *request);
/* Copies a response into the next slot; false when none is owed. The rest of the slot keeps its bytes (rule RING-14). */
bool pvusb_ring_back_put(struct pvusb_ring_back *back, const void *response);
/* Publishes what was put. True when the frontend asked to be notified. */
bool pvusb_ring_back_push(struct pvusb_ring_back *back);
/* As pvusb_ring_front_final_check(), for requests. */
bool pvusb_ring_back_final_check(struct pvusb_ring_back *back);
/* As pvusb_ring_front_pending(), for requests. */
bool pvusb_ring_back_pending(const struct pvusb_ring_back *back);

#endif
