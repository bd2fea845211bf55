// SPDX-License-Identifier: MIT
/*
 * Goal: however a connection ends, every URB returns once, pages stay safe, time is bounded; then a new one
 * begins.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "front_rig.h"

#define FRONT_STATE "/local/domain/1/device/vusb/0/state"
#define BACK_DIR    "/local/domain/0/backend/qusb/1/0"
#define SECOND      UINT64_C(1000000000)

static void remove_node(struct frig *frig, const char *path)
{
    assert_int_equal(frig->rig.dom0->ops->xs_rm(frig->rig.dom0, XEN_XBT_NIL, path), 0);
}

static unsigned int count_text(const char *text, const char *what)
{
    unsigned int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

/* Two on the ring, one waiting behind it. */
struct flight {
    struct hcd_urb in;
    struct hcd_urb out;
    struct hcd_urb control[15];
};

static void take_off(struct frig *frig, struct flight *flight)
{
    flight->in = frig_data(frig, USBIF_PIPE_TYPE_BULK, 1, true, frig->buffer, 5000);
    flight->out = frig_data(frig, USBIF_PIPE_TYPE_BULK, 2, false, frig->buffer + 8192, 100);
    assert_int_equal(frig_submit(frig, &flight->in), 0);
    assert_int_equal(frig_submit(frig, &flight->out), 0);
    for (unsigned int i = 0; i < 15; i++) {
        flight->control[i] =
            frig_control(frig, (const uint8_t[8]){0x80, 6, 0, 1, 0, 0, 8, 0}, frig->buffer + 16384);
        assert_int_equal(frig_submit(frig, &flight->control[i]), 0);
    }
    frig_run(frig);
}

static void expect_landed(struct frig *frig, struct flight *flight, int status)
{
    assert_int_equal(frig->nr_done, 17);
    assert_int_equal(frig_count_done(frig, &flight->in), 1);
    assert_int_equal(frig_count_done(frig, &flight->out), 1);
    assert_int_equal(flight->in.status, status);
    assert_int_equal(flight->out.status, status);
    for (unsigned int i = 0; i < 15; i++) {
        assert_int_equal(frig_count_done(frig, &flight->control[i]), 1);
        assert_int_equal(flight->control[i].status, status);
    }
}

/* Rules BUS-12, BUS-18, BUS-19, BUS-22: every way in which a backend goes, with URBs in flight. */
static void test_front_close_backend_goes(void **state)
{
    enum way { CLOSING, CLOSING_TWICE, CLOSED, VANISHED, STATE_REMOVED, NONSENSE, WAYS };
    (void)state;
    for (enum way way = CLOSING; way < WAYS; way++) {
        struct frig frig;
        struct flight flight;
        frig_start(&frig, 2, 4);
        take_off(&frig, &flight);
        raw_back_unmap(&frig.back);
        switch (way) {
        case CLOSING:
        case CLOSING_TWICE:
            raw_back_state(&frig.back, XenbusStateClosing);
            if (way == CLOSING_TWICE)
                frig_run(&frig);
            if (way == CLOSING_TWICE)
                raw_back_state(&frig.back, XenbusStateClosing);
            break;
        case CLOSED:
            raw_back_state(&frig.back, XenbusStateClosed);
            break;
        case VANISHED:
            remove_node(&frig, BACK_DIR);
            break;
        case STATE_REMOVED:
            remove_node(&frig, BACK_DIR "/state");
            break;
        case NONSENSE:
        case WAYS:
            rig_set_node(&frig.rig, BACK_DIR "/state", "connected");
            break;
        }
        frig_run(&frig);
        assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosed);
        expect_landed(&frig, &flight, -ESHUTDOWN);
        assert_int_equal(frig_submit(&frig, &flight.in), -ESHUTDOWN);
        assert_int_equal(count_text(frig.rig.log, "-> Closing"), 1);
        assert_int_equal(count_text(frig.rig.log, "-> Closed"), 1);
        assert_int_equal(front_deadline(frig.rig.front), UINT64_MAX);
        frig_dispose(&frig);
    }
}

