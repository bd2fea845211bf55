// SPDX-License-Identifier: MIT
/*
 * Goal: what exactly a half does when the other one is gone: what it says, which states it shows, what its guest gets
 * back and with which status; when it comes back by itself and when it must not; and both halves dead at once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

#define BACK_STATE  "/local/domain/0/backend/qusb/1/0/state"
#define FRONT_STATE "/local/domain/1/device/vusb/0/state"
#define ONLINE      "/local/domain/0/backend/qusb/1/0/online"
#define URBS        20u /* more than slots: some are on the ring, some wait */

static int statuses[URBS];
static unsigned int nr_done;

static void completed(struct hcd_urb *urb)
{
    assert_true(nr_done < URBS);
    statuses[nr_done++] = urb->status;
}

static void submit_bulk(struct rig *rig, struct hcd_urb *urb, uint8_t *buffer)
{
    struct hcd *hcd = front_hcd(rig->front);
    *urb = (struct hcd_urb){.port = 1, .device = 7, .endpoint = 1, .type = USBIF_PIPE_TYPE_BULK, .in = true,
                            .length = 64, .buffer = buffer, .complete = completed};
    assert_int_equal(hcd->ops->submit(hcd, urb), 0);
}

/* Connected, with a device on port 1 at address 7. */
static void start(struct rig *rig, bool reconnect)
{
    nr_done = 0;
    rig_init(rig, 2, 2);
    rig_start_front(rig);
    front_set_reconnect(rig->front, reconnect);
    rig_start_back(rig);
    rig_run(rig);
    assert_int_equal(front_state(rig->front), XenbusStateConnected);
    scripted_host_plug(&rig->host, "1-1", USBIF_SPEED_HIGH);
    assert_int_equal(vusb_set_port(rig->dom0, &rig->controller, 1, "1-1"), 0);
    rig_run(rig);
    struct hcd *hcd = front_hcd(rig->front);
    const uint8_t power[8] = {0x23, 3, 8, 0, 1, 0, 0, 0};
    assert_int_equal(hcd->ops->hub_control(hcd, power, NULL, 0, rig->now_ns), 0);
    struct hcd_urb address = {.port = 1, .type = USBIF_PIPE_TYPE_CTRL, .setup = {0, 5, 7}, .complete = completed};
    assert_int_equal(hcd->ops->submit(hcd, &address), 0);
    rig_run(rig);
    assert_int_equal(nr_done, 1);
    nr_done = 0;
}

static void kill_back(struct rig *rig)
{
    fakexen_local_kill(back_xen(rig->back));
    back_destroy(rig->back);
    rig->back = NULL;
    scripted_host_clear_log(&rig->host);
}

static void kill_front(struct rig *rig)
{
    fakexen_local_kill(front_xen(rig->front));
    front_destroy(rig->front);
    rig->front = NULL;
}

static unsigned int lines(const struct rig *rig, const char *text)
{
    unsigned int n = 0;
    for (const char *at = rig->log; (at = strstr(at, text)); at++)
        n++;
    return n;
}

static uint32_t port_status(struct rig *rig)
{
    struct hcd *hcd = front_hcd(rig->front);
    const uint8_t setup[8] = {0xa3, 0, 0, 0, 1, 0, 4, 0};
    uint8_t data[4];
    assert_int_equal(hcd->ops->hub_control(hcd, setup, data, 4, rig->now_ns), 4);
    return (uint32_t)data[0] | (uint32_t)data[1] << 8;
}

/* ---- the backend dies ---- */

