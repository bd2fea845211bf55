/* SPDX-License-Identifier: MIT */
/*
 * The frontend that a case plays against a backend under test: rings, grants, an event channel and nodes, made
 * of bytes. It keeps the rules only where the case does not say otherwise. Knows the layout from xen/io/usbif.h and
 * ring.h, nothing else, so that a mistake of this project's own encoders cannot hide itself.
 *
 * A case has FRONT_MAX of them, 0 is started by the kit as the case says; functions without a number are for it.
 * Every request, response, plug event, notification and state is in the event log.
 */
#ifndef CONFORMANCE_FRONT_H
#define CONFORMANCE_FRONT_H

#include <stdint.h> /* Xen's headers need it first */

#include <xen/io/usbif.h>
#include <xen/io/xenbus.h>

#include "conform.h"
#include "probe.h"
#include "store.h"

/* The drivers have functions of these names inside, and may be linked into the same program. */
#define front_connect conform_front_connect
#define front_push conform_front_push
#define front_set_state conform_front_set_state

#define FRONT_MAX   4u
#define FRONT_RING_PAGES 16u /* of an URB ring, at most (extension.ring-pages) */
#define FRONT_PAGES 20u /* of buffer: 80 KiB, every page granted read-write and read-only */

/* The pipe word: shifts of usbif.h. type 0 iso 1 int 2 control 3 bulk. */
#define FRONT_PIPE(type, device, endpoint, in) \
    ((uint32_t)(type) << 30 | (uint32_t)(endpoint) << 15 | (uint32_t)(device) << 8 | (uint32_t)(in) << 7)
#define FRONT_ISO    0u
#define FRONT_INT    1u
#define FRONT_CTRL   2u
#define FRONT_BULK   3u
#define FRONT_UNLINK 0x20u

struct front; /* one frontend */
struct front *front_number(struct conform *t, unsigned int n);

/* ---- connecting, for cases that start with less than CONFORM_CONNECTED ---- */

/* Makes another controller with its frontend, of another guest perhaps (needs "guests" then); not connected. */
struct front *front_add(struct conform *t, domid_t guest, unsigned int devid, unsigned int usb_ver,
                        unsigned int num_ports);
/* From the next front_make() on: an URB ring of so many pages, in powers of two. 0 at first. */
void front_set_ring_order(struct front *f, unsigned int order);
/* Rings, grants, unbound port; nothing in xenstore. */
void front_make(struct front *f);
/* Ends them. Fails when the peer still maps one. */
void front_unmake(struct front *f);
/* Posts n plug requests with ids first, first+1... and publishes them. */
void front_prime(struct front *f, unsigned int n, uint16_t first);
/* urb-ring-ref, conn-ring-ref, event-channel, and those of a larger ring, in one transaction. */
void front_write_nodes(struct front *f);
void front_set_node(struct front *f, const char *node, const char *value); /* value NULL: removes it */
void front_set_state(struct front *f, enum xenbus_state state);
/* What the backend's state node says now; Unknown when it is missing. */
enum xenbus_state front_backend_state(struct front *f);
/* Waits for it. */
void front_expect_backend_state(struct front *f, enum xenbus_state state);
/* Waits for InitWait, then all of the above up to both Connected, as Linux does it. */
void front_connect(struct front *f);
/* Closing, Closed, with what the backend must do in between; afterwards front_connect() works again. */
void front_disconnect(struct front *f);
/* The guest dies without a word; the frontend is of no use any more. Needs "guests". */
void front_crash(struct front *f);
/* Toolstack: what stands in port/N ("" is an empty port), and the wait for what the backend says of it. */
void front_port(struct front *f, unsigned int port, const char *busid);
/* Plugs the probe device into a port and gives it CONFORM_ADDRESS+n and configuration 1. */
void front_attach_probe(struct front *f, unsigned int port, unsigned int n);

/* ---- requests ---- */

/* A free id, all bytes without meaning set to junk, no segments. */
struct usbif_urb_request front_request(struct conform *t, uint32_t pipe);
/* With the setup packet, and segments over the buffer when wLength > 0. */
struct usbif_urb_request front_control(struct conform *t, uint32_t device, uint8_t type, uint8_t request,
                                       uint16_t value, uint16_t index, uint32_t offset, uint16_t length);
