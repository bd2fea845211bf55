// SPDX-License-Identifier: MIT
/*
 * Reads as a driver of bulk-only storage issues them: CBW, data, CSW. The CSW is asked for when the last data
 * URB has been handed in, as they share an endpoint and keep their order; with one data URB at a time it
 * waits for that, as Linux usb-storage does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/devices.h"
#include "bench/work.h"
#include "process/loop.h"

#define CBW_BYTES   31u
#define CSW_BYTES   13u
#define BLOCK_BYTES 512u
#define WALK_BYTES  (UINT32_C(8160) << 10) /* of the disk are read in turn: 136 times 60 KiB */
#define QUEUE_MAX   64u
#define SLICES      4u /* a command takes no longer than this part of the time */

struct lane;

struct data_urb {
    struct hcd_urb urb;
    struct lane *lane;
    uint32_t at; /* where on the disk */
};

/* One device. */
struct lane {
    struct work *work;
    const struct bench_target *target;
    struct hcd_urb cbw, csw;
    uint8_t *command, *status; /* their buffers */
    uint8_t *memory;           /* of all data URBs */
    struct data_urb data[QUEUE_MAX];
    uint32_t at; /* of the next data URB */
    uint32_t tag;
    unsigned int to_submit, to_return; /* data URBs of this command */
    unsigned int held;                 /* URBs under way */
    uint64_t begun_ns;
};

struct work {
    struct bench_meter meter;
    struct bench_read read;
    struct lane *lanes;
    uint32_t command_urbs;
    uint64_t longest_ns; /* a command may take, while command_urbs is being looked for */
    unsigned int held;
    bool grows; /* at the last command */
    bool stop, progress;
    int error;
};

static void put32(uint8_t *at, uint32_t value, bool big_endian)
{
    for (unsigned int i = 0; i < 4; i++)
        at[big_endian ? 3 - i : i] = (uint8_t)(value >> (8 * i));
}

static void submit(struct lane *lane, struct hcd_urb *urb)
{
    struct work *work = lane->work;
    int rc = lane->target->hcd->ops->submit(lane->target->hcd, urb);
    if (rc)
        work->error = bench_fail(work->meter.sample, rc, "submit: %s", strerror(-rc));
    else
        lane->held++, work->held++;
}

static void begin_command(struct lane *lane)
{
    const struct work *work = lane->work;
    uint32_t bytes = work->command_urbs * work->read.urb_bytes;
    uint32_t blocks = bytes / BLOCK_BYTES;
    uint8_t *cbw = lane->command;
    if (lane->at + bytes > WALK_BYTES)
        lane->at = 0;
    memset(cbw, 0, CBW_BYTES);
    memcpy(cbw, "USBC", 4);
    put32(cbw + 4, ++lane->tag, false);
    put32(cbw + 8, bytes, false);
    cbw[12] = 0x80; /* IN */
    cbw[14] = 10;
    cbw[15] = 0x28; /* READ(10) */
    put32(cbw + 17, lane->at / BLOCK_BYTES, true);
    cbw[22] = (uint8_t)(blocks >> 8);
    cbw[23] = (uint8_t)blocks;
    lane->to_submit = lane->to_return = work->command_urbs;
    lane->begun_ns = loop_now_ns();
    submit(lane, &lane->cbw);
}

static void submit_data(struct lane *lane, struct data_urb *data)
{
    data->at = lane->at;
    lane->at += data->urb.length;
    lane->to_submit--;
    submit(lane, &data->urb);
    if (lane->to_submit == 0 && lane->work->read.queue > 1 && !lane->work->error)
        submit(lane, &lane->csw);
}

/* ---- completions ---- */

static bool returned(struct lane *lane, const struct hcd_urb *urb, const char *what)
{
    struct work *work = lane->work;
    lane->held--;
    work->held--;
    work->progress = true;
    bench_meter_urb(&work->meter, urb == &lane->cbw || urb == &lane->csw ? 0 : urb->actual);
    if (urb->status || urb->actual != urb->length)
        work->error = bench_fail(work->meter.sample, -EBADMSG, "%s: %u of %u bytes, status %d", what,
                                 urb->actual, urb->length, urb->status);
    return work->error == 0;
}

