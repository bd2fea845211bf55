// SPDX-License-Identifier: MIT
/*
 * Goal: the server keeps the protocol with a client that does not. Bytes are written as
 * Documentation/usb/usbip_protocol.rst has them, not with our encoders.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/keyboard.h"
#include "devices/zero.h"
#include "test/scripted_host.h"
#include "test/usbip_bed.h"

struct rig {
    struct sim_host *sim;
    struct scripted_host *scripted; /* instead, when not NULL */
    struct usbip_server *server;
    uint64_t now_ns;
    unsigned int lines;
    char line[256];
};

static void on_line(void *context, const char *line)
{
    struct rig *rig = context;
    rig->lines++;
    snprintf(rig->line, sizeof(rig->line), "%s", line);
}

static void make_server(struct rig *rig, struct usb_host *host)
{
    const struct usbip_server_config config = {.host = host, .log = on_line, .log_context = rig};
    assert_int_equal(usbip_server_create(&config, &rig->server), 0);
    assert_int_equal(usbip_server_export(rig->server, "1-1"), 0);
}

/* Gadget zero in configuration 3 (source and sink) at 1-1, a keyboard at 1-2. */
static void open_rig(struct rig *rig)
{
    struct usb_device *zero, *keyboard;
    *rig = (struct rig){0};
    assert_int_equal(sim_host_create(&rig->sim), 0);
    assert_int_equal(zero_create(&(struct zero_config){.pattern = 1}, &zero), 0);
    assert_int_equal(keyboard_create(0, &keyboard), 0);
    assert_int_equal(sim_host_plug(rig->sim, "1-1", zero), 0);
    assert_int_equal(sim_host_plug(rig->sim, "1-2", keyboard), 0);
    make_server(rig, sim_host_host(rig->sim));
    assert_int_equal(usbip_server_export(rig->server, "1-2"), 0);
}

static void close_rig(struct rig *rig)
{
    usbip_server_destroy(rig->server);
    if (rig->sim)
        sim_host_destroy(rig->sim);
    free(rig->scripted);
}

static void step(struct rig *rig)
{
    for (unsigned int i = 0; i < 4; i++)
        assert_int_equal(usbip_server_step(rig->server, rig->now_ns), 0);
}

static int join(struct rig *rig)
{
    int fd[2];
    usbip_pair(fd);
    assert_int_equal(usbip_server_adopt(rig->server, fd[1]), 0);
    assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    return fd[0];
}

static void say(struct rig *rig, int fd, const void *bytes, size_t n)
{
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
    step(rig);
}

/* Returns the devid. */
static uint32_t import(struct rig *rig, int fd, const char *busid)
{
    uint8_t request[40] = {0x01, 0x11, 0x80, 0x03}, reply[320];
    snprintf((char *)request + 8, 32, "%s", busid);
    say(rig, fd, request, sizeof(request));
    bed_hear(fd, reply, sizeof(reply));
    const uint8_t good[8] = {0x01, 0x11, 0x00, 0x03, 0, 0, 0, 0};
    assert_memory_equal(reply, good, 8);
    assert_string_equal((char *)reply + 8 + 256, busid);
    return bed_get32(reply + 8 + 288) << 16 | bed_get32(reply + 8 + 292);
}

/* words: command, seqnum, devid, direction, endpoint, flags, length, start frame, packets, interval; then the
 * setup. */
static void command(struct rig *rig, int fd, const uint32_t words[10], const char *setup)
{
    uint8_t bytes[48] = {0};
    for (unsigned int i = 0; i < 10; i++)
        bed_put32(bytes + (size_t)4 * i, words[i]);
    if (setup)
        memcpy(bytes + 40, setup, 8);
    say(rig, fd, bytes, sizeof(bytes));
}

#define SUBMIT(...) ((const uint32_t[10]){1, __VA_ARGS__})

/* RET_SUBMIT of that number; returns the bytes that it says it moved. */
static uint32_t hear_submit(int fd, uint32_t seqnum, int32_t status)
{
    uint8_t bytes[48];
    bed_hear(fd, bytes, sizeof(bytes));
    assert_int_equal(bed_get32(bytes), 3);
    assert_int_equal(bed_get32(bytes + 4), seqnum);
    assert_int_equal((int32_t)bed_get32(bytes + 20), status);
    return bed_get32(bytes + 24);
}

