// SPDX-License-Identifier: MIT
/*
 * Goal: the client keeps the promises of hcd.h whatever the server does: each URB comes back once, with what
 * came first; a server that breaks the protocol is left with one line, and its device is gone. The server is
 * the test, by raw bytes.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/usbip_bed.h"

#define BUFFER 8192u

struct rig {
    struct usbip_client *client;
    struct hcd *hcd;
    int fd; /* the server's end */
    uint8_t *buffer;
    unsigned int lines;
    char line[256];
};

struct one {
    struct hcd_urb urb;
    struct pvusb_iso_desc packets[4];
    unsigned int completed;
};

static void on_line(void *context, const char *line)
{
    struct rig *rig = context;
    rig->lines++;
    snprintf(rig->line, sizeof(rig->line), "%s", line);
}

static void on_complete(struct hcd_urb *urb)
{
    ((struct one *)urb)->completed++;
}

static void step(struct rig *rig)
{
    do {
        assert_int_equal(usbip_client_step(rig->client, 0), 0);
    } while (usbip_client_deadline(rig->client) == 0);
}

static void say(struct rig *rig, const void *bytes, size_t n)
{
    assert_int_equal(send(rig->fd, bytes, n, MSG_NOSIGNAL), n);
    step(rig);
}

static void open_client(struct rig *rig)
{
    int fd[2];
    uint8_t request[40];
    const uint8_t expected[12] = {0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0, '2', '-', '5', 0};
    *rig = (struct rig){0};
    usbip_pair(fd);
    rig->fd = fd[1];
    assert_int_equal(usbip_client_create(fd[0], "2-5", on_line, rig, &rig->client), 0);
    rig->hcd = usbip_client_hcd(rig->client);
    step(rig);
    bed_hear(rig->fd, request, sizeof(request));
    assert_memory_equal(request, expected, sizeof(expected));
    assert_null(usbip_client_device(rig->client));
}

static void fill_reply(uint8_t reply[320], uint32_t speed)
{
    memset(reply, 0, 320);
    reply[0] = reply[1] = 0x01;
    reply[1] = 0x11;
    reply[3] = 3;
    memcpy(reply + 8, "/sys/somewhere", 14);
    memcpy(reply + 8 + 256, "2-5", 3);
    bed_put32(reply + 8 + 288, 2);
    bed_put32(reply + 8 + 292, 7);
    bed_put32(reply + 8 + 296, speed);
}

static void open_rig(struct rig *rig)
{
    uint8_t reply[320];
    void *memory;
    open_client(rig);
    fill_reply(reply, 3);
    say(rig, reply, sizeof(reply));
    assert_int_equal(usbip_client_status(rig->client), 0);
    assert_non_null(usbip_client_device(rig->client));
    assert_int_equal(rig->hcd->ops->buffer_alloc(rig->hcd, BUFFER, &memory), 0);
    rig->buffer = memory;
}

static void close_rig(struct rig *rig)
{
    usbip_client_close(rig->client);
    step(rig);
    if (rig->buffer)
        rig->hcd->ops->buffer_free(rig->hcd, rig->buffer, BUFFER);
    usbip_client_destroy(rig->client);
    if (rig->fd >= 0)
        close(rig->fd);
}

static void fill_urb(struct rig *rig, struct one *one, uint8_t type, bool in, uint32_t length)
{
    *one = (struct one){.urb = {.port = 1,
                                .endpoint = 1,
                                .type = type,
                                .in = in,
                                .length = length,
                                .buffer = length ? rig->buffer : NULL,
                                .complete = on_complete}};
    if (type == USBIF_PIPE_TYPE_ISOC) {
        one->urb.nr_packets = 4;
        one->urb.packets = one->packets;
        for (uint32_t i = 0; i < 4; i++)
            one->packets[i] = (struct pvusb_iso_desc){.offset = i * 64, .length = 64};
    }
}

/* Submits, and returns the sequence number with which the server got it. */
static uint32_t submit(struct rig *rig, struct one *one)
{
    uint8_t header[48], rest[BUFFER];
    assert_int_equal(rig->hcd->ops->submit(rig->hcd, &one->urb), 0);
    step(rig);
    bed_hear(rig->fd, header, sizeof(header));
    assert_int_equal(bed_get32(header), 1);
    assert_int_equal(bed_get32(header + 8), 0x00020007);
    assert_int_equal(bed_get32(header + 12), one->urb.in);
    assert_int_equal(bed_get32(header + 24), one->urb.length);
    uint32_t packets = one->urb.type == USBIF_PIPE_TYPE_ISOC ? 4 : 0xffffffff;
    assert_int_equal(bed_get32(header + 32), packets);
    if (!one->urb.in && one->urb.length) {
        bed_hear(rig->fd, rest, one->urb.length);
        assert_memory_equal(rest, one->urb.buffer, one->urb.length);
    }
    if (packets == 4)
        bed_hear(rig->fd, rest, 64);
    assert_int_equal(recv(rig->fd, rest, 1, MSG_DONTWAIT), -1);
    return bed_get32(header + 4);
}

