/* SPDX-License-Identifier: MIT */
/*
 * A disk: USB Mass Storage, bulk-only transport 1.0 (BOT), SCSI transparent command set, one LUN, blocks of
 * 512 bytes.
 *
 * Data moves between the backing store and the segments of a transfer, with nothing in between. Where BOT
 * lets a device choose: less data than asked for ends with a short packet and a halt (6.7.2), disagreement
 * about direction or too much data is refused with no byte moved, a halt and phase error (6.7.1 to 6.7.3), a
 * CBW out of place is not taken (NAK) before the CSW has been read.
 *
 * Not modelled: media change and unit attention, latency, DPO/FUA, VERIFY with data, mode pages but caching.
 */
#ifndef SIM_DEVICES_DISK_H
#define SIM_DEVICES_DISK_H

#include "devices/device.h"

#define DISK_BLOCK_SIZE 512u
#define DISK_EP_IN      0x81u
#define DISK_EP_OUT     0x02u

struct disk_config {
    uint64_t bytes;   /* size, a multiple of 512; with a path 0 means that of the file */
    const char *path; /* backing file, opened once; NULL for memory */
    void *memory;     /* the blocks, which stay the caller's and outlive the disk; NULL for zeroed ones of its own */
    bool read_only;
    uint8_t speed;      /* USBIF_SPEED_FULL, DEVICE_SPEED_SUPER or, also for 0, USBIF_SPEED_HIGH */
    const char *serial; /* at least 12 digits 0-9 A-F (BOT 4.1.1); NULL for a fixed one */
};

/* -EINVAL for a size or speed that cannot be; otherwise what open() or fstat() said. For sim_host_plug(). */
int disk_create(const struct disk_config *config, struct usb_device **out);
/* The backing memory, NULL for a file. */
uint8_t *disk_memory(struct usb_device *device, uint64_t *bytes);
/*
 * Lets reads and writes of these blocks fail with a medium error, in mid-transfer if it comes so. 0 blocks:
 * none.
 */
void disk_set_bad(struct usb_device *device, uint64_t lba, uint64_t blocks);

#endif
