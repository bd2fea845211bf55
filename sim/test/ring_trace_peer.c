// SPDX-License-Identifier: MIT
#include "ring_trace_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xenbus/xenbus.h"

#define FRONT_DIR "/local/domain/1/device/vusb/0"
#define BACK_DIR  "/local/domain/0/backend/qusb/1/0"

const char *const ring_trace_busid[RING_TRACE_PORTS + 1] = {"", "4-1", "2-1", "1-1", ""};
const uint8_t ring_trace_speed[RING_TRACE_PORTS + 1] = {
    [1] = USBIF_SPEED_HIGH, [2] = USBIF_SPEED_FULL, [3] = USBIF_SPEED_FULL};

void ring_trace_load(const char *dir, const char *name, struct ring_trace *trace)
{
    char path[512];
    char error[RING_TRACE_ERROR_MAX] = "";
    snprintf(path, sizeof(path), "%s/%s.trace", dir, name);
    if (ring_trace_read(path, trace, error))
        fail_msg("%s", error);
}

/* Events are looked for on the rings themselves; the channel is only kept from waiting. */
static void drain(struct xen *xen)
{
    evtchn_port_t port;
    while (!xen->ops->evtchn_pending(xen, &port))
        xen->ops->evtchn_unmask(xen, port);
}

/* ---- a frontend ---- */

void raw_front_run(struct raw_front *front)
{
    struct rig *rig = front->rig;
    unsigned int rounds = 0;
    do {
        rig->back_rc = back_step(rig->back, rig->now_ns);
        drain(front->xen);
        assert_true(++rounds < 1000); /* somebody wakes somebody for nothing */
    } while (rounds < 2 || fakexen_local_pending(rig->local));
    assert_int_equal(rig->back_rc, 0);
}

void raw_front_open(struct raw_front *front, struct rig *rig, uint16_t first_conn_id)
{
    memset(front, 0, sizeof(*front));
    front->rig = rig;
    assert_int_equal(rig->machine->ops->open(rig->machine, 1, &front->xen), 0);
    const struct xen_ops *ops = front->xen->ops;
    assert_int_equal(ops->pages_alloc(front->xen, 1, &front->urb_page), 0);
    assert_int_equal(ops->pages_alloc(front->xen, 1, &front->conn_page), 0);
    assert_int_equal(ops->grant(front->xen, 0, front->urb_page, false, &front->urb_ref), 0);
    assert_int_equal(ops->grant(front->xen, 0, front->conn_page, false, &front->conn_ref), 0);
    assert_int_equal(ops->evtchn_alloc(front->xen, 0, &front->evtchn), 0);
    pvusb_ring_front_init(&front->urb, &pvusb_urb_ring[0], front->urb_page);
    pvusb_ring_front_init(&front->conn, &pvusb_conn_ring, front->conn_page);
    for (uint16_t i = 0; i < PVUSB_CONN_RING_SLOTS; i++) {
        struct usbif_conn_request request = {.id = (uint16_t)(first_conn_id + i)};
        assert_true(pvusb_ring_front_put(&front->conn, &request));
    }
    pvusb_ring_front_push(&front->conn);
    rig_start_back(rig);
    raw_front_run(front);
    assert_int_equal(xenbus_write(front->xen, XEN_XBT_NIL, FRONT_DIR, "urb-ring-ref", "%u", front->urb_ref),
                     0);
    assert_int_equal(xenbus_write(front->xen, XEN_XBT_NIL, FRONT_DIR, "conn-ring-ref", "%u", front->conn_ref),
                     0);
    assert_int_equal(xenbus_write(front->xen, XEN_XBT_NIL, FRONT_DIR, "event-channel", "%u", front->evtchn),
                     0);
    assert_int_equal(xenbus_state_write(front->xen, FRONT_DIR, XenbusStateConnected), 0);
    raw_front_run(front);
    assert_int_equal(back_state(rig->back), XenbusStateConnected);
}

uint16_t raw_front_send(struct raw_front *front, const struct usbif_urb_request *request)
{
    uint16_t slot = (uint16_t)(front->urb.req_prod % PVUSB_URB_RING_SLOTS);
    assert_true(pvusb_ring_front_put(&front->urb, request));
    if (pvusb_ring_front_push(&front->urb)) {
        front->notified++;
        front->xen->ops->evtchn_notify(front->xen, front->evtchn);
    }
    raw_front_run(front);
    return slot;
}

bool raw_front_response(struct raw_front *front, struct usbif_urb_response *out, uint16_t *slot)
{
    *slot = (uint16_t)(front->urb.rsp_cons % PVUSB_URB_RING_SLOTS);
    enum pvusb_verdict verdict = pvusb_ring_front_take(&front->urb, out);
    if (verdict == PVUSB_EMPTY && pvusb_ring_front_final_check(&front->urb))
        verdict = pvusb_ring_front_take(&front->urb, out);
    assert_true(verdict == PVUSB_OK || verdict == PVUSB_EMPTY);
    return verdict == PVUSB_OK;
}

