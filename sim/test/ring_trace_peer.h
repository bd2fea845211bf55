/* SPDX-License-Identifier: MIT */
/*
 * The two ends of a recording as bare rings: a frontend that writes the bytes it is given and a backend that
 * answers what it is told to, each against our own driver on the other side. Failures of
 * the machinery itself end the test; what the driver under test does is left to the caller.
 */
#ifndef SIM_TEST_RING_TRACE_PEER_H
#define SIM_TEST_RING_TRACE_PEER_H

#include <pvusb/ring.h>

#include "rig.h"
#include "ring_trace.h"

/* Reads DIR/NAME.trace; the test ends where it cannot. */
void ring_trace_load(const char *dir, const char *name, struct ring_trace *trace);

/*
 * The controller of the recorded sessions: USB 2.0 and four ports, three of them with a device. The names are
 * those of xenstore-connected.txt; the speeds, by port, those of the recorded connect events.
 */
#define RING_TRACE_PORTS   4u
#define RING_TRACE_DEVICES 3u
extern const char *const ring_trace_busid[RING_TRACE_PORTS + 1];
extern const uint8_t ring_trace_speed[RING_TRACE_PORTS + 1];

/* ---- a frontend ---- */

struct raw_front {
    struct rig *rig;
    struct xen *xen;
    void *urb_page;
    void *conn_page;
    grant_ref_t urb_ref;
    grant_ref_t conn_ref;
    evtchn_port_t evtchn;
    struct pvusb_ring_front urb;
    struct pvusb_ring_front conn;
    unsigned int notified; /* by us, for URB requests */
};

/* Connects to the rig's backend, which is started here. The first of 512 dummy requests has id first_conn_id.
 */
void raw_front_open(struct raw_front *front, struct rig *rig, uint16_t first_conn_id);
/* Lets the backend do all it can. */
void raw_front_run(struct raw_front *front);
/* Writes a request, pushes it and lets the backend run; returns the slot that it went to. */
uint16_t raw_front_send(struct raw_front *front, const struct usbif_urb_request *request);
/* Takes the next response and its slot; false without one. */
bool raw_front_response(struct raw_front *front, struct usbif_urb_response *out, uint16_t *slot);
/* Takes the next connect event and posts its request again (rule CONN-06). */
bool raw_front_event(struct raw_front *front, struct usbif_conn_response *out);
/* To be called after the backend has ended. */
void raw_front_close(struct raw_front *front);

/* ---- a backend ---- */

struct raw_back {
    struct rig *rig;
    struct xen *xen;
    void *urb_page;
    void *conn_page;
    evtchn_port_t evtchn;
    struct pvusb_ring_back urb;
    struct pvusb_ring_back conn;
};

/* Connects to the rig's frontend, which is started here. */
void raw_back_open(struct raw_back *back, struct rig *rig);
/* Lets the frontend do all it can. */
void raw_back_run(struct raw_back *back);
/* Takes the next request and its slot; false without one. */
bool raw_back_request(struct raw_back *back, struct usbif_urb_request *out, uint16_t *slot);
/* Writes a response and lets the frontend run; returns the slot that it went to. */
uint16_t raw_back_respond(struct raw_back *back, const struct usbif_urb_response *response);
/* Sends a connect event; returns the id of the request that it answers. */
uint16_t raw_back_plug(struct raw_back *back, uint8_t port, uint8_t speed);
void raw_back_close(struct raw_back *back);

#endif
