/* SPDX-License-Identifier: MIT */
/* The inside of the local machine, for the files of this folder. */
#ifndef FAKEXEN_LOCAL_LOCAL_H
#define FAKEXEN_LOCAL_LOCAL_H

#include <fakexen/fakexen.h>

#include "../evtchn/evtchn.h"
#include "../grant/granter.h"
#include "../xenstore/store.h"

struct local_port {
    struct evtchn evtchn;        /* first: the table knows only this */
    struct local_port *next;     /* of its handle */
    struct local_port *next_due; /* in the handle's queue */
    bool pending;
    bool masked;
    bool due; /* in the queue: pending and not masked */
};

/* What one grant_map() returned. */
struct local_map {
    struct local_map *next;
    void *addr;
    unsigned int count;
    bool writable;
    bool detached; /* its domain ended: nothing foreign is there any more */
    struct local_mapped {
        struct granter *granter;
        grant_ref_t ref;
    } pages[];
};

struct local_handle {
    struct xen xen; /* first */
    struct fakexen_local *local;
    struct local_domain *domain;
    struct local_handle *next; /* of its domain */
    bool dead;                 /* the domain ended */

    struct arena *arena;
    struct grant_table *table;
    struct granter *granter;

    struct local_map *maps;
    unsigned int mapped;
    unsigned int map_limit;

    struct local_port *ports;
    struct local_port *due; /* pending and not masked, oldest first */
    struct local_port **due_last;

    struct store_conn *store;
};

/* Stays when the domain ends, so that its numbers are not used again. */
struct local_domain {
    struct local_domain *next;
    domid_t domid;
    bool alive;
    uint32_t ranges; /* parts of the reference space given to handles */
    struct local_handle *handles;
    struct granter *granters;
    struct evtchn_space ports;
};

struct fakexen_local {
    struct xen_machine machine; /* first */
    struct local_domain *domains;
    struct store *store;
};

extern const struct xen_ops local_ops;

/* Whether it was there or is alive now is for the caller to ask. NULL when it never was. */
struct local_domain *local_domain_find(struct fakexen_local *local, domid_t domid);

/* local_grant.c */
int local_grant_open(struct local_handle *handle);
/* Ends the handle's maps. With keep the addresses stay valid, as private zeroed pages. */
void local_unmap_all(struct local_handle *handle, bool keep);
/* No new maps of this handle's pages. */
void local_grants_stop(struct local_handle *handle);
void local_grant_close(struct local_handle *handle);
int local_pages_alloc(struct xen *xen, unsigned int count, void **out);
void local_pages_free(struct xen *xen, void *addr, unsigned int count);
int local_grant(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out);
int local_grant_end(struct xen *xen, grant_ref_t ref);
int local_grant_revoke(struct xen *xen, grant_ref_t ref);
int local_grant_map(struct xen *xen, domid_t from, unsigned int count, const grant_ref_t refs[],
                    bool writable, void **out);
int local_grant_copy(struct xen *xen, domid_t with, bool to_grant, unsigned int count, struct xen_copy seg[]);
int local_grant_unmap(struct xen *xen, void *addr, unsigned int count);
int local_grant_map_limit(struct xen *xen, unsigned int count);

/* local_evtchn.c */
void local_evtchn_close_all(struct local_handle *handle);
int local_evtchn_alloc(struct xen *xen, domid_t remote, evtchn_port_t *out);
int local_evtchn_bind(struct xen *xen, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *out);
int local_evtchn_notify(struct xen *xen, evtchn_port_t port);
int local_evtchn_close(struct xen *xen, evtchn_port_t port);
int local_evtchn_pending(struct xen *xen, evtchn_port_t *out);
int local_evtchn_unmask(struct xen *xen, evtchn_port_t port);
int local_evtchn_status(struct xen *xen, evtchn_port_t port, bool *bound);

#endif
