// SPDX-License-Identifier: MIT
/* Goal: both drivers together do the plain things: connect, plug, transfer, unlink, unplug, close, reconnect. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

static unsigned int completed;

static void count(struct hcd_urb *urb)
{
    (void)urb;
    completed++;
}

static void start(struct rig *rig)
{
    rig_init(rig, 2, 4);
    rig_start_front(rig);
    rig_start_back(rig);
    rig_run(rig);
    assert_int_equal(front_state(rig->front), XenbusStateConnected);
    assert_int_equal(back_state(rig->back), XenbusStateConnected);
    scripted_host_plug(&rig->host, "1-1", USBIF_SPEED_HIGH);
    assert_int_equal(vusb_set_port(rig->dom0, &rig->controller, 1, "1-1"), 0);
    rig_run(rig);
    completed = 0;
}

static uint32_t port_status(struct rig *rig, uint16_t port)
{
    struct hcd *hcd = front_hcd(rig->front);
    uint8_t setup[8] = {0xa3, 0, 0, 0, (uint8_t)port, 0, 4, 0};
    uint8_t data[4];
    assert_int_equal(hcd->ops->hub_control(hcd, setup, data, 4, rig->now_ns), 4);
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static void set_feature(struct rig *rig, uint16_t port, uint8_t feature)
{
    struct hcd *hcd = front_hcd(rig->front);
    uint8_t setup[8] = {0x23, 3, feature, 0, (uint8_t)port, 0, 0, 0};
    assert_int_equal(hcd->ops->hub_control(hcd, setup, NULL, 0, rig->now_ns), 0);
}

static struct hcd_urb control(const uint8_t setup[8], uint8_t device, void *buffer)
{
    struct hcd_urb urb = {.port = 1, .device = device, .type = USBIF_PIPE_TYPE_CTRL, .in = setup[0] >> 7,
                          .length = setup[6], .buffer = buffer, .complete = count};
    memcpy(urb.setup, setup, 8);
    return urb;
}

static void submit(struct rig *rig, struct hcd_urb *urb)
{
    struct hcd *hcd = front_hcd(rig->front);
    assert_int_equal(hcd->ops->submit(hcd, urb), 0);
}

/* Rules BUS-06, CONN-16, HUB-06, CTL-02, CTL-04, XFR-02, HOT-05. */
static void test_spine_transfers(void **state)
{
    struct rig rig;
    uint8_t *page;
    (void)state;
    start(&rig);
    struct hcd *hcd = front_hcd(rig.front);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, 131072, (void **)&page), 0);
    set_feature(&rig, 1, 8);
    assert_int_equal(port_status(&rig, 1), 0x00010501);

    struct hcd_urb urb = control((const uint8_t[]){0x80, 6, 0, 1, 0, 0, 64, 0}, 0, page + 100);
    submit(&rig, &urb);
    rig_run(&rig);
    assert_int_equal(rig.host.nr_held, 1);
    scripted_host_complete(&rig.host, 0, 0, "0123456789abcdefgh", 18);
    rig_run(&rig);
    assert_int_equal(completed, 1);
    assert_int_equal(urb.status, 0);
    assert_int_equal(urb.actual, 18);
    assert_memory_equal(page + 100, "0123456789abcdefgh", 18);

    urb = control((const uint8_t[]){0, 5, 7, 0, 0, 0, 0, 0}, 0, NULL);
    submit(&rig, &urb);
    rig_run(&rig);
    assert_int_equal(completed, 2);
    assert_int_equal(urb.status, 0);
    assert_int_equal(rig.host.nr_held, 0);

    /* 65536 bytes, page aligned: buffer_length 0 on the wire (rule SEG-03). */
    struct hcd_urb bulk = {.port = 1, .device = 7, .endpoint = 1, .type = USBIF_PIPE_TYPE_BULK, .in = true,
                           .length = 65536, .buffer = page, .complete = count};
    submit(&rig, &bulk);
    rig_run(&rig);
    static uint8_t data[65536];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    scripted_host_complete(&rig.host, 0, 0, data, sizeof(data));
    rig_run(&rig);
    assert_int_equal(completed, 3);
    assert_int_equal(bulk.actual, 65536);
    assert_memory_equal(page, data, 65536);
    bulk.buffer = page + 1; /* 17 pages (rule SEG-04) */
    assert_int_equal(hcd->ops->submit(hcd, &bulk), -EMSGSIZE);

    hcd->ops->buffer_free(hcd, page, 131072);
    rig_dispose(&rig);
}