/* words: command, seqnum, devid, direction, endpoint, status, actual length, start frame, packets, errors. */
static void answer(struct rig *rig, const uint32_t words[10])
{
    uint8_t bytes[48] = {0};
    for (unsigned int i = 0; i < 10; i++)
        bed_put32(bytes + (size_t)4 * i, words[i]);
    say(rig, bytes, sizeof(bytes));
}

#define RET_SUBMIT(...) ((const uint32_t[10]){3, __VA_ARGS__})
#define RET_UNLINK(...) ((const uint32_t[10]){4, __VA_ARGS__})
#define ERR(e)          ((uint32_t) - (e))

/* ---- results ---- */

static void test_usbip_client_results(void **state)
{
    static const struct {
        uint32_t status;
        int expected;
    } rows[] = {
        {0, 0},
        {ERR(EPIPE), -EPIPE},
        {ERR(EOVERFLOW), -EOVERFLOW},
        {ERR(ENODEV), -ENODEV},
        {ERR(EPROTO), -EPROTO},
        {ERR(EILSEQ), -EPROTO},
        {ERR(ECONNRESET), -EPROTO}, /* nobody unlinked it */
        {ERR(4095), -EPROTO},
    };
    (void)state;
    struct rig rig;
    open_rig(&rig);
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct one in, out;
        fill_urb(&rig, &in, USBIF_PIPE_TYPE_BULK, true, 512);
        answer(&rig, RET_SUBMIT(submit(&rig, &in), 0, 0, 0, rows[i].status, 5));
        assert_int_equal(in.completed, 0); /* its data is not here yet */
        say(&rig, "01234", 5);
        assert_int_equal(in.completed, 1);
        assert_int_equal(in.urb.status, rows[i].expected);
        assert_int_equal(in.urb.actual, 5);
        assert_memory_equal(rig.buffer, "01234", 5);
        fill_urb(&rig, &out, USBIF_PIPE_TYPE_BULK, false, 5000);
        answer(&rig, RET_SUBMIT(submit(&rig, &out), 0, 0, 0, rows[i].status, 4096));
        assert_int_equal(out.completed, 1);
        assert_int_equal(out.urb.status, rows[i].expected);
        assert_int_equal(out.urb.actual, 4096);
    }
    close_rig(&rig);
}

/* Rule SNO-03. */
static void test_usbip_client_short_not_ok(void **state)
{
    (void)state;
    struct rig rig;
    struct one one;
    open_rig(&rig);
    fill_urb(&rig, &one, USBIF_PIPE_TYPE_BULK, true, 512);
    one.urb.short_not_ok = true;
    answer(&rig, RET_SUBMIT(submit(&rig, &one), 0, 0, 0, 0, 3));
    say(&rig, "abc", 3);
    assert_int_equal(one.urb.status, -EREMOTEIO);
    assert_int_equal(one.urb.actual, 3);
    close_rig(&rig);
}

/* Packets come without padding and go where they belong; errors stay with theirs. */
static void test_usbip_client_iso(void **state)
{
    static const uint32_t lengths[4] = {3, 0, 64, 1};
    (void)state;
    struct rig rig;
    struct one one;
    uint8_t rest[68 + 64];
    open_rig(&rig);
    fill_urb(&rig, &one, USBIF_PIPE_TYPE_ISOC, true, 256);
    uint32_t seqnum = submit(&rig, &one);
    memset(rig.buffer, 0xee, 256);
    for (unsigned int i = 0; i < 68; i++)
        rest[i] = (uint8_t)i;
    for (unsigned int i = 0; i < 4; i++) {
        bed_put32(rest + 68 + (size_t)16 * i, 0xdeadbeef); /* an offset that means nothing */
        bed_put32(rest + 72 + (size_t)16 * i, 64);
        bed_put32(rest + 76 + (size_t)16 * i, lengths[i]);
        bed_put32(rest + 80 + (size_t)16 * i, i == 1 ? ERR(EXDEV) : 0);
    }
    answer(&rig, RET_SUBMIT(seqnum, 0, 0, 0, 0, 68, 1234, 4, 1));
    say(&rig, rest, sizeof(rest));
    assert_int_equal(one.completed, 1);
    assert_int_equal(one.urb.start_frame, 1234);
    assert_int_equal(one.urb.error_count, 1);
    assert_int_equal(one.urb.actual, 68);
    for (unsigned int i = 0, at = 0; i < 4; at += lengths[i++]) {
        assert_int_equal(one.packets[i].actual_length, lengths[i]);
        assert_int_equal(one.packets[i].offset, i * 64);
        assert_int_equal(one.packets[i].status, i == 1 ? -EXDEV : 0);
        for (unsigned int b = 0; b < lengths[i]; b++)
            assert_int_equal(rig.buffer[i * 64 + b], at + b);
    }
    close_rig(&rig);
}

