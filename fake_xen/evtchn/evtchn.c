// SPDX-License-Identifier: MIT
#include "evtchn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void evtchn_space_dispose(struct evtchn_space *space)
{
    assert(!space->open);
    free(space->ports);
    *space = (struct evtchn_space){0};
}

int evtchn_open(struct evtchn_space *space, domid_t domid, struct evtchn *evtchn)
{
    unsigned int number = space->count ? space->count : 1;
    if (number >= EVTCHN_PORTS_MAX)
        return -ENOSPC;
    if (number >= space->room) {
        unsigned int room = space->room ? space->room * 2 : 16;
        struct evtchn **ports = realloc(space->ports, room * sizeof(struct evtchn *));
        if (!ports)
            return -ENOMEM;
        space->ports = ports;
        space->room = room;
    }
    space->ports[0] = NULL;
    space->ports[number] = evtchn;
    space->count = number + 1;
    space->open++;
    evtchn->domid = domid;
    evtchn->port = number;
    return 0;
}

struct evtchn *evtchn_find(const struct evtchn_space *space, evtchn_port_t port)
{
    return port < space->count ? space->ports[port] : NULL;
}

bool evtchn_bindable(const struct evtchn *evtchn, domid_t binder)
{
    return !evtchn->peer && evtchn->remote == binder;
}

void evtchn_connect(struct evtchn *one, struct evtchn *other)
{
    one->peer = other;
    other->peer = one;
}

void evtchn_remove(struct evtchn_space *space, struct evtchn *evtchn)
{
    if (evtchn->peer)
        evtchn->peer->peer = NULL;
    evtchn->peer = NULL;
    space->ports[evtchn->port] = NULL;
    space->open--;
}
