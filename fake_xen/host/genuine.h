/* SPDX-License-Identifier: MIT */
/*
 * A host whose store is Debian's xenstored, a child process of domain 0. Domain 0's clients talk to its
 * socket. Each other domain has a page and an event channel for it, as on Xen; the sockets and handles of that domain
 * share them as the processes of a Linux guest share /dev/xen/xenbus.
 */
#ifndef FAKEXEN_HOST_GENUINE_H
#define FAKEXEN_HOST_GENUINE_H

#include <errno.h>
#include <stdint.h>

/* Behind errno.h, as its table of errors is there only then. */
#include <xen/io/xs_wire.h>

#include "host.h"

/* ---- host_ring.c: the page and the port of a domain ---- */

struct host_ring {
    struct host_source source; /* first; its descriptor is the port's */
    struct host_domain *domain;
    struct host_granter *granter;
    struct host_port *port;
    struct xenstore_domain_interface *page;
};

int host_ring_open(struct fakexen_host *host, struct host_domain *domain, struct host_ring **out);
/* NULL is allowed. */
void host_ring_close(struct fakexen_host *host, struct host_ring *ring);
/* How many bytes went, which may be none; -EPROTO when the page makes no sense. */
ssize_t host_ring_write(struct host_ring *ring, const void *data, size_t size);
ssize_t host_ring_read(struct host_ring *ring, void *data, size_t size);

/* ---- host_mux.c: many sockets, one ring ---- */

struct host_mux;
struct mux_client;

int host_mux_open(struct host_ring *ring, struct host_mux **out);
/* Its sockets must be gone. NULL is allowed. */
void host_mux_close(struct host_mux *mux);
int host_mux_add(struct host_mux *mux, struct host_xenstore *xenstore);
/* The socket is gone: what it left with xenstored is to be cleaned up. */
void host_mux_remove(struct host_xenstore *xenstore);
/* The socket has something to say, or room. */
void host_mux_serve(struct fakexen_host *host, struct host_xenstore *xenstore, uint32_t events);
/* xenstored has something to say, or room. */
void host_mux_event(struct fakexen_host *host, struct host_mux *mux);
/* After sockets have gone. */
void host_mux_clean(struct fakexen_host *host, struct host_mux *mux);
/* Whether more is to be read from this socket now. */
bool host_mux_wants(const struct host_xenstore *xenstore);
void host_mux_count(const struct host_mux *mux, struct fakexen_balance *balance);

/* ---- host_genuine.c: xenstored and what a toolstack tells it ---- */

struct host_genuine;

/* Domain 0 must be there. The child process has all that it needs when this returns, but is not ready yet. */
int host_genuine_start(struct fakexen_host *host, const struct fakexen_xenstored *program);
/* Ends xenstored. Its domains must be gone. NULL is allowed. */
void host_genuine_stop(struct fakexen_host *host);
/* Begins to make or end the domain; `client` has its answer when that is done. */
int host_genuine_create(struct fakexen_host *host, struct host_client *client, struct host_domain *domain);
int host_genuine_destroy(struct fakexen_host *host, struct host_client *client, struct host_domain *domain);
/* The client will not take its answer. */
void host_genuine_forget(struct fakexen_host *host, const struct host_client *client);
/* -ECHILD when xenstored is no more. */
int host_genuine_event(struct fakexen_host *host, const struct host_source *source);
/* Whether the client is xenstored. */
bool host_genuine_is(const struct fakexen_host *host, int fd);

#endif
