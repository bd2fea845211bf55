/* SPDX-License-Identifier: MIT */
/*
 * Faults on purpose: a machine around another one (local or client) that counts every call made
 * through it, and fails, delays or withholds what a plan names.
 *
 *     struct xen_machine *machine;
 *     char error[FAKEXEN_FAULTS_ERROR_MAX];
 *     fakexen_faults_create(fakexen_local_machine(local), &machine);
 *     if (fakexen_faults_parse(machine, "grant_map:3=ENOMEM,event-delay:p=0.01@5,seed=42", error))
 *         fail(error);
 *     ... open handles on `machine`, run what is to be tested, close them ...
 *     printf("seed %" PRIu64 ", %" PRIu64 " faults\n", fakexen_faults_seed(machine),
 *            fakexen_faults_stats(machine).failed);
 *     fakexen_faults_destroy(machine);
 *
 * A plan is items with commas between them, without blanks. "Xen may": a driver must live with it.
 *
 * CALL:WHEN=ERRNO[@DOMID]
 *     That call of xen_ops.h (by its name there), or `open`, `domain_create`, `domain_destroy`, or `any`
 *     of them, fails, for all domains or for one. It has had no effect, as xen_ops.h promises; only xs_end
 *     ends its transaction nevertheless (nothing of it is done), and after EPIPE the handle answers nothing
 *     else any more. Xen may, with the errnos that fakexen_faults_op() lists; others are more than Xen does.
 *
 * xs-conflict:WHEN
 *     A commit of xenstore fails with EAGAIN, as after a write of somebody else. Xen may, any number of
 *     times.
 *
 * memory:PAGES
 *     No domain gets more pages of pages_alloc() than that: ENOMEM. Xen may.
 *
 * event-delay:WHEN[@POLLS]
 *     An event is reported POLLS (default 4) empty polls of its handle late: calls of evtchn_pending() that
 *     find nothing else. Those that come for the port meanwhile are merged into it. Xen may.
 *
 * event-drop:WHEN
 *     An event is withheld until the next of the same port; both then are one. Xen may merge events, it never
 *     loses one: without a next one it is reported after FAKEXEN_FAULTS_DROP_POLLS empty polls.
 *
 * event-lose:WHEN
 *     An event is lost. XEN NEVER DOES THIS: it is for tests of timeouts.
 *
 * watch-delay:WHEN[@POLLS]
 *     The handle's watch events stay unread for that many calls of xs_watch_read(). Xen may.
 *
 * revoke:WHEN
 *     After a grant_map() that succeeded, what it mapped is revoked, as a guest may (MAL-14). Only grants of
 *     handles opened on this machine, that is, of this process.
 *
 * freeze:domid=DOMID@CALL, thaw:domid=DOMID@CALL
 *     Freezes a domain at the CALL-th call of the machine, and ends it. Like a paused domain it learns of no
 *     event and no watch, and its fd is quiet; nothing is lost. Who steps its driver should not, meanwhile:
 *     its own clock stands still too. Xen may.
 *
 * seed=N
 *     Of the probabilities; the default is 1. The same plan, seed and calls are the same run.
 *
 * WHEN is N or nth=N (the N-th occasion after the plan was given, from 1), from=N (that and all later ones),
 * every, or p=X (each with probability X, 0 to 1).
 *
 * Errors, threads and lifetimes are those of xen_ops.h. A plan takes no memory.
 */
#ifndef FAKEXEN_FAULTS_H
#define FAKEXEN_FAULTS_H

#include <fakexen/xen_ops.h>

#define FAKEXEN_FAULTS_ERROR_MAX  128u
#define FAKEXEN_FAULTS_ITEMS_MAX  32u
#define FAKEXEN_FAULTS_DROP_POLLS 16u
#define FAKEXEN_FAULTS_FROZEN_MAX 16u

/* Borrows the inner machine. -ENOMEM. */
int fakexen_faults_create(struct xen_machine *inner, struct xen_machine **out);
/* All handles must be closed; the inner machine stays. NULL is allowed. */
void fakexen_faults_destroy(struct xen_machine *machine);

/*
 * Adds a plan to what there is. -EINVAL with one line in error, -ENOSPC beyond FAKEXEN_FAULTS_ITEMS_MAX; then
 * nothing of it is taken. error may be NULL.
 */
int fakexen_faults_parse(struct xen_machine *machine, const char *plan, char error[FAKEXEN_FAULTS_ERROR_MAX]);
/* No plan any more. Counters, what is frozen, and events that are withheld stay. */
void fakexen_faults_clear(struct xen_machine *machine);
uint64_t fakexen_faults_seed(const struct xen_machine *machine);

/* Handles of a domain, also those opened later. -ENOSPC: FAKEXEN_FAULTS_FROZEN_MAX are frozen. */
int fakexen_faults_freeze(struct xen_machine *machine, domid_t domid);
void fakexen_faults_thaw(struct xen_machine *machine, domid_t domid);
bool fakexen_faults_frozen(const struct xen_machine *machine, domid_t domid);

/*
 * True while a handle that is not frozen has something to be found by stepping its driver: instead of
 * fakexen_local_pending(), which knows nothing of what is frozen or withheld. waiting() says it of an inner
 * handle, fakexen_local_handle_pending() of fakexen.h for a local one; with NULL its fd does.
 */
bool fakexen_faults_pending(const struct xen_machine *machine, bool (*waiting)(const struct xen *inner));

struct fakexen_faults_stats {
    uint64_t calls;
    uint64_t failed;   /* by the plan */
    uint64_t withheld; /* events delayed and dropped, watch delays */
    uint64_t lost;     /* events */
    uint64_t revoked;  /* grants */
};

struct fakexen_faults_stats fakexen_faults_stats(const struct xen_machine *machine);
/* Calls made, by name; 0 for a name that is none. */
uint64_t fakexen_faults_calls(const struct xen_machine *machine, const char *call);

struct fakexen_faults_op {
    const char *name;
    int errors[8]; /* positive, 0 ends: the errnos Xen or xenstored may give; empty for calls that cannot fail
                    */
};

/* The i-th call that is counted, NULL past the last. */
const struct fakexen_faults_op *fakexen_faults_op(unsigned int i);

#endif
