/* SPDX-License-Identifier: MIT */
/*
 * The seam to Xen: what a domain asks of the hypervisor and of xenstore.
 *
 * A handle (struct xen) is one connection of one domain, as a program has after
 * opening libxengnttab, libxenevtchn and libxenstore. A driver owns its handle:
 * the event channels bound and the watches set through a handle are reported to
 * that handle only. A domain may have many handles, in one process or several.
 *
 * Shaped after xengnttab.h, xenevtchn.h and xenstore.h of Xen 4.17; where a
 * call differs from them the comment says so. What an implementation does not
 * copy faithfully is listed at the top of fakexen.h.
 *
 * Threads: a handle is used by one thread at a time. No call blocks for
 * another domain. No call logs. A handle does not survive fork(): the child
 * closes nothing and opens its own.
 *
 * Errors: 0 or a negative errno; values through out-parameters, which are left
 * alone on failure. A call that fails has had no effect. -EPIPE from any call
 * means that the machine is gone and only xen_close() is left to do.
 */
#ifndef FAKEXEN_XEN_OPS_H
#define FAKEXEN_XEN_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>

#define XEN_PAGE_SIZE_BYTES 4096u

/* Limits of xenstore: XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX, XENSTORE_PAYLOAD_MAX of xs_wire.h. */
#define XEN_XS_PATH_MAX    3072u
#define XEN_XS_REL_MAX     2048u
#define XEN_XS_PAYLOAD_MAX 4096u
#define XEN_XS_TOKEN_MAX   3072u
#define XEN_XS_PERMS_MAX   16u

/* Transaction 0 is "no transaction" (xs_wire.h, struct xsd_sockmsg.tx_id). */
typedef uint32_t xen_transaction;
#define XEN_XBT_NIL ((xen_transaction)0)

/* The letters n, r, w, b of a node's permission list. */
enum xen_xs_access {
    XEN_XS_NONE = 0,
    XEN_XS_READ = 1,
    XEN_XS_WRITE = 2,
    XEN_XS_BOTH = 3,
};

/*
 * Entry 0 names the owner, who may do everything, and what all domains that
 * are not listed may do; further entries name one domain each. Domain 0 may
 * always do everything.
 */
struct xen_xs_perm {
    domid_t domid;
    enum xen_xs_access access;
};

/* What xen_waiting() finds. */
enum xen_waits {
    XEN_WAITS_EVENT = 1, /* for evtchn_pending() */
    XEN_WAITS_WATCH = 2, /* for xs_watch_read() */
};

/* A piece of a grant_copy(): between our memory and a page that somebody granted to us. */
struct xen_copy {
    grant_ref_t ref;
    uint16_t offset; /* in that page; with length not beyond it */
    uint16_t length;
    void *local;
    int16_t status; /* set by the call: GNTST_okay, or why this piece was not copied */
};

struct xen;
struct xen_waitset; /* waitset.h */

struct xen_ops {
    const char *name; /* "local", "client", ... */

    /*
     * Ends the handle: its ports close (each other end gets one last event, see fakexen.h 11),
     * its maps end, its grants end where nobody maps them, its watches and open
     * transactions go. Pages that a peer still maps stay until it unmaps them.
     */
    void (*close)(struct xen *xen);

    /*
     * A descriptor that is readable while an event, a watch event or the end of
     * the machine is waiting; -1 for the local implementation, where the caller
     * steps instead of waiting. Owned by the handle. Level triggered.
     */
    int (*fd)(struct xen *xen);
    /*
     * One look for all of that: XEN_WAITS_*, or -EPIPE at the end of the machine. In a set (join) what the set's last
     * look found, and a look of its own only when asked again before the next. NULL where a look at each costs no more;
     * use xen_waiting().
     */
    int (*waiting)(struct xen *xen);
    /*
     * From now on the handle is waited for in that set and has no fd() (-1), until it is closed. -EBUSY once it has a
     * port. NULL where fd() is as good; use xen_waitset_add().
     */
    int (*join)(struct xen *xen, struct xen_waitset *set);

    /* ---- memory of the domain ---- */

    /* count contiguous zeroed pages that can be granted. -ENOMEM at the domain's limit. */
    int (*pages_alloc)(struct xen *xen, unsigned int count, void **out);
    /*
     * Frees pages of pages_alloc() (same address and count). Grants of them must have ended. NULL is
     * allowed. No effect after -EPIPE.
     */
    void (*pages_free)(struct xen *xen, void *addr, unsigned int count);

