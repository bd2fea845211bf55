// SPDX-License-Identifier: MIT
/* Goal: libxengnttab as its header has it: who may map what, and what is left when it ends. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xen_lab.h"

#define BOTH (PROT_READ | PROT_WRITE)

static void test_share_and_map(void **state)
{
    (void)state;
    uint32_t refs[3];
    xengntshr_handle *xgs = shr_of(1);
    xengnttab_handle *xgt = tab_of(0);
    uint8_t *shared = xengntshr_share_pages(xgs, 0, 3, refs, 1);
    assert_non_null(shared);
    for (size_t i = 0; i < 3 * PAGE; i++)
        assert_int_equal(shared[i], 0);
    for (unsigned int i = 0; i < 3; i++)
        memset(shared + i * PAGE, (int)(i + 1), PAGE);
    /* In another order than they were granted. */
    uint32_t turned[] = {refs[2], refs[0], refs[1]};
    uint8_t *mapped = xengnttab_map_domain_grant_refs(xgt, 3, 1, turned, BOTH);
    assert_non_null(mapped);
    assert_int_equal(mapped[0], 3);
    assert_int_equal(mapped[PAGE], 1);
    assert_int_equal(mapped[3 * PAGE - 1], 2);
    mapped[PAGE + 7] = 99;
    assert_int_equal(shared[7], 99);
    assert_int_equal(xengnttab_unmap(xgt, mapped, 3), 0);
    for (unsigned int i = 0; i < 3; i++)
        assert_false(can_read(mapped + i * PAGE));
    assert_int_equal(xengntshr_unshare(xgs, shared, 3), 0);
    assert_false(can_read(shared));
    assert_null(xengnttab_map_grant_ref(xgt, 1, refs[0], BOTH));
    xengnttab_close(xgt);
    xengntshr_close(xgs);
}

/* What is unshared while it is mapped stays with who maps it, and no one is given it again. */
static void test_unshare_while_mapped(void **state)
{
    (void)state;
    uint32_t ref;
    uint32_t other;
    xengntshr_handle *xgs = shr_of(1);
    xengnttab_handle *xgt = tab_of(0);
    uint8_t *shared = xengntshr_share_pages(xgs, 0, 1, &ref, 1);
    assert_non_null(shared);
    uint8_t *mapped = xengnttab_map_grant_ref(xgt, 1, ref, BOTH);
    assert_non_null(mapped);
    mapped[5] = 55;
    assert_int_equal(xengntshr_unshare(xgs, shared, 1), 0);
    assert_false(can_read(shared));
    uint8_t *again = xengntshr_share_pages(xgs, 0, 1, &other, 1);
    assert_non_null(again);
    assert_int_equal(mapped[5], 55);
    memset(again, 77, PAGE);
    assert_int_equal(mapped[5], 55);
    assert_int_equal(xengnttab_unmap(xgt, mapped, 1), 0);
    /* With the next call it ends. */
    assert_int_equal(xengntshr_unshare(xgs, again, 1), 0);
    assert_null(xengnttab_map_grant_ref(xgt, 1, ref, PROT_READ));
    xengntshr_close(xgs);
    xengnttab_close(xgt);
}

static void test_read_only(void **state)
{
    (void)state;
    uint32_t ref;
    xengntshr_handle *xgs = shr_of(1);
    xengnttab_handle *xgt = tab_of(0);
    uint8_t *shared = xengntshr_share_pages(xgs, 0, 1, &ref, 0);
    assert_non_null(shared);
    shared[0] = 1;
    errno = 0;
    assert_null(xengnttab_map_grant_ref(xgt, 1, ref, BOTH));
    assert_int_equal(errno, EINVAL);
    uint8_t *mapped = xengnttab_map_grant_ref(xgt, 1, ref, PROT_READ);
    assert_non_null(mapped);
    assert_int_equal(mapped[0], 1);
    assert_false(can_write(mapped));
    xengnttab_close(xgt);
    assert_false(can_read(mapped));
    xengntshr_close(xgs);
    assert_false(can_read(shared));
}

