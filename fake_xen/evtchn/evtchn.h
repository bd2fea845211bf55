/* SPDX-License-Identifier: MIT */
/*
 * Event channels as Xen's table of them: which ports a domain has and which are
 * connected. How an event gets to its handle is not here.
 */
#ifndef FAKEXEN_EVTCHN_EVTCHN_H
#define FAKEXEN_EVTCHN_EVTCHN_H

#include <fakexen/xen_ops.h>

/* As many as the FIFO ABI has. Numbers are not used again, so this is also how many a domain may ever open.
 */
#define EVTCHN_PORTS_MAX EVTCHN_FIFO_NR_CHANNELS

struct evtchn {
    domid_t domid;
    evtchn_port_t port;
    domid_t remote;      /* who may bind it, or has */
    struct evtchn *peer; /* NULL while unbound */
    void *handle;        /* whose it is */
};

/* The ports of one domain. All zero is an empty one. */
struct evtchn_space {
    struct evtchn **ports; /* by number; NULL for closed ones */
    unsigned int count;    /* numbers given out, 0 included, which is no port */
    unsigned int room;
    unsigned int open;
};

/* Frees the space; its ports must be closed. */
void evtchn_space_dispose(struct evtchn_space *space);
/* Gives evtchn, whose remote and handle the caller has set, a number. -ENOSPC, -ENOMEM. */
int evtchn_open(struct evtchn_space *space, domid_t domid, struct evtchn *evtchn);
/* NULL when there is no such port. */
struct evtchn *evtchn_find(const struct evtchn_space *space, evtchn_port_t port);
/* Whether domain `binder` may bind this port. */
bool evtchn_bindable(const struct evtchn *evtchn, domid_t binder);
void evtchn_connect(struct evtchn *one, struct evtchn *other);
/* Takes the port out of its space; the peer returns to unbound. The caller frees it. */
void evtchn_remove(struct evtchn_space *space, struct evtchn *evtchn);

#endif
