// SPDX-License-Identifier: MIT
/* The SCSI commands of a disk (SPC-3, SBC-2). Each sets what it wants to move, or fails with sense data. */
#include <errno.h>

#include "devices/disk_private.h"

enum { KEY_NOT_READY = 2, KEY_MEDIUM = 3, KEY_ILLEGAL = 5, KEY_PROTECT = 7 };

enum {
    ASC_NOT_READY = 0x04, /* with ascq 2: initializing command required */
    ASC_WRITE_ERROR = 0x0c,
    ASC_OPCODE = 0x20,
    ASC_LBA = 0x21,
    ASC_FIELD = 0x24,
    ASC_WRITE_PROTECTED = 0x27,
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t be64(const uint8_t *p)
{
    return (uint64_t)be32(p) << 32 | be32(p + 4);
}

static void put_be32(uint8_t *p, uint32_t value)
{
    for (unsigned int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (24 - 8 * i));
}

enum disk_status disk_scsi_fail(struct disk *disk, uint8_t key, uint8_t asc)
{
    disk->sense = (struct disk_sense){key, asc};
    disk->data = (struct disk_data){0};
    return DISK_FAILED;
}

/* n bytes of reply are there; the initiator has room for `room` (SPC-3 section 4.3.4.6). */
static enum disk_status send_reply(struct disk *disk, uint32_t n, uint32_t room)
{
    uint32_t length = n < room ? n : room;
    disk->data = (struct disk_data){.direction = length ? DISK_IN : DISK_NONE, .length = length};
    return DISK_PASSED;
}

static enum disk_status check_range(struct disk *disk, uint64_t lba, uint64_t count)
{
    if (disk->stopped)
        return disk_scsi_fail(disk, KEY_NOT_READY, ASC_NOT_READY);
    if (lba > disk->blocks || count > disk->blocks - lba)
        return disk_scsi_fail(disk, KEY_ILLEGAL, ASC_LBA);
    return DISK_PASSED;
}

static enum disk_status move_blocks(struct disk *disk, uint64_t lba, uint32_t count,
                                    enum disk_direction direction)
{
    enum disk_status status = check_range(disk, lba, count);
    if (status != DISK_PASSED)
        return status;
    if (direction == DISK_OUT && disk->read_only)
        return disk_scsi_fail(disk, KEY_PROTECT, ASC_WRITE_PROTECTED);
    disk->data = (struct disk_data){.direction = count ? direction : DISK_NONE,
                                    .length = (uint64_t)count * DISK_BLOCK_SIZE,
                                    .medium = true,
                                    .at = lba * DISK_BLOCK_SIZE};
    return DISK_PASSED;
}

static enum disk_status test_unit_ready(struct disk *disk, const uint8_t *cdb)
{
    (void)cdb;
    return check_range(disk, 0, 0);
}

static enum disk_status request_sense(struct disk *disk, const uint8_t *cdb)
{
    uint8_t *r = disk->reply;
    memset(r, 0, 18);
    r[0] = 0x70;
    r[2] = disk->sense.key;
    r[7] = 10;
    r[12] = disk->sense.asc;
    r[13] = disk->sense.asc == ASC_NOT_READY ? 2 : 0;
    disk->sense = (struct disk_sense){0};
    return send_reply(disk, 18, cdb[4]);
}

static enum disk_status inquiry(struct disk *disk, const uint8_t *cdb)
{
    uint8_t *r = disk->reply;
    uint32_t room = (uint32_t)cdb[3] << 8 | cdb[4];
    uint32_t n = (uint32_t)strlen(disk->serial);
    memset(r, 0, sizeof(disk->reply));
    if (cdb[1] & 1u && cdb[2] == 0x00) {
        memcpy(r, (uint8_t[]){0, 0, 0, 2, 0x00, 0x80}, 6);
        return send_reply(disk, 6, room);
    }
    if (cdb[1] & 1u && cdb[2] == 0x80) {
        r[1] = 0x80;
        r[3] = (uint8_t)n;
        memcpy(r + 4, disk->serial, n);
        return send_reply(disk, 4 + n, room);
    }
    if (cdb[1] & 1u || cdb[2])
        return disk_scsi_fail(disk, KEY_ILLEGAL, ASC_FIELD);
    memcpy(r, (uint8_t[]){0, 0, 4, 2, 31, 0, 0, 0}, 8);
    memcpy(r + 8, "PVUSB   Simulated disk  0001", 28);
    return send_reply(disk, 36, room);
}

static enum disk_status mode_sense6(struct disk *disk, const uint8_t *cdb)
{
    uint8_t *r = disk->reply;
    uint8_t page = cdb[2] & 0x3fu, n = 4;
    if (page != 0x08 && page != 0x3f)
        return disk_scsi_fail(disk, KEY_ILLEGAL, ASC_FIELD);
    memset(r, 0, 24);
    r[2] = disk->read_only ? 0x80 : 0;
    r[4] = 0x08; /* caching page: write cache enabled, so that SYNCHRONIZE CACHE is sent */
    r[5] = 18;
    r[6] = (cdb[2] >> 6) == 1 ? 0 : 4; /* nothing is changeable */
    n = (uint8_t)(n + 20);
    r[0] = (uint8_t)(n - 1);
    return send_reply(disk, n, cdb[4]);
}

static enum disk_status start_stop(struct disk *disk, const uint8_t *cdb)
{
    disk->stopped = !(cdb[4] & 1u);
    return DISK_PASSED;
}

static enum disk_status succeed(struct disk *disk, const uint8_t *cdb)
{
    (void)disk;
    (void)cdb;
    return DISK_PASSED;
}

static enum disk_status read_capacity10(struct disk *disk, const uint8_t *cdb)
{
    (void)cdb;
    if (disk->stopped)
        return disk_scsi_fail(disk, KEY_NOT_READY, ASC_NOT_READY);
    uint64_t last = disk->blocks - 1;
    put_be32(disk->reply, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
    put_be32(disk->reply + 4, DISK_BLOCK_SIZE);
    return send_reply(disk, 8, 8);
}

static enum disk_status service_action16(struct disk *disk, const uint8_t *cdb)
{
    if ((cdb[1] & 0x1fu) != 0x10)
        return disk_scsi_fail(disk, KEY_ILLEGAL, ASC_FIELD);
    if (disk->stopped)
        return disk_scsi_fail(disk, KEY_NOT_READY, ASC_NOT_READY);
    uint64_t last = disk->blocks - 1;
    memset(disk->reply, 0, 32);
    put_be32(disk->reply, (uint32_t)(last >> 32));
    put_be32(disk->reply + 4, (uint32_t)last);
    put_be32(disk->reply + 8, DISK_BLOCK_SIZE);
    return send_reply(disk, 32, be32(cdb + 10));
}

static enum disk_status read10(struct disk *disk, const uint8_t *cdb)
{
    return move_blocks(disk, be32(cdb + 2), (uint32_t)cdb[7] << 8 | cdb[8], DISK_IN);
}

static enum disk_status read16(struct disk *disk, const uint8_t *cdb)
{
    return move_blocks(disk, be64(cdb + 2), be32(cdb + 10), DISK_IN);
}

static enum disk_status write10(struct disk *disk, const uint8_t *cdb)
{
    return move_blocks(disk, be32(cdb + 2), (uint32_t)cdb[7] << 8 | cdb[8], DISK_OUT);
}

static enum disk_status write16(struct disk *disk, const uint8_t *cdb)
{
    return move_blocks(disk, be64(cdb + 2), be32(cdb + 10), DISK_OUT);
}

static enum disk_status verify10(struct disk *disk, const uint8_t *cdb)
{
    if (cdb[1] & 2u) /* BYTCHK: comparing is not offered */
        return disk_scsi_fail(disk, KEY_ILLEGAL, ASC_FIELD);
    return check_range(disk, be32(cdb + 2), (uint32_t)cdb[7] << 8 | cdb[8]);
}

static enum disk_status synchronize_cache(struct disk *disk, const uint8_t *cdb)
{
    enum disk_status status = check_range(disk, be32(cdb + 2), (uint32_t)cdb[7] << 8 | cdb[8]);
    if (status == DISK_PASSED && disk_store_flush(disk))
        return disk_scsi_fail(disk, KEY_MEDIUM, ASC_WRITE_ERROR);
    return status;
}

static enum disk_status report_luns(struct disk *disk, const uint8_t *cdb)
{
    if (be32(cdb + 6) < 16) /* SPC-3 section 6.21 */
        return disk_scsi_fail(disk, KEY_ILLEGAL, ASC_FIELD);
    memset(disk->reply, 0, 16);
    disk->reply[3] = 8;
    return send_reply(disk, 16, be32(cdb + 6));
}

static const struct {
    uint8_t opcode;
    uint8_t length;
    enum disk_status (*start)(struct disk *disk, const uint8_t *cdb);
} commands[] = {
    {0x00, 6, test_unit_ready},
    {0x03, 6, request_sense},
    {0x12, 6, inquiry},
    {0x1a, 6, mode_sense6},
    {0x1b, 6, start_stop},
    {0x1e, 6, succeed /* prevent allow removal */},
    {0x25, 10, read_capacity10},
    {0x28, 10, read10},
    {0x2a, 10, write10},
    {0x2f, 10, verify10},
    {0x35, 10, synchronize_cache},
    {0x88, 16, read16},
    {0x8a, 16, write16},
    {0x9e, 16, service_action16},
    {0xa0, 12, report_luns},
};

enum disk_status disk_scsi_start(struct disk *disk, const uint8_t *cdb, uint8_t length)
{
    disk->data = (struct disk_data){0};
    disk->reply_at = 0;
    /* Sense data live until the next command (SPC-3 section 6.27), which REQUEST SENSE reports. */
    if (cdb[0] != 0x03)
        disk->sense = (struct disk_sense){0};
    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (commands[i].opcode != cdb[0])
            continue;
        if (length < commands[i].length)
            return disk_scsi_fail(disk, KEY_ILLEGAL, ASC_FIELD);
        return commands[i].start(disk, cdb);
    }
    return disk_scsi_fail(disk, KEY_ILLEGAL, ASC_OPCODE);
}
