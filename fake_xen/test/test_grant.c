// SPDX-License-Identifier: MIT
/* Grants: who may map what, what stays, what is refused, and that all is given back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "machine.h"

static uint8_t *page_of(struct xen *xen, unsigned int count)
{
    void *page = NULL;
    assert_int_equal(CALL(xen, pages_alloc, count, &page), 0);
    return page;
}

static grant_ref_t granted(struct xen *xen, domid_t to, const void *page, bool readonly)
{
    grant_ref_t ref = 0;
    assert_int_equal(CALL(xen, grant, to, page, readonly, &ref), 0);
    return ref;
}

/* xen_ops.h pages_alloc: contiguous, zeroed even when used before; -ENOMEM at the limit. */
static void test_pages_are_zeroed_and_limited(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 3);
    void *more = NULL;
    memset(page, 0xa5, 3 * XEN_PAGE_SIZE_BYTES);
    CALL(test->guest, pages_free, page, 3);
    page = page_of(test->guest, 4);
    for (size_t i = 0; i < 4 * XEN_PAGE_SIZE_BYTES; i++)
        assert_int_equal(page[i], 0);
    assert_int_equal(CALL(test->guest, pages_alloc, 16384, &more), -ENOMEM);
    assert_null(more);
    CALL(test->guest, pages_free, page, 4);
    CALL(test->guest, pages_free, NULL, 1);
}

/* xen_ops.h pages_free: a hole is used again when it is large enough and only then. */
static void test_pages_find_holes(void **state)
{
    struct test_machine *test = *state;
    uint8_t *one = page_of(test->guest, 2);
    uint8_t *two = page_of(test->guest, 1);
    CALL(test->guest, pages_free, one, 2);
    uint8_t *large = page_of(test->guest, 3);
    uint8_t *small = page_of(test->guest, 2);
    assert_ptr_equal(small, one);
    assert_ptr_not_equal(large, one);
    CALL(test->guest, pages_free, two, 1);
    CALL(test->guest, pages_free, large, 3);
    CALL(test->guest, pages_free, small, 2);
}

/* xen_ops.h grant_map: consecutive addresses in the order asked for, the same memory on both sides. */
static void test_map_shares_memory_in_order(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 3);
    grant_ref_t refs[4];
    void *map = NULL;
    for (unsigned int i = 0; i < 3; i++)
        refs[i] = granted(test->guest, 0, page + i * XEN_PAGE_SIZE_BYTES + 17, false);
    grant_ref_t order[] = {refs[2], refs[0], refs[1], refs[0]};
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 4, order, true, &map), 0);
    uint8_t *seen = map;
    page[2 * XEN_PAGE_SIZE_BYTES] = 2;
    page[0] = 1;
    assert_int_equal(seen[0], 2);
    assert_int_equal(seen[XEN_PAGE_SIZE_BYTES], 1);
    /* The same reference twice is the same page twice. */
    seen[3 * XEN_PAGE_SIZE_BYTES] = 77;
    assert_int_equal(seen[XEN_PAGE_SIZE_BYTES], 77);
    assert_int_equal(page[0], 77);
    assert_int_equal(machine_balance(test).maps, 4);
    assert_int_equal(machine_balance(test).grants, 3);
    assert_int_equal(CALL(test->dom0, grant_unmap, map, 4), 0);
    for (unsigned int i = 0; i < 3; i++)
        assert_int_equal(CALL(test->guest, grant_end, refs[i]), 0);
    CALL(test->guest, pages_free, page, 3);
}

/* xen_ops.h grant: -EINVAL for memory that is not of pages_alloc() of this handle; reserved domids. */
static void test_grant_refuses_foreign_memory(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 1);
    int local = 0;
    grant_ref_t ref = 99;
    assert_int_equal(CALL(test->guest, grant, 0, &local, false, &ref), -EINVAL);
    assert_int_equal(CALL(test->dom0, grant, 0, page, false, &ref), -EINVAL);
    assert_int_equal(CALL(test->guest, grant, 0, page + XEN_PAGE_SIZE_BYTES, false, &ref), -EINVAL);
    assert_int_equal(CALL(test->guest, grant, DOMID_SELF, page, false, &ref), -EINVAL);
    assert_int_equal(ref, 99);
    CALL(test->guest, pages_free, page, 1);
}

