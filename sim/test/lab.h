/* SPDX-License-Identifier: MIT */
/*
 * A guest, its controller and simulated devices in virtual time, the same for a test two ways: over
 * loop_hcd.h, and over the whole spine (frontend, local machine, backend driver). What is in between must
 * make no difference.
 */
#ifndef SIM_TEST_LAB_H
#define SIM_TEST_LAB_H

#include <fakexen/fakexen.h>

#include "backend/backend.h"
#include "frontend/frontend.h"
#include "guest/guest.h"
#include "guest/loop_hcd.h"
#include "test/test_device_util.h"
#include "toolstack/vusb.h"

enum lab_way { LAB_LOOP, LAB_SPINE, LAB_WAYS };

struct lab {
    enum lab_way way;
    struct sim_host *sim;
    struct usb_host *host;
    struct loop_hcd *loop;
    struct fakexen_local *local;
    struct xen *dom0;
    struct vusb_controller controller;
    struct front *front;
    struct back_driver *driver;
    struct guest *guest;
    uint64_t now_ns;
    uint64_t limit_ns; /* of lab_run_for() */
    uint64_t rounds;
    struct guest_device *device; /* the last one that became ready, NULL when it is gone */
    unsigned int ready, gone, failed;
    int error;
    /* Set after lab_open(). */
    void (*on_ready)(struct lab *lab, struct guest_device *device);
    void (*on_gone)(struct lab *lab, struct guest_device *device);
    void *context;
};

/* The controller has four ports and is connected. */
void lab_open(struct lab *lab, enum lab_way way);
/* Takes the device. Returns what the host said to a driver that wants it; 0 over the spine, where it logs. */
int lab_plug(struct lab *lab, unsigned int port, const char *busid, struct usb_device *device);
void lab_unplug(struct lab *lab, const char *busid);
/* One round; time passes when nothing else is to be done. False when nothing will ever happen again. */
bool lab_step(struct lab *lab);
/* Until then; at most a number of rounds that no test reaches. */
void lab_run(struct lab *lab);
/* Does all that is due in that time. */
void lab_run_for(struct lab *lab, uint64_t ns);
/* Closes the guest and both drivers and checks that nothing is left. */
void lab_close(struct lab *lab);

#endif
