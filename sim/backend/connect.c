// SPDX-License-Identifier: MIT
/* The connector's life in xenbus (rules of section 2). What disagrees between peers is accepted in every form. */
#include "backend/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void back_set_state(struct back *back, enum xenbus_state state)
{
    if (back->state == state)
        return;
    back_log(back, "%s -> %s", xenbus_state_name(back->state), xenbus_state_name(state));
    back->state = state;
    back->complained = false;
    /* If the store cannot be written the frontend sees the end of the channel instead. */
    int rc = xenbus_state_change(back->xen, back->dir, state);
    if (rc)
        back_log(back, "state not written: %s", strerror(-rc));
}

/*
 * For a state that the toolstack wrote into our node. It is not written again: Linux's frontend
 * takes every write of Closing for another removal (rule BUS-18).
 */
static void adopt_state(struct back *back, enum xenbus_state state)
{
    back_log(back, "%s -> %s, by the toolstack", xenbus_state_name(back->state), xenbus_state_name(state));
    back->state = state;
    back->complained = false;
}

static void complain(struct back *back, const char *what, int error)
{
    if (!back->complained)
        back_log(back, "%s: %s", what, strerror(-error));
    back->complained = true;
}

static void fatal(struct back *back, const char *what, int error)
{
    back_log(back, "%s: %s", what, strerror(-error));
    xenbus_error(back->xen, back->dir, error, what);
    back_set_state(back, XenbusStateClosing);
}

void back_violation(struct back *back, enum pvusb_verdict verdict)
{
    char text[64];
    back->verdict = verdict;
    snprintf(text, sizeof(text), "protocol violated by the frontend: %s", pvusb_verdict_name(verdict));
    back_disconnect(back);
    fatal(back, text, -EPROTO);
}

/* ---- Initialising: what the toolstack wrote ---- */

static bool online(struct back *back)
{
    uint32_t value;
    int rc = xenbus_read_number(back->xen, XEN_XBT_NIL, back->dir, "online", 0, UINT32_MAX, &value);
    return rc == -ENOENT || (rc == 0 && value != 0);
}

/*
 * What a frontend that died wrote must not be taken for the word of the next one, which may not know the node. One that
 * is there already has just written it.
 */
static void offer(struct back *back, const char *node, unsigned int value, const char *answer)
{
    char path[XENBUS_PATH_MAX + XENBUS_VALUE_MAX];
    if (back->frontend_state <= XenbusStateInitialising || back->frontend_state >= XenbusStateClosing) {
        snprintf(path, sizeof(path), "%s/%s", back->frontend_dir, answer);
        (void)back->xen->ops->xs_rm(back->xen, XEN_XBT_NIL, path); /* only domain 0 may */
    }
    (void)xenbus_write(back->xen, XEN_XBT_NIL, back->dir, node, "%u", value);
}

static void offer_extensions(struct back *back)
{
    if (back->config.buffers == BACK_BUFFERS_BEST)
        offer(back, BACK_KEPT_NODE, 1, BACK_KEPT_NODE);
    if (back->order_max > 0)
        offer(back, BACK_ORDER_MAX_NODE, back->order_max, BACK_ORDER_NODE);
}

/* Rules BUS-03, XS-06, XS-07: what is wrong is said once, and looked at again when a node is written. */
static void initialise(struct back *back)
{
    uint32_t ports;
    uint32_t version;
    if (!online(back))
        return;
    int rc = xenbus_read_number(back->xen, XEN_XBT_NIL, back->dir, "num-ports", 1, PVUSB_PORTS_MAX, &ports);
    if (rc) {
        complain(back, "num-ports not readable or out of bounds", rc);
        return;
    }
    rc = xenbus_read_number(back->xen, XEN_XBT_NIL, back->dir, "usb-ver", USB_VER_USB11, USB_VER_USB20, &version);
    if (rc) {
        complain(back, "usb-ver not readable or out of bounds", rc);
        return;
    }
    if (ports != back->num_ports || version != back->usb_ver)
        back_close_ports(back); /* a later connection may have fewer, or may not have fast devices */
    back->num_ports = ports;
    back->usb_ver = version;
    (void)xenbus_write(back->xen, XEN_XBT_NIL, back->dir, "hotplug-status", "connected"); /* rule XS-15 */
    offer_extensions(back);
    back_set_state(back, XenbusStateInitWait);
}

/* ---- InitWait: what the frontend wrote ---- */

/* What it asks for: each node is read once. */
struct connection {
    unsigned int order;
    grant_ref_t urb_ref[BACK_RING_PAGES_MAX];
    grant_ref_t conn_ref;
    evtchn_port_t port;
};

static int map_ring(struct back *back, unsigned int count, const grant_ref_t refs[], void **page)
{
    return back->xen->ops->grant_map(back->xen, back->config.frontend, count, refs, true, page);
}

static void unmap_ring(struct back *back, unsigned int count, void **page)
{
    if (*page)
        back->xen->ops->grant_unmap(back->xen, *page, count);
    *page = NULL;
}