/* xen_ops.h grant_map: -EACCES for a domain it was not granted to, dom0 included. */
static void test_map_by_wrong_domain(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 1);
    grant_ref_t ref = granted(test->guest, OTHER, page, false);
    void *map = NULL;
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, true, &map), -EACCES);
    assert_int_equal(CALL(test->guest, grant_map, GUEST, 1, &ref, true, &map), -EACCES);
    assert_null(map);
    assert_int_equal(CALL(test->other, grant_map, GUEST, 1, &ref, true, &map), 0);
    assert_int_equal(CALL(test->other, grant_unmap, map, 1), 0);
    assert_int_equal(CALL(test->guest, grant_end, ref), 0);
    CALL(test->guest, pages_free, page, 1);
}

/* xen_ops.h grant_map: -EACCES for a writable map of a read-only grant; reading is allowed. */
static void test_map_readonly(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 1);
    grant_ref_t ref = granted(test->guest, 0, page, true);
    void *map = NULL;
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, true, &map), -EACCES);
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, false, &map), 0);
    page[5] = 9;
    assert_int_equal(((uint8_t *)map)[5], 9);
    assert_int_equal(CALL(test->guest, grant_end, ref), -EBUSY);
    assert_int_equal(CALL(test->dom0, grant_unmap, map, 1), 0);
    assert_int_equal(CALL(test->guest, grant_end, ref), 0);
    CALL(test->guest, pages_free, page, 1);
}

/* xen_ops.h grant_map: -ENOENT for references that are reserved, never used, ended, or of no domain. */
static void test_map_unused_reference(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 1);
    grant_ref_t ended = granted(test->guest, 0, page, false);
    grant_ref_t refs[] = {0, 7, ended + 1, ended, 1u << 30, UINT32_MAX};
    void *map = NULL;
    assert_true(ended >= 8);
    assert_int_equal(CALL(test->guest, grant_end, ended), 0);
    for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
        assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &refs[i], false, &map), -ENOENT);
        assert_int_equal(CALL(test->dom0, grant_map, 99, 1, &refs[i], false, &map), -ENOENT);
    }
    assert_null(map);
    CALL(test->guest, pages_free, page, 1);
}

/* xen_ops.h grant_map: all or nothing. */
static void test_map_all_or_nothing(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 1);
    grant_ref_t ref = granted(test->guest, 0, page, false);
    grant_ref_t refs[] = {ref, ref, ref + 1};
    void *map = NULL;
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 3, refs, true, &map), -ENOENT);
    assert_int_equal(machine_balance(test).maps, 0);
    /* Nothing stays set in the entry either. */
    assert_int_equal(CALL(test->guest, grant_end, ref), 0);
    CALL(test->guest, pages_free, page, 1);
}

/* xen_ops.h grant_end: -EBUSY until the last map is gone; -EINVAL when not in use. */
static void test_end_busy_until_last_unmap(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 1);
    grant_ref_t ref = granted(test->guest, 0, page, false);
    void *one = NULL;
    void *two = NULL;
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, true, &one), 0);
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, false, &two), 0);
    assert_int_equal(CALL(test->guest, grant_end, ref), -EBUSY);
    assert_int_equal(CALL(test->dom0, grant_unmap, one, 2), -EINVAL);
    assert_int_equal(CALL(test->dom0, grant_unmap, one, 1), 0);
    assert_int_equal(CALL(test->dom0, grant_unmap, one, 1), -EINVAL);
    assert_int_equal(CALL(test->guest, grant_end, ref), -EBUSY);
    assert_int_equal(CALL(test->dom0, grant_unmap, two, 1), 0);
    assert_int_equal(CALL(test->guest, grant_end, ref), 0);
    assert_int_equal(CALL(test->guest, grant_end, ref), -EINVAL);
    assert_int_equal(CALL(test->guest, grant_end, 3), -EINVAL);
    assert_int_equal(CALL(test->guest, grant_revoke, ref), -EINVAL);
    CALL(test->guest, pages_free, page, 1);
}

