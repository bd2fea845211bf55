/* SPDX-License-Identifier: MIT */
/* The inside of the backend that a case plays. */
#ifndef CONFORMANCE_KIT_BACK_PRIVATE_H
#define CONFORMANCE_KIT_BACK_PRIVATE_H

#include "../back.h"
#include "kit.h"

#define BACK_PAGE       4096u
#define BACK_URB_SLOTS  16u
#define BACK_CONN_SLOTS 512u
#define BACK_PATH       160u
#define BACK_HOLDS      8u

struct kit_back {
    struct xen *xen;
    domid_t frontend;
    char dir[BACK_PATH];
    char frontend_dir[BACK_PATH];
    unsigned int order_max; /* of an URB ring's pages, as the case offers */
    unsigned int order;     /* as the frontend asks for, while mapped */
    struct usbif_urb_sring *urb; /* NULL while not mapped */
    struct usbif_conn_sring *conn;
    evtchn_port_t evtchn; /* 0 while not bound */
    uint32_t req_cons;
    uint32_t rsp_prod; /* responses put; published by back_push() */
    uint32_t rsp_published;
    uint32_t conn_cons; /* both ways: each event uses up one request */
    unsigned int events;
    struct {
        uint8_t *pages;
        unsigned int count;
    } hold[BACK_HOLDS];
};

#endif
