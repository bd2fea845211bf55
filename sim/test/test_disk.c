// SPDX-License-Identifier: MIT
/*
 * Goal: the disk keeps the bulk-only transport 1.0 (BOT) where hosts err, and tells the truth in its SCSI
 * replies. Every exchange is written out over the seam: CBW, data, CSW.
 */
#include <fcntl.h>
#include <unistd.h>

#include "devices/disk.h"
#include "test/test_device_util.h"

#define BLOCKS 64u

enum { NONE, IN, OUT };

/* What one command looked like from the host. */
struct exchange {
    int data_status; /* of the data transfer, 0 without one */
    uint32_t moved;
    int csw_halted; /* the CSW had to be asked for twice */
    uint8_t csw_status;
    uint32_t residue;
};

static struct bench bench;
static struct turb turb;

static void start(const struct disk_config *config)
{
    struct usb_device *device;
    assert_int_equal(disk_create(config, &device), 0);
    bench_open(&bench, device);
    assert_int_equal(bench_control(&bench, 0x00, 9, 1, 0, 0, NULL), 0);
}

static void start_memory(uint8_t speed)
{
    start(&(struct disk_config){.bytes = BLOCKS * DISK_BLOCK_SIZE, .speed = speed});
}

static int clear_halt(uint8_t address)
{
    return bench_control(&bench, 0x02, 1, 0, address, 0, NULL);
}

static int send_cbw(const uint8_t *cdb, uint8_t cdb_length, int direction, uint32_t asked)
{
    uint8_t cbw[31] = {'U', 'S', 'B', 'C', 1, 2, 3, 4};
    for (unsigned int i = 0; i < 4; i++)
        cbw[8 + i] = (uint8_t)(asked >> (8 * i));
    cbw[12] = direction == IN ? 0x80 : 0;
    cbw[14] = cdb_length;
    memcpy(cbw + 15, cdb, cdb_length);
    turb_init(&turb, USBIF_PIPE_TYPE_BULK, DISK_EP_OUT, 31);
    memcpy(turb.bytes, cbw, 31);
    turb_submit(&bench, &turb);
    assert_int_equal(turb.completed, 1);
    return turb.urb.status;
}

static void read_csw(struct exchange *x)
{
    uint32_t actual;
    int status = turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_IN, 13, &actual);
    if (status == -EPIPE) { /* BOT figure 2: clear and try once more */
        x->csw_halted = 1;
        assert_int_equal(clear_halt(DISK_EP_IN), 0);
        status = turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_IN, 13, &actual);
    }
    assert_int_equal(status, 0);
    assert_int_equal(actual, 13);
    assert_memory_equal(turb.bytes, ((uint8_t[]){'U', 'S', 'B', 'S', 1, 2, 3, 4}), 8);
    x->residue = turb.bytes[8] | (uint32_t)turb.bytes[9] << 8 | (uint32_t)turb.bytes[10] << 16;
    x->csw_status = turb.bytes[12];
}

/* data is what to send, or where the reply goes; may be NULL. */
static struct exchange command(const uint8_t *cdb, uint8_t cdb_length, int direction, uint32_t asked,
                               void *data)
{
    struct exchange x = {0};
    assert_int_equal(send_cbw(cdb, cdb_length, direction, asked), 0);
    if (asked) {
        turb_init(&turb, USBIF_PIPE_TYPE_BULK, direction == IN ? DISK_EP_IN : DISK_EP_OUT, asked);
        if (direction == OUT && data)
            memcpy(turb.bytes, data, asked);
        turb_submit(&bench, &turb);
        assert_int_equal(turb.completed, 1);
        x.data_status = turb.urb.status;
        x.moved = turb.urb.actual;
        if (direction == IN && data)
            memcpy(data, turb.bytes, x.moved);
        if (x.data_status == -EPIPE)
            assert_int_equal(clear_halt(direction == IN ? DISK_EP_IN : DISK_EP_OUT), 0);
    }
    read_csw(&x);
    return x;
}