static void on_cbw(struct hcd_urb *urb)
{
    struct lane *lane = urb->context;
    if (!returned(lane, urb, "CBW"))
        return;
    for (unsigned int i = 0; i < lane->work->read.queue && lane->to_submit && !lane->work->error; i++)
        submit_data(lane, &lane->data[i]);
}

static bool data_good(const struct lane *lane, const struct data_urb *data)
{
    uint64_t first, last, expected_first = bench_disk_word(data->at);
    uint32_t end = data->urb.length - 8;
    const uint8_t *bytes = data->urb.buffer;
    memcpy(&first, bytes, 8);
    memcpy(&last, bytes + end, 8);
    return lane->work->meter.guests->session->foreign_disk ||
           (first == expected_first && last == bench_disk_word(data->at + end));
}

static void on_data(struct hcd_urb *urb)
{
    struct data_urb *data = urb->context;
    struct lane *lane = data->lane;
    if (!returned(lane, urb, "data"))
        return;
    if (!data_good(lane, data)) {
        lane->work->error = bench_fail(lane->work->meter.sample, -EBADMSG,
                                       "what was read at byte %u is not what is there", data->at);
        return;
    }
    lane->to_return--;
    if (lane->to_submit)
        submit_data(lane, data);
    else if (lane->to_return == 0 && lane->work->read.queue == 1)
        submit(lane, &lane->csw);
}

static void on_csw(struct hcd_urb *urb)
{
    struct lane *lane = urb->context;
    struct work *work = lane->work;
    uint64_t took = loop_now_ns() - lane->begun_ns;
    if (!returned(lane, urb, "CSW"))
        return;
    /* QEMU's own disk has something else to say first: that its power came on (SPC-4, unit attention). */
    if (lane->tag == 1 && lane->status[12] == 1 && work->meter.guests->session->foreign_disk)
        lane->status[12] = 0;
    if (memcmp(lane->status, "USBS", 4) != 0 || memcmp(lane->status + 4, lane->command + 4, 4) != 0 ||
        lane->status[12] != 0) {
        work->error = bench_fail(work->meter.sample, -EBADMSG, "a CSW is not that of its command, or says %u",
                                 lane->status[12]);
        return;
    }
    bench_meter_latency(&work->meter, took);
    uint32_t twice = 2 * work->command_urbs;
    work->grows = 2 * took < work->longest_ns && twice * work->read.urb_bytes <= WALK_BYTES;
    if (work->grows)
        work->command_urbs = twice;
    if (!work->stop)
        begin_command(lane);
}

/* ---- running ---- */

/* Until that time; for some time more while the commands still become larger. */
static int run_until(struct work *work, uint64_t until_ns)
{
    uint64_t begin = loop_now_ns();
    uint64_t latest = until_ns + 4 * (until_ns - begin);
    uint64_t limit = until_ns + BENCH_PATIENCE_NS;
    int rc = 0;
    work->stop = false;
    for (unsigned int i = 0; i < work->read.targets && !work->error; i++)
        begin_command(&work->lanes[i]);
    while (!rc && !work->error && work->held) {
        uint64_t now = loop_now_ns();
        work->stop = now >= (work->grows ? latest : until_ns);
        if (now >= limit)
            return bench_fail(work->meter.sample, -ETIMEDOUT, "a read: no answer");
        work->progress = false;
        rc = bench_turn(work->meter.guests->session, now, limit, &work->progress);
    }
    return work->error ? work->error : rc;
}

static uint16_t packet_of(const struct bench_target *target, uint8_t address)
{
    const struct guest_endpoint *endpoint = guest_find_endpoint(target->device, address);
    return endpoint ? endpoint->packet & 0x7ffu : 0;
}