static void hear_unlink(int fd, uint32_t seqnum, int32_t status)
{
    uint8_t bytes[48];
    bed_hear(fd, bytes, sizeof(bytes));
    assert_int_equal(bed_get32(bytes), 4);
    assert_int_equal(bed_get32(bytes + 4), seqnum);
    assert_int_equal((int32_t)bed_get32(bytes + 20), status);
}

static void configure(struct rig *rig, int fd, uint32_t devid, const char *setup)
{
    command(rig, fd, SUBMIT(1, devid, 0, 0, 0, 0, 0, 0xffffffff, 0), setup);
    assert_int_equal(hear_submit(fd, 1, 0), 0);
}

#define CONFIGURE_3 "\0\011\3\0\0\0\0\0"
#define CONFIGURE_1 "\0\011\1\0\0\0\0\0"
#define DESCRIPTOR  "\200\6\0\1\0\0\022\0" /* of the device, 18 bytes */

/* ---- requests ---- */

static void test_usbip_server_list(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig);
    int fd = join(&rig);
    uint8_t reply[12 + 2 * 312 + 2 * 4];
    const uint8_t head[12] = {0x01, 0x11, 0x00, 0x05, 0, 0, 0, 0, 0, 0, 0, 2};
    say(&rig, fd, "\x01\x11\x80\x05\0\0\0\0", 8);
    bed_hear(fd, reply, sizeof(reply));
    bed_hear_end(fd);
    assert_memory_equal(reply, head, sizeof(head));
    assert_string_equal((char *)reply + 12 + 256, "1-1");
    /* busnum, devnum, speed (3: high), 0525:a4a0, ... */
    const uint8_t zero[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0x05, 0x25, 0xa4, 0xa0};
    assert_memory_equal(reply + 12 + 288, zero, sizeof(zero));
    const uint8_t zero_end[] = {0xff, 0,    0, 0, 2,
                                1,    0xff, 0, 0, 0}; /* class, not configured, 2, 1 interface */
    assert_memory_equal(reply + 12 + 306, zero_end, sizeof(zero_end));
    const uint8_t *second = reply + 12 + 312 + 4;
    assert_string_equal((const char *)second + 256, "1-2");
    assert_int_equal(bed_get32(second + 296), 1);   /* low speed */
    const uint8_t interface[] = {1, 1, 3, 1, 1, 0}; /* one configuration, one interface: a boot keyboard */
    assert_memory_equal(second + 310, interface, sizeof(interface));
    close(fd);
    step(&rig);
    assert_int_equal(usbip_server_stats(rig.server).connections, 0);
    close_rig(&rig);
}

