// SPDX-License-Identifier: MIT
#include "test/class_bed.h"

#define STEPS_MAX 3000000u

/* ---- drivers ---- */

static void on_key(void *context, struct hid *hid, uint8_t usage, bool down)
{
    struct bed_port *port = context;
    char c = hid_ascii(usage, hid_modifiers(hid));
    port->keys_down += down ? 1u : (unsigned int)-1;
    if (down && c && port->nr_typed < BED_TYPED - 1)
        port->typed[port->nr_typed++] = c;
}

static void on_hid_status(void *context, struct hid *hid, int status)
{
    struct bed_port *port = context;
    (void)hid;
    port->hid_status = status;
}

static void on_received(void *context, struct acm *acm, const uint8_t *bytes, uint32_t n)
{
    struct bed_port *port = context;
    (void)acm;
    assert_true(n <= BED_RECEIVED - port->nr_received);
    memcpy(port->received + port->nr_received, bytes, n);
    port->nr_received += n;
}

static void on_writable(void *context, struct acm *acm)
{
    struct bed_port *port = context;
    uint32_t n = acm_write(acm, port->to_write, port->left);
    port->to_write += n;
    port->left -= n;
}

static void on_signals(void *context, struct acm *acm, uint16_t signals)
{
    struct bed_port *port = context;
    (void)acm;
    port->signals = signals;
    port->nr_signals++;
}

static void on_closed(void *context, struct acm *acm)
{
    struct bed_port *port = context;
    assert_false(acm_busy(acm));
    port->closed++;
}

static void on_acm_failed(void *context, struct acm *acm, int error)
{
    struct bed_port *port = context;
    (void)acm;
    port->acm_status = error;
}

static void on_storage(void *context, struct storage *storage, int status)
{
    struct bed_port *port = context;
    (void)storage;
    port->storage_status = status;
}

static void on_ready(void *context, struct guest_device *device)
{
    struct bed *bed = context;
    struct bed_port *port = &bed->ports[device->port];
    const struct hid_listener keys = {.key = on_key, .status = on_hid_status, .context = port};
    const struct acm_listener line = {.received = on_received,
                                      .writable = on_writable,
                                      .signals = on_signals,
                                      .closed = on_closed,
                                      .failed = on_acm_failed,
                                      .context = port};
    port->ready++;
    port->device = device;
    port->hid_status = port->storage_status = 1;
    port->acm_status = 0;
    if (hid_matches(device))
        assert_int_equal(hid_create(device, &keys, &port->hid), 0);
    if (storage_matches(device))
        assert_int_equal(storage_create(device, on_storage, port, &port->storage), 0);
    if (acm_matches(device)) {
        assert_int_equal(acm_create(device, &line, &port->acm), 0);
        if (!port->received)
            port->received = malloc(BED_RECEIVED);
        assert_non_null(port->received);
    }
    /* guest.h: one driver per interface. */
    assert_false(hid_matches(device) || storage_matches(device) || acm_matches(device));
}

static void on_gone(void *context, struct guest_device *device)
{
    struct bed *bed = context;
    struct bed_port *port = &bed->ports[device->port];
    port->gone++;
    port->device = NULL;
    port->left = 0;
    assert_false(port->hid && hid_busy(port->hid)); /* guest.h: every transfer has been given back */
    assert_false(port->acm && acm_busy(port->acm));
    hid_destroy(port->hid);
    acm_destroy(port->acm);
    storage_destroy(port->storage);
    port->hid = NULL;
    port->acm = NULL;
    port->storage = NULL;
}

static void on_failed(void *context, unsigned int port, int error)
{
    struct bed *bed = context;
    (void)error;
    bed->ports[port].failed++;
}

static void on_event(void *context, struct guest_device *device, enum guest_event event)
{
    struct bed *bed = context;
    struct bed_port *port = &bed->ports[device->port];
    port->events[event]++;
    if (port->hid)
        hid_event(port->hid, event);
    if (port->acm)
        acm_event(port->acm, event);
}

