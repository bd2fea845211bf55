// SPDX-License-Identifier: MIT
/* pvusb usbip import: a guest above one imported device. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "cli/usbip_cli.h"
#include "guest/storage.h"
#include "process/loop.h"
#include "usbip/client.h"

#define CHUNK_BYTES  (UINT32_C(1) << 20)
#define FNV_1A_BEGIN UINT64_C(14695981039346656037)
#define NS_PER_S     UINT64_C(1000000000)

struct import {
    const struct usbip_options *options;
    struct usbip_client *client;
    struct guest *guest;
    struct storage *storage;
    struct storage_request request;
    void *buffer;
    uint64_t done_bytes, sum;
    uint64_t limit_ns; /* for a disk to come */
    bool ended;
    int code;
};

static void end(struct import *import, int code)
{
    import->ended = true;
    import->code = code;
}

static void read_next(struct import *import);

static void read_done(struct storage_request *request)
{
    struct import *import = request->context;
    const uint8_t *bytes = import->buffer;
    uint64_t n = (uint64_t)request->blocks * storage_info(import->storage)->block_size;
    if (import->ended)
        return;
    if (request->status) {
        usage_error("usbip", "read: %s", strerror(-request->status));
        end(import, request->status == -ENODEV ? EXIT_PEER : EXIT_CHECK_FAILED);
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        import->sum = (import->sum ^ bytes[i]) * UINT64_C(1099511628211); /* FNV-1a */
    import->done_bytes += n;
    read_next(import);
}

static void read_next(struct import *import)
{
    const struct storage_info *info = storage_info(import->storage);
    uint64_t size = info->blocks * info->block_size;
    uint64_t left = (import->options->read < size ? import->options->read : size) - import->done_bytes;
    left = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    if (left < info->block_size) {
        printf("read %" PRIu64 " bytes, checksum %016" PRIx64 "\n", import->done_bytes, import->sum);
        end(import, EXIT_AS_EXPECTED);
        return;
    }
    import->request = (struct storage_request){.lba = import->done_bytes / info->block_size,
                                               .blocks = (uint32_t)(left / info->block_size),
                                               .buffer = import->buffer,
                                               .done = read_done,
                                               .context = import};
    int rc = storage_submit(import->storage, &import->request);
    if (rc) {
        usage_error("usbip", "read: %s", strerror(-rc));
        end(import, EXIT_CHECK_FAILED);
    }
}

static void started(void *context, struct storage *storage, int status)
{
    struct import *import = context;
    if (status) {
        usage_error("usbip", "the disk does not start: %s", strerror(-status));
        end(import, EXIT_CHECK_FAILED);
        return;
    }
    const struct storage_info *info = storage_info(storage);
    printf("disk: %s %s, %" PRIu64 " blocks of %u bytes\n", info->vendor, info->product, info->blocks,
           info->block_size);
    fflush(stdout);
    if (import->options->read)
        read_next(import);
}

static void ready(void *context, struct guest_device *device)
{
    struct import *import = context;
    printf("port %u: address %u, %04x:%04x \"%s\"\n", device->port, device->address,
           device->descriptor.vendor, device->descriptor.product, device->strings[1]);
    fflush(stdout);
    if (storage_matches(device) && storage_create(device, started, import, &import->storage))
        end(import, EXIT_CHECK_FAILED);
}

static void gone(void *context, struct guest_device *device)
{
    struct import *import = context;
    printf("port %u: gone\n", device->port);
    fflush(stdout);
    storage_destroy(import->storage);
    import->storage = NULL;
}

static void failed(void *context, unsigned int port, int error)
{
    usage_error("usbip", "port %u: a device that cannot be enumerated: %s", port, strerror(-error));
    end(context, EXIT_CHECK_FAILED);
}

/* ---- running ---- */

static void step(struct import *import)
{
    uint64_t now = loop_now_ns();
    (void)usbip_client_step(import->client, now);
    guest_step(import->guest, now);
}

static int wait_for_more(struct import *import, struct loop *loop, int signals, uint64_t until_ns)
{
    uint64_t due = usbip_client_deadline(import->client), guest = guest_deadline(import->guest);
    due = guest < due ? guest : due;
    loop_clear(loop);
    loop_add(loop, signals);
    loop_add_for(loop, usbip_client_fd(import->client), usbip_client_events(import->client));
    return loop_wait(loop, due < until_ns ? due : until_ns);
}

static int ended_because(const struct import *import)
{
    int status = usbip_client_status(import->client);
    const char *what = status == -ENODEV       ? "is not exported there"
                       : status == -EBUSY      ? "has a user already"
                       : status == -EOPNOTSUPP ? "is faster than high speed"
                       : status == -EPIPE      ? "is gone: the server closed the connection"
                       : status == -EPROTO     ? "is gone: the server broke the protocol"
                                               : strerror(-status);
    usage_error("usbip", "%s of %s %s", import->options->busid, import->options->host, what);
    return EXIT_PEER;
}

static void play(struct import *import, int signals)
{
    struct loop loop;
    for (;;) {
        step(import);
        uint64_t limit = import->storage ? UINT64_MAX : import->limit_ns;
        if (import->ended)
            return;
        if (usbip_client_status(import->client)) {
            end(import, ended_because(import));
        } else if (limit <= loop_now_ns()) {
            usage_error("usbip", "no disk came within %" PRIu64 " s", import->options->timeout_s);
            end(import, EXIT_PEER);
        } else if (wait_for_more(import, &loop, signals, limit) || loop_ready(&loop, signals)) {
            end(import, EXIT_AS_EXPECTED);
        }
    }
}

static void close_all(struct import *import)
{
    struct loop loop;
    guest_close(import->guest);
    for (step(import); guest_busy(import->guest); step(import))
        (void)wait_for_more(import, &loop, -1, UINT64_MAX);
    if (import->buffer)
        guest_buffer_free(import->guest, import->buffer, CHUNK_BYTES);
    guest_destroy(import->guest);
    usbip_client_close(import->client);
    usbip_client_destroy(import->client);
}

int usbip_import(const struct usbip_options *options, int fd)
{
    struct import import = {.options = options, .sum = FNV_1A_BEGIN, .limit_ns = UINT64_MAX};
    const struct guest_listener listener = {
        .ready = ready, .gone = gone, .failed = failed, .context = &import};
    int rc = usbip_client_create(fd, options->busid, print_line, NULL, &import.client);
    if (rc == -EINVAL)
        return usage_error("usbip", "'%s' is not a name that a device can have", options->busid);
    if (!rc)
        rc = guest_create(usbip_client_hcd(import.client), &listener, &import.guest);
    if (!rc)
        rc = guest_buffer_alloc(import.guest, CHUNK_BYTES, &import.buffer);
    if (rc)
        return usage_error("usbip", "%s", strerror(-rc));
    if (options->read)
        import.limit_ns = loop_now_ns() + options->timeout_s * NS_PER_S;
    int signals = loop_signal_fd();
    play(&import, signals);
    close_all(&import);
    if (signals >= 0)
        close(signals);
    return import.code;
}
