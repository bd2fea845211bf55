// SPDX-License-Identifier: MIT
#include "raw_front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12, SLOTS = 64 };

uint32_t raw_word(const uint8_t *page, unsigned int offset)
{
    return *(const volatile uint32_t *)(const volatile void *)(page + offset);
}

void raw_set_word(uint8_t *page, unsigned int offset, uint32_t value)
{
    *(volatile uint32_t *)(volatile void *)(page + offset) = value;
}

/* ---- life ---- */

void raw_front_open(struct raw_front *f, struct xen *xen, domid_t backend, unsigned int devid)
{
    void *pages;
    memset(f, 0, sizeof(*f));
    f->xen = xen;
    f->backend = backend;
    snprintf(f->dir, sizeof(f->dir), "/local/domain/%u/device/vusb/%u", xen->domid, devid);
    assert_int_equal(xen->ops->pages_alloc(xen, RAW_PAGES, &pages), 0);
    f->page = pages;
    for (unsigned int i = 0; i < RAW_PAGES; i++) {
        const uint8_t *page = f->page + (size_t)i * PVUSB_PAGE_SIZE;
        assert_int_equal(xen->ops->grant(xen, backend, page, false, &f->rw[i]), 0);
        assert_int_equal(xen->ops->grant(xen, backend, page, true, &f->ro[i]), 0);
    }
}

void raw_front_make(struct raw_front *f)
{
    const struct xen_ops *ops = f->xen->ops;
    unsigned int ring_pages = 1u << f->order;
    void *pages;
    assert_int_equal(ops->pages_alloc(f->xen, ring_pages + 1, &pages), 0);
    f->urb_page = pages;
    f->conn_page = f->urb_page + ring_pages * PVUSB_PAGE_SIZE;
    raw_set_word(f->urb_page, REQ_EVENT, 1);
    raw_set_word(f->urb_page, RSP_EVENT, 1);
    raw_set_word(f->conn_page, REQ_EVENT, 1);
    raw_set_word(f->conn_page, RSP_EVENT, 1);
    assert_int_equal(ops->grant(f->xen, f->backend, f->urb_page, false, &f->urb_ref), 0);
    for (unsigned int i = 1; i < ring_pages; i++) {
        const uint8_t *page = f->urb_page + i * PVUSB_PAGE_SIZE;
        assert_int_equal(ops->grant(f->xen, f->backend, page, false, &f->more_ref[i - 1]), 0);
    }
    assert_int_equal(ops->grant(f->xen, f->backend, f->conn_page, false, &f->conn_ref), 0);
    assert_int_equal(ops->evtchn_alloc(f->xen, f->backend, &f->port), 0);
    f->urb_req = f->urb_published = f->urb_rsp = 0;
    f->conn_req = f->conn_published = f->conn_rsp = 0;
    f->made = true;
}

void raw_front_unmake(struct raw_front *f)
{
    const struct xen_ops *ops = f->xen->ops;
    if (!f->made)
        return;
    assert_int_equal(ops->grant_end(f->xen, f->urb_ref), 0);
    for (unsigned int i = 1; i < 1u << f->order; i++)
        assert_int_equal(ops->grant_end(f->xen, f->more_ref[i - 1]), 0);
    assert_int_equal(ops->grant_end(f->xen, f->conn_ref), 0);
    assert_int_equal(ops->evtchn_close(f->xen, f->port), 0);
    ops->pages_free(f->xen, f->urb_page, (1u << f->order) + 1);
    f->made = false;
}

void raw_front_close(struct raw_front *f)
{
    if (!f->xen)
        return;
    raw_front_unmake(f);
    for (unsigned int i = 0; i < RAW_PAGES; i++) {
        assert_int_equal(f->xen->ops->grant_end(f->xen, f->rw[i]), 0);
        assert_int_equal(f->xen->ops->grant_end(f->xen, f->ro[i]), 0);
    }
    f->xen->ops->pages_free(f->xen, f->page, RAW_PAGES);
    xen_close(f->xen);
    f->xen = NULL;
}

