/* SPDX-License-Identifier: MIT */
/*
 * The guest's driver for disks: bulk-only transport 1.0 and the SCSI commands Linux sends to start with.
 *
 * Commands run one at a time, as BOT demands; requests wait in order. A request of any size becomes commands
 * of at most 120 KiB (Linux: max_sectors 240), a command's data URBs of at most 61440 bytes, which fit in 16
 * pages at any offset (rule SEG-04). Data IN goes with short_not_ok, as Linux does.
 *
 * Recovery: a stalled data phase or status is cleared and the status read (BOT 6.7.2, figure 2); anything
 * else that is no valid status means reset recovery (BOT 5.3.4) and the command again, three times in all. A
 * failed command is explained by REQUEST SENSE: unit attention is retried, the rest becomes an errno.
 *
 * A reset or suspend of the device in the middle fails requests with -EIO; later ones work.
 *
 * Threads: one. No allocation after storage_create().
 */
#ifndef SIM_GUEST_STORAGE_H
#define SIM_GUEST_STORAGE_H

#include "guest/guest.h"

#define STORAGE_COMMAND_BYTES 122880u
#define STORAGE_URB_BYTES     61440u

struct storage;

struct storage_info {
    uint64_t blocks;
    uint32_t block_size; /* a power of two, 512 to 4096 */
    char vendor[9];
    char product[17];
};

struct storage_request {
    /* Set by the caller. */
    uint64_t lba;
    uint32_t blocks;
    bool write;
    void *buffer; /* blocks * block_size bytes of guest_buffer_alloc() */
    /* status: 0; -EIO; -ENODEV; -EROFS; -ENODATA medium error. It may submit again. */
    void (*done)(struct storage_request *request);
    void *context;
    int status;

    /* The driver's own. */
    uint32_t blocks_done;
    struct storage_request *next;
};

struct storage_stats {
    uint64_t commands;
    uint64_t stalls;     /* halts cleared */
    uint64_t recoveries; /* reset recoveries */
};

/* Whether the device has an interface for this driver that no other driver has. */
bool storage_matches(const struct guest_device *device);
/*
 * Takes a device of storage_matches(), else -ENODEV. started() is called once, when the disk is known or has
 * failed to start; then it can only be destroyed. It comes from inside only when the controller takes no
 * transfers.
 */
int storage_create(struct guest_device *device,
                   void (*started)(void *context, struct storage *storage, int status), void *context,
                   struct storage **out);
/*
 * Requests not done yet end with -ENODEV. Call it in gone() at the latest; not while a transfer is under
 * way.
 */
void storage_destroy(struct storage *storage);
/* True while a transfer is under way. Never in gone(). */
bool storage_busy(const struct storage *storage);
const struct storage_info *storage_info(const struct storage *storage);
struct storage_stats storage_stats(const struct storage *storage);
/*
 * -EINVAL beyond the end or of 0 blocks; -ENODEV. Otherwise done() is called, from inside only when the
 * controller fails.
 */
int storage_submit(struct storage *storage, struct storage_request *request);

#endif
