// SPDX-License-Identifier: MIT
/* Goal: xengnttab_grant_copy(): what is copied, what ends the call, and what is the status of one segment. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "xen_lab.h"

struct bed {
    xengntshr_handle *xgs;
    xengnttab_handle *xgt;
    uint8_t *pages; /* of domain 1: for all, read-only, for domain 2 */
    uint8_t *readonly;
    uint32_t open;
    uint32_t closed; /* read-only */
    uint32_t foreign;
};

static int set_up(void **state)
{
    static struct bed bed;
    bed.xgs = shr_of(1);
    bed.xgt = tab_of(0);
    bed.pages = xengntshr_share_pages(bed.xgs, 0, 1, &bed.open, 1);
    bed.readonly = xengntshr_share_pages(bed.xgs, 0, 1, &bed.closed, 0);
    assert_non_null(bed.pages);
    assert_non_null(bed.readonly);
    assert_non_null(xengntshr_share_pages(bed.xgs, 2, 1, &bed.foreign, 1));
    for (size_t i = 0; i < PAGE; i++) {
        bed.pages[i] = (uint8_t)(i * 7);
        bed.readonly[i] = (uint8_t)(i * 11);
    }
    *state = &bed;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *bed = *state;
    xengnttab_close(bed->xgt);
    xengntshr_close(bed->xgs);
    return 0;
}

static xengnttab_grant_copy_segment_t from(uint32_t ref, size_t offset, void *to, size_t len)
{
    return (xengnttab_grant_copy_segment_t){
        .source.foreign = {.ref = ref, .offset = (uint16_t)offset, .domid = 1},
        .dest.virt = to,
        .len = (uint16_t)len,
        .flags = GNTCOPY_source_gref,
        .status = 99};
}

static xengnttab_grant_copy_segment_t to(uint32_t ref, size_t offset, void *source, size_t len)
{
    return (xengnttab_grant_copy_segment_t){
        .source.virt = source,
        .dest.foreign = {.ref = ref, .offset = (uint16_t)offset, .domid = 1},
        .len = (uint16_t)len,
        .flags = GNTCOPY_dest_gref,
        .status = 99};
}

static void test_copies(void **state)
{
    struct bed *bed = *state;
    uint8_t in[2 * PAGE] = {0};
    uint8_t out[100];
    memset(out, 200, sizeof(out));
    xengnttab_grant_copy_segment_t both = from(bed->closed, PAGE - 50, NULL, 50);
    both.flags |= GNTCOPY_dest_gref;
    both.dest.foreign.ref = bed->open;
    both.dest.foreign.domid = 1;
    both.dest.foreign.offset = 2000;
    xengnttab_grant_copy_segment_t segs[] = {
        from(bed->open, 0, in, PAGE),
        from(bed->closed, 100, in + PAGE, 1000), /* ours may cross pages */
        to(bed->open, PAGE - 100, out, 100),
        both,
    };
    assert_int_equal(xengnttab_grant_copy(bed->xgt, 4, segs), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(segs[i].status, GNTST_okay);
    for (size_t i = 0; i < PAGE; i++)
        assert_int_equal(in[i], (uint8_t)(i * 7));
    assert_memory_equal(in + PAGE, bed->readonly + 100, 1000);
    assert_memory_equal(bed->pages + PAGE - 100, out, 100);
    assert_memory_equal(bed->pages + 2000, bed->readonly + PAGE - 50, 50);
    /* The question whether there is such a call at all. */
    assert_int_equal(xengnttab_grant_copy(bed->xgt, 0, NULL), 0);
}

/* What the hypervisor refuses is the status of one segment; the others are copied. */
static void test_statuses(void **state)
{
    struct bed *bed = *state;
    uint8_t buffer[16] = {1, 2, 3};
    xengnttab_grant_copy_segment_t wrong = from(bed->open, 0, buffer, 8);
    wrong.source.foreign.domid = DOMID_XEN;
    xengnttab_grant_copy_segment_t self = from(bed->open, 0, buffer, 8);
    self.source.foreign.domid = DOMID_SELF;
    const struct {
        xengnttab_grant_copy_segment_t seg;
        int16_t status;
    } rows[] = {
        {to(bed->closed, 0, buffer, 8), GNTST_general_error},
        {from(bed->foreign, 0, buffer, 8), GNTST_general_error},
        {from(bed->foreign + 90, 0, buffer, 8), GNTST_bad_gntref},
        {from(UINT32_MAX, 0, buffer, 8), GNTST_bad_gntref},
        {wrong, GNTST_bad_domain},
        {self, GNTST_bad_gntref},
        {from(bed->foreign, 0, buffer, 0), GNTST_okay}, /* nothing to copy: nobody asks */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t last = 0;
        xengnttab_grant_copy_segment_t segs[] = {rows[i].seg, from(bed->open, 5, &last, 1)};
        memset(buffer, 3, sizeof(buffer));
        assert_int_equal(xengnttab_grant_copy(bed->xgt, 2, segs), 0);
        assert_int_equal(segs[0].status, rows[i].status);
        assert_int_equal(buffer[0], 3);
        assert_int_equal(segs[1].status, GNTST_okay);
        assert_int_equal(last, 35);
    }
    assert_int_equal(bed->readonly[1], 11);
}

/* What can be no copy ends the call. */
static void test_refused(void **state)
{
    struct bed *bed = *state;
    uint8_t buffer[16] = {0};
    xengnttab_grant_copy_segment_t local = to(bed->open, 0, buffer, 8);
    local.flags = 0;
    xengnttab_grant_copy_segment_t both = from(bed->open, 0, NULL, 8);
    both.flags |= GNTCOPY_dest_gref;
    both.dest.foreign.ref = bed->open;
    both.dest.foreign.domid = 1;
    both.dest.foreign.offset = PAGE - 7;
    static const char constant[16] = "constant";
    uint8_t *half = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(half, MAP_FAILED);
    assert_int_equal(mprotect(half + PAGE, PAGE, PROT_NONE), 0);
    const struct {
        xengnttab_grant_copy_segment_t seg;
        int error;
    } rows[] = {
        {local, EINVAL},
        {both, EINVAL},
        {from(bed->open, PAGE - 7, buffer, 8), EINVAL},
        {to(bed->open, PAGE - 7, buffer, 8), EINVAL},
        {from(bed->open, UINT16_MAX, buffer, 1), EINVAL},
        {from(bed->open, 1, buffer, UINT16_MAX), EINVAL},
        {from(bed->open, 0, (void *)8, 8), EFAULT},
        {from(bed->open, 0, (void *)(uintptr_t)constant, 8), EFAULT},
        {to(bed->open, 0, (void *)8, 8), EFAULT},
        {from(bed->open, 0, half + PAGE - 4, 8), EFAULT}, /* the second half is not there */
        {to(bed->open, 0, half + PAGE - 4, 8), EFAULT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        xengnttab_grant_copy_segment_t seg = rows[i].seg;
        errno = 0;
        assert_int_equal(xengnttab_grant_copy(bed->xgt, 1, &seg), -1);
        assert_int_equal(errno, rows[i].error);
    }
    munmap(half, 2 * PAGE);
    /* Nothing stays mapped after any of it. */
    xengnttab_set_max_grants(bed->xgt, 1);
    assert_non_null(xengnttab_map_grant_ref(bed->xgt, 1, bed->open, PROT_READ));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_copies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_statuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
