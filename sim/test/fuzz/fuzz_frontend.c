// SPDX-License-Identifier: MIT
/*
 * Bytes are actions: of a guest that submits, unlinks and asks the root hub, and of a raw backend that
 * answers, lies, scribbles, maps, keeps and leaves. The frontend between them is the real one, on the local
 * machine.
 *
 * Whatever happens: no crash, every URB completes exactly once, and once the backend has unmapped everything
 * the frontend closes and has given back every page, grant and port.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <fakexen/fakexen.h>

#include "frontend/frontend.h"
#include "raw_back.h"
#include "toolstack/vusb.h"

#define URBS  24u
#define PAGES 24u
#define HELD  8u
#define KNOWN 16u
#define MS    UINT64_C(1000000)

struct fuzz_urb {
    struct hcd_urb urb; /* first */
    struct pvusb_iso_desc packets[8];
    bool busy;
    uint8_t again; /* times that complete() submits it once more */
};

struct fuzz {
    const uint8_t *at;
    const uint8_t *end;
    struct fakexen_local *local;
    struct xen_machine *machine;
    struct xen *dom0;
    struct vusb_controller controller;
    struct front *front;
    struct hcd *hcd;
    struct raw_back back;
    struct fuzz_urb urb[URBS];
    uint8_t *buffer;
    uint64_t now_ns;
    struct usbif_urb_request known[KNOWN];
    unsigned int nr_known;
    uint8_t *held[HELD];
    bool lost; /* the guest's domain has ended */
};

static uint8_t byte(struct fuzz *f)
{
    return f->at < f->end ? *f->at++ : 0;
}

static uint32_t word(struct fuzz *f)
{
    uint32_t value = byte(f);
    for (unsigned int i = 1; i < 4; i++)
        value |= (uint32_t)byte(f) << (8 * i);
    return value;
}

/* ---- the guest ---- */

static void completed(struct hcd_urb *urb)
{
    struct fuzz *f = urb->context;
    struct fuzz_urb *mine = (struct fuzz_urb *)urb;
    assert(mine->busy);
    assert(urb->status != -EINPROGRESS);
    assert(urb->actual <= urb->length);
    for (unsigned int i = 0; urb->type == USBIF_PIPE_TYPE_ISOC && i < urb->nr_packets; i++) {
        assert(urb->packets[i].actual_length <= urb->packets[i].length);
        assert(urb->packets[i].status <= 0);
    }
    mine->busy = false;
    if (mine->again == 0)
        return;
    mine->again--;
    if (mine->again & 1) {
        struct fuzz_urb *other = &f->urb[mine->again % URBS];
        (void)f->hcd->ops->unlink(f->hcd, &other->urb, -ENOENT);
    }
    mine->busy = true;
    if (f->hcd->ops->submit(f->hcd, urb))
        mine->busy = false;
}

static void act_submit(struct fuzz *f)
{
    struct fuzz_urb *mine = &f->urb[byte(f) % URBS];
    uint8_t kind = byte(f);
    uint8_t size = byte(f);
    uint32_t offset = byte(f) * 16u;
    if (mine->busy || !f->buffer)
        return;
    mine->urb = (struct hcd_urb){.port = byte(f) % 6,
                                 .device = byte(f) % 40,
                                 .endpoint = kind >> 4 & 3,
                                 .type = kind & 3,
                                 .in = kind >> 2 & 1,
                                 .short_not_ok = kind >> 3 & 1,
                                 .interval = size,
                                 .length = size < 200 ? size * 4u : (size - 199u) * 1229u,
                                 .buffer = f->buffer + offset,
                                 .complete = completed,
                                 .context = f};
    mine->again = kind >> 6;
    if (mine->urb.type == USBIF_PIPE_TYPE_ISOC) {
        mine->urb.nr_packets = (uint16_t)(size % 8 + 1);
        mine->urb.packets = mine->packets;
        for (unsigned int i = 0; i < 8; i++)
            mine->packets[i] = (struct pvusb_iso_desc){.offset = i, .length = mine->urb.length / 8};
    }
    mine->busy = true;
    if (f->hcd->ops->submit(f->hcd, &mine->urb))
        mine->busy = false;
}

static void act_unlink(struct fuzz *f)
{
    struct fuzz_urb *mine = &f->urb[byte(f) % URBS];
    bool busy = mine->busy;
    int rc = f->hcd->ops->unlink(f->hcd, &mine->urb, -ECONNRESET);
    assert(busy ? rc == 0 || rc == -EBUSY : rc == -EINVAL);
}

static void act_hub(struct fuzz *f)
{
    static const uint8_t requests[][2] = {{0x23, 3}, {0x23, 1}, {0xa3, 0}, {0xa0, 0}, {0xa0, 6}, {0x20, 1}};
    uint8_t pick = byte(f);
    uint8_t data[64];
    uint8_t setup[8] = {
        requests[pick % 6][0], requests[pick % 6][1], byte(f) % 24, 0, byte(f) % 7, 0, pick, 0};
    int rc = f->hcd->ops->hub_control(f->hcd, setup, data, sizeof(data), f->now_ns);
    assert(rc == -EPIPE || (rc >= 0 && rc <= pick));
    (void)f->hcd->ops->hub_status(f->hcd, data, 1 + pick % 5u);
}

