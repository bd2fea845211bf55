// SPDX-License-Identifier: MIT
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <fakexen/fakexen.h>

#include "peer_bed.h"
#include "process/loop.h"

#define NS_PER_S UINT64_C(1000000000)

bool bed_possible(void)
{
    char error[PEER_ERROR_MAX];
    struct family family;
    struct peer *peer = NULL;
    if (family_open(&family, error))
        return true; /* the tests will say what is wrong */
    const struct peer_config config = {.dir = family.dir, .guest = BED_GUEST};
    int rc = peer_qemu_start(&config, &peer, error);
    (void)peer_stop(peer);
    if (rc == -ENOPKG)
        printf("skip: %s\n", error);
    (void)family_close(&family, 0, error);
    return rc != -ENOPKG;
}

void bed_open(struct bed *bed)
{
    char error[FAMILY_ERROR_MAX];
    *bed = (struct bed){0};
    if (family_open(&bed->family, error))
        fail_msg("%s", error);
    assert_int_equal(fakexen_client_machine_create(bed->family.dir, &bed->machine), 0);
    assert_int_equal(bed->machine->ops->open(bed->machine, 0, &bed->dom0), 0);
    assert_int_equal(bed->machine->ops->domain_create(bed->machine, BED_GUEST), 0);
    bed->controller = (struct vusb_controller){
        .kind = "qusb", .backend = 0, .frontend = BED_GUEST, .usb_ver = 2, .num_ports = BED_PORTS};
}

void bed_close(struct bed *bed)
{
    char error[FAMILY_ERROR_MAX];
    struct fakexen_balance left;
    if (bed->peer) {
        /* A test has failed in the middle: what it has open goes with the machine. */
        (void)peer_stop(bed->peer);
        (void)family_close(&bed->family, 0, error);
        return;
    }
    xen_close(bed->dom0);
    assert_int_equal(fakexen_client_machine_balance(bed->machine, &left), 0);
    fakexen_client_machine_destroy(bed->machine);
    if (family_close(&bed->family, 0, error))
        fail_msg("%s", error);
    assert_int_equal(left.handles, 0);
    assert_int_equal(left.pages, 0);
    assert_int_equal(left.grants, 0);
    assert_int_equal(left.maps, 0);
    assert_int_equal(left.ports, 0);
    assert_int_equal(left.watches, 0);
    assert_int_equal(left.transactions, 0);
}

/* ---- running ---- */

static void ready(void *context, struct guest_device *device)
{
    struct bed *bed = context;
    bed->device[device->port] = device;
    bed->came++;
}

static void gone(void *context, struct guest_device *device)
{
    struct bed *bed = context;
    bed->device[device->port] = NULL;
    bed->left++;
    if (bed->gone)
        bed->gone(bed->context, device);
}

static void failed(void *context, unsigned int port, int error)
{
    struct bed *bed = context;
    bed->failed++;
    print_message("port %u: not enumerated: %s\n", port, strerror(-error));
}

static uint64_t hurry(const struct bed *bed)
{
    return bed->hurry ? bed->hurry : 1;
}

void bed_step(struct bed *bed)
{
    uint64_t now = loop_now_ns() * hurry(bed);
    assert_int_equal(front_step(bed->front, now), 0);
    if (bed->guest)
        guest_step(bed->guest, now);
    if (peer_poll_death(bed->peer, &bed->death))
        bed->died = true;
}

static void wait_for_more(struct bed *bed, uint64_t end)
{
    struct loop loop;
    uint64_t due = front_deadline(bed->front);
    uint64_t guest = bed->guest ? guest_deadline(bed->guest) : UINT64_MAX;
    due = guest < due ? guest : due;
    due = due == UINT64_MAX ? due : due / hurry(bed) + 1;
    loop_clear(&loop);
    loop_add(&loop, front_xen(bed->front)->ops->fd(front_xen(bed->front)));
    if (!bed->died)
        loop_add(&loop, peer_fd(bed->peer));
    assert_int_equal(loop_wait(&loop, due < end ? due : end), 0);
}

