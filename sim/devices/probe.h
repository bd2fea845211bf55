/* SPDX-License-Identifier: MIT */
/* The probe device of probe_protocol.h: answers as its host tells it, and tells what reached it. */
#ifndef SIM_DEVICES_PROBE_H
#define SIM_DEVICES_PROBE_H

#include "devices/probe_protocol.h"
#include "devices/sim_host.h"

#define PROBE_STEPS_MAX 64u /* scripted ahead, per endpoint */

struct probe_config {
    uint8_t speed;         /* USBIF_SPEED_LOW, _FULL or, also for 0, _HIGH */
    struct sim_host *host; /* for PROBE_SET_UNPLUG, which stalls without it */
    const char *busid;     /* copied */
};

/* -EINVAL for another speed, -ENOMEM. For sim_host_plug(). */
int probe_create(const struct probe_config *config, struct usb_device **out);

#endif
