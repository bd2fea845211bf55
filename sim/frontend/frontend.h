/* SPDX-License-Identifier: MIT */
/*
 * usbfront: the guest's half of PVUSB, a virtual host controller with 1 to 31 root ports.
 *
 * Finds its backend through /local/domain/<own>/device/vusb/<devid>, makes both
 * rings, follows the xenbus states, and turns URBs into requests (rules: sections
 * 1 to 15 of the protocol). Does not trust the backend: a violated protocol ends in a named
 * verdict, all URBs returned with -ESHUTDOWN, an error node and state Closing.
 *
 * Slots (rule RING-12): of the 16 slots one is kept for an unlink and one for a control request. Of the
 * rest, IN requests may hold at most 12, OUT requests 10 and isochronous ones 10, so that neither idle receivers
 * nor a device that takes nothing wedge the others; of a larger ring in proportion. URBs beyond that wait in order; a waiting URB may overtake those of
 * other endpoints, never one of its own. When an IN endpoint has waited without a slot for 100 ms, an idle IN of
 * another is taken back, and queued again behind those that wait: every endpoint gets a turn. For an isochronous URB
 * that happens at once. Bytes that had arrived by then stay, and the rest is asked for. OUT requests are never taken
 * back: endpoints that accept nothing can hold their 10 slots for as long as their drivers let them.
 *
 * Unlike Linux xen-hcd: isochronous descriptors are bounced, so the backend never sees
 * more than the descriptors (ISO-03); an unlink never waits for a slot (UNL-10); after a
 * violation the state is visible to the toolstack (LIF-08); Closing returns every URB (LIF-03).
 *
 * Persistent grants (see backend.h): when the backend offers to keep pages mapped, buffers are granted once, read-write,
 * and stay so until the connection ends; what the guest frees is kept for its next buffer. With a backend that does not,
 * pages are granted for each request, with the rights that it needs.
 *
 * Rings (see backend.h): where the backend takes larger ones, the URB ring has eight pages, that is 128 slots, or as
 * many as front_set_ring_pages() says and the backend allows; with any other it has one.
 *
 * A backend that dies changes nothing in xenstore. When its end of the event channel closes, the frontend says so
 * in one line, returns all URBs with -ESHUTDOWN and closes; Linux waits for ever (LIF-06).
 *
 * Threads: one. Time comes from step(). All memory for I/O is taken when the frontend connects.
 */
#ifndef SIM_FRONTEND_FRONTEND_H
#define SIM_FRONTEND_FRONTEND_H

#include <fakexen/xen_ops.h>
#include <pvusb/verdict.h>
#include <xen/io/xenbus.h>

#include "guest/hcd.h"

struct front;

/* What went over the ring, for recorders. Called in order; pointers are valid during the call. */
struct front_tap {
    void (*submitted)(void *context, const struct hcd_urb *urb);
    void (*returned)(void *context, const struct hcd_urb *urb);
    void *context;
};

struct front_stats {
    uint64_t urbs;          /* given back */
    uint64_t requests;      /* put on the ring, unlinks included */
    uint64_t responses;
    uint64_t unlinks;       /* of those requests */
    uint64_t notifications; /* sent for requests */
    uint64_t grants;        /* pages granted for URBs */
    uint64_t kept_grants;   /* pages of URBs that were granted already */
    uint64_t plug_events;
    uint64_t connections;   /* rings made and offered */
    uint64_t lost_backends; /* that went without closing */
};

/*
 * Takes the handle (closed by front_destroy()). Returns at once: connecting goes on in
 * front_step(). A log line per event of interest goes to log, if given.
 */
int front_create(struct xen *xen, unsigned int devid, void (*log)(void *context, const char *line),
                 void *log_context, struct front **out);
/* Closes and frees; URBs are returned first. Grants that the backend still maps are left to the machine. */
void front_destroy(struct front *front);
/* Does everything that can be done at now_ns. -EPIPE when the machine is gone. */
int front_step(struct front *front, uint64_t now_ns);
/*
 * For who looks again at once instead of waiting: takes the responses that are on the ring and starts what waits, without
 * asking for an event, and nothing else. front_step() must follow before waiting, and by front_deadline().
 */
void front_poll(struct front *front, uint64_t now_ns);
/* Whether front_poll() would find a response. One look at an index of the backend's, which is not trusted. */
bool front_pending(const struct front *front);
/* When step() is due even without an event; UINT64_MAX for never. */
uint64_t front_deadline(const struct front *front);
/*
 * Begins an orderly close: state Closing; URBs that wait return at once, the others when the backend answers
 * them or has left and unmapped them, after 5 s in any case; then Closed. Goes on in front_step().
 */
void front_close(struct front *front);
/* After Closed: starts again from Initialising with fresh rings (rule BUS-14). -EBUSY before. */
int front_reconnect(struct front *front);
/*
 * With on, does so by itself after every end but that of front_close() or of a violation, as soon as
 * a backend is there again. Off at first: Linux never connects a second time (rule BUS-17).
 */
void front_set_reconnect(struct front *front, bool on);

/* Whether persistent grants are used where the backend offers them, from the next connection on. On at first. */
void front_set_persistent(struct front *front, bool on);

/* Pages of the URB ring, from the next connection on: 1, 2, 4, 8 or 16, or fewer if the backend takes fewer. 8 at first. */
void front_set_ring_pages(struct front *front, unsigned int pages);

enum xenbus_state front_state(const struct front *front);
/* PVUSB_OK, or why the connector was given up. */
enum pvusb_verdict front_verdict(const struct front *front);
struct front_stats front_stats(const struct front *front);
void front_set_tap(struct front *front, const struct front_tap *tap);
/* The controller, for a guest's USB core. Valid until front_destroy(). */
struct hcd *front_hcd(struct front *front);
/* The handle, to wait on. */
struct xen *front_xen(struct front *front);

#endif
