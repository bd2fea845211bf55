// SPDX-License-Identifier: MIT
/*
 * Goal: 16 guests with all ports taken, the devices of each physical controller spread over all of them, full
 * traffic in all: each gets the same, none notices what another does or suffers, and a backend that comes
 * again has them all again.
 *
 * usage: test_many [PORTS], of each guest; 31 if not said
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/kinds.h"
#include "raw_front.h"
#include "world.h"

#define BAD         (WORLD_GUESTS - 1) /* the guest that things happen to */
#define ON_ONE_BUS  124u
#define FIND_ROUNDS 3000u
#define ROUNDS      20u

struct seen {
    uint64_t bytes[WORLD_GUESTS]; /* in ROUNDS */
    unsigned long told[WORLD_GUESTS];
    unsigned int devices[WORLD_GUESTS];
};

static struct world *world;
static unsigned int ports = PVUSB_PORTS_MAX;

/* Neighbours on a bus are of different guests. */
static void place_of(unsigned int guest, unsigned int port, char out[SPEC_BUSID_SIZE])
{
    const unsigned int number = (port - 1) * WORLD_GUESTS + guest;
    snprintf(out, SPEC_BUSID_SIZE, "%u-%u", 1 + number / ON_ONE_BUS, 1 + number % ON_ONE_BUS);
}

static void start_backend(void)
{
    char text[64];
    char error[KIND_ERROR_MAX];
    world_start_backend(world);
    for (unsigned int g = 0; g < WORLD_GUESTS; g++) {
        for (unsigned int p = 1; p <= ports; p++) {
            char place[SPEC_BUSID_SIZE];
            place_of(g, p, place);
            snprintf(text, sizeof(text), "%s=disk:16K", place);
            assert_int_equal(kind_plug(world->sim, text, NULL, error), 0);
        }
    }
}

static void start_guest(unsigned int g)
{
    char names[PVUSB_PORTS_MAX + 1][SPEC_BUSID_SIZE] = {""};
    char error[TOOL_ERROR_MAX];
    world_create_guest(world, g);
    struct vusb_controller c = {
        .kind = "qusb", .frontend = world->guest[g].domain.domid, .usb_ver = 2, .num_ports = ports};
    for (unsigned int p = 1; p <= ports; p++)
        place_of(g, p, names[p]);
    assert_int_equal(tstore_add_controller(world->dom0, &c, names, error), 0);
}

static const char *node(const char *path)
{
    static char value[XEN_XS_PAYLOAD_MAX + 1];
    if (world->dom0->ops->xs_read(world->dom0, XEN_XBT_NIL, path, value, sizeof(value)) < 0)
        value[0] = '\0';
    return value;
}

static bool all_have_all(void)
{
    for (unsigned int g = 0; g < WORLD_GUESTS; g++) {
        if (world->guest[g].vm && vm_stats(world->guest[g].vm).devices != ports)
            return false;
    }
    return true;
}

static void find_all(void)
{
    for (unsigned int i = 0; i < FIND_ROUNDS && !all_have_all(); i += 4)
        world_run(world, 4);
    assert_true(all_have_all());
    world_run(world, 8); /* until the disks are read */
}

static void look(struct seen *seen, void (*each_round)(void))
{
    for (unsigned int g = 0; g < WORLD_GUESTS; g++)
        seen->bytes[g] = world->guest[g].vm ? vm_stats(world->guest[g].vm).bytes_read : 0;
    for (unsigned int i = 0; i < ROUNDS; i++) {
        if (each_round)
            each_round();
        world_run(world, 1);
    }
    for (unsigned int g = 0; g < WORLD_GUESTS; g++) {
        char path[64];
        const struct world_guest *guest = &world->guest[g];
        if (!guest->vm)
            continue;
        snprintf(path, sizeof(path), "/local/domain/%u/data/usb", guest->domain.domid);
        seen->bytes[g] = vm_stats(guest->vm).bytes_read - seen->bytes[g];
        seen->devices[g] = vm_stats(guest->vm).devices;
        seen->told[g] = strtoul(node(path), NULL, 10);
    }
}

