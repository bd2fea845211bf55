/* SPDX-License-Identifier: MIT */
/*
 * The devices of a recording for pvusb-usbfs: a usb_host on replay_host, whose transfers answer as recorded,
 * each endpoint in its own order. Configuration, alternate settings, halts and resets, which a host sees to,
 * are those of a simulated device with the recorded descriptors; the recording knows nothing of them.
 *
 * Threads: one.
 */
#ifndef SIM_USBFS_RECORDED_H
#define SIM_USBFS_RECORDED_H

#include "devices/device.h"
#include "trace/trace.h"

struct recorded;

/*
 * notes: NULL, or a file of replay_results_size() bytes, where what the devices see is noted as it comes.
 * error (TRACE_ERROR_MAX bytes) gets a line.
 */
int recorded_create(const char *trace, const char *notes, struct recorded **out, char *error);
/* Nobody may have a device open. */
void recorded_destroy(struct recorded *recorded);
struct usb_host *recorded_host(struct recorded *recorded);
/* The name of each device in turn, NULL after the last. */
const char *recorded_busid(const struct recorded *recorded, uint32_t index);
/* Descriptors and settings of a device, NULL for none. */
struct usb_device *recorded_device(struct recorded *recorded, const char *busid);

#endif
