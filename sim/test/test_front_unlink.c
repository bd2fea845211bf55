// SPDX-License-Identifier: MIT
/*
 * Goal: an URB that is asked back returns once, with the reason, whatever the ring and the backend do
 * (section 13).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "front_rig.h"

#define BULK   USBIF_PIPE_TYPE_BULK
#define SECOND UINT64_C(1000000000)

static const uint8_t get_descriptor[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};

/* Rules UNL-01, UNL-02, UNL-03. */
static void test_front_unlink_bytes(void **state)
{
    static const struct {
        uint8_t type;
        uint8_t endpoint;
        bool in;
        uint32_t pipe;
    } row[] = {
        {USBIF_PIPE_TYPE_CTRL, 0, true, 0x800005a1},
        {USBIF_PIPE_TYPE_INT, 2, true, 0x400105a1},
        {BULK, 3, false, 0xc0018521},
        {BULK, 4, true, 0xc00205a1},
    };
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct hcd_urb urb = frig_data(&frig, row[i].type, row[i].endpoint, row[i].in, frig.buffer, 18);
        urb.short_not_ok = true;
        urb.interval = 77;
        memcpy(urb.setup, get_descriptor, 8);
        assert_int_equal(frig_submit(&frig, &urb), 0);
        struct usbif_urb_request target = frig_take(&frig);
        unsigned int grants = fakexen_local_balance(frig.rig.local).grants;
        assert_int_equal(frig_unlink(&frig, &urb, -ECONNRESET), 0);
        struct usbif_urb_request request = frig_take(&frig);
        struct usbif_urb_request expected = {.id = request.id, .pipe = row[i].pipe};
        expected.u.unlink.unlink_id = target.id;
        assert_int_not_equal(request.id, target.id);
        assert_memory_equal(&request, &expected, sizeof(request));
        assert_int_equal(fakexen_local_balance(frig.rig.local).grants, grants);
        frig_answer(&frig, target.id, -71, 0);
        frig_answer(&frig, request.id, 0, 0);
        assert_int_equal(frig_count_done(&frig, &urb), 1);
        frig.nr_done = 0;
    }
    assert_int_equal(front_stats(frig.rig.front).unlinks, 4);
    frig_dispose(&frig);
}

/* Rules STA-07, UNL-04, UNL-05, UNL-08: both orders, any status, and the slots are free again after it. */
static void test_front_unlink_answers(void **state)
{
    static const int32_t status[] = {0, -19, -71, -104, -108, -115, 5, INT32_MIN};
    static const int reason[] = {-ECONNRESET, -ENOENT};
    enum { N = sizeof(status) / sizeof(status[0]) };
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    for (unsigned int i = 0; i < N * N * 4; i++) {
        int32_t of_target = status[i % N];
        int32_t of_unlink = status[i / N % N];
        bool unlink_first = i / N / N & 1;
        int why = reason[i / N / N / 2];
        struct hcd_urb urb = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
        frig.nr_done = 0;
        assert_int_equal(frig_submit(&frig, &urb), 0);
        uint16_t target = frig_take(&frig).id;
        assert_int_equal(frig_unlink(&frig, &urb, why), 0);
        uint16_t id = frig_take(&frig).id;
        frig_answer(&frig, unlink_first ? id : target, unlink_first ? of_unlink : of_target, 3);
        assert_int_equal(frig.nr_done, unlink_first ? 0 : 1);
        frig_answer(&frig, unlink_first ? target : id, unlink_first ? of_target : of_unlink, 3);
        assert_int_equal(frig_count_done(&frig, &urb), 1);
        assert_int_equal(urb.status, why);
        assert_int_equal(urb.actual, 3);
    }
    assert_int_equal(front_verdict(frig.rig.front), PVUSB_OK);
    frig_dispose(&frig);
}

/* Fills every slot but the one kept for unlinks. */
static void fill(struct frig *frig, struct hcd_urb urb[15], uint16_t id[15])
{
    for (unsigned int i = 0; i < 15; i++) {
        urb[i] = frig_control(frig, get_descriptor, frig->buffer);
        assert_int_equal(frig_submit(frig, &urb[i]), 0);
        id[i] = frig_take(frig).id;
    }
}