static int prepare(struct work *work, struct lane *lane, const struct bench_target *target)
{
    struct hcd *hcd = target->hcd;
    const struct bench_read *read = &work->read;
    size_t urb_room = (read->urb_bytes + 4095u) & ~(size_t)4095u;
    struct hcd_urb urb = {.port = target->device->port,
                          .device = target->device->address,
                          .type = USBIF_PIPE_TYPE_BULK,
                          .endpoint = target->in & 15u,
                          .in = true,
                          .packet = packet_of(target, target->in),
                          .context = lane};
    *lane = (struct lane){.work = work, .target = target};
    int rc = hcd->ops->buffer_alloc(hcd, 8192, (void **)&lane->command);
    if (!rc)
        rc = hcd->ops->buffer_alloc(hcd, read->queue * urb_room, (void **)&lane->memory);
    if (rc)
        return rc;
    lane->status = lane->command + 4096;
    lane->csw = lane->cbw = urb;
    lane->cbw.in = false;
    lane->cbw.packet = packet_of(target, target->out);
    lane->cbw.endpoint = target->out & 15u;
    lane->cbw.length = CBW_BYTES;
    lane->cbw.buffer = lane->command;
    lane->cbw.complete = on_cbw;
    lane->csw.length = CSW_BYTES;
    lane->csw.buffer = lane->status;
    lane->csw.complete = on_csw;
    for (unsigned int i = 0; i < read->queue; i++) {
        struct data_urb *data = &lane->data[i];
        *data = (struct data_urb){.urb = urb, .lane = lane};
        data->urb.length = read->urb_bytes;
        data->urb.buffer = lane->memory + i * urb_room;
        data->urb.complete = on_data;
        data->urb.context = data;
    }
    return 0;
}

/* After a failure: completions start nothing any more. */
static void take_back(struct work *work)
{
    for (unsigned int i = 0; i < work->read.targets && work->held; i++) {
        struct lane *lane = &work->lanes[i];
        struct hcd *hcd = lane->target->hcd;
        (void)hcd->ops->unlink(hcd, &lane->cbw, -ECONNRESET); /* -EINVAL: it is not under way */
        (void)hcd->ops->unlink(hcd, &lane->csw, -ECONNRESET);
        for (unsigned int k = 0; k < work->read.queue; k++)
            (void)hcd->ops->unlink(hcd, &lane->data[k].urb, -ECONNRESET);
    }
    bench_meter_drain(&work->meter, &work->held);
}

/* What a controller still holds may come back, so it stays. */
static void release(struct work *work)
{
    size_t urb_room = (work->read.urb_bytes + 4095u) & ~(size_t)4095u;
    if (work->held)
        return;
    for (unsigned int i = 0; work->lanes && i < work->read.targets; i++) {
        struct lane *lane = &work->lanes[i];
        struct hcd *hcd = lane->target ? lane->target->hcd : NULL;
        if (hcd && lane->command)
            hcd->ops->buffer_free(hcd, lane->command, 8192);
        if (hcd && lane->memory)
            hcd->ops->buffer_free(hcd, lane->memory, work->read.queue * urb_room);
    }
    free(work->lanes);
    free(work);
}

static int run(struct work *work, uint64_t ns)
{
    int rc = run_until(work, loop_now_ns() + ns / 10);
    if (rc)
        return rc;
    work->longest_ns = 0;
    work->grows = false;
    bench_meter_begin(&work->meter);
    rc = run_until(work, loop_now_ns() + ns);
    bench_meter_end(&work->meter);
    return rc;
}

int bench_work_read(struct bench_guests *guests, const struct bench_read *read, uint64_t ns,
                    struct bench_sample *out)
{
    struct work *work = calloc(1, sizeof(*work));
    int rc = 0;
    if (!work)
        return -ENOMEM;
    *work = (struct work){.meter = {.guests = guests, .sample = out},
                          .read = *read,
                          .command_urbs = read->command_urbs ? read->command_urbs : 1,
                          .longest_ns = read->command_urbs ? 0 : ns / SLICES};
    work->lanes = calloc(read->targets, sizeof(*work->lanes));
    if (!work->lanes)
        rc = -ENOMEM;
    for (unsigned int i = 0; i < read->targets && !rc; i++)
        rc = prepare(work, &work->lanes[i], &guests->target[i]);
    rc = rc ? bench_fail(out, rc, "no memory for transfers") : run(work, ns);
    if (work->held) {
        work->error = rc; /* a timeout is no completion's */
        take_back(work);
    }
    release(work);
    return rc;
}
