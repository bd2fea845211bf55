/* SPDX-License-Identifier: MIT */
/*
 * A guest whose only controller is an USB/IP client, and the server with the simulated devices, in one
 * process and virtual time: both ends are stepped in turn, over TCP on the loopback or over a pair of
 * sockets.
 */
#ifndef SIM_TEST_USBIP_BED_H
#define SIM_TEST_USBIP_BED_H

#include "guest/guest.h"
#include "test/test_device_util.h"
#include "usbip/client.h"
#include "usbip/server.h"

#define SECOND UINT64_C(1000000000)

enum usbip_way { USBIP_PAIR, USBIP_TCP };

struct usbip_bed {
    struct sim_host *sim;
    struct usbip_server *server;
    struct usbip_client *client;
    struct guest *guest;
    uint64_t now_ns, rounds, limit_ns;
    struct guest_device *device; /* that is ready, NULL for none */
    unsigned int ready, gone, failed;
    unsigned int lines; /* of the two logs */
    char line[256];     /* the last one */
    /* Set after usbip_bed_open(). */
    void (*on_ready)(struct usbip_bed *bed, struct guest_device *device);
    void (*on_gone)(struct usbip_bed *bed, struct guest_device *device);
};

/* A connected pair of sockets. */
void usbip_pair(int fd[2]);
/* A server with the device, exported as "1-1", and a client that asks for it. */
void usbip_bed_open(struct usbip_bed *bed, enum usbip_way way, struct usb_device *device);
/* One round. False when nothing will ever happen again, or not before limit_ns. */
bool usbip_bed_step(struct usbip_bed *bed);
/* Until then; bounded. */
void usbip_bed_run(struct usbip_bed *bed);
void usbip_bed_run_for(struct usbip_bed *bed, uint64_t ns);
/* Closes the guest and both ends; nothing may be left. */
void usbip_bed_close(struct usbip_bed *bed);

/* ---- for tests that are one of the ends themselves ---- */

void bed_put32(uint8_t *out, uint32_t value);
uint32_t bed_get32(const uint8_t *bytes);
/* Exactly n bytes are there. */
void bed_hear(int fd, void *bytes, size_t n);
void bed_hear_nothing(int fd);
/* Whatever is there, and then the end. */
void bed_hear_end(int fd);

#endif
