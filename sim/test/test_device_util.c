// SPDX-License-Identifier: MIT
#include "test/test_device_util.h"

static unsigned int completions;

static void on_complete(struct host_urb *urb)
{
    struct turb *turb = urb->context;
    turb->completed++;
    turb->order = ++completions;
    if (turb->then)
        turb->then(turb);
}

void bench_open(struct bench *bench, struct usb_device *device)
{
    assert_int_equal(sim_host_create(&bench->sim), 0);
    bench->host = sim_host_host(bench->sim);
    assert_int_equal(sim_host_plug(bench->sim, "1-1", device), 0);
    assert_int_equal(bench->host->ops->open(bench->host, "1-1", &bench->device), 0);
}

void bench_close(struct bench *bench)
{
    bench->host->ops->close(bench->host, bench->device);
    sim_host_destroy(bench->sim);
}

void turb_init(struct turb *turb, uint8_t type, uint8_t address, uint32_t n)
{
    assert_true(n <= TURB_BYTES);
    *turb = (struct turb){
        .urb = {.endpoint = address & 15u, .type = type, .in = (address & 0x80u) != 0, .length = n}};
    turb->urb.complete = on_complete;
    turb->urb.context = turb;
    uint32_t at = 0, part = 7;
    while (at < n) {
        uint32_t left = n - at;
        if (part > left || turb->urb.nr_segs == PVUSB_SEGMENTS_MAX - 1)
            part = left;
        turb->urb.seg[turb->urb.nr_segs++] = (struct host_seg){turb->bytes + at, part};
        at += part;
        part = part * 2 + 3;
    }
}

void turb_submit(struct bench *bench, struct turb *turb)
{
    bench->host->ops->submit(bench->host, bench->device, &turb->urb);
}

int turb_run(struct bench *bench, struct turb *turb, uint8_t type, uint8_t address, uint32_t n,
             uint32_t *actual)
{
    turb_init(turb, type, address, n);
    turb_submit(bench, turb);
    assert_int_equal(turb->completed, 1);
    if (actual)
        *actual = turb->urb.actual;
    return turb->urb.status;
}

int bench_control(struct bench *bench, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
                  uint16_t length, void *data)
{
    static struct turb turb;
    turb_init(&turb, USBIF_PIPE_TYPE_CTRL, type & 0x80u, length);
    uint8_t setup[8] = {type,           request,
                        value & 0xffu,  (uint8_t)(value >> 8),
                        index & 0xffu,  (uint8_t)(index >> 8),
                        length & 0xffu, (uint8_t)(length >> 8)};
    memcpy(turb.urb.setup, setup, 8);
    if (!(type & 0x80u) && length)
        memcpy(turb.bytes, data, length);
    turb_submit(bench, &turb);
    assert_int_equal(turb.completed, 1);
    if (type & 0x80u && turb.urb.actual)
        memcpy(data, turb.bytes, turb.urb.actual);
    return turb.urb.status ? turb.urb.status : (int)turb.urb.actual;
}