bool raw_front_event(struct raw_front *front, struct usbif_conn_response *out)
{
    enum pvusb_verdict verdict = pvusb_ring_front_take(&front->conn, out);
    if (verdict == PVUSB_EMPTY && pvusb_ring_front_final_check(&front->conn))
        verdict = pvusb_ring_front_take(&front->conn, out);
    if (verdict != PVUSB_OK)
        return false;
    struct usbif_conn_request request = {.id = out->id};
    assert_true(pvusb_ring_front_put(&front->conn, &request));
    if (pvusb_ring_front_push(&front->conn))
        front->xen->ops->evtchn_notify(front->xen, front->evtchn);
    return true;
}

void raw_front_close(struct raw_front *front)
{
    const struct xen_ops *ops = front->xen->ops;
    assert_int_equal(ops->grant_end(front->xen, front->urb_ref), 0);
    assert_int_equal(ops->grant_end(front->xen, front->conn_ref), 0);
    ops->pages_free(front->xen, front->urb_page, 1);
    ops->pages_free(front->xen, front->conn_page, 1);
    xen_close(front->xen);
}

/* ---- a backend ---- */

void raw_back_run(struct raw_back *back)
{
    struct rig *rig = back->rig;
    unsigned int rounds = 0;
    do {
        assert_int_equal(front_step(rig->front, rig->now_ns), 0);
        drain(back->xen);
        assert_true(++rounds < 1000);
    } while (rounds < 2 || fakexen_local_pending(rig->local));
}

void raw_back_open(struct raw_back *back, struct rig *rig)
{
    uint32_t urb_ref;
    uint32_t conn_ref;
    uint32_t port;
    memset(back, 0, sizeof(*back));
    back->rig = rig;
    assert_int_equal(rig->machine->ops->open(rig->machine, 0, &back->xen), 0);
    const struct xen_ops *ops = back->xen->ops;
    assert_int_equal(xenbus_state_write(back->xen, BACK_DIR, XenbusStateInitWait), 0);
    rig_start_front(rig);
    raw_back_run(back);
    assert_int_equal(front_state(rig->front), XenbusStateConnected);
    assert_int_equal(
        xenbus_read_number(back->xen, XEN_XBT_NIL, FRONT_DIR, "urb-ring-ref", 0, UINT32_MAX, &urb_ref), 0);
    assert_int_equal(
        xenbus_read_number(back->xen, XEN_XBT_NIL, FRONT_DIR, "conn-ring-ref", 0, UINT32_MAX, &conn_ref), 0);
    assert_int_equal(
        xenbus_read_number(back->xen, XEN_XBT_NIL, FRONT_DIR, "event-channel", 0, UINT32_MAX, &port), 0);
    assert_int_equal(ops->grant_map(back->xen, 1, 1, &urb_ref, true, &back->urb_page), 0);
    assert_int_equal(ops->grant_map(back->xen, 1, 1, &conn_ref, true, &back->conn_page), 0);
    assert_int_equal(ops->evtchn_bind(back->xen, 1, port, &back->evtchn), 0);
    pvusb_ring_back_init(&back->urb, &pvusb_urb_ring[0], back->urb_page);
    pvusb_ring_back_init(&back->conn, &pvusb_conn_ring, back->conn_page);
    assert_int_equal(xenbus_state_write(back->xen, BACK_DIR, XenbusStateConnected), 0);
    raw_back_run(back);
}

bool raw_back_request(struct raw_back *back, struct usbif_urb_request *out, uint16_t *slot)
{
    *slot = (uint16_t)(back->urb.req_cons % PVUSB_URB_RING_SLOTS);
    enum pvusb_verdict verdict = pvusb_ring_back_take(&back->urb, out);
    if (verdict == PVUSB_EMPTY && pvusb_ring_back_final_check(&back->urb))
        verdict = pvusb_ring_back_take(&back->urb, out);
    assert_true(verdict == PVUSB_OK || verdict == PVUSB_EMPTY);
    return verdict == PVUSB_OK;
}

uint16_t raw_back_respond(struct raw_back *back, const struct usbif_urb_response *response)
{
    uint16_t slot = (uint16_t)(back->urb.rsp_prod % PVUSB_URB_RING_SLOTS);
    assert_true(pvusb_ring_back_put(&back->urb, response));
    if (pvusb_ring_back_push(&back->urb))
        back->xen->ops->evtchn_notify(back->xen, back->evtchn);
    raw_back_run(back);
    return slot;
}

uint16_t raw_back_plug(struct raw_back *back, uint8_t port, uint8_t speed)
{
    struct usbif_conn_request request;
    assert_int_equal(pvusb_ring_back_take(&back->conn, &request), PVUSB_OK);
    struct usbif_conn_response event = {.id = request.id, .portnum = port, .speed = speed};
    assert_true(pvusb_ring_back_put(&back->conn, &event));
    if (pvusb_ring_back_push(&back->conn))
        back->xen->ops->evtchn_notify(back->xen, back->evtchn);
    raw_back_run(back);
    return request.id;
}

void raw_back_close(struct raw_back *back)
{
    back->xen->ops->grant_unmap(back->xen, back->urb_page, 1);
    back->xen->ops->grant_unmap(back->xen, back->conn_page, 1);
    xen_close(back->xen);
}
