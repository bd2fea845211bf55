// SPDX-License-Identifier: MIT
/*
 * Persistent grants (backend.h) at the backend: pages of a frontend that keeps its grants are mapped once and until the
 * connection ends, those of any other for each request; and what a frontend that lies about it can reach.
 */
#include "back_lab.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NODE         "feature-persistent"
#define BACK_NODE    "/local/domain/0/backend/qusb/1/0/" NODE
#define FRONT_NODE   "/local/domain/1/device/vusb/0/" NODE
#define BULK_IN      RAW_PIPE(RAW_BULK, LAB_ADDRESS, 1, 1)
#define BULK_OUT     RAW_PIPE(RAW_BULK, LAB_ADDRESS, 1, 0)
#define RINGS        2u
#define KEPT_AT_MOST 1024u

/* As lab_ready(), with this in the frontend's node. */
static void ready(struct lab *lab, const char *word)
{
    lab_init(lab, USB_VER_USB20, 4);
    lab->rig.buffers = BACK_BUFFERS_BEST;
    rig_start_back(&lab->rig);
    lab_run(lab);
    if (word)
        raw_front_set_node(&lab->front[0], NODE, word);
    lab_plug(lab, 1, "1-1", USBIF_SPEED_HIGH);
    raw_front_connect(&lab->front[0]);
    lab_run(lab);
    lab_expect_event(lab, 1, USBIF_SPEED_HIGH);
    lab_set_address(lab, 0, 1, LAB_ADDRESS);
    scripted_host_clear_log(&lab->rig.host);
}

static void in(struct lab *lab, uint16_t id, grant_ref_t ref, char byte)
{
    struct usbif_urb_request request = raw_request(id, BULK_IN);
    char data[100];
    raw_segment(&request, ref, 10, sizeof(data));
    memset(data, byte, sizeof(data));
    lab_send(lab, &request);
    lab_complete(lab, 0, 0, data, sizeof(data));
    lab_expect(lab, id, 0, sizeof(data));
}

static bool filled(const uint8_t *page, char byte)
{
    for (unsigned int i = 10; i < 110; i++) {
        if (page[i] != (uint8_t)byte)
            return false;
    }
    return true;
}

/* Data of both directions; the second and later times without a map. */
static void test_back_kept_maps_once(void **state)
{
    struct lab lab;
    uint8_t seen[5000];
    (void)state;
    ready(&lab, "1");
    struct raw_front *f = &lab.front[0];
    assert_string_equal(rig_node(&lab.rig, BACK_NODE), "1");
    for (unsigned int round = 0; round < 4; round++) {
        struct usbif_urb_request request = raw_request(1, round % 2 ? BULK_OUT : BULK_IN);
        raw_buffer(f, &request, 100, 5000);
        for (unsigned int i = 0; i < sizeof(seen); i++)
            f->page[100 + i] = (uint8_t)(i * 7 + round);
        lab_send(&lab, &request);
        assert_int_equal(host_urb_read(lab.rig.host.held[0], 0, seen, sizeof(seen)), sizeof(seen));
        assert_memory_equal(seen, f->page + 100, sizeof(seen));
        lab_complete(&lab, 0, 0, round % 2 ? NULL : "abc", round % 2 ? 5000 : 3);
        lab_expect(&lab, 1, 0, round % 2 ? 5000 : 3);
        if (round % 2 == 0)
            assert_memory_equal(f->page + 100, "abc", 3);
        assert_int_equal(lab_maps(&lab), RINGS + 2);
        assert_int_equal(back_stats(lab.rig.back).mapped_pages, 2);
    }
    assert_int_equal(back_stats(lab.rig.back).kept_hits, 6);
    lab_dispose(&lab);
}

