// SPDX-License-Identifier: MIT
/* Handles, nodes, states, mapping and unmapping of the backend that a case plays. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back_private.h"

#define NUM_PORTS 4u
#define USB_VER   2u

static struct store_controller controller_of(struct conform *t)
{
    return (struct store_controller){.frontend = t->back->frontend,
                                     .usb_ver = t->test->usb_ver ? t->test->usb_ver : USB_VER,
                                     .num_ports = t->test->num_ports ? t->test->num_ports : NUM_PORTS,
                                     .kind = "qusb"};
}

/* A device at port 1 that the guest has seen; addresses and configurations are the case's words. */
static void make_ready(struct conform *t)
{
    back_plug(t, 1, USBIF_SPEED_HIGH);
    if (!conform_has(t, "guest"))
        return;
    const uint8_t power[8] = {0x23, 3, 8, 0, 1};
    const uint8_t reset[8] = {0x23, 3, 4, 0, 1};
    guest_hub(t, power, NULL, 0);
    conform_settle(t);
    guest_hub(t, reset, NULL, 0);
    conform_pass(t, UINT64_C(20000000));
}

void kit_back_start(struct conform *t)
{
    struct xen_machine *machine = t->peer->ops->machine(t->peer);
    struct kit_back *b = calloc(1, sizeof(*b));
    if (!b)
        kit_leave(t, KIT_ERROR);
    t->back = b;
    b->frontend = conform_guest(t);
    snprintf(b->dir, sizeof(b->dir), "/local/domain/0/backend/qusb/%u/0", b->frontend);
    snprintf(b->frontend_dir, sizeof(b->frontend_dir), "/local/domain/%u/device/vusb/0", b->frontend);
    int rc = machine->ops->open(machine, 0, &b->xen);
    if (rc) {
        snprintf(t->message, sizeof(t->message), "cannot open domain 0: %s", strerror(-rc));
        kit_leave(t, KIT_ERROR);
    }
    if (t->test->start == CONFORM_NOTHING)
        return;
    if (conform_has(t, "toolstack")) {
        const struct store_controller controller = controller_of(t);
        store_create_controller(t, &controller);
    }
    if (t->test->start == CONFORM_NODES)
        return;
    back_connect(t);
    if (t->test->start == CONFORM_READY)
        make_ready(t);
}

void kit_back_finish(struct conform *t)
{
    struct kit_back *b = t->back;
    if (!b)
        return;
    if (b->xen) {
        for (unsigned int i = 0; i < BACK_HOLDS; i++)
            if (b->hold[i].pages)
                b->xen->ops->grant_unmap(b->xen, b->hold[i].pages, b->hold[i].count);
        back_unmap(t);
    }
    kit_store_finish(t);
    xen_close(b->xen);
    xen_close(t->dom0);
    t->dom0 = NULL;
    t->back = NULL;
    free(b);
}

void kit_back_check(struct conform *t)
{
    conform_alive(t);
}

struct back_balance back_balance(struct conform *t)
{
    if (!t->peer->ops->balance)
        conform_skip(t, "what is open on the machine of peer %s cannot be counted", t->peer->ops->name);
    const struct fakexen_balance open = t->peer->ops->balance(t->peer);
    return (struct back_balance){.pages = open.pages, .grants = open.grants, .ports = open.ports};
}

/* ---- nodes ---- */

struct xen *back_handle(struct conform *t)
{
    return t->back->xen;
}

const char *back_dir(const struct conform *t)
{
    return t->back->dir;
}

const char *back_frontend_dir(const struct conform *t)
{
    return t->back->frontend_dir;
}

void back_set_node(struct conform *t, const char *node, const char *value)
{
    char path[2 * BACK_PATH];
    snprintf(path, sizeof(path), "%s/%s", t->back->dir, node);
    kit_log_line(t, "xenbus", "backend %s = %s", node, value ? value : "(removed)");
    kit_store_set(t, t->back->xen, path, value);
}

void back_set_state(struct conform *t, enum xenbus_state state)
{
    char value[12];
    snprintf(value, sizeof(value), "%d", (int)state);
    back_set_node(t, "state", value);
}

