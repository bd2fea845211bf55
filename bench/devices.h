/* SPDX-License-Identifier: MIT */
/*
 * The devices behind every path, the same everywhere: for the process of a path that has them.
 *
 * Disks have BENCH_DISK_BYTES bytes in memory, which moves between them and a transfer's segments with one
 * copy. Each 8 bytes of it are bench_disk_word() of their place, so that what was read can be checked, and no
 * page of it is the kernel's page of zeros. All disks of a process share them: they are only read.
 */
#ifndef BENCH_DEVICES_H
#define BENCH_DEVICES_H

#include "bench/path.h"
#include "hosts/usb_host.h"

#define BENCH_DISK_BYTES (UINT64_C(16) << 20)
#define BENCH_TICK_US    1250u /* the mean time between two reports of a ticker */
#define BENCH_KIND_MAX   160u

struct bench_devices;

/* Fills the disks' memory, so that processes that are forked later need not. */
void bench_devices_prepare(void);

/*
 * setup->guests * setup->devices devices. Device d of guest g, both from 0, is at bench_busid(). With
 * setup->wire their answers take the time they would take on a bus.
 */
int bench_devices_create(const struct bench_setup *setup, struct bench_devices **out);
/* Nobody may have one open. NULL is allowed. */
void bench_devices_destroy(struct bench_devices *devices);
struct usb_host *bench_devices_host(struct bench_devices *devices);

/* "<guest + 1>-<device + 1>"; size at least 32. */
void bench_busid(unsigned int guest, unsigned int device, char *out, size_t size);
/* The device as an option of pvusb-usbfs and `pvusb backend`: "1-1=disk:FILE", for programs that make it
 * themselves. */
void bench_device_option(const struct bench_setup *setup, unsigned int guest, unsigned int device,
                         const char *disk_file, char out[BENCH_KIND_MAX]);
/* What the 8 bytes at `offset` (a multiple of 8) of every disk are. */
uint64_t bench_disk_word(uint64_t offset);
/* Writes such a disk into a new file. */
int bench_disk_file(const char *path);

#endif
