/* SPDX-License-Identifier: MIT */
/*
 * A directory that umockdev's preload library shows to a program as /sys and /dev: USB buses, the hubs on the
 * way to a device, and a device node for each. What the program does with a node comes to a Unix socket
 * (wire.h).
 *
 * The node is a FIFO, because a program waits for its transfers with poll(POLLOUT) on it. The testbed keeps
 * it full, so that nobody wakes up, and drains it when there is something to reap.
 *
 * Threads: one. Everything is made with the caller's rights, in a directory of mode 0700.
 */
#ifndef SIM_USBFS_TESTBED_H
#define SIM_USBFS_TESTBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TESTBED_PATH_MAX 512u
#define TESTBED_BUSES    32u
#define TESTBED_HUBS     64u

struct testbed;

/* What a device says of itself, beyond what it is. */
struct testbed_about {
    const char *megabits;       /* "1.5", "12", "480" */
    const uint8_t *descriptors; /* the device descriptor and all configurations */
    size_t length;
    const char *names[3]; /* manufacturer, product, serial number; NULL for none */
};

struct testbed_device {
    unsigned int bus;
    unsigned int number;          /* on the bus, 2 to 127; given by testbed_add() */
    char sysfs[TESTBED_PATH_MAX]; /* below the testbed, from "/sys" on */
    char node[64];                /* "/dev/bus/usb/001/002" */
    int listener;                 /* where programs that open the node connect to; -1 when removed */
    int gate;                     /* the FIFO */
    bool open;                    /* the FIFO is drained */
};

/* A fresh directory in TMPDIR, or /tmp. */
int testbed_create(struct testbed **out);
/* Removes the directory with all that is in it. */
void testbed_destroy(struct testbed *testbed);
/* The value for UMOCKDEV_DIR. */
const char *testbed_dir(const struct testbed *testbed);
/* Where programs that open a hub connect to. */
int testbed_hubs_listener(const struct testbed *testbed);
/*
 * Makes the device, and hubs and the bus above it, visible; tells nobody yet. -ENOSPC too many buses, hubs
 * or devices.
 */
int testbed_add(struct testbed *testbed, const char *busid, const struct testbed_about *about,
                struct testbed_device *out);
/* What sysfs says of the current configuration. */
void testbed_set_configuration(struct testbed *testbed, const struct testbed_device *device, uint8_t value);
/* "add" or "remove" to every program that listens to udev. */
void testbed_tell(struct testbed *testbed, const struct testbed_device *device, const char *action);
/* No longer visible, and nobody can connect. Who has the node open keeps it: the gate works on. */
void testbed_remove(struct testbed *testbed, struct testbed_device *device);
/* Closes the gate's descriptor. */
void testbed_release(struct testbed_device *device);
/* Lets those who poll the node wake up, or not. */
void testbed_gate(struct testbed_device *device, bool open);

#endif