/* ---- the two ways down ---- */

static void open_spine(struct bed *bed, unsigned int usb_ver)
{
    const struct back_config config = {.host = sim_host_host(bed->sim)};
    struct xen *xen;
    assert_int_equal(fakexen_local_create(&bed->local), 0);
    struct xen_machine *machine = fakexen_local_machine(bed->local);
    assert_int_equal(machine->ops->domain_create(machine, 1), 0);
    assert_int_equal(machine->ops->open(machine, 0, &bed->dom0), 0);
    bed->controller =
        (struct vusb_controller){.kind = "qusb", .frontend = 1, .usb_ver = usb_ver, .num_ports = BED_PORTS};
    assert_int_equal(vusb_create(bed->dom0, &bed->controller), 0);
    assert_int_equal(back_driver_create(machine, 0, &config, &bed->driver), 0);
    assert_int_equal(machine->ops->open(machine, 1, &xen), 0);
    assert_int_equal(front_create(xen, 0, NULL, NULL, &bed->front), 0);
    front_set_ring_pages(bed->front, 1); /* few slots, so that drivers must share them */
    for (unsigned int i = 0; front_state(bed->front) != XenbusStateConnected; i++) {
        assert_true(i < 1000);
        bed_step(bed);
    }
}

static void close_spine(struct bed *bed)
{
    struct fakexen_balance left, none = {0};
    assert_int_equal(front_verdict(bed->front), PVUSB_OK);
    front_close(bed->front);
    for (unsigned int i = 0; front_state(bed->front) != XenbusStateClosed; i++) {
        assert_true(i < 1000);
        bed_step(bed);
    }
    back_driver_destroy(bed->driver);
    front_destroy(bed->front);
    xen_close(bed->dom0);
    left = fakexen_local_balance(bed->local);
    assert_memory_equal(&left, &none, sizeof(left));
    fakexen_local_destroy(bed->local);
}

void bed_open(struct bed *bed, enum bed_kind kind, unsigned int usb_ver)
{
    const struct guest_listener listener = {
        .ready = on_ready, .gone = on_gone, .failed = on_failed, .event = on_event, .context = bed};
    *bed = (struct bed){.kind = kind};
    for (unsigned int p = 1; p <= BED_PORTS; p++)
        bed->ports[p].bed = bed;
    assert_int_equal(sim_host_create(&bed->sim), 0);
    if (kind == BED_LOOP)
        bed->loop = loop_hcd_create(sim_host_host(bed->sim), BED_PORTS);
    else
        open_spine(bed, usb_ver);
    struct hcd *hcd = kind == BED_LOOP ? loop_hcd_hcd(bed->loop) : front_hcd(bed->front);
    assert_int_equal(guest_create(hcd, &listener, &bed->guest), 0);
}

static bool guest_idle(const struct bed *bed)
{
    return !guest_busy(bed->guest);
}

void bed_close(struct bed *bed)
{
    guest_close(bed->guest);
    assert_true(bed_run(bed, 60 * SECOND, guest_idle));
    for (unsigned int p = 1; p <= BED_PORTS; p++) {
        assert_int_equal(bed->ports[p].gone, bed->ports[p].ready);
        free(bed->ports[p].received);
    }
    guest_destroy(bed->guest);
    bed->guest = NULL;
    if (bed->kind == BED_LOOP) {
        assert_int_equal(loop_hcd_buffers(bed->loop), 0);
        loop_hcd_destroy(bed->loop);
    } else {
        close_spine(bed);
    }
    sim_host_destroy(bed->sim);
}

static const char *busid(unsigned int port)
{
    static const char *const names[BED_PORTS + 1] = {"", "1-1", "1-2", "1-3", "1-4"};
    return names[port];
}

void bed_plug(struct bed *bed, unsigned int port, struct usb_device *device)
{
    assert_int_equal(sim_host_plug(bed->sim, busid(port), device), 0);
    if (bed->kind == BED_LOOP)
        assert_int_equal(loop_hcd_attach(bed->loop, port, busid(port)), 0);
    else
        assert_int_equal(vusb_set_port(bed->dom0, &bed->controller, port, busid(port)), 0);
}