static void test_domains_in_one_window(void **state)
{
    (void)state;
    uint32_t refs[4];
    uint32_t domids[] = {1, 2, 2, 1};
    xengntshr_handle *one = shr_of(1);
    xengntshr_handle *two = shr_of(2);
    xengnttab_handle *xgt = tab_of(0);
    uint8_t *pages[2] = {xengntshr_share_pages(one, 0, 2, refs, 1),
                         xengntshr_share_pages(two, 0, 2, refs + 2, 1)};
    assert_non_null(pages[0]);
    assert_non_null(pages[1]);
    pages[0][0] = 10;
    pages[0][PAGE] = 11;
    pages[1][0] = 20;
    pages[1][PAGE] = 21;
    uint32_t mixed[] = {refs[0], refs[2], refs[3], refs[1]};
    const uint8_t *mapped = xengnttab_map_grant_refs(xgt, 4, domids, mixed, BOTH);
    assert_non_null(mapped);
    const uint8_t expected[] = {10, 20, 21, 11};
    for (unsigned int i = 0; i < 4; i++)
        assert_int_equal(mapped[i * PAGE], expected[i]);
    assert_int_equal(xengnttab_unmap(xgt, (void *)(uintptr_t)mapped, 4), 0);
    /* One domain is wrong: nothing is mapped at all. */
    assert_int_equal(xengnttab_set_max_grants(xgt, 4), 0);
    domids[3] = 2;
    assert_null(xengnttab_map_grant_refs(xgt, 4, domids, mixed, BOTH));
    domids[3] = 1;
    mapped = xengnttab_map_grant_refs(xgt, 4, domids, mixed, BOTH);
    assert_non_null(mapped);
    xengnttab_close(xgt);
    xengntshr_close(two);
    xengntshr_close(one);
}

