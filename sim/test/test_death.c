// SPDX-License-Identifier: MIT
/*
 * Goal: whichever half dies, at whichever of its calls to Xen, the other one notices without any time going by, gives
 * back what it holds, and connects to a fresh one, in whatever order things are found out.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dying.h"
#include "rig.h"

#define URBS         6u
#define BUFFER_BYTES 32768u

enum victim { BACKEND, FRONTEND, GUEST_DOMAIN };

/* What happens between the death and the fresh half's first step. */
enum order { NOTICED_FIRST, FRESH_FIRST, SURVIVOR_ONE_STEP, ORDERS };

struct session {
    struct rig rig;
    enum victim victim;
    bool dead;
    uint8_t *buffer;
    struct hcd_urb urb[URBS];
    bool submitted[URBS];
    unsigned int done[URBS];
    bool plugged;
    bool closed_by_user;
};

static void completed(struct hcd_urb *urb)
{
    struct session *s = urb->context;
    s->done[urb - s->urb]++;
}

/* ---- stepping until somebody dies ---- */

static void bury(struct session *s)
{
    s->dead = true;
    if (s->victim == BACKEND) {
        back_destroy(s->rig.back);
        s->rig.back = NULL;
    } else {
        front_destroy(s->rig.front);
        s->rig.front = NULL;
    }
}

static bool alive(struct session *s)
{
    if (!s->dead && dying_dead())
        bury(s);
    return !s->dead;
}

static void run_living(struct session *s)
{
    unsigned int rounds = 0;
    while (alive(s) && (rounds < 2 || fakexen_local_pending(s->rig.local))) {
        back_step(s->rig.back, s->rig.now_ns);
        if (alive(s))
            front_step(s->rig.front, s->rig.now_ns);
        assert_true(++rounds < 1000);
    }
}

/* ---- the session ---- */

static void power_port(struct session *s)
{
    struct hcd *hcd = front_hcd(s->rig.front);
    const uint8_t setup[8] = {0x23, 3, 8, 0, 1, 0, 0, 0};
    (void)hcd->ops->hub_control(hcd, setup, NULL, 0, s->rig.now_ns);
}

static void submit(struct session *s, unsigned int i, uint8_t type, bool in, uint32_t length)
{
    struct hcd *hcd = front_hcd(s->rig.front);
    s->urb[i] = (struct hcd_urb){.port = 1, .device = type == USBIF_PIPE_TYPE_CTRL ? 0 : 7, .endpoint = 1,
                                 .type = type, .in = in, .length = length, .buffer = s->buffer + i * 4096,
                                 .complete = completed, .context = s};
    if (type == USBIF_PIPE_TYPE_CTRL) {
        const uint8_t get[8] = {0x80, 6, 0, 1, 0, 0, (uint8_t)length, 0};
        const uint8_t address[8] = {0, 5, 7, 0, 0, 0, 0, 0};
        memcpy(s->urb[i].setup, in ? get : address, 8);
        s->urb[i].endpoint = 0;
    }
    s->done[i] = 0;
    s->submitted[i] = hcd->ops->submit(hcd, &s->urb[i]) == 0;
}

static void complete_at_host(struct session *s)
{
    if (s->rig.host.nr_held > 0)
        scripted_host_complete(&s->rig.host, 0, 0, "abcd", 4);
}

static void plug(struct session *s)
{
    if (!s->plugged) {
        scripted_host_plug(&s->rig.host, "1-1", USBIF_SPEED_HIGH);
        assert_int_equal(vusb_set_port(s->rig.dom0, &s->rig.controller, 1, "1-1"), 0);
    }
    s->plugged = true;
}

static void begin_transfers(struct session *s)
{
    power_port(s);
    submit(s, 0, USBIF_PIPE_TYPE_CTRL, true, 18);
}

static void set_address(struct session *s)
{
    submit(s, 1, USBIF_PIPE_TYPE_CTRL, false, 0);
}

static void bulk_transfers(struct session *s)
{
    submit(s, 2, USBIF_PIPE_TYPE_BULK, true, 8192);
    submit(s, 3, USBIF_PIPE_TYPE_BULK, true, 4096);
    submit(s, 4, USBIF_PIPE_TYPE_BULK, false, 100);
}

