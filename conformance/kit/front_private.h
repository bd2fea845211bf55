/* SPDX-License-Identifier: MIT */
/* The inside of the frontend that a case plays. */
#ifndef CONFORMANCE_KIT_FRONT_PRIVATE_H
#define CONFORMANCE_KIT_FRONT_PRIVATE_H

#include "../front.h"
#include "kit.h"

#define FRONT_PAGE       4096u
#define FRONT_URB_SLOTS  16u
#define FRONT_CONN_SLOTS 512u
#define FRONT_RESPONSES  256u
#define FRONT_EVENTS     2048u
#define FRONT_PATH       160u

enum { FRONT_REQ_PROD = 0, FRONT_REQ_EVENT = 4, FRONT_RSP_PROD = 8, FRONT_RSP_EVENT = 12, FRONT_SLOTS = 64 };

struct front {
    struct conform *t;
    struct xen *xen;
    uint16_t bus; /* its number among those of the case, from 1 */
    struct store_controller controller;
    char dir[FRONT_PATH];
    char backend_dir[FRONT_PATH];
    uint8_t *urb_page, *conn_page;
    unsigned int order; /* of the pages of the URB ring, 0 where the case says nothing */
    grant_ref_t urb_ref[FRONT_RING_PAGES], conn_ref;
    evtchn_port_t port;
    bool made; /* rings, grants and channel are there */
    uint32_t urb_req;       /* put into slots */
    uint32_t urb_published; /* of those, told to the backend */
    uint32_t urb_rsp;       /* taken */
    uint32_t conn_req, conn_published, conn_rsp;
    uint8_t *data;
    grant_ref_t rw[FRONT_PAGES], ro[FRONT_PAGES];
    struct usbif_urb_response rsp[FRONT_RESPONSES]; /* taken and not yet expected, in order of the ring */
    unsigned int nr_rsp;
    struct usbif_conn_response event[FRONT_EVENTS];
    unsigned int nr_events;
    struct usbif_conn_response last_event;
    bool any_event;
    unsigned int notified;
    uint16_t next_id;
    struct front_knobs knobs;
};

/* Takes what events announced; without an event it does not look, so that a lost notification shows. */
bool kit_front_poll(struct front *f);
/* conform_settle(), and the answers to it, until nothing comes any more. */
void kit_front_settle(struct front *f);
/* Fails with the call's name unless rc is 0. */
void kit_front_need(struct front *f, int rc, const char *call);

#endif