/* Rules BUS-13, BUS-22, STA-08: an orderly close waits for the backend, which answers late. */
static void test_front_close_late_answer(void **state)
{
    struct frig frig;
    struct flight flight;
    (void)state;
    frig_start(&frig, 2, 4);
    take_off(&frig, &flight);
    struct usbif_urb_request first = frig_take(&frig);
    front_close(frig.rig.front);
    frig_run(&frig);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosing);
    assert_int_equal(frig.nr_done, 2); /* those that never were on the ring */
    frig_advance(&frig, 3 * SECOND);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosing);
    frig_answer(&frig, first.id, 0, 5000);
    assert_int_equal(frig_count_done(&frig, &flight.in), 1);
    assert_int_equal(flight.in.status, -ESHUTDOWN);
    frig_advance(&frig, SECOND);
    assert_int_equal(frig.nr_done, 3);
    raw_back_state(&frig.back, XenbusStateClosing); /* unmaps after that */
    frig_run(&frig);
    expect_landed(&frig, &flight, -ESHUTDOWN);
    assert_int_equal(raw_back_frontend_state(&frig.back),
                     XenbusStateClosing); /* the rings are still mapped */
    raw_back_unmap(&frig.back);
    raw_back_state(&frig.back, XenbusStateClosed);
    frig_run(&frig);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosed);
    frig_dispose(&frig);
}

/* What is mapped when the backend stops caring: the rings, one data page, the page of descriptors. */
struct hostage {
    struct hcd_urb data;
    struct hcd_urb iso;
    struct pvusb_iso_desc packet;
    uint8_t *pages[2];
};

static void take_hostages(struct frig *frig, struct hostage *h)
{
    h->data = frig_data(frig, USBIF_PIPE_TYPE_BULK, 1, true, frig->buffer, 64);
    h->packet = (struct pvusb_iso_desc){.length = 100};
    h->iso = frig_data(frig, USBIF_PIPE_TYPE_ISOC, 2, true, frig->buffer + RAW_PAGE, 100);
    h->iso.packets = &h->packet;
    h->iso.nr_packets = 1;
    assert_int_equal(frig_submit(frig, &h->data), 0);
    assert_int_equal(frig_submit(frig, &h->iso), 0);
    for (unsigned int i = 0; i < 2; i++) {
        struct usbif_urb_request request = frig_take(frig);
        assert_int_equal(raw_back_map_segments(&frig->back, &request, i, 1, true, &h->pages[i]), 0);
    }
}

/*
 * Rules BUS-19, LIF-03, SEC-09: bounded by 5 s; what is mapped is not used again before the backend lets go.
 */
static void test_front_close_never_unmaps(void **state)
{
    struct frig frig;
    struct hostage h;
    void *again;
    (void)state;
    frig_start(&frig, 2, 4);
    take_hostages(&frig, &h);
    front_close(frig.rig.front);
    frig_run(&frig);
    assert_int_equal(front_deadline(frig.rig.front), 5 * SECOND);
    frig_advance(&frig, 5 * SECOND - 1);
    assert_int_equal(frig.nr_done, 0);
    frig_advance(&frig, 1);
    assert_int_equal(frig.nr_done, 2);
    assert_int_equal(h.data.status, -ESHUTDOWN);
    assert_int_equal(h.iso.status, -ESHUTDOWN);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosed);
    assert_int_equal(count_text(frig.rig.log, "still mapped"), 4);

    frig.hcd->ops->buffer_free(frig.hcd, frig.buffer, FRIG_BUFFER);
    frig.buffer = NULL;
    /* Both rings, 16 pages of descriptors, the buffer: all kept, so new memory lies elsewhere. */
    assert_int_equal(fakexen_local_balance(frig.rig.local).pages, 2 + 16 + 64);
    assert_int_equal(frig.hcd->ops->buffer_alloc(frig.hcd, RAW_PAGE, &again), 0);
    memset(again, 0x5a, RAW_PAGE);
    assert_int_not_equal(h.pages[0][0], 0x5a);
    assert_int_not_equal(h.pages[1][0], 0x5a);
    frig.hcd->ops->buffer_free(frig.hcd, again, RAW_PAGE);

    raw_back_unmap_segments(&frig.back, h.pages[0], 1);
    frig_run(&frig);
    assert_int_equal(fakexen_local_balance(frig.rig.local).pages, 2 + 16);
    raw_back_unmap_segments(&frig.back, h.pages[1], 1);
    frig_run(&frig);
    assert_int_equal(fakexen_local_balance(frig.rig.local).pages, 2);
    raw_back_unmap(&frig.back);
    frig_run(&frig);
    assert_int_equal(fakexen_local_balance(frig.rig.local).pages, 0);
    frig_dispose(&frig);
}