/* SEG-11: who did not say "1" gets every page back with the response. */
static void test_back_kept_only_who_keeps(void **state)
{
    static const char *const words[] = {NULL, "0", "2", "yes", ""};
    for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct lab lab;
        (void)state;
        ready(&lab, words[i]);
        for (uint16_t id = 0; id < 3; id++) {
            struct usbif_urb_request request = raw_request(id, BULK_IN);
            raw_buffer(&lab.front[0], &request, 0, 8000); /* too much to be copied */
            lab_send(&lab, &request);
            assert_int_equal(lab_maps(&lab), RINGS + 2);
            lab_complete(&lab, 0, 0, NULL, 0);
            lab_expect(&lab, id, 0, 0);
            assert_int_equal(lab_maps(&lab), RINGS);
            assert_int_equal(back_stats(lab.rig.back).map_calls, id + 1);
        }
        lab_dispose(&lab);
    }
}

static unsigned int state_writes;

static void unmapped_before_state(struct lab *lab, enum lab_call call)
{
    if (call != LAB_STATE)
        return;
    state_writes++;
    assert_int_equal(lab_maps(lab), 0);
}

/* BUS-25: all is unmapped before the state says so, in an orderly end and after a violation. */
static void test_back_kept_ends_with_connection(void **state)
{
    for (int violation = 0; violation < 2; violation++) {
        struct lab lab;
        (void)state;
        ready(&lab, "1");
        struct raw_front *f = &lab.front[0];
        for (uint16_t i = 0; i < RAW_PAGES; i++)
            in(&lab, i, f->rw[i], 'a');
        assert_int_equal(lab_maps(&lab), RINGS + RAW_PAGES);
        state_writes = 0;
        lab_hook(&lab, unmapped_before_state);
        if (violation) {
            raw_set_word(f->urb_page, 0, f->urb_req + 17);
            raw_front_notify(f);
        } else {
            raw_front_set_state(f, XenbusStateClosing);
        }
        lab_run(&lab);
        assert_true(state_writes > 0);
        assert_string_equal(lab_back_state(&lab), "5");
        assert_int_equal(lab_maps(&lab), 0);
        lab_dispose(&lab);
    }
}

/*
 * A frontend dies without taking its word back. The next one does not know the node, so its pages are not kept: it could
 * not end their grants.
 */
static void test_back_kept_word_of_the_dead(void **state)
{
    struct lab lab;
    (void)state;
    ready(&lab, "1");
    struct raw_front *f = &lab.front[0];
    in(&lab, 1, f->rw[0], 'a');
    assert_int_equal(lab_maps(&lab), RINGS + 1);
    raw_front_set_state(f, XenbusStateInitialising);
    lab_run(&lab);
    assert_int_equal(lab_maps(&lab), 0);
    assert_string_equal(rig_node(&lab.rig, FRONT_NODE), "");
    assert_string_equal(lab_back_state(&lab), "2");
    raw_front_unmake(f);
    raw_front_connect(f);
    lab_run(&lab);
    lab_expect_event(&lab, 1, USBIF_SPEED_HIGH);
    lab_set_address(&lab, 0, 1, LAB_ADDRESS);
    in(&lab, 2, f->rw[0], 'b');
    assert_int_equal(lab_maps(&lab), RINGS);
    lab_dispose(&lab);
}

/* ---- who lies ---- */

