// SPDX-License-Identifier: MIT
#include "back_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void open_front(struct lab *lab, unsigned int n)
{
    struct xen *xen;
    const struct vusb_controller *c = &lab->controller[n];
    assert_int_equal(lab->rig.machine->ops->open(lab->rig.machine, c->frontend, &xen), 0);
    raw_front_open(&lab->front[n], xen, 0, c->devid);
}

void lab_init(struct lab *lab, unsigned int usb_ver, unsigned int num_ports)
{
    memset(lab, 0, sizeof(*lab));
    rig_init(&lab->rig, usb_ver, num_ports);
    lab->rig.buffers = BACK_BUFFERS_MAP;
    lab->controller[0] = lab->rig.controller;
    lab->nr_fronts = 1;
    open_front(lab, 0);
}

unsigned int lab_add(struct lab *lab, domid_t guest, unsigned int devid)
{
    unsigned int n = lab->nr_fronts++;
    (void)lab->rig.machine->ops->domain_create(lab->rig.machine, guest); /* or it is there */
    lab->controller[n] = (struct vusb_controller){
        .kind = "qusb", .frontend = guest, .devid = devid, .usb_ver = 2, .num_ports = 4};
    assert_int_equal(vusb_create(lab->rig.dom0, &lab->controller[n]), 0);
    open_front(lab, n);
    return n;
}

static void keep_line(void *context, const char *line)
{
    struct rig *rig = context;
    size_t at = strlen(rig->log);
    snprintf(rig->log + at, sizeof(rig->log) - at, "%s\n", line);
}

void lab_start_driver(struct lab *lab)
{
    struct back_config config = {
        .host = &lab->rig.host.host, .log = keep_line, .log_context = &lab->rig, .buffers = lab->rig.buffers};
    assert_int_equal(back_driver_create(lab->rig.machine, 0, &config, &lab->driver), 0);
}

void lab_run(struct lab *lab)
{
    struct rig *rig = &lab->rig;
    unsigned int rounds = 0;
    bool again;
    do {
        if (rig->back && !rig->back_rc)
            rig->back_rc = back_step(rig->back, rig->now_ns);
        if (lab->driver)
            lab->driver_rc = lab->driver_rc ? lab->driver_rc : back_driver_step(lab->driver, rig->now_ns);
        for (unsigned int i = 0; i < lab->nr_fronts; i++)
            raw_front_poll(&lab->front[i]);
        again = fakexen_local_pending(rig->local) || (rig->back && !rig->back_rc && back_busy(rig->back)) ||
                (lab->driver && back_driver_busy(lab->driver));
        if (rig->back && rig->back_rc)
            break; /* it takes nothing any more, so what waits for it would wait for ever */
        assert_true(++rounds < 1000); /* somebody wakes somebody for nothing */
    } while (rounds < 2 || again);
}

void lab_ready(struct lab *lab, unsigned int num_ports)
{
    lab_init(lab, 2, num_ports);
    rig_start_back(&lab->rig);
    lab_run(lab);
    raw_front_connect(&lab->front[0]);
    lab_run(lab);
    assert_int_equal(back_state(lab->rig.back), XenbusStateConnected);
    lab_plug(lab, 1, "1-1", USBIF_SPEED_HIGH);
    lab_run(lab);
    lab_expect_event(lab, 1, USBIF_SPEED_HIGH);
    lab_set_address(lab, 0, 1, LAB_ADDRESS);
    scripted_host_clear_log(&lab->rig.host);
    lab->rig.log[0] = '\0';
    assert_int_equal(lab_maps(lab), 2);
}

void lab_dispose(struct lab *lab)
{
    lab_unhook(lab);
    back_destroy(lab->rig.back);
    lab->rig.back = NULL;
    back_driver_destroy(lab->driver);
    assert_int_equal(lab->rig.host.nr_held, 0);
    assert_int_equal(lab->rig.host.nr_listeners, 0);
    for (unsigned int i = 0; i < SCRIPTED_DEVICES; i++)
        assert_false(lab->rig.host.open[i]);
    for (unsigned int i = 0; i < lab->nr_fronts; i++)
        raw_front_close(&lab->front[i]);
    rig_dispose(&lab->rig);
}

/* ---- traffic ---- */

void lab_send(struct lab *lab, const struct usbif_urb_request *request)
{
    raw_front_send(&lab->front[0], request);
    lab_run(lab);
}

static void expect_from(struct raw_front *f, uint16_t id, int32_t status, int32_t actual)
{
    assert_true(f->nr_rsp > 0);
    struct usbif_urb_response rsp = f->rsp[0];
    memmove(f->rsp, f->rsp + 1, --f->nr_rsp * sizeof(f->rsp[0]));
    assert_int_equal(rsp.id, id);
    assert_int_equal(rsp.status, status);
    assert_int_equal(rsp.actual_length, actual);
    assert_int_equal(rsp.error_count, 0);
    assert_int_equal(rsp.start_frame, 0);
}

void lab_expect(struct lab *lab, uint16_t id, int32_t status, int32_t actual)
{
    expect_from(&lab->front[0], id, status, actual);
}

void lab_expect_none(struct lab *lab)
{
    assert_int_equal(lab->front[0].nr_rsp, 0);
}

void lab_expect_event(struct lab *lab, uint8_t port, uint8_t speed)
{
    struct raw_front *f = &lab->front[0];
    assert_true(f->nr_events > 0);
    struct usbif_conn_response event = f->event[0];
    memmove(f->event, f->event + 1, --f->nr_events * sizeof(f->event[0]));
    assert_int_equal(event.portnum, port);
    assert_int_equal(event.speed, speed);
}

