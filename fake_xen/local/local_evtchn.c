// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "local.h"

static struct local_handle *handle_of(struct xen *xen)
{
    return (struct local_handle *)xen;
}

/* ---- what is due ---- */

static void due_update(struct local_port *port)
{
    struct local_handle *handle = port->evtchn.handle;
    if (port->due || !port->pending || port->masked)
        return;
    port->due = true;
    port->next_due = NULL;
    *handle->due_last = port;
    handle->due_last = &port->next_due;
}

static void raise_event(struct local_port *port)
{
    port->pending = true;
    due_update(port);
}

static void due_remove(struct local_port *port)
{
    struct local_handle *handle = port->evtchn.handle;
    if (!port->due)
        return;
    struct local_port **at = &handle->due;
    while (*at != port)
        at = &(*at)->next_due;
    *at = port->next_due;
    if (!*at)
        handle->due_last = at;
    port->due = false;
}

/* ---- ports ---- */

static int port_open(struct local_handle *handle, domid_t remote, struct local_port **out)
{
    struct local_port *port = calloc(1, sizeof(*port));
    if (!port)
        return -ENOMEM;
    port->evtchn.handle = handle;
    port->evtchn.remote = remote;
    int rc = evtchn_open(&handle->domain->ports, handle->xen.domid, &port->evtchn);
    if (rc) {
        free(port);
        return rc;
    }
    port->next = handle->ports;
    handle->ports = port;
    *out = port;
    return 0;
}

static void port_close(struct local_port *port)
{
    struct local_handle *handle = port->evtchn.handle;
    struct local_port **at = &handle->ports;
    while (*at != port)
        at = &(*at)->next;
    *at = port->next;
    due_remove(port);
    struct local_port *peer = (struct local_port *)port->evtchn.peer;
    evtchn_remove(&handle->domain->ports, &port->evtchn);
    free(port);
    if (peer)
        raise_event(peer);
}

/* A port of this handle, not merely of its domain. */
static int port_find(struct local_handle *handle, evtchn_port_t number, struct local_port **out)
{
    if (handle->dead)
        return -EPIPE;
    struct evtchn *evtchn = evtchn_find(&handle->domain->ports, number);
    if (!evtchn || evtchn->handle != handle)
        return -EINVAL;
    *out = (struct local_port *)evtchn;
    return 0;
}

void local_evtchn_close_all(struct local_handle *handle)
{
    while (handle->ports)
        port_close(handle->ports);
}

int local_evtchn_alloc(struct xen *xen, domid_t remote, evtchn_port_t *out)
{
    struct local_handle *handle = handle_of(xen);
    struct local_port *port;
    if (handle->dead)
        return -EPIPE;
    if (remote >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    int rc = port_open(handle, remote, &port);
    if (!rc)
        *out = port->evtchn.port;
    return rc;
}

int local_evtchn_bind(struct xen *xen, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *out)
{
    struct local_handle *handle = handle_of(xen);
    struct local_port *port;
    if (handle->dead)
        return -EPIPE;
    struct local_domain *domain = local_domain_find(handle->local, remote);
    struct evtchn *other = domain ? evtchn_find(&domain->ports, remote_port) : NULL;
    if (!other || !evtchn_bindable(other, xen->domid))
        return -EINVAL;
    int rc = port_open(handle, remote, &port);
    if (rc)
        return rc;
    evtchn_connect(&port->evtchn, other);
    raise_event(port);
    *out = port->evtchn.port;
    return 0;
}

int local_evtchn_notify(struct xen *xen, evtchn_port_t number)
{
    struct local_port *port;
    int rc = port_find(handle_of(xen), number, &port);
    if (rc)
        return rc;
    struct local_port *peer = (struct local_port *)port->evtchn.peer;
    if (peer)
        raise_event(peer);
    return 0;
}

int local_evtchn_close(struct xen *xen, evtchn_port_t number)
{
    struct local_port *port;
    int rc = port_find(handle_of(xen), number, &port);
    if (rc)
        return rc;
    port_close(port);
    return 0;
}

int local_evtchn_pending(struct xen *xen, evtchn_port_t *out)
{
    struct local_handle *handle = handle_of(xen);
    if (handle->dead)
        return -EPIPE;
    struct local_port *port = handle->due;
    if (!port)
        return -EAGAIN;
    due_remove(port);
    port->pending = false;
    port->masked = true;
    *out = port->evtchn.port;
    return 0;
}

int local_evtchn_unmask(struct xen *xen, evtchn_port_t number)
{
    struct local_port *port;
    int rc = port_find(handle_of(xen), number, &port);
    if (rc)
        return rc;
    port->masked = false;
    due_update(port);
    return 0;
}

int local_evtchn_status(struct xen *xen, evtchn_port_t number, bool *bound)
{
    struct local_port *port;
    int rc = port_find(handle_of(xen), number, &port);
    if (!rc)
        *bound = port->evtchn.peer != NULL;
    return rc;
}
