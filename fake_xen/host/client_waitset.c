// SPDX-License-Identifier: MIT
/*
 * A handle in a set of its program. There a port's eventfd is never read: each write to it is found once, and whether
 * the port is masked is known here alone. Ports that were found and not masked are in a queue, in the order in which
 * they came, until they are taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

/* ---- what a look finds ---- */

static void found_control(struct xen_source *source)
{
    struct client *client = ((struct client_source *)(void *)source)->client;
    (void)client_check_socket(client);
    client->xen.member.found = true;
}

static void found_watch(struct xen_source *source)
{
    struct client *client = ((struct client_source *)(void *)source)->client;
    client->watch_found = true;
    client->xen.member.found = true;
}

static void queue_append(struct client_port *port)
{
    struct client *client = port->client;
    port->queued = true;
    port->next_found = NULL;
    *client->found_last = port;
    client->found_last = &port->next_found;
    client->set->held++;
    client->xen.member.found = true;
}

static void queue_remove(struct client_port *port)
{
    struct client *client = port->client;
    struct client_port **at = &client->found;
    while (*at != port)
        at = &(*at)->next_found;
    *at = port->next_found;
    if (!*at)
        client->found_last = at;
    port->queued = false;
    client->set->held--;
}

static void found_port(struct xen_source *source)
{
    struct client_port *port = (struct client_port *)(void *)source;
    if (port->masked)
        port->again = true;
    else if (!port->queued)
        queue_append(port);
}

/* ---- joining ---- */

int client_join(struct xen *xen, struct xen_waitset *set)
{
    struct client *client = (struct client *)xen;
    const int fds[] = {client->control, client->wake, client->store};
    if (client->ports || client->set)
        return -EBUSY;
    client->control_source = (struct client_source){.source.found = found_control, .client = client};
    client->watch_source = (struct client_source){.source.found = found_watch, .client = client};
    for (unsigned int i = 0; i < 3 && fds[i] >= 0; i++) {
        struct client_source *source = i == 0 ? &client->control_source : &client->watch_source;
        int rc = waitset_watch(set, fds[i], &source->source, false);
        while (rc && i > 0)
            waitset_forget(set, fds[--i]);
        if (rc)
            return rc;
    }
    close(client->wait);
    close(client->ports_wait);
    client->wait = client->ports_wait = -1;
    client->found_last = &client->found;
    client->set = set;
    return 0;
}

void client_leave(struct client *client)
{
    const int fds[] = {client->control, client->wake, client->store};
    for (unsigned int i = 0; i < 3 && fds[i] >= 0; i++)
        waitset_forget(client->set, fds[i]);
}

int client_join_store(struct client *client, int fd)
{
    return waitset_watch(client->set, fd, &client->watch_source.source, false);
}

int client_join_port(struct client_port *port)
{
    port->source.found = found_port;
    return waitset_watch(port->client->set, port->receive, &port->source, true);
}

void client_leave_port(struct client_port *port)
{
    if (port->queued)
        queue_remove(port);
    waitset_forget(port->client->set, port->receive);
}

/* ---- asking ---- */

int client_joined_waiting(struct client *client)
{
    struct xen_waitset *set = client->set;
    int rc = client->looks == set->looks ? waitset_look(set) : 0;
    client->looks = set->looks;
    if (!rc)
        rc = client_check(client);
    if (rc)
        return rc;
    int waits = (client->found ? XEN_WAITS_EVENT : 0) | (client->watch_found ? XEN_WAITS_WATCH : 0);
    client->watch_found = false;
    client->xen.member.found = client->found != NULL;
    return waits;
}

int client_joined_pending(struct client *client, evtchn_port_t *out)
{
    int rc = client->found ? 0 : waitset_look(client->set);
    if (!rc)
        rc = client_check(client);
    if (rc)
        return rc;
    struct client_port *port = client->found;
    if (!port)
        return -EAGAIN;
    queue_remove(port);
    client->xen.member.found = client->found || client->watch_found;
    port->masked = true;
    *out = port->port;
    return 0;
}

void client_joined_unmask(struct client_port *port)
{
    port->masked = false;
    if (port->again && !port->queued)
        queue_append(port);
    port->again = false;
}

/* ---- counting ---- */

/* What was written to an eventfd that nobody reads. */
static int eventfd_count(int fd, uint64_t *out)
{
    static const char key[] = "eventfd-count:";
    char text[512];
    snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", fd);
    int info = open(text, O_RDONLY | O_CLOEXEC);
    if (info < 0)
        return -ENODATA;
    ssize_t size = read(info, text, sizeof(text) - 1);
    close(info);
    text[size > 0 ? size : 0] = 0;
    const char *line = strstr(text, key);
    if (!line)
        return -ENODATA;
    *out = strtoull(line + strlen(key), NULL, 16);
    return 0;
}

int fakexen_client_counts(const struct xen *xen, struct fakexen_counts *out)
{
    const struct client *client = (const struct client *)xen;
    int rc = xen->ops == &client_ops && client->set ? 0 : -EINVAL;
    if (rc)
        return rc;
    struct fakexen_counts counts = {.maps = __atomic_load_n(&client->table->maps, __ATOMIC_RELAXED)};
    for (const struct client_port *port = client->ports; !rc && port; port = port->next) {
        uint64_t events = 0;
        rc = eventfd_count(port->receive, &events);
        counts.events += events;
    }
    if (!rc)
        *out = counts;
    return rc;
}
