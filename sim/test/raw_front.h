/* SPDX-License-Identifier: MIT */
/*
 * A frontend for tests of the backend. It knows the wire layout of xen/io/usbif.h and nothing of
 * ring/, so that a mistake there cannot hide itself here, and so that it can say
 * anything, legal or not. It keeps the rules only where the caller does not say otherwise.
 */
#ifndef SIM_TEST_RAW_FRONT_H
#define SIM_TEST_RAW_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include <fakexen/xen_ops.h>
#include <pvusb/abi.h> /* the barriers that usbif.h leaves to its user */
#include <xen/io/usbif.h>
#include <xen/io/xenbus.h>

#define RAW_PAGES     20u
#define RAW_ORDER_MAX 4u
#define RAW_RESPONSES 256u
#define RAW_EVENTS    2048u

/* The pipe word, shifts as in usbif.h "pipe" (section 0.1 of the rules). */
#define RAW_PIPE(type, device, ep, in) \
    ((uint32_t)(type) << 30 | (uint32_t)(ep) << 15 | (uint32_t)(device) << 8 | (uint32_t)(in) << 7)
#define RAW_CTRL   2u
#define RAW_BULK   3u
#define RAW_INT    1u
#define RAW_ISO    0u
#define RAW_UNLINK 0x20u

struct raw_front {
    struct xen *xen;
    domid_t backend;
    char dir[64];
    unsigned int order; /* of the pages of the URB ring (backend.h), 0 if the test does not say otherwise */
    uint8_t *urb_page;
    uint8_t *conn_page;
    grant_ref_t urb_ref;
    grant_ref_t more_ref[(1u << RAW_ORDER_MAX) - 1]; /* of the pages behind the first */
    grant_ref_t conn_ref;
    evtchn_port_t port;
    bool made; /* rings, grants and channel are there */
    uint32_t urb_req;       /* put into slots */
    uint32_t urb_published; /* of those, told to the backend */
    uint32_t urb_rsp;       /* taken */
    uint32_t conn_req;
    uint32_t conn_published;
    uint32_t conn_rsp;
    uint8_t *page; /* RAW_PAGES for buffers, each granted read-write and read-only */
    grant_ref_t rw[RAW_PAGES];
    grant_ref_t ro[RAW_PAGES];
    struct usbif_urb_response rsp[RAW_RESPONSES]; /* in order of arrival */
    unsigned int nr_rsp;
    struct usbif_conn_response event[RAW_EVENTS];
    unsigned int nr_events;
    unsigned int notified; /* events on the channel */
    bool hold_conn;        /* does not post a conn request again for each event */
    bool deaf;             /* leaves the responses on the rings */
};

/* Takes a handle of the guest; buffers are granted at once. */
void raw_front_open(struct raw_front *f, struct xen *xen, domid_t backend, unsigned int devid);
/* Rings, their grants and a channel; nothing in xenstore yet. */
void raw_front_make(struct raw_front *f);
/* Ends what raw_front_make() made, which must not be mapped any more. */
void raw_front_unmake(struct raw_front *f);
/* Ends everything; asserts that nothing of it is mapped. */
void raw_front_close(struct raw_front *f);
/* Puts n conn requests whose ids are first, first + 1 and so on, and publishes them (rule CONN-01). */
void raw_front_prime(struct raw_front *f, unsigned int n, uint16_t first);
/* The three nodes, and those of a larger ring, in one transaction (rule XS-11). */
void raw_front_write_nodes(struct raw_front *f);
void raw_front_set_node(struct raw_front *f, const char *node, const char *value);
void raw_front_set_state(struct raw_front *f, enum xenbus_state state);
/* All of the above as Linux does it, up to state Connected (rule BUS-06). */
void raw_front_connect(struct raw_front *f);

/* A request with every byte that has no meaning set to junk (rule SEG-10). No segments. */
struct usbif_urb_request raw_request(uint16_t id, uint32_t pipe);
struct usbif_urb_request raw_control(uint16_t id, uint32_t device, const uint8_t setup[8]);
struct usbif_urb_request raw_unlink(uint16_t id, uint32_t pipe, uint16_t target);
/* Appends a segment to the data; buffer_length follows. */
void raw_segment(struct usbif_urb_request *request, grant_ref_t gref, uint16_t offset, uint16_t length);
/* Segments for length bytes of the buffer pages from offset on (rule SEG-02). */
void raw_buffer(struct raw_front *f, struct usbif_urb_request *request, uint32_t offset, uint32_t length);

/* Puts a request into the next slot, whether one is free or not. */
void raw_front_put(struct raw_front *f, const struct usbif_urb_request *request);
/* Where request number `index` is in the page. */
uint8_t *raw_front_slot(struct raw_front *f, uint32_t index);
/* Publishes; notifies if the backend asked for it (rule RING-05). True if it notified. */
bool raw_front_push(struct raw_front *f);
/* Both. */
void raw_front_send(struct raw_front *f, const struct usbif_urb_request *request);
void raw_front_notify(struct raw_front *f);
/* Takes what an event announced; without an event it does not look. True if there was one. */
bool raw_front_poll(struct raw_front *f);
/* Takes the responses that are there and asks for the event of the next. */
void raw_front_take(struct raw_front *f);
/* The producer of URB responses as it stands in the page. */
uint32_t raw_front_rsp_prod(const struct raw_front *f);

/* A word of a ring page: req_prod 0, req_event 4, rsp_prod 8, rsp_event 12 (section 0.1). */
uint32_t raw_word(const uint8_t *page, unsigned int offset);
void raw_set_word(uint8_t *page, unsigned int offset, uint32_t value);

#endif
