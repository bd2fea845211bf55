/* SPDX-License-Identifier: MIT */
/*
 * A USB host with a device at each of "1-1" to "1-31", which answers at once, later, in any order over the endpoints,
 * in part, with errors, or not at all; and from which devices are pulled at random, with transfers in flight.
 */
#ifndef SIM_TEST_STRESS_HOST_H
#define SIM_TEST_STRESS_HOST_H

#include "stress.h"

#define STRESS_HELD 128u /* as many as the URB ring has slots */

struct stress_transfer {
    struct host_urb *urb;
    unsigned int port;
    unsigned int end;
    uint32_t number;
    uint64_t key;
    uint64_t due_ns;
    bool standard;  /* a request of chapter 9 of USB 2.0 */
    bool cancelled; /* to be completed as such when due */
};

struct stress_device {
    bool plugged;
    bool open;
    bool away;           /* the toolstack has taken it from its port */
    uint16_t generation; /* counts who opened it */
    uint8_t speed;
    uint64_t back_ns;    /* when it comes again; UINT64_MAX: it is there */
    struct {
        uint32_t number;   /* of the newest */
        uint64_t position; /* of a stream */
    } end[STRESS_ENDS];
};

struct stress_host {
    struct usb_host host;
    uint64_t seed;
    uint64_t random;
    uint64_t now_ns;
    uint64_t unplug_ns;
    uint64_t quiet_ns;       /* when the streams have nothing to say next */
    uint64_t quiet_until_ns; /* how long they have not */
    uint32_t quiet_more_ms;
    uint32_t quiet_gap_ms;
    const struct usb_host_listener *listener;
    struct stress_device device[STRESS_PORTS + 1]; /* [0] unused */
    struct stress_transfer held[STRESS_HELD];      /* in order of submit() */
    unsigned int nr_held;
    struct stress_report *report;
    struct xen *toolstack; /* writes ports' nodes, as vusb_set_port() */
    uint8_t data[65536];
};

/* toolstack is a handle of domain 0, and stays the caller's. */
void stress_host_init(struct stress_host *host, const struct stress_options *options, struct xen *toolstack,
                      struct stress_report *report);
/* The controller that everything here is about. */
const struct vusb_controller *stress_controller(void);
/* "1-<port>" */
void stress_busid(unsigned int port, char busid[16]);

#endif
