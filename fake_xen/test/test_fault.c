// SPDX-License-Identifier: MIT
/* Accesses that must fault. Each test is a process of its own, which is expected to die of SIGSEGV. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>

#include "machine.h"

struct setting {
    struct test_machine test;
    uint8_t *page;
    grant_ref_t ref;
    void *map;
};

static void check_zero(int rc)
{
    ck_assert_int_eq(rc, 0);
}

static void set_up(struct setting *s, bool readonly, bool writable)
{
    void *page = NULL;
    struct xen_machine *machine;
    machine_begin(&s->test);
    machine = s->test.machine;
    check_zero(machine->ops->domain_create(machine, GUEST));
    check_zero(machine->ops->open(machine, 0, &s->test.dom0));
    check_zero(machine->ops->open(machine, GUEST, &s->test.guest));
    check_zero(CALL(s->test.guest, pages_alloc, 1, &page));
    s->page = page;
    check_zero(CALL(s->test.guest, grant, 0, page, readonly, &s->ref));
    check_zero(CALL(s->test.dom0, grant_map, GUEST, 1, &s->ref, writable, &s->map));
    /* A sanitizer's own handler would turn the signal into an exit. */
    signal(SIGSEGV, SIG_DFL);
}

/* xen_ops.h grant_map: with writable false a write faults; a read before it did not. */
START_TEST(test_write_to_readonly_map)
{
    struct setting s;
    set_up(&s, false, false);
    ck_assert_int_eq(*(volatile uint8_t *)s.map, 0);
    *(volatile uint8_t *)s.map = 1;
}
END_TEST

/* xen_ops.h grant_unmap: the addresses fault afterwards. */
START_TEST(test_read_after_unmap)
{
    struct setting s;
    set_up(&s, false, true);
    *(volatile uint8_t *)s.map = 1;
    check_zero(CALL(s.test.dom0, grant_unmap, s.map, 1));
    (void)*(volatile uint8_t *)s.map;
}
END_TEST

/* The control: what the tests above do before they fault does not fault. */
START_TEST(test_write_to_writable_map)
{
    struct setting s;
    set_up(&s, false, true);
    *(volatile uint8_t *)s.map = 1;
    ck_assert_int_eq(s.page[0], 1);
    check_zero(CALL(s.test.dom0, grant_unmap, s.map, 1));
    check_zero(CALL(s.test.guest, grant_end, s.ref));
    CALL(s.test.guest, pages_free, s.page, 1);
    xen_close(s.test.dom0);
    xen_close(s.test.guest);
    machine_finish(&s.test);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fault");
    TCase *tests = tcase_create("map");
    tcase_add_test_raise_signal(tests, test_write_to_readonly_map, SIGSEGV);
    tcase_add_test_raise_signal(tests, test_read_after_unmap, SIGSEGV);
    tcase_add_test(tests, test_write_to_writable_map);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
