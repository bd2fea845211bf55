/* SPDX-License-Identifier: MIT */
/* What the store_*.c share. The contract is store.h. */
#ifndef SIM_TOOLSTACK_STORE_PRIVATE_H
#define SIM_TOOLSTACK_STORE_PRIVATE_H

#include "toolstack/store.h"

/* The children of a directory, each with its zero; 0 bytes when it is not there. */
ssize_t tstore_children(struct xen *xen, xen_transaction t, const char *dir,
                        char names[XEN_XS_PAYLOAD_MAX + 1]);
/* A child's name as a number, -1 if it is none. */
long tstore_number(const char *name, long max);
/*
 * Does body() in a transaction until it goes through. What body() refuses, with a line and before its first
 * write, is ended like the rest and counts only if that goes through: xenstored's transactions see each node
 * as it is at the first look, so that a refusal may rest on two moments. So may an error, which ends the
 * transaction; EIO and EINVAL count only if they come again and again. error gets a line in any case.
 */
int tstore_transact(struct xen *xen, int (*body)(struct xen *xen, xen_transaction t, void *context),
                    void *context, char *error);
/* Removes a node, and of the folders above it so many as are empty then, as libxl does. No node is no error.
 */
int tstore_remove(struct xen *xen, xen_transaction t, const char *path, unsigned int levels);
/* That a domain can be given something: -ENXIO with a line when it has ended, or is about to. */
int tstore_lives(struct xen *xen, xen_transaction t, domid_t domid, char *error);
/* The line for a machine that does not answer as it should. */
int tstore_failed(char *error, int rc);

#endif