static void act_life(struct fuzz *f)
{
    switch (byte(f) % 4) {
    case 0:
        front_close(f->front);
        break;
    case 1:
        (void)front_reconnect(f->front);
        break;
    case 2:
        if (front_state(f->front) != XenbusStateConnected)
            break;
        /* A guest that frees while a backend may still hold pages: only what is not in flight. */
        for (unsigned int i = 0; i < URBS; i++)
            if (f->urb[i].busy)
                return;
        f->hcd->ops->buffer_free(f->hcd, f->buffer, PAGES * RAW_PAGE);
        f->buffer = NULL;
        (void)f->hcd->ops->buffer_alloc(f->hcd, PAGES * RAW_PAGE, (void **)&f->buffer);
        break;
    default:
        break;
    }
}

/* ---- the backend ---- */

static void act_take(struct fuzz *f)
{
    struct usbif_urb_request request;
    for (unsigned int i = 0; i < KNOWN && raw_back_take(&f->back, &request);
         i++) /* the index may be our own lie */
        f->known[f->nr_known++ % KNOWN] = request;
}

static void respond(struct fuzz *f, uint16_t id)
{
    static const int32_t status[] = {0, 0, -19, -22, -32, -71, -75, -108, -104, -115, -121, 5};
    uint8_t pick = byte(f);
    uint32_t actual = pick & 0x80 ? word(f) : byte(f) * 16u;
    struct usbif_urb_response response = {.id = id,
                                          .status = status[pick % 12],
                                          .actual_length = (int32_t)actual,
                                          .start_frame = pick,
                                          .error_count = pick};
    raw_back_put(&f->back, response);
    if (!(pick & 0x40))
        raw_back_publish(&f->back);
}

static void act_answer(struct fuzz *f)
{
    uint8_t pick = byte(f);
    if (f->nr_known == 0)
        return;
    uint16_t id = f->known[pick % KNOWN].id;
    respond(f, id);
}

static void act_answer_raw(struct fuzz *f)
{
    uint8_t id = byte(f);
    respond(f, id < 200 ? id % 16 : (uint16_t)(id * 257));
}

static void act_plug(struct fuzz *f)
{
    uint8_t pick = byte(f);
    raw_back_plug_raw(&f->back, (struct usbif_conn_response){.id = pick,
                                                             .portnum = pick & 7,
                                                             .speed = pick >> 3 & (pick & 0x80 ? 7 : 3)});
}

static void act_index(struct fuzz *f)
{
    uint8_t pick = byte(f);
    uint32_t delta = pick & 0x40 ? word(f) : (uint32_t)(byte(f) - 128);
    if (!f->back.urb || !f->back.conn)
        return;
    switch (pick % 6) {
    case 0:
        f->back.urb->rsp_prod += delta;
        break;
    case 1:
        f->back.conn->rsp_prod += delta;
        break;
    case 2:
        f->back.urb->req_prod += delta;
        break;
    case 3:
        f->back.urb->req_event += delta;
        break;
    case 4:
        f->back.urb->rsp_event += delta;
        break;
    default:
        f->back.conn->req_prod += delta;
        break;
    }
    raw_back_notify(&f->back);
}

static void act_scribble(struct fuzz *f)
{
    uint32_t at = word(f) % RAW_PAGE;
    uint8_t value = byte(f);
    uint8_t *page = value & 1 ? (uint8_t *)f->back.urb : (uint8_t *)f->back.conn;
    if (page)
        memset(page + at, value, at < RAW_PAGE - 8 ? 8 : 1);
}

static void act_state(struct fuzz *f)
{
    raw_back_state(&f->back, (enum xenbus_state)(byte(f) % 9));
}

static void act_nodes(struct fuzz *f)
{
    static const char *const path[] = {"num-ports", "usb-ver", "state", "port/1"};
    static const char *const value[] = {"4", "0", "", "31", "2", "1", "x", "99999999999"};
    uint8_t pick = byte(f);
    char full[160];
    snprintf(full, sizeof(full), "%s/%s", f->back.dir, path[pick % 4]);
    if (pick & 0x80)
        (void)f->dom0->ops->xs_rm(f->dom0, XEN_XBT_NIL, pick & 0x40 ? f->back.dir : full);
    else
        (void)f->dom0->ops->xs_write(f->dom0, XEN_XBT_NIL, full, value[pick >> 2 & 7],
                                     strlen(value[pick >> 2 & 7]));
    if (pick == 0xff)
        (void)vusb_remove(f->dom0, &f->controller);
    (void)vusb_create(f->dom0, &f->controller); /* only if it is gone */
}

static void act_map(struct fuzz *f)
{
    switch (byte(f) % 3) {
    case 0:
        raw_back_unmap(&f->back);
        break;
    case 1:
        raw_back_unmap(&f->back);
        (void)raw_back_map(&f->back);
        break;
    default:
        if (f->back.evtchn)
            f->back.xen->ops->evtchn_close(f->back.xen, f->back.evtchn);
        f->back.evtchn = 0;
        break;
    }
}