static bool read_number(struct conform *t, const char *node, uint32_t *out)
{
    char path[2 * BACK_PATH];
    char value[STORE_VALUE_MAX];
    char *end;
    snprintf(path, sizeof(path), "%s/%s", t->back->frontend_dir, node);
    if (!store_read(t, t->back->xen, path, value))
        return false;
    unsigned long number = strtoul(value, &end, 10);
    if (end == value || *end || number > UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

enum xenbus_state back_frontend_state(struct conform *t)
{
    uint32_t state;
    return read_number(t, "state", &state) ? (enum xenbus_state)state : XenbusStateUnknown;
}

struct wanted_state {
    enum xenbus_state state;
};

static bool state_is(struct conform *t, void *context)
{
    return back_frontend_state(t) == ((struct wanted_state *)context)->state;
}

void back_expect_frontend_state(struct conform *t, enum xenbus_state state)
{
    struct wanted_state wanted = {state};
    if (!conform_try(t, state_is, &wanted))
        conform_equal(t, "frontend state", state, back_frontend_state(t));
    kit_log_line(t, "xenbus", "frontend state is %d", (int)state);
}

/* ---- rings ---- */

static uint32_t need_number(struct conform *t, const char *node)
{
    uint32_t value = 0;
    if (!read_number(t, node, &value))
        conform_fail(t, "frontend node %s: expected a decimal number, it is missing or is none", node);
    return value;
}

static void map_ring(struct conform *t, const char *node, void **out)
{
    struct kit_back *b = t->back;
    grant_ref_t ref = need_number(t, node);
    int rc = b->xen->ops->grant_map(b->xen, b->frontend, 1, &ref, true, out);
    if (rc)
        conform_fail(t, "%s: expected a grant that can be mapped, %u gave: %s", node, ref, strerror(-rc));
}

void back_offer_ring(struct conform *t, unsigned int order)
{
    char value[12];
    snprintf(value, sizeof(value), "%u", order);
    back_set_node(t, "max-urb-ring-page-order", value);
    t->back->order_max = order;
}

unsigned int back_ring_order(const struct conform *t)
{
    return t->back->order;
}

/* One page is what every frontend has; more only where the case has offered them. */
static void map_urb_ring(struct conform *t)
{
    struct kit_back *b = t->back;
    grant_ref_t ref[16];
    uint32_t order = 0;
    if (b->order_max > 0 && read_number(t, "urb-ring-page-order", &order) && order > b->order_max)
        conform_fail(t, "urb-ring-page-order: expected at most %u, it is %u", b->order_max, order);
    b->order = order;
    if (order == 0) {
        map_ring(t, "urb-ring-ref", (void **)&b->urb);
        return;
    }
    for (unsigned int i = 0; i < 1u << order; i++) {
        char node[24] = "urb-ring-ref";
        if (i > 0)
            snprintf(node, sizeof(node), "urb-ring-ref%u", i);
        ref[i] = need_number(t, node);
    }
    int rc = b->xen->ops->grant_map(b->xen, b->frontend, 1u << order, ref, true, (void **)&b->urb);
    if (rc)
        conform_fail(t, "urb-ring-ref: expected grants that can be mapped, one gave: %s", strerror(-rc));
}

void back_map(struct conform *t)
{
    struct kit_back *b = t->back;
    map_urb_ring(t);
    map_ring(t, "conn-ring-ref", (void **)&b->conn);
    evtchn_port_t remote = need_number(t, "event-channel");
    int rc = b->xen->ops->evtchn_bind(b->xen, b->frontend, remote, &b->evtchn);
    if (rc)
        conform_fail(t, "event-channel: expected an unbound port, %u gave: %s", remote, strerror(-rc));
    b->req_cons = 0;
    b->rsp_prod = 0;
    b->rsp_published = 0;
    b->conn_cons = 0;
    kit_log_line(t, "xenbus", "rings mapped, channel bound to %u", remote);
}

void back_unmap(struct conform *t)
{
    struct kit_back *b = t->back;
    if (b->urb)
        b->xen->ops->grant_unmap(b->xen, b->urb, 1u << b->order);
    if (b->conn)
        b->xen->ops->grant_unmap(b->xen, b->conn, 1);
    if (b->evtchn)
        b->xen->ops->evtchn_close(b->xen, b->evtchn);
    b->urb = NULL;
    b->conn = NULL;
    b->evtchn = 0;
}

void back_connect(struct conform *t)
{
    back_set_state(t, XenbusStateInitWait);
    back_expect_frontend_state(t, XenbusStateConnected);
    back_map(t);
    back_set_state(t, XenbusStateConnected);
    conform_settle(t);
}

void back_disconnect(struct conform *t)
{
    if (back_frontend_state(t) < XenbusStateClosing)
        back_set_state(t, XenbusStateClosing);
    conform_settle(t);
    back_unmap(t);
    back_set_state(t, XenbusStateClosed);
    back_expect_frontend_state(t, XenbusStateClosed);
}
