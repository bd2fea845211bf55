/* SPDX-License-Identifier: MIT */
/*
 * A backend for tests of the frontend, made of bytes: it knows the layout of xen/io/usbif.h and
 * ring.h and nothing else, so that an error of our own encoders cannot hide itself, and
 * it does what it is told, legal or not. Nothing happens by itself: no state follows another.
 */
#ifndef SIM_TEST_RAW_BACK_H
#define SIM_TEST_RAW_BACK_H

#include <fakexen/xen_ops.h>
#include <xen/io/usbif.h>
#include <xen/io/xenbus.h>

#define RAW_PAGE 4096u

/* The isochronous descriptor of rule ISO-02, as words: offset, length, actual length, status. */
struct raw_iso {
    uint32_t word[4];
};

struct raw_back {
    struct xen *xen;
    domid_t frontend;
    char dir[128];
    char frontend_dir[128];
    unsigned int order; /* of the pages of the URB ring that the frontend is expected to have */
    uint32_t urb_ref[16];
    uint32_t conn_ref;
    uint32_t remote_port;
    struct usbif_urb_sring *urb; /* NULL while not mapped */
    struct usbif_conn_sring *conn;
    evtchn_port_t evtchn; /* 0 while not bound */
    uint32_t req_cons;    /* of the URB ring */
    uint32_t rsp_prod;
    uint32_t conn_cons;  /* of the connection ring, both ways: each event uses up one request */
    unsigned int events; /* taken from the channel */
};

/* For the controller backend/qusb/<frontend>/0 of domain 0; takes the handle. */
void raw_back_init(struct raw_back *back, struct xen *xen, domid_t frontend);
/* Unmaps and closes. */
void raw_back_dispose(struct raw_back *back);

void raw_back_state(struct raw_back *back, enum xenbus_state state);
/* What the frontend's state node says; Unknown if missing. */
enum xenbus_state raw_back_frontend_state(struct raw_back *back);
/*
 * Reads the frontend's nodes, maps both rings, binds the channel. 0, or the errno of the first that failed.
 */
int raw_back_map(struct raw_back *back);
/* Unmaps what is mapped and closes the channel. */
void raw_back_unmap(struct raw_back *back);
/* Takes pending events and counts them. */
void raw_back_drain(struct raw_back *back);
void raw_back_notify(struct raw_back *back);

/* Copies out the next request; false when there is none, and then asks for an event with the next. */
bool raw_back_take(struct raw_back *back, struct usbif_urb_request *request);
/* Writes a response into the next slot, publishes it and notifies. */
void raw_back_respond(struct raw_back *back, struct usbif_urb_response response);
/* The same without publishing. */
void raw_back_put(struct raw_back *back, struct usbif_urb_response response);
void raw_back_publish(struct raw_back *back);
/* A plug event, with the id of the request that it uses up; published and notified. */
void raw_back_plug(struct raw_back *back, uint8_t portnum, uint8_t speed);
/* The same with every byte chosen. */
void raw_back_plug_raw(struct raw_back *back, struct usbif_conn_response event);

/* Maps the pages of count segments from first on, at consecutive pages. */
int raw_back_map_segments(struct raw_back *back, const struct usbif_urb_request *request, unsigned int first,
                          unsigned int count, bool writable, uint8_t **out);
void raw_back_unmap_segments(struct raw_back *back, uint8_t *pages, unsigned int count);
/* Copies data into (in) or out of the data segments of a request; returns the bytes copied. */
uint32_t raw_back_copy(struct raw_back *back, const struct usbif_urb_request *request, bool in, void *data,
                       uint32_t length);

#endif