/* endpoint with bit 7 for IN, of the probe device, at `offset` of the buffer. */
struct usbif_urb_request front_bulk(struct conform *t, uint8_t endpoint, uint32_t offset, uint32_t length);
struct usbif_urb_request front_int(struct conform *t, uint8_t endpoint, uint32_t offset, uint32_t length);
/* Packets of packet_length each; the descriptors lie in the last page of the buffer. */
struct usbif_urb_request front_iso(struct conform *t, uint8_t endpoint, uint32_t offset, unsigned int packets,
                                   uint32_t packet_length);
struct usbif_urb_request front_unlink(struct conform *t, const struct usbif_urb_request *target);
/* Appends a segment to the data; buffer_length follows. */
void front_segment(struct usbif_urb_request *request, grant_ref_t gref, uint16_t offset, uint16_t length);
/* Segments for length bytes of the buffer from offset on. */
void front_buffer(struct front *f, struct usbif_urb_request *request, uint32_t offset, uint32_t length);
/* The buffer, and the references of its pages. */
uint8_t *front_data(struct front *f);
grant_ref_t front_ref(struct front *f, unsigned int page, bool readonly);
/* Skips the case where grants are less than Xen's: see "gntalloc" of conform_has(). */
void front_need_grants(struct front *f);

/* ---- the rings ---- */

/* Puts it into the next slot, whether one is free or not; publishes; notifies if the backend asked for that. */
void front_send(struct conform *t, const struct usbif_urb_request *request);
void front_send_on(struct front *f, const struct usbif_urb_request *request);
/* The parts of that. */
void front_put(struct front *f, const struct usbif_urb_request *request);
bool front_push(struct front *f); /* true when it notified */
void front_notify(struct front *f);
/*
 * Waits for the response with that id and checks status and actual_length. It may come before or after
 * others, which are kept for their own expectations; a response nobody expects fails the case at its end.
 */
struct usbif_urb_response front_expect(struct conform *t, uint16_t id, int32_t status, int32_t actual);
struct usbif_urb_response front_expect_on(struct front *f, uint16_t id, int32_t status, int32_t actual);
/* Waits and returns it, whatever it says. */
struct usbif_urb_response front_response(struct front *f, uint16_t id);
/* The next response in the order of the ring. */
struct usbif_urb_response front_next(struct front *f);
/* After conform_settle(): no response for that id has come. */
void front_expect_none(struct conform *t, uint16_t id);
/* Waits for the plug event: this one, repeats of the last one are allowed (CONN-10). */
void front_expect_plug(struct front *f, uint8_t port, uint8_t speed);
/* After conform_settle(): no plug event that was not expected. */
void front_expect_no_plug(struct front *f);
/* Waits until the page's rsp_prod says so, without taking anything off the ring. */
void front_expect_published(struct front *f, const uint8_t *page, uint32_t rsp_prod);
/* Whatever plug events have come and still come by themselves: none of them counts. */
void front_drain_plugs(struct front *f);
/* Takes the next plug event as it is; waits. */
struct usbif_conn_response front_next_plug(struct front *f);
/* The connector still works: control, then bulk in of the probe device at port 1. */
void front_check_works(struct conform *t);
void front_check_works_on(struct front *f);

/* Words of the pages: req_prod 0, req_event 4, rsp_prod 8, rsp_event 12; slots follow at 64. */
uint8_t *front_urb_page(struct front *f);
uint8_t *front_conn_page(struct front *f);
uint32_t front_word(const uint8_t *page, unsigned int offset);
void front_set_word(uint8_t *page, unsigned int offset, uint32_t value);
uint8_t *front_slot(struct front *f, uint32_t index); /* of request number `index` */

/* Knobs, all false at first. */
struct front_knobs {
    bool hold_plug_requests; /* does not post a plug request again for each event */
    bool deaf;               /* leaves responses on the ring */
    bool silent;             /* publishes but never notifies */
};
struct front_knobs *front_knobs(struct front *f);
/* Events that came on the channel. */
unsigned int front_notified(const struct front *f);
/* The guest's handle, for what is not here. */
struct xen *front_handle(struct front *f);
const char *front_dir(const struct front *f);         /* /local/domain/N/device/vusb/D */
const char *front_backend_dir(const struct front *f); /* its backend's */
/* Pages that the peer maps of this guest; needs "inproc". */
unsigned int front_mapped(struct front *f);
/* Event channel ports that are open on the machine, of both halves; needs "inproc". */
unsigned int front_channels(struct front *f);

#endif