static bool publish(struct raw_front *f, uint8_t *page, uint32_t *published, uint32_t new)
{
    uint32_t old = *published;
    *published = new;
    raw_set_word(page, REQ_PROD, new);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (new - raw_word(page, REQ_EVENT) >= new - old)
        return false;
    raw_front_notify(f);
    return true;
}

static void put_conn(struct raw_front *f, uint16_t id)
{
    memcpy(f->conn_page + SLOTS + 4 * (size_t)(f->conn_req % 512), &id, sizeof(id));
    f->conn_req++;
}

void raw_front_prime(struct raw_front *f, unsigned int n, uint16_t first)
{
    for (unsigned int i = 0; i < n; i++)
        put_conn(f, (uint16_t)(first + i));
    publish(f, f->conn_page, &f->conn_published, f->conn_req);
}

static void set_node(struct raw_front *f, xen_transaction t, const char *node, const char *value)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", f->dir, node);
    assert_int_equal(f->xen->ops->xs_write(f->xen, t, path, value, strlen(value)), 0);
}

void raw_front_set_node(struct raw_front *f, const char *node, const char *value)
{
    set_node(f, XEN_XBT_NIL, node, value);
}

void raw_front_write_nodes(struct raw_front *f)
{
    char value[16];
    xen_transaction t;
    assert_int_equal(f->xen->ops->xs_begin(f->xen, &t), 0);
    snprintf(value, sizeof(value), "%u", f->urb_ref);
    set_node(f, t, "urb-ring-ref", value);
    for (unsigned int i = 1; i < 1u << f->order; i++) {
        char node[24];
        snprintf(node, sizeof(node), "urb-ring-ref%u", i);
        snprintf(value, sizeof(value), "%u", f->more_ref[i - 1]);
        set_node(f, t, node, value);
    }
    snprintf(value, sizeof(value), "%u", f->order);
    if (f->order > 0)
        set_node(f, t, "urb-ring-page-order", value);
    snprintf(value, sizeof(value), "%u", f->conn_ref);
    set_node(f, t, "conn-ring-ref", value);
    snprintf(value, sizeof(value), "%u", f->port);
    set_node(f, t, "event-channel", value);
    assert_int_equal(f->xen->ops->xs_end(f->xen, t, false), 0);
}

void raw_front_set_state(struct raw_front *f, enum xenbus_state state)
{
    char value[4] = {(char)('0' + (int)state)};
    raw_front_set_node(f, "state", value);
}

void raw_front_connect(struct raw_front *f)
{
    raw_front_make(f);
    raw_front_write_nodes(f);
    raw_front_prime(f, 512, 0);
    raw_front_set_state(f, XenbusStateConnected);
}

/* ---- requests ---- */

struct usbif_urb_request raw_request(uint16_t id, uint32_t pipe)
{
    struct usbif_urb_request request;
    memset(&request, 0xa5, sizeof(request));
    request.id = id;
    request.pipe = pipe;
    request.nr_buffer_segs = 0;
    request.transfer_flags = 0;
    request.buffer_length = 0;
    return request;
}

struct usbif_urb_request raw_control(uint16_t id, uint32_t device, const uint8_t setup[8])
{
    struct usbif_urb_request request = raw_request(id, RAW_PIPE(RAW_CTRL, device, 0, setup[0] >> 7));
    memcpy(request.u.ctrl, setup, 8);
    return request;
}

struct usbif_urb_request raw_unlink(uint16_t id, uint32_t pipe, uint16_t target)
{
    struct usbif_urb_request request = raw_request(id, pipe | RAW_UNLINK);
    request.nr_buffer_segs = 0xa5a5; /* means nothing in an unlink (rule UNL-03) */
    request.transfer_flags = 0xa5a5;
    request.buffer_length = 0xa5a5;
    request.u.unlink.unlink_id = target;
    return request;
}