static uint8_t sense_of(uint8_t *asc)
{
    uint8_t sense[18] = {0};
    struct exchange x = command((uint8_t[6]){3, 0, 0, 0, 18, 0}, 6, IN, 18, sense);
    assert_int_equal(x.moved, 18);
    assert_int_equal(x.csw_status, 0);
    *asc = sense[12];
    return sense[2];
}

/*
 * BOT 6.7: the thirteen cases of what the host (H) and the device (D) mean to move: n nothing, i in, o out.
 * READ(10) and WRITE(10) are of 2 blocks. A zero status with moved < asked is a short packet, whose halt
 * meets the CSW.
 */
static void test_disk_thirteen_cases(void **state)
{
    (void)state;
    static const uint8_t nothing[10] = {0}, read2[10] = {0x28, 0, 0, 0, 0, 4, 0, 0, 2, 0},
                         write2[10] = {0x2a, 0, 0, 0, 0, 4, 0, 0, 2, 0};
    static const struct {
        const char *what;
        const uint8_t *cdb;
        int direction;
        uint32_t asked;
        struct exchange expected; /* data status, moved, halt at the CSW, CSW status, residue */
    } cases[] = {
        {"1: Hn = Dn", nothing, NONE, 0, {0, 0, 0, 0, 0}},
        {"2: Hn < Di", read2, NONE, 0, {0, 0, 0, 2, 0}},
        {"3: Hn < Do", write2, NONE, 0, {0, 0, 0, 2, 0}},
        {"4: Hi > Dn", nothing, IN, 100, {-EPIPE, 0, 0, 0, 100}},
        {"5: Hi > Di", read2, IN, 2048, {-EPIPE, 1024, 0, 0, 1024}},
        {"6: Hi = Di", read2, IN, 1024, {0, 1024, 0, 0, 0}},
        {"7: Hi < Di", read2, IN, 512, {-EPIPE, 0, 0, 2, 512}},
        {"8: Hi <> Do", write2, IN, 1024, {-EPIPE, 0, 0, 2, 1024}},
        {"9: Ho > Dn", nothing, OUT, 100, {-EPIPE, 0, 0, 0, 100}},
        {"10: Ho <> Di", read2, OUT, 1024, {-EPIPE, 0, 0, 2, 1024}},
        {"11: Ho > Do", write2, OUT, 2048, {-EPIPE, 1024, 0, 0, 1024}},
        {"12: Ho = Do", write2, OUT, 1024, {0, 1024, 0, 0, 0}},
        {"13: Ho < Do", write2, OUT, 512, {-EPIPE, 0, 0, 2, 512}},
    };
    static const uint8_t speeds[] = {USBIF_SPEED_FULL, USBIF_SPEED_HIGH};
    for (unsigned int i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned int c = i / 2;
        start_memory(speeds[i % 2]);
        uint64_t bytes;
        uint8_t *memory = disk_memory(sim_host_device(bench.sim, "1-1"), &bytes);
        memset(memory, 0x11, bytes);
        static uint8_t data[2048];
        memset(data, 0x22, sizeof(data));
        struct exchange x = command(cases[c].cdb, 10, cases[c].direction, cases[c].asked, data);
        const struct exchange *e = &cases[c].expected;
        if (x.data_status != e->data_status || x.moved != e->moved || x.csw_halted != e->csw_halted ||
            x.csw_status != e->csw_status || x.residue != e->residue)
            fail_msg("case %s: data %d moved %u csw halted %d status %u residue %u, expected %d %u %d %u %u",
                     cases[c].what, x.data_status, x.moved, x.csw_halted, x.csw_status, x.residue,
                     e->data_status, e->moved, e->csw_halted, e->csw_status, e->residue);
        /* Blocks 4 and 5 are written by cases 11 and 12 and by no other. */
        assert_int_equal(memory[4 * 512], c == 10 || c == 11 ? 0x22 : 0x11);
        assert_int_equal(memory[6 * 512], 0x11);
        /* And the disk goes on. */
        x = command(nothing, 6, NONE, 0, NULL);
        assert_int_equal(x.csw_status, 0);
        bench_close(&bench);
    }
}

