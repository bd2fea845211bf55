// SPDX-License-Identifier: MIT
/*
 * Persistent grants (frontend.h) at the frontend: with a backend that offers to keep pages mapped a page is granted once,
 * whatever the guest frees and takes meanwhile; with any other, for each request.
 */
#include "front_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NODE       "feature-persistent"
#define BACK_NODE  "/local/domain/0/backend/qusb/1/0/" NODE
#define FRONT_NODE "/local/domain/1/device/vusb/0/" NODE
#define BULK       USBIF_PIPE_TYPE_BULK

static void start(struct frig *frig, const char *offer, bool want)
{
    frig_init(frig, 2, 4);
    rig_set_node(&frig->rig, FRONT_NODE, "1"); /* of one before us */
    if (offer)
        rig_set_node(&frig->rig, BACK_NODE, offer);
    front_set_persistent(frig->rig.front, want);
    raw_back_state(&frig->back, XenbusStateInitWait);
    frig_run(frig);
    frig_connect(frig);
    frig->hcd = front_hcd(frig->rig.front);
    assert_int_equal(frig->hcd->ops->buffer_alloc(frig->hcd, FRIG_BUFFER, (void **)&frig->buffer), 0);
}

static unsigned int grants(struct frig *frig)
{
    return fakexen_local_balance(frig->rig.local).grants - 2; /* without the rings */
}

static struct usbif_urb_request transfer(struct frig *frig, bool in, void *buffer, uint32_t length)
{
    struct hcd_urb urb = frig_data(frig, BULK, 1, in, buffer, length);
    assert_int_equal(frig_submit(frig, &urb), 0);
    struct usbif_urb_request request = frig_take(frig);
    uint8_t *pages;
    /* Writable also for OUT: the next transfer of the page may be an IN. */
    assert_int_equal(raw_back_map_segments(&frig->back, &request, 0, request.nr_buffer_segs, true, &pages), 0);
    raw_back_unmap_segments(&frig->back, pages, request.nr_buffer_segs);
    frig_answer(frig, request.id, 0, (int32_t)length);
    assert_int_equal(urb.status, 0);
    return request;
}

/* The grant of a page is the same for every request, and stays. */
static void test_front_kept_grants_once(void **state)
{
    struct frig frig;
    (void)state;
    start(&frig, "1", true);
    assert_string_equal(rig_node(&frig.rig, FRONT_NODE), "1");
    struct usbif_urb_request first = transfer(&frig, true, frig.buffer + 100, 5000);
    assert_int_equal(first.nr_buffer_segs, 2);
    for (unsigned int i = 0; i < 5; i++) {
        struct usbif_urb_request next = transfer(&frig, i % 2, frig.buffer + 4000, 200);
        assert_int_equal(next.seg[0].gref, first.seg[0].gref);
        assert_int_equal(next.seg[1].gref, first.seg[1].gref);
        assert_int_equal(grants(&frig), 2);
    }
    assert_int_equal(front_stats(frig.rig.front).grants, 2);
    assert_int_equal(front_stats(frig.rig.front).kept_grants, 10);
    frig_dispose(&frig);
}

/* SEG-05: without an offer, or without the wish, grants end with the request; the word of one before us is taken back. */
static void test_front_kept_not_agreed(void **state)
{
    static const char *const offers[] = {NULL, "0", "2", "yes"};
    (void)state;
    for (unsigned int i = 0; i < 5; i++) {
        struct frig frig;
        struct hcd_urb urb;
        start(&frig, i < 4 ? offers[i] : "1", i < 4);
        assert_string_equal(rig_node(&frig.rig, FRONT_NODE), "");
        urb = frig_data(&frig, BULK, 1, false, frig.buffer, 100);
        assert_int_equal(frig_submit(&frig, &urb), 0);
        struct usbif_urb_request request = frig_take(&frig);
        uint8_t *page;
        assert_int_equal(raw_back_map_segments(&frig.back, &request, 0, 1, true, &page), -EACCES); /* OUT */
        frig_answer(&frig, request.id, 0, 100);
        assert_int_equal(grants(&frig), 0);
        frig_dispose(&frig);
    }
}

/* What the guest frees is the next buffer, zeroed, with the grants it has; the backend may have it mapped meanwhile. */
static void test_front_kept_freed_memory(void **state)
{
    struct frig frig;
    uint8_t *one, *other;
    uint8_t *mapped;
    (void)state;
    start(&frig, "1", true);
    assert_int_equal(frig.hcd->ops->buffer_alloc(frig.hcd, 8192, (void **)&one), 0);
    struct usbif_urb_request request = transfer(&frig, true, one, 8192);
    assert_int_equal(raw_back_map_segments(&frig.back, &request, 0, 2, true, &mapped), 0);
    memset(mapped, 0xee, 8192);
    unsigned int pages = fakexen_local_balance(frig.rig.local).pages;
    frig.hcd->ops->buffer_free(frig.hcd, one, 8192);
    assert_int_equal(grants(&frig), 2);
    struct hcd_urb urb = frig_data(&frig, BULK, 1, true, one, 64);
    assert_int_equal(frig_submit(&frig, &urb), -EFAULT); /* it is not the guest's any more */
    assert_int_equal(frig.hcd->ops->buffer_alloc(frig.hcd, 5000, (void **)&other), 0);
    assert_ptr_equal(other, one);
    assert_int_equal(fakexen_local_balance(frig.rig.local).pages, pages);
    for (unsigned int i = 0; i < 8192; i++)
        assert_int_equal(other[i], 0);
    struct usbif_urb_request again = transfer(&frig, false, other, 5000);
    assert_int_equal(again.seg[1].gref, request.seg[1].gref);
    /* A larger one does not fit. */
    assert_int_equal(frig.hcd->ops->buffer_alloc(frig.hcd, 3 * 4096, (void **)&one), 0);
    assert_ptr_not_equal(one, other);
    frig.hcd->ops->buffer_free(frig.hcd, one, 3 * 4096);
    frig.hcd->ops->buffer_free(frig.hcd, other, 5000);
    raw_back_unmap_segments(&frig.back, mapped, 2);
    frig_dispose(&frig);
}