/* frontend.h: one line, every URB back with -ESHUTDOWN, ports empty, Closed; without being told to, it stays there. */
static void test_death_urbs_return(void **state)
{
    struct rig rig;
    struct hcd_urb urb[URBS];
    uint8_t *buffer;
    (void)state;
    start(&rig, false);
    struct hcd *hcd = front_hcd(rig.front);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, 4096, (void **)&buffer), 0);
    for (unsigned int i = 0; i < URBS; i++)
        submit_bulk(&rig, &urb[i], buffer);
    rig_run(&rig);
    assert_int_equal(hcd->ops->unlink(hcd, &urb[1], -ECONNRESET), 0);
    kill_back(&rig);
    assert_int_equal(nr_done, 0);
    rig_run(&rig);
    assert_int_equal(nr_done, URBS);
    for (unsigned int i = 0; i < URBS; i++)
        assert_int_equal(urb[i].status, i == 1 ? -ECONNRESET : -ESHUTDOWN);
    assert_int_equal(port_status(&rig) & 1, 0);
    assert_int_equal(lines(&rig, "vusb-0: the backend is gone without closing"), 1);
    assert_string_equal(rig_node(&rig, FRONT_STATE), "6");
    assert_string_equal(rig_node(&rig, BACK_STATE), "4"); /* the dead write nothing */
    assert_int_equal(front_stats(rig.front).lost_backends, 1);
    assert_int_equal(hcd->ops->submit(hcd, &urb[0]), -ESHUTDOWN);
    struct fakexen_balance left = fakexen_local_balance(rig.local);
    assert_int_equal(left.grants + left.ports + left.maps, 0);

    /* As Linux, it does not come back (rule BUS-17) until asked. */
    rig_start_back(&rig);
    rig_advance(&rig, UINT64_C(60000000000));
    assert_int_equal(front_state(rig.front), XenbusStateClosed);
    assert_string_equal(rig_node(&rig, BACK_STATE), "6");
    assert_int_equal(front_reconnect(rig.front), 0);
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateConnected);
    assert_int_equal(back_state(rig.back), XenbusStateConnected);
    hcd->ops->buffer_free(hcd, buffer, 4096);
    rig_dispose(&rig);
}

/* What was answered before the death counts: the guest gets its data, not an error. */
static void test_death_answers_before_count(void **state)
{
    struct rig rig;
    struct hcd_urb urb[2];
    uint8_t *buffer;
    (void)state;
    start(&rig, true);
    struct hcd *hcd = front_hcd(rig.front);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, 4096, (void **)&buffer), 0);
    submit_bulk(&rig, &urb[0], buffer);
    submit_bulk(&rig, &urb[1], buffer + 64);
    rig_run(&rig);
    scripted_host_complete(&rig.host, 0, 0, "abcd", 4);
    back_step(rig.back, rig.now_ns);
    kill_back(&rig);
    rig_run(&rig);
    assert_int_equal(nr_done, 2);
    assert_int_equal(urb[0].status, 0);
    assert_int_equal(urb[0].actual, 4);
    assert_memory_equal(buffer, "abcd", 4);
    assert_int_equal(urb[1].status, -ESHUTDOWN);
    hcd->ops->buffer_free(hcd, buffer, 4096);
    rig_dispose(&rig);
}

/* While the frontend closes, a backend that dies is not waited for. */
static void test_death_while_closing(void **state)
{
    struct rig rig;
    (void)state;
    start(&rig, true);
    front_close(rig.front);
    front_step(rig.front, rig.now_ns);
    assert_int_equal(front_state(rig.front), XenbusStateClosing);
    kill_back(&rig);
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateClosed);
    assert_int_equal(front_stats(rig.front).lost_backends, 0);
    rig_start_back(&rig);
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateClosed); /* front_close() means it */
    rig_dispose(&rig);
}

/* Rule BUS-11: whom the toolstack removes does not come again by itself; added again it does. */
static void test_death_removal_is_none(void **state)
{
    struct rig rig;
    (void)state;
    start(&rig, true);
    assert_int_equal(vusb_close(rig.dom0, &rig.controller), 0);
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateClosed);
    assert_string_equal(rig_node(&rig, BACK_STATE), "6");
    assert_int_equal(lines(&rig, "gone"), 0);
    assert_int_equal(front_stats(rig.front).lost_backends, 0);
    assert_int_equal(back_stats(rig.back).lost_frontends, 0);
    rig_set_node(&rig, ONLINE, "1");
    rig_set_node(&rig, BACK_STATE, "6"); /* anything that wakes it */
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateConnected);
    rig_dispose(&rig);
}

