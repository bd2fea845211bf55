/* SPDX-License-Identifier: MIT */
/*
 * What is known of an opened device of a usb_host: its descriptors, read by control requests, and what it is
 * set to, as told by those who set it. For users of a host that have to know endpoints, as USB/IP and
 * usbredir do.
 *
 * Threads: one. Memory: the struct. At most four configurations, of 4096 bytes each; others are as if they
 * were not there.
 */
#ifndef SIM_HOSTS_DESCRIBED_H
#define SIM_HOSTS_DESCRIBED_H

#include "guest/descriptor.h"
#include "hosts/usb_host.h"

#define DESCRIBED_CONFIGURATIONS_MAX 4u
#define DESCRIBED_CONFIGURATION_SIZE 4096u

struct described {
    /* Set by the owner. */
    struct usb_host *host;
    struct host_device *device;
    /* All is read: 0, or -EPROTO for a device that does not describe itself. Perhaps from described_begin().
     */
    void (*ready)(void *context, int status);
    void *context;

    /* Known when ready(0) is called. */
    uint8_t raw_device[18];
    unsigned int nr_configurations;
    struct guest_configuration configurations[DESCRIBED_CONFIGURATIONS_MAX];
    /* What it is set to. */
    const struct guest_configuration *current; /* NULL: not configured */
    uint8_t alternate[GUEST_INTERFACES_MAX];

    /* Its own. */
    struct host_urb urb;
    bool ended;
    bool whole; /* asking for the whole of a configuration, not for its first 9 bytes */
    unsigned int asked;
    uint8_t buffer[DESCRIBED_CONFIGURATION_SIZE];
};

/* Begins to read. The device has just been opened and reset. */
void described_begin(struct described *described);
/* ready() is not called any more. Before the device is closed, which ends what is under way. */
void described_end(struct described *described);
/* The device was reset. */
void described_reset(struct described *described);
/* A control request has succeeded. */
void described_follow(struct described *described, const uint8_t setup[8]);
/* The endpoint, as the device is set now; NULL: there is none. Not for endpoint 0. */
const struct guest_endpoint *described_endpoint(const struct described *described, uint8_t address);
/* An alternate setting that is chosen, of the current configuration. */
bool described_chosen(const struct described *described, const struct guest_interface *interface);

#endif
