// SPDX-License-Identifier: MIT
/* Life, nodes and states of the frontends that a case plays. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../store.h"
#include "front_private.h"

void kit_front_need(struct front *f, int rc, const char *call)
{
    if (rc)
        conform_fail(f->t, "%s of the case's own frontend: %s", call, strerror(-rc));
}

struct front *front_number(struct conform *t, unsigned int n)
{
    if (n >= t->nr_fronts)
        conform_fail(t, "the case has no frontend %u", n);
    return t->front[n];
}

/* ---- life ---- */

static void grant_buffer(struct front *f)
{
    const struct xen_ops *ops = f->xen->ops;
    void *pages;
    kit_front_need(f, ops->pages_alloc(f->xen, FRONT_PAGES, &pages), "pages_alloc");
    f->data = pages;
    for (unsigned int i = 0; i < FRONT_PAGES; i++) {
        const uint8_t *page = f->data + (size_t)i * FRONT_PAGE;
        kit_front_need(f, ops->grant(f->xen, f->controller.backend, page, false, &f->rw[i]), "grant");
        kit_front_need(f, ops->grant(f->xen, f->controller.backend, page, true, &f->ro[i]), "grant");
    }
}

static struct front *add(struct conform *t, const struct store_controller *controller, bool create)
{
    struct xen_machine *machine = t->peer->ops->machine(t->peer);
    struct front *f = t->nr_fronts < FRONT_MAX ? calloc(1, sizeof(*f)) : NULL;
    if (!f)
        conform_fail(t, "no room for another frontend");
    f->t = t;
    f->controller = *controller;
    t->front[t->nr_fronts++] = f;
    f->bus = (uint16_t)t->nr_fronts;
    snprintf(f->dir, sizeof(f->dir), "/local/domain/%u/device/vusb/%u", controller->frontend, controller->devid);
    snprintf(f->backend_dir, sizeof(f->backend_dir), "/local/domain/%u/backend/%s/%u/%u", controller->backend,
             controller->kind, controller->frontend, controller->devid);
    int rc = machine->ops->domain_create(machine, controller->frontend);
    if (!rc || rc == -EEXIST || rc == -EPERM)
        rc = machine->ops->open(machine, controller->frontend, &f->xen);
    if (rc == -ENXIO && conform_has(t, "lasting"))
        conform_skip(t, "here is no domain %u for the case", controller->frontend);
    kit_front_need(f, rc, "open");
    grant_buffer(f);
    if (create && conform_has(t, "toolstack"))
        store_create_controller(t, controller);
    return f;
}

struct front *front_add(struct conform *t, domid_t guest, unsigned int devid, unsigned int usb_ver,
                        unsigned int num_ports)
{
    struct store_controller controller = front_number(t, 0)->controller;
    controller.frontend = guest;
    controller.devid = devid;
    controller.usb_ver = usb_ver;
    controller.num_ports = num_ports;
    return add(t, &controller, true);
}

void front_set_ring_order(struct front *f, unsigned int order)
{
    f->order = order;
}

void front_make(struct front *f)
{
    const struct xen_ops *ops = f->xen->ops;
    unsigned int ring_pages = 1u << f->order;
    void *pages;
    kit_front_need(f, ops->pages_alloc(f->xen, ring_pages + 1, &pages), "pages_alloc");
    f->urb_page = pages;
    f->conn_page = f->urb_page + (size_t)ring_pages * FRONT_PAGE;
    for (unsigned int i = 0; i < 2; i++) {
        front_set_word(i ? f->conn_page : f->urb_page, FRONT_REQ_EVENT, 1);
        front_set_word(i ? f->conn_page : f->urb_page, FRONT_RSP_EVENT, 1);
    }
    for (unsigned int i = 0; i < ring_pages; i++) {
        const uint8_t *page = f->urb_page + (size_t)i * FRONT_PAGE;
        kit_front_need(f, ops->grant(f->xen, f->controller.backend, page, false, &f->urb_ref[i]), "grant");
    }
    kit_front_need(f, ops->grant(f->xen, f->controller.backend, f->conn_page, false, &f->conn_ref), "grant");
    kit_front_need(f, ops->evtchn_alloc(f->xen, f->controller.backend, &f->port), "evtchn_alloc");
    f->urb_req = f->urb_published = f->urb_rsp = 0;
    f->conn_req = f->conn_published = f->conn_rsp = 0;
    f->any_event = false;
    f->made = true;
}