/* BOT 5.3.3 and 6.7.2: less than asked for comes as a short packet, and the halt meets the CSW. */
static void test_disk_short_reply(void **state)
{
    (void)state;
    uint8_t reply[255];
    start_memory(USBIF_SPEED_HIGH);
    struct exchange x = command((uint8_t[6]){0x12, 0, 0, 0, 255, 0}, 6, IN, 255, reply);
    assert_int_equal(x.data_status, 0);
    assert_int_equal(x.moved, 36);
    assert_int_equal(x.csw_halted, 1);
    assert_int_equal(x.residue, 255 - 36);
    assert_memory_equal(reply + 8, "PVUSB   Simulated disk", 22);
    bench_close(&bench);
}

/*
 * BOT 6.2.1 and 6.6.1: what is no CBW wedges both endpoints until reset recovery (5.3.4), all of it, in
 * order.
 */
static void test_disk_invalid_cbw(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint32_t length;
        uint8_t first;
    } cases[] = {{"30 bytes", 30, 'U'},
                 {"32 bytes", 32, 'U'},
                 {"no packet data", 0, 'U'},
                 {"signature", 31, 'V'},
                 {"a whole packet", 512, 'U'}};
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t status[2] = {0, 0};
        start_memory(USBIF_SPEED_HIGH);
        turb_init(&turb, USBIF_PIPE_TYPE_BULK, DISK_EP_OUT, cases[i].length);
        memcpy(turb.bytes, (uint8_t[]){cases[i].first, 'S', 'B', 'C', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6}, 15);
        turb_submit(&bench, &turb);
        if (turb.urb.status)
            fail_msg("%s: the packet itself is taken, got %d", cases[i].what, turb.urb.status);
        /* Clearing the halts alone helps nothing. */
        assert_int_equal(clear_halt(DISK_EP_IN), 0);
        assert_int_equal(clear_halt(DISK_EP_OUT), 0);
        assert_int_equal(bench_control(&bench, 0x82, 0, 0, DISK_EP_IN, 2, status), 2);
        assert_int_equal(status[0], 1);
        assert_int_equal(send_cbw((uint8_t[6]){0}, 6, NONE, 0), -EPIPE);
        assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_IN, 13, NULL), -EPIPE);
        /* Nor does the reset alone: it keeps the halts (3.1). */
        assert_int_equal(bench_control(&bench, 0x21, 0xff, 0, 0, 0, NULL), 0);
        assert_int_equal(send_cbw((uint8_t[6]){0}, 6, NONE, 0), -EPIPE);
        assert_int_equal(clear_halt(DISK_EP_IN), 0);
        assert_int_equal(clear_halt(DISK_EP_OUT), 0);
        assert_int_equal(command((uint8_t[6]){0}, 6, NONE, 0, NULL).csw_status, 0);
        bench_close(&bench);
    }
}

/*
 * BOT 6.2.2: a CBW for a LUN that is not there, or with a command of 0 or 17 bytes, is halted and can be
 * cleared.
 */
static void test_disk_meaningless_cbw(void **state)
{
    (void)state;
    static const uint8_t tails[][3] = {{0, 1, 6}, {0, 0, 0}, {0, 0, 17}, {0x01, 0, 6}};
    for (unsigned int i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        start_memory(USBIF_SPEED_FULL);
        turb_init(&turb, USBIF_PIPE_TYPE_BULK, DISK_EP_OUT, 31);
        memcpy(turb.bytes, "USBC", 4);
        memcpy(turb.bytes + 12, tails[i], 3);
        turb_submit(&bench, &turb);
        assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_IN, 13, NULL), -EPIPE);
        assert_int_equal(clear_halt(DISK_EP_IN), 0);
        assert_int_equal(clear_halt(DISK_EP_OUT), 0);
        assert_int_equal(command((uint8_t[6]){0}, 6, NONE, 0, NULL).csw_status, 0);
        bench_close(&bench);
    }
}