void raw_segment(struct usbif_urb_request *request, grant_ref_t gref, uint16_t offset, uint16_t length)
{
    request->seg[request->nr_buffer_segs++] =
        (struct usbif_request_segment){.gref = gref, .offset = offset, .length = length};
    request->buffer_length = (uint16_t)(request->buffer_length + length);
}

void raw_buffer(struct raw_front *f, struct usbif_urb_request *request, uint32_t offset, uint32_t length)
{
    while (length > 0) {
        uint32_t room = PVUSB_PAGE_SIZE - offset % PVUSB_PAGE_SIZE;
        uint32_t part = length < room ? length : room;
        uint16_t in_page = (uint16_t)(offset % PVUSB_PAGE_SIZE);
        raw_segment(request, f->rw[offset / PVUSB_PAGE_SIZE], in_page, (uint16_t)part);
        offset += part;
        length -= part;
    }
}

uint8_t *raw_front_slot(struct raw_front *f, uint32_t index)
{
    return f->urb_page + SLOTS + 148 * (size_t)(index % (16u << f->order));
}

void raw_front_put(struct raw_front *f, const struct usbif_urb_request *request)
{
    memcpy(raw_front_slot(f, f->urb_req), request, sizeof(*request));
    f->urb_req++;
}

void raw_front_notify(struct raw_front *f)
{
    assert_int_equal(f->xen->ops->evtchn_notify(f->xen, f->port), 0);
}

bool raw_front_push(struct raw_front *f)
{
    return publish(f, f->urb_page, &f->urb_published, f->urb_req);
}

void raw_front_send(struct raw_front *f, const struct usbif_urb_request *request)
{
    raw_front_put(f, request);
    raw_front_push(f);
}

/* ---- responses ---- */

uint32_t raw_front_rsp_prod(const struct raw_front *f)
{
    return raw_word(f->urb_page, RSP_PROD);
}

void raw_front_take(struct raw_front *f)
{
    do {
        uint32_t prod = raw_word(f->urb_page, RSP_PROD);
        /* rule STA-08: none that nobody asked for */
        assert_true(prod - f->urb_rsp <= f->urb_published - f->urb_rsp);
        while (f->urb_rsp != prod) {
            assert_true(f->nr_rsp < RAW_RESPONSES);
            memcpy(&f->rsp[f->nr_rsp++], raw_front_slot(f, f->urb_rsp), sizeof(f->rsp[0]));
            f->urb_rsp++;
        }
        raw_set_word(f->urb_page, RSP_EVENT, f->urb_rsp + 1);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } while (raw_word(f->urb_page, RSP_PROD) != f->urb_rsp);
}

static void take_events(struct raw_front *f)
{
    do {
        uint32_t prod = raw_word(f->conn_page, RSP_PROD);
        assert_true(prod - f->conn_rsp <= f->conn_published - f->conn_rsp); /* rule CONN-03 */
        while (f->conn_rsp != prod) {
            struct usbif_conn_response event;
            memcpy(&event, f->conn_page + SLOTS + 4 * (size_t)(f->conn_rsp % 512), sizeof(event));
            assert_true(f->nr_events < RAW_EVENTS);
            f->event[f->nr_events++] = event;
            f->conn_rsp++;
            if (!f->hold_conn)
                put_conn(f, event.id);
        }
        raw_set_word(f->conn_page, RSP_EVENT, f->conn_rsp + 1);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } while (raw_word(f->conn_page, RSP_PROD) != f->conn_rsp);
    if (f->conn_req != f->conn_published)
        publish(f, f->conn_page, &f->conn_published, f->conn_req);
}

bool raw_front_poll(struct raw_front *f)
{
    evtchn_port_t port;
    bool any = false;
    if (!f->xen)
        return false;
    while (f->xen->ops->evtchn_pending(f->xen, &port) == 0) {
        any = true;
        f->notified++;
        if (f->made && port == f->port && !f->deaf) {
            raw_front_take(f);
            take_events(f);
        }
        f->xen->ops->evtchn_unmask(f->xen, port);
    }
    return any;
}
