/* SPDX-License-Identifier: MIT */
/*
 * fakexen: a Xen machine in ordinary processes, without Xen, root or kernel module.
 *
 * Two implementations of xen_ops.h:
 *
 *   local   everything in one process: no thread, no socket, no waiting. A
 *           caller steps its drivers until fakexen_local_pending() is false.
 *   host    `pvusb host --dir DIR` is the machine; each domain is a process that
 *           connects. Pages are memfds and events are eventfds, passed over a
 *           Unix socket, so traffic and notifications do not go through the host.
 *
 * Where the fake is NOT faithful to Xen (keep this list complete):
 *
 *  1. A process that maps a grant receives a descriptor of the granting
 *     handle's memory and maps single pages of it. The library maps only what
 *     was granted and asks for read-only descriptors for read-only maps, but a
 *     process that bypasses the library could map more. On Xen it could not.
 *  2. Grant entries are version 1 only. Grant copy and transfer are not there.
 *  3. Grant references belong to a handle's part of the table, so a reference
 *     of one handle is never equal to one of another handle of the same domain.
 *  4. Event channels have no priorities, no VIRQ, no IPI; a port number is
 *     never used again while its machine lives.
 *  5. xenstore has no xs ring in guest memory, no quotas per domain beyond the
 *     limits in xen_ops.h, and no live update.
 *  6. Domains have no vCPU, no pause and no save or restore.
 *  7. In the host form GTF_reading and GTF_writing are set and cleared by the host process
 *     when it is asked to map and unmap, a moment after the mapping process asked.
 *  8. Every map reads the grant entry; Xen does not read one again that is mapped already. So
 *     after grant_revoke() even a second map of the same page by the same domain fails.
 *  9. The memory of a domain that was destroyed stays readable to whoever still runs its driver, until
 *     the handle is closed: its own pages, and those it had mapped (in the local form private
 *     zeroed ones take their place).
 * 10. A handle has at most 16384 pages and 8192 references.
 */
#ifndef FAKEXEN_FAKEXEN_H
#define FAKEXEN_FAKEXEN_H

#include <fakexen/xen_ops.h>

/* What is open on a machine; all zero when everything was given back. */
struct fakexen_balance {
    unsigned int handles;
    unsigned int pages;        /* allocated by pages_alloc() */
    unsigned int grants;       /* references in use */
    unsigned int maps;         /* pages mapped */
    unsigned int ports;        /* event channels, both ends counted */
    unsigned int watches;
    unsigned int transactions;
};

/* ---- local ---- */

struct fakexen_local;

int fakexen_local_create(struct fakexen_local **out);
/* Ends the machine and everything left on it. NULL is allowed. All handles must be closed. */
void fakexen_local_destroy(struct fakexen_local *local);
/* Valid until fakexen_local_destroy(). */
struct xen_machine *fakexen_local_machine(struct fakexen_local *local);
/* True while any handle has an unmasked pending port or an unread watch event. */
bool fakexen_local_pending(const struct fakexen_local *local);
struct fakexen_balance fakexen_local_balance(const struct fakexen_local *local);

/* ---- host: the machine as a process ---- */

struct fakexen_host;

/*
 * Takes DIR (created if missing, mode 0700) and listens on DIR/xen.sock. -EADDRINUSE when a living host
 * has it: a lock on DIR/lock tells; what a dead host left is cleared away.
 */
int fakexen_host_open(const char *dir, struct fakexen_host **out);
/* Readable when fakexen_host_step() has something to do. */
int fakexen_host_fd(const struct fakexen_host *host);
/* Serves what is waiting, without blocking. Clients that misbehave or die are cleaned up after. */
int fakexen_host_step(struct fakexen_host *host);
struct fakexen_balance fakexen_host_balance(const struct fakexen_host *host);
/* Ends all connections and removes what it put into DIR, and DIR if it made it. NULL is allowed. */
void fakexen_host_close(struct fakexen_host *host);

/* ---- client: a domain's process ---- */

/*
 * The machine served in DIR. No connection is made before the first call on it.
 * -ENOENT or -ECONNREFUSED of those calls: no host there. Free with fakexen_client_machine_destroy().
 */
int fakexen_client_machine_create(const char *dir, struct xen_machine **out);
void fakexen_client_machine_destroy(struct xen_machine *machine);
/* What is open on the whole machine; pages and grants as the clients say. */
int fakexen_client_machine_balance(struct xen_machine *machine, struct fakexen_balance *out);

#endif