/* Rule UNL-09: what waits returns from inside the call, and the ring is untouched. */
static void test_front_unlink_waiting(void **state)
{
    struct frig frig;
    struct hcd_urb urb[15];
    uint16_t id[15];
    struct hcd_urb waiting[3];
    (void)state;
    frig_start(&frig, 2, 4);
    fill(&frig, urb, id);
    for (unsigned int i = 0; i < 3; i++) {
        waiting[i] = frig_control(&frig, get_descriptor, frig.buffer);
        waiting[i].actual = 99; /* of an earlier use */
        waiting[i].error_count = 99;
        assert_int_equal(frig_submit(&frig, &waiting[i]), 0);
    }
    uint32_t prod = frig.back.urb->req_prod;
    assert_int_equal(frig_unlink(&frig, &waiting[2], -ENOENT), 0); /* the last: the tail must follow */
    assert_int_equal(frig_unlink(&frig, &waiting[0], -ECONNRESET), 0);
    assert_int_equal(frig.nr_done, 2);
    assert_int_equal(waiting[2].status, -ENOENT);
    assert_int_equal(waiting[0].status, -ECONNRESET);
    assert_int_equal(waiting[0].actual, 0);
    assert_int_equal(waiting[0].error_count, 0);
    assert_int_equal(frig_unlink(&frig, &waiting[0], -ENOENT), -EINVAL);
    frig_run(&frig);
    assert_int_equal(frig.back.urb->req_prod, prod);
    assert_int_equal(frig_submit(&frig, &waiting[0]), 0);
    frig_answer(&frig, id[0], 0, 0);
    frig_answer(&frig, id[1], 0, 0);
    frig_answer(&frig, frig_take(&frig).id, 0, 1);
    assert_int_equal(waiting[1].actual, 1); /* in order */
    frig_answer(&frig, frig_take(&frig).id, 0, 2);
    assert_int_equal(waiting[0].actual, 2);
    frig_dispose(&frig);
}

/*
 * Rules UNL-10, RING-11, RING-12: 15 requests that nobody answers; all are unlinked all the same, one at a
 * time.
 */
static void test_front_unlink_full_ring(void **state)
{
    struct frig frig;
    struct hcd_urb urb[15];
    uint16_t id[15];
    struct usbif_urb_request request;
    unsigned int seen = 0;
    (void)state;
    frig_start(&frig, 2, 4);
    fill(&frig, urb, id);
    for (unsigned int i = 0; i < 15; i++)
        assert_int_equal(frig_unlink(&frig, &urb[i], -ENOENT), 0);
    for (unsigned int i = 0; i < 15; i++) {
        request = frig_take(&frig);
        assert_int_not_equal(request.pipe & 0x20, 0);
        frig_expect_no_request(&frig); /* 16 are outstanding */
        assert_false(seen & 1u << request.u.unlink.unlink_id);
        seen |= 1u << request.u.unlink.unlink_id;
        frig_answer(&frig, request.id, 0, 0); /* the target stays where it is */
    }
    frig_expect_no_request(&frig);
    assert_int_equal(__builtin_popcount(seen), 15);
    assert_int_equal(frig.nr_done, 0);
    for (unsigned int i = 0; i < 15; i++)
        frig_answer(&frig, id[i], -71, 0);
    assert_int_equal(frig.nr_done, 15);
    frig_dispose(&frig);
}

/* Rule UNL-10: an unlink that waits for a slot is forgotten when its target returns first, and only then. */
static void test_front_unlink_overtaken(void **state)
{
    struct frig frig;
    struct hcd_urb urb[15];
    uint16_t id[15];
    (void)state;
    frig_start(&frig, 2, 4);
    fill(&frig, urb, id);
    for (unsigned int i = 0; i < 3; i++)
        assert_int_equal(frig_unlink(&frig, &urb[i], -ENOENT), 0);
    uint16_t first = frig_take(&frig).id; /* of urb[0]; the other two wait */
    raw_back_put(&frig.back, (struct usbif_urb_response){.id = id[1]});
    raw_back_put(&frig.back, (struct usbif_urb_response){.id = id[2]});
    raw_back_publish(&frig.back);
    frig_run(&frig);
    assert_int_equal(frig.nr_done, 2);
    assert_int_equal(urb[1].status, -ENOENT);
    frig_expect_no_request(&frig);
    assert_int_equal(frig_submit(&frig, &urb[1]), 0);
    struct usbif_urb_request request = frig_take(&frig);
    assert_int_equal(request.id, id[1]); /* the same slot, which nobody wants back any more */
    assert_int_equal(request.pipe & 0x20, 0);
    frig_expect_no_request(&frig);
    assert_int_equal(frig_unlink(&frig, &urb[3], -ENOENT), 0);
    assert_int_equal(frig_take(&frig).u.unlink.unlink_id, id[3]);
    frig_expect_no_request(&frig);
    frig_answer(&frig, first, 0, 0);
    frig_answer(&frig, id[0], 0, 0);
    frig_dispose(&frig);
}