/* A frontend that begins between the death of a backend that was closing and the next one. */
static void test_death_of_a_closing_backend(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 2, 2);
    rig_set_node(&rig, BACK_STATE, "5");
    rig_start_front(&rig);
    front_set_reconnect(rig.front, true);
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateClosed);
    rig_start_back(&rig);
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateConnected);
    assert_int_equal(back_state(rig.back), XenbusStateConnected);
    rig_dispose(&rig);
}

/* frontend.h: a violation is no death; who violates gets no second chance. */
static void test_death_violation_is_none(void **state)
{
    struct rig rig;
    (void)state;
    start(&rig, true);
    struct xen *xen = back_xen(rig.back);
    const char *ref = rig_node(&rig, "/local/domain/1/device/vusb/0/urb-ring-ref");
    grant_ref_t number = (grant_ref_t)strtoul(ref, NULL, 10);
    void *page;
    assert_int_equal(xen->ops->grant_map(xen, 1, 1, &number, true, &page), 0);
    struct usbif_urb_sring *ring = page;
    ring->rsp_prod += 1000;
    kill_back(&rig); /* which makes the frontend look */
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateClosed);
    assert_int_not_equal(front_verdict(rig.front), PVUSB_OK);
    rig_start_back(&rig);
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateClosed);
    rig_dispose(&rig);
}

/* ---- the frontend dies ---- */

/* backend.h: one line, everything cancelled and unmapped, Closing; then whatever the fresh one walks. */
static void test_death_backend_lets_go(void **state)
{
    struct rig rig;
    struct hcd_urb urb[3];
    uint8_t *buffer;
    (void)state;
    start(&rig, true);
    struct hcd *hcd = front_hcd(rig.front);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, 4096, (void **)&buffer), 0);
    for (unsigned int i = 0; i < 3; i++)
        submit_bulk(&rig, &urb[i], buffer);
    rig_run(&rig);
    assert_int_equal(rig.host.nr_held, 3);
    kill_front(&rig);
    rig_run(&rig);
    assert_int_equal(rig.host.nr_held, 0);
    assert_int_equal(lines(&rig, "qusb-1-0: the frontend is gone without closing"), 1);
    assert_int_equal(back_stats(rig.back).lost_frontends, 1);
    assert_string_equal(rig_node(&rig, BACK_STATE), "5");
    assert_string_equal(rig_node(&rig, FRONT_STATE), "4");
    struct fakexen_balance left = fakexen_local_balance(rig.local);
    assert_int_equal(left.grants + left.ports + left.maps + left.pages, 0);
    rig_start_front(&rig);
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateConnected);
    assert_int_equal(back_state(rig.back), XenbusStateConnected);
    assert_int_equal(lines(&rig, "without closing"), 1);
    rig_dispose(&rig);
}

/* A domain that is destroyed takes its directory along: Closed at once. */
static void test_death_of_the_domain(void **state)
{
    struct rig rig;
    (void)state;
    start(&rig, true);
    assert_int_equal(rig.machine->ops->domain_destroy(rig.machine, 1), 0);
    front_destroy(rig.front);
    rig.front = NULL;
    rig_run(&rig);
    assert_int_equal(lines(&rig, "qusb-1-0: the guest is gone without closing"), 1);
    assert_int_equal(back_stats(rig.back).lost_frontends, 1);
    assert_string_equal(rig_node(&rig, BACK_STATE), "6");
    assert_int_equal(fakexen_local_balance(rig.local).ports, 0);
    rig_dispose(&rig);
}

/*
 * As on a Xen that raises no event (fakexen.h 11), and whose toolstack has not removed the nodes yet: @releaseDomain
 * makes the backend ask for its channel. Here any domain's end will do.
 */
static int silent_pending(struct xen *xen, evtchn_port_t *out)
{
    (void)xen;
    (void)out;
    return -EAGAIN;
}