/* A device has one user; who is refused is told why, and the next one gets it fresh. */
static void test_usbip_server_import(void **state)
{
    (void)state;
    struct rig rig;
    uint8_t reply[8], byte;
    open_rig(&rig);
    int one = join(&rig), two = join(&rig), three = join(&rig);
    uint32_t devid = import(&rig, one, "1-1");
    configure(&rig, one, devid, CONFIGURE_3);
    say(&rig, two,
        "\x01\x11\x80\x03\0\0\0\0"
        "1-1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        40);
    bed_hear(two, reply, 8);
    assert_memory_equal(reply, "\x01\x11\x00\x03\0\0\0\2", 8);
    bed_hear_end(two);
    say(&rig, three,
        "\x01\x11\x80\x03\0\0\0\0"
        "1-9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        40);
    bed_hear(three, reply, 8);
    assert_memory_equal(reply, "\x01\x11\x00\x03\0\0\0\4", 8);
    bed_hear_end(three);
    close(one);
    close(two);
    close(three);
    step(&rig);
    one = join(&rig);
    devid = import(&rig, one, "1-1");
    /* GET_CONFIGURATION: it was reset. */
    command(&rig, one, SUBMIT(7, devid, 1, 0, 0, 1, 0, 0, 0), "\200\010\0\0\0\0\1\0");
    assert_int_equal(hear_submit(one, 7, 0), 1);
    bed_hear(one, &byte, 1);
    assert_int_equal(byte, 0);
    close(one);
    close_rig(&rig);
}

/* ---- violations: each ends its connection with one line, and no other ---- */

struct violation {
    const char *line;
    uint32_t words[10];
};

#define ZERO_DEVID 0x00010001u

static const struct violation violations[] = {
    {"neither submit nor unlink", {3, 5, ZERO_DEVID}},
    {"neither submit nor unlink", {0, 5, ZERO_DEVID}},
    {"neither in nor out", {1, 5, ZERO_DEVID, 2}},
    {"an endpoint above 15", {1, 5, ZERO_DEVID, 0, 16}},
    {"an endpoint above 15", {1, 5, ZERO_DEVID, 0, 0x01000001}},
    {"more than 1 MiB", {1, 5, ZERO_DEVID, 1, 1, 0, 0x100001}},
    {"more than 1 MiB", {1, 5, ZERO_DEVID, 0, 1, 0, 0xffffffff}},
    {"has not imported", {1, 5, ZERO_DEVID + 1, 1, 1, 0, 512}},
    {"has not imported", {2, 5, 0, 0, 0, 1}},
    {"0 or more than 1024 packets", {1, 5, ZERO_DEVID, 1, 2, 0, 512, 0, 0}},
    {"0 or more than 1024 packets", {1, 5, ZERO_DEVID, 1, 2, 0, 512, 0, 1025}},
    {"0 or more than 1024 packets", {1, 5, ZERO_DEVID, 0, 2, 0, 512, 0, 0xffffffff}},
    {"packets for an endpoint that is not there", {1, 5, ZERO_DEVID, 1, 9, 0, 512, 0, 8}},
    {"a sequence number that is in use", {1, 2, ZERO_DEVID, 1, 1, 0, 512}},
};

static void test_usbip_server_violations(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
        struct rig rig;
        open_rig(&rig);
        int other = join(&rig), fd = join(&rig);
        uint32_t keyboard = import(&rig, other, "1-2"), devid = import(&rig, fd, "1-1");
        assert_int_equal(devid, ZERO_DEVID);
        configure(&rig, fd, devid, CONFIGURE_3);
        /* Alternate setting 1 has the isochronous endpoints. */
        configure(&rig, fd, devid, "\1\013\1\0\0\0\0\0");
        configure(&rig, other, keyboard, CONFIGURE_1);
        /* An URB that stays: 2, an isochronous one of a single packet waits for its frame. */
        uint8_t packet[16] = {0, 0, 0, 0, 0, 0, 2};
        command(&rig, fd, SUBMIT(2, devid, 1, 2, 0, 512, 0, 1, 1), NULL);
        say(&rig, fd, packet, sizeof(packet));
        bed_hear_nothing(fd);
        unsigned int before = rig.lines;
        command(&rig, fd, violations[i].words, NULL);
        bed_hear_end(fd);
        assert_int_equal(rig.lines, before + 1);
        if (!strstr(rig.line, violations[i].line) || !strstr(rig.line, "usbip: 1-1: the client sent "))
            fail_msg("row %u: %s", i, rig.line);
        assert_int_equal(usbip_server_stats(rig.server).violations, 1);
        /* The other one works as before, and the device is free. */
        command(&rig, other, SUBMIT(9, keyboard, 1, 0, 0, 18, 0, 0, 0), DESCRIPTOR);
        uint8_t descriptor[18];
        assert_int_equal(hear_submit(other, 9, 0), 18);
        bed_hear(other, descriptor, 18);
        close(fd);
        fd = join(&rig);
        import(&rig, fd, "1-1");
        close(fd);
        close(other);
        close_rig(&rig);
    }
}

static void test_usbip_server_bad_requests(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *line;
    } rows[] = {
        {"\x01\x00\x80\x05\0\0\0\0", 8, "not version 1.1.1"},
        {"GET / HTTP/1.1\r\n\r\n", 18, "not version 1.1.1"},
        {"\x01\x11\x80\x04\0\0\0\0", 8, "neither to list nor to import"},
        {"\x01\x11\x80\x03\0\0\0\0"
         "1-1\x1b[2J\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
         40, "not text"},
        {"\x01\x11\x80\x03\0\0\0\0"
         "11111111111111111111111111111111",
         40, "not text"},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        open_rig(&rig);
        int fd = join(&rig);
        say(&rig, fd, rows[i].bytes, rows[i].n);
        bed_hear_end(fd);
        assert_int_equal(rig.lines, 1);
        assert_non_null(strstr(rig.line, rows[i].line));
        close(fd);
        close_rig(&rig);
    }
}