/* MAL-14: a grant that is revoked stays mapped; data goes where it went before, and nowhere else. */
static void test_back_kept_revoked(void **state)
{
    struct lab lab;
    (void)state;
    ready(&lab, "1");
    struct raw_front *f = &lab.front[0];
    in(&lab, 1, f->rw[3], 'a');
    assert_int_equal(f->xen->ops->grant_revoke(f->xen, f->rw[3]), 0);
    assert_int_equal(f->xen->ops->grant_end(f->xen, f->rw[3]), -EBUSY); /* so it cannot become another page's */
    in(&lab, 2, f->rw[3], 'b');
    assert_true(filled(f->page + 3 * PVUSB_PAGE_SIZE, 'b'));
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* A grant that only allows reading is served as without persistence: OUT is, IN is not, and nothing of it is kept. */
static void test_back_kept_read_only(void **state)
{
    struct lab lab;
    uint8_t seen[100];
    (void)state;
    ready(&lab, "1");
    struct raw_front *f = &lab.front[0];
    memset(f->page, 'x', 200);
    struct usbif_urb_request request = raw_request(1, BULK_OUT);
    raw_segment(&request, f->ro[0], 10, sizeof(seen));
    lab_send(&lab, &request);
    assert_int_equal(host_urb_read(lab.rig.host.held[0], 0, seen, sizeof(seen)), sizeof(seen));
    assert_memory_equal(seen, f->page + 10, sizeof(seen));
    lab_complete(&lab, 0, 0, NULL, sizeof(seen));
    lab_expect(&lab, 1, 0, sizeof(seen));
    assert_int_equal(lab_maps(&lab), RINGS);
    request.pipe = BULK_IN;
    lab_send(&lab, &request);
    lab_expect(&lab, 1, -108, 0);
    assert_int_equal(lab_maps(&lab), RINGS);
    lab_dispose(&lab);
}

/* SEG-08: a reference of nothing, alone and behind a good page: refused, the good one may stay mapped. */
static void test_back_kept_bad_reference(void **state)
{
    static const grant_ref_t bad[] = {0, 7, 8, 5000, 0x7fffffff, 0xffffffff};
    struct lab lab;
    (void)state;
    ready(&lab, "1");
    struct raw_front *f = &lab.front[0];
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (int behind = 0; behind < 2; behind++) {
            struct usbif_urb_request request = raw_request(1, BULK_IN);
            if (behind)
                raw_segment(&request, f->rw[0], 4000, 96);
            raw_segment(&request, bad[i] == 8 ? f->rw[RAW_PAGES - 1] + 5000 : bad[i], 0, 64);
            lab_send(&lab, &request);
            lab_expect(&lab, 1, -108, 0);
        }
    }
    assert_int_equal(lab_maps(&lab), RINGS + 1);
    assert_int_equal(lab.rig.host.nr_held, 0);
    in(&lab, 2, f->rw[1], 'c');
    assert_true(filled(f->page + PVUSB_PAGE_SIZE, 'c'));
    lab_dispose(&lab);
}

/* However many references come, what stays mapped is bounded; those beyond are served all the same. */
static void test_back_kept_bounded(void **state)
{
    enum { MANY = 3 * KEPT_AT_MOST };
    static grant_ref_t ref[MANY];
    struct lab lab;
    (void)state;
    ready(&lab, "1");
    struct raw_front *f = &lab.front[0];
    for (unsigned int i = 0; i < MANY; i++) {
        uint8_t *page = f->page + i % RAW_PAGES * PVUSB_PAGE_SIZE;
        assert_int_equal(f->xen->ops->grant(f->xen, 0, page, false, &ref[i]), 0);
        in(&lab, (uint16_t)i, ref[i], (char)('a' + i % 26));
        assert_true(filled(page, (char)('a' + i % 26)));
        assert_true(lab_maps(&lab) <= RINGS + KEPT_AT_MOST);
    }
    assert_true(lab_maps(&lab) > KEPT_AT_MOST / 2);
    in(&lab, 1, ref[0], 'z');
    assert_true(filled(f->page, 'z'));
    raw_front_set_state(f, XenbusStateClosing);
    lab_run(&lab);
    assert_int_equal(lab_maps(&lab), 0);
    for (unsigned int i = 0; i < MANY; i++)
        assert_int_equal(f->xen->ops->grant_end(f->xen, ref[i]), 0);
    lab_dispose(&lab);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_kept_maps_once),        cmocka_unit_test(test_back_kept_only_who_keeps),
        cmocka_unit_test(test_back_kept_ends_with_connection), cmocka_unit_test(test_back_kept_word_of_the_dead),
        cmocka_unit_test(test_back_kept_revoked),          cmocka_unit_test(test_back_kept_read_only),
        cmocka_unit_test(test_back_kept_bad_reference),    cmocka_unit_test(test_back_kept_bounded),
    };
    return cmocka_run_group_tests_name("back_kept", tests, NULL, NULL);
}