/* Rule UNL-08: without the target's own answer it waits, until the connection ends. */
static void test_front_unlink_unanswered(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    struct hcd_urb urb = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
    assert_int_equal(frig_submit(&frig, &urb), 0);
    frig_take(&frig);
    assert_int_equal(frig_unlink(&frig, &urb, -ECONNRESET), 0);
    frig_answer(&frig, frig_take(&frig).id, 0, 0);
    frig_advance(&frig, 60 * SECOND);
    assert_int_equal(frig.nr_done, 0);
    assert_int_equal(frig_unlink(&frig, &urb, -ENOENT), -EBUSY); /* rule UNL-11 */
    frig_expect_no_request(&frig);
    frig_dispose(&frig);
    assert_int_equal(urb.status, -ECONNRESET);
}

/* Rule UNL-11, from the first moment on. */
static void test_front_unlink_twice(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    struct hcd_urb urb = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
    assert_int_equal(frig_submit(&frig, &urb), 0);
    assert_int_equal(frig_unlink(&frig, &urb, -ECONNRESET), 0);
    assert_int_equal(frig_unlink(&frig, &urb, -ENOENT), -EBUSY);
    uint16_t target = frig_take(&frig).id;
    frig_answer(&frig, frig_take(&frig).id, 0, 0);
    frig_expect_no_request(&frig);
    frig_answer(&frig, target, 0, 0);
    assert_int_equal(urb.status, -ECONNRESET);
    assert_int_equal(frig_unlink(&frig, &urb, -ENOENT), -EINVAL);
    assert_int_equal(frig_submit(&frig, &urb), 0); /* the URB can be used again */
    frig_answer(&frig, frig_take(&frig).id, 0, 64);
    assert_int_equal(urb.status, 0);
    frig_dispose(&frig);
}

/* Rules ID-05, MAL-62. */
static void test_front_unlink_answered_twice(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    struct hcd_urb urb[3];
    for (unsigned int i = 0; i < 3; i++) {
        urb[i] = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
        assert_int_equal(frig_submit(&frig, &urb[i]), 0);
        frig_take(&frig);
    }
    assert_int_equal(frig_unlink(&frig, &urb[0], -ENOENT), 0);
    uint16_t id = frig_take(&frig).id;
    frig_answer(&frig, id, 0, 0);
    assert_int_equal(front_verdict(frig.rig.front), PVUSB_OK);
    frig_answer(&frig, id, 0, 0);
    assert_int_equal(front_verdict(frig.rig.front), PVUSB_RESPONSE_ID);
    frig_dispose(&frig);
    assert_int_equal(frig.nr_done, 3);
}

/*
 * Rules UNL-04, UNL-05, ID-07: the target was answered already; its id serves another URB before the unlink's
 * answer.
 */
static void test_front_unlink_crossing(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    struct hcd_urb urb = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
    struct hcd_urb other = frig_data(&frig, BULK, 2, true, frig.buffer, 64);
    assert_int_equal(frig_submit(&frig, &urb), 0);
    uint16_t target = frig_take(&frig).id;
    raw_back_respond(&frig.back, (struct usbif_urb_response){.id = target, .actual_length = 64});
    assert_int_equal(frig_unlink(&frig, &urb, -ENOENT), 0); /* not stepped in between */
    uint16_t unlink = frig_take(&frig).id;
    frig_run(&frig);
    assert_int_equal(urb.status, -ENOENT);
    assert_int_equal(urb.actual, 64);
    assert_int_equal(frig_submit(&frig, &other), 0);
    assert_int_equal(frig_take(&frig).id, target);
    frig_answer(&frig, unlink, 0, 0);
    assert_int_equal(frig.nr_done, 1);
    frig_answer(&frig, target, 0, 10);
    assert_int_equal(other.status, 0);
    assert_int_equal(other.actual, 10);
    frig_dispose(&frig);
}

