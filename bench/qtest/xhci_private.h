/* SPDX-License-Identifier: MIT */
/*
 * Between xhci.c (the controller, its ports), xhci_ring.c (rings, events, commands), xhci_slot.c (devices and
 * their endpoints) and xhci_urb.c (transfers). Section numbers are those of xHCI 1.1.
 */
#ifndef BENCH_QTEST_XHCI_PRIVATE_H
#define BENCH_QTEST_XHCI_PRIVATE_H

#include "qtest/xhci.h"
#include "uhci/hc.h"

/* Capability registers, 5.3 */
enum {
    CAPLENGTH = 0x00,
    HCSPARAMS1 = 0x04,
    HCSPARAMS2 = 0x08,
    HCCPARAMS1 = 0x10,
    DBOFF = 0x14,
    RTSOFF = 0x18
};
/* Operational registers, 5.4 */
enum { USBCMD = 0x00, USBSTS = 0x04, CRCR = 0x18, DCBAAP = 0x30, CONFIG = 0x38, PORTSC = 0x400 };
enum { CMD_RUN = 0x01, CMD_RESET = 0x02, CMD_INTERRUPTS = 0x04 };
enum { STS_HALTED = 0x01, STS_SYSTEM = 0x04, STS_EVENT = 0x08, STS_PORT = 0x10, STS_ERROR = 0x1000 };
enum { PORT_CONNECT = 0x01, PORT_ENABLED = 0x02, PORT_RESET = 0x10, PORT_POWER = 0x200 };
enum { PORT_CONNECT_CHANGE = 1 << 17, PORT_ENABLED_CHANGE = 1 << 18, PORT_CHANGES = 0x7f << 17 };
/* Runtime registers of the one interrupter, 5.5.2 */
enum { IMAN = 0x20, IMOD = 0x24, ERSTSZ = 0x28, ERSTBA = 0x30, ERDP = 0x38 };
enum { IMAN_PENDING = 1, IMAN_ENABLE = 2, ERDP_BUSY = 8 };

/* 4.11, 6.4 */
struct trb {
    uint32_t low, high, status, control;
};

enum {
    TRB_NORMAL = 1,
    TRB_SETUP = 2,
    TRB_DATA = 3,
    TRB_STATUS = 4,
    TRB_ISOCHRONOUS = 5,
    TRB_LINK = 6,
    TRB_ENABLE_SLOT = 9,
    TRB_DISABLE_SLOT = 10,
    TRB_ADDRESS_DEVICE = 11,
    TRB_CONFIGURE = 12,
    TRB_EVALUATE = 13,
    TRB_RESET_ENDPOINT = 14,
    TRB_STOP_ENDPOINT = 15,
    TRB_SET_DEQUEUE = 16,
    TRB_EVENT_TRANSFER = 32,
    TRB_EVENT_COMMAND = 33,
};
#define TRB_CYCLE        1u
#define TRB_TOGGLE_CYCLE 2u
#define TRB_SHORT        (1u << 2)
#define TRB_CHAIN        (1u << 4)
#define TRB_IOC          (1u << 5)
#define TRB_IMMEDIATE    (1u << 6)
#define TRB_BLOCK        (1u << 9) /* of the address, or: deconfigure */
#define TRB_IN           (1u << 16)
#define TRB_SOON         (1u << 31) /* isochronous: in the next frame that is free */

enum {
    CODE_SUCCESS = 1,
    CODE_BABBLE = 3,
    CODE_TRANSACTION = 4,
    CODE_STALL = 6,
    CODE_SHORT = 13,
    CODE_RING_UNDERRUN = 14,
    CODE_RING_OVERRUN = 15,
    CODE_MISSED = 23,
    CODE_STOPPED = 26
};

#define RING_TRBS      256u /* a page; the last one links back */
#define SLOT_ENDPOINTS 32u  /* by device context index; 0 is none */
#define SLOTS          15u  /* one for each root port */
#define TRANSFERS      256u
#define MS             UINT64_C(1000000)
#define LOOK_NS        (100 * MS) /* polled: at the controller */
#define CONTEXT_WORDS  8u

struct ring {
    struct trb *trb; /* NULL: there is none */
    unsigned int at; /* the next one: of the producer or of us */
    uint32_t cycle;
    unsigned int used;
};