/* A node that is missing may still come (rule BUS-09). */
static int read_node(struct back *back, const char *node, uint32_t *out)
{
    char text[64];
    int rc = xenbus_read_number(back->xen, XEN_XBT_NIL, back->frontend_dir, node, 0, UINT32_MAX, out);
    snprintf(text, sizeof(text), "reading %s", node);
    if (rc)
        complain(back, text, rc);
    return rc;
}

/* Who was not told of larger rings has none, whatever a frontend before it left there. */
static int read_order(struct back *back, unsigned int *out)
{
    uint32_t order = 0;
    int rc = back->order_max == 0 ? -ENOENT
                                  : xenbus_read_number(back->xen, XEN_XBT_NIL, back->frontend_dir, BACK_ORDER_NODE, 0,
                                                       back->order_max, &order);
    *out = order;
    if (rc == -EINVAL || rc == -ERANGE)
        fatal(back, BACK_ORDER_NODE " is no number, or more than was offered", rc);
    else if (rc && rc != -ENOENT)
        complain(back, "reading " BACK_ORDER_NODE, rc);
    return rc == -ENOENT ? 0 : rc;
}

static int read_connection(struct back *back, struct connection *c)
{
    int rc = read_order(back, &c->order);
    for (unsigned int i = 0; !rc && i < pvusb_urb_ring[c->order].pages; i++) {
        char node[32] = "urb-ring-ref";
        if (i > 0)
            snprintf(node, sizeof(node), "urb-ring-ref%u", i);
        rc = read_node(back, node, &c->urb_ref[i]);
    }
    if (!rc)
        rc = read_node(back, "conn-ring-ref", &c->conn_ref);
    return rc ? rc : read_node(back, "event-channel", &c->port);
}

static bool a_page_twice(const struct connection *c)
{
    unsigned int pages = pvusb_urb_ring[c->order].pages;
    for (unsigned int i = 0; i < pages; i++) {
        if (c->urb_ref[i] == c->conn_ref)
            return true;
        for (unsigned int k = 0; k < i; k++) {
            if (c->urb_ref[i] == c->urb_ref[k])
                return true;
        }
    }
    return false;
}

/* One that cannot be used ends in Closing (MAL-43 to MAL-45). */
static void connect(struct back *back)
{
    struct connection c;
    back_close_channel(back);
    if (read_connection(back, &c))
        return;
    const struct pvusb_ring_kind *kind = &pvusb_urb_ring[c.order];
    if (a_page_twice(&c)) {
        fatal(back, "a page twice in the rings", -EINVAL);
        return;
    }
    int rc = back_requests_begin(back, kind->slots);
    if (rc) {
        fatal(back, "no room for requests", rc);
        return;
    }
    rc = map_ring(back, kind->pages, c.urb_ref, &back->urb_page);
    if (!rc)
        rc = map_ring(back, 1, &c.conn_ref, &back->conn_page);
    if (!rc)
        rc = back->xen->ops->evtchn_bind(back->xen, back->config.frontend, c.port, &back->evtchn);
    if (rc) {
        const char *what = back->conn_page ? "binding event channel" : "mapping rings";
        unmap_ring(back, kind->pages, &back->urb_page);
        unmap_ring(back, 1, &back->conn_page);
        fatal(back, what, rc);
        return;
    }
    pvusb_ring_back_init(&back->urb_ring, kind, back->urb_page);
    pvusb_ring_back_init(&back->conn_ring, &pvusb_conn_ring, back->conn_page);
    back->verdict = PVUSB_OK; /* of this connection, not of an earlier one (rule RING-10) */
    back->odd_pipes = false;
    back->event_owed = false;
    back_kept_begin(back);
    back_bounce_begin(back);
    back_set_state(back, XenbusStateConnected);
    back_send_events(back);
    back->polled = true; /* the step takes what was published before we bound (rule BUS-10) */
}

void back_close_channel(struct back *back)
{
    if (back->evtchn)
        back->xen->ops->evtchn_close(back->xen, back->evtchn);
    back->evtchn = 0;
}

/*
 * Answered first, then unmapped; the caller changes the state (rule BUS-25). The channel closes after that, at the
 * end of the step: to a frontend a channel that closes in state Connected is a backend that died.
 */
void back_disconnect(struct back *back)
{
    if (!back->urb_page)
        return;
    back_cancel_port(back, 0);
    for (unsigned int i = 0; i < back->nr_requests; i++) {
        if (back->request[i].used && back->request[i].at_host)
            back_detach_port(back, back->request[i].port); /* a host that cancels late has it done when closed */
    }
    back_push(back);
    back_kept_end(back);
    back_bounce_end(back);
    unmap_ring(back, back->urb_ring.kind->pages, &back->urb_page);
    unmap_ring(back, 1, &back->conn_page);
    memset(back->address, 0, sizeof(back->address)); /* rule ADR-06 */
    for (unsigned int i = 1; i <= PVUSB_PORTS_MAX; i++) {
        back->port[i].told = USBIF_SPEED_NONE;
        back->port[i].tell_gone = false;
    }
}

/* ---- following both sides ---- */