/* Who connects and says nothing, or half, is not kept for ever. */
static void test_usbip_server_silence(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig);
    int silent = join(&rig), half = join(&rig), good = join(&rig);
    import(&rig, good, "1-1");
    say(&rig, half,
        "\x01\x11\x80\x03\0\0\0\0"
        "1-",
        10);
    assert_int_equal(usbip_server_stats(rig.server).connections, 3);
    assert_int_equal(usbip_server_deadline(rig.server), 5 * SECOND);
    rig.now_ns = 5 * SECOND - 1;
    step(&rig);
    assert_int_equal(usbip_server_stats(rig.server).connections, 3);
    rig.now_ns = 5 * SECOND;
    step(&rig);
    assert_int_equal(usbip_server_stats(rig.server).connections, 1);
    bed_hear_end(silent);
    bed_hear_end(half);
    bed_hear_nothing(good);
    close(silent);
    close(half);
    close(good);
    close_rig(&rig);
}

/* ---- refused, not ended ---- */

static void test_usbip_server_refusals(void **state)
{
    static const struct {
        uint32_t direction, endpoint, length, packets;
        const char *setup;
        uint32_t more; /* bytes of payload */
        int32_t status;
    } rows[] = {
        {0, 9, 700, 0, NULL, 700, -ENOENT}, /* no such endpoint; its data is not taken for commands */
        {1, 9, 700, 0xffffffff, NULL, 0, -ENOENT},
        {1, 0, 19, 0, DESCRIPTOR, 0, -EINVAL},            /* more than wLength */
        {0, 0, 18, 0, DESCRIPTOR, 18, -EINVAL},           /* in or out? */
        {1, 0, 18, 0, "\200\6\0\7\0\0\022\0", 0, -EPIPE}, /* the device stalls it */
        {1, 2, 512, 2, NULL, 32, -EINVAL},                /* two packets at the same place */
    };
    (void)state;
    struct rig rig;
    open_rig(&rig);
    int fd = join(&rig);
    uint32_t devid = import(&rig, fd, "1-1");
    configure(&rig, fd, devid, CONFIGURE_3);
    configure(&rig, fd, devid, "\1\013\1\0\0\0\0\0");
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t payload[1024] = {0}, packets[32];
        payload[6] = payload[22] = 1; /* packets of 256 bytes */
        command(&rig, fd,
                SUBMIT(10 + i, devid, rows[i].direction, rows[i].endpoint, 0, rows[i].length, 0,
                       rows[i].packets, 1),
                rows[i].setup);
        if (rows[i].more)
            say(&rig, fd, payload, rows[i].more);
        assert_int_equal(hear_submit(fd, 10 + i, rows[i].status), 0);
        if (rows[i].packets == 2)
            bed_hear(fd, packets, 32);
        bed_hear_nothing(fd);
    }
    /* What anything may be in for another kind of endpoint is not looked at: number of packets of a bulk
     * transfer. */
    command(&rig, fd, SUBMIT(99, devid, 1, 1, 0, 0, 0, 77, 0), NULL);
    assert_int_equal(hear_submit(fd, 99, -EOVERFLOW), 0); /* gadget zero sends what does not fit */
    close(fd);
    close_rig(&rig);
}

/* 256 transfers and 16 MiB: what is more is refused, and unlinks still work. */
static void test_usbip_server_bounds(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig);
    int fd = join(&rig);
    uint32_t devid = import(&rig, fd, "1-2");
    configure(&rig, fd, devid, CONFIGURE_1);
    for (uint32_t i = 0; i < 256; i++)
        command(&rig, fd, SUBMIT(1000 + i, devid, 1, 1, 0, 8, 0, 0, 10), NULL);
    bed_hear_nothing(fd);
    command(&rig, fd, SUBMIT(2000, devid, 1, 1, 0, 8, 0, 0, 10), NULL);
    assert_int_equal(hear_submit(fd, 2000, -ENOMEM), 0);
    command(&rig, fd, (const uint32_t[10]){2, 2001, devid, 0, 0, 1255}, NULL);
    hear_unlink(fd, 2001, -ECONNRESET);
    command(&rig, fd, SUBMIT(2002, devid, 1, 1, 0, 8, 0, 0, 10), NULL);
    bed_hear_nothing(fd);
    close(fd);
    step(&rig);
    fd = join(&rig);
    devid = import(&rig, fd, "1-2");
    configure(&rig, fd, devid, CONFIGURE_1);
    for (uint32_t i = 0; i < 15; i++)
        command(&rig, fd, SUBMIT(1000 + i, devid, 1, 1, 0, 1u << 20, 0, 0, 10), NULL);
    bed_hear_nothing(fd);
    for (uint32_t i = 0; i < 3; i++) {
        command(&rig, fd, SUBMIT(2000 + i, devid, 1, 1, 0, 1u << 20, 0, 0, 10), NULL);
        assert_int_equal(hear_submit(fd, 2000 + i, -ENOMEM), 0);
    }
    close(fd);
    close_rig(&rig);
}