/* ---- unlinks ---- */

static uint32_t hear_unlink(struct rig *rig, uint32_t target)
{
    uint8_t header[48];
    step(rig);
    bed_hear(rig->fd, header, sizeof(header));
    assert_int_equal(bed_get32(header), 2);
    assert_int_equal(bed_get32(header + 8), 0x00020007);
    assert_int_equal(bed_get32(header + 20), target);
    return bed_get32(header + 4);
}

static void test_usbip_client_unlink(void **state)
{
    (void)state;
    struct rig rig;
    struct one a, b, c;
    uint8_t byte;
    open_rig(&rig);
    /* In time. */
    fill_urb(&rig, &a, USBIF_PIPE_TYPE_BULK, true, 512);
    uint32_t target = submit(&rig, &a);
    assert_int_equal(rig.hcd->ops->unlink(rig.hcd, &a.urb, -ENOENT), 0);
    assert_int_equal(rig.hcd->ops->unlink(rig.hcd, &a.urb, -ENOENT), -EBUSY);
    uint32_t unlink = hear_unlink(&rig, target);
    assert_int_equal(a.completed, 0);
    answer(&rig, RET_UNLINK(unlink, 0, 0, 0, ERR(ECONNRESET)));
    assert_int_equal(a.completed, 1);
    assert_int_equal(a.urb.status, -ENOENT);
    assert_int_equal(rig.hcd->ops->unlink(rig.hcd, &a.urb, -ENOENT), -EINVAL);
    /* Its end crosses the unlink; the answer to that means nothing any more. */
    fill_urb(&rig, &b, USBIF_PIPE_TYPE_BULK, true, 512);
    target = submit(&rig, &b);
    assert_int_equal(rig.hcd->ops->unlink(rig.hcd, &b.urb, -ECONNRESET), 0);
    unlink = hear_unlink(&rig, target);
    answer(&rig, RET_SUBMIT(target, 0, 0, 0, 0, 4));
    say(&rig, "data", 4);
    assert_int_equal(b.completed, 1);
    assert_int_equal(b.urb.status, -ECONNRESET);
    assert_int_equal(b.urb.actual, 4);
    answer(&rig, RET_UNLINK(unlink, 0, 0, 0, 0));
    assert_int_equal(b.completed, 1);
    /* Before anything of it is sent: the server never hears of it. */
    fill_urb(&rig, &c, USBIF_PIPE_TYPE_BULK, true, 512);
    assert_int_equal(rig.hcd->ops->submit(rig.hcd, &c.urb), 0);
    assert_int_equal(rig.hcd->ops->unlink(rig.hcd, &c.urb, -ENOENT), 0);
    step(&rig);
    assert_int_equal(c.completed, 1);
    assert_int_equal(c.urb.status, -ENOENT);
    assert_int_equal(recv(rig.fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(usbip_client_status(rig.client), 0);
    close_rig(&rig);
}

/* More than fit: they wait, in order, and can be unlinked there. */
static void test_usbip_client_many(void **state)
{
    (void)state;
    enum { MANY = USBIP_CLIENT_URBS + 20 };
    static struct one all[MANY];
    struct rig rig;
    uint8_t header[48];
    open_rig(&rig);
    for (unsigned int i = 0; i < MANY; i++) {
        fill_urb(&rig, &all[i], USBIF_PIPE_TYPE_BULK, true, 1);
        assert_int_equal(rig.hcd->ops->submit(rig.hcd, &all[i].urb), 0);
    }
    step(&rig);
    assert_int_equal(rig.hcd->ops->unlink(rig.hcd, &all[MANY - 1].urb, -ENOENT), 0);
    step(&rig);
    assert_int_equal(all[MANY - 1].completed, 1);
    uint32_t last = 0;
    for (unsigned int i = 0; i < MANY - 1; i++) {
        bed_hear(rig.fd, header, sizeof(header));
        assert_true(bed_get32(header + 4) > last);
        last = bed_get32(header + 4);
        answer(&rig, RET_SUBMIT(last, 0, 0, 0, 0, 1));
        say(&rig, "x", 1);
        assert_int_equal(all[i].completed, 1);
        assert_int_equal(all[i].urb.status, 0);
    }
    assert_int_equal(usbip_client_held(rig.client), 0);
    close_rig(&rig);
}

/* ---- servers that break the protocol ---- */

static void test_usbip_client_violations(void **state)
{
    /* With an IN URB of 512 bytes and an isochronous one under way. 1 and 2 stand for their numbers. */
    static const struct {
        const char *line;
        uint32_t words[10];
    } rows[] = {
        {"neither submit nor unlink", {1, 1}},
        {"neither submit nor unlink", {0x80000003, 1}},
        {"what was not asked", {3, 999}},
        {"what was not asked", {3, 1 + 256}}, /* the same place in the table */
        {"what was not asked", {3, 0}},
        {"what was not asked", {4, 1}}, /* nobody unlinked it */
        {"more data than was asked for", {3, 1, 0, 0, 0, 0, 513}},
        {"more data than any transfer has", {3, 1, 0, 0, 0, 0, 0xffffffff}},
        {"no errno", {3, 1, 0, 0, 0, 1}},
        {"no errno", {3, 1, 0, 0, 0, 0x80000000}},
        {"another number of packets", {3, 2, 0, 0, 0, 0, 0, 0, 5}},
        {"another number of packets", {3, 2, 0, 0, 0, 0, 0, 0, 0xffffffff}},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct one bulk, iso;
        uint32_t words[10];
        open_rig(&rig);
        fill_urb(&rig, &bulk, USBIF_PIPE_TYPE_BULK, true, 512);
        fill_urb(&rig, &iso, USBIF_PIPE_TYPE_ISOC, true, 256);
        assert_int_equal(submit(&rig, &bulk), 1);
        assert_int_equal(submit(&rig, &iso), 2);
        memcpy(words, rows[i].words, sizeof(words));
        answer(&rig, words);
        if (rig.lines != 1 || !strstr(rig.line, rows[i].line) ||
            !strstr(rig.line, "usbip: 2-5: the server sent "))
            fail_msg("row %u: %u lines: %s", i, rig.lines, rig.line);
        assert_int_equal(usbip_client_status(rig.client), -EPROTO);
        assert_int_equal(usbip_client_fd(rig.client), -1);
        assert_int_equal(bulk.completed + iso.completed, 2);
        assert_int_equal(bulk.urb.status, -ENODEV);
        assert_int_equal(iso.urb.status, -ENODEV);
        assert_int_equal(rig.hcd->ops->submit(rig.hcd, &bulk.urb), -ESHUTDOWN);
        close_rig(&rig);
    }
}

/* Packet descriptors that contradict what was asked or the header. */
static void test_usbip_client_bad_packets(void **state)
{
    static const struct {
        const char *line;
        uint32_t lengths[4];
    } rows[] = {
        {"longer than there is room for", {65, 3, 0, 0}},
        {"longer than there is room for", {0xffffffff, 64, 5, 0}},
        {"do not make up the data", {64, 3, 0, 0}},
        {"do not make up the data", {64, 5, 0, 0}},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct one iso;
        uint8_t rest[68 + 64] = {0};
        open_rig(&rig);
        fill_urb(&rig, &iso, USBIF_PIPE_TYPE_ISOC, true, 256);
        answer(&rig, RET_SUBMIT(submit(&rig, &iso), 0, 0, 0, 0, 68, 0, 4));
        for (unsigned int p = 0; p < 4; p++)
            bed_put32(rest + 76 + (size_t)16 * p, rows[i].lengths[p]);
        say(&rig, rest, sizeof(rest));
        assert_int_equal(rig.lines, 1);
        assert_non_null(strstr(rig.line, rows[i].line));
        assert_int_equal(iso.urb.status, -ENODEV);
        close_rig(&rig);
    }
}

/* An answer to a command of which the last byte is not sent yet. */
static void test_usbip_client_answer_too_soon(void **state)
{
    (void)state;
    struct rig rig;
    static struct one many[40];
    open_rig(&rig);
    int small = 1;
    (void)setsockopt(rig.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (unsigned int i = 0; i < 40; i++) {
        fill_urb(&rig, &many[i], USBIF_PIPE_TYPE_BULK, false, BUFFER);
        assert_int_equal(rig.hcd->ops->submit(rig.hcd, &many[i].urb), 0);
    }
    assert_int_equal(usbip_client_step(rig.client, 0), 0);
    assert_int_equal(usbip_client_deadline(rig.client), UINT64_MAX); /* poll() is to tell */
    answer(&rig, RET_SUBMIT(40, 0, 0, 0, 0, 0));
    assert_int_equal(rig.lines, 1);
    assert_non_null(strstr(rig.line, "what was not asked"));
    for (unsigned int i = 0; i < 40; i++)
        assert_int_equal(many[i].completed, 1);
    close_rig(&rig);
}

/* ---- imports that fail ---- */

static void test_usbip_client_imports(void **state)
{
    static const struct {
        unsigned int at;
        uint8_t byte;
        int status;
        unsigned int lines;
    } rows[] = {
        {1, 0x06, -EPROTO, 1},        /* version */
        {3, 0x05, -EPROTO, 1},        /* another reply */
        {7, 1, -ENODEV, 0},           /* refused */
        {7, 2, -EBUSY, 0},            /* has a user */
        {8, 0x1b, -EPROTO, 1},        /* a path with an escape */
        {8 + 256, '3', -EPROTO, 1},   /* another device */
        {8 + 299, 0, -EPROTO, 1},     /* no speed */
        {8 + 299, 5, -EOPNOTSUPP, 0}, /* super speed */
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        uint8_t reply[320];
        open_client(&rig);
        fill_reply(reply, 3);
        reply[rows[i].at] = rows[i].byte;
        say(&rig, reply, sizeof(reply));
        assert_int_equal(usbip_client_status(rig.client), rows[i].status);
        assert_int_equal(rig.lines, rows[i].lines);
        close_rig(&rig);
    }
}

/* ---- ends ---- */

static uint32_t port_word(struct rig *rig)
{
    uint8_t data[4];
    const uint8_t get_status[8] = {0xa3, 0, 0, 0, 1, 0, 4, 0};
    assert_int_equal(rig->hcd->ops->hub_control(rig->hcd, get_status, data, 4, 0), 4);
    return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

/* The server dies in the middle of an answer: the URBs are given back, the port is empty and says so. */
static void test_usbip_client_server_dies(void **state)
{
    (void)state;
    struct rig rig;
    struct one one;
    uint8_t bitmap[4];
    const uint8_t power[8] = {0x23, 3, 8, 0, 1, 0, 0, 0}, clear_change[8] = {0x23, 1, 16, 0, 1, 0, 0, 0};
    open_rig(&rig);
    assert_int_equal(rig.hcd->ops->hub_control(rig.hcd, power, NULL, 0, 0), 0);
    assert_int_equal(port_word(&rig), 0x00010101); /* powered, connected, changed */
    assert_int_equal(rig.hcd->ops->hub_control(rig.hcd, clear_change, NULL, 0, 0), 0);
    assert_int_equal(rig.hcd->ops->hub_status(rig.hcd, bitmap, sizeof(bitmap)), 0);
    fill_urb(&rig, &one, USBIF_PIPE_TYPE_BULK, true, 512);
    answer(&rig, RET_SUBMIT(submit(&rig, &one), 0, 0, 0, 0, 512));
    say(&rig, "a part of it", 12);
    assert_int_equal(one.completed, 0);
    close(rig.fd);
    rig.fd = -1;
    step(&rig);
    assert_int_equal(one.completed, 1);
    assert_int_equal(one.urb.status, -ENODEV);
    assert_int_equal(usbip_client_status(rig.client), -EPIPE);
    assert_int_equal(rig.lines, 0);
    assert_int_equal(port_word(&rig), 0x00010100);
    assert_int_equal(rig.hcd->ops->hub_status(rig.hcd, bitmap, sizeof(bitmap)), 1);
    assert_int_equal(bitmap[0], 2);
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usbip_client_results),     cmocka_unit_test(test_usbip_client_short_not_ok),
        cmocka_unit_test(test_usbip_client_iso),         cmocka_unit_test(test_usbip_client_unlink),
        cmocka_unit_test(test_usbip_client_many),        cmocka_unit_test(test_usbip_client_violations),
        cmocka_unit_test(test_usbip_client_bad_packets), cmocka_unit_test(test_usbip_client_answer_too_soon),
        cmocka_unit_test(test_usbip_client_imports),     cmocka_unit_test(test_usbip_client_server_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
