/* SPDX-License-Identifier: MIT */
/*
 * A guest that drives all ports of a controller at random and knows for every URB how it may come back. Needs to be
 * stepped after its controller, on every event and at its deadline.
 */
#ifndef SIM_TEST_STRESS_GUEST_H
#define SIM_TEST_STRESS_GUEST_H

#include "stress.h"

#define STRESS_WORKS     40u
#define STRESS_BUFFER    (17u * 4096u)
#define STRESS_URB_BYTES 65536u
#define STRESS_POISON    0xa5u /* in buffers before data comes in */

struct stress_guest;

struct stress_work {
    struct hcd_urb urb; /* first */
    struct stress_guest *guest;
    uint8_t *buffer; /* STRESS_BUFFER bytes */
    bool busy;
    bool may_flush;  /* one before it ended in a way that ends those behind it too */
    int reason;      /* of the unlink, 0 without one */
    unsigned int end;
    uint32_t number;
    unsigned int generation;
    uint64_t key;
    uint64_t order;
    uint64_t begun_ns;
    uint64_t patience_ns; /* when to unlink it */
    struct pvusb_iso_desc packets[PVUSB_ISO_PACKETS_MAX];
};

struct stress_port {
    enum {
        PORT_EMPTY,
        PORT_SETTLING,    /* a device is there; its predecessor's URBs must come back first */
        PORT_ENUMERATING,
        PORT_READY,
        PORT_GONE,        /* an URB said so, the hub not yet */
    } state;
    uint8_t address;      /* 0: none */
    uint8_t stage;
    bool asking;          /* ask is at the controller */
    unsigned int generation;
    unsigned int in_flight;
    uint64_t gone_ns;
    uint64_t asked_ns;
    struct hcd_urb ask;
    uint8_t *page;
    struct stress_guest *guest;
    struct {
        uint32_t number;
        uint64_t position;
    } end[STRESS_ENDS];
};

struct stress_guest {
    struct hcd *hcd;
    struct stress_report *report;
    uint64_t seed;
    uint64_t random;
    uint64_t now_ns;
    uint64_t order;
    bool stopped;  /* nothing new is begun */
    bool closing;  /* -ESHUTDOWN is what to expect */
    /* The mood of the moment: much or little at once, wide or narrow, so that some endpoints have long queues. */
    unsigned int target;     /* URBs to keep in flight */
    unsigned int first_port; /* those that are in use, counted round */
    unsigned int nr_ports;
    unsigned int nr_endpoints;
    unsigned int in_share;   /* of 8 */
    unsigned int in_flight;
    uint8_t *memory;
    uint8_t *stranger; /* memory that is not the controller's */
    struct stress_work work[STRESS_WORKS];
    struct stress_port port[STRESS_PORTS + 1]; /* [0] unused */
};

/* For a connected controller. */
int stress_guest_create(struct hcd *hcd, uint64_t seed, struct stress_report *report, struct stress_guest **out);
/* Gives the controller its memory back; all URBs must be. */
void stress_guest_release(struct stress_guest *guest);
void stress_guest_destroy(struct stress_guest *guest);
void stress_guest_step(struct stress_guest *guest, uint64_t now_ns);
uint64_t stress_guest_deadline(const struct stress_guest *guest);
/* True when all URBs are back. */
bool stress_guest_idle(const struct stress_guest *guest);
/* Fills up once more, for a controller that is then closed over it. */
void stress_guest_last_batch(struct stress_guest *guest);

/* stress_ports.c: what is plugged in where */
void stress_ports_init(struct stress_guest *guest, uint8_t *pages);
void stress_ports_follow(struct stress_guest *guest);
/* An URB of a port said that its device is gone. */
void stress_port_gone(struct stress_guest *guest, unsigned int port);

/* stress_check.c: whether an URB came back as it may; moves the streams on */
void stress_check(struct stress_guest *guest, struct stress_work *work);

#endif
