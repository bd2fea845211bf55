// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usbfs/private.h"

void client_accept(struct node *node)
{
    int fd = accept4(node->place.listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct client *client = calloc(1, sizeof(*client));
    if (!client) {
        close(fd);
        return;
    }
    wire_init(fd);
    *client = (struct client){.fd = fd, .node = node, .next = node->bus->clients};
    node->bus->clients = client;
    node->bus->stats.clients++;
    node->bus->stats.open++;
}

void client_drop(struct client *client)
{
    struct node *node = client->node;
    if (client->fd < 0)
        return;
    close(client->fd);
    client->fd = -1;
    node->bus->stats.open--;
    urb_drop_all(client);
    for (unsigned int i = 0; i < DEVICE_INTERFACES_MAX; i++) {
        if (node->owner[i] == client)
            node->owner[i] = NULL;
    }
}

void client_answer(struct client *client, long result)
{
    int rc = result < 0 ? wire_answer(client->fd, -1, (int)-result) : wire_answer(client->fd, result, 0);
    if (rc)
        client_drop(client);
}

/* What a program has closed before it asked for something else must be closed by then. */
static void notice_closed(struct node *node)
{
    char byte;
    for (struct client *c = node->bus->clients; c; c = c->next) {
        if (c->node == node && c->fd >= 0 && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
            client_drop(c);
    }
}

void client_serve(struct client *client)
{
    struct wire_request request;
    if (wire_receive(client->fd, &request)) {
        client_drop(client);
        return;
    }
    if (client->node->bus->stats.open > 1)
        notice_closed(client->node);
    if (client->fd < 0)
        return;
    int64_t result = ioctl_run(client, &request);
    if (result != IOCTL_LATER && client->fd >= 0)
        client_answer(client, (long)result);
}

void client_sweep(struct bus *bus)
{
    for (struct client **link = &bus->clients; *link;) {
        struct client *client = *link;
        if (client->fd >= 0) {
            link = &client->next;
            continue;
        }
        *link = client->next;
        free(client);
    }
}
