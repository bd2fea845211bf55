// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"

int host_xenstore_open(struct fakexen_host *host, domid_t domid, int *peer, struct host_xenstore **out)
{
    int ends[2];
    struct host_xenstore *xenstore = calloc(1, sizeof(*xenstore));
    if (!xenstore)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
        int rc = -errno;
        free(xenstore);
        return rc;
    }
    xenstore->source = (struct host_source){.kind = HOST_XENSTORE, .fd = ends[0]};
    xenstore->wire.store = host->store;
    int rc = fcntl(ends[0], F_SETFL, O_NONBLOCK) ? -errno : host_watch_source(host, &xenstore->source);
    if (!rc)
        rc = store_connect(host->store, domid, &xenstore->wire.conn);
    if (rc) {
        close(ends[0]);
        close(ends[1]);
        free(xenstore);
        return rc;
    }
    xenstore->next = host->xenstores;
    host->xenstores = xenstore;
    *peer = ends[1];
    *out = xenstore;
    return 0;
}

void host_xenstore_close(struct host_xenstore *xenstore)
{
    if (xenstore->source.gone)
        return;
    xenstore->source.gone = true;
    store_disconnect(xenstore->wire.conn);
    xenstore->wire.conn = NULL;
    wire_out_dispose(&xenstore->out);
}

static void send_out(struct fakexen_host *host, struct host_xenstore *xenstore)
{
    while (xenstore->out.length) {
        ssize_t sent =
            send(xenstore->source.fd, xenstore->out.data, xenstore->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            break;
        wire_out_consume(&xenstore->out, (size_t)sent);
    }
    bool full = xenstore->out.length;
    if (full && ((errno != EAGAIN && errno != EWOULDBLOCK) || xenstore->out.length > HOST_QUEUE_MAX)) {
        host_xenstore_close(xenstore);
        return;
    }
    if (full == xenstore->waiting)
        return;
    /* While there is no room for answers no more questions are read. */
    struct epoll_event event = {.events = full ? EPOLLOUT : EPOLLIN, .data.ptr = &xenstore->source};
    if (epoll_ctl(host->epoll, EPOLL_CTL_MOD, xenstore->source.fd, &event))
        host_xenstore_close(xenstore);
    xenstore->waiting = full;
}

void host_xenstore_flush(struct fakexen_host *host, struct host_xenstore *except)
{
    for (struct host_xenstore *x = host->xenstores; x; x = x->next) {
        if (x == except || x->source.gone || !store_event_waiting(x->wire.conn))
            continue;
        if (wire_events(&x->wire, &x->out))
            host_xenstore_close(x);
        else
            send_out(host, x);
    }
    if (except && !except->source.gone)
        send_out(host, except);
}

/* Reads once: what is left is for the next step, so that no client keeps the others waiting. */
static int receive(struct host_xenstore *xenstore)
{
    void *at;
    size_t room = wire_room(&xenstore->wire, &at);
    ssize_t got = recv(xenstore->source.fd, at, room, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (!got)
        return -EPIPE;
    xenstore->wire.have += (size_t)got;
    int rc;
    do {
        rc = wire_step(&xenstore->wire, &xenstore->out);
    } while (rc > 0);
    return rc;
}

void host_xenstore_serve(struct fakexen_host *host, struct host_xenstore *xenstore, bool readable)
{
    if (readable && receive(xenstore))
        host_xenstore_close(xenstore);
    host_xenstore_flush(host, xenstore);
}
