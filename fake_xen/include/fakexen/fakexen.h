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
 *           Who waits for such handles does so cheapest in a set (waitset.h).
 *
 * xenstore in the host form also listens for programs that know nothing of fakexen, Debian's xenstore-ls
 * and the like: it speaks xen/io/xs_wire.h of Xen 4.17, with the answers and errors of the C xenstored, at
 *
 *   DIR/xenstored.socket                 for domain 0
 *   DIR/domain/<domid>/xenstored.socket  for each other domain, from domain_create() to domain_destroy()
 *
 * Which socket a program connects to is which domain it is:
 *
 *   XENSTORED_PATH=DIR/xenstored.socket xenstore-ls
 *
 * The host makes DIR and the folders in it with mode 0700 and the sockets with mode 0600: whoever may open
 * them may be any domain, so they are for one user. A DIR that was there keeps its mode.
 *
 * Programs that use libxengnttab, libxenevtchn or libxenctrl find here libraries of the same names and symbols
 * (fake_xen/shim): `pvusb exec --dir DIR --domid N -- COMMAND` runs one, QEMU for example, as if it were in domain N.
 * Of them these functions are real: all of libxengnttab but those of dma-buf, all of libxenevtchn but
 * xenevtchn_fdopen(), xc_domain_getinfo() and xc_domain_getinfolist(), and what opens and closes a handle. All others
 * fail with ENOSYS; with FAKEXEN_LOG=FILE each such call is a line of FILE.
 *
 * xenstore is ours, or the C xenstored itself, of Debian's package xen-utils-4.17 (fakexen_host_open_genuine()). That
 * runs as a child process of the host, in domain 0, with those libraries. The first of the sockets above is then its
 * own, and the handles of domain 0 connect there, too. Each other domain has one ring of struct
 * xenstore_domain_interface with it, as on Xen, and the host passes on what the domain's sockets and handles say over
 * that, as Linux does for /dev/xen/xenbus: their watches and transactions stay apart, and what one leaves when it
 * closes is taken back. When xenstored ends, the machine does. What of the following is about xenstore is
 * then xenstored's affair; what domain 0 has open there is in no balance; and other clients may be told by their
 * watches a moment after who made the change has his answer.
 *
 * Each domain but 0 has the quotas of Xen's C xenstored: it owns at most 1000 nodes, each of less than 2048
 * bytes with permissions and names of children, with at most 5 permissions; it has at most 129
 * watches and 11 transactions, of 1024 nodes each. Requests that are answered but whose answer was not yet
 * taken are at most 16, then no more are read. A connection with 1 MiB unread is dropped; so is one
 * that sends a message longer than 4096 bytes.
 *
 * Where the fake is NOT faithful to Xen (keep this list complete):
 *
 *  1. A process that maps a grant receives a descriptor of the granting
 *     handle's memory and maps single pages of it. The library maps only what
 *     was granted and asks for read-only descriptors for read-only maps, but a
 *     process that bypasses the library could map more. On Xen it could not.
 *  2. Grant entries are version 1 only. Grant transfer is not there. Grant copy is made by the copying process: by the
 *     drop-in libraries as a map, a copy and an unmap (see 12); by grant_copy() in the host form with a look at the entry
 *     and a copy, so that GTF_reading and GTF_writing are not set for its time, and what 1 says of descriptors holds
 *     for the handle's whole memory and table.
 *  3. Grant references belong to a handle's part of the table, so a reference
 *     of one handle is never equal to one of another handle of the same domain.
 *  4. Event channels have no priorities and no IPI; a port number is never used again while its machine
 *     lives. Of the VIRQs, which only clients of the host form can bind, VIRQ_DOM_EXC is the one
 *     that is ever raised, for domain 0, when a domain is destroyed.
 *  5. Our own xenstore has no ring in guest memory, no live update and no depth of watches (Xen 4.21); of
 *     XS_CONTROL only check, log, print and help. XS_INTRODUCE and XS_RELEASE only say whether a domain is
 *     introduced; its connections stay. Tokens of watches have at most 3072 bytes, permission lists at
 *     most 16 entries even for domain 0, and those name no domain beyond 65535. The memory of a domain is not
 *     counted as a whole, how often it writes is not limited, and a connection that does not read is dropped where
 *     xenstored would drop events; an event is told however many like it are still unread. A transaction sees all
 *     nodes as they were when it began; one of xenstored sees those that it has not looked at before as
 *     they are. A request that has to be one string and is not is -EINVAL always; xenstored answers
 *     with the last error that it had, or fails an assertion. The root cannot go with a domain that owns it. In
 *     the local form 1 MiB of unread events of a guest's handle ends not the handle but its events (-EPIPE).
 *  6. Domains have no vCPU, no pause and no save or restore.
 *  7. In the host form GTF_reading and GTF_writing are set and cleared by the host process
 *     when it is asked to map and unmap, a moment after the mapping process asked.
 *  8. Every map reads the grant entry; Xen does not read one again that is mapped already. So
 *     after grant_revoke() even a second map of the same page by the same domain fails.
 *  9. The memory of a domain that was destroyed stays readable to whoever still runs its driver, until
 *     the handle is closed: its own pages, and those it had mapped (in the local form private
 *     zeroed ones take their place).
 * 10. A handle has at most 16384 pages and 8192 references.
 * 11. When one end of an event channel closes, also because its process or domain died, the other end gets
 *     one event, and evtchn_status() then says that it is unbound. On Xen that end only becomes unbound,
 *     silently: a driver there learns of it only if it asks.
 * 12. The libraries of fake_xen/shim. Handles log nothing to their xentoollog logger, and xentoolcore_restrict_all()
 *     does not know them. xengnttab_set_max_grants() counts (ENOSPC beyond it), as current kernels do not.
 *     xengnttab_grant_copy() copies the segments before one that is refused (-1), and has GNTST_bad_gntref also for
 *     an unused reference and for a domain that is not there. xengntshr_unshare() takes what one call shared,
 *     not a part of it. xenevtchn_bind_interdomain() has EINVAL for a domain that is not there. An event is masked when
 *     xenevtchn_pending() takes it, not already when it arrives, so of several events before that
 *     none comes again after. An event channel handle does not survive exec(): xenevtchn_fdopen() has ENOSYS.
 *     UNMAP_NOTIFY_SEND_EVENT reaches the other end of a port also when this end closed before. When the machine ends
 *     or the domain dies, the program goes on and every call fails with EPIPE.
 * 13. Both ends of an event channel and the host share its two eventfds in the host form. A process that bypasses
 *     the library can fill a counter and set it to block, and then stop a peer that notifies it; on Xen it could
 *     not. The host is not stopped.
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
/*
 * Ends a handle as the death of its process would: it stops working (-EPIPE), its ports close, its maps end (see
 * 9), its watches and transactions go. Its domain and the nodes stay. Only xen_close() is left to do.
 */