/* A client that does not read is not read from: 64 answers wait for it, and the rest stays in its socket. */
static void test_usbip_server_deaf_client(void **state)
{
    (void)state;
    struct rig rig;
    uint8_t unlink[48] = {0, 0, 0, 2};
    open_rig(&rig);
    int fd = join(&rig);
    uint32_t devid = import(&rig, fd, "1-2"), sent = 0, heard = 0;
    bed_put32(unlink + 8, devid);
    for (unsigned int idle = 0; idle < 3;) {
        bed_put32(unlink + 4, sent + 1);
        bool taken = send(fd, unlink, sizeof(unlink), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(unlink);
        idle = taken ? 0 : idle + 1;
        sent += taken;
        step(&rig);
    }
    assert_true(sent > 100 && sent < 100000);
    assert_true(usbip_server_stats(rig.server).unlinks < sent);
    /* It sleeps meanwhile. */
    struct pollfd p = {.fd = usbip_server_fd(rig.server), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);
    while (heard < sent) {
        hear_unlink(fd, ++heard, 0);
        step(&rig);
    }
    bed_hear_nothing(fd);
    close(fd);
    close_rig(&rig);
}

/* ---- unlinks ---- */

static void test_usbip_server_unlink(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig);
    int fd = join(&rig);
    uint32_t devid = import(&rig, fd, "1-2");
    configure(&rig, fd, devid, CONFIGURE_1);
    command(&rig, fd, SUBMIT(20, devid, 1, 1, 0, 8, 0, 0, 10), NULL);
    command(&rig, fd, SUBMIT(21, devid, 1, 1, 0, 8, 0, 0, 10), NULL);
    bed_hear_nothing(fd); /* a keyboard without news */
    command(&rig, fd, (const uint32_t[10]){2, 30, devid, 0, 0, 20}, NULL);
    hear_unlink(fd, 30, -ECONNRESET); /* and no RET_SUBMIT */
    command(&rig, fd, (const uint32_t[10]){2, 31, devid, 0, 0, 20}, NULL);
    hear_unlink(fd, 31, 0); /* there is none any more */
    command(&rig, fd, (const uint32_t[10]){2, 32, devid, 0, 0, 777}, NULL);
    hear_unlink(fd, 32, 0);
    bed_hear_nothing(fd);
    /* The number is free again. */
    command(&rig, fd, SUBMIT(20, devid, 1, 0, 0, 18, 0, 0, 0), DESCRIPTOR);
    uint8_t descriptor[18];
    assert_int_equal(hear_submit(fd, 20, 0), 18);
    bed_hear(fd, descriptor, 18);
    assert_int_equal(descriptor[1], 1);
    close(fd);
    close_rig(&rig);
}

static const uint8_t plain_device[18] = {18, 1, 0, 2, 0xff, 0, 0, 64, 9, 18, 1, 0, 0, 1, 0, 0, 0, 1};
static const uint8_t plain_config[25] = {9, 2,    25, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0,
                                         1, 0xff, 0,  0, 0, 7, 5, 0x81, 2,  0, 2, 0};

/* A device whose transfers the test ends. */
static int open_scripted(struct rig *rig, uint32_t *devid)
{
    *rig = (struct rig){.scripted = malloc(sizeof(struct scripted_host))};
    assert_non_null(rig->scripted);
    scripted_host_init(rig->scripted);
    scripted_host_plug(rig->scripted, "1-1", USBIF_SPEED_HIGH);
    make_server(rig, &rig->scripted->host);
    scripted_host_complete(rig->scripted, 0, 0, plain_device, sizeof(plain_device));
    scripted_host_complete(rig->scripted, 0, 0, plain_config, 9);
    scripted_host_complete(rig->scripted, 0, 0, plain_config, sizeof(plain_config));
    int fd = join(rig);
    *devid = import(rig, fd, "1-1");
    command(rig, fd, SUBMIT(1, *devid, 0, 0, 0, 0, 0, 0, 0), CONFIGURE_1);
    assert_non_null(strstr(rig->scripted->log, "set_configuration 1; "));
    scripted_host_complete(rig->scripted, 0, 0, NULL, 0);
    step(rig);
    hear_submit(fd, 1, 0);
    command(rig, fd, SUBMIT(2, *devid, 1, 1, 0, 512, 0, 0, 0), NULL);
    assert_int_equal(rig->scripted->nr_held, 1);
    return fd;
}

