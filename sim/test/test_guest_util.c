// SPDX-License-Identifier: MIT
#include "test/test_guest_util.h"

#define STEPS_MAX 100000u

struct lie lie;

static void on_started(void *context, struct storage *storage, int status)
{
    struct world *w = context;
    (void)storage;
    w->started++;
    w->start_status = status;
}

static void on_ready(void *context, struct guest_device *device)
{
    struct world *w = context;
    w->ready++;
    w->device = device;
    if (!w->storage && storage_matches(device)) {
        assert_int_equal(storage_create(device, on_started, w, &w->storage), 0);
        device->driver = w->storage;
    }
}

static void on_gone(void *context, struct guest_device *device)
{
    struct world *w = context;
    w->gone++;
    if (device->driver) {
        assert_false(storage_busy(device->driver)); /* guest.h: every transfer has been given back */
        storage_destroy(device->driver);
        w->storage = NULL;
    }
}

static void on_failed(void *context, unsigned int port, int error)
{
    struct world *w = context;
    (void)port;
    w->failed++;
    w->error = error;
}

void world_open(struct world *w)
{
    struct guest_listener listener = {.ready = on_ready, .gone = on_gone, .failed = on_failed, .context = w};
    *w = (struct world){0};
    assert_int_equal(sim_host_create(&w->sim), 0);
    w->loop = loop_hcd_create(sim_host_host(w->sim), 4);
    assert_int_equal(guest_create(loop_hcd_hcd(w->loop), &listener, &w->guest), 0);
}

void world_plug(struct world *w, unsigned int port, const char *busid, struct usb_device *device)
{
    assert_int_equal(sim_host_plug(w->sim, busid, device), 0);
    assert_int_equal(loop_hcd_attach(w->loop, port, busid), 0);
}

bool world_step(struct world *w)
{
    guest_step(w->guest, w->now_ns);
    loop_hcd_step(w->loop, w->now_ns);
    if (loop_hcd_due(w->loop))
        return true;
    uint64_t due = guest_deadline(w->guest);
    struct usb_host *host = sim_host_host(w->sim);
    uint64_t device = host->ops->deadline(host);
    due = device < due ? device : due;
    if (due == UINT64_MAX)
        return false;
    if (due > w->now_ns)
        w->now_ns = due;
    return true;
}

void world_run(struct world *w)
{
    unsigned int steps = 0;
    while (world_step(w))
        assert_true(++steps < STEPS_MAX);
    assert_int_equal(loop_hcd_held(w->loop), 0);
}

void world_close(struct world *w)
{
    guest_close(w->guest);
    world_run(w);
    assert_false(guest_busy(w->guest));
    assert_int_equal(w->gone, w->ready);
    guest_destroy(w->guest);
    assert_int_equal(loop_hcd_buffers(w->loop), 0);
    loop_hcd_destroy(w->loop);
    sim_host_destroy(w->sim);
}

struct usb_device *new_disk(uint8_t speed)
{
    struct usb_device *device;
    struct disk_config config = {.bytes = DISK_BYTES, .speed = speed, .serial = "0123456789AB"};
    assert_int_equal(disk_create(&config, &device), 0);
    return device;
}

static struct usb_device_ops liar_ops;
static int (*honest_in)(struct usb_device *device, struct device_endpoint *ep);

static int liar_intercept(struct usb_device *device, struct device_endpoint *ep,
                          const struct usb_setup *setup)
{
    (void)device;
    if (lie.value == 0 || setup->type != 0x80 || setup->request != 6 || setup->value != lie.value)
        return DEVICE_PASS;
    if (!lie.bytes)
        return DEVICE_WAIT;
    return device_control_in(ep, setup, lie.bytes, lie.n);
}

static int liar_in(struct usb_device *device, struct device_endpoint *ep)
{
    struct host_urb *urb = ep->head;
    if (ep->moved == 0 && lie.stall_at && ++lie.ins == lie.stall_at)
        return -EPIPE;
    if (ep->moved == 0 && lie.error_at && ++lie.ins >= lie.error_at && lie.ins <= lie.error_at + 1)
        return lie.ins == lie.error_at ? -EPROTO : DEVICE_WAIT;
    int rc = honest_in(device, ep);
    if (rc == DEVICE_DONE && urb->length == 13 && ep->ended) {
        lie.csws++;
        if (lie.csws >= lie.spoil_from && lie.csws < lie.spoil_to)
            host_urb_write(urb, 4, "\xff\xff\xff\xff", 4);
        if (lie.residue)
            host_urb_write(urb, 8, &lie.residue, 1);
    }
    return rc;
}

struct usb_device *new_liar(void)
{
    struct usb_device *device = new_disk(USBIF_SPEED_HIGH);
    liar_ops = *device->ops;
    honest_in = device->ops->in;
    liar_ops.intercept = liar_intercept;
    liar_ops.in = liar_in;
    device->ops = &liar_ops;
    return device;
}
void on_finished(struct storage_request *request)
{
    struct world *w = request->context;
    w->finished++;
}

int run_request(struct world *w, uint64_t lba, uint32_t blocks, bool write, void *buffer)
{
    struct storage_request r = {
        .lba = lba, .blocks = blocks, .write = write, .buffer = buffer, .done = on_finished, .context = w};
    unsigned int before = w->finished;
    int rc = storage_submit(w->storage, &r);
    if (rc)
        return rc;
    world_run(w);
    assert_int_equal(w->finished, before + 1);
    return r.status;
}

void world_open_disk(struct world *w, struct usb_device *device, uint8_t **buffer)
{
    void *memory;
    world_open(w);
    world_plug(w, 1, "1-1", device);
    world_run(w);
    assert_int_equal(w->started, 1);
    assert_int_equal(w->start_status, 0);
    assert_int_equal(guest_buffer_alloc(w->guest, BUFFER, &memory), 0);
    *buffer = memory;
}

void world_close_disk(struct world *w, uint8_t *buffer)
{
    guest_buffer_free(w->guest, buffer, BUFFER);
    world_close(w);
}