/* Rule SEC-09: a second connection while the first one's pages are still held. */
static void test_front_close_reconnect_while_held(void **state)
{
    struct frig frig;
    struct hostage h;
    (void)state;
    frig_start(&frig, 2, 4);
    take_hostages(&frig, &h);
    front_close(frig.rig.front);
    frig_run(&frig);
    frig_advance(&frig, 5 * SECOND);
    raw_back_unmap(&frig.back);
    raw_back_state(&frig.back, XenbusStateClosed);
    assert_int_equal(front_reconnect(frig.rig.front), 0);
    frig_run(&frig);
    frig_connect(&frig);
    struct hcd_urb urb = frig_data(&frig, USBIF_PIPE_TYPE_BULK, 1, true, frig.buffer, 64);
    assert_int_equal(frig_submit(&frig, &urb), 0);
    frig_answer(&frig, frig_take(&frig).id, 0, 0);
    assert_int_equal(urb.status, 0);
    frig.hcd->ops->buffer_free(frig.hcd, frig.buffer, FRIG_BUFFER); /* kept, but not for use */
    assert_int_equal(frig_submit(&frig, &urb), -EFAULT);
    frig.buffer = NULL;
    for (unsigned int i = 0; i < 2; i++)
        raw_back_unmap_segments(&frig.back, h.pages[i], 1);
    frig_dispose(&frig);
}

/*
 * Rules BUS-12, SEG-11: a backend that closes before it unmaps: each URB returns when its own pages are free.
 */
static void test_front_close_unmaps_slowly(void **state)
{
    struct frig frig;
    struct hostage h;
    (void)state;
    frig_start(&frig, 2, 4);
    take_hostages(&frig, &h);
    raw_back_state(&frig.back, XenbusStateClosing);
    frig_run(&frig);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosing);
    assert_int_equal(frig.nr_done, 0);
    raw_back_unmap_segments(&frig.back, h.pages[1], 1);
    frig_run(&frig);
    assert_int_equal(frig.nr_done, 1);
    assert_ptr_equal(frig.done[0], &h.iso);
    raw_back_unmap_segments(&frig.back, h.pages[0], 1);
    frig_run(&frig);
    assert_int_equal(frig.nr_done, 2);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosing);
    raw_back_unmap(&frig.back);
    /* Of which no event tells: it looks by itself. */
    assert_int_equal(front_deadline(frig.rig.front), SECOND / 100);
    frig_advance(&frig, SECOND / 100);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosed);
    frig_dispose(&frig);
}

/* The clock of a close starts with it, not with the step before. */
static void test_front_close_after_idling(void **state)
{
    struct frig frig;
    struct flight flight;
    (void)state;
    frig_start(&frig, 2, 4);
    take_off(&frig, &flight);
    frig.rig.now_ns += 3600 * SECOND; /* nothing happened, nobody stepped */
    front_close(frig.rig.front);
    assert_true(front_deadline(frig.rig.front) <= frig.rig.now_ns);
    frig_run(&frig);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosing);
    assert_int_equal(front_deadline(frig.rig.front), frig.rig.now_ns + 5 * SECOND);
    frig_advance(&frig, 4 * SECOND);
    assert_int_equal(frig.nr_done, 2);
    frig_dispose(&frig);
}

