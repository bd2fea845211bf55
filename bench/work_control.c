// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/work.h"
#include "process/loop.h"

#define DESCRIPTOR_BYTES 18u

struct control {
    struct bench_meter meter;
    const struct bench_target *target;
    struct hcd_urb urb;
    uint8_t *buffer;
    uint64_t submitted_ns;
    uint64_t now_ns; /* of the last completion */
    unsigned int held; /* 0 or 1 */
    bool progress, stop;
    int error;
};

static void submit(struct control *control, uint64_t now_ns)
{
    control->submitted_ns = now_ns;
    control->error = control->target->hcd->ops->submit(control->target->hcd, &control->urb);
    control->held = control->error == 0;
}

static void on_complete(struct hcd_urb *urb)
{
    struct control *control = urb->context;
    uint64_t now = loop_now_ns(); /* once: the clock costs a good part of the fastest round trip */
    control->now_ns = now;
    bench_meter_latency(&control->meter, now - control->submitted_ns);
    bench_meter_urb(&control->meter, urb->actual);
    control->progress = true;
    control->held = 0;
    if (urb->status || urb->actual != DESCRIPTOR_BYTES || control->buffer[0] != DESCRIPTOR_BYTES) {
        control->error = bench_fail(control->meter.sample, -EBADMSG, "GET_DESCRIPTOR: %u bytes, status %d",
                                    urb->actual, urb->status);
        return;
    }
    control->buffer[0] = 0;
    if (!control->stop && !control->error)
        submit(control, now);
}

static int run_until(struct control *control, uint64_t until_ns)
{
    struct bench_session *session = control->meter.guests->session;
    uint64_t limit = until_ns + BENCH_PATIENCE_NS;
    int rc = 0;
    control->stop = control->progress = false;
    if (!control->held && !control->error)
        submit(control, loop_now_ns());
    while (!rc && !control->error) {
        uint64_t now = control->progress ? control->now_ns : loop_now_ns();
        if (control->stop && !control->held)
            return 0;
        control->stop = now >= until_ns;
        if (now >= limit)
            return bench_fail(control->meter.sample, -ETIMEDOUT, "GET_DESCRIPTOR: no answer");
        control->progress = false;
        rc = bench_turn(session, now, limit, &control->progress);
    }
    return control->error ? control->error : rc;
}

static int run(struct control *control, uint64_t ns)
{
    int rc = run_until(control, loop_now_ns() + ns / 10);
    if (rc)
        return rc;
    bench_meter_begin(&control->meter);
    rc = run_until(control, loop_now_ns() + ns);
    bench_meter_end(&control->meter);
    return rc;
}

int bench_work_control(struct bench_guests *guests, uint64_t ns, struct bench_sample *out)
{
    const struct bench_target *target = &guests->target[0];
    struct hcd *hcd = target->hcd;
    struct control *control = calloc(1, sizeof(*control));
    if (!control)
        return -ENOMEM;
    *control = (struct control){.meter = {.guests = guests, .sample = out, .control = true}, .target = target};
    int rc = hcd->ops->buffer_alloc(hcd, DESCRIPTOR_BYTES, (void **)&control->buffer);
    if (rc) {
        free(control);
        return bench_fail(out, rc, "no memory for a request");
    }
    control->urb = (struct hcd_urb){.port = target->device->port,
                                    .device = target->device->address,
                                    .type = USBIF_PIPE_TYPE_CTRL,
                                    .in = true,
                                    .packet = target->device->packet0,
                                    .length = DESCRIPTOR_BYTES,
                                    .buffer = control->buffer,
                                    .complete = on_complete,
                                    .context = control};
    guest_setup(control->urb.setup, 0x80, 6, 0x0100, 0, DESCRIPTOR_BYTES);
    rc = run(control, ns);
    if (control->held) {
        control->stop = true;
        (void)hcd->ops->unlink(hcd, &control->urb, -ECONNRESET);
        bench_meter_drain(&control->meter, &control->held);
    }
    if (!control->held) {
        hcd->ops->buffer_free(hcd, control->buffer, DESCRIPTOR_BYTES);
        free(control);
    }
    return rc;
}