static void let_go(struct fuzz *f, unsigned int i)
{
    if (f->held[i])
        raw_back_unmap_segments(&f->back, f->held[i], 1);
    f->held[i] = NULL;
}

static void act_hold(struct fuzz *f)
{
    uint8_t pick = byte(f);
    unsigned int which = pick % HELD;
    const struct usbif_urb_request *request = &f->known[pick >> 4];
    let_go(f, which);
    if ((pick & 8) && raw_back_map_segments(&f->back, request, pick % 3, 1, pick & 1, &f->held[which]))
        f->held[which] = NULL;
    else if (f->held[which] && (pick & 1))
        memset(f->held[which], pick, RAW_PAGE);
}

/* ---- time ---- */

static void step(struct fuzz *f)
{
    int rc = front_step(f->front, f->now_ns);
    assert(rc == 0 || (rc == -EPIPE && f->lost));
    raw_back_drain(&f->back);
}

static void act_step(struct fuzz *f)
{
    step(f);
}

static void act_time(struct fuzz *f)
{
    uint8_t ms = byte(f);
    f->now_ns += (ms < 250 ? ms : ms * 25u) * MS;
    step(f);
}

static void act_end_domain(struct fuzz *f)
{
    if (f->lost || byte(f) != 0xdd)
        return;
    f->lost = true;
    f->machine->ops->domain_destroy(f->machine, 1);
    step(f);
}

static void connect(struct fuzz *f)
{
    raw_back_state(&f->back, XenbusStateInitWait);
    step(f);
    raw_back_unmap(&f->back);
    (void)raw_back_map(&f->back);
    raw_back_state(&f->back, XenbusStateConnected);
    step(f);
}

static void (*const actions[])(struct fuzz *f) = {
    act_submit, act_submit,     act_submit, act_unlink, act_take,       act_take,  act_answer,
    act_answer, act_answer_raw, act_plug,   act_index,  act_scribble,   act_state, act_nodes,
    act_map,    act_hold,       act_step,   act_step,   act_time,       act_hub,   act_life,
    connect,    act_hold,       act_step,   act_answer, act_end_domain,
};

/* ---- a run ---- */

static int begin(struct fuzz *f)
{
    struct xen *xen;
    int rc = fakexen_local_create(&f->local);
    if (rc)
        return rc;
    f->machine = fakexen_local_machine(f->local);
    f->controller = (struct vusb_controller){.kind = "qusb", .frontend = 1, .usb_ver = 2, .num_ports = 4};
    assert(f->machine->ops->domain_create(f->machine, 1) == 0);
    assert(f->machine->ops->open(f->machine, 0, &f->dom0) == 0);
    assert(vusb_create(f->dom0, &f->controller) == 0);
    assert(f->machine->ops->open(f->machine, 0, &xen) == 0);
    raw_back_init(&f->back, xen, 1);
    assert(f->machine->ops->open(f->machine, 1, &xen) == 0);
    assert(front_create(xen, 0, NULL, NULL, &f->front) == 0);
    f->hcd = front_hcd(f->front);
    assert(f->hcd->ops->buffer_alloc(f->hcd, PAGES * RAW_PAGE, (void **)&f->buffer) == 0);
    step(f);
    return 0;
}

/* The backend lets go of everything: now the frontend must get to its end. */
static void end(struct fuzz *f)
{
    for (unsigned int i = 0; i < URBS; i++)
        f->urb[i].again = 0;
    front_close(f->front);
    for (unsigned int i = 0; i < HELD; i++)
        let_go(f, i);
    raw_back_unmap(&f->back);
    raw_back_state(&f->back, XenbusStateClosed);
    step(f);
    step(f);
    if (front_state(f->front) != XenbusStateClosed) {
        f->now_ns += 5000 * MS; /* a removed node is not writable for us: by the deadline then */
        step(f);
    }
    assert(front_state(f->front) == XenbusStateClosed);
    for (unsigned int i = 0; i < URBS; i++)
        assert(!f->urb[i].busy);
    if (f->buffer)
        f->hcd->ops->buffer_free(f->hcd, f->buffer, PAGES * RAW_PAGE);
    struct fakexen_balance left = fakexen_local_balance(f->local);
    assert(left.maps == 0 && left.ports == 0 && left.transactions == 0);
    assert(f->lost || (left.pages == 0 && left.grants == 0));
    raw_back_dispose(&f->back);
    front_destroy(f->front);
    xen_close(f->dom0);
    left = fakexen_local_balance(f->local);
    assert(left.handles == 0 && left.pages == 0 && left.grants == 0 && left.watches == 0);
    fakexen_local_destroy(f->local);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz f;
    memset(&f, 0, sizeof(f));
    f.at = data;
    f.end = data + (size < 4096 ? size : 4096);
    if (begin(&f))
        return 0;
    while (f.at < f.end)
        actions[byte(&f) % (sizeof(actions) / sizeof(actions[0]))](&f);
    end(&f);
    return 0;
}