/* The transfer's end and the unlink cross: data that came is not lost, and each is answered once, in this
 * order. */
static void test_usbip_server_unlink_race(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t devid;
    uint8_t data[4];
    int fd = open_scripted(&rig, &devid);
    rig.scripted->cancel_late = true;
    command(&rig, fd, (const uint32_t[10]){2, 3, devid, 0, 0, 2}, NULL);
    assert_non_null(strstr(rig.scripted->log, "cancel; "));
    command(&rig, fd, (const uint32_t[10]){2, 4, devid, 0, 0, 2}, NULL); /* once more */
    hear_unlink(fd, 4, 0);
    bed_hear_nothing(fd);
    scripted_host_complete(rig.scripted, 0, 0, "data", 4);
    step(&rig);
    assert_int_equal(hear_submit(fd, 2, 0), 4);
    bed_hear(fd, data, 4);
    assert_memory_equal(data, "data", 4);
    hear_unlink(fd, 3, 0);
    /* And the other way. */
    command(&rig, fd, SUBMIT(5, devid, 1, 1, 0, 512, 0, 0, 0), NULL);
    command(&rig, fd, (const uint32_t[10]){2, 6, devid, 0, 0, 5}, NULL);
    scripted_host_complete(rig.scripted, 0, -ECONNRESET, NULL, 0);
    step(&rig);
    hear_unlink(fd, 6, -ECONNRESET);
    bed_hear_nothing(fd);
    close(fd);
    close_rig(&rig);
}

/* ---- ends in mid-transfer ---- */

static void test_usbip_server_client_dies(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t devid;
    int fd = open_scripted(&rig, &devid);
    close(fd);
    step(&rig);
    assert_int_equal(usbip_server_stats(rig.server).connections, 0);
    /* Closed, with the transfer cancelled, opened and reset for the next one, and asked what it is. */
    assert_non_null(strstr(rig.scripted->log, "close; open 1-1; reset; submit ep 0 control in 18; "));
    assert_int_equal(rig.scripted->nr_held, 1);
    close_rig(&rig);
}

static void test_usbip_server_unplug(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig);
    int fd = join(&rig);
    uint32_t devid = import(&rig, fd, "1-2");
    struct usb_device *keyboard;
    configure(&rig, fd, devid, CONFIGURE_1);
    command(&rig, fd, SUBMIT(20, devid, 1, 1, 0, 8, 0, 0, 10), NULL);
    assert_int_equal(sim_host_unplug(rig.sim, "1-2"), 0);
    assert_int_equal(usbip_server_deadline(rig.server), 0);
    step(&rig);
    assert_int_equal(hear_submit(fd, 20, -ENODEV), 0);
    bed_hear_end(fd);
    close(fd);
    /* Another one at its place is exported again. */
    assert_int_equal(keyboard_create(0, &keyboard), 0);
    assert_int_equal(sim_host_plug(rig.sim, "1-2", keyboard), 0);
    fd = join(&rig);
    import(&rig, fd, "1-2");
    close(fd);
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usbip_server_list),        cmocka_unit_test(test_usbip_server_import),
        cmocka_unit_test(test_usbip_server_violations),  cmocka_unit_test(test_usbip_server_bad_requests),
        cmocka_unit_test(test_usbip_server_silence),     cmocka_unit_test(test_usbip_server_refusals),
        cmocka_unit_test(test_usbip_server_bounds),      cmocka_unit_test(test_usbip_server_deaf_client),
        cmocka_unit_test(test_usbip_server_unlink),      cmocka_unit_test(test_usbip_server_unlink_race),
        cmocka_unit_test(test_usbip_server_client_dies), cmocka_unit_test(test_usbip_server_unplug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
