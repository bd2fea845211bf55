// SPDX-License-Identifier: MIT
/* Goal: what a toolstack writes is read strictly, and a bad value can be made good. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "back_lab.h"

#define BACK "/local/domain/0/backend/qusb/1/0"

static void set_back(struct lab *lab, const char *node, const char *value)
{
    char path[128];
    snprintf(path, sizeof(path), BACK "/%s", node);
    rig_set_node(&lab->rig, path, value);
}

static void remove_node(struct lab *lab, const char *path)
{
    assert_int_equal(lab->rig.dom0->ops->xs_rm(lab->rig.dom0, XEN_XBT_NIL, path), 0);
}

static void expect_state(struct lab *lab, const char *state)
{
    lab_run(lab);
    assert_string_equal(lab_back_state(lab), state);
}

/*
 * XS-06, XS-07, XS-12, BUS-02, BUS-03: state after the backend has seen them, and after the value is made
 * good.
 */
static void test_nodes_values(void **state)
{
    static const struct {
        const char *node, *value, *after, *repaired, *good;
    } cases[] = {
        {"num-ports", "1", "2", "2", "4"},      {"num-ports", "31", "2", "2", "4"},
        {"num-ports", "0", "1", "2", "4"},      {"num-ports", "32", "1", "2", "4"},
        {"num-ports", "-1", "1", "2", "4"},     {"num-ports", "x", "1", "2", "4"},
        {"num-ports", "", "1", "2", "4"},       {"num-ports", NULL, "1", "2", "4"},
        {"num-ports", " 4", "1", "2", "4"},     {"num-ports", "4294967300", "1", "2", "4"},
        {"usb-ver", "1", "2", "2", "2"},        {"usb-ver", "2", "2", "2", "2"},
        {"usb-ver", "0", "1", "2", "2"},        {"usb-ver", "3", "1", "2", "2"},
        {"usb-ver", NULL, "1", "2", "2"},       {"online", "0", "1", "2", "1"},
        {"online", NULL, "2", "2", "1"},        {"state", NULL, "", "2", "1"},
        {"state", "2", "2", "2", "2"},          {"state", "x", "x", "2", "1"},
        {"state", "0", "0", "2", "1"},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab lab;
        char path[128];
        print_message("%s %s\n", cases[i].node, cases[i].value ? cases[i].value : "absent");
        lab_init(&lab, 2, 4);
        snprintf(path, sizeof(path), BACK "/%s", cases[i].node);
        if (cases[i].value)
            rig_set_node(&lab.rig, path, cases[i].value);
        else
            remove_node(&lab, path);
        rig_start_back(&lab.rig);
        expect_state(&lab, cases[i].after);
        bool stuck = strcmp(cases[i].after, "2") != 0;
        if (stuck && strcmp(cases[i].node, "online") != 0)
            assert_non_null(strstr(lab.rig.log, cases[i].node));
        size_t logged = strlen(lab.rig.log);
        set_back(&lab, "unknown-node", "1"); /* rules XS-14, XS-17: looked at again, said once */
        lab_run(&lab);
        assert_int_equal(strlen(lab.rig.log), logged);
        rig_set_node(&lab.rig, path, cases[i].good);
        expect_state(&lab, cases[i].repaired);
        lab_dispose(&lab);
    }
}

/* XS-15. */
static void test_nodes_hotplug_status(void **state)
{
    struct lab lab;
    (void)state;
    lab_init(&lab, 2, 4);
    rig_start_back(&lab.rig);
    lab_run(&lab);
    assert_string_equal(rig_node(&lab.rig, BACK "/hotplug-status"), "connected");
    assert_int_equal(lab_maps(&lab), 0);
    lab_dispose(&lab);
}

/* XS-06, CONN-07: the whole range of ports, first and last. */
static void test_nodes_port_counts(void **state)
{
    static const unsigned int counts[] = {1, 31};
    (void)state;
    for (unsigned int i = 0; i < 2; i++) {
        struct lab lab;
        lab_ready(&lab, counts[i]);
        if (counts[i] == 31) {
            lab_plug(&lab, 31, "1-31", USBIF_SPEED_LOW);
            lab_expect_event(&lab, 31, USBIF_SPEED_LOW);
            lab_set_address(&lab, 0, 31, 127);
            struct usbif_urb_request request = raw_request(1, RAW_PIPE(RAW_INT, 127, 15, 1));
            lab_send(&lab, &request);
            lab_complete(&lab, 0, 0, NULL, 0);
            lab_expect(&lab, 1, 0, 0);
        } else {
            set_back(&lab, "port/2", "1-2"); /* TOOL-06: nobody looks there */
            scripted_host_plug(&lab.rig.host, "1-2", USBIF_SPEED_LOW);
            lab_run(&lab);
            lab_expect_no_event(&lab);
            assert_false(lab.rig.host.open[1]);
        }
        lab_check_alive(&lab, 0);
        lab_dispose(&lab);
    }
}

/* XS-08, XS-09, HOT-09, HOT-10: names as a toolstack may write them. */
static void test_nodes_port_names(void **state)
{
    static const char *const bad[] = {
        "nodash", "-", "3-", "9-9", "3-1.5.1.5.1.5.1.5.1.5.1.5.1.5.1.5.1.5.1.5"};
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        lab.rig.log[0] = '\0';
        set_back(&lab, "port/2", bad[i]);
        lab_run(&lab);
        assert_non_null(strstr(lab.rig.log, "port 2"));
        lab_expect_no_event(&lab); /* rule CONN-18 */
    }
    scripted_host_plug(&lab.rig.host, "3-1.5", USBIF_SPEED_FULL);
    set_back(&lab, "port/2", "3-1.5");
    lab_run(&lab);
    lab_expect_event(&lab, 2, USBIF_SPEED_FULL);
    remove_node(&lab, BACK "/port/2"); /* rule XS-08: stays as it was */
    lab_run(&lab);
    lab_expect_no_event(&lab);
    set_back(&lab, "port/2", bad[4]); /* another device is wanted, whatever it is */
    lab_run(&lab);
    lab_expect_event(&lab, 2, 0);
    char prefix[32]; /* a name cut off to what fits is another name */
    snprintf(prefix, sizeof(prefix), "%.31s", bad[4]);
    scripted_host_plug(&lab.rig.host, prefix, USBIF_SPEED_FULL);
    lab_run(&lab);
    lab_expect_no_event(&lab);
    set_back(&lab, "port/2", "1-1"); /* rule HOT-09: taken by port 1 */
    lab_run(&lab);
    lab_expect_no_event(&lab);
    assert_non_null(strstr(lab.rig.log, "in use elsewhere"));
    set_back(&lab, "port/1", ""); /* the write itself is the occasion to try again (rule HOT-10) */
    lab_run(&lab);
    lab_expect_event(&lab, 1, 0);
    lab_expect_event(&lab, 2, USBIF_SPEED_HIGH);
    set_back(&lab, "port/2", ""); /* from a higher port to a lower one at once */
    set_back(&lab, "port/1", "1-1");
    lab_run(&lab);
    lab_expect_event(&lab, 2, 0);
    lab_expect_event(&lab, 1, USBIF_SPEED_HIGH);
    lab_expect_no_event(&lab);
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_values),
        cmocka_unit_test(test_nodes_hotplug_status),
        cmocka_unit_test(test_nodes_port_counts),
        cmocka_unit_test(test_nodes_port_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