/* SEC-09: the pages are the guest's again only when the backend has let go; at the deadline they are kept from use. */
static void test_front_kept_backend_holds_on(void **state)
{
    for (int late = 0; late < 2; late++) {
        struct frig frig;
        uint8_t *mapped;
        (void)state;
        start(&frig, "1", true);
        struct usbif_urb_request request = transfer(&frig, true, frig.buffer, 64);
        assert_int_equal(raw_back_map_segments(&frig.back, &request, 0, 1, true, &mapped), 0);
        front_close(frig.rig.front);
        frig_run(&frig);
        frig_back_leaves(&frig);
        assert_int_equal(front_state(frig.rig.front), XenbusStateClosing);
        if (late) {
            frig_advance(&frig, UINT64_C(5000000000));
            assert_int_equal(front_state(frig.rig.front), XenbusStateClosed);
            unsigned int pages = fakexen_local_balance(frig.rig.local).pages;
            frig.hcd->ops->buffer_free(frig.hcd, frig.buffer, FRIG_BUFFER);
            frig.buffer = NULL;
            assert_int_equal(fakexen_local_balance(frig.rig.local).pages, pages);
        }
        raw_back_unmap_segments(&frig.back, mapped, 1);
        frig_run(&frig);
        frig_dispose(&frig);
    }
}

/* Also in a second connection, to a backend that makes no such offer. */
static void test_front_kept_next_connection(void **state)
{
    struct frig frig;
    (void)state;
    start(&frig, "1", true);
    transfer(&frig, true, frig.buffer, 64);
    front_close(frig.rig.front);
    frig_run(&frig);
    frig_back_leaves(&frig);
    assert_int_equal(front_state(frig.rig.front), XenbusStateClosed);
    assert_int_equal(fakexen_local_balance(frig.rig.local).grants, 0);
    rig_set_node(&frig.rig, BACK_NODE, "0");
    assert_int_equal(front_reconnect(frig.rig.front), 0);
    raw_back_state(&frig.back, XenbusStateInitWait);
    frig_run(&frig);
    frig_connect(&frig);
    transfer(&frig, true, frig.buffer, 64);
    assert_int_equal(grants(&frig), 0);
    frig_dispose(&frig);
}

static unsigned int refusals;
static struct frig_spy spy;

static int no_reference(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out)
{
    if (refusals > 0) {
        refusals--;
        return -ENOSPC;
    }
    return spy.real->grant(xen, to, addr, readonly, out);
}

/* When references run out, grants that nobody maps or names make room; those of requests on the ring stay. */
static void test_front_kept_out_of_references(void **state)
{
    struct frig frig;
    struct hcd_urb urb[2];
    (void)state;
    start(&frig, "1", true);
    uint8_t *other;
    assert_int_equal(frig.hcd->ops->buffer_alloc(frig.hcd, 4096, (void **)&other), 0);
    transfer(&frig, true, frig.buffer, 8 * 4096);
    urb[0] = frig_data(&frig, BULK, 1, true, other, 64);
    assert_int_equal(frig_submit(&frig, &urb[0]), 0);
    struct usbif_urb_request held = frig_take(&frig);
    assert_int_equal(grants(&frig), 9);
    frig_spy(&spy, front_xen(frig.rig.front));
    spy.ops.grant = no_reference;
    refusals = 1;
    urb[1] = frig_data(&frig, BULK, 2, true, frig.buffer + 9 * 4096, 64);
    assert_int_equal(frig_submit(&frig, &urb[1]), 0);
    assert_int_equal(grants(&frig), 2);
    frig_answer(&frig, frig_take(&frig).id, 0, 64);
    frig_answer(&frig, held.id, 0, 64);
    assert_int_equal(urb[0].status, 0);
    assert_int_equal(urb[1].status, 0);
    refusals = 2;
    urb[1] = frig_data(&frig, BULK, 2, true, frig.buffer, 64);
    assert_int_equal(frig_submit(&frig, &urb[1]), 0);
    frig_run(&frig);
    assert_int_equal(urb[1].status, -ENOSPC);
    frig.hcd->ops->buffer_free(frig.hcd, other, 4096);
    frig_dispose(&frig);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_kept_grants_once),      cmocka_unit_test(test_front_kept_not_agreed),
        cmocka_unit_test(test_front_kept_freed_memory),     cmocka_unit_test(test_front_kept_backend_holds_on),
        cmocka_unit_test(test_front_kept_next_connection),  cmocka_unit_test(test_front_kept_out_of_references),
    };
    return cmocka_run_group_tests_name("front_kept", tests, NULL, NULL);
}