void lab_expect_no_event(struct lab *lab)
{
    assert_int_equal(lab->front[0].nr_events, 0);
}

void lab_complete(struct lab *lab, unsigned int i, int32_t status, const void *data, uint32_t length)
{
    assert_true(i < lab->rig.host.nr_held);
    scripted_host_complete(&lab->rig.host, i, status, data, length);
    lab_run(lab);
}

void lab_check_alive(struct lab *lab, unsigned int n)
{
    static const uint8_t setup[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};
    struct raw_front *f = &lab->front[n];
    struct usbif_urb_request request = raw_control(0xfeed, 0, setup);
    request.pipe |= 1; /* port 1 */
    raw_segment(&request, f->rw[RAW_PAGES - 1], 0, 18);
    assert_int_equal(f->nr_rsp, 0);
    assert_int_equal(lab->rig.host.nr_held, 0);
    raw_front_send(f, &request);
    lab_run(lab);
    lab_complete(lab, 0, 0, "alive and kicking!", 18);
    expect_from(f, 0xfeed, 0, 18);
    assert_int_equal(f->nr_rsp, 0);
    assert_memory_equal(f->page + (RAW_PAGES - 1) * (size_t)PVUSB_PAGE_SIZE, "alive and kicking!", 18);
}

void lab_set_address(struct lab *lab, unsigned int n, unsigned int port, uint16_t address)
{
    const uint8_t setup[8] = {0, 5, (uint8_t)address, (uint8_t)(address >> 8)};
    struct usbif_urb_request request = raw_control(0xadd, 0, setup);
    request.pipe |= port;
    raw_front_send(&lab->front[n], &request);
    lab_run(lab);
    expect_from(&lab->front[n], 0xadd, 0, 0);
}

void lab_plug(struct lab *lab, unsigned int port, const char *busid, uint8_t speed)
{
    scripted_host_plug(&lab->rig.host, busid, speed);
    assert_int_equal(vusb_set_port(lab->rig.dom0, &lab->controller[0], port, busid), 0);
    lab_run(lab);
}

const char *lab_back_state(struct lab *lab)
{
    return rig_node(&lab->rig, "/local/domain/0/backend/qusb/1/0/state");
}

unsigned int lab_maps(struct lab *lab)
{
    return fakexen_local_balance(lab->rig.local).maps;
}

/* ---- hooks ---- */

static struct {
    struct lab *lab;
    struct xen *xen;
    const struct xen_ops *real;
    struct xen_ops ops;
    void (*before)(struct lab *lab, enum lab_call call);
} hook;

static int hooked_map(struct xen *xen, domid_t from, unsigned int count, const grant_ref_t refs[],
                      bool writable, void **out)
{
    hook.before(hook.lab, LAB_MAP);
    return hook.real->grant_map(xen, from, count, refs, writable, out);
}

static int hooked_unmap(struct xen *xen, void *addr, unsigned int count)
{
    hook.before(hook.lab, LAB_UNMAP);
    return hook.real->grant_unmap(xen, addr, count);
}

static int hooked_notify(struct xen *xen, evtchn_port_t port)
{
    hook.before(hook.lab, LAB_NOTIFY);
    return hook.real->evtchn_notify(xen, port);
}

static int hooked_unmask(struct xen *xen, evtchn_port_t port)
{
    int rc = hook.real->evtchn_unmask(xen, port);
    hook.before(hook.lab, LAB_UNMASK); /* after it: an event that comes now is a new one */
    return rc;
}

static int hooked_bind(struct xen *xen, domid_t remote, evtchn_port_t port, evtchn_port_t *out)
{
    hook.before(hook.lab, LAB_BIND);
    int rc = hook.real->evtchn_bind(xen, remote, port, out);
    hook.before(hook.lab, LAB_BOUND);
    return rc;
}

static int hooked_watch_read(struct xen *xen, char *path, char *token)
{
    hook.before(hook.lab, LAB_WATCH);
    return hook.real->xs_watch_read(xen, path, token);
}

static int hooked_close_port(struct xen *xen, evtchn_port_t port)
{
    hook.before(hook.lab, LAB_CLOSE_PORT);
    return hook.real->evtchn_close(xen, port);
}

static int hooked_write(struct xen *xen, xen_transaction t, const char *path, const char *value,
                        size_t length)
{
    size_t n = strlen(path);
    if (n > 6 && strcmp(path + n - 6, "/state") == 0)
        hook.before(hook.lab, LAB_STATE);
    return hook.real->xs_write(xen, t, path, value, length);
}

void lab_hook(struct lab *lab, void (*before)(struct lab *lab, enum lab_call call))
{
    lab_unhook(lab);
    hook.lab = lab;
    hook.before = before;
    hook.xen = back_xen(lab->rig.back);
    hook.real = hook.xen->ops;
    hook.ops = *hook.real;
    hook.ops.grant_map = hooked_map;
    hook.ops.grant_unmap = hooked_unmap;
    hook.ops.evtchn_notify = hooked_notify;
    hook.ops.evtchn_unmask = hooked_unmask;
    hook.ops.evtchn_bind = hooked_bind;
    hook.ops.evtchn_close = hooked_close_port;
    hook.ops.xs_write = hooked_write;
    hook.ops.xs_watch_read = hooked_watch_read;
    hook.xen->ops = &hook.ops;
}

void lab_unhook(struct lab *lab)
{
    if (hook.lab == lab && hook.xen)
        hook.xen->ops = hook.real;
    hook.lab = NULL;
    hook.xen = NULL;
}
