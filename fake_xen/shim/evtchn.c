// SPDX-License-Identifier: MIT
/* libxenevtchn over a client of the host. Errors are those of Linux's drivers/xen/evtchn.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include <xenevtchn.h>

#include "handle.h"

#define UNRESTRICTED UINT32_MAX

struct xenevtchn_handle {
    struct handle handle;
    uint32_t restricted; /* the only domain it may have to do with, or UNRESTRICTED */
};

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
    (void)logger;
    if (flags & ~(unsigned int)XENEVTCHN_NO_CLOEXEC) {
        errno = EINVAL;
        return NULL;
    }
    xenevtchn_handle *xce = calloc(1, sizeof(*xce));
    if (!xce)
        return NULL;
    xce->restricted = UNRESTRICTED;
    if (handle_open(&xce->handle, "libxenevtchn")) {
        free(xce);
        return NULL;
    }
    if (flags & XENEVTCHN_NO_CLOEXEC)
        fcntl(xce->handle.client->ports_wait, F_SETFD, 0);
    return xce;
}

/* What the handle is does not live in the descriptor alone, so it cannot be made of one. */
xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd, unsigned open_flags)
{
    (void)logger;
    if (open_flags)
        errno = EINVAL;
    else
        errno = fcntl(fd, F_GETFD) < 0 ? EBADF : ENOSYS;
    return NULL;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
    if (!xce)
        return 0;
    handle_close(&xce->handle);
    free(xce);
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
    return xce->handle.client->ports_wait;
}

/* ---- ports ---- */

/* A port that is not bound through this handle. */
static int not_bound(int rc)
{
    return handle_result(rc == -EINVAL ? -ENOTCONN : rc);
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
    handle_lock(&xce->handle);
    int rc = client_evtchn_notify(&xce->handle.client->xen, port);
    handle_unlock(&xce->handle);
    return not_bound(rc);
}

/* DOMID_SELF becomes who that is. */
static int check_remote(const xenevtchn_handle *xce, uint32_t domid, domid_t *out)
{
    if (xce->restricted != UNRESTRICTED && xce->restricted != domid)
        return -EACCES;
    if (domid != DOMID_SELF && domid >= DOMID_FIRST_RESERVED)
        return -ESRCH;
    *out = domid == DOMID_SELF ? xce->handle.client->xen.domid : (domid_t)domid;
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
    evtchn_port_t port = 0;
    domid_t remote;
    handle_lock(&xce->handle);
    int rc = check_remote(xce, domid, &remote);
    if (!rc)
        rc = client_evtchn_alloc(&xce->handle.client->xen, remote, &port);
    handle_unlock(&xce->handle);
    return rc ? handle_result(rc) : (int)port;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
                                                     evtchn_port_t remote_port)
{
    evtchn_port_t port = 0;
    domid_t remote;
    handle_lock(&xce->handle);
    int rc = check_remote(xce, domid, &remote);
    if (!rc)
        rc = client_evtchn_bind(&xce->handle.client->xen, remote, remote_port, &port);
    handle_unlock(&xce->handle);
    return rc ? handle_result(rc) : (int)port;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
    evtchn_port_t port = 0;
    if (xce->restricted != UNRESTRICTED)
        return handle_result(-EACCES);
    handle_lock(&xce->handle);
    int rc = fakexen_client_evtchn_virq(&xce->handle.client->xen, virq, &port);
    handle_unlock(&xce->handle);
    return rc ? handle_result(rc) : (int)port;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
    handle_lock(&xce->handle);
    int rc = client_evtchn_close(&xce->handle.client->xen, port);
    handle_unlock(&xce->handle);
    return not_bound(rc);
}

int xenevtchn_restrict(xenevtchn_handle *xce, domid_t domid)
{
    int rc = 0;
    handle_lock(&xce->handle);
    if (xce->restricted != UNRESTRICTED)
        rc = -EACCES;
    else if (!domid || domid >= DOMID_FIRST_RESERVED)
        rc = -EINVAL;
    else
        xce->restricted = domid;
    handle_unlock(&xce->handle);
    return handle_result(rc);
}

/* ---- events ---- */

/* Waits without the lock, so that other threads may notify, bind and unmask meanwhile. */
static int wait_for_event(const struct client *client)
{
    struct pollfd fds[] = {{.fd = client->ports_wait, .events = POLLIN},
                           {.fd = client->control, .events = POLLIN}};
    return poll(fds, 2, -1) < 0 ? -errno : 0;
}

/* As read() of the device: EAGAIN when the descriptor does not block, EINTR when a signal came. */
xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
    struct client *client = xce->handle.client;
    for (;;) {
        evtchn_port_t port = 0;
        handle_lock(&xce->handle);
        int rc = client_evtchn_pending(&client->xen, &port);
        handle_unlock(&xce->handle);
        if (!rc)
            return (int)port;
        if (rc == -EAGAIN && !(fcntl(client->ports_wait, F_GETFL) & O_NONBLOCK))
            rc = wait_for_event(client);
        if (rc)
            return handle_result(rc);
    }
}

/* As write() to the device, which has no error for a port that is not bound. */
int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
    handle_lock(&xce->handle);
    int rc = client_evtchn_unmask(&xce->handle.client->xen, port);
    handle_unlock(&xce->handle);
    return handle_result(rc == -EINVAL ? 0 : rc);
}
