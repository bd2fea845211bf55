/* SPDX-License-Identifier: MIT */
/* What the files of the faults share. The contract is fakexen/faults.h. */
#ifndef FAKEXEN_FAULTS_FAULTS_H
#define FAKEXEN_FAULTS_FAULTS_H

#include <fakexen/faults.h>

enum fault_op {
    OP_CLOSE,
    OP_FD,
    OP_PAGES_ALLOC,
    OP_PAGES_FREE,
    OP_GRANT,
    OP_GRANT_END,
    OP_GRANT_REVOKE,
    OP_GRANT_MAP,
    OP_GRANT_UNMAP,
    OP_GRANT_COPY,
    OP_GRANT_MAP_LIMIT,
    OP_EVTCHN_ALLOC,
    OP_EVTCHN_BIND,
    OP_EVTCHN_NOTIFY,
    OP_EVTCHN_CLOSE,
    OP_EVTCHN_PENDING,
    OP_EVTCHN_UNMASK,
    OP_EVTCHN_STATUS,
    OP_XS_BEGIN,
    OP_XS_END,
    OP_XS_READ,
    OP_XS_WRITE,
    OP_XS_MKDIR,
    OP_XS_RM,
    OP_XS_DIRECTORY,
    OP_XS_GET_PERMS,
    OP_XS_SET_PERMS,
    OP_XS_WATCH,
    OP_XS_UNWATCH,
    OP_XS_WATCH_READ,
    OP_OPEN,
    OP_DOMAIN_CREATE,
    OP_DOMAIN_DESTROY,
    FAULT_OPS,
    OP_ANY = FAULT_OPS,
};

enum fault_kind {
    FAULT_CALL,
    FAULT_CONFLICT,
    FAULT_MEMORY,
    FAULT_EVENT_DELAY,
    FAULT_EVENT_DROP,
    FAULT_EVENT_LOSE,
    FAULT_WATCH_DELAY,
    FAULT_REVOKE,
    FAULT_FREEZE,
    FAULT_THAW,
};

#define DOMID_ALL 0xffffffffu

struct fault_item {
    enum fault_kind kind;
    enum fault_op op; /* FAULT_CALL */
    enum {
        WHEN_NTH,
        WHEN_FROM,
        WHEN_CHANCE,
    } when;
    uint64_t n;      /* NTH, FROM; pages; the call at which to freeze or thaw */
    uint64_t chance; /* of 2^32 */
    uint64_t seen;   /* occasions so far */
    int error;       /* positive */
    uint32_t domid;  /* or DOMID_ALL */
    unsigned int polls;
};

struct fault_plan {
    struct fault_item item[FAKEXEN_FAULTS_ITEMS_MAX];
    unsigned int count;
    uint64_t seed;
    uint64_t random;
};

extern const struct fakexen_faults_op fault_ops[FAULT_OPS];

/* plan.c: all or nothing; see fakexen_faults_parse(). */
int fault_plan_parse(struct fault_plan *plan, const char *text, char error[FAKEXEN_FAULTS_ERROR_MAX]);
void fault_plan_init(struct fault_plan *plan);
/* An occasion for faults of a kind: the item that makes use of it, or NULL. */
const struct fault_item *fault_plan_ask(struct fault_plan *plan, enum fault_kind kind, enum fault_op op,
                                        domid_t domid);

/* A port with what is kept from its owner. */
struct fault_port {
    struct fault_port *next;
    evtchn_port_t port;
    bool held;          /* an event was taken and not reported */
    unsigned int polls; /* for how many empty polls more */
    bool masked;        /* reported and not unmasked */
    bool again;         /* another was taken while it was masked */
};

struct fault_handle {
    struct xen xen; /* first */
    struct xen *inner;
    struct faults *faults;
    struct fault_handle *next;
    struct fault_port *ports;
    unsigned int pages;
    bool watch_late; /* a delay is going on; while it is the inner handle shows that something waits */
    unsigned int watch_polls; /* calls of xs_watch_read() that still find nothing */
    bool gone;                /* EPIPE was given */
    bool gone_seen;           /* by a call that looks for news */
    int wait; /* what fd() gives: an epoll of the inner fd and of wake; -1 without an inner one */
    int wake;
};

struct faults {
    struct xen_machine machine; /* first */
    struct xen_machine *inner;
    struct fault_handle *handles;
    struct fault_plan plan;
    struct fakexen_faults_stats stats;
    uint64_t calls[FAULT_OPS];
    domid_t frozen[FAKEXEN_FAULTS_FROZEN_MAX];
    unsigned int nr_frozen;
};

/* faults.c: counts a call; 0, or what it fails with. */
int faults_call(struct faults *faults, domid_t domid, enum fault_op op);
/* The same for a call on a handle. */
int fault_enter(struct xen *xen, enum fault_op op);
bool fault_frozen(const struct fault_handle *handle);
void fault_close(struct xen *xen);
/* Makes the handle's fd say what there is. */
void fault_refresh(struct fault_handle *handle);

static inline struct fault_handle *fault_handle_of(struct xen *xen)
{
    return (struct fault_handle *)xen;
}

/* handle.c */
extern const struct xen_ops fault_handle_ops;

/* evtchn.c */
void fault_ports_drop(struct fault_handle *handle);
bool fault_ports_held(const struct fault_handle *handle);
int fault_evtchn_alloc(struct xen *xen, domid_t remote, evtchn_port_t *out);
int fault_evtchn_bind(struct xen *xen, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *out);
int fault_evtchn_notify(struct xen *xen, evtchn_port_t port);
int fault_evtchn_close(struct xen *xen, evtchn_port_t port);
int fault_evtchn_pending(struct xen *xen, evtchn_port_t *out);
int fault_evtchn_unmask(struct xen *xen, evtchn_port_t port);
int fault_evtchn_status(struct xen *xen, evtchn_port_t port, bool *bound);

#endif