/* The others lost nothing, found nothing anew, and read as much as before, but for one chunk of each disk. */
static void check_undisturbed(const struct seen *before, const struct seen *now)
{
    for (unsigned int g = 0; g < BAD; g++) {
        assert_int_equal(now->devices[g], ports);
        assert_int_equal(now->told[g], before->told[g]);
        assert_true(now->bytes[g] + ports * world->read >= before->bytes[g]);
    }
}

static void renew_bad_guest(void)
{
    world_destroy_guest(world, BAD);
    start_guest(BAD);
    find_all();
}

static int setup(void **state)
{
    (void)state;
    world = world_create(1024);
    start_backend();
    for (unsigned int g = 0; g < WORLD_GUESTS; g++)
        start_guest(g);
    find_all();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_destroy(world);
    return 0;
}

/* ---- shares ---- */

static void test_everybody_reads_the_same(void **state)
{
    struct seen seen;
    uint64_t least = UINT64_MAX, most = 0;
    (void)state;
    look(&seen, NULL);
    for (unsigned int g = 0; g < WORLD_GUESTS; g++) {
        least = seen.bytes[g] < least ? seen.bytes[g] : least;
        most = seen.bytes[g] > most ? seen.bytes[g] : most;
    }
    assert_true(least > 0);
    assert_true(most <= least + ports * world->read);
}

/* ---- one goes ---- */

static void test_crash_of_one_touches_no_other(void **state)
{
    struct seen before, now;
    (void)state;
    look(&before, NULL);
    world_destroy_guest(world, BAD);
    look(&now, NULL);
    check_undisturbed(&before, &now);
    start_guest(BAD);
    find_all();
    world_kill_process(world, BAD);
    look(&now, NULL);
    check_undisturbed(&before, &now);
    world_start_process(world, BAD);
    find_all();
}

static void test_close_of_one_touches_no_other(void **state)
{
    struct seen before, now;
    (void)state;
    look(&before, NULL);
    vm_close(world->guest[BAD].vm);
    look(&now, NULL);
    assert_true(vm_closed(world->guest[BAD].vm));
    check_undisturbed(&before, &now);
    renew_bad_guest();
}

/* ---- one misbehaves ---- */

static struct raw_front raw;
static char raw_backend[XENBUS_PATH_MAX];

/* A frontend that can say anything, on a controller of its own, which the backend looks at before all others. */
static void start_raw_front(void)
{
    struct xen *xen;
    char frontend[XENBUS_PATH_MAX];
    char error[TOOL_ERROR_MAX];
    struct vusb_controller c = {
        .kind = "qusb", .frontend = world->guest[BAD].domain.domid, .usb_ver = 2, .num_ports = 1};
    world_kill_process(world, BAD);
    assert_int_equal(tstore_add_controller(world->dom0, &c, NULL, error), 0);
    vusb_paths(&c, raw_backend, frontend);
    world_run(world, 2);
    assert_int_equal(world->machine->ops->open(world->machine, c.frontend, &xen), 0);
    raw_front_open(&raw, xen, 0, c.devid);
    raw_front_connect(&raw);
    world_run(world, 4);
    world_destroy_guest(world, 0); /* the backend puts its last connector in the place of the first */
    world_run(world, 2);
    start_guest(0);
    find_all();
    assert_int_equal(xenbus_state_read(world->dom0, raw_backend), XenbusStateConnected);
}

static void stop_raw_front(void)
{
    /* Its handle dies with the domain and has to be closed after. */
    struct xen *xen = raw.xen;
    world_destroy_guest(world, BAD);
    xen_close(xen);
    start_guest(BAD);
    find_all();
}

static void test_violation_of_one_touches_no_other(void **state)
{
    struct seen before, now;
    (void)state;
    start_raw_front();
    look(&before, NULL);
    raw_set_word(raw.urb_page, 0, 0x40000000); /* rule RING-09: more requests than the ring has slots */
    raw_front_notify(&raw);
    look(&now, NULL);
    assert_int_not_equal(xenbus_state_read(world->dom0, raw_backend), XenbusStateConnected);
    check_undisturbed(&before, &now);
    stop_raw_front();
}