/* BOT 3.1 and 3.2; a reset in mid-command forgets the command. */
static void test_disk_class_requests(void **state)
{
    (void)state;
    uint8_t lun = 7;
    start_memory(USBIF_SPEED_HIGH);
    assert_int_equal(bench_control(&bench, 0xa1, 0xfe, 0, 0, 1, &lun), 1);
    assert_int_equal(lun, 0);
    assert_int_equal(bench_control(&bench, 0xa1, 0xfe, 0, 1, 1, &lun), -EPIPE);
    assert_int_equal(bench_control(&bench, 0x21, 0xff, 1, 0, 0, NULL), -EPIPE);
    assert_int_equal(send_cbw((uint8_t[10]){0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0}, 10, IN, 1024), 0);
    assert_int_equal(bench_control(&bench, 0x21, 0xff, 0, 0, 0, NULL), 0);
    assert_int_equal(command((uint8_t[6]){0}, 6, NONE, 0, NULL).csw_status, 0);
    bench_close(&bench);
}

/* SPC-3 and SBC-2: each command that fails says why, and leaves no data behind. */
static void test_disk_sense(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t cdb[16];
        uint8_t length;
        int direction;
        uint32_t asked;
        uint8_t key, asc;
    } cases[] = {
        {"unknown opcode", {0xff}, 6, NONE, 0, 5, 0x20},
        {"read at the end", {0x28, 0, 0, 0, 0, BLOCKS, 0, 0, 1}, 10, IN, 512, 5, 0x21},
        {"read across the end", {0x28, 0, 0, 0, 0, BLOCKS - 1, 0, 0, 2}, 10, IN, 1024, 5, 0x21},
        {"read16 far out",
         {0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1},
         16,
         IN,
         512,
         5,
         0x21},
        {"verify with data", {0x2f, 2, 0, 0, 0, 0, 0, 0, 1}, 10, NONE, 0, 5, 0x24},
        {"mode page 1", {0x1a, 0, 1, 0, 192}, 6, IN, 192, 5, 0x24},
        {"vital product page 0x83", {0x12, 1, 0x83, 0, 255}, 6, IN, 255, 5, 0x24},
        {"command block too short", {0x28}, 6, NONE, 0, 5, 0x24},
        {"luns into 8 bytes", {0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 8}, 12, IN, 8, 5, 0x24},
        {"bad block", {0x28, 0, 0, 0, 0, 10, 0, 0, 4}, 10, IN, 2048, 3, 0x11},
        {"write to a bad block", {0x2a, 0, 0, 0, 0, 12, 0, 0, 1}, 10, OUT, 512, 3, 0x0c},
    };
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t asc;
        start_memory(USBIF_SPEED_HIGH);
        disk_set_bad(sim_host_device(bench.sim, "1-1"), 12, 1);
        struct exchange x = command(cases[i].cdb, cases[i].length, cases[i].direction, cases[i].asked, NULL);
        if (x.csw_status != 1 || x.residue != cases[i].asked - x.moved)
            fail_msg("%s: csw status %u residue %u moved %u", cases[i].what, x.csw_status, x.residue,
                     x.moved);
        /* The two good blocks before the bad one have been sent. */
        assert_int_equal(x.moved, cases[i].asc == 0x11 ? 1024 : 0);
        uint8_t key = sense_of(&asc);
        if (key != cases[i].key || asc != cases[i].asc)
            fail_msg("%s: sense %x/%x, expected %x/%x", cases[i].what, key, asc, cases[i].key, cases[i].asc);
        assert_int_equal(sense_of(&asc), 0); /* told once */
        bench_close(&bench);
    }
}

