/* SPDX-License-Identifier: MIT */
/*
 * The whole spine in one process for tests: a local machine with domain 0 and
 * guest 1, one controller, both drivers (or one, the test being the other), devices that the test scripts.
 */
#ifndef SIM_TEST_RIG_H
#define SIM_TEST_RIG_H

#include <fakexen/fakexen.h>

#include "backend/backend.h"
#include "frontend/frontend.h"
#include "scripted_host.h"
#include "toolstack/vusb.h"

struct rig {
    struct fakexen_local *local;
    struct xen_machine *machine;
    struct xen *dom0; /* the toolstack's handle */
    struct vusb_controller controller;
    struct scripted_host host;
    enum back_buffers buffers; /* how rig_start_back() has data reached */
    unsigned int ring_pages;   /* and how large it lets an URB ring be */
    struct front *front; /* NULL until rig_start_front() */
    struct back *back;   /* NULL until rig_start_back() */
    int back_rc;         /* of the last back_step() */
    uint64_t now_ns;
    char log[32768]; /* lines of both drivers */
};

/* The machine, guest 1 and a controller, nobody driving it yet. Kind "qusb". */
void rig_init(struct rig *rig, unsigned int usb_ver, unsigned int num_ports);
void rig_start_front(struct rig *rig);
void rig_start_back(struct rig *rig);
/* Steps until nobody has anything to do. */
void rig_run(struct rig *rig);
/* Lets virtual time pass, then runs. */
void rig_advance(struct rig *rig, uint64_t ns);
/* Ends all and asserts that nothing is left open. */
void rig_dispose(struct rig *rig);

/* Reads a node as domain 0; "" if missing. The string is good until the next call. */
const char *rig_node(struct rig *rig, const char *path);
void rig_set_node(struct rig *rig, const char *path, const char *value);

#endif