/* As much as it can each time it runs: requests that fail, events, and nodes that the backend watches. */
static void flood(void)
{
    static const uint8_t setup_packet[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};
    const unsigned int slots = 15;
    (void)raw_front_poll(&raw);
    while (raw.urb_req - raw_front_rsp_prod(&raw) < slots) {
        struct usbif_urb_request request = raw_control((uint16_t)raw.urb_req, 0, setup_packet);
        raw_buffer(&raw, &request, 0, 18);
        raw_front_put(&raw, &request);
        raw.nr_rsp = 0;
    }
    raw_front_push(&raw);
    for (unsigned int i = 0; i < 200; i++) { /* more than the backend takes at once */
        raw_front_notify(&raw);
        raw_front_set_node(&raw, "noise", i & 1 ? "1" : "0");
    }
}

static void test_flood_of_one_takes_nothing_from_others(void **state)
{
    struct seen before, now;
    (void)state;
    start_raw_front();
    look(&before, NULL);
    look(&now, flood);
    assert_true(raw.urb_req > ROUNDS); /* it was served, too */
    check_undisturbed(&before, &now);
    stop_raw_front();
}

/* ---- the backend goes ---- */

static void test_all_find_the_next_backend(void **state)
{
    struct seen before, now;
    (void)state;
    look(&before, NULL);
    for (unsigned int killed = 0; killed < 2; killed++) {
        world_end_backend(world, killed);
        world_run(world, 10);
        for (unsigned int g = 0; g < WORLD_GUESTS; g++)
            assert_int_equal(vm_stats(world->guest[g].vm).devices, 0);
        start_backend();
        find_all();
    }
    look(&now, NULL);
    for (unsigned int g = 0; g < WORLD_GUESTS; g++)
        assert_true(now.bytes[g] + ports * world->read >= before.bytes[g]);
}

/* ---- what a guest leaves ---- */

static void test_errors_of_a_guest_go_with_it(void **state)
{
    char path[96];
    const domid_t domid = world->guest[BAD].domain.domid;
    (void)state;
    snprintf(path, sizeof(path), "backend/qusb/%u/0", domid);
    xenbus_error(world->dom0, path, -ENOENT, "mapping rings");
    snprintf(path, sizeof(path), "error/backend/qusb/%u/0/error", domid);
    assert_string_equal(node(path), "2 mapping rings");
    renew_bad_guest();
    assert_string_equal(node(path), "");
    assert_int_equal(world->dom0->ops->xs_directory(world->dom0, XEN_XBT_NIL, "error", path, sizeof(path)),
                     -ENOENT);
}

/* A guest may write into its "error", and could not make it again. */
static void test_errors_of_a_controller_go_and_their_folder_stays(void **state)
{
    char path[96];
    char error[TOOL_ERROR_MAX];
    struct xen *xen;
    struct vusb_controller c = {
        .kind = "qusb", .frontend = world->guest[BAD].domain.domid, .usb_ver = 2, .num_ports = 1};
    (void)state;
    assert_int_equal(world->machine->ops->open(world->machine, c.frontend, &xen), 0);
    for (unsigned int i = 0; i < 2; i++) {
        assert_int_equal(tstore_add_controller(world->dom0, &c, NULL, error), 0);
        snprintf(path, sizeof(path), "device/vusb/%u", c.devid);
        xenbus_error(xen, path, -EINVAL, "said twice");
        snprintf(error, sizeof(error), "/local/domain/%u/error/%s/error", c.frontend, path);
        assert_string_equal(node(error), "22 said twice");
        assert_int_equal(tstore_remove_controller(world->dom0, &c), 0);
        assert_string_equal(node(error), "");
    }
    xen_close(xen);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everybody_reads_the_same),
        cmocka_unit_test(test_crash_of_one_touches_no_other),
        cmocka_unit_test(test_close_of_one_touches_no_other),
        cmocka_unit_test(test_violation_of_one_touches_no_other),
        cmocka_unit_test(test_flood_of_one_takes_nothing_from_others),
        cmocka_unit_test(test_all_find_the_next_backend),
        cmocka_unit_test(test_errors_of_a_guest_go_with_it),
        cmocka_unit_test(test_errors_of_a_controller_go_and_their_folder_stays),
    };
    if (argc > 1)
        ports = (unsigned int)strtoul(argv[1], NULL, 10);
    if (!ports || ports > PVUSB_PORTS_MAX) {
        fprintf(stderr, "usage: test_many [PORTS]\n");
        return 2;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
