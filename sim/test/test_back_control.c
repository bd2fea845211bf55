// SPDX-License-Identifier: MIT
/*
 * Goal: control requests go to the device, to the host's stack or nowhere, and addresses are the guest's own.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "back_lab.h"

#define DEV LAB_ADDRESS

/* CTL-09 to CTL-11: what the host's stack must know, and what looks like it but is not. */
static void test_control_conveyed(void **state)
{
    static const struct {
        uint8_t setup[8];
        const char *log;
    } cases[] = {
        {{0x00, 9, 1, 0, 0, 0, 0, 0}, "set_configuration 1; "},
        {{0x00, 9, 0, 0, 0, 0, 0, 0}, "set_configuration 0; "},
        {{0x00, 9, 255, 0, 0, 0, 0, 0}, "set_configuration 255; "},
        {{0x01, 11, 2, 0, 1, 0, 0, 0}, "set_interface 1 2; "},
        {{0x01, 11, 0, 0, 255, 0, 0, 0}, "set_interface 255 0; "},
        {{0x02, 1, 0, 0, 0x81, 0, 0, 0}, "clear_halt 81; "},
        {{0x02, 1, 0, 0, 0x00, 0, 0, 0}, "clear_halt 00; "},
        {{0x40, 9, 1, 0, 0, 0, 0, 0}, "submit ep 0 control out 0; "}, /* vendor */
        {{0x20, 9, 1, 0, 0, 0, 0, 0}, "submit ep 0 control out 0; "}, /* class */
        {{0x01, 9, 1, 0, 0, 0, 0, 0}, "submit ep 0 control out 0; "}, /* to an interface */
        {{0x21, 11, 2, 0, 1, 0, 0, 0}, "submit ep 0 control out 0; "}, /* HID SET_PROTOCOL */
        {{0x00, 11, 2, 0, 1, 0, 0, 0}, "submit ep 0 control out 0; "},
        {{0x81, 11, 2, 0, 1, 0, 0, 0}, "submit ep 0 control in 0; "},
        {{0x02, 1, 1, 0, 0x81, 0, 0, 0}, "submit ep 0 control out 0; "}, /* another feature */
        {{0x02, 1, 0, 1, 0x81, 0, 0, 0}, "submit ep 0 control out 0; "},
        {{0x00, 1, 0, 0, 0x81, 0, 0, 0}, "submit ep 0 control out 0; "}, /* of the device */
        {{0x02, 3, 0, 0, 0x81, 0, 0, 0}, "submit ep 0 control out 0; "}, /* SET_FEATURE */
        {{0x01, 11, 2, 1, 1, 0, 0, 0}, ""},
        {{0x01, 11, 2, 0, 1, 1, 0, 0}, ""},
        {{0x02, 1, 0, 0, 0x81, 1, 0, 0}, ""},
    };
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct usbif_urb_request request = raw_control((uint16_t)i, DEV, cases[i].setup);
        scripted_host_clear_log(&lab.rig.host);
        lab_send(&lab, &request);
        assert_string_equal(lab.rig.host.log, cases[i].log);
        if (cases[i].log[0]) {
            assert_memory_equal(lab.rig.host.held[0]->setup, cases[i].setup, 8);
            lab_complete(&lab, 0, i % 2 ? 0 : -EPIPE, NULL, 0);
            lab_expect(&lab, (uint16_t)i, i % 2 ? 0 : -32, 0); /* CTL-11: the host's own word */
        } else {
            lab_expect(&lab, (uint16_t)i, -32, 0);
        }
    }
    lab_dispose(&lab);
}

/*
 * CTL-01: a data stage each way, at any offset; the direction may be either without one, as Linux sends it.
 */
static void test_control_data(void **state)
{
    static const uint8_t get[8] = {0xc1, 0x22, 0x34, 0x12, 0x78, 0x56, 18, 0};
    static const uint8_t set[8] = {0x21, 0x09, 0, 2, 1, 0, 8, 0};
    static const uint8_t none[8] = {0xc0, 3, 0, 0, 0, 0, 0, 0};
    uint8_t seen[8];
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    struct usbif_urb_request request = raw_control(1, DEV, get);
    raw_buffer(f, &request, 4090, 18);
    lab_send(&lab, &request);
    assert_memory_equal(lab.rig.host.held[0]->setup, get, 8);
    lab_complete(&lab, 0, 0, "0123456789abcdefgh", 18);
    lab_expect(&lab, 1, 0, 18);
    assert_memory_equal(f->page + 4090, "0123456789abcdefgh", 18);
    request = raw_control(2, DEV, set);
    raw_buffer(f, &request, 4092, 8);
    lab_send(&lab, &request);
    assert_int_equal(host_urb_read(lab.rig.host.held[0], 0, seen, 8), 8);
    assert_memory_equal(seen, "23456789", 8);
    lab_complete(&lab, 0, 0, NULL, 8);
    lab_expect(&lab, 2, 0, 8);
    for (uint32_t in = 0; in < 2; in++) {
        request = raw_control(3, DEV, none);
        request.pipe = RAW_PIPE(RAW_CTRL, DEV, 0, in);
        lab_send(&lab, &request);
        lab_complete(&lab, 0, 0, NULL, 0);
        lab_expect(&lab, 3, 0, 0);
    }
    lab_dispose(&lab);
}

