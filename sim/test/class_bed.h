/* SPDX-License-Identifier: MIT */
/*
 * A guest with all its class drivers, above either of two controllers in virtual time: the loop (loop_hcd.h),
 * or the whole spine of frontend, backend, local machine and simulated devices. Tests of class drivers run on
 * both.
 */
#ifndef SIM_TEST_CLASS_BED_H
#define SIM_TEST_CLASS_BED_H

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fakexen/fakexen.h>

#include "backend/backend.h"
#include "devices/disk.h"
#include "devices/keyboard.h"
#include "devices/serial.h"
#include "devices/sim_host.h"
#include "frontend/frontend.h"
#include "guest/acm.h"
#include "guest/hid.h"
#include "guest/storage.h"
#include "guest/loop_hcd.h"
#include "toolstack/vusb.h"

#define BED_PORTS    4u
#define BED_TYPED    1024u
#define BED_RECEIVED (1u << 21)
#define SECOND       UINT64_C(1000000000)

enum bed_kind { BED_LOOP, BED_SPINE };

struct bed;

/* What the drivers of a port have and have told. */
struct bed_port {
    struct bed *bed;
    struct guest_device *device; /* NULL: none that is ready */
    struct hid *hid;
    struct acm *acm;
    struct storage *storage;
    int storage_status; /* 1: not started */
    unsigned int ready, gone, failed;
    unsigned int events[3]; /* by enum guest_event */
    int hid_status, acm_status;
    char typed[BED_TYPED]; /* keys that went down, as characters */
    unsigned int nr_typed, keys_down;
    uint8_t *received; /* BED_RECEIVED bytes, NULL until there is an acm */
    uint32_t nr_received;
    uint16_t signals;
    unsigned int nr_signals, closed;
    const uint8_t *to_write; /* kept flowing by writable() */
    uint32_t left;
};

struct bed {
    enum bed_kind kind;
    struct sim_host *sim;
    struct loop_hcd *loop;
    struct fakexen_local *local;
    struct xen *dom0;
    struct vusb_controller controller;
    struct back_driver *driver;
    struct front *front;
    struct guest *guest;
    uint64_t now_ns;
    struct bed_port ports[BED_PORTS + 1];
};

/* usb_ver: 1 or 2. Connected when it returns. */
void bed_open(struct bed *bed, enum bed_kind kind, unsigned int usb_ver);
/* Closes the guest, then all; nothing may be left. */
void bed_close(struct bed *bed);
void bed_plug(struct bed *bed, unsigned int port, struct usb_device *device);
void bed_unplug(struct bed *bed, unsigned int port);
struct usb_device *bed_device(struct bed *bed, unsigned int port);
/* One round; false when nothing will ever happen again. */
bool bed_step(struct bed *bed);
/* Until then, or for that time; returns done() at the end. done may be NULL. */
bool bed_run(struct bed *bed, uint64_t ns, bool (*done)(const struct bed *bed));
/* Plugs it in and runs until its drivers listen. */
void bed_plug_ready(struct bed *bed, unsigned int port, struct usb_device *device);
/* Goes on writing until all n bytes are taken. */
void bed_write(struct bed *bed, unsigned int port, const uint8_t *bytes, uint32_t n);

struct usb_device *bed_keyboard(uint8_t speed);
struct usb_device *bed_serial(uint8_t speed);

uint64_t bed_seed(void); /* printed; PVUSB_SEED */
uint32_t bed_prng(uint64_t *x);

#endif
