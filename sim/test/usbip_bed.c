// SPDX-License-Identifier: MIT
#include "test/usbip_bed.h"

#include <poll.h>
#include <sys/socket.h>

#define ROUNDS_MAX 3000000u

static void on_line(void *context, const char *line)
{
    struct usbip_bed *bed = context;
    bed->lines++;
    snprintf(bed->line, sizeof(bed->line), "%s", line);
}

static void on_ready(void *context, struct guest_device *device)
{
    struct usbip_bed *bed = context;
    bed->ready++;
    bed->device = device;
    if (bed->on_ready)
        bed->on_ready(bed, device);
}

static void on_gone(void *context, struct guest_device *device)
{
    struct usbip_bed *bed = context;
    bed->gone++;
    if (bed->on_gone)
        bed->on_gone(bed, device);
    bed->device = NULL;
}

static void on_failed(void *context, unsigned int port, int error)
{
    struct usbip_bed *bed = context;
    (void)port;
    (void)error;
    bed->failed++;
}

void usbip_pair(int fd[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
}

static int connect_bed(struct usbip_bed *bed, enum usbip_way way)
{
    int fd[2];
    if (way == USBIP_PAIR) {
        usbip_pair(fd);
        assert_int_equal(usbip_server_adopt(bed->server, fd[1]), 0);
    } else {
        uint16_t port;
        assert_int_equal(usbip_server_listen(bed->server, "127.0.0.1", 0, &port), 0);
        assert_int_equal(usbip_connect("127.0.0.1", port, 1000, &fd[0]), 0);
    }
    return fd[0];
}

void usbip_bed_open(struct usbip_bed *bed, enum usbip_way way, struct usb_device *device)
{
    struct guest_listener listener = {
        .ready = on_ready, .gone = on_gone, .failed = on_failed, .context = bed};
    *bed = (struct usbip_bed){.limit_ns = UINT64_MAX};
    assert_int_equal(sim_host_create(&bed->sim), 0);
    assert_int_equal(sim_host_plug(bed->sim, "1-1", device), 0);
    struct usbip_server_config config = {.host = sim_host_host(bed->sim), .log = on_line, .log_context = bed};
    assert_int_equal(usbip_server_create(&config, &bed->server), 0);
    assert_int_equal(usbip_server_export(bed->server, "1-1"), 0);
    int fd = connect_bed(bed, way);
    assert_int_equal(usbip_client_create(fd, "1-1", on_line, bed, &bed->client), 0);
    assert_int_equal(guest_create(usbip_client_hcd(bed->client), &listener, &bed->guest), 0);
}

/* Whether bytes are on their way: a socket on the loopback may take its time. */
static bool under_way(const struct usbip_bed *bed)
{
    struct usbip_client_stats client = usbip_client_stats(bed->client);
    struct usbip_server_stats server = usbip_server_stats(bed->server);
    if (server.connections != 1 || usbip_client_status(bed->client))
        return false;
    return client.bytes_out != server.bytes_in || client.bytes_in != server.bytes_out;
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&p, 1, timeout_ms) > 0;
}

bool usbip_bed_step(struct usbip_bed *bed)
{
    struct usb_host *host = sim_host_host(bed->sim);
    bed->rounds++;
    if (bed->guest)
        guest_step(bed->guest, bed->now_ns);
    assert_int_equal(usbip_client_step(bed->client, bed->now_ns), 0);
    assert_int_equal(usbip_server_step(bed->server, bed->now_ns), 0);
    if (usbip_client_deadline(bed->client) == 0 || usbip_server_deadline(bed->server) == 0)
        return true;
    if (under_way(bed) || readable(usbip_client_fd(bed->client), 0) ||
        readable(usbip_server_fd(bed->server), 0))
        return true;
    uint64_t due = host->ops->deadline(host), guest = bed->guest ? guest_deadline(bed->guest) : UINT64_MAX;
    due = guest < due ? guest : due;
    if (due == UINT64_MAX || due > bed->limit_ns)
        return false;
    if (due > bed->now_ns)
        bed->now_ns = due;
    return true;
}

void usbip_bed_run(struct usbip_bed *bed)
{
    uint64_t end = bed->rounds + ROUNDS_MAX;
    unsigned int idle = 0;
    while (idle < 2) {
        idle = usbip_bed_step(bed) ? 0 : idle + 1;
        assert_true(bed->rounds < end);
    }
}

void usbip_bed_run_for(struct usbip_bed *bed, uint64_t ns)
{
    bed->limit_ns = bed->now_ns + ns;
    while (usbip_bed_step(bed))
        continue;
    bed->now_ns = bed->limit_ns;
    (void)usbip_bed_step(bed);
    bed->limit_ns = UINT64_MAX;
}

void usbip_bed_close(struct usbip_bed *bed)
{
    guest_close(bed->guest);
    usbip_bed_run(bed);
    assert_false(guest_busy(bed->guest));
    assert_int_equal(bed->gone, bed->ready);
    guest_destroy(bed->guest);
    bed->guest = NULL;
    assert_int_equal(usbip_client_held(bed->client), 0);
    usbip_client_close(bed->client);
    usbip_client_destroy(bed->client);
    usbip_server_destroy(bed->server);
    sim_host_destroy(bed->sim);
}

void bed_put32(uint8_t *out, uint32_t value)
{
    for (unsigned int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

uint32_t bed_get32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void bed_hear(int fd, void *bytes, size_t n)
{
    assert_int_equal(recv(fd, bytes, n, MSG_WAITALL | MSG_DONTWAIT), n);
}

void bed_hear_nothing(int fd)
{
    uint8_t byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

void bed_hear_end(int fd)
{
    uint8_t bytes[4096];
    ssize_t n;
    do {
        n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    } while (n > 0);
    assert_int_equal(n < 0 && errno == ECONNRESET ? 0 : n, 0);
}
