// SPDX-License-Identifier: MIT
/*
 * An event channel is two eventfds, made with the unbound port: whoever binds it gets the same
 * two the other way round. So the host is not asked again until somebody closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host.h"

static void port_free(struct host_port *port)
{
    if (port->receive >= 0)
        close(port->receive);
    if (port->notify >= 0)
        close(port->notify);
    free(port);
}

/* peer: the unbound port it will be connected to, or NULL. remote: DOMID_INVALID if nobody may bind it. */
static int port_open(struct host_client *client, domid_t remote, const struct host_port *peer,
                     struct host_answer *answer, struct host_port **out)
{
    struct host_port *port = calloc(1, sizeof(*port));
    if (!port)
        return -ENOMEM;
    port->evtchn.handle = client;
    port->evtchn.remote = remote;
    port->receive = peer ? fcntl(peer->notify, F_DUPFD_CLOEXEC, 0) : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    port->notify = peer ? fcntl(peer->receive, F_DUPFD_CLOEXEC, 0) : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int rc = port->receive < 0 || port->notify < 0 ? -ENOMEM : 0;
    if (!rc)
        rc = evtchn_open(&client->domain->ports, client->domain->domid, &port->evtchn);
    if (rc) {
        port_free(port);
        return rc;
    }
    port->next = client->ports;
    client->ports = port;
    answer->reply.value = port->evtchn.port;
    answer->fds[answer->fd_count++] = port->receive;
    answer->fds[answer->fd_count++] = port->notify;
    *out = port;
    return 0;
}

/*
 * Clients share the descriptor and what it is set to: one may have filled the counter, and made it block who writes. Emptied
 * first, it takes one more, and who waits in a set, and does not empty it, is told of that.
 */
void host_evtchn_raise_fd(int fd)
{
    uint64_t value;
    const struct iovec into = {.iov_base = &value, .iov_len = sizeof(value)};
    (void)!preadv2(fd, &into, 1, -1, RWF_NOWAIT);
    (void)!eventfd_write(fd, 1);
}

/*
 * The end that is left: unbound, and told so. Its client counts what closed in memory of its own, so that it needs
 * to ask only after that.
 */
static void tell_peer(struct host_port *peer)
{
    const struct host_client *client = peer->evtchn.handle;
    if (client)
        __atomic_fetch_add(&client->granter->table->closed, 1, __ATOMIC_RELEASE);
    host_evtchn_raise_fd(peer->receive);
}

static void port_close(struct host_client *client, struct host_port *port)
{
    struct host_port **at = &client->ports;
    while (*at != port)
        at = &(*at)->next;
    *at = port->next;
    struct host_port *peer = (struct host_port *)port->evtchn.peer;
    evtchn_remove(&client->domain->ports, &port->evtchn);
    port_free(port);
    if (peer)
        tell_peer(peer);
}

int host_evtchn_own(struct host_domain *domain, domid_t remote, struct host_port **out)
{
    struct host_port *port = calloc(1, sizeof(*port));
    if (!port)
        return -ENOMEM;
    port->evtchn.remote = remote;
    port->receive = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    port->notify = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int rc = port->receive < 0 || port->notify < 0 ? -ENOMEM : 0;
    if (!rc)
        rc = evtchn_open(&domain->ports, domain->domid, &port->evtchn);
    if (rc)
        port_free(port);
    else
        *out = port;
    return rc;
}

void host_evtchn_own_close(struct host_domain *domain, struct host_port *port)
{
    struct host_port *peer = (struct host_port *)port->evtchn.peer;
    evtchn_remove(&domain->ports, &port->evtchn);
    port_free(port);
    if (peer)
        tell_peer(peer);
}

int host_evtchn_alloc(struct host_client *client, uint32_t remote, struct host_answer *answer)
{
    struct host_port *port;
    if (remote >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    return port_open(client, (domid_t)remote, NULL, answer, &port);
}

int host_evtchn_bind(struct fakexen_host *host, struct host_client *client, uint32_t remote, uint32_t number,
                     struct host_answer *answer)
{
    struct host_port *port;
    if (remote >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    struct host_domain *domain = host_domain_find(host, (domid_t)remote);
    struct evtchn *other = domain ? evtchn_find(&domain->ports, number) : NULL;
    if (!other || !evtchn_bindable(other, client->domain->domid))
        return -EINVAL;
    int rc = port_open(client, (domid_t)remote, (struct host_port *)other, answer, &port);
    if (rc)
        return rc;
    evtchn_connect(&port->evtchn, other);
    host_evtchn_raise_fd(port->receive); /* the one event that is pending at once */
    return 0;
}

int host_evtchn_virq(struct host_client *client, uint32_t virq, struct host_answer *answer)
{
    const struct evtchn_space *ports = &client->domain->ports;
    struct host_port *port;
    if (virq >= NR_VIRQS)
        return -EINVAL;
    /* One port for each domain, as for a global VIRQ on Xen. */
    for (evtchn_port_t number = 1; number < ports->count; number++) {
        const struct host_port *other = (const struct host_port *)evtchn_find(ports, number);
        if (other && other->virtual && other->virq == virq)
            return -EEXIST;
    }
    int rc = port_open(client, DOMID_INVALID, NULL, answer, &port);
    if (rc)
        return rc;
    port->virtual = true;
    port->virq = virq;
    return 0;
}

void host_evtchn_raise(struct fakexen_host *host, uint32_t virq)
{
    for (const struct host_client *client = host->clients; client; client = client->next) {
        for (const struct host_port *port = client->ports; port; port = port->next) {
            if (port->virtual && port->virq == virq && !port->evtchn.domid)
                host_evtchn_raise_fd(port->receive);
        }
    }
}

int host_evtchn_close(struct host_client *client, uint32_t number)
{
    struct evtchn *evtchn = evtchn_find(&client->domain->ports, number);
    if (!evtchn || evtchn->handle != client)
        return -EINVAL;
    port_close(client, (struct host_port *)evtchn);
    return 0;
}

int host_evtchn_status(struct host_client *client, uint32_t number, struct host_answer *answer)
{
    struct evtchn *evtchn = evtchn_find(&client->domain->ports, number);
    if (!evtchn || evtchn->handle != client)
        return -EINVAL;
    answer->reply.value = evtchn->peer != NULL || ((const struct host_port *)evtchn)->virtual;
    return 0;
}

void host_evtchn_close_all(struct host_client *client)
{
    while (client->ports)
        port_close(client, client->ports);
}