/* Our node as a predecessor or the toolstack left it (rule BUS-02). */
static void begin(struct back *back, enum xenbus_state own)
{
    switch (own) {
    case XenbusStateInitialising:
    case XenbusStateInitWait:
        back->state = XenbusStateInitialising;
        break;
    case XenbusStateInitialised:
    case XenbusStateConnected: /* a predecessor died: its frontend must let go first */
    case XenbusStateReconfiguring:
    case XenbusStateReconfigured:
        back_set_state(back, XenbusStateClosing);
        break;
    case XenbusStateClosing:
    case XenbusStateClosed:
        back->state = own;
        break;
    case XenbusStateUnknown:
        complain(back, "reading backend state failed", -ENOENT);
        break;
    }
}

static void follow_connected(struct back *back, enum xenbus_state own)
{
    enum xenbus_state frontend = back->frontend_state;
    if (frontend == XenbusStateClosing || frontend == XenbusStateClosed) {
        back_disconnect(back);
        back_set_state(back, frontend); /* rule BUS-13 */
    } else if (frontend == XenbusStateInitialising || frontend == XenbusStateUnknown) {
        back_say(back, "%s without closing",
                 frontend == XenbusStateUnknown ? "the guest is gone" : "the frontend started again");
        back->stats.lost_frontends++;
        back_disconnect(back);
        back_set_state(back, XenbusStateClosed);
    } else if (own == XenbusStateClosing) {
        back_disconnect(back); /* the toolstack wants it gone (rule BUS-11) */
        adopt_state(back, own);
    }
}

static void follow_closed(struct back *back, enum xenbus_state own)
{
    enum xenbus_state frontend = back->frontend_state;
    enum xenbus_state before = back->state;
    if (back->state == XenbusStateClosing &&
        (frontend == XenbusStateClosed || frontend == XenbusStateInitialising || frontend == XenbusStateUnknown))
        back_set_state(back, XenbusStateClosed);
    if (back->state != XenbusStateClosed)
        return;
    /* The toolstack asked for what is so already, and waits for an answer. */
    if (before == XenbusStateClosed && own == XenbusStateClosing)
        (void)xenbus_state_change(back->xen, back->dir, XenbusStateClosed);
    if (!online(back)) {
        back_close_ports(back); /* rule BUS-16 */
        return;
    }
    if (frontend == XenbusStateInitialising)
        initialise(back); /* rules BUS-14, BUS-15 */
}

static void follow_frontend(struct back *back, enum xenbus_state own)
{
    enum xenbus_state frontend = back->frontend_state;
    switch (back->state) {
    case XenbusStateInitialising:
        if (own == XenbusStateClosing)
            back_set_state(back, XenbusStateClosed);
        else
            initialise(back);
        break;
    case XenbusStateInitWait:
        if (own == XenbusStateClosing) {
            adopt_state(back, own);
            follow_closed(back, own);
        } else if (frontend == XenbusStateClosing || frontend == XenbusStateClosed) {
            back_set_state(back, frontend);
        }
        break;
    case XenbusStateConnected:
        follow_connected(back, own);
        break;
    case XenbusStateClosing:
    case XenbusStateClosed:
        follow_closed(back, own);
        break;
    case XenbusStateUnknown:
    case XenbusStateInitialised:
    case XenbusStateReconfiguring:
    case XenbusStateReconfigured:
        break;
    }
}

int back_follow(struct back *back)
{
    char frontend_dir[XENBUS_VALUE_MAX];
    int rc = xenbus_read(back->xen, XEN_XBT_NIL, back->dir, "frontend", frontend_dir);
    if (rc == -ENOENT || rc == -EPIPE)
        return rc; /* -ENOENT: the directory is gone (rule BUS-20) */
    enum xenbus_state own = xenbus_state_read(back->xen, back->dir);
    back->frontend_state = xenbus_state_read(back->xen, back->frontend_dir);
    if (back->state == XenbusStateUnknown)
        begin(back, own);
    follow_frontend(back, own);
    if (back->state == XenbusStateInitWait || back->state == XenbusStateConnected)
        back_read_ports(back);
    else if (back->state == XenbusStateClosing || back->state == XenbusStateClosed)
        back_drop_ports(back);
    if (back->state == XenbusStateInitWait &&
        (back->frontend_state == XenbusStateInitialised || back->frontend_state == XenbusStateConnected))
        connect(back); /* rule BUS-07 */
    return 0;
}

/*
 * A frontend that dies writes nothing, but its end of the channel closes; one that ends in order has written its
 * state before. Closing, not Closed: a fresh frontend walks a node that says Connected through 5, 6 and 1, and waits
 * for us at 5 first (rule BUS-21).
 */
void back_check_frontend(struct back *back)
{
    bool bound = true;
    if (back->state != XenbusStateConnected || back->xen->ops->evtchn_status(back->xen, back->evtchn, &bound) || bound)
        return;
    if (back_follow(back) || back->state != XenbusStateConnected)
        return;
    back_say(back, "the frontend is gone without closing");
    back->stats.lost_frontends++;
    back_disconnect(back);
    back_set_state(back, XenbusStateClosing);
}
