/* SPDX-License-Identifier: MIT */
/*
 * The backend that a case plays against a frontend under test, made of bytes: nothing happens by itself, no state
 * follows another, no request is answered unless the case does it. And the guest above that
 * frontend, where the peer offers one (ability "guest"): what submits URBs and sees them return.
 *
 * Without "guest" a case can still count on what every guest's USB core does when a device is plugged in: it
 * powers and resets the port, sets an address and asks for descriptors.
 */
#ifndef CONFORMANCE_BACK_H
#define CONFORMANCE_BACK_H

#include <stdint.h> /* Xen's headers need it first */

#include <xen/io/usbif.h>
#include <xen/io/xenbus.h>

#include "conform.h"
#include "store.h"

/* The drivers have functions of these names inside, and may be linked into the same program. */
#define back_disconnect conform_back_disconnect
#define back_push conform_back_push
#define back_set_state conform_back_set_state

/* ---- states and rings; CONFORM_CONNECTED and CONFORM_READY have done all that ---- */

void back_set_state(struct conform *t, enum xenbus_state state);
void back_set_node(struct conform *t, const char *node, const char *value); /* NULL: removes it */
enum xenbus_state back_frontend_state(struct conform *t);
void back_expect_frontend_state(struct conform *t, enum xenbus_state state);
/* Before back_connect(): the frontend may have an URB ring of so many pages, in powers of two, at most 4. */
void back_offer_ring(struct conform *t, unsigned int order);
unsigned int back_ring_order(const struct conform *t); /* what the frontend made of it */
/* Reads the frontend's nodes, maps both rings, binds the channel; fails when one of them is not right. */
void back_map(struct conform *t);
void back_unmap(struct conform *t);
/* InitWait, the frontend's Connected, map, Connected. */
void back_connect(struct conform *t);
/* The orderly answer to a frontend's Closing, or an own close. */
void back_disconnect(struct conform *t);

/* ---- the rings ---- */

/* Waits for the next request. */
struct usbif_urb_request back_take(struct conform *t);
/* True when there is one now. */
bool back_try_take(struct conform *t, struct usbif_urb_request *request);
/* After conform_settle(): nothing on the ring. */
void back_expect_no_request(struct conform *t);
/* Writes a response into the next slot, publishes and notifies if the frontend asked for that. */
void back_respond(struct conform *t, uint16_t id, int32_t status, int32_t actual);
void back_respond_raw(struct conform *t, const struct usbif_urb_response *response);
void back_put(struct conform *t, const struct usbif_urb_response *response);
bool back_push(struct conform *t); /* true when it notified */
void back_notify(struct conform *t);
/* A plug event with the id of the plug request that it uses up; or with every byte chosen. */
void back_plug(struct conform *t, uint8_t port, uint8_t speed);
void back_plug_raw(struct conform *t, struct usbif_conn_response event);
/* Copies data out of (OUT) or into (IN) the segments of a request, mapping them for that. Returns the bytes. */
uint32_t back_copy_out(struct conform *t, const struct usbif_urb_request *request, void *data, uint32_t size);
uint32_t back_copy_in(struct conform *t, const struct usbif_urb_request *request, const void *data, uint32_t size);
/* Maps count segments from first on and leaves them mapped until back_release(). -errno when refused. */
int back_hold(struct conform *t, const struct usbif_urb_request *request, unsigned int first, unsigned int count,
              bool writable, uint8_t **out);
void back_release(struct conform *t, uint8_t *pages, unsigned int count);

/* Pages, grants and event channels of the machine, of both halves together. Needs "inproc". */
struct back_balance {
    unsigned int pages, grants, ports;
};
struct back_balance back_balance(struct conform *t);

uint8_t *back_urb_page(struct conform *t);
uint8_t *back_conn_page(struct conform *t);
unsigned int back_notified(const struct conform *t);
uint32_t back_requests(const struct conform *t); /* consumed */
struct xen *back_handle(struct conform *t);
const char *back_dir(const struct conform *t);
const char *back_frontend_dir(const struct conform *t);

/* ---- the guest (needs "guest") ---- */

#define GUEST_URBS_MAX 256u

struct guest_urb {
    uint8_t port, device, endpoint, type; /* type as in the pipe word */
    bool in, short_not_ok;
    uint8_t setup[8];
    uint16_t interval;
    uint16_t nr_packets;    /* isochronous */
    uint32_t packet_length;
    uint32_t length;
    uint32_t offset; /* in the guest's buffer of 64 pages */
};

struct guest_result {
    int status; /* 0 or -errno as Linux drivers know it */
    uint32_t actual;
    uint32_t error_count;
    unsigned int times; /* that it was given back: 0, 1, or an error of the frontend */
};

struct guest_packet {
    int status; /* as in struct guest_result */
    uint32_t actual;
};

/* Returns a number for the URB, or -errno when the frontend refused it. */
int guest_submit(struct conform *t, const struct guest_urb *urb);
/* 0 or -errno. reason -ECONNRESET or -ENOENT. */
int guest_unlink(struct conform *t, int urb, int reason);
struct guest_result guest_result(struct conform *t, int urb);
/* What became of one packet of an isochronous URB that is back. */
struct guest_packet guest_packet(struct conform *t, int urb, unsigned int packet);
/* Waits until it is given back; checks it. */
void guest_expect(struct conform *t, int urb, int status, uint32_t actual);
/* After conform_settle(): still out. */
void guest_expect_none(struct conform *t, int urb);
/* The guest's buffer: copies to and from. */
void guest_write(struct conform *t, uint32_t offset, const void *data, uint32_t size);
void guest_read(struct conform *t, uint32_t offset, void *data, uint32_t size);
/* A request to the root hub: bytes put into data, or -EPIPE. */
int guest_hub(struct conform *t, const uint8_t setup[8], void *data, uint16_t size);
/* The hub's status change endpoint: bit p for port p, 0 when there is nothing to tell. */
uint32_t guest_hub_changes(struct conform *t);
/* wPortStatus | wPortChange << 16. */
uint32_t guest_port_status(struct conform *t, unsigned int port);
/*
 * An orderly close from the guest's side, and a new start after Closed. A frontend may not begin again by itself
 * (observed.frontend.no-reconnect): the case is skipped then.
 */
void guest_close(struct conform *t);
void guest_reconnect(struct conform *t);

#endif