struct transfer {
    struct hcd_urb *urb; /* NULL: free */
    struct endpoint *endpoint;
    struct transfer *next;
    struct transfer *done_next;
    bool loaded, done;
    bool data_short; /* control: `actual` is known before the end */
    unsigned int first, nr_trbs;
    int status;
    uint32_t actual;
};

struct endpoint {
    struct slot *slot;
    uint8_t dci;
    bool halted, stopped;
    struct ring ring;
    uint16_t frame;             /* isochronous: of the next packet */
    uint32_t length[RING_TRBS]; /* of the data of each TRB */
    uint16_t packet[RING_TRBS]; /* isochronous: that it belongs to */
    struct transfer *owner[RING_TRBS];
    struct transfer *head, *end;
};

struct slot {
    uint8_t id; /* 0: none */
    uint8_t port, address;
    bool forsaken; /* of a device that is not there any more, or was reset */
    uint16_t packet0;
    uint8_t last_dci;
    uint32_t *context; /* a page */
    struct endpoint *endpoints[SLOT_ENDPOINTS];
};

struct xhci {
    struct hc hc; /* first */
    uint32_t base, runtime, doorbells;
    bool polled, dead, ports_changed;
    uint64_t now_ns, look_ns;
    unsigned int held, unacknowledged;
    uint8_t speed[SLOTS + 1]; /* of the device on each port, as PORTSC has it */

    uint64_t *slots_array; /* a page each: */
    uint32_t *input;
    uint64_t *segments;
    struct ring commands, events;
    bool commanding;
    uint32_t answer, answered_slot; /* of the command that is waited for; code 0 for none yet */

    struct slot slots[SLOTS + 1]; /* by port */
    struct transfer transfers[TRANSFERS];
    struct transfer *free_transfer;
    struct transfer *done, **done_end;
};

static inline uint32_t load32(const uint32_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void store32(uint32_t *at, uint32_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* xhci.c */
void xhci_die(struct xhci *xhci);

/* xhci_ring.c */
int xhci_ring_open(struct xhci *xhci, struct ring *ring, bool link);
void xhci_ring_close(struct xhci *xhci, struct ring *ring);
/* Where the next TRB will be, with the cycle that it will have. */
uint32_t xhci_ring_position(const struct xhci *xhci, const struct ring *ring);
/* Puts a TRB; control without cycle. hold: the controller does not see it before xhci_ring_release(). Returns
 * its place. */
unsigned int xhci_ring_put(struct ring *ring, const struct trb *trb, bool hold);
void xhci_ring_release(struct ring *ring, unsigned int at);
/* Runs a command and returns its completion code, 0 when there is none. input: its input context is
 * xhci->input. */
uint32_t xhci_command(struct xhci *xhci, uint32_t type, uint32_t flags, uint32_t slot, uint32_t parameter);
/* Takes all events: transfers become done. */
void xhci_events(struct xhci *xhci);
void xhci_doorbell(struct xhci *xhci, uint32_t slot, uint32_t target);

/* xhci_slot.c */
/* The endpoint for the URB, made if need be. 0 or -errno. */
int xhci_find_endpoint(struct xhci *xhci, const struct hcd_urb *urb, struct endpoint **out);
/* SET_ADDRESS: the controller does it. 0 or -EPROTO. */
int xhci_set_address(struct xhci *xhci, struct slot *slot, uint8_t address);
/* The device has another configuration, with new endpoints. */
void xhci_deconfigure(struct xhci *xhci, struct slot *slot);
void xhci_slot_close(struct xhci *xhci, struct slot *slot);

/* xhci_urb.c */
int xhci_submit(struct xhci *xhci, struct hcd_urb *urb);
int xhci_unlink(struct xhci *xhci, struct hcd_urb *urb, int reason);
/* An event: the controller is at this TRB of the endpoint, with that code and residue. */
void xhci_transfer_event(struct xhci *xhci, struct endpoint *ep, unsigned int trb, uint32_t code,
                         uint32_t residue);
/* Gives back what is done. */
void xhci_give_back(struct xhci *xhci);
/* All transfers of an endpoint are done, with that status. */
void xhci_abort(struct xhci *xhci, struct endpoint *ep, int status);

#endif
