/* SPDX-License-Identifier: MIT */
/*
 * A usb_host for tests: devices that do nothing by themselves. Every operation is
 * written into a log that the test reads, and transfers wait until the test completes them.
 */
#ifndef SIM_TEST_SCRIPTED_HOST_H
#define SIM_TEST_SCRIPTED_HOST_H

#include "hosts/usb_host.h"

#define SCRIPTED_DEVICES 32u
#define SCRIPTED_HELD    256u
#define SCRIPTED_LOG     16384u

struct scripted_host {
    struct usb_host host;
    char busid[SCRIPTED_DEVICES][32]; /* "" free */
    bool open[SCRIPTED_DEVICES];
    uint8_t speed[SCRIPTED_DEVICES];
    struct host_urb *held[SCRIPTED_HELD]; /* in order of submission */
    unsigned int held_device[SCRIPTED_HELD];
    unsigned int nr_held;
    const struct usb_host_listener *listener[64];
    unsigned int nr_listeners;
    bool cancel_late; /* cancel() leaves the URB held; the test completes it */
    char log[SCRIPTED_LOG]; /* "submit 1-1 ep 0 control in 64; " and so on */
};

void scripted_host_init(struct scripted_host *host);
/* A device comes or goes; listeners are told. */
void scripted_host_plug(struct scripted_host *host, const char *busid, uint8_t speed);
void scripted_host_unplug(struct scripted_host *host, const char *busid);
/* Completes the i-th held transfer; IN data is stored first. */
void scripted_host_complete(struct scripted_host *host, unsigned int i, int32_t status, const void *data,
                            uint32_t length);
/* Empties the log. */
void scripted_host_clear_log(struct scripted_host *host);

#endif
