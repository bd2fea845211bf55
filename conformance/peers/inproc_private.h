/* SPDX-License-Identifier: MIT */
/* Our halves in the process of the case: what both roles have, and what each adds. */
#ifndef CONFORMANCE_PEERS_INPROC_PRIVATE_H
#define CONFORMANCE_PEERS_INPROC_PRIVATE_H

#include "devices/sim_host.h"
#include "inproc_toolstack.h"
#include "peer.h"

struct back_driver;
struct inproc_frontend;

struct inproc_backend {
    struct xen_machine machine; /* the driver's view of the machine: notes the handle that it keeps for itself */
    struct xen *own;
    struct back_driver *driver; /* NULL while not started */
    struct sim_host *host;
};

struct inproc {
    struct peer peer;
    struct fakexen_local *local;
    uint64_t now_ns;
    int rc;
    struct inproc_backend backend;    /* by the role one of them is under test, and the other not there */
    struct inproc_frontend *frontend;
    struct inproc_toolstack *toolstack;
};

int inproc_backend_open(struct inproc *p, char error[PEER_ERROR_MAX]);
void inproc_backend_close(struct inproc *p);
int inproc_backend_start(struct inproc *p, char error[PEER_ERROR_MAX]);
void inproc_backend_kill(struct inproc *p);
/* Runs what there is; true when there was anything to do. */
bool inproc_backend_step(struct inproc *p);
uint64_t inproc_backend_deadline(struct inproc *p);
int inproc_backend_plug(struct inproc *p, const char *busid, uint8_t speed);
int inproc_backend_unplug(struct inproc *p, const char *busid);

/* Domain domid of the machine is there. 0 or -errno. */
int inproc_frontend_start(struct xen_machine *machine, domid_t domid, struct inproc_frontend **out);
/* Ends it; NULL is allowed. What the guest had out is forgotten. */
void inproc_frontend_stop(struct inproc_frontend *f);
/* As kill -9 would. */
void inproc_frontend_kill(struct inproc_frontend *f);
int inproc_frontend_step(struct inproc_frontend *f, uint64_t now_ns);
/* True when a step would find an event. */
bool inproc_frontend_pending(const struct inproc_frontend *f);
uint64_t inproc_frontend_deadline(const struct inproc_frontend *f);
extern const struct peer_guest_ops inproc_guest_ops; /* of struct inproc */

#endif