static void test_disk_replies(void **state)
{
    (void)state;
    static const uint8_t high[8] = {0, 0, 0, BLOCKS - 1, 0, 0, 2, 0};
    uint8_t r[255], asc;
    start_memory(USBIF_SPEED_HIGH);
    /* SBC-2 5.10 and 5.11: the last block, not their number. */
    assert_int_equal(command((uint8_t[10]){0x25}, 10, IN, 8, r).moved, 8);
    assert_memory_equal(r, high, 8);
    assert_int_equal(command((uint8_t[16]){0x9e, 0x10, [13] = 32}, 16, IN, 32, r).moved, 32);
    assert_int_equal(r[7], BLOCKS - 1);
    assert_int_equal(r[10], 2);
    assert_int_equal(command((uint8_t[12]){0xa0, [9] = 16}, 12, IN, 16, r).moved, 16);
    assert_int_equal(r[3], 8);
    assert_int_equal(command((uint8_t[6]){0x12, 1, 0x80, 0, 255}, 6, IN, 255, r).moved, 16);
    assert_memory_equal(r + 4, "000000000001", 12);
    assert_int_equal(command((uint8_t[6]){0x1a, 0, 0x3f, 0, 192}, 6, IN, 192, r).moved, 24);
    assert_int_equal(r[0], 23);
    assert_int_equal(r[2], 0);
    assert_int_equal(command((uint8_t[6]){0x1e, 0, 0, 0, 1}, 6, NONE, 0, NULL).csw_status, 0);
    assert_int_equal(command((uint8_t[10]){0x2f, [8] = 1}, 10, NONE, 0, NULL).csw_status, 0);
    assert_int_equal(command((uint8_t[10]){0x35}, 10, NONE, 0, NULL).csw_status, 0);
    /* SBC-2 5.19: a stopped disk is not ready until started. */
    assert_int_equal(command((uint8_t[6]){0x1b}, 6, NONE, 0, NULL).csw_status, 0);
    assert_int_equal(command((uint8_t[6]){0x00}, 6, NONE, 0, NULL).csw_status, 1);
    assert_int_equal(sense_of(&asc), 2);
    assert_int_equal(command((uint8_t[6]){0x1b, 0, 0, 0, 1}, 6, NONE, 0, NULL).csw_status, 0);
    assert_int_equal(command((uint8_t[6]){0x00}, 6, NONE, 0, NULL).csw_status, 0);
    bench_close(&bench);
}

/* A file behind it: what is written is there, the 16-byte commands do the same, read-only is data protect. */
static void test_disk_file(void **state)
{
    (void)state;
    char path[] = "/tmp/pvusb-disk-XXXXXX";
    uint8_t data[1536], back[1536], asc;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, BLOCKS * DISK_BLOCK_SIZE), 0);
    for (unsigned int i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7);
    start(&(struct disk_config){.path = path, .speed = USBIF_SPEED_FULL});
    struct exchange x = command((uint8_t[16]){0x8a, [9] = 5, [13] = 3}, 16, OUT, sizeof(data), data);
    assert_int_equal(x.csw_status, 0);
    assert_int_equal(pread(fd, back, sizeof(back), 5 * 512), sizeof(back));
    assert_memory_equal(back, data, sizeof(data));
    memset(back, 0, sizeof(back));
    x = command((uint8_t[16]){0x88, [9] = 5, [13] = 3}, 16, IN, sizeof(back), back);
    assert_int_equal(x.moved, sizeof(back));
    assert_memory_equal(back, data, sizeof(data));
    assert_int_equal(command((uint8_t[10]){0x35}, 10, NONE, 0, NULL).csw_status, 0);
    /* The file shrinks below us: a medium error, not a disk full of zeroes. */
    assert_int_equal(ftruncate(fd, 6 * DISK_BLOCK_SIZE), 0);
    x = command((uint8_t[16]){0x88, [9] = 5, [13] = 3}, 16, IN, sizeof(back), back);
    assert_int_equal(x.csw_status, 1);
    assert_int_equal(x.moved, 0); /* the read failed as a whole */
    assert_int_equal(x.residue, sizeof(back));
    assert_int_equal(sense_of(&asc), 3);
    bench_close(&bench);

    assert_int_equal(ftruncate(fd, BLOCKS * DISK_BLOCK_SIZE), 0);
    start(&(struct disk_config){.path = path, .read_only = true});
    x = command((uint8_t[10]){0x2a, [8] = 1}, 10, OUT, 512, data);
    assert_int_equal(x.csw_status, 1);
    assert_int_equal(sense_of(&asc), 7);
    assert_int_equal(command((uint8_t[6]){0x1a, 0, 0x3f, 0, 24}, 6, IN, 24, back).moved, 24);
    assert_int_equal(back[2], 0x80);
    bench_close(&bench);
    close(fd);
    unlink(path);
}

