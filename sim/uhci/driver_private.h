/* SPDX-License-Identifier: MIT */
/*
 * Between driver.c (the controller), driver_hub.c (its ports), driver_queue.c (queues and what is on them),
 * driver_td.c (transfers as descriptors) and driver_iso.c.
 */
#ifndef SIM_UHCI_DRIVER_PRIVATE_H
#define SIM_UHCI_DRIVER_PRIVATE_H

#include "uhci/driver.h"
#include "uhci/hc.h"
#include "uhci/regs.h"

#define TDS        8192u
#define ENDPOINTS  96u
#define TRANSFERS  512u
#define NONE       UINT16_MAX
#define PORTS      2u
#define MS         UINT64_C(1000000)
#define POLL_NS    (250 * MS) /* of the root hub, as Linux does */
#define ISO_AHEAD  8u         /* frames between now and the first packet of a stream */
#define ISO_WINDOW 1000u      /* frames of the list that may be filled */
#define ISO_GRACE  4u         /* frames, and a period, that an emulated device may take after its own one */

/* Queue heads that are always there, in the order of a frame. */
enum skeleton {
    SKEL_128,
    SKEL_1 = 7, /* between them periods by powers of two */
    SKEL_LOW_CONTROL,
    SKEL_CONTROL, /* here it goes on from SKEL_END while there is something of full speed to do */
    SKEL_BULK,
    SKEL_END,
    SKELETONS,
};

/* An URB and its descriptors. What the controller can write to is never followed: the chain is kept here. */
struct transfer {
    struct hcd_urb *urb; /* NULL: free */
    struct endpoint *endpoint;
    struct transfer *next; /* of the endpoint, or of the free ones */
    bool loaded;
    uint16_t first, last; /* TDs; next_td links them. Isochronous: one per packet. */
    uint16_t at;          /* all before it are done */
    uint32_t actual;      /* of those */
    uint16_t frame;       /* isochronous: of the first packet */
    uint64_t over_ns;     /* isochronous: when all its frames should have passed */
};

struct endpoint {
    bool used;
    uint8_t port, device, number, type;
    bool in; /* false for control */
    bool low_speed;
    bool stopped;   /* the controller is not at it, and completions are being called */
    bool linked;    /* the queue is in the schedule */
    bool forsaken;  /* to be forgotten when idle */
    bool unlinking; /* out of the schedule, until the frame is over */
    uint16_t unlink_frame;
    enum skeleton skeleton;
    bool toggle;    /* of the next TD to be loaded */
    bool toggle_at; /* where the controller has stopped: of the next TD to be run */
    uint16_t tail;
    uint16_t iso_next; /* frame that continues the stream */
    bool iso_streaming;
    struct transfer *head, *end;
};

struct uhci_driver {
    struct hc hc; /* first */
    uint64_t now_ns, poll_ns;
    bool dead;
    unsigned int held;

    /* The controller's memory. */
    void *structures;
    uint32_t *frames;   /* the frame list */
    struct uhci_qh *qh; /* SKELETONS, then one for each endpoint; 16 bytes apart */
    struct uhci_td *td; /* TDS */

    uint8_t (*setup)[8]; /* one for each transfer */

    uint16_t next_td[TDS];
    uint16_t td_length[TDS];
    uint16_t frame_next[TDS]; /* isochronous: of the same frame */
    uint16_t qh_next[SKELETONS + ENDPOINTS];
    uint16_t free_td, nr_free_td,
        last_free_td;          /* in order of their release: an address rests as long as it can */
    uint16_t frame_td[FRAMES]; /* the first isochronous TD of each */
    struct endpoint endpoints[ENDPOINTS];
    struct transfer transfers[TRANSFERS];
    struct transfer *free_transfer;
    unsigned int fast; /* queues linked for which the frame goes in circles */
    unsigned int iso;  /* isochronous transfers loaded */
    uint16_t frame;    /* when the last one was */
    bool low_speed[PORTS];
};

static inline uint32_t load32(const uint32_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void store32(uint32_t *at, uint32_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* Queue heads lie 16 bytes apart. */
static inline struct uhci_qh *driver_qh(const struct uhci_driver *driver, unsigned int i)
{
    return driver->qh + 2 * (size_t)i;
}

static inline struct uhci_qh *endpoint_qh(struct uhci_driver *driver, const struct endpoint *ep)
{
    return driver_qh(driver, SKELETONS + (unsigned int)(ep - driver->endpoints));
}

static inline uint32_t td_address(const struct uhci_driver *driver, uint16_t td)
{
    return hc_address(driver->hc.bus, &driver->td[td]);
}

/* driver_hub.c */
void uhci_hub_open(struct uhci_driver *driver);
/* Looks at the ports. */
void uhci_hub_poll(struct uhci_driver *driver);

/* driver_queue.c */
int uhci_queue_submit(struct uhci_driver *driver, struct hcd_urb *urb);
int uhci_queue_unlink(struct uhci_driver *driver, struct hcd_urb *urb, int reason);
/* Gives back what is done, and what waited for the end of a frame. */
void uhci_queue_scan(struct uhci_driver *driver);
/* Gives back all with the status. */
void uhci_queue_abort(struct uhci_driver *driver, int status);
bool uhci_queue_unlinking(const struct uhci_driver *driver);
/* The device of a port is gone, or not what it was: endpoints are forgotten as soon as they are idle. */
void uhci_queue_forsake(struct uhci_driver *driver, unsigned int port);

/* driver_td.c */
uint16_t uhci_td_take(struct uhci_driver *driver);
void uhci_td_release(struct uhci_driver *driver, uint16_t td);
/* TDs that the URB needs. */
uint32_t uhci_td_count(const struct hcd_urb *urb);
/* Appends the transfer to what the controller has of its endpoint. There are enough TDs. */
void uhci_td_load(struct uhci_driver *driver, struct transfer *transfer);
/* Takes it out again; before is the transfer in front of it, NULL for none. The controller is not at it. */
void uhci_td_unload(struct uhci_driver *driver, struct transfer *before, struct transfer *transfer);
enum td_result {
    TD_RUNNING,
    TD_DONE,    /* the controller has gone on to the next one */
    TD_STOPPED, /* done, and the controller waits at it */
};
/* How far the first transfer of an endpoint is; *status and its `actual` for what is not running. */
enum td_result uhci_td_scan(struct uhci_driver *driver, struct transfer *transfer, int *status);
/* Lets the controller go on with the first transfer, with the toggles that follow from toggle_at. */
void uhci_td_restart(struct uhci_driver *driver, struct endpoint *ep);

/* driver_iso.c */
/* false: not yet, the frames are not free. */
bool uhci_iso_load(struct uhci_driver *driver, struct transfer *transfer);
void uhci_iso_unload(struct uhci_driver *driver, struct transfer *transfer);
/* Whether it is over. */
bool uhci_iso_scan(struct uhci_driver *driver, struct transfer *transfer);

#endif
