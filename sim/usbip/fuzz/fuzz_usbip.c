// SPDX-License-Identifier: MIT
/*
 * A hostile peer of USB/IP. The first byte chooses whose: of a server, of a client with URBs under way, or of
 * who lists. The rest is what the peer sends, cut where the second byte says, so that messages arrive in
 * pieces. Whatever comes, each URB is given back once, and nothing is left.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/sim_host.h"
#include "devices/zero.h"
#include "usbip/client.h"
#include "usbip/list.h"
#include "usbip/server.h"

#define URBS 6u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

/* What the other end has to say is read and thrown away, so that it never waits for us. */
static void drain(int fd)
{
    uint8_t bytes[65536];
    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
}

/* ---- a server's peer ---- */

static void fuzz_server(const uint8_t *data, size_t size, size_t part)
{
    static const uint8_t import[40] = {0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0, '1', '-', '1'};
    struct sim_host *sim = NULL;
    struct usb_device *zero = NULL;
    struct usbip_server *server;
    int fd[2];
    check(sim_host_create(&sim) == 0 && zero_create(&(struct zero_config){0}, &zero) == 0);
    check(sim_host_plug(sim, "1-1", zero) == 0);
    const struct usbip_server_config config = {.host = sim_host_host(sim)};
    check(usbip_server_create(&config, &server) == 0 && usbip_server_export(server, "1-1") == 0);
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0 && usbip_server_adopt(server, fd[1]) == 0);
    /* Most inputs are for after the import. */
    if (size && data[0] != 0x01)
        check(send(fd[0], import, sizeof(import), MSG_NOSIGNAL) == sizeof(import));
    uint64_t now_ns = 0;
    for (size_t at = 0; at < size; at += part) {
        size_t n = size - at < part ? size - at : part;
        if (send(fd[0], data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        now_ns += 1000000;
        check(usbip_server_step(server, now_ns) == 0);
        drain(fd[0]);
    }
    check(usbip_server_step(server, now_ns + 1000000) == 0);
    drain(fd[0]);
    close(fd[0]);
    check(usbip_server_step(server, now_ns + 2000000) == 0);
    check(usbip_server_stats(server).connections == 0);
    usbip_server_destroy(server);
    sim_host_destroy(sim);
}

/* ---- a client's ---- */

struct one {
    struct hcd_urb urb;
    struct pvusb_iso_desc packets[3];
    unsigned int completed;
};

static void completed(struct hcd_urb *urb)
{
    struct one *one = (struct one *)urb;
    one->completed++;
    check(urb->actual <= urb->length && urb->status <= 0);
    for (unsigned int i = 0; i < urb->nr_packets && urb->status == 0; i++)
        check(one->packets[i].actual_length <= one->packets[i].length && one->packets[i].offset == i * 100);
}

/* Numbers 1 to 6: bulk and isochronous, in and out, a control request, and one that is unlinked (by number
 * 7). */
static void submit_all(struct hcd *hcd, struct one *all, uint8_t *buffer)
{
    for (unsigned int i = 0; i < URBS; i++) {
        struct one *one = &all[i];
        bool iso = i == 2 || i == 3;
        *one = (struct one){.urb = {.port = 1,
                                    .endpoint = 1,
                                    .type = iso      ? USBIF_PIPE_TYPE_ISOC
                                            : i == 4 ? USBIF_PIPE_TYPE_CTRL
                                                     : USBIF_PIPE_TYPE_BULK,
                                    .in = i % 2 == 0,
                                    .setup = {0x80, 6, 0, 1, 0, 0, 18, 0},
                                    .length = iso      ? 300
                                              : i == 4 ? 18
                                                       : 512,
                                    .buffer = buffer + (size_t)i * 512,
                                    .nr_packets = iso ? 3 : 0,
                                    .complete = completed}};
        one->urb.packets = iso ? one->packets : NULL;
        for (uint32_t p = 0; p < 3; p++)
            one->packets[p] = (struct pvusb_iso_desc){.offset = p * 100, .length = 100};
        check(hcd->ops->submit(hcd, &one->urb) == 0);
    }
}

static void step(struct usbip_client *client)
{
    do {
        check(usbip_client_step(client, 0) == 0);
    } while (usbip_client_deadline(client) == 0);
}

static void fuzz_client(const uint8_t *data, size_t size, size_t part)
{
    uint8_t reply[320] = {0x01,          0x11,         0, 3, [8 + 256] = '1', '-', '1', [8 + 291] = 1,
                          [8 + 295] = 1, [8 + 299] = 3};
    static struct one all[URBS];
    struct usbip_client *client;
    void *buffer;
    int fd[2];
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    check(usbip_client_create(fd[0], "1-1", NULL, NULL, &client) == 0);
    struct hcd *hcd = usbip_client_hcd(client);
    check(hcd->ops->buffer_alloc(hcd, 4096, &buffer) == 0);
    step(client);
    bool import = size && data[0] == 0x01;
    if (!import) {
        check(send(fd[1], reply, sizeof(reply), MSG_NOSIGNAL) == sizeof(reply));
        step(client);
        submit_all(hcd, all, buffer);
        step(client);
        check(hcd->ops->unlink(hcd, &all[5].urb, -ENOENT) == 0);
        step(client);
    }
    for (size_t at = 0; at < size; at += part) {
        size_t n = size - at < part ? size - at : part;
        if (send(fd[1], data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        step(client);
    }
    close(fd[1]);
    step(client);
    check(usbip_client_status(client) != 0 && usbip_client_held(client) == 0);
    for (unsigned int i = 0; i < URBS && !import; i++)
        check(all[i].completed == 1);
    hcd->ops->buffer_free(hcd, buffer, 4096);
    usbip_client_destroy(client);
}

/* ---- who lists ---- */

struct source {
    const uint8_t *data;
    size_t size;
};

static int get(void *from, void *to, size_t n)
{
    struct source *source = from;
    if (source->size < n)
        return -EPIPE;
    memcpy(to, source->data, n);
    source->data += n;
    source->size -= n;
    return 0;
}

static void listed(void *context, const struct usbip_device *device, const struct usbip_interface *interfaces)
{
    uint8_t *seen = context;
    check(strnlen(device->busid, USBIP_BUSID_SIZE) < USBIP_BUSID_SIZE && strnlen(device->path, 256) < 256);
    for (unsigned int i = 0; i < device->nr_interfaces; i++)
        *seen = (uint8_t)(*seen ^ interfaces[i].subclass); /* all of them can be read */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source source = {data + 2, size - 2};
    uint8_t seen = 0;
    int error;
    if (size < 2)
        return 0;
    size_t part = data[1] ? data[1] : 65536;
    if (data[0] % 3 == 0)
        fuzz_server(data + 2, size - 2, part);
    else if (data[0] % 3 == 1)
        fuzz_client(data + 2, size - 2, part);
    else
        (void)usbip_list_parse(get, &source, listed, &seen, &error);
    return 0;
}
