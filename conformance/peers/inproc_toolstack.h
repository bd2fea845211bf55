/* SPDX-License-Identifier: MIT */
/*
 * Our toolstack as the half under test: what an administrator orders for one guest, without waiting for
 * anybody, on a physical bus in a folder of its own. 0 or -errno.
 */
#ifndef CONFORMANCE_PEERS_INPROC_TOOLSTACK_H
#define CONFORMANCE_PEERS_INPROC_TOOLSTACK_H

#include <stdbool.h>

#include <fakexen/xen_ops.h>

struct inproc_toolstack;

int inproc_toolstack_start(struct xen_machine *machine, domid_t guest, struct inproc_toolstack **out);
/* NULL is allowed. */
void inproc_toolstack_stop(struct inproc_toolstack *tool);

/* struct peer_toolstack_ops, without the peer. */
int inproc_toolstack_create(struct inproc_toolstack *tool, unsigned int usb_ver, unsigned int num_ports,
                            unsigned int *devid);
int inproc_toolstack_attach(struct inproc_toolstack *tool, const char *busid, unsigned int devid,
                            unsigned int port);
int inproc_toolstack_attach_address(struct inproc_toolstack *tool, unsigned int bus, unsigned int address,
                                    unsigned int devid);
int inproc_toolstack_detach(struct inproc_toolstack *tool, unsigned int devid, unsigned int port);
int inproc_toolstack_holder(struct inproc_toolstack *tool, const char *busid, unsigned int *devid,
                            unsigned int *port);
int inproc_toolstack_close(struct inproc_toolstack *tool, unsigned int devid);
int inproc_toolstack_remove(struct inproc_toolstack *tool, unsigned int devid);
int inproc_toolstack_plug(struct inproc_toolstack *tool, const char *busid, bool hub);
int inproc_toolstack_unplug(struct inproc_toolstack *tool, const char *busid);

#endif