static void test_death_without_an_event(void **state)
{
    struct rig rig;
    (void)state;
    start(&rig, true);
    struct xen *xen = back_xen(rig.back);
    const struct xen_ops *real = xen->ops;
    struct xen_ops silent = *real;
    silent.evtchn_pending = silent_pending;
    xen->ops = &silent;
    kill_front(&rig);
    back_step(rig.back, rig.now_ns);
    assert_int_equal(back_state(rig.back), XenbusStateConnected);
    assert_int_equal(rig.machine->ops->domain_create(rig.machine, 9), 0);
    assert_int_equal(rig.machine->ops->domain_destroy(rig.machine, 9), 0);
    back_step(rig.back, rig.now_ns);
    assert_int_equal(back_state(rig.back), XenbusStateClosing);
    assert_int_equal(fakexen_local_balance(rig.local).maps, 0);
    xen->ops = real;
    rig_dispose(&rig);
}

/* backend.h quiet: deaths are said, the rest is not. */
static void keep_line(void *context, const char *line)
{
    strcat(strcat(context, line), "\n");
}

static void test_death_is_said_even_when_quiet(void **state)
{
    struct rig rig;
    char said[1024] = "";
    struct xen *xen;
    (void)state;
    rig_init(&rig, 2, 2);
    rig_start_front(&rig);
    struct back_config config = {.kind = "qusb", .frontend = 1, .host = &rig.host.host, .log = keep_line,
                                 .log_context = said, .quiet = true};
    assert_int_equal(rig.machine->ops->open(rig.machine, 0, &xen), 0);
    assert_int_equal(back_create(xen, &config, &rig.back), 0);
    rig_run(&rig);
    assert_int_equal(back_state(rig.back), XenbusStateConnected);
    kill_front(&rig);
    rig_run(&rig);
    assert_string_equal(said, "qusb-1-0: the frontend is gone without closing\n");
    rig_dispose(&rig);
}

/* ---- orderly ends that look like a death ---- */

static struct {
    struct rig *rig;
    const struct xen_ops *real;
    struct xen_ops ops;
    void (*meanwhile)(struct rig *rig);
} between;

/* Between a step's look at xenstore and its look at the channel. */
static int pending_later(struct xen *xen, evtchn_port_t *out)
{
    void (*meanwhile)(struct rig *rig) = between.meanwhile;
    between.meanwhile = NULL;
    if (meanwhile)
        meanwhile(between.rig);
    return between.real->evtchn_pending(xen, out);
}

static void do_between(struct rig *rig, struct xen *xen, void (*meanwhile)(struct rig *rig))
{
    between.rig = rig;
    between.real = xen->ops;
    between.ops = *xen->ops;
    between.ops.evtchn_pending = pending_later;
    between.meanwhile = meanwhile;
    xen->ops = &between.ops;
}

static void backend_closes(struct rig *rig)
{
    assert_int_equal(vusb_close(rig->dom0, &rig->controller), 0);
    back_step(rig->back, rig->now_ns);
    assert_int_equal(fakexen_local_balance(rig->local).ports, 1);
}

static void frontend_closes(struct rig *rig)
{
    front_destroy(rig->front);
    rig->front = NULL;
    assert_int_equal(fakexen_local_balance(rig->local).ports, 1);
}

/* The channel's end is seen first, the state that was written before it has to be looked for. */
static void test_death_order_is_none(void **state)
{
    struct rig rig;
    (void)state;
    start(&rig, true);
    do_between(&rig, front_xen(rig.front), backend_closes);
    front_step(rig.front, rig.now_ns);
    front_xen(rig.front)->ops = between.real;
    rig_run(&rig);
    assert_int_equal(front_state(rig.front), XenbusStateClosed);
    assert_int_equal(lines(&rig, "without closing"), 0);
    assert_int_equal(front_stats(rig.front).lost_backends, 0);
    rig_dispose(&rig);

    start(&rig, true);
    do_between(&rig, back_xen(rig.back), frontend_closes);
    back_step(rig.back, rig.now_ns);
    back_xen(rig.back)->ops = between.real;
    assert_int_equal(back_state(rig.back), XenbusStateClosed); /* front_destroy() waits for nobody */
    rig_run(&rig);
    assert_int_equal(lines(&rig, "without closing"), 0);
    assert_int_equal(back_stats(rig.back).lost_frontends, 0);
    rig_dispose(&rig);
}