/* xen_ops.h grant_revoke: maps that exist stay, new ones fail, grant_end() is still needed. */
static void test_revoke_while_mapped(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 1);
    grant_ref_t ref = granted(test->guest, 0, page, false);
    void *map = NULL;
    void *more = NULL;
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, true, &map), 0);
    assert_int_equal(CALL(test->guest, grant_revoke, ref), 0);
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, false, &more), -EACCES);
    ((uint8_t *)map)[0] = 42;
    assert_int_equal(page[0], 42);
    assert_int_equal(CALL(test->guest, grant_end, ref), -EBUSY);
    assert_int_equal(CALL(test->dom0, grant_unmap, map, 1), 0);
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, false, &more), -EACCES);
    assert_int_equal(CALL(test->guest, grant_end, ref), 0);
    CALL(test->guest, pages_free, page, 1);
}

/* xen_ops.h grant_map_limit: 1024 unless told; -ENOSPC beyond, counted over all maps of the handle. */
static void test_map_limit(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 1);
    grant_ref_t refs[1025];
    void *map = NULL;
    void *more = NULL;
    refs[0] = granted(test->guest, 0, page, false);
    for (unsigned int i = 1; i < 1025; i++)
        refs[i] = refs[0];
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1025, refs, false, &map), -ENOSPC);
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1023, refs, false, &map), 0);
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 2, refs, false, &more), -ENOSPC);
    assert_int_equal(CALL(test->dom0, grant_map_limit, 1025), 0);
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 2, refs, false, &more), 0);
    assert_int_equal(CALL(test->dom0, grant_unmap, more, 2), 0);
    assert_int_equal(CALL(test->dom0, grant_unmap, map, 1023), 0);
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 0, refs, false, &map), -EINVAL);
    assert_int_equal(CALL(test->guest, grant_end, refs[0]), 0);
    CALL(test->guest, pages_free, page, 1);
}

/* xen_ops.h grant: -ENOSPC when no reference is free; a freed one can be had again. */
static void test_references_run_out(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 1);
    static grant_ref_t refs[10000];
    unsigned int count = 0;
    int rc;
    while (!(rc = CALL(test->guest, grant, 0, page, false, &refs[count])))
        count++;
    assert_int_equal(rc, -ENOSPC);
    assert_true(count > 8000);
    assert_int_equal(CALL(test->guest, grant_end, refs[100]), 0);
    assert_int_equal(granted(test->guest, 0, page, false), refs[100]);
    for (unsigned int i = 0; i < count; i++)
        assert_int_equal(CALL(test->guest, grant_end, refs[i]), 0);
    CALL(test->guest, pages_free, page, 1);
}

/* fakexen.h 3: references of two handles of one domain differ, and each handle ends only its own. */
static void test_references_belong_to_a_handle(void **state)
{
    struct test_machine *test = *state;
    struct xen *second = machine_open(test, GUEST);
    uint8_t *page = page_of(test->guest, 1);
    uint8_t *page2 = page_of(second, 1);
    grant_ref_t ref = granted(test->guest, 0, page, false);
    grant_ref_t ref2 = granted(second, 0, page2, false);
    void *map = NULL;
    assert_int_not_equal(ref, ref2);
    assert_int_equal(CALL(test->guest, grant_end, ref2), -EINVAL);
    page2[0] = 13;
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref2, false, &map), 0);
    assert_int_equal(*(uint8_t *)map, 13);
    assert_int_equal(CALL(test->dom0, grant_unmap, map, 1), 0);
    assert_int_equal(CALL(test->guest, grant_end, ref), 0);
    CALL(test->guest, pages_free, page, 1);
    xen_close(second);
}

/* xen_ops.h close: pages that a peer maps stay until it unmaps them; nothing new is mapped. */
static void test_map_outlives_granter(void **state)
{
    struct test_machine *test = *state;
    struct xen *second = machine_open(test, GUEST);
    uint8_t *page = page_of(second, 1);
    grant_ref_t ref = granted(second, 0, page, false);
    void *map = NULL;
    void *more = NULL;
    page[0] = 21;
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, true, &map), 0);
    xen_close(second);
    assert_int_equal(*(uint8_t *)map, 21);
    assert_int_equal(machine_balance(test).grants, 1);
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, true, &more), -ENOENT);
    assert_int_equal(CALL(test->dom0, grant_unmap, map, 1), 0);
    assert_int_equal(machine_balance(test).grants, 0);
}