/* ---- addresses ---- */

struct move {
    uint32_t device;  /* the pipe's */
    uint32_t port;
    uint16_t address; /* asked for */
    int32_t status;
    const char *map;  /* who answers at 1..9 afterwards: port digits, '.' for nobody */
};

static void check_map(struct lab *lab, const char *map)
{
    for (uint32_t address = 1; address <= 9; address++) {
        struct usbif_urb_request request = raw_request(0x60, RAW_PIPE(RAW_BULK, address, 1, 1) | 4);
        lab_send(lab, &request);
        if (map[address - 1] == '.') {
            lab_expect(lab, 0x60, -19, 0);
            continue;
        }
        assert_int_equal(lab->rig.host.nr_held, 1);
        assert_int_equal(lab->rig.host.held_device[0], (unsigned int)(map[address - 1] - '1'));
        lab_complete(lab, 0, 0, NULL, 0);
        lab_expect(lab, 0x60, 0, 0);
    }
}

/* CTL-02 to CTL-08, ADR-01 to ADR-05, PIPE-04: the table after each request. */
static void test_control_addresses(void **state)
{
    static const struct move moves[] = {
        {0, 1, 3, 0, "..1......"},     /* CTL-18: the very first request */
        {0, 2, 4, 0, "..12....."},
        {0, 2, 3, -22, "..12....."},   /* ADR-04 */
        {4, 0, 3, -22, "..12....."},   /* ADR-04 for an addressed device, which stays */
        {3, 0, 5, 0, "...21...."},     /* CTL-07 */
        {3, 0, 6, -19, "...21...."},   /* MAL-27 */
        {0, 1, 3, 0, "..12....."},     /* ADR-03: again from 0, the old one is gone */
        {0, 1, 3, 0, "..12....."},     /* the same one */
        {3, 0, 3, 0, "..12....."},
        {0, 1, 0, 0, "..12....."},     /* CTL-05 */
        {0, 1, 128, -22, "..12....."}, /* CTL-06 */
        {3, 0, 128, -22, "..12....."},
        {3, 0, 0, 0, "...2....."},     /* back to 0 */
        {0, 3, 9, 0, "...2....3"},
        {0, 4, 1, -19, "...2....3"},   /* CTL-03: nothing there */
        {4, 9, 9, -22, "...2....3"},
        {9, 0, 1, 0, "3..2....."},
        {0, 1, 9, 0, "3..2....1"},
    };
    struct lab lab;
    (void)state;
    lab_init(&lab, 2, 4);
    rig_start_back(&lab.rig);
    lab_run(&lab);
    raw_front_connect(&lab.front[0]);
    for (unsigned int port = 1; port <= 3; port++) {
        char busid[8];
        snprintf(busid, sizeof(busid), "1-%u", port);
        lab_plug(&lab, port, busid, USBIF_SPEED_HIGH);
    }
    for (unsigned int i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        const struct move *move = &moves[i];
        const uint8_t setup[8] = {0, 5, (uint8_t)move->address, (uint8_t)(move->address >> 8)};
        struct usbif_urb_request request = raw_control(5, move->device, setup);
        request.pipe |= move->port;
        scripted_host_clear_log(&lab.rig.host);
        lab_send(&lab, &request);
        assert_string_equal(lab.rig.host.log, ""); /* CTL-04: never on the bus */
        lab_expect(&lab, 5, move->status, 0);
        check_map(&lab, move->map);
    }
    lab_check_alive(&lab, 0); /* ADR-05: device 0 answers beside the address */
    lab_dispose(&lab);
}

/*
 * ADR-05, CTL-12: after a reset in the guest the device answers at 0, and the old address works until the
 * next one.
 */
static void test_control_guest_reset(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    lab_check_alive(&lab, 0);
    struct usbif_urb_request request = raw_request(1, RAW_PIPE(RAW_BULK, DEV, 1, 1));
    lab_send(&lab, &request);
    lab_complete(&lab, 0, 0, NULL, 0);
    lab_expect(&lab, 1, 0, 0);
    lab_set_address(&lab, 0, 1, 120);
    lab_send(&lab, &request);
    lab_expect(&lab, 1, -19, 0);
    assert_null(strstr(lab.rig.host.log, "reset"));
    lab_dispose(&lab);
}

/* ADR-03, HOT-05: unplugging one device leaves the addresses of the others. */
static void test_control_addresses_after_unplug(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    lab_plug(&lab, 2, "1-2", USBIF_SPEED_FULL);
    lab_set_address(&lab, 0, 2, 4);
    check_map(&lab, "..12.....");
    scripted_host_unplug(&lab.rig.host, "1-1");
    lab_run(&lab);
    check_map(&lab, "...2.....");
    scripted_host_plug(&lab.rig.host, "1-1", USBIF_SPEED_FULL);
    lab_run(&lab);
    check_map(&lab, "...2.....");
    lab_set_address(&lab, 0, 1, 9);
    check_map(&lab, "...2....1");
    lab_dispose(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_conveyed),
        cmocka_unit_test(test_control_data),
        cmocka_unit_test(test_control_addresses),
        cmocka_unit_test(test_control_guest_reset),
        cmocka_unit_test(test_control_addresses_after_unplug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