static void unlink_one(struct session *s)
{
    struct hcd *hcd = front_hcd(s->rig.front);
    (void)hcd->ops->unlink(hcd, &s->urb[3], -ECONNRESET);
}

static void unplug(struct session *s)
{
    scripted_host_unplug(&s->rig.host, "1-1");
    s->plugged = false;
}

static void close_it(struct session *s)
{
    submit(s, 5, USBIF_PIPE_TYPE_CTRL, true, 18);
    s->closed_by_user = true;
    front_close(s->rig.front);
}

static void again(struct session *s)
{
    if (front_reconnect(s->rig.front) == 0)
        s->closed_by_user = false;
}

static void nothing(struct session *s)
{
    (void)s;
}

/* With a pause after each in which everybody does all they can, or dies. */
static void (*const chapters[])(struct session *) = {
    nothing, plug, begin_transfers, complete_at_host, set_address, bulk_transfers, complete_at_host, unlink_one,
    unplug, plug, begin_transfers, close_it, again, begin_transfers, complete_at_host,
};

static void die(void *context, struct xen *xen)
{
    struct session *s = context;
    if (s->victim == GUEST_DOMAIN)
        assert_int_equal(s->rig.machine->ops->domain_destroy(s->rig.machine, 1), 0);
    else
        fakexen_local_kill(xen);
}

static void start_front(struct session *s)
{
    rig_start_front(&s->rig);
    front_set_reconnect(s->rig.front, true);
}

/* Plays the session until the victim's n-th call. False when it came to its end before. */
static bool play(struct session *s, enum victim victim, unsigned int n)
{
    memset(s, 0, sizeof(*s));
    s->victim = victim;
    rig_init(&s->rig, 2, 2);
    start_front(s);
    rig_start_back(&s->rig);
    struct hcd *hcd = front_hcd(s->rig.front);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, BUFFER_BYTES, (void **)&s->buffer), 0);
    dying_begin(victim == BACKEND ? back_xen(s->rig.back) : front_xen(s->rig.front), n, die, s);
    for (size_t i = 0; i < sizeof(chapters) / sizeof(chapters[0]) && !s->dead; i++) {
        chapters[i](s);
        run_living(s);
    }
    dying_spare();
    return s->dead;
}

/* ---- what must be ---- */

/* All that is left is the survivor; time stands still. */
static void expect_noticed(struct session *s)
{
    rig_run(&s->rig);
    struct fakexen_balance balance = fakexen_local_balance(s->rig.local);
    assert_int_equal(balance.maps, 0);
    assert_int_equal(balance.transactions, 0);
    assert_int_equal(s->rig.host.nr_held, 0);
    if (s->victim == BACKEND) {
        for (unsigned int i = 0; i < URBS; i++)
            assert_int_equal(s->done[i], s->submitted[i]);
        assert_int_not_equal(front_state(s->rig.front), XenbusStateClosing);
        /* Connected: with rings that nobody has seen yet. */
        bool waiting = front_state(s->rig.front) == XenbusStateConnected;
        assert_int_equal(balance.ports, waiting);
        assert_int_equal(balance.grants, waiting ? 9 : 0);
        return;
    }
    assert_int_not_equal(back_state(s->rig.back), XenbusStateConnected);
    assert_int_equal(balance.ports, 0);
    assert_int_equal(balance.grants, 0);
    assert_int_equal(balance.pages, 0);
}

static void start_fresh(struct session *s)
{
    if (s->victim == BACKEND) {
        rig_start_back(&s->rig);
        return;
    }
    if (s->victim == GUEST_DOMAIN) { /* as the toolstack does */
        assert_int_equal(s->rig.machine->ops->domain_create(s->rig.machine, 1), 0);
        assert_int_equal(vusb_remove(s->rig.dom0, &s->rig.controller), -ENOENT); /* one half went by itself */
        assert_int_equal(back_step(s->rig.back, s->rig.now_ns), -ENOENT);
        back_destroy(s->rig.back);
        assert_int_equal(vusb_create(s->rig.dom0, &s->rig.controller), 0);
        s->rig.back_rc = 0;
        if (s->plugged)
            assert_int_equal(vusb_set_port(s->rig.dom0, &s->rig.controller, 1, "1-1"), 0);
        rig_start_back(&s->rig);
    }
    memset(s->done, 0, sizeof(s->done));
    memset(s->submitted, 0, sizeof(s->submitted));
    start_front(s);
    struct hcd *hcd = front_hcd(s->rig.front);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, BUFFER_BYTES, (void **)&s->buffer), 0);
}