/* xen_ops.h close: the handle's maps end, so that the granter can end its grant. */
static void test_close_unmaps(void **state)
{
    struct test_machine *test = *state;
    struct xen *second = machine_open(test, 0);
    uint8_t *page = page_of(test->guest, 1);
    grant_ref_t ref = granted(test->guest, 0, page, false);
    void *map = NULL;
    assert_int_equal(CALL(second, grant_map, GUEST, 1, &ref, true, &map), 0);
    assert_int_equal(CALL(test->guest, grant_end, ref), -EBUSY);
    xen_close(second);
    assert_int_equal(CALL(test->guest, grant_end, ref), 0);
    CALL(test->guest, pages_free, page, 1);
}

/* xen_ops.h domain_destroy: maps of the domain end, its handles say -EPIPE, what others map of it stays. */
static void test_domain_destroy_with_maps(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 1);
    uint8_t *page0 = page_of(test->dom0, 1);
    grant_ref_t ref = granted(test->guest, 0, page, false);
    grant_ref_t ref0 = granted(test->dom0, GUEST, page0, false);
    void *map = NULL;
    void *map0 = NULL;
    page[0] = 8;
    assert_int_equal(CALL(test->dom0, grant_map, GUEST, 1, &ref, true, &map), 0);
    assert_int_equal(CALL(test->guest, grant_map, 0, 1, &ref0, true, &map0), 0);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, GUEST), 0);
    assert_int_equal(CALL(test->dom0, grant_end, ref0), 0);
    assert_int_equal(*(uint8_t *)map, 8);
    assert_int_equal(CALL(test->guest, grant_end, ref), -EPIPE);
    assert_int_equal(CALL(test->guest, grant, 0, page, false, &ref), -EPIPE);
    assert_int_equal(CALL(test->guest, grant_unmap, map0, 1), -EPIPE);
    *(volatile uint8_t *)map0 = 1; /* harmless: fakexen.h 9 */
    /* A driver that gives up in the usual order does not trip over a grant it could not end. */
    CALL(test->guest, pages_free, page, 1);
    assert_int_equal(CALL(test->dom0, grant_unmap, map, 1), 0);
    CALL(test->dom0, pages_free, page0, 1);
}

/* ---- copies ---- */

static int16_t copied(struct xen *xen, domid_t with, bool to_grant, grant_ref_t ref, uint16_t offset, void *local,
                      uint16_t length)
{
    struct xen_copy seg = {.ref = ref, .offset = offset, .length = length, .local = local, .status = 77};
    assert_int_equal(CALL(xen, grant_copy, with, to_grant, 1, &seg), 0);
    return seg.status;
}

/* xen_ops.h grant_copy: bytes go where they should and nowhere else; nothing stays mapped. */
static void test_copy_moves_bytes(void **state)
{
    struct test_machine *test = *state;
    uint8_t *page = page_of(test->guest, 2);
    grant_ref_t ref = granted(test->guest, 0, page + XEN_PAGE_SIZE_BYTES, false);
    uint8_t *there = page + XEN_PAGE_SIZE_BYTES;
    char abcd[] = "abcd";
    char got[8] = "-------";
    assert_int_equal(copied(test->dom0, GUEST, true, ref, 4092, abcd, 4), GNTST_okay);
    assert_memory_equal(there + 4091, "\0abcd", 5);
    assert_int_equal(copied(test->dom0, GUEST, false, ref, 4093, got, 2), GNTST_okay);
    assert_string_equal(got, "bc-----");
    assert_int_equal(copied(test->dom0, GUEST, true, ref, 4096, got, 0), GNTST_okay);
    assert_int_equal(page[0], 0);
    assert_int_equal(machine_balance(test).maps, 0);
    assert_int_equal(CALL(test->guest, grant_end, ref), 0);
    CALL(test->guest, pages_free, page, 2);
}

