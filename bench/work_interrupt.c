// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/work.h"
#include "devices/ticker.h"
#include "process/loop.h"

struct listen {
    struct bench_meter meter;
    struct hcd *hcd;
    struct hcd_urb urb;
    uint64_t number;   /* of the next report */
    unsigned int held; /* 0 or 1 */
    bool progress, stop;
    int error;
};

static uint64_t get64(const uint8_t *at)
{
    uint64_t value = 0;
    for (unsigned int i = 0; i < 8; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void submit(struct listen *listen)
{
    listen->error = listen->hcd->ops->submit(listen->hcd, &listen->urb);
    listen->held = listen->error == 0;
}

static void on_complete(struct hcd_urb *urb)
{
    struct listen *listen = urb->context;
    const uint8_t *report = urb->buffer;
    uint64_t now = loop_now_ns();
    listen->progress = true;
    listen->held = 0;
    if (urb->status || urb->actual != TICKER_REPORT_BYTES || get64(report + 8) != listen->number) {
        listen->error = bench_fail(listen->meter.sample, -EBADMSG, "report %llu: %u bytes, status %d",
                                   (unsigned long long)listen->number, urb->actual, urb->status);
        return;
    }
    bench_meter_latency(&listen->meter, now - get64(report));
    bench_meter_urb(&listen->meter, urb->actual);
    listen->number++;
    if (!listen->stop && !listen->error)
        submit(listen);
}

static int run(struct listen *listen, uint64_t ns)
{
    uint64_t until = loop_now_ns() + ns, limit = until + BENCH_PATIENCE_NS;
    int rc = 0;
    bench_meter_begin(&listen->meter);
    submit(listen);
    while (!rc && !listen->error && listen->held) {
        uint64_t now = loop_now_ns();
        listen->stop = now >= until;
        if (now >= limit)
            rc = bench_fail(listen->meter.sample, -ETIMEDOUT, "report %llu does not come",
                            (unsigned long long)listen->number);
        listen->progress = false;
        if (!rc)
            rc = bench_turn(listen->meter.guests->session, now, limit, &listen->progress);
    }
    bench_meter_end(&listen->meter);
    return listen->error ? listen->error : rc;
}

int bench_work_interrupt(struct bench_guests *guests, uint64_t ns, struct bench_sample *out)
{
    const struct bench_target *target = &guests->target[0];
    const struct guest_endpoint *endpoint = guest_find_endpoint(target->device, target->in);
    struct hcd *hcd = target->hcd;
    if (!endpoint || endpoint->type != USBIF_PIPE_TYPE_INT)
        return bench_fail(out, -ENODEV, "the device has no interrupt endpoint");
    struct listen *listen = calloc(1, sizeof(*listen));
    if (!listen)
        return -ENOMEM;
    *listen = (struct listen){.meter = {.guests = guests, .sample = out}, .hcd = hcd};
    listen->urb = (struct hcd_urb){.port = target->device->port,
                                   .device = target->device->address,
                                   .type = USBIF_PIPE_TYPE_INT,
                                   .endpoint = target->in & 15u,
                                   .in = true,
                                   .interval = 1,
                                   .packet = endpoint->packet,
                                   .length = TICKER_REPORT_BYTES,
                                   .complete = on_complete,
                                   .context = listen};
    int rc = hcd->ops->buffer_alloc(hcd, TICKER_REPORT_BYTES, &listen->urb.buffer);
    if (rc) {
        free(listen);
        return bench_fail(out, rc, "no memory for a report");
    }
    rc = run(listen, ns);
    if (listen->held) {
        listen->stop = true;
        (void)hcd->ops->unlink(hcd, &listen->urb, -ECONNRESET);
        bench_meter_drain(&listen->meter, &listen->held);
    }
    if (!listen->held) {
        hcd->ops->buffer_free(hcd, listen->urb.buffer, TICKER_REPORT_BYTES);
        free(listen);
    }
    return rc;
}
