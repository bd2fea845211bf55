/* SPDX-License-Identifier: MIT */
/* What the files of the frontend share. The contract is frontend.h. */
#ifndef SIM_FRONTEND_PRIVATE_H
#define SIM_FRONTEND_PRIVATE_H

#include <pvusb/ring.h>
#include <pvusb/urb.h>

#include "frontend/frontend.h"
#include "xenbus/xenbus.h"

#define FRONT_SLOTS_MAX (PVUSB_URB_RING_SLOTS << PVUSB_RING_ORDER_MAX)

/* Free slots that must be left over (rule RING-12): always one for an unlink, after data one for a control request. */
#define FRONT_KEEP_FOR_UNLINK  1u
#define FRONT_KEEP_FOR_CONTROL 1u

#define FRONT_RECENT    256u /* a power of two */
#define FRONT_KEPT_NODE "feature-persistent"
#define FRONT_ORDER_MAX_NODE "max-urb-ring-page-order"
#define FRONT_ORDER_NODE     "urb-ring-page-order"
#define FRONT_RING_PAGES     8u /* where nobody says otherwise */
#define FRONT_RING_PAGES_MAX (1u << PVUSB_RING_ORDER_MAX)

#define FRONT_STARVE_NS (100 * UINT64_C(1000000))
#define FRONT_CLOSE_NS  (5 * UINT64_C(1000000000))
#define FRONT_UNMAP_NS  (10 * UINT64_C(1000000))
/* After xenstore could not say where the backend is. */
#define FRONT_LOOK_NS (UINT64_C(1000000000))

/* Waiting URBs, one queue per class: within a class nobody overtakes, so no endpoint is reordered. */
enum front_class {
    FRONT_CONTROL,
    FRONT_ISO, /* both directions: they end by themselves, in time, and may not wait */
    FRONT_DATA_OUT,
    FRONT_DATA_IN,
    FRONT_CLASSES
};

struct front_queue {
    struct hcd_urb *head;
    struct hcd_urb **tail;
};

/* A request on the ring; the index is its id (rule ID-02). */
struct front_slot {
    enum {
        SLOT_FREE,
        SLOT_URB,
        SLOT_UNLINK,
    } use;
    struct hcd_urb *urb;    /* SLOT_URB */
    uint64_t order;         /* when it was put on the ring, counted */
    bool unlink_wanted;     /* SLOT_URB: somebody wants it back, no unlink request sent yet */
    bool unlink_sent;
    bool take_back;         /* wanted by us for another endpoint's turn, not by the guest */
    uint8_t nr_grants;
    struct front_grant {
        grant_ref_t ref; /* 0: of a page that stays granted */
        const void *addr;
    } grant[PVUSB_SEGMENTS_MAX];
    struct pvusb_iso_desc *bounce; /* a page for isochronous descriptors */
};

struct front_port {
    uint8_t attached; /* USBIF_SPEED_*, as the backend last said */
    uint16_t status;
    uint16_t change;
    uint64_t reset_done_ns;  /* UINT64_MAX: no reset going on */
    uint64_t resume_done_ns; /* likewise */
};

struct front {
    struct hcd hcd;
    struct xen *xen;
    unsigned int devid;
    void (*log)(void *context, const char *line);
    void *log_context;
    const struct front_tap *tap;

    char dir[XENBUS_PATH_MAX];
    char backend_dir[XENBUS_PATH_MAX]; /* "" until the toolstack wrote it */
    domid_t backend_domid;
    enum xenbus_state state;
    enum xenbus_state backend_state;
    enum pvusb_verdict verdict;
    bool stepping;
    bool polled;  /* the event of the next response is to be asked for */
    bool again;   /* the last step left responses, as it had taken its turns */
    bool restart; /* begin again once the backend has closed too */
    bool reconnect;    /* want restart whenever the backend ends the connection */
    bool backend_gone; /* its end of the channel closed: it answers and maps nothing any more */
    uint64_t close_deadline_ns; /* UINT64_MAX: not closing */
    uint64_t look_again_ns;     /* UINT64_MAX: a watch tells when to look for the backend */
    uint64_t now_ns;

    unsigned int num_ports;
    unsigned int usb_ver;
    struct front_port port[PVUSB_PORTS_MAX + 1]; /* [0] unused */
    uint64_t ports_due_ns; /* the first of their times, so that nobody looks at ports that have none */

    evtchn_port_t evtchn;
    unsigned int order_wanted; /* front_set_ring_pages() */
    unsigned int ring_order;   /* of the URB ring's pages in this connection */
    void *urb_page;            /* the first of them */
    void *conn_page;
    grant_ref_t urb_ref[FRONT_RING_PAGES_MAX];
    grant_ref_t conn_ref;
    struct pvusb_ring_front urb_ring;
    struct pvusb_ring_front conn_ring;
    void *bounce_pages;
    struct front_memory *memory;
    struct front_memory *recent[FRONT_RECENT]; /* by page: where front_memory_*() found it last */
    struct front_stuck *stuck;
    bool never_keep; /* front_set_persistent() */
    bool keeping;    /* grants of this connection stay until it ends */