/* Rules BUS-14, BUS-15, BUS-17. */
static void test_front_close_reconnect(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    for (unsigned int round = 0; round < 3; round++) {
        struct flight flight;
        uint32_t old = frig.back.urb_ref[0];
        take_off(&frig, &flight);
        frig_answer(&frig, frig_take(&frig).id, 0, 0);
        assert_int_equal(front_reconnect(frig.rig.front), -EBUSY);
        front_close(frig.rig.front);
        frig_run(&frig);
        assert_int_equal(front_reconnect(frig.rig.front), -EBUSY);
        raw_back_unmap(&frig.back);
        raw_back_state(&frig.back, XenbusStateClosing);
        frig_run(&frig);
        assert_int_equal(front_state(frig.rig.front), XenbusStateClosed);
        raw_back_state(&frig.back, XenbusStateInitWait);
        frig_run(&frig);
        assert_int_equal(front_state(frig.rig.front), XenbusStateClosed); /* never by itself */
        raw_back_state(&frig.back, XenbusStateClosing);
        assert_int_equal(front_reconnect(frig.rig.front), 0);
        frig_run(&frig);
        assert_int_equal(front_state(frig.rig.front), XenbusStateClosed); /* the backend is not through yet */
        raw_back_state(&frig.back, XenbusStateClosed);
        frig_run(&frig);
        assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateInitialising);
        frig_connect(&frig);
        assert_int_not_equal(frig.back.urb_ref[0], old);
        frig.nr_done = 0;
    }
    frig_dispose(&frig);
}

/* Rule BUS-14: asked to begin again, then to close: closed it stays. */
static void test_front_close_beats_reconnect(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    front_close(frig.rig.front);
    frig_run(&frig);
    raw_back_unmap(&frig.back);
    raw_back_state(&frig.back, XenbusStateClosing);
    frig_run(&frig);
    assert_int_equal(front_reconnect(frig.rig.front), 0);
    front_close(frig.rig.front);
    raw_back_state(&frig.back, XenbusStateClosed);
    frig_run(&frig);
    assert_int_equal(front_state(frig.rig.front), XenbusStateClosed);
    frig_dispose(&frig);

    frig_init(&frig, 2, 4); /* closed before its first step */
    front_close(frig.rig.front);
    frig_run(&frig);
    raw_back_state(&frig.back, XenbusStateInitWait);
    frig_run(&frig);
    assert_int_equal(front_state(frig.rig.front), XenbusStateClosed);
    frig_dispose(&frig);
}

/*
 * Rule BUS-21: the state node of a predecessor that died is walked back, at the backend's pace or 5 s a step.
 */
static void test_front_close_predecessor(void **state)
{
    static const char *const left[] = {"2", "3", "4", "5", "6", "7", "8"};
    (void)state;
    for (unsigned int silent = 0; silent < 2; silent++) {
        for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
            struct frig frig;
            frig_init(&frig, 2, 4);
            rig_set_node(&frig.rig, FRONT_STATE, left[i]);
            raw_back_state(&frig.back, XenbusStateConnected);
            frig_run(&frig);
            if (strcmp(left[i], "6") != 0) {
                assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosing);
                if (silent)
                    frig_advance(&frig, 5 * SECOND);
                else
                    raw_back_state(&frig.back, XenbusStateClosing);
                frig_run(&frig);
            }
            assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosed);
            raw_back_state(&frig.back, XenbusStateClosed);
            frig_run(&frig);
            assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateInitialising);
            frig_connect(&frig);
            frig_dispose(&frig);
        }
    }
}

