/* SPDX-License-Identifier: MIT */
/*
 * Our frontend as the half under test, with the guest that drives it: one process, virtual time. A peer of
 * a local machine holds one of these and forwards to it.
 */
#ifndef CONFORMANCE_PEERS_INPROC_FRONTEND_H
#define CONFORMANCE_PEERS_INPROC_FRONTEND_H

#include "peer.h"

struct inproc_frontend;

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

/* struct peer_guest_ops, without the peer. */
int inproc_guest_submit(struct inproc_frontend *f, const struct guest_urb *urb);
int inproc_guest_unlink(struct inproc_frontend *f, int urb, int reason);
struct guest_result inproc_guest_result(struct inproc_frontend *f, int urb);
int inproc_guest_write(struct inproc_frontend *f, uint32_t offset, const void *data, uint32_t size);
int inproc_guest_read(struct inproc_frontend *f, uint32_t offset, void *data, uint32_t size);
int inproc_guest_hub(struct inproc_frontend *f, const uint8_t setup[8], void *data, uint16_t size);
void inproc_guest_close(struct inproc_frontend *f);
int inproc_guest_reconnect(struct inproc_frontend *f);
struct guest_packet inproc_guest_packet(const struct inproc_frontend *f, int urb, unsigned int packet);
uint32_t inproc_guest_hub_changes(struct inproc_frontend *f);

#endif