/* Memory of the caller's: what is there is read, what is written is there, and it outlives the disk. */
static void test_disk_borrowed_memory(void **state)
{
    (void)state;
    uint8_t *blocks = malloc(8 * DISK_BLOCK_SIZE), data[512], back[512];
    assert_non_null(blocks);
    memset(blocks, 0x33, 8 * DISK_BLOCK_SIZE);
    memset(data, 0x44, sizeof(data));
    start(&(struct disk_config){.bytes = 8 * DISK_BLOCK_SIZE, .memory = blocks});
    assert_int_equal(command((uint8_t[10]){0x28, [5] = 7, [8] = 1}, 10, IN, 512, back).csw_status, 0);
    assert_int_equal(back[511], 0x33);
    assert_int_equal(command((uint8_t[10]){0x2a, [5] = 6, [8] = 1}, 10, OUT, 512, data).csw_status, 0);
    bench_close(&bench);
    assert_memory_equal(blocks + 6 * 512, data, 512);
    assert_int_equal(blocks[7 * 512], 0x33);
    free(blocks);
}

/* disk.h: configurations that cannot be are refused. */
static void test_disk_config(void **state)
{
    (void)state;
    struct usb_device *device;
    assert_int_equal(disk_create(&(struct disk_config){.bytes = 0}, &device), -EINVAL);
    assert_int_equal(disk_create(&(struct disk_config){.bytes = 513}, &device), -EINVAL);
    assert_int_equal(disk_create(&(struct disk_config){.bytes = 512, .speed = USBIF_SPEED_LOW}, &device),
                     -EINVAL);
    assert_int_equal(disk_create(&(struct disk_config){.bytes = 512, .serial = "1"}, &device), -EINVAL);
    assert_int_equal(disk_create(&(struct disk_config){.path = "/nonexistent/disk"}, &device), -ENOENT);
}

/*
 * A CBW out of place waits (NAK) until the CSW has been read; a CSW asked for too early waits for its
 * command.
 */
static void test_disk_order(void **state)
{
    (void)state;
    static struct turb early, csw;
    start_memory(USBIF_SPEED_HIGH);
    turb_init(&csw, USBIF_PIPE_TYPE_BULK, DISK_EP_IN, 13);
    turb_submit(&bench, &csw);
    assert_int_equal(csw.completed, 0);
    assert_int_equal(send_cbw((uint8_t[6]){0}, 6, NONE, 0), 0);
    assert_int_equal(csw.completed, 1);
    assert_int_equal(send_cbw((uint8_t[6]){0}, 6, NONE, 0), 0);
    turb_init(&early, USBIF_PIPE_TYPE_BULK, DISK_EP_OUT, 31);
    memcpy(early.bytes, (uint8_t[]){'U', 'S', 'B', 'C', 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 6}, 15);
    turb_submit(&bench, &early);
    assert_int_equal(early.completed, 0);
    struct exchange x = {0};
    read_csw(&x);
    assert_int_equal(early.completed, 1);
    /* A host that reads a CSW into too little memory gets a babble, and the CSW after that. */
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_IN, 8, NULL), -EOVERFLOW);
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_IN, 13, NULL), 0);
    assert_int_equal(turb.bytes[4], 9);
    bench_close(&bench);
}

/*
 * BOT 5.3.2: a host that ends its data early, with a packet that is not full, gets a phase error and the
 * residue.
 */
static void test_disk_early_end(void **state)
{
    (void)state;
    static const uint32_t sent[] = {100, 512, 0};
    for (unsigned int i = 0; i < 3; i++) {
        struct exchange x = {0};
        start_memory(USBIF_SPEED_HIGH);
        assert_int_equal(send_cbw((uint8_t[10]){0x2a, [8] = 2}, 10, OUT, 1024), 0);
        assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_OUT, sent[i], NULL), 0);
        if (sent[i] == 512) /* a full packet is no end; no bytes are */
            assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_OUT, 0, NULL), 0);
        read_csw(&x);
        assert_int_equal(x.csw_status, 2);
        assert_int_equal(x.residue, 1024 - sent[i]);
        bench_close(&bench);
    }
}

