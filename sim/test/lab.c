// SPDX-License-Identifier: MIT
#include "test/lab.h"

#define ROUNDS_MAX 2000000u
#define GUEST_ID   1

static void on_ready(void *context, struct guest_device *device)
{
    struct lab *lab = context;
    lab->ready++;
    lab->device = device;
    if (lab->on_ready)
        lab->on_ready(lab, device);
}

static void on_gone(void *context, struct guest_device *device)
{
    struct lab *lab = context;
    lab->gone++;
    if (lab->on_gone)
        lab->on_gone(lab, device);
    lab->device = NULL;
}

static void on_failed(void *context, unsigned int port, int error)
{
    struct lab *lab = context;
    (void)port;
    lab->failed++;
    lab->error = error;
}

/* Both drivers until nobody has anything to say. */
static bool step_drivers(struct lab *lab)
{
    if (lab->way == LAB_LOOP) {
        loop_hcd_step(lab->loop, lab->now_ns);
        return loop_hcd_due(lab->loop);
    }
    assert_int_equal(front_step(lab->front, lab->now_ns), 0);
    assert_int_equal(back_driver_step(lab->driver, lab->now_ns), 0);
    lab->host->ops->step(lab->host, lab->now_ns);
    return fakexen_local_pending(lab->local) || back_driver_busy(lab->driver);
}

static uint64_t first(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

bool lab_step(struct lab *lab)
{
    lab->rounds++;
    if (lab->guest)
        guest_step(lab->guest, lab->now_ns);
    if (step_drivers(lab))
        return true;
    uint64_t due = lab->host->ops->deadline(lab->host);
    if (lab->guest)
        due = first(due, guest_deadline(lab->guest));
    if (lab->front)
        due = first(due, front_deadline(lab->front));
    if (due == UINT64_MAX || due > lab->limit_ns)
        return false;
    if (due > lab->now_ns)
        lab->now_ns = due;
    return true;
}

void lab_run(struct lab *lab)
{
    unsigned int idle = 0;
    uint64_t end = lab->rounds + ROUNDS_MAX;
    /* One more round: the first one after an event may be the one that finds it. */
    while (idle < 2) {
        idle = lab_step(lab) ? 0 : idle + 1;
        assert_true(lab->rounds < end);
    }
}

void lab_run_for(struct lab *lab, uint64_t ns)
{
    lab->limit_ns = lab->now_ns + ns;
    while (lab_step(lab))
        continue;
    lab->now_ns = lab->limit_ns;
    (void)lab_step(lab); /* for who has nothing due, and would believe in an earlier time */
    lab->limit_ns = UINT64_MAX;
}

static void open_spine(struct lab *lab)
{
    struct xen *xen;
    assert_int_equal(fakexen_local_create(&lab->local), 0);
    struct xen_machine *machine = fakexen_local_machine(lab->local);
    assert_int_equal(machine->ops->domain_create(machine, GUEST_ID), 0);
    assert_int_equal(machine->ops->open(machine, 0, &lab->dom0), 0);
    lab->controller =
        (struct vusb_controller){.kind = "qusb", .frontend = GUEST_ID, .usb_ver = 2, .num_ports = 4};
    assert_int_equal(vusb_create(lab->dom0, &lab->controller), 0);
    struct back_config config = {.host = lab->host};
    assert_int_equal(back_driver_create(machine, 0, &config, &lab->driver), 0);
    assert_int_equal(machine->ops->open(machine, GUEST_ID, &xen), 0);
    assert_int_equal(front_create(xen, 0, NULL, NULL, &lab->front), 0);
    for (unsigned int i = 0; front_state(lab->front) != XenbusStateConnected; i++) {
        assert_true(i < 1000);
        lab_step(lab);
    }
}

void lab_open(struct lab *lab, enum lab_way way)
{
    struct guest_listener listener = {.ready = on_ready, .gone = on_gone, .failed = on_failed, .context = lab};
    *lab = (struct lab){.way = way, .limit_ns = UINT64_MAX};
    assert_int_equal(sim_host_create(&lab->sim), 0);
    lab->host = sim_host_host(lab->sim);
    if (way == LAB_SPINE)
        open_spine(lab);
    else
        lab->loop = loop_hcd_create(lab->host, 4);
    struct hcd *hcd = way == LAB_SPINE ? front_hcd(lab->front) : loop_hcd_hcd(lab->loop);
    assert_int_equal(guest_create(hcd, &listener, &lab->guest), 0);
}

int lab_plug(struct lab *lab, unsigned int port, const char *busid, struct usb_device *device)
{
    assert_int_equal(sim_host_plug(lab->sim, busid, device), 0);
    if (lab->way == LAB_LOOP)
        return loop_hcd_attach(lab->loop, port, busid);
    assert_int_equal(vusb_set_port(lab->dom0, &lab->controller, port, busid), 0);
    return 0;
}

void lab_unplug(struct lab *lab, const char *busid)
{
    assert_int_equal(sim_host_unplug(lab->sim, busid), 0);
}

static void close_spine(struct lab *lab)
{
    front_close(lab->front);
    lab_run(lab);
    assert_int_equal(front_state(lab->front), XenbusStateClosed);
    assert_int_equal(front_verdict(lab->front), PVUSB_OK);
    back_driver_destroy(lab->driver);
    front_destroy(lab->front);
    xen_close(lab->dom0);
    struct fakexen_balance left = fakexen_local_balance(lab->local), none = {0};
    fakexen_local_destroy(lab->local);
    assert_memory_equal(&left, &none, sizeof(left));
}

void lab_close(struct lab *lab)
{
    guest_close(lab->guest);
    lab_run(lab);
    assert_false(guest_busy(lab->guest));
    assert_int_equal(lab->gone, lab->ready);
    guest_destroy(lab->guest);
    lab->guest = NULL;
    if (lab->way == LAB_SPINE) {
        close_spine(lab);
    } else {
        assert_int_equal(loop_hcd_held(lab->loop), 0);
        assert_int_equal(loop_hcd_buffers(lab->loop), 0);
        loop_hcd_destroy(lab->loop);
    }
    sim_host_destroy(lab->sim);
}
