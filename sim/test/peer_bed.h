/* SPDX-License-Identifier: MIT */
/*
 * QEMU's backend on one side, our frontend and guest on the other, a machine of its own between: what tests
 * with that peer stand on. In real time, unless in a hurry; every wait is for an event and has a limit, after
 * which the test fails.
 *
 * QEMU 7.2 dies of URBs that are in flight when the frontend closes: a bed lets its guest go first.
 */
#ifndef SIM_TEST_PEER_BED_H
#define SIM_TEST_PEER_BED_H

#include "frontend/frontend.h"
#include "guest/guest.h"
#include "peer/peer.h"
#include "process/family.h"
#include "toolstack/vusb.h"

#define BED_GUEST      1u
#define BED_PORTS      8u
#define BED_PATIENCE_S 60u

struct bed {
    struct family family;
    struct xen_machine *machine;
    struct xen *dom0;
    struct vusb_controller controller;
    struct peer *peer;
    struct front *front;
    struct guest *guest;
    struct guest_device *device[BED_PORTS + 1]; /* that is ready on each port, NULL for none */
    unsigned int came, left, failed;            /* ever */
    unsigned int hurry; /* so much faster than the real one is the clock of frontend and guest; 0 for 1 */
    bool died;
    struct peer_death death;
    /* What a test has on a device, to be let go in gone(); NULL for nothing. */
    void (*gone)(void *context, struct guest_device *device);
    void *context;
};

/* Whether the packages for the peer are there; if not, prints why, and the test is to exit with 77. */
bool bed_possible(void);
/* A machine with a guest. */
void bed_open(struct bed *bed);
/* All must be given back: nothing is open on the machine. */
void bed_close(struct bed *bed);
/* QEMU with these devices on ports 1, 2, ..., connected. */
void bed_begin(struct bed *bed, const char *const *devices, unsigned int n);
/* The other way round. QEMU must be alive, unless bed->died. */
void bed_end(struct bed *bed);
/* A guest on the connection that is there. */
void bed_connect(struct bed *bed);
/* Takes everything back, and closes the connection. */
void bed_disconnect(struct bed *bed);
/* Does what there is to do now. */
void bed_step(struct bed *bed);
/* Runs until condition(context), or fails naming what. */
void bed_until(struct bed *bed, bool (*condition)(void *context), void *context, const char *what);
/* Runs until there is a device on that port, and returns it. */
struct guest_device *bed_device(struct bed *bed, unsigned int port);
/* A command for pvusb-usbfs that must be obeyed. */
void bed_tell(struct bed *bed, const char *command);

#endif
