/* SPDX-License-Identifier: MIT */
/*
 * usbback: the driver domain's half of PVUSB. One struct back serves one connector, that is one
 * virtual controller of one guest; struct back_driver finds connectors in xenstore and keeps one struct back for each.
 *
 * Does not trust the frontend: every request is copied once, checked, then used; every one gets exactly one
 * response; grants are unmapped before it. A violated ring ends in a named verdict, an
 * error node and state Closing on that connector; the others go on (rules: sections
 * 1 to 14 and 16 to 19 of the protocol; where implementations disagree, the LAB answer).
 *
 * A frontend that dies is noticed when its end of the event channel closes: everything is cancelled and unmapped, the
 * state becomes Closing, and a fresh frontend of the same guest finds a backend that follows it.
 *
 * Persistent grants are an extension, negotiated as blkif.h has it: a backend that keeps pages mapped writes
 * "feature-persistent" = "1" into its directory before InitWait, and a frontend that keeps its grants writes the same
 * into its own, with its other nodes. Where both did, the frontend grants a page once, read-write, ends no grant before
 * the connection does, and the backend may keep what it has mapped until then; it unmaps all before it writes Closing
 * or Closed. A peer that does not know the node never sees a difference. With kept pages the backend can look at and
 * change a buffer also between requests; who trusts it less than that does not offer.
 *
 * An URB ring of more than one page is another, with blkif.h's words for it: a backend that takes such writes
 * "max-urb-ring-page-order" = "0" to "4" into its directory before InitWait, the largest ring in powers of two of pages.
 * A frontend that finds it may write "urb-ring-page-order", not above that, with its other nodes, and the references
 * of the pages in their order into "urb-ring-ref", as always, "urb-ring-ref1", "urb-ring-ref2" and so on. Over those pages lies
 * one ring (pvusb/ring.h) of 16 slots for each page. Without urb-ring-page-order it is the one page of usbif.h; one that
 * is no number, or too large, ends in Closing, as two references of one page do.
 *
 * Threads: one. Time comes from step(). No allocation per request.
 */
#ifndef SIM_BACKEND_BACKEND_H
#define SIM_BACKEND_BACKEND_H

#include <fakexen/xen_ops.h>
#include <pvusb/verdict.h>
#include <xen/io/xenbus.h>

#include "hosts/usb_host.h"

struct back;

/* How the data of requests is reached. All serve every frontend; they differ in cost. */
enum back_buffers {
    BACK_BUFFERS_BEST, /* persistent grants with who keeps them; else small data is copied, larger is mapped */
    BACK_BUFFERS_MAP,  /* mapped for each request */
    BACK_BUFFERS_COPY, /* grant copy through memory of our own, whatever its size; isochronous transfers are mapped */
};

struct back_config {
    const char *kind;   /* "qusb" or "vusb": the name below /local/domain/<be>/backend (rule XS-02) */
    domid_t frontend;   /* the guest */
    unsigned int devid;
    struct usb_host *host; /* where devices come from; outlives the connector */
    void (*log)(void *context, const char *line);
    void *log_context;
    bool quiet; /* log only that a frontend died */
    enum back_buffers buffers;
    struct xen_waitset *set; /* for the driver: what its handles are waited for in; NULL: who waits polls their fds */
    unsigned int ring_pages; /* of an URB ring, at most: 1, 2, 4, 8 or 16; 0 is 8. With 1 nothing is offered */
};

struct back_stats {
    uint64_t requests;
    uint64_t responses;
    uint64_t refused; /* answered without reaching a device */
    uint64_t notifications;
    uint64_t plug_events;
    uint64_t lost_frontends; /* that went without closing */
    uint64_t map_calls;      /* grant_map() that succeeded, for requests */
    uint64_t mapped_pages;   /* by those */
    uint64_t copy_calls;     /* grant_copy() that succeeded */
    uint64_t copied_bytes;   /* by those; the device's own copy comes on top */
    uint64_t kept_hits;      /* pages of requests that were mapped already */
};

/* Takes the handle (closed by back_destroy()). Connecting goes on in back_step(). */
int back_create(struct xen *xen, const struct back_config *config, struct back **out);
/* Cancels and unmaps everything and frees; writes no state. */
void back_destroy(struct back *back);
/* Does everything that can be done at now_ns. -EPIPE when the machine is gone, -ENOENT when its directory is. */
int back_step(struct back *back, uint64_t now_ns);
/*
 * For who looks again at once instead of waiting: serves the requests that are on the ring, and nothing else, without a
 * system call and without asking for an event. back_step() must follow before waiting: it asks.
 */
void back_poll(struct back *back);
/* Whether back_poll() would find a request. One look at an index of the frontend's, which is not trusted. */
bool back_pending(const struct back *back);
/* True when step() should be called again at once: a guest kept it busy for longer than its share. */
bool back_busy(const struct back *back);
enum xenbus_state back_state(const struct back *back);
enum pvusb_verdict back_verdict(const struct back *back);
struct back_stats back_stats(const struct back *back);
struct xen *back_xen(struct back *back);

/* ---- the driver: all connectors of a backend domain ---- */

struct back_driver;

/*
 * Serves kind "qusb" and "vusb" in domain `domid` of the machine, for every guest that has a
 * directory there, and announces qusb (rule XS-16). config->frontend and ->devid are ignored.
 */
int back_driver_create(struct xen_machine *machine, domid_t domid, const struct back_config *config,
                       struct back_driver **out);
void back_driver_destroy(struct back_driver *driver);
/*
 * -EPIPE when the machine is gone. With config->set, connectors that nothing came for and that have nothing else to do
 * are left out: a wake-up costs the same however many idle guests there are.
 */
int back_driver_step(struct back_driver *driver, uint64_t now_ns);
bool back_driver_busy(const struct back_driver *driver);
/* back_poll() and back_pending() of all connectors. */
void back_driver_poll(struct back_driver *driver);
bool back_driver_pending(const struct back_driver *driver);
/* The i-th connector, NULL past the last. */
struct back *back_driver_connector(struct back_driver *driver, unsigned int i);
/* Fills fds to wait on without a set; returns how many there are, which may be more than size. */
unsigned int back_driver_fds(struct back_driver *driver, int *fds, unsigned int size);

#endif