static void test_refused_maps(void **state)
{
    (void)state;
    uint32_t for_two;
    uint32_t refs[2];
    xengntshr_handle *xgs = shr_of(1);
    xengnttab_handle *xgt = tab_of(0);
    assert_non_null(xengntshr_share_pages(xgs, 2, 1, &for_two, 1));
    void *shared = xengntshr_share_pages(xgs, 0, 2, refs, 1);
    assert_non_null(shared);
    const struct {
        uint32_t domid;
        uint32_t ref;
        uint32_t count;
    } rows[] = {
        {1, for_two, 1},      {2, refs[0], 1},    {77, refs[0], 1},         {1, 5, 1},
        {1, refs[1] + 50, 1}, {1, UINT32_MAX, 1}, {DOMID_XEN, refs[0], 1},  {UINT32_MAX, refs[0], 1},
        {1, refs[0], 0},      {0, refs[0], 1},    {DOMID_SELF, refs[0], 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t ref = rows[i].ref;
        errno = 0;
        assert_null(xengnttab_map_domain_grant_refs(xgt, rows[i].count, rows[i].domid, &ref, BOTH));
        assert_int_equal(errno, EINVAL);
    }
    assert_int_equal(xengnttab_set_max_grants(xgt, 1), 0);
    assert_null(xengnttab_map_domain_grant_refs(xgt, 2, 1, refs, BOTH));
    assert_int_equal(errno, ENOSPC);
    uint8_t *mapped = xengnttab_map_grant_ref(xgt, 1, refs[0], BOTH);
    assert_non_null(mapped);
    errno = 0;
    assert_int_equal(xengnttab_unmap(xgt, mapped, 2), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(xengnttab_unmap(xgt, mapped + PAGE, 1), -1);
    assert_int_equal(xengnttab_unmap(xgt, NULL, 1), -1);
    assert_int_equal(xengnttab_unmap(xgt, mapped, 1), 0);
    assert_int_equal(xengnttab_unmap(xgt, mapped, 1), -1);
    assert_int_equal(xengntshr_unshare(xgs, shared, 1), -1);
    assert_int_equal(xengntshr_unshare(xgs, NULL, 2), -1);
    assert_int_equal(xengntshr_unshare(xgs, shared, 2), 0);
    assert_int_equal(xengntshr_unshare(xgs, shared, 2), -1);
    assert_null(xengntshr_share_pages(xgs, 0, 0, refs, 1));
    assert_null(xengntshr_share_pages(xgs, 0, -1, refs, 1));
    assert_null(xengntshr_share_pages(xgs, 0, INT32_MAX, refs, 1));
    xengnttab_close(xgt);
    xengntshr_close(xgs);
}

/* After fork() the child may close what it inherited, and the parent goes on. */
static void test_closed_in_child(void **state)
{
    (void)state;
    uint32_t ref;
    xengntshr_handle *xgs = shr_of(1);
    xengnttab_handle *xgt = tab_of(0);
    uint8_t *shared = xengntshr_share_pages(xgs, 0, 1, &ref, 1);
    assert_non_null(shared);
    uint8_t *mapped = xengnttab_map_grant_ref(xgt, 1, ref, BOTH);
    assert_non_null(mapped);
    int pid = fork();
    if (!pid) {
        int bad = xengnttab_close(xgt) || xengntshr_close(xgs) || can_read(mapped) || can_read(shared);
        _exit(bad);
    }
    assert_int_equal(child_ended(pid), 0);
    shared[1] = 12;
    assert_int_equal(mapped[1], 12);
    uint8_t *second = xengnttab_map_grant_ref(xgt, 1, ref, BOTH);
    assert_non_null(second);
    assert_int_equal(second[1], 12);
    assert_int_equal(xengnttab_unmap(xgt, second, 1), 0);
    assert_int_equal(xengnttab_unmap(xgt, mapped, 1), 0);
    assert_int_equal(xengntshr_unshare(xgs, shared, 1), 0);
    xengnttab_close(xgt);
    xengntshr_close(xgs);
}

static void test_descriptors_and_stubs(void **state)
{
    (void)state;
    uint32_t value = 0;
    xengnttab_handle *xgt = tab_of(0);
    xengntshr_handle *xgs = shr_of(1);
    assert_true(fcntl(xengnttab_fd(xgt), F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(xengntshr_fd(xgs), F_GETFD) & FD_CLOEXEC);
    assert_int_equal(xengnttab_dmabuf_exp_from_refs(xgt, 1, 0, 1, &value, &value), -1);
    assert_int_equal(errno, ENOSYS);
    assert_int_equal(xengnttab_close(NULL), 0);
    xengntshr_close(xgs);
    xengnttab_close(xgt);
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS  300

struct shop {
    xengntshr_handle *xgs;
    xengnttab_handle *xgt;
    int bad;
};

static void *map_and_copy(void *context)
{
    struct shop *shop = context;
    for (unsigned int i = 0; i < ROUNDS; i++) {
        uint32_t refs[2];
        uint8_t *shared = xengntshr_share_pages(shop->xgs, 0, 2, refs, 1);
        uint8_t *mapped = shared ? xengnttab_map_domain_grant_refs(shop->xgt, 2, 1, refs, BOTH) : NULL;
        uint8_t value = 0;
        xengnttab_grant_copy_segment_t seg = {.source.foreign = {.ref = refs[1], .domid = 1},
                                              .dest.virt = &value,
                                              .len = 1,
                                              .flags = GNTCOPY_source_gref};
        if (!mapped) {
            __atomic_fetch_add(&shop->bad, 1, __ATOMIC_RELAXED);
            break;
        }
        shared[PAGE] = (uint8_t)i;
        int bad = mapped[PAGE] != (uint8_t)i || xengnttab_grant_copy(shop->xgt, 1, &seg) || seg.status ||
                  value != (uint8_t)i || xengnttab_unmap(shop->xgt, mapped, 2) ||
                  xengntshr_unshare(shop->xgs, shared, 2);
        __atomic_fetch_add(&shop->bad, bad, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct shop shop = {.xgs = shr_of(1), .xgt = tab_of(0)};
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, map_and_copy, &shop), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shop.bad, 0);
    xengnttab_close(shop.xgt);
    xengntshr_close(shop.xgs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_and_map),
        cmocka_unit_test(test_unshare_while_mapped),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_domains_in_one_window),
        cmocka_unit_test(test_refused_maps),
        cmocka_unit_test(test_closed_in_child),
        cmocka_unit_test(test_descriptors_and_stubs),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