static int write_later(struct xen *xen, xen_transaction t, const char *path, const char *value, size_t length)
{
    front_step(between.rig->front, between.rig->now_ns);
    return between.real->xs_write(xen, t, path, value, length);
}

/* backend.h: a backend that gives up on its frontend writes its state before the channel closes. */
static void test_death_state_comes_first(void **state)
{
    struct rig rig;
    void *page;
    (void)state;
    start(&rig, true);
    grant_ref_t ref = (grant_ref_t)strtoul(rig_node(&rig, "/local/domain/1/device/vusb/0/urb-ring-ref"), NULL, 10);
    assert_int_equal(rig.dom0->ops->grant_map(rig.dom0, 1, 1, &ref, true, &page), 0);
    ((struct usbif_urb_sring *)page)->req_prod += 1000;
    assert_int_equal(rig.dom0->ops->grant_unmap(rig.dom0, page, 1), 0);
    const char *port = rig_node(&rig, "/local/domain/1/device/vusb/0/event-channel");
    struct xen *xen = front_xen(rig.front);
    assert_int_equal(xen->ops->evtchn_notify(xen, (evtchn_port_t)strtoul(port, NULL, 10)), 0);
    between.rig = &rig;
    between.real = back_xen(rig.back)->ops;
    between.ops = *between.real;
    between.ops.xs_write = write_later;
    back_xen(rig.back)->ops = &between.ops;
    back_step(rig.back, rig.now_ns);
    back_xen(rig.back)->ops = between.real;
    assert_int_equal(back_state(rig.back), XenbusStateClosing);
    rig_run(&rig);
    assert_int_equal(lines(&rig, "without closing"), 0);
    assert_int_equal(front_stats(rig.front).lost_backends, 0);
    rig_dispose(&rig);
}

/* ---- both die ---- */

/* Whoever is there first, and whoever dies first: the two fresh ones find each other. */
static void test_death_of_both(void **state)
{
    (void)state;
    for (unsigned int order = 0; order < 8; order++) {
        struct rig rig;
        start(&rig, true);
        if (order & 1)
            kill_back(&rig);
        kill_front(&rig);
        if (order & 4 && !(order & 1)) /* it notices before it dies itself */
            rig_run(&rig);
        if (!(order & 1))
            kill_back(&rig);
        rig.back_rc = 0;
        if (order & 2) {
            rig_start_front(&rig);
            rig_run(&rig);
            rig_start_back(&rig);
        } else {
            rig_start_back(&rig);
            rig_run(&rig);
            rig_start_front(&rig);
        }
        front_set_reconnect(rig.front, true);
        rig_run(&rig); /* without any time: nobody waits for a bound */
        assert_int_equal(front_state(rig.front), XenbusStateConnected);
        assert_int_equal(back_state(rig.back), XenbusStateConnected);
        rig_dispose(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_death_urbs_return),
        cmocka_unit_test(test_death_answers_before_count),
        cmocka_unit_test(test_death_while_closing),
        cmocka_unit_test(test_death_removal_is_none),
        cmocka_unit_test(test_death_of_a_closing_backend),
        cmocka_unit_test(test_death_violation_is_none),
        cmocka_unit_test(test_death_backend_lets_go),
        cmocka_unit_test(test_death_of_the_domain),
        cmocka_unit_test(test_death_without_an_event),
        cmocka_unit_test(test_death_is_said_even_when_quiet),
        cmocka_unit_test(test_death_order_is_none),
        cmocka_unit_test(test_death_state_comes_first),
        cmocka_unit_test(test_death_of_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