void bed_until(struct bed *bed, bool (*condition)(void *context), void *context, const char *what)
{
    uint64_t end = loop_now_ns() + BED_PATIENCE_S * NS_PER_S;
    bool alive = !bed->died;
    for (bed_step(bed); !condition(context); bed_step(bed)) {
        if (alive && bed->died)
            fail_msg("%s: %s\nIt was: %s", what, bed->death.text, peer_command_line(bed->peer));
        if (loop_now_ns() >= end)
            fail_msg("%s: not within %u s", what, BED_PATIENCE_S);
        wait_for_more(bed, end);
    }
}

static bool is_connected(void *context)
{
    const struct bed *bed = context;
    return front_state(bed->front) == XenbusStateConnected;
}

static bool is_closed(void *context)
{
    const struct bed *bed = context;
    return front_state(bed->front) == XenbusStateClosed;
}

static bool is_quiet(void *context)
{
    const struct bed *bed = context;
    return !guest_busy(bed->guest);
}

struct port {
    struct bed *bed;
    unsigned int number;
};

static bool is_there(void *context)
{
    const struct port *port = context;
    return port->bed->device[port->number];
}

struct guest_device *bed_device(struct bed *bed, unsigned int port)
{
    struct port wanted = {bed, port};
    char what[32];
    snprintf(what, sizeof(what), "a device on port %u", port);
    bed_until(bed, is_there, &wanted, what);
    return bed->device[port];
}

void bed_tell(struct bed *bed, const char *command)
{
    char answer[PEER_ERROR_MAX];
    if (peer_command(bed->peer, command, answer))
        fail_msg("%s: %s", command, answer);
}

/* ---- beginning and ending ---- */

void bed_connect(struct bed *bed)
{
    const struct guest_listener listener = {.ready = ready, .gone = gone, .failed = failed, .context = bed};
    bed_until(bed, is_connected, bed, "Connected");
    assert_int_equal(guest_create(front_hcd(bed->front), &listener, &bed->guest), 0);
}

void bed_disconnect(struct bed *bed)
{
    guest_close(bed->guest);
    bed_until(bed, is_quiet, bed, "the guest lets its devices go");
    guest_destroy(bed->guest);
    bed->guest = NULL;
    front_close(bed->front);
    bed_until(bed, is_closed, bed, "Closed");
}

void bed_begin(struct bed *bed, const char *const *devices, unsigned int n)
{
    char error[PEER_ERROR_MAX];
    struct xen *xen;
    const struct peer_config config = {
        .dir = bed->family.dir, .guest = BED_GUEST, .devices = devices, .nr_devices = n};
    bed->died = false;
    bed->came = bed->left = bed->failed = 0;
    if (peer_qemu_start(&config, &bed->peer, error))
        fail_msg("%s", error);
    assert_int_equal(vusb_create(bed->dom0, &bed->controller), 0);
    for (unsigned int i = 0; i < n; i++) {
        char busid[32];
        snprintf(busid, sizeof(busid), "%.*s", (int)strcspn(devices[i], "="), devices[i]);
        assert_int_equal(vusb_set_port(bed->dom0, &bed->controller, i + 1, busid), 0);
    }
    assert_int_equal(bed->machine->ops->open(bed->machine, BED_GUEST, &xen), 0);
    assert_int_equal(front_create(xen, 0, NULL, NULL, &bed->front), 0);
    bed_connect(bed);
}

void bed_end(struct bed *bed)
{
    if (bed->guest)
        bed_disconnect(bed);
    front_destroy(bed->front);
    bed->front = NULL;
    /* First of all QEMU, which may still be about to write its last state, and would make the node anew. */
    assert_int_equal(peer_stop(bed->peer), bed->died ? -ECHILD : 0);
    bed->peer = NULL;
    assert_int_equal(vusb_remove(bed->dom0, &bed->controller), 0);
}
