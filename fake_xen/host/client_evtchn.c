// SPDX-License-Identifier: MIT
/*
 * A pending event is a readable eventfd; a masked port one that nobody waits on. EPOLLONESHOT masks: the epoll_wait()
 * that finds the event ends the wait for the next. In a set it is otherwise: client_waitset.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client.h"

void client_port_free(struct client_port *port)
{
    /* The host holds these too, so closing alone would not take the one out of the epoll set. */
    close(port->receive);
    close(port->notify);
    free(port);
}

static int port_find(struct client *client, evtchn_port_t number, struct client_port **out)
{
    int rc = client_check(client);
    if (rc)
        return rc;
    struct client_port *port = client->ports;
    while (port && port->port != number)
        port = port->next;
    if (!port)
        return -EINVAL;
    *out = port;
    return 0;
}

static void port_forget(struct client_port *port)
{
    if (port->client->set)
        client_leave_port(port);
    else
        (void)epoll_ctl(port->client->ports_wait, EPOLL_CTL_DEL, port->receive, NULL);
}

void client_ports_close(struct client *client)
{
    struct client_port *next;
    for (struct client_port *port = client->ports; port; port = next) {
        next = port->next;
        port_forget(port);
        client_port_free(port);
    }
    client->ports = NULL;
}

static int port_wait(struct client_port *port, int op)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = port};
    return epoll_ctl(port->client->ports_wait, op, port->receive, &event) ? -errno : 0;
}

/* Makes a port of the answer's two descriptors, which are taken. */
static int port_adopt(struct client *client, evtchn_port_t number, const int fds[2])
{
    struct client_port *port = calloc(1, sizeof(*port));
    if (!port) {
        close(fds[0]);
        close(fds[1]);
        return -ENOMEM;
    }
    *port = (struct client_port){.client = client, .port = number, .receive = fds[0], .notify = fds[1]};
    int rc = client->set ? client_join_port(port) : port_wait(port, EPOLL_CTL_ADD);
    if (rc) {
        client_port_free(port);
        return rc;
    }
    port->next = client->ports;
    client->ports = port;
    return 0;
}

static int port_open(struct client *client, const struct control_request *request, evtchn_port_t *out)
{
    struct control_reply reply;
    int fds[2];
    unsigned int count = 2;
    int rc = client_call(client, request, &reply, fds, &count);
    if (rc)
        return rc;
    if (count == 2) {
        rc = port_adopt(client, reply.value, fds);
    } else {
        rc = -EMFILE;
        if (count)
            close(fds[0]);
    }
    if (rc) {
        struct control_request undo = client_request(CONTROL_EVTCHN_CLOSE, 0, reply.value);
        client_call(client, &undo, &reply, NULL, NULL);
        return rc;
    }
    *out = reply.value;
    return 0;
}

int client_evtchn_alloc(struct xen *xen, domid_t remote, evtchn_port_t *out)
{
    struct control_request request = client_request(CONTROL_EVTCHN_ALLOC, remote, 0);
    return port_open((struct client *)xen, &request, out);
}

int client_evtchn_bind(struct xen *xen, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *out)
{
    struct control_request request = client_request(CONTROL_EVTCHN_BIND, remote, remote_port);
    return port_open((struct client *)xen, &request, out);
}

int fakexen_client_evtchn_virq(struct xen *xen, unsigned int virq, evtchn_port_t *out)
{
    struct control_request request = client_request(CONTROL_EVTCHN_VIRQ, 0, virq);
    return port_open((struct client *)xen, &request, out);
}

int client_evtchn_notify(struct xen *xen, evtchn_port_t number)
{
    struct client_port *port;
    int rc = port_find((struct client *)xen, number, &port);
    /* A full counter is an event that is pending already. */
    if (!rc)
        (void)!eventfd_write(port->notify, 1);
    return rc;
}

int client_evtchn_close(struct xen *xen, evtchn_port_t number)
{
    struct client *client = (struct client *)xen;
    struct control_request request = client_request(CONTROL_EVTCHN_CLOSE, 0, number);
    struct control_reply reply;
    struct client_port *port;
    int rc = port_find(client, number, &port);
    if (rc)
        return rc;
    rc = client_call(client, &request, &reply, NULL, NULL);
    if (rc)
        return rc;
    struct client_port **at = &client->ports;
    while (*at != port)
        at = &(*at)->next;
    *at = port->next;
    port_forget(port);
    client_port_free(port);
    return 0;
}

int client_evtchn_pending(struct xen *xen, evtchn_port_t *out)
{
    struct client *client = (struct client *)xen;
    struct epoll_event event;
    eventfd_t value;
    if (client->set)
        return client_joined_pending(client, out);
    int rc = client_check(client);
    if (rc)
        return rc;
    /* The kernel serves ready descriptors in turn when asked for one at a time. */
    if (epoll_wait(client->ports_wait, &event, 1, 0) != 1) {
        rc = client_check_socket(client);
        return rc ? rc : -EAGAIN;
    }
    struct client_port *port = event.data.ptr;
    (void)!eventfd_read(port->receive, &value);
    *out = port->port;
    return 0;
}

int client_evtchn_unmask(struct xen *xen, evtchn_port_t number)
{
    struct client_port *port;
    int rc = port_find((struct client *)xen, number, &port);
    if (rc)
        return rc;
    if (!port->client->set)
        return port_wait(port, EPOLL_CTL_MOD);
    client_joined_unmask(port);
    return 0;
}

/* A port that was bound stays so until the host counts a close: the host is not asked at every event. */
int client_evtchn_status(struct xen *xen, evtchn_port_t number, bool *bound)
{
    struct client *client = (struct client *)xen;
    struct client_port *port;
    int rc = port_find(client, number, &port);
    if (rc)
        return rc;
    uint32_t closed = __atomic_load_n(&client->table->closed, __ATOMIC_ACQUIRE);
    if (!port->bound || port->closed != closed) {
        struct control_request request = client_request(CONTROL_EVTCHN_STATUS, 0, number);
        struct control_reply reply;
        rc = client_call(client, &request, &reply, NULL, NULL);
        if (rc)
            return rc;
        port->bound = reply.value != 0;
        port->closed = closed;
    }
    *bound = port->bound;
    return 0;
}