/* ---- from inside complete() ---- */

static struct hcd_urb *victim[2];

static void unlink_others(struct frig *frig, struct hcd_urb *urb)
{
    frig->on_complete = NULL;
    assert_int_equal(frig_unlink(frig, urb, -ENOENT), -EINVAL);
    assert_int_equal(frig_unlink(frig, victim[0], -ENOENT), 0);
    assert_int_equal(frig_unlink(frig, victim[1], -ECONNRESET), 0);
    assert_int_equal(frig_unlink(frig, victim[0], -ENOENT), -EBUSY);
}

/* hcd.h; rules UNL-09, UNL-11: one victim on the ring, one waiting. */
static void test_front_unlink_from_complete(void **state)
{
    struct frig frig;
    struct hcd_urb urb[15];
    uint16_t id[15];
    (void)state;
    frig_start(&frig, 2, 4);
    fill(&frig, urb, id);
    struct hcd_urb waiting = frig_control(&frig, get_descriptor, frig.buffer);
    assert_int_equal(frig_submit(&frig, &waiting), 0);
    victim[0] = &urb[1];
    victim[1] = &waiting;
    frig.on_complete = unlink_others;
    frig_answer(&frig, id[0], 0, 0);
    assert_int_equal(frig.nr_done, 2);
    assert_int_equal(waiting.status, -ECONNRESET);
    struct usbif_urb_request request = frig_take(&frig);
    assert_int_equal(request.u.unlink.unlink_id, id[1]);
    frig_answer(&frig, id[1], -71, 0);
    frig_answer(&frig, request.id, 0, 0);
    assert_int_equal(urb[1].status, -ENOENT);
    frig_dispose(&frig);
}

static unsigned int resubmissions;

static void submit_again(struct frig *frig, struct hcd_urb *urb)
{
    int rc = frig_submit(frig, urb);
    assert_true(rc == 0 || (rc == -ESHUTDOWN && front_state(frig->rig.front) != XenbusStateConnected));
    resubmissions += rc == 0;
}

/* hcd.h: complete() may submit again: after an answer, after a local unlink, and in a burst of answers. */
static void test_front_unlink_submit_from_complete(void **state)
{
    struct frig frig;
    struct hcd_urb urb[15];
    uint16_t id[15];
    (void)state;
    frig_start(&frig, 2, 4);
    fill(&frig, urb, id);
    frig.on_complete = submit_again;
    resubmissions = 0;
    for (unsigned int round = 0; round < 100; round++) {
        for (unsigned int i = 0; i < 15; i++)
            raw_back_put(&frig.back, (struct usbif_urb_response){.id = id[i]});
        raw_back_publish(&frig.back);
        frig_run(&frig);
        for (unsigned int i = 0; i < 15; i++)
            id[i] = frig_take(&frig).id;
        frig_expect_no_request(&frig);
    }
    assert_int_equal(resubmissions, 1500);
    struct hcd_urb waiting = frig_control(&frig, get_descriptor, frig.buffer);
    assert_int_equal(frig_submit(&frig, &waiting), 0);
    assert_int_equal(frig_unlink(&frig, &waiting, -ENOENT), 0);
    assert_int_equal(waiting.status, -EINPROGRESS); /* it is in flight once more */
    frig.nr_done = 0;
    frig_dispose(&frig);
    assert_int_equal(frig.nr_done, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_unlink_bytes),
        cmocka_unit_test(test_front_unlink_answers),
        cmocka_unit_test(test_front_unlink_waiting),
        cmocka_unit_test(test_front_unlink_full_ring),
        cmocka_unit_test(test_front_unlink_overtaken),
        cmocka_unit_test(test_front_unlink_unanswered),
        cmocka_unit_test(test_front_unlink_twice),
        cmocka_unit_test(test_front_unlink_answered_twice),
        cmocka_unit_test(test_front_unlink_crossing),
        cmocka_unit_test(test_front_unlink_from_complete),
        cmocka_unit_test(test_front_unlink_submit_from_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
