/* SPDX-License-Identifier: MIT */
/* Between disk.c (transport), disk_scsi.c (commands) and disk_store.c (backing store). */
#ifndef SIM_DEVICES_DISK_PRIVATE_H
#define SIM_DEVICES_DISK_PRIVATE_H

#include "devices/disk.h"

enum disk_phase {
    DISK_CBW,
    DISK_DATA_IN,
    DISK_DATA_OUT,
    DISK_CSW,
    DISK_DEAD, /* both endpoints stall until reset recovery (BOT 6.6.1) */
};

enum disk_direction { DISK_NONE, DISK_IN, DISK_OUT };

/* bCSWStatus, BOT table 5.3 */
enum disk_status { DISK_PASSED = 0, DISK_FAILED = 1, DISK_PHASE_ERROR = 2 };

/* What a command wants to move. */
struct disk_data {
    enum disk_direction direction;
    uint64_t length;
    bool medium; /* to or from the store at `at`; else out of reply */
    uint64_t at;
};

struct disk_sense {
    uint8_t key;
    uint8_t asc;
};

struct disk {
    struct usb_device device;

    uint8_t *memory;
    bool borrowed; /* the memory is not the disk's */
    int fd;
    uint64_t blocks;
    bool read_only;
    uint64_t bad_lba;
    uint64_t bad_blocks;

    enum disk_phase phase;
    uint8_t tag[4];
    enum disk_direction asked_direction;
    uint32_t residue; /* of dCBWDataTransferLength */
    enum disk_status status;
    struct disk_data data; /* length and at count down and up */
    uint32_t reply_at;
    uint8_t reply[96];

    struct disk_sense sense;
    bool stopped;

    const char *strings[3];
    char serial[33];
};

/* Starts a command: sets data and sense. */
enum disk_status disk_scsi_start(struct disk *disk, const uint8_t *cdb, uint8_t length);
enum disk_status disk_scsi_fail(struct disk *disk, uint8_t key, uint8_t asc);

int disk_store_open(struct disk *disk, const struct disk_config *config);
void disk_store_close(struct disk *disk);
/* n bytes at byte `at`, from or to the URB's segments at offset. 0 or -EIO. */
int disk_store_move(struct disk *disk, uint64_t at, struct host_urb *urb, uint32_t offset, uint32_t n,
                    bool read);
/* How many of n bytes from `at` on come before a bad block; may be 0. */
uint64_t disk_store_good(const struct disk *disk, uint64_t at, uint64_t n);
int disk_store_flush(struct disk *disk);

#endif