struct ending {
    struct front *f;
    grant_ref_t ref;
};

/* A grant's flags follow the peer's unmapping a moment later where the machine is a process. */
static bool ended(struct conform *t, void *context)
{
    const struct ending *e = context;
    (void)t;
    return e->f->xen->ops->grant_end(e->f->xen, e->ref) != -EBUSY;
}

void front_unmake(struct front *f)
{
    struct ending conn = {f, f->conn_ref};
    if (!f->made)
        return;
    for (unsigned int i = 0; i < 1u << f->order; i++) {
        struct ending urb = {f, f->urb_ref[i]};
        conform_wait(f->t, ended, &urb, "the backend to unmap the URB ring");
    }
    conform_wait(f->t, ended, &conn, "the backend to unmap the connection ring");
    kit_front_need(f, f->xen->ops->evtchn_close(f->xen, f->port), "evtchn_close");
    f->xen->ops->pages_free(f->xen, f->urb_page, (1u << f->order) + 1);
    f->made = false;
}

static void default_controller(struct conform *t, struct store_controller *c)
{
    *c = (struct store_controller){
        .frontend = conform_guest(t),
        .backend = 0,
        .usb_ver = t->test->usb_ver ? t->test->usb_ver : 2,
        .num_ports = t->test->num_ports ? t->test->num_ports : 4,
        .kind = "qusb",
    };
}

void kit_front_start(struct conform *t)
{
    struct store_controller controller;
    default_controller(t, &controller);
    struct front *f = add(t, &controller, t->test->start != CONFORM_NOTHING);
    if (t->test->start == CONFORM_NOTHING || t->test->start == CONFORM_NODES)
        return;
    front_connect(f);
    if (t->test->start == CONFORM_READY) {
        front_attach_probe(f, 1, 0);
        probe_clear(t);
    }
}

void kit_front_check(struct conform *t)
{
    for (unsigned int i = 0; i < t->nr_fronts; i++) {
        struct front *f = t->front[i];
        kit_front_settle(f);
        if (f->nr_rsp > 0)
            conform_fail(t, "rsp: expected no more responses, one came for id %u (status %d)", f->rsp[0].id,
                         f->rsp[0].status);
        if (f->nr_events > 0)
            conform_fail(t, "plug event: expected no more, one came for port %u (speed %u)", f->event[0].portnum,
                         f->event[0].speed);
    }
}

void kit_front_finish(struct conform *t)
{
    kit_store_finish(t);
    for (unsigned int i = 0; i < t->nr_fronts; i++) {
        xen_close(t->front[i]->xen); /* with all that is left on it */
        free(t->front[i]);
        t->front[i] = NULL;
    }
    t->nr_fronts = 0;
    xen_close(t->dom0);
    t->dom0 = NULL;
}

/* ---- nodes and states ---- */

static void write_node(struct front *f, xen_transaction transaction, const char *node, uint32_t value)
{
    char path[2 * FRONT_PATH];
    char text[16];
    snprintf(path, sizeof(path), "%s/%s", f->dir, node);
    int n = snprintf(text, sizeof(text), "%u", value);
    kit_log_line(f->t, "xenbus", "frontend %s = %s", node, text);
    kit_front_need(f, f->xen->ops->xs_write(f->xen, transaction, path, text, (size_t)n), "xs_write");
}

void front_write_nodes(struct front *f)
{
    int rc = -EAGAIN;
    for (unsigned int tries = 0; rc == -EAGAIN && tries < 100; tries++) {
        xen_transaction transaction;
        kit_front_need(f, f->xen->ops->xs_begin(f->xen, &transaction), "xs_begin");
        write_node(f, transaction, "urb-ring-ref", f->urb_ref[0]);
        for (unsigned int i = 1; i < 1u << f->order; i++) {
            char node[24];
            snprintf(node, sizeof(node), "urb-ring-ref%u", i);
            write_node(f, transaction, node, f->urb_ref[i]);
        }
        if (f->order > 0)
            write_node(f, transaction, "urb-ring-page-order", f->order);
        write_node(f, transaction, "conn-ring-ref", f->conn_ref);
        write_node(f, transaction, "event-channel", f->port);
        rc = f->xen->ops->xs_end(f->xen, transaction, false);
    }
    kit_front_need(f, rc, "xs_end");
}

void front_set_node(struct front *f, const char *node, const char *value)
{
    char path[2 * FRONT_PATH];
    snprintf(path, sizeof(path), "%s/%s", f->dir, node);
    kit_log_line(f->t, "xenbus", "frontend %s = %s", node, value ? value : "(removed)");
    kit_store_set(f->t, f->xen, path, value);
}

