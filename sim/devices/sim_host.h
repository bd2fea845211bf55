/* SPDX-License-Identifier: MIT */
/*
 * A usb_host of simulated devices, plugged in by name.
 *
 * Takes the place of the driver domain's own USB stack below the backend. Not modelled: bus time (what a
 * device can answer at once completes inside submit()), bandwidth, speeds other than the one a device says or is slowed down to.
 *
 * A super-speed device is presented as QEMU does (rule CONN-13): at high speed, if it has no isochronous
 * endpoint, no streams and no interrupt packets beyond 1024 bytes; the device descriptor then says 64 bytes
 * for endpoint 0 instead of 2^9. bcdUSB and the endpoints' descriptors stay as they are.
 *
 * Threads: one. Completions and listeners may call any function here except sim_host_destroy().
 */
#ifndef SIM_DEVICES_SIM_HOST_H
#define SIM_DEVICES_SIM_HOST_H

#include "devices/device.h"
#include "hosts/usb_host.h"

#define SIM_HOST_BUSID_SIZE 32u /* with the terminating zero, as in Linux */

struct sim_host;

int sim_host_create(struct sim_host **out);
/* Frees all devices. Nobody may have one open. */
void sim_host_destroy(struct sim_host *host);
/*
 * Plugs a device in at a topology name such as "1-2" or "2-4.3.3" and tells the listeners. Takes ownership,
 * on failure too. -EINVAL not such a name; -EEXIST there is one.
 */
int sim_host_plug(struct sim_host *host, const char *busid, struct usb_device *device);
/*
 * Pulls it out: URBs held complete with -ENODEV, then the listeners' unplugged() is called, then the device
 * is freed. Who has it open keeps a dead handle until close(). -ENODEV there is none.
 */
int sim_host_unplug(struct sim_host *host, const char *busid);
/* The device at a name, NULL for none. */
struct usb_device *sim_host_device(struct sim_host *host, const char *busid);
/* To be called when the ops of the device at a name were replaced, not from a device's step(): it may have one now. */
void sim_host_ops_changed(struct sim_host *host, const char *busid);
struct usb_host *sim_host_host(struct sim_host *host);
/* [1-9][0-9]*-[1-9][0-9]*(\.[1-9][0-9]*)*, shorter than 32 bytes. */
bool sim_host_busid_valid(const char *busid);

#endif
