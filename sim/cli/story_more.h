/* SPDX-License-Identifier: MIT */
/*
 * What the demo's guest does with the stranger devices: gadget zero, a keyboard and a serial port in one device, a
 * super-speed disk that usbif can only show at high speed, and a disk that stalls and errs.
 */
#ifndef SIM_CLI_STORY_MORE_H
#define SIM_CLI_STORY_MORE_H

#include "guest/acm.h"
#include "guest/hid.h"
#include "guest/storage.h"
#include "guest/zero.h"

#define MORE_TEXT         "Two in one"
#define MORE_SERIAL_BYTES 2048u
#define MORE_DISK_BYTES   (UINT32_C(64) << 10)
#define MORE_DISKS        2u /* super-speed, faulty */

struct more_disk {
    struct guest_device *device;
    struct storage *storage;
    struct storage_request request;
    struct storage_stats stats;
    bool ready;
    bool read;
};

struct more {
    struct guest_device *zero_device, *composite_device;
    struct guest_zero *zero;
    unsigned int zero_case; /* the next of the list */
    unsigned int zero_passed;
    struct hid *keyboard;
    char typed[sizeof(MORE_TEXT)];
    unsigned int nr_typed;
    struct acm *serial;
    uint32_t received;
    uint32_t wrong;
    struct more_disk disk[MORE_DISKS]; /* in the order of their ports */
    unsigned int nr_disks;
    uint8_t *buffer; /* MORE_DISKS * MORE_DISK_BYTES of guest memory, the caller's */
    bool started;
    int error;
};

/* True when one of these drivers took the device. A disk is taken only when `disks` says that the first has its own. */
bool more_ready(struct more *more, struct guest_device *device, bool disks);
void more_gone(struct more *more, struct guest_device *device);
void more_event(struct more *more, struct guest_device *device, enum guest_event event);
/* Starts all when all have come. */
void more_step(struct more *more);
bool more_done(const struct more *more);

#endif