void front_set_state(struct front *f, enum xenbus_state state)
{
    char value[12];
    snprintf(value, sizeof(value), "%d", (int)state);
    front_set_node(f, "state", value);
}

enum xenbus_state front_backend_state(struct front *f)
{
    char path[2 * FRONT_PATH];
    char value[STORE_VALUE_MAX];
    snprintf(path, sizeof(path), "%s/state", f->backend_dir);
    if (!store_read(f->t, f->xen, path, value))
        return XenbusStateUnknown;
    return (enum xenbus_state)strtoul(value, NULL, 10);
}

struct wanted_state {
    struct front *f;
    enum xenbus_state state;
};

static bool state_is(struct conform *t, void *context)
{
    const struct wanted_state *wanted = context;
    (void)t;
    (void)kit_front_poll(wanted->f);
    return front_backend_state(wanted->f) == wanted->state;
}

void front_expect_backend_state(struct front *f, enum xenbus_state state)
{
    struct wanted_state wanted = {f, state};
    if (!conform_try(f->t, state_is, &wanted))
        conform_equal(f->t, "backend state", state, front_backend_state(f));
    kit_log_line(f->t, "xenbus", "backend state is %d", (int)state);
}

void front_connect(struct front *f)
{
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_write_nodes(f);
    front_prime(f, FRONT_CONN_SLOTS, 0);
    front_set_state(f, XenbusStateConnected);
    front_expect_backend_state(f, XenbusStateConnected);
}

void front_disconnect(struct front *f)
{
    front_set_state(f, XenbusStateClosing);
    kit_front_settle(f);
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    front_unmake(f);
    front_set_state(f, XenbusStateInitialising);
}

void front_crash(struct front *f)
{
    struct xen_machine *machine = f->t->peer->ops->machine(f->t->peer);
    kit_log_line(f->t, "xenbus", "guest %u dies", f->controller.frontend);
    kit_front_need(f, machine->ops->domain_destroy(machine, f->controller.frontend), "domain_destroy");
    xen_close(f->xen);
    f->xen = NULL;
    f->made = false;
}

void front_port(struct front *f, unsigned int port, const char *busid)
{
    char path[2 * FRONT_PATH];
    struct xen *toolstack = store_toolstack(f->t);
    if (!toolstack)
        conform_skip(f->t, "nobody here may write port/%u", port);
    snprintf(path, sizeof(path), "%s/port/%u", f->backend_dir, port);
    kit_log_line(f->t, "xenbus", "toolstack port/%u = '%s'", port, busid);
    kit_store_set(f->t, toolstack, path, busid);
}

void front_attach_probe(struct front *f, unsigned int port, unsigned int n)
{
    char busid[16];
    snprintf(busid, sizeof(busid), "1-%u", n + 1);
    if (conform_has(f->t, "toolstack"))
        front_port(f, port, busid);
    front_expect_plug(f, (uint8_t)port, USBIF_SPEED_HIGH);
    struct usbif_urb_request request = front_control(f->t, 0, 0, 5, (uint16_t)(CONFORM_ADDRESS + n), 0, 0, 0);
    request.pipe |= port;
    front_send_on(f, &request);
    front_expect_on(f, request.id, 0, 0);
    request = front_control(f->t, CONFORM_ADDRESS + n, 0, 9, 1, 0, 0, 0);
    front_send_on(f, &request);
    front_expect_on(f, request.id, 0, 0);
}

/* ---- the rest ---- */

struct front_knobs *front_knobs(struct front *f)
{
    return &f->knobs;
}

unsigned int front_notified(const struct front *f)
{
    return f->notified;
}

struct xen *front_handle(struct front *f)
{
    return f->xen;
}

const char *front_dir(const struct front *f)
{
    return f->dir;
}

const char *front_backend_dir(const struct front *f)
{
    return f->backend_dir;
}

unsigned int front_mapped(struct front *f)
{
    if (!conform_has(f->t, "inproc"))
        conform_skip(f->t, "maps can be counted in one process only");
    return f->t->peer->ops->balance(f->t->peer).maps;
}

unsigned int front_channels(struct front *f)
{
    if (!conform_has(f->t, "inproc"))
        conform_skip(f->t, "event channels can be counted in one process only");
    return f->t->peer->ops->balance(f->t->peer).ports;
}