static void expect_working(struct session *s)
{
    assert_int_equal(front_state(s->rig.front), XenbusStateConnected);
    assert_int_equal(back_state(s->rig.back), XenbusStateConnected);
    assert_int_equal(front_verdict(s->rig.front), PVUSB_OK);
    assert_int_equal(back_verdict(s->rig.back), PVUSB_OK);
    for (unsigned int i = 0; i < URBS; i++)
        assert_int_equal(s->done[i], s->submitted[i]);
    plug(s);
    rig_run(&s->rig);
    power_port(s);
    submit(s, 0, USBIF_PIPE_TYPE_CTRL, true, 18);
    rig_run(&s->rig);
    assert_int_equal(s->rig.host.nr_held, 1);
    complete_at_host(s);
    rig_run(&s->rig);
    assert_int_equal(s->done[0], 1);
    assert_int_equal(s->urb[0].status, 0);
    assert_memory_equal(s->buffer, "abcd", 4);
    struct fakexen_balance balance = fakexen_local_balance(s->rig.local);
    assert_int_equal(balance.ports, 2);
    assert_int_equal(balance.maps, 10); /* nine of the rings, and the page of that transfer, which both sides keep */
    assert_int_equal(balance.grants, 10);
}

static void end_session(struct session *s)
{
    struct hcd *hcd = front_hcd(s->rig.front);
    hcd->ops->buffer_free(hcd, s->buffer, BUFFER_BYTES);
    rig_dispose(&s->rig);
}

static void recover(struct session *s, enum order order)
{
    if (order == NOTICED_FIRST)
        expect_noticed(s);
    if (order == SURVIVOR_ONE_STEP && s->victim == BACKEND)
        front_step(s->rig.front, s->rig.now_ns);
    else if (order == SURVIVOR_ONE_STEP)
        back_step(s->rig.back, s->rig.now_ns);
    start_fresh(s);
    if (order == FRESH_FIRST && s->victim == BACKEND)
        back_step(s->rig.back, s->rig.now_ns);
    else if (order == FRESH_FIRST)
        front_step(s->rig.front, s->rig.now_ns);
    rig_run(&s->rig);
    if (s->closed_by_user && s->victim == BACKEND) {
        assert_int_equal(front_reconnect(s->rig.front), 0);
        rig_run(&s->rig);
    }
    expect_working(s);
    end_session(s);
}

static struct session session;
static unsigned int point; /* 0 when all went well */

/* Says where a test failed. */
static int tell_point(void **state)
{
    (void)state;
    if (point > 0)
        print_message("at call %u\n%s", point, session.rig.log);
    point = 0;
    return 0;
}

static void every_point(enum victim victim)
{
    for (enum order order = 0; order < ORDERS; order++) {
        for (point = 1; play(&session, victim, point); point++)
            recover(&session, order);
        assert_true(point > 100); /* the session came to its end */
        expect_working(&session);
        end_session(&session);
        print_message("order %u: %u calls\n", order, point - 1);
    }
    point = 0;
}

static void test_death_of_the_backend(void **state)
{
    (void)state;
    every_point(BACKEND);
}

static void test_death_of_the_frontend(void **state)
{
    (void)state;
    every_point(FRONTEND);
}

static void test_death_of_the_guest(void **state)
{
    (void)state;
    every_point(GUEST_DOMAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_death_of_the_backend, NULL, tell_point),
        cmocka_unit_test_setup_teardown(test_death_of_the_frontend, NULL, tell_point),
        cmocka_unit_test_setup_teardown(test_death_of_the_guest, NULL, tell_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