    /* ---- grant table, granting side (Linux: gnttab_grant_foreign_access) ---- */

    /*
     * Lets domain `to` map the page that holds addr, which must be of pages_alloc()
     * of this handle (-EINVAL). No call to the host: writes a v1 entry. -ENOSPC when
     * no reference is free. References 0 to 7 are reserved and never given out.
     */
    int (*grant)(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out);
    /*
     * Ends a grant. -EBUSY while the other side maps it (GTF_reading or GTF_writing is set):
     * nothing is changed and the page must not be reused. -EINVAL for a reference that is not in use.
     */
    int (*grant_end)(struct xen *xen, grant_ref_t ref);
    /*
     * Withdraws permission while the page may be mapped, as a guest can by clearing GTF_permit_access:
     * mappings that exist stay, new ones fail. grant_end() is still needed.
     */
    int (*grant_revoke)(struct xen *xen, grant_ref_t ref);

    /* ---- grant table, mapping side (xengnttab_map_domain_grant_refs) ---- */

    /*
     * Maps count pages of domain `from` at consecutive addresses. With writable false the mapping is
     * PROT_READ and a write faults. All or nothing: -EACCES wrong domain, revoked, or writable
     * mapping of a read-only grant; -ENOENT unused reference; -ENOSPC over the limit.
     */
    int (*grant_map)(struct xen *xen, domid_t from, unsigned int count, const grant_ref_t refs[], bool writable,
                     void **out);
    /* Unmaps what one grant_map() returned, with the same count. The addresses fault afterwards. */
    int (*grant_unmap)(struct xen *xen, void *addr, unsigned int count);
    /*
     * Copies pieces to (to_grant) or from pages of domain `with`, without mapping them (GNTTABOP_copy). Each is tried and has
     * a status: GNTST_bad_gntref an unused reference, GNTST_general_error one that does not allow it. 0 when all were
     * tried; -EINVAL for one that is not within its page, then none is copied; -ENOMEM after any number of them. NULL where
     * an implementation has none: then pages are mapped. A piece of no bytes is looked at all the same.
     */
    int (*grant_copy)(struct xen *xen, domid_t with, bool to_grant, unsigned int count, struct xen_copy seg[]);
    /* How many pages this handle may have mapped at once (xengnttab_set_max_grants). Default 1024. */
    int (*grant_map_limit)(struct xen *xen, unsigned int count);

    /* ---- event channels ---- */

    /* A new port that domain `remote` may bind (EVTCHNOP_alloc_unbound). */
    int (*evtchn_alloc)(struct xen *xen, domid_t remote, evtchn_port_t *out);
    /*
     * Binds to an unbound port of `remote` that was allocated for this domain
     * (EVTCHNOP_bind_interdomain). -EINVAL otherwise. As on Xen the new local
     * port has one event pending at once, so that what the other side published
     * before is found (rule BUS-10).
     */
    int (*evtchn_bind)(struct xen *xen, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *out);
    /* Sets the other end pending. Not an error while the other end is unbound or closed: the event is lost. */
    int (*evtchn_notify)(struct xen *xen, evtchn_port_t port);
    /* Closes a port. The other end returns to unbound and gets one event; as on Xen this domain may bind it again. */
    int (*evtchn_close)(struct xen *xen, evtchn_port_t port);
    /*
     * Takes one pending port, clears it and masks it until evtchn_unmask() (xenevtchn_pending). Ports take
     * turns. -EAGAIN when none is pending.
     */
    int (*evtchn_pending)(struct xen *xen, evtchn_port_t *out);
    /* Unmasks; an event that came meanwhile is pending at once. */
    int (*evtchn_unmask)(struct xen *xen, evtchn_port_t port);
    /*
     * Whether another end is bound to the port (EVTCHNOP_status, which xenevtchn.h does not offer). False before
     * anybody bound it, and again once the other end closed or its domain or process is gone.
     */
    int (*evtchn_status)(struct xen *xen, evtchn_port_t port, bool *bound);

    /* ---- xenstore ---- */