/* Rules UNL-04, STA-07: the reason comes back. Rules HOT-04, HUB-16, ADR-03: unplug with a transfer in flight. */
static void test_spine_unlink_and_unplug(void **state)
{
    struct rig rig;
    uint8_t *page;
    (void)state;
    start(&rig);
    struct hcd *hcd = front_hcd(rig.front);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, 65536, (void **)&page), 0);
    set_feature(&rig, 1, 8);
    struct hcd_urb urb = control((const uint8_t[]){0, 5, 7, 0, 0, 0, 0, 0}, 0, NULL);
    submit(&rig, &urb);
    rig_run(&rig);
    struct hcd_urb bulk = {.port = 1, .device = 7, .endpoint = 1, .type = USBIF_PIPE_TYPE_BULK, .in = true,
                           .length = 65536, .buffer = page, .complete = count};
    submit(&rig, &bulk);
    rig_run(&rig);
    assert_int_equal(hcd->ops->unlink(hcd, &bulk, -ECONNRESET), 0);
    assert_int_equal(hcd->ops->unlink(hcd, &bulk, -ECONNRESET), -EBUSY);
    rig_run(&rig);
    assert_int_equal(completed, 2);
    assert_int_equal(bulk.status, -ECONNRESET);

    submit(&rig, &bulk);
    rig_run(&rig);
    port_status(&rig, 1);
    scripted_host_unplug(&rig.host, "1-1");
    rig_run(&rig);
    assert_int_equal(completed, 3);
    assert_int_equal(bulk.status, -ENODEV);
    assert_int_equal(port_status(&rig, 1) & 1, 0);
    submit(&rig, &bulk); /* its address is forgotten */
    rig_run(&rig);
    assert_int_equal(completed, 4);
    assert_int_equal(bulk.status, -ENODEV);
    hcd->ops->buffer_free(hcd, page, 65536);
    rig_dispose(&rig);
}

/* Rules BUS-13, BUS-14, BUS-25: closing with a transfer in flight, then a second connection. */
static void test_spine_reconnect(void **state)
{
    struct rig rig;
    uint8_t *page;
    (void)state;
    start(&rig);
    struct hcd *hcd = front_hcd(rig.front);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, 4096, (void **)&page), 0);
    for (int round = 0; round < 3; round++) {
        struct hcd_urb urb = control((const uint8_t[]){0x80, 6, 0, 1, 0, 0, 64, 0}, 0, page);
        submit(&rig, &urb);
        rig_run(&rig);
        front_close(rig.front);
        rig_run(&rig);
        assert_int_equal(front_state(rig.front), XenbusStateClosed);
        assert_int_equal(back_state(rig.back), XenbusStateClosed);
        assert_int_equal(urb.status, -ESHUTDOWN);
        assert_int_equal(completed, round + 1);
        assert_int_equal(fakexen_local_balance(rig.local).maps, 0);
        assert_int_equal(fakexen_local_balance(rig.local).grants, 0);
        assert_int_equal(front_reconnect(rig.front), 0);
        rig_run(&rig);
        assert_int_equal(front_state(rig.front), XenbusStateConnected);
        set_feature(&rig, 1, 8);
        assert_int_equal(port_status(&rig, 1), 0x00010501);
    }
    hcd->ops->buffer_free(hcd, page, 4096);
    rig_dispose(&rig);
}

/* Rule BUS-11: the toolstack removes the controller while it is in use. */
static void test_spine_removed(void **state)
{
    struct rig rig;
    (void)state;
    start(&rig);
    assert_int_equal(vusb_close(rig.dom0, &rig.controller), 0);
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateClosed);
    assert_string_equal(rig_node(&rig, "/local/domain/0/backend/qusb/1/0/state"), "6");
    assert_int_equal(vusb_remove(rig.dom0, &rig.controller), 0);
    rig_run(&rig);
    assert_int_equal(rig.back_rc, -ENOENT);
    rig_dispose(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spine_transfers),
        cmocka_unit_test(test_spine_unlink_and_unplug),
        cmocka_unit_test(test_spine_reconnect),
        cmocka_unit_test(test_spine_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