/* front_destroy() at once, in every state of things: URBs return, nothing else is touched. */
static void test_front_close_destroy(void **state)
{
    enum how { CONNECTED, CLOSING, HOSTAGES, NEVER_STEPPED, HOWS };
    (void)state;
    for (enum how how = CONNECTED; how < HOWS; how++) {
        struct frig frig;
        struct flight flight;
        struct hostage h;
        if (how == NEVER_STEPPED)
            frig_init(&frig, 2, 4);
        else
            frig_start(&frig, 2, 4);
        if (how == CONNECTED || how == CLOSING)
            take_off(&frig, &flight);
        if (how == HOSTAGES)
            take_hostages(&frig, &h);
        if (how == CLOSING)
            front_close(frig.rig.front);
        if (how == CLOSING)
            frig_run(&frig);
        front_destroy(frig.rig.front);
        frig.rig.front = NULL;
        if (how == CONNECTED || how == CLOSING)
            expect_landed(&frig, &flight, -ESHUTDOWN);
        assert_int_equal(frig.nr_done, how == HOSTAGES ? 2 : how == NEVER_STEPPED ? 0 : 17);
        if (how == HOSTAGES)
            for (unsigned int i = 0; i < 2; i++)
                raw_back_unmap_segments(&frig.back, h.pages[i], 1);
        frig_abandon(&frig);
    }
}

/*
 * The machine ends (xen_ops.h: -EPIPE): URBs return once, the guest sees its ports empty and may free its
 * memory.
 */
static void test_front_close_machine_gone(void **state)
{
    struct frig frig;
    struct flight flight;
    struct hostage h;
    (void)state;
    frig_start(&frig, 2, 4);
    frig_hub(&frig, 0x23, 3, 8, 1, NULL, 0);
    raw_back_plug(&frig.back, 1, USBIF_SPEED_HIGH);
    frig_run(&frig);
    take_hostages(&frig, &h);
    take_off(&frig, &flight);
    assert_int_equal(frig.rig.machine->ops->domain_destroy(frig.rig.machine, 1), 0);
    assert_int_equal(front_step(frig.rig.front, 0), -EPIPE);
    assert_int_equal(front_step(frig.rig.front, 0), -EPIPE);
    assert_int_equal(frig.nr_done, 19);
    assert_int_equal(flight.in.status, -ESHUTDOWN);
    assert_int_equal(front_state(frig.rig.front), XenbusStateClosed);
    assert_int_equal(frig_submit(&frig, &flight.in), -ESHUTDOWN);
    assert_int_equal(frig_port_status(&frig, 1) & 1, 0);
    assert_int_equal(front_deadline(frig.rig.front), UINT64_MAX);
    frig.hcd->ops->buffer_free(frig.hcd, frig.buffer, FRIG_BUFFER);
    for (unsigned int i = 0; i < 2; i++)
        raw_back_unmap_segments(&frig.back, h.pages[i], 1);
    frig_abandon(&frig);
}

/* complete() inside a close may ask for anything. */
static void ask_again(struct frig *frig, struct hcd_urb *urb)
{
    assert_int_equal(frig_submit(frig, urb), -ESHUTDOWN);
    assert_int_equal(frig_unlink(frig, urb, -ENOENT), -EINVAL);
    front_close(frig->rig.front);
}

/* Rule LIF-03, and hcd.h: exactly once, even so. */
static void test_front_close_callbacks(void **state)
{
    struct frig frig;
    struct flight flight;
    (void)state;
    frig_start(&frig, 2, 4);
    take_off(&frig, &flight);
    frig.on_complete = ask_again;
    raw_back_unmap(&frig.back);
    raw_back_state(&frig.back, XenbusStateClosed);
    frig_run(&frig);
    expect_landed(&frig, &flight, -ESHUTDOWN);
    frig_dispose(&frig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_close_backend_goes),
        cmocka_unit_test(test_front_close_late_answer),
        cmocka_unit_test(test_front_close_never_unmaps),
        cmocka_unit_test(test_front_close_reconnect_while_held),
        cmocka_unit_test(test_front_close_unmaps_slowly),
        cmocka_unit_test(test_front_close_after_idling),
        cmocka_unit_test(test_front_close_reconnect),
        cmocka_unit_test(test_front_close_beats_reconnect),
        cmocka_unit_test(test_front_close_predecessor),
        cmocka_unit_test(test_front_close_destroy),
        cmocka_unit_test(test_front_close_machine_gone),
        cmocka_unit_test(test_front_close_callbacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
