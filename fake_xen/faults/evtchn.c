// SPDX-License-Identifier: MIT
/*
 * Events that come late, merged, or not at all. An event is taken from the inner handle, which masks the port
 * there: while it is delayed that stays, and the inner machine merges what comes. While it is dropped the
 * port is unmasked there, as the next one must be noticed.
 */
#include <errno.h>
#include <stdlib.h>

#include "faults.h"

static struct fault_port *port_find(const struct fault_handle *handle, evtchn_port_t number)
{
    struct fault_port *port = handle->ports;
    while (port && port->port != number)
        port = port->next;
    return port;
}

void fault_ports_drop(struct fault_handle *handle)
{
    while (handle->ports) {
        struct fault_port *port = handle->ports;
        handle->ports = port->next;
        free(port);
    }
}

bool fault_ports_held(const struct fault_handle *handle)
{
    for (const struct fault_port *port = handle->ports; port; port = port->next) {
        if (port->held && !port->masked)
            return true;
    }
    return false;
}

/* ---- ports ---- */

static int port_add(struct fault_handle *handle, struct fault_port *port, int rc, evtchn_port_t *out)
{
    if (rc) {
        free(port);
        return rc;
    }
    port->next = handle->ports;
    handle->ports = port;
    *out = port->port;
    return 0;
}

int fault_evtchn_alloc(struct xen *xen, domid_t remote, evtchn_port_t *out)
{
    struct fault_handle *handle = fault_handle_of(xen);
    int rc = fault_enter(xen, OP_EVTCHN_ALLOC);
    if (rc)
        return rc;
    struct fault_port *port = calloc(1, sizeof(*port));
    if (!port)
        return -ENOMEM;
    return port_add(handle, port, handle->inner->ops->evtchn_alloc(handle->inner, remote, &port->port), out);
}

int fault_evtchn_bind(struct xen *xen, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *out)
{
    struct fault_handle *handle = fault_handle_of(xen);
    int rc = fault_enter(xen, OP_EVTCHN_BIND);
    if (rc)
        return rc;
    struct fault_port *port = calloc(1, sizeof(*port));
    if (!port)
        return -ENOMEM;
    rc = handle->inner->ops->evtchn_bind(handle->inner, remote, remote_port, &port->port);
    return port_add(handle, port, rc, out);
}

int fault_evtchn_notify(struct xen *xen, evtchn_port_t port)
{
    struct xen *inner = fault_handle_of(xen)->inner;
    int rc = fault_enter(xen, OP_EVTCHN_NOTIFY);
    return rc ? rc : inner->ops->evtchn_notify(inner, port);
}

int fault_evtchn_close(struct xen *xen, evtchn_port_t number)
{
    struct fault_handle *handle = fault_handle_of(xen);
    int rc = fault_enter(xen, OP_EVTCHN_CLOSE);
    if (!rc)
        rc = handle->inner->ops->evtchn_close(handle->inner, number);
    if (rc)
        return rc;
    struct fault_port *port = port_find(handle, number);
    struct fault_port **at = &handle->ports;
    while (*at != port)
        at = &(*at)->next;
    *at = port->next;
    free(port);
    fault_refresh(handle);
    return 0;
}

/* ---- events ---- */

static void withhold(struct fault_handle *handle, struct fault_port *port, unsigned int polls)
{
    port->held = true;
    port->polls = polls;
    handle->faults->stats.withheld++;
}

/* What the plan says of an event that has just come: true when its owner does not get it now. */
static bool caught(struct fault_handle *handle, struct fault_port *port)
{
    struct fault_plan *plan = &handle->faults->plan;
    struct xen *inner = handle->inner;
    domid_t domid = handle->xen.domid;
    bool lose = fault_plan_ask(plan, FAULT_EVENT_LOSE, OP_ANY, domid) != NULL;
    bool drop = !lose && fault_plan_ask(plan, FAULT_EVENT_DROP, OP_ANY, domid);
    const struct fault_item *delay =
        lose || drop ? NULL : fault_plan_ask(plan, FAULT_EVENT_DELAY, OP_ANY, domid);
    if (lose)
        handle->faults->stats.lost++;
    else if (drop)
        withhold(handle, port, FAKEXEN_FAULTS_DROP_POLLS);
    else if (delay)
        withhold(handle, port, delay->polls);
    if (lose || drop)
        (void)inner->ops->evtchn_unmask(inner,
                                        port->port); /* it was masked by us; -EPIPE shows at the next call */
    return lose || drop || delay;
}

static int report(struct fault_port *port, evtchn_port_t *out)
{
    port->held = false;
    port->masked = true;
    *out = port->port;
    return 0;
}

/* Nothing has come: one poll less for what is withheld. */
static int report_held(struct fault_handle *handle, evtchn_port_t *out)
{
    struct fault_port *due = NULL;
    for (struct fault_port *port = handle->ports; port; port = port->next) {
        if (!port->held || port->masked)
            continue;
        if (port->polls > 0)
            port->polls--;
        else if (!due)
            due = port;
    }
    return due ? report(due, out) : -EAGAIN;
}

int fault_evtchn_pending(struct xen *xen, evtchn_port_t *out)
{
    struct fault_handle *handle = fault_handle_of(xen);
    evtchn_port_t number;
    int rc = fault_enter(xen, OP_EVTCHN_PENDING);
    handle->gone_seen = handle->gone;
    if (rc)
        return rc;
    if (fault_frozen(handle))
        return -EAGAIN;
    while (!(rc = handle->inner->ops->evtchn_pending(handle->inner, &number))) {
        struct fault_port *port = port_find(handle, number);
        if (port->masked)
            port->again = true; /* one that was dropped had been reported: its owner still has it masked */
        else if (port->held || !caught(handle, port))
            return report(port, out);
    }
    if (rc == -EAGAIN)
        rc = report_held(handle, out);
    fault_refresh(handle);
    return rc;
}

int fault_evtchn_unmask(struct xen *xen, evtchn_port_t number)
{
    struct fault_handle *handle = fault_handle_of(xen);
    struct fault_port *port = port_find(handle, number);
    int rc = fault_enter(xen, OP_EVTCHN_UNMASK);
    if (rc)
        return rc;
    if (!port || !port->again) {
        rc = handle->inner->ops->evtchn_unmask(handle->inner, number);
        if (!rc && port)
            port->masked = false;
        return rc;
    }
    port->masked = false;
    port->again = false;
    port->held = true;
    port->polls = 0;
    fault_refresh(handle);
    return 0;
}

int fault_evtchn_status(struct xen *xen, evtchn_port_t number, bool *bound)
{
    struct fault_handle *handle = fault_handle_of(xen);
    int rc = fault_enter(xen, OP_EVTCHN_STATUS);
    return rc ? rc : handle->inner->ops->evtchn_status(handle->inner, number, bound);
}