    /*
     * A path that does not begin with '/' is relative to /local/domain/<domid of the handle>.
     * Errors are those of xsd_errors: ENOENT EACCES EEXIST EINVAL EAGAIN ENOSPC E2BIG ENOMEM EPERM.
     */
    int (*xs_begin)(struct xen *xen, xen_transaction *out);
    /*
     * Commits or aborts; -EAGAIN when a node that was read or written has changed since: try again
     * from xs_begin(). The transaction is over in every case.
     */
    int (*xs_end)(struct xen *xen, xen_transaction t, bool abort);
    /* Copies the value and a NUL into buf; returns its length without the NUL, -ERANGE if it does not fit. */
    ssize_t (*xs_read)(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size);
    /* Creates missing parents; a new node inherits its parent's permissions and, in a guest, belongs to the guest. */
    int (*xs_write)(struct xen *xen, xen_transaction t, const char *path, const char *value, size_t length);
    /* Creates an empty node and missing parents; no effect if it exists. */
    int (*xs_mkdir)(struct xen *xen, xen_transaction t, const char *path);
    /* Removes a node and all below it. Missing node: 0 if its parent exists, else -ENOENT. */
    int (*xs_rm)(struct xen *xen, xen_transaction t, const char *path);
    /* The children's names, each with its NUL, in order of creation; returns the bytes used. */
    ssize_t (*xs_directory)(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size);
    /* Returns the number of entries, at most XEN_XS_PERMS_MAX. */
    int (*xs_get_perms)(struct xen *xen, xen_transaction t, const char *path, struct xen_xs_perm *perms,
                        unsigned int count);
    /* For the owner (-EACCES), who may not give the node to another domain (-EPERM). */
    int (*xs_set_perms)(struct xen *xen, xen_transaction t, const char *path, const struct xen_xs_perm *perms,
                        unsigned int count);
    /*
     * Fires once when set, then at every change of the node or of one below it, and when
     * a parent is removed; a guest learns only of nodes it may read. The path may be @introduceDomain or
     * @releaseDomain, which fire for those whom xs_set_perms() of that name lets read, at first domain 0.
     * -EEXIST for the same path and token twice, -E2BIG over the quota.
     */
    int (*xs_watch)(struct xen *xen, const char *path, const char *token);
    /* Events of the watch that were waiting are dropped. */
    int (*xs_unwatch)(struct xen *xen, const char *path, const char *token);
    /*
     * Takes one watch event: the path that changed (relative if the watch was) and the
     * token. path has XEN_XS_PATH_MAX + 1 bytes, token XEN_XS_TOKEN_MAX + 1. -EAGAIN when there is none.
     */
    int (*xs_watch_read)(struct xen *xen, char *path, char *token);
};

/* What an entry of a set belongs to: called when a look finds its descriptor ready. */
struct xen_source {
    void (*found)(struct xen_source *source);
};

/* A handle's place in a set. */
struct xen_member {
    struct xen_source source; /* of fd(), where there is no join */
    struct xen_waitset *set;  /* NULL: in none */
    bool found;               /* something may be there for xen_waiting(), which was not asked since */
};

/* Implementations embed this as their first member. */
struct xen {
    const struct xen_ops *ops;
    domid_t domid;
    struct xen_member member;
};

/* What may be waiting, in the order of bits of enum xen_waits; -EPIPE at the end of the machine. */
static inline int xen_waiting(struct xen *xen)
{
    xen->member.found = false;
    return xen->ops->waiting ? xen->ops->waiting(xen) : XEN_WAITS_EVENT | XEN_WAITS_WATCH;
}

static inline void xen_close(struct xen *xen)
{
    if (xen)
        xen->ops->close(xen);
}

/*
 * The machine as its toolstack sees it: opens handles, makes and ends domains.
 * Domain 0 is always there.
 */
struct xen_machine;

struct xen_machine_ops {
    /* -ENXIO no such domain; -EPIPE the machine is gone. */
    int (*open)(struct xen_machine *machine, domid_t domid, struct xen **out);
    /* Makes a domain and its xenstore home /local/domain/<domid>. -EEXIST; -EINVAL for a reserved domid. */
    int (*domain_create)(struct xen_machine *machine, domid_t domid);
    /*
     * Ends a domain as a crash does: its handles stop working (-EPIPE), its ports close and its
     * maps end; its xenstore home goes; what others map of it stays until they unmap. -ENXIO;
     * -EINVAL for domain 0.
     */
    int (*domain_destroy)(struct xen_machine *machine, domid_t domid);
};

struct xen_machine {
    const struct xen_machine_ops *ops;
};

#endif