/* usb_host.h: unplugged in the middle of a The transfer has moved what it has, and ends with -ENODEV. */
static void test_disk_unplug(void **state)
{
    (void)state;
    static struct turb data;
    start_memory(USBIF_SPEED_FULL);
    assert_int_equal(send_cbw((uint8_t[10]){0x2a, [8] = 4}, 10, OUT, 2048), 0);
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_OUT, 512, NULL), 0);
    turb_init(&data, USBIF_PIPE_TYPE_BULK, DISK_EP_IN, 13);
    turb_submit(&bench, &data);
    assert_int_equal(sim_host_unplug(bench.sim, "1-1"), 0);
    assert_int_equal(data.urb.status, -ENODEV);
    bench_close(&bench);
}

/* USB 2.0 section 9.6.4: what it was before is what it would be at the other speed, and the packets are smaller. */
static void test_disk_full_speed(void **state)
{
    (void)state;
    uint8_t high[18], slow[18], qualifier[10], config[64], other[64], high_config[64];
    start_memory(USBIF_SPEED_HIGH);
    assert_int_equal(bench_control(&bench, 0x80, 6, 0x0100, 0, 18, high), 18);
    int n = bench_control(&bench, 0x80, 6, 0x0200, 0, sizeof(high_config), high_config);
    assert_int_equal(bench.host->ops->full_speed(bench.host, bench.device), 0);
    assert_int_equal(bench.host->ops->reset(bench.host, bench.device), 0);
    assert_int_equal(bench.host->ops->speed(bench.host, bench.device), USBIF_SPEED_FULL);
    assert_int_equal(bench_control(&bench, 0x80, 6, 0x0100, 0, 18, slow), 18);
    assert_memory_equal(high, slow, 18);
    assert_int_equal(bench_control(&bench, 0x80, 6, 0x0600, 0, 10, qualifier), 10);
    assert_int_equal(qualifier[7], 64);
    assert_int_equal(bench_control(&bench, 0x80, 6, 0x0200, 0, sizeof(config), config), n);
    assert_int_equal(config[1], 2);
    assert_int_equal(config[9 + 9 + 4] | config[9 + 9 + 5] << 8, 64); /* of the first endpoint */
    assert_int_equal(bench_control(&bench, 0x80, 6, 0x0700, 0, sizeof(other), other), n);
    assert_int_equal(other[1], 7);
    other[1] = 2;
    assert_memory_equal(other, high_config, (size_t)n);
    assert_int_equal(bench_control(&bench, 0x00, 9, 1, 0, 0, NULL), 0);
    /* A transfer of 64 bytes is a whole packet now, no babble. */
    assert_int_equal(send_cbw((const uint8_t[]){0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 10, IN, 512), 0);
    for (unsigned int i = 0; i < 8; i++)
        assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_IN, 64, NULL), 0);
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, DISK_EP_IN, 13, NULL), 0);
    /* The next one who opens it has it at high speed. */
    bench.host->ops->close(bench.host, bench.device);
    assert_int_equal(bench.host->ops->open(bench.host, "1-1", &bench.device), 0);
    assert_int_equal(bench.host->ops->speed(bench.host, bench.device), USBIF_SPEED_HIGH);
    bench_close(&bench);
    struct usb_device *device;
    assert_int_equal(disk_create(&(struct disk_config){.bytes = 512, .speed = DEVICE_SPEED_SUPER}, &device), 0);
    bench_open(&bench, device);
    assert_int_equal(bench.host->ops->full_speed(bench.host, bench.device), -EOPNOTSUPP);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_thirteen_cases), cmocka_unit_test(test_disk_short_reply),
        cmocka_unit_test(test_disk_invalid_cbw),    cmocka_unit_test(test_disk_meaningless_cbw),
        cmocka_unit_test(test_disk_class_requests), cmocka_unit_test(test_disk_sense),
        cmocka_unit_test(test_disk_replies),        cmocka_unit_test(test_disk_file),
        cmocka_unit_test(test_disk_borrowed_memory),
        cmocka_unit_test(test_disk_config),         cmocka_unit_test(test_disk_order),
        cmocka_unit_test(test_disk_full_speed),     cmocka_unit_test(test_disk_unplug),         cmocka_unit_test(test_disk_early_end),
    };
    return cmocka_run_group_tests_name("devices: the disk", tests, NULL, NULL);
}
