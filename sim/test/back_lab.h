/* SPDX-License-Identifier: MIT */
/*
 * Tests of the backend alone: the rig with raw frontends in place of the frontend driver, one per
 * controller, and a handle of the backend whose calls a test can watch.
 */
#ifndef SIM_TEST_BACK_LAB_H
#define SIM_TEST_BACK_LAB_H

#include "raw_front.h"
#include "rig.h"

#define LAB_FRONTS 4u
#define LAB_ADDRESS 3u /* of the device at port 1 after lab_ready() */

struct lab {
    struct rig rig; /* its controller is the first; rig.back is the backend unless driver is set */
    struct back_driver *driver;
    int driver_rc; /* the first that was not 0 */
    struct raw_front front[LAB_FRONTS];
    struct vusb_controller controller[LAB_FRONTS];
    unsigned int nr_fronts;
};

/*
 * The machine, guest 1, controller 0 with its frontend not connected. No backend yet; it will map the data of every
 * request, so that a test can see it do so, unless rig.buffers says otherwise.
 */
void lab_init(struct lab *lab, unsigned int usb_ver, unsigned int num_ports);
/* Another controller, with its frontend; creates the guest if there is none. Returns its number. */
unsigned int lab_add(struct lab *lab, domid_t guest, unsigned int devid);
/* A back_driver in place of rig_start_back(). */
void lab_start_driver(struct lab *lab);
/* Steps until nobody has anything to do. */
void lab_run(struct lab *lab);
/*
 * Backend started, frontend 0 connected, high-speed device "1-1" at port 1 with address LAB_ADDRESS; logs
 * empty.
 */
void lab_ready(struct lab *lab, unsigned int num_ports);
/* Ends the backend, then the frontends, who find nothing mapped; all balances are zero. */
void lab_dispose(struct lab *lab);

/* Sends and runs. */
void lab_send(struct lab *lab, const struct usbif_urb_request *request);
/* Takes the oldest response there is and checks id, status and actual length; the other fields must be 0. */
void lab_expect(struct lab *lab, uint16_t id, int32_t status, int32_t actual);
void lab_expect_none(struct lab *lab);
/* The oldest plug event. */
void lab_expect_event(struct lab *lab, uint8_t port, uint8_t speed);
void lab_expect_no_event(struct lab *lab);
/* Completes held transfer i and runs. */
void lab_complete(struct lab *lab, unsigned int i, int32_t status, const void *data, uint32_t length);
/*
 * The connector of frontend n still works: GET_DESCRIPTOR from the device at port 1. Nothing else may be
 * held.
 */
void lab_check_alive(struct lab *lab, unsigned int n);
/* SET_ADDRESS of the device at a port through frontend n. */
void lab_set_address(struct lab *lab, unsigned int n, unsigned int port, uint16_t address);
/* Plugs a device and writes its port node. */
void lab_plug(struct lab *lab, unsigned int port, const char *busid, uint8_t speed);
/* "4" and so on: the node of the first controller. */
const char *lab_back_state(struct lab *lab);
/* Maps of the machine; 2 are the rings of a connector. */
unsigned int lab_maps(struct lab *lab);

/*
 * Calls before() before the backend's calls of these kinds on the handle of rig.back (LAB_UNMASK and
 * LAB_BOUND: after), until lab_unhook(). With one process and no threads this is how something happens
 * "meanwhile".
 */
enum lab_call {
    LAB_MAP,
    LAB_UNMAP,
    LAB_NOTIFY,
    LAB_UNMASK,
    LAB_STATE,
    LAB_BIND,
    LAB_CLOSE_PORT,
    LAB_BOUND,
    LAB_WATCH,
};
void lab_hook(struct lab *lab, void (*before)(struct lab *lab, enum lab_call call));
void lab_unhook(struct lab *lab);

#endif
