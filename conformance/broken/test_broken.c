// SPDX-License-Identifier: MIT
/* The list of faults, and switching them on. That each is found is the business of the conformance cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broken.h"

static unsigned int count(const char *group)
{
    unsigned int n = 0;
    for (unsigned int i = 0; broken_faults[i].name; i++)
        n += strncmp(broken_faults[i].name, group, strlen(group)) == 0;
    return n;
}

static void test_enough_faults_of_both_halves(void **state)
{
    (void)state;
    assert_true(count("backend.") >= 80);
    assert_true(count("frontend.") >= 70);
    assert_true(count("ring.") >= 8);
    assert_true(count("urb.") >= 20);
    assert_true(count("xenbus.") >= 4);
    assert_true(count("toolstack.") >= 14);
    printf("%u faults\n", count(""));
}

static void test_names_and_reasons_are_unique(void **state)
{
    (void)state;
    for (unsigned int i = 0; broken_faults[i].name; i++) {
        const struct broken_fault *fault = &broken_faults[i];
        assert_int_equal(strspn(fault->name, "abcdefghijklmnopqrstuvwxyz0123456789.-"), strlen(fault->name));
        assert_non_null(strchr(fault->name, '.'));
        for (unsigned int k = 0; k < i; k++)
            assert_string_not_equal(fault->name, broken_faults[k].name);
    }
}

static void test_one_is_on_at_a_time(void **state)
{
    (void)state;
    assert_int_equal(broken_on, 0);
    for (unsigned int i = 0; broken_faults[i].name; i++) {
        assert_true(broken_switch_on(broken_faults[i].name));
        assert_int_equal(broken_on, i + 1);
        assert_true(BROKEN(i + 1));
        assert_false(BROKEN(i + 2));
    }
    assert_false(broken_switch_on("backend.no-such-fault"));
    assert_int_equal(broken_on, 0);
    assert_true(broken_switch_on(broken_faults[0].name));
    assert_true(broken_switch_on(NULL));
    assert_int_equal(broken_on, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enough_faults_of_both_halves),
        cmocka_unit_test(test_names_and_reasons_are_unique),
        cmocka_unit_test(test_one_is_on_at_a_time),
    };
    return cmocka_run_group_tests_name("broken", tests, NULL, NULL);
}
