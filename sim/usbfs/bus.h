/* SPDX-License-Identifier: MIT */
/*
 * usbfs for the devices of a sim_host, or of a recording (recorded.h): Linux's ioctls on
 * /dev/bus/usb/BBB/DDD, for programs in a testbed.
 *
 * What differs from Linux: a device is configured once, when it is plugged in, with its first configuration;
 * no kernel driver ever has an interface; capabilities are NO_PACKET_SIZE_LIM and REAP_AFTER_DISCONNECT (so
 * no continued bulk transfers and no zero packets); giving an interface back leaves its alternate setting;
 * REAPURB keeps the program's other threads from that descriptor; 64-bit programs only. A super-speed device
 * appears at high speed, as sim_host presents it, or is refused.
 *
 * Threads: one.
 */
#ifndef SIM_USBFS_BUS_H
#define SIM_USBFS_BUS_H

#include <linux/usbdevice_fs.h>

#include "devices/sim_host.h"
#include "process/loop.h"
#include "usbfs/recorded.h"
#include "usbfs/testbed.h"

#define BUS_URB_BYTES_MAX (16u << 20) /* of one transfer, as in Linux */

struct bus_stats {
    uint64_t ioctls;
    uint64_t submitted;
    uint64_t reaped;
    uint64_t empty; /* attempts to reap that found nothing */
    uint64_t discarded;
    uint64_t clients;  /* programs' descriptors, ever */
    unsigned int open; /* now */
};

struct bus;

/* recorded: NULL, or whose devices are there from the beginning; none comes or goes then. */
int bus_create(struct testbed *testbed, struct recorded *recorded, struct bus **out);
/* Ends every connection. The testbed and the recording stay. */
void bus_destroy(struct bus *bus);
/* BUSID=KIND as in cli/kinds.h; error has KIND_ERROR_MAX bytes and gets one line. */
int bus_plug(struct bus *bus, const char *text, char *error);
/* -ENODEV there is none. */
int bus_unplug(struct bus *bus, const char *busid);
/* The simulated device there, NULL for none. */
struct usb_device *bus_device(struct bus *bus, const char *busid);
/* Adds what is to be waited for. */
void bus_wait(struct bus *bus, struct loop *loop);
/* When bus_step() is due next, though nothing comes. */
uint64_t bus_deadline(struct bus *bus);
/* Serves what the wait has found, and runs what is due. */
void bus_step(struct bus *bus, const struct loop *loop, uint64_t now_ns);
struct bus_stats bus_stats(const struct bus *bus);

#endif