    struct front_slot slot[FRONT_SLOTS_MAX]; /* the first nr_slots are those of the ring, from the first connection on */
    uint64_t free_ids[FRONT_SLOTS_MAX / 64]; /* a bit for each slot that is free */
    unsigned int nr_slots;
    unsigned int used; /* slots not free */
    unsigned int unlinks_wanted; /* slots with unlink_wanted, */
    unsigned int taken_back;     /* and with take_back */
    unsigned int held[FRONT_CLASSES]; /* of those, by URBs of each class */
    uint64_t order;
    struct front_queue waiting[FRONT_CLASSES];
    struct front_queue failed; /* could not be started between steps; the next step returns them */
    uint64_t starving_since_ns; /* UINT64_MAX: nobody starves */
    bool check_wanted;          /* somebody may starve since a submit between steps */
    struct front_stats stats;
};

void front_log(struct front *front, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* connect.c */
int front_find_backend(struct front *front);
int front_connect(struct front *front);
void front_set_state(struct front *front, enum xenbus_state state);
/* Names the violation and begins to close. */
void front_violation(struct front *front, enum pvusb_verdict verdict);
void front_begin_close(struct front *front);
void front_advance_close(struct front *front);
/* When to look again whether the backend has unmapped; UINT64_MAX: there is nothing to look for. */
uint64_t front_unmap_deadline(const struct front *front);
void front_release_rings(struct front *front);
/* Looks whether the backend is still at the other end of the channel. */
void front_check_backend(struct front *front);
/* What the backend's state asks for. */
void front_follow(struct front *front);

/* urb.c: one URB and its slot */
int front_urb_start(struct front *front, struct hcd_urb *urb);
void front_take_responses(struct front *front);
/* The same without asking for an event. */
void front_poll_responses(struct front *front);
void front_push(struct front *front);
void front_giveback(struct front *front, struct hcd_urb *urb, int status);
/* All slots are free and there are as many as this. */
void front_slots_init(struct front *front, unsigned int count);
void front_slot_want_unlink(struct front *front, struct front_slot *slot);
bool front_slot_send_unlink(struct front *front, uint16_t id);
/* True when no page of the slot is mapped any more; its grants have ended then. */
bool front_slot_end_grants(struct front *front, struct front_slot *slot);
/* Ends what can be ended; pages that the backend still maps are kept from use. */
void front_slot_abandon_grants(struct front *front, struct front_slot *slot);
void front_slot_free(struct front *front, struct front_slot *slot);

/* memory.c: pages that can be granted */
int front_memory_alloc(struct front *front, unsigned int pages, void **out);
/* By the address that alloc gave; freed once no abandoned grant is left inside. NULL is allowed. */
void front_memory_free(struct front *front, void *addr);
bool front_memory_holds(struct front *front, const void *addr, uint32_t length);
/*
 * Grants the page that holds addr read-write, once for the whole connection. 0 or -errno; -ENOSPC when even ending
 * what no slot uses leaves no reference.
 */
int front_memory_keep(struct front *front, const void *addr, grant_ref_t *out);
/*
 * Ends what front_memory_keep() granted. False while the backend maps some of it; with late those are abandoned
 * instead.
 */
bool front_memory_end_kept(struct front *front, bool late);
/* A grant of memory of alloc that cannot be ended yet. */
void front_memory_abandon(struct front *front, grant_ref_t ref, const void *addr);
/* Ends abandoned grants that can be ended by now. */
void front_memory_reap(struct front *front);
/* Before the handle is closed, which ends all of it. */
void front_memory_forget(struct front *front);

/* queue.c: whose turn it is */
enum front_class front_class_of(const struct hcd_urb *urb);
void front_queue_append(struct front *front, struct hcd_urb *urb);
bool front_queue_remove(struct front *front, struct hcd_urb *urb);
struct hcd_urb *front_queue_pop(struct front *front, enum front_class class);
/* Puts what fits on the ring: unlinks, then control, OUT and IN. */
void front_run_queues(struct front *front);
void front_return_failed(struct front *front);
/* Takes a slot back when an endpoint has waited too long without one. */
void front_check_starvation(struct front *front);
void front_requeue_taken_back(struct front *front, struct hcd_urb *urb);

/* hub.c: the root hub */
void front_hub_reset(struct front *front);
/* Ends resets and resumes whose time has come. */
void front_hub_tick(struct front *front);
void front_hub_plug(struct front *front, unsigned int portnum, uint8_t speed);
int front_hub_control(struct hcd *hcd, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns);
size_t front_hub_status(struct hcd *hcd, uint8_t *bitmap, size_t size);

#endif
