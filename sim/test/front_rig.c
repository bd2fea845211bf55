// SPDX-License-Identifier: MIT
#include "front_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* More than the frontend needs to settle; what it leaves undone after that shows. */
#define STEPS 3

void frig_init(struct frig *frig, unsigned int usb_ver, unsigned int num_ports)
{
    struct xen *xen;
    memset(frig, 0, sizeof(*frig));
    rig_init(&frig->rig, usb_ver, num_ports);
    assert_int_equal(frig->rig.machine->ops->open(frig->rig.machine, 0, &xen), 0);
    raw_back_init(&frig->back, xen, 1);
    rig_start_front(&frig->rig);
    frig->hcd = front_hcd(frig->rig.front);
}

void frig_connect(struct frig *frig)
{
    raw_back_state(&frig->back, XenbusStateInitWait);
    frig_run(frig);
    assert_int_equal(raw_back_frontend_state(&frig->back), XenbusStateConnected);
    assert_int_equal(raw_back_map(&frig->back), 0);
    raw_back_state(&frig->back, XenbusStateConnected);
    frig_run(frig);
    assert_int_equal(front_state(frig->rig.front), XenbusStateConnected);
    frig_expect_no_request(frig);
}

void frig_start(struct frig *frig, unsigned int usb_ver, unsigned int num_ports)
{
    frig_init(frig, usb_ver, num_ports);
    frig_connect(frig);
    assert_int_equal(frig->hcd->ops->buffer_alloc(frig->hcd, FRIG_BUFFER, (void **)&frig->buffer), 0);
}

void frig_run(struct frig *frig)
{
    for (int i = 0; i < STEPS; i++) {
        front_step(frig->rig.front, frig->rig.now_ns);
        if (frig->back.xen)
            raw_back_drain(&frig->back);
    }
}

void frig_advance(struct frig *frig, uint64_t ns)
{
    frig->rig.now_ns += ns;
    frig_run(frig);
}

void frig_back_leaves(struct frig *frig)
{
    raw_back_unmap(&frig->back);
    raw_back_state(&frig->back, XenbusStateClosed);
    frig_run(frig);
}

void frig_dispose(struct frig *frig)
{
    front_close(frig->rig.front);
    frig_run(frig);
    frig_back_leaves(frig);
    assert_int_equal(front_state(frig->rig.front), XenbusStateClosed);
    if (frig->buffer)
        frig->hcd->ops->buffer_free(frig->hcd, frig->buffer, FRIG_BUFFER);
    struct fakexen_balance left = fakexen_local_balance(frig->rig.local);
    assert_int_equal(left.pages, 0);
    assert_int_equal(left.grants, 0);
    assert_int_equal(left.maps, 0);
    assert_int_equal(left.ports, 0);
    frig_abandon(frig);
}

void frig_abandon(struct frig *frig)
{
    raw_back_dispose(&frig->back);
    rig_dispose(&frig->rig);
}

/* ---- the guest ---- */

static void done(struct hcd_urb *urb)
{
    struct frig *frig = urb->context;
    if (frig->nr_done < FRIG_DONE_MAX)
        frig->done[frig->nr_done] = urb;
    frig->nr_done++;
    if (frig->on_complete)
        frig->on_complete(frig, urb);
}

struct hcd_urb frig_control(struct frig *frig, const uint8_t setup[8], void *buffer)
{
    struct hcd_urb urb = {.port = 1,
                          .device = 5,
                          .type = USBIF_PIPE_TYPE_CTRL,
                          .in = setup[0] >> 7,
                          .length = (uint32_t)(setup[6] | setup[7] << 8),
                          .buffer = buffer,
                          .complete = done,
                          .context = frig};
    memcpy(urb.setup, setup, sizeof(urb.setup));
    return urb;
}

struct hcd_urb frig_data(struct frig *frig, uint8_t type, uint8_t endpoint, bool in, void *buffer,
                         uint32_t length)
{
    return (struct hcd_urb){.port = 1,
                            .device = 5,
                            .endpoint = endpoint,
                            .type = type,
                            .in = in,
                            .buffer = buffer,
                            .length = length,
                            .complete = done,
                            .context = frig};
}

int frig_submit(struct frig *frig, struct hcd_urb *urb)
{
    return frig->hcd->ops->submit(frig->hcd, urb);
}

int frig_unlink(struct frig *frig, struct hcd_urb *urb, int reason)
{
    return frig->hcd->ops->unlink(frig->hcd, urb, reason);
}

unsigned int frig_count_done(const struct frig *frig, const struct hcd_urb *urb)
{
    unsigned int n = 0;
    for (unsigned int i = 0; i < frig->nr_done && i < FRIG_DONE_MAX; i++)
        n += frig->done[i] == urb;
    return n;
}

/* ---- the backend ---- */

struct usbif_urb_request frig_take(struct frig *frig)
{
    struct usbif_urb_request request = {0};
    assert_true(raw_back_take(&frig->back, &request));
    return request;
}

void frig_expect_no_request(struct frig *frig)
{
    struct usbif_urb_request request;
    assert_false(raw_back_take(&frig->back, &request));
}

void frig_answer(struct frig *frig, uint16_t id, int32_t status, int32_t actual)
{
    raw_back_respond(&frig->back,
                     (struct usbif_urb_response){.id = id, .status = status, .actual_length = actual});
    frig_run(frig);
}

/* ---- the root hub ---- */

int frig_hub(struct frig *frig, uint8_t type, uint8_t request, uint16_t value, uint16_t index, void *data,
             uint16_t length)
{
    const uint8_t setup[8] = {type,
                              request,
                              (uint8_t)value,
                              (uint8_t)(value >> 8),
                              (uint8_t)index,
                              (uint8_t)(index >> 8),
                              (uint8_t)length,
                              (uint8_t)(length >> 8)};
    return frig->hcd->ops->hub_control(frig->hcd, setup, data, length, frig->rig.now_ns);
}

uint32_t frig_port_status(struct frig *frig, uint16_t port)
{
    uint8_t data[4];
    assert_int_equal(frig_hub(frig, 0xa3, 0, 0, port, data, 4), 4);
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

void frig_spy(struct frig_spy *spy, struct xen *xen)
{
    spy->real = xen->ops;
    spy->ops = *xen->ops;
    xen->ops = &spy->ops;
}