void fakexen_local_kill(struct xen *xen);
/* The same for one handle, opened on a local machine. */
bool fakexen_local_handle_pending(const struct xen *xen);
struct fakexen_balance fakexen_local_balance(const struct fakexen_local *local);

/* ---- host: the machine as a process ---- */

struct fakexen_host;

/*
 * Takes DIR (created if missing, mode 0700) and listens on DIR/xen.sock and DIR/xenstored.socket. -EADDRINUSE
 * when a living host has it: a lock on DIR/lock tells; what a dead host left is cleared away. -ENAMETOOLONG
 * when a socket's name in DIR would be longer than an address may be: DIR has at most 77 bytes.
 */
int fakexen_host_open(const char *dir, struct fakexen_host **out);
/* The C xenstored of Xen 4.17 and what it is run with; paths, all without ':' and blanks. */
struct fakexen_xenstored {
    const char *program;
    const char *libraries; /* the folder of the drop-in libxengnttab.so.1 and the like */
    const char *preload;   /* gives it domain 0's page and port of xenstore, for /proc/xen/xsd_kva and xsd_port */
};
/*
 * The same with xenstored, a child process, as the store; see above. It is not ready when this returns. -ENOENT
 * when there is no such program.
 */
int fakexen_host_open_genuine(const char *dir, const struct fakexen_xenstored *program, struct fakexen_host **out);
/* 1: clients may come. 0: xenstored is starting, fakexen_host_step() has to be called. -ECHILD: it has ended. */
int fakexen_host_ready(const struct fakexen_host *host);
/* How xenstored ended, as of waitpid(); -1 if it has not. */
int fakexen_host_xenstored_status(const struct fakexen_host *host);
/* Readable when fakexen_host_step() has something to do. */
int fakexen_host_fd(const struct fakexen_host *host);
/*
 * Serves what is waiting, without blocking. Clients that misbehave or die are cleaned up after. -ECHILD: xenstored
 * has ended, so that only fakexen_host_close() is left to do.
 */
int fakexen_host_step(struct fakexen_host *host);
struct fakexen_balance fakexen_host_balance(const struct fakexen_host *host);
/* How many descriptors the host has for domains that live, and for xenstored, whoever else is there. */
unsigned int fakexen_host_descriptors(const struct fakexen_host *host);
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
/*
 * The living domains from `first` on, ascending, at most `max`; returns how many (XEN_DOMCTL_getdomaininfo,
 * XEN_SYSCTL_getdomaininfolist).
 */
int fakexen_client_machine_domains(struct xen_machine *machine, domid_t first, unsigned int max, domid_t out[]);
/*
 * A port of a handle of such a machine on which a VIRQ of xen/xen.h is an event (EVTCHNOP_bind_virq). -EEXIST when
 * the domain has it bound already, -EINVAL when there is no such VIRQ.
 */
int fakexen_client_evtchn_virq(struct xen *xen, unsigned int virq, evtchn_port_t *out);
/* What others have done to a handle since it was opened: for who measures them and cannot ask them. */
struct fakexen_counts {
    uint64_t events; /* sent to the ports that it has open, each one, also when several were found as one */
    uint64_t maps;   /* calls that mapped or unmapped pages of its, at most 64 at once, as one that asks for more is
                        several; one with pages of several handles counts for that of the first */
};
/*
 * Of a handle of such a machine in a set (waitset.h); -EINVAL for another, whose events are gone when they are taken.
 * Nobody else is asked or woken: three system calls for each port. The end of a port's other end takes back
 * what it has counted. -ENODATA: the kernel does not say (/proc/self/fdinfo).
 */
int fakexen_client_counts(const struct xen *xen, struct fakexen_counts *out);

#endif