void bed_unplug(struct bed *bed, unsigned int port)
{
    assert_int_equal(sim_host_unplug(bed->sim, busid(port)), 0);
}

struct usb_device *bed_device(struct bed *bed, unsigned int port)
{
    return sim_host_device(bed->sim, busid(port));
}

/* ---- time ---- */

static bool step_spine(struct bed *bed, uint64_t *due)
{
    struct usb_host *usb = sim_host_host(bed->sim);
    assert_int_equal(front_step(bed->front, bed->now_ns), 0);
    if (bed->guest)
        guest_step(bed->guest, bed->now_ns);
    assert_int_equal(back_driver_step(bed->driver, bed->now_ns), 0);
    usb->ops->step(usb, bed->now_ns);
    *due = front_deadline(bed->front);
    return fakexen_local_pending(bed->local) || back_driver_busy(bed->driver);
}

static bool step_loop(struct bed *bed, uint64_t *due)
{
    guest_step(bed->guest, bed->now_ns);
    loop_hcd_step(bed->loop, bed->now_ns);
    *due = UINT64_MAX;
    return loop_hcd_due(bed->loop);
}

bool bed_step(struct bed *bed)
{
    struct usb_host *usb = sim_host_host(bed->sim);
    uint64_t due;
    if (bed->kind == BED_LOOP ? step_loop(bed, &due) : step_spine(bed, &due))
        return true;
    uint64_t guest = bed->guest ? guest_deadline(bed->guest) : UINT64_MAX;
    uint64_t device = usb->ops->deadline(usb);
    due = guest < due ? guest : due;
    due = device < due ? device : due;
    if (due == UINT64_MAX)
        return false;
    if (due > bed->now_ns)
        bed->now_ns = due;
    return true;
}

bool bed_run(struct bed *bed, uint64_t ns, bool (*done)(const struct bed *bed))
{
    uint64_t end = bed->now_ns + ns;
    for (unsigned int steps = 0; !done || !done(bed); steps++) {
        assert_true(steps < STEPS_MAX);
        /* What is due later than the end is for later. */
        uint64_t before = bed->now_ns;
        bool more = bed_step(bed);
        if (more && bed->now_ns < end)
            continue;
        if (bed->now_ns > end)
            bed->now_ns = before > end ? before : end;
        return done && done(bed);
    }
    return true;
}

static bool all_listen(const struct bed *bed)
{
    for (unsigned int p = 1; p <= BED_PORTS; p++) {
        const struct bed_port *port = &bed->ports[p];
        if (sim_host_device(bed->sim, busid(p)) && !port->device)
            return false;
        if ((port->hid && port->hid_status) || (port->storage && port->storage_status))
            return false;
    }
    return true;
}

void bed_plug_ready(struct bed *bed, unsigned int port, struct usb_device *device)
{
    bed_plug(bed, port, device);
    assert_true(bed_run(bed, 10 * SECOND, all_listen));
}

void bed_write(struct bed *bed, unsigned int port, const uint8_t *bytes, uint32_t n)
{
    bed->ports[port].to_write = bytes;
    bed->ports[port].left = n;
    on_writable(&bed->ports[port], bed->ports[port].acm);
}

struct usb_device *bed_keyboard(uint8_t speed)
{
    struct usb_device *device;
    assert_int_equal(keyboard_create(speed, &device), 0);
    return device;
}

struct usb_device *bed_serial(uint8_t speed)
{
    struct usb_device *device;
    assert_int_equal(serial_create(&(struct serial_config){.loopback = true}, speed, &device), 0);
    return device;
}

uint64_t bed_seed(void)
{
    const char *text = getenv("PVUSB_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20260704;
    print_message("seed %" PRIu64 " (PVUSB_SEED)\n", seed);
    return seed;
}

uint32_t bed_prng(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return (uint32_t)(*x >> 16);
}
