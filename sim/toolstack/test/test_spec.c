// SPDX-License-Identifier: MIT
/* Goal: arguments mean what they say: decimal numbers, whole words, places on a bus; the originals' quirks on
 * demand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "toolstack/spec.h"

static void test_spec_busid(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *plain; /* NULL: refused */
        const char *compat;
    } rows[] = {
        {"1-2", "1-2", "1-2"},
        {"2-4.3.3", "2-4.3.3", "2-4.3.3"},
        {"99-99.99.99.99.99.99", "99-99.99.99.99.99.99", "99-99.99.99.99.99.99"},
        {"1,2,3", NULL, "1-2.3"},
        {"1-2.1.1.1.1.1.1", NULL, NULL}, /* deeper than USB goes */
        {"", NULL, NULL},
        {"1", NULL, NULL},
        {"1-", NULL, NULL},
        {"-1", NULL, NULL},
        {"0-1", NULL, NULL},
        {"1-0", NULL, NULL},
        {"01-2", NULL, NULL},
        {"100-1", NULL, NULL},
        {"1-2.", NULL, NULL},
        {"1.2", NULL, NULL},
        {"1-2-3", NULL, NULL},
        {"1-2:1.0", NULL, NULL},
        {" 1-2", NULL, NULL},
        {"1-2 ", NULL, NULL},
        {"usb1", NULL, NULL},
        {"1-2.3.4.5.6.7.8.9.10.11.12.13.14.15", NULL, NULL},
    };
    char out[SPEC_BUSID_SIZE];
    char error[TOOL_ERROR_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int compat = 0; compat < 2; compat++) {
            const char *expected = compat ? rows[i].compat : rows[i].plain;
            int rc = spec_busid(rows[i].text, compat, out, error);
            if (rc != (expected ? 0 : -EINVAL) || (expected && strcmp(out, expected) != 0))
                fail_msg("'%s', compat %d: %d, %s", rows[i].text, compat, rc, rc ? error : out);
            if (rc)
                assert_non_null(strstr(error, "Invalid Busid"));
        }
    }
}

static void test_spec_numbers(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", " ", "x", "-1", "+1", "1x", "0x1", "1.0", " 1", "1 ", "32", "4294967297", "99999999999999999999"};
    char error[TOOL_ERROR_MAX];
    unsigned int out;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(spec_number(wrong[i], "Port Number", 1, 31, &out, error), -EINVAL);
        assert_non_null(strstr(error, "Invalid Port Number"));
    }
    assert_int_equal(spec_number("010", "x", 1, 31, &out, error), 0);
    assert_int_equal(out, 10);
    assert_int_equal(spec_number("31", "x", 1, 31, &out, error), 0);
    assert_int_equal(out, 31);
}

/* xl reads these two with base 0 and keeps 8 bits. */
static void test_spec_device_compat(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int plain, compat; /* the address, -1: refused */
    } rows[] = {{"10", 10, 10},   {"010", 10, 8}, {"008", 8, 0},
                {"0x10", -1, 16}, {"257", -1, 1}, {"x", -1, -1}};
    char error[TOOL_ERROR_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int compat = 0; compat < 2; compat++) {
            struct device_spec spec;
            char token[32];
            spec_device_init(&spec);
            snprintf(token, sizeof(token), "hostaddr=%s", rows[i].text);
            int expected = compat ? rows[i].compat : rows[i].plain;
            int rc = spec_device_token(&spec, token, compat, error);
            if (rc != (expected < 0 ? -EINVAL : 0) || (!rc && (int)spec.address != expected))
                fail_msg("%s, compat %d: %d, address %u", token, compat, rc, spec.address);
        }
    }
}

static void test_spec_controller(void **state)
{
    (void)state;
    struct controller_spec c;
    char error[TOOL_ERROR_MAX];
    assert_int_equal(spec_controller("type=PV, version=1,ports=31,backend=usbdom", &c, error), 0);
    assert_int_equal(c.type, CONTROLLER_PV);
    assert_int_equal(c.version, 1);
    assert_int_equal(c.ports, 31);
    assert_string_equal(c.backend, "usbdom");
    assert_int_equal(spec_controller("ports=0", &c, error), 0);
    assert_int_equal(c.ports, 8); /* as libxl */
    assert_int_equal(spec_controller("ports=-1", &c, error), -EINVAL);
    assert_int_equal(spec_controller("version=", &c, error), -EINVAL);
    assert_int_equal(spec_controller("backend=", &c, error), -EINVAL);
    assert_int_equal(spec_controller("typ=pv", &c, error), -EINVAL);
}

static void test_spec_guest_name(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "1",
                                        "007",
                                        "a/b",
                                        "a b",
                                        "-a",
                                        ".",
                                        "..",
                                        "Domain-3",
                                        "\xc3\xa4",
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    static const char *const right[] = {"guest_A", "a", "7up", "A.b:c+d-e"};
    char error[TOOL_ERROR_MAX];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(spec_guest_name(wrong[i], error), -EINVAL);
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        assert_int_equal(spec_guest_name(right[i], error), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spec_busid),         cmocka_unit_test(test_spec_numbers),
        cmocka_unit_test(test_spec_device_compat), cmocka_unit_test(test_spec_controller),
        cmocka_unit_test(test_spec_guest_name),
    };
    return cmocka_run_group_tests_name("toolstack: arguments", tests, NULL, NULL);
}