/* xen_ops.h grant_copy: each piece has its own status, and one that is refused keeps no other from being copied. */
static void test_copy_refuses(void **state)
{
    struct test_machine *test = *state;
    struct xen *other = machine_open(test, OTHER);
    uint8_t *page = page_of(test->guest, 1);
    grant_ref_t rw = granted(test->guest, 0, page, false);
    grant_ref_t ro = granted(test->guest, 0, page, true);
    char x = 'x';
    char got = 0;
    assert_int_equal(copied(test->dom0, GUEST, true, ro, 0, &x, 1), GNTST_general_error);
    assert_int_equal(copied(other, GUEST, false, rw, 0, &got, 1), GNTST_general_error);
    assert_int_equal(copied(test->dom0, GUEST, false, rw + 100, 0, &got, 1), GNTST_bad_gntref);
    assert_int_equal(copied(test->dom0, GUEST, false, 0xffffffff, 0, &got, 1), GNTST_bad_gntref);
    assert_int_equal(copied(test->dom0, 99, false, rw, 0, &got, 1), GNTST_bad_gntref);
    struct xen_copy seg[] = {{.ref = rw + 100, .length = 1, .local = &x},
                             {.ref = rw, .offset = 7, .length = 1, .local = &x},
                             {.ref = ro, .length = 1, .local = &x}};
    assert_int_equal(CALL(test->dom0, grant_copy, GUEST, true, 3, seg), 0);
    assert_int_equal(seg[0].status, GNTST_bad_gntref);
    assert_int_equal(seg[1].status, GNTST_okay);
    assert_int_equal(seg[2].status, GNTST_general_error);
    assert_int_equal(page[7], 'x');
    seg[1].offset = 8;
    seg[2].offset = 4096;
    assert_int_equal(CALL(test->dom0, grant_copy, GUEST, true, 3, seg), -EINVAL);
    assert_int_equal(page[8], 0);
    assert_int_equal(copied(test->dom0, GUEST, false, ro, 7, &got, 1), GNTST_okay);
    assert_int_equal(got, 'x');
    /* Each copy looks again. */
    assert_int_equal(CALL(test->guest, grant_revoke, rw), 0);
    assert_int_equal(copied(test->dom0, GUEST, true, rw, 0, &x, 1), GNTST_general_error);
    assert_int_equal(CALL(test->guest, grant_end, rw), 0);
    assert_int_equal(copied(test->dom0, GUEST, true, rw, 0, &x, 1), GNTST_bad_gntref);
    assert_int_equal(page[0], 0);
    assert_int_equal(CALL(test->guest, grant_end, ro), 0);
    CALL(test->guest, pages_free, page, 1);
    xen_close(other);
}

/* xen_ops.h close, domain_destroy: what is gone cannot be copied, also after it was; a handle that follows can. */
static void test_copy_of_the_gone(void **state)
{
    struct test_machine *test = *state;
    char got = 0;
    for (int destroy = 0; destroy < 2; destroy++) {
        struct xen *peer = machine_open(test, OTHER);
        uint8_t *page = page_of(peer, 1);
        page[0] = (uint8_t)('a' + destroy);
        grant_ref_t ref = granted(peer, 0, page, false);
        assert_int_equal(copied(test->dom0, OTHER, false, ref, 0, &got, 1), GNTST_okay);
        assert_int_equal(got, 'a' + destroy);
        if (destroy)
            assert_int_equal(test->machine->ops->domain_destroy(test->machine, OTHER), 0);
        else
            xen_close(peer);
        assert_int_equal(copied(test->dom0, OTHER, true, ref, 0, &got, 1), GNTST_bad_gntref);
        assert_int_equal(copied(test->dom0, OTHER, false, ref, 0, &got, 1), GNTST_bad_gntref);
        if (destroy)
            xen_close(peer);
    }
    char x = 'x';
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, GUEST), 0);
    struct xen_copy seg = {.ref = 9, .length = 1, .local = &x};
    assert_int_equal(CALL(test->guest, grant_copy, 0, true, 1, &seg), -EPIPE);
}

int main(void)
{
#define GRANT_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        GRANT_TEST(test_pages_are_zeroed_and_limited),
        GRANT_TEST(test_pages_find_holes),
        GRANT_TEST(test_map_shares_memory_in_order),
        GRANT_TEST(test_grant_refuses_foreign_memory),
        GRANT_TEST(test_map_by_wrong_domain),
        GRANT_TEST(test_map_readonly),
        GRANT_TEST(test_map_unused_reference),
        GRANT_TEST(test_map_all_or_nothing),
        GRANT_TEST(test_end_busy_until_last_unmap),
        GRANT_TEST(test_revoke_while_mapped),
        GRANT_TEST(test_map_limit),
        GRANT_TEST(test_references_run_out),
        GRANT_TEST(test_references_belong_to_a_handle),
        GRANT_TEST(test_map_outlives_granter),
        GRANT_TEST(test_close_unmaps),
        GRANT_TEST(test_domain_destroy_with_maps),
        GRANT_TEST(test_copy_moves_bytes),
        GRANT_TEST(test_copy_refuses),
        GRANT_TEST(test_copy_of_the_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
