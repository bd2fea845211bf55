/* SPDX-License-Identifier: MIT */
/* Between ehci.c (the controller), ehci_queue.c (endpoints), ehci_td.c and ehci_iso.c (transfers as
 * descriptors). */
#ifndef BENCH_QTEST_EHCI_PRIVATE_H
#define BENCH_QTEST_EHCI_PRIVATE_H

#include "qtest/ehci.h"
#include "uhci/hc.h"

/* Capability registers at 0, the others behind them. EHCI 1.0 sections 2.2 and 2.3. */
enum { CAPLENGTH = 0x00, HCSPARAMS = 0x04 };
enum {
    USBCMD = 0x00,
    USBSTS = 0x04,
    USBINTR = 0x08,
    FRINDEX = 0x0c,
    PERIODICLISTBASE = 0x14,
    ASYNCLISTADDR = 0x18
};
enum { CONFIGFLAG = 0x40, PORTSC = 0x44 };
enum { CMD_RUN = 0x01, CMD_RESET = 0x02, CMD_PERIODIC = 0x10, CMD_ASYNC = 0x20, CMD_DOORBELL = 0x40 };
#define CMD_ONE_MICROFRAME (1u << 16)
enum {
    STS_INT = 0x01,
    STS_ERROR = 0x02,
    STS_PORT = 0x04,
    STS_SYSTEM = 0x10,
    STS_ADVANCE = 0x20,
    STS_HALTED = 0x1000
};
enum { PORT_CONNECT = 0x01, PORT_CONNECT_CHANGE = 0x02, PORT_ENABLED = 0x04, PORT_ENABLED_CHANGE = 0x08 };
enum { PORT_OVER_CURRENT_CHANGE = 0x20, PORT_RESET = 0x100, PORT_POWER = 0x1000, PORT_OWNER = 0x2000 };

enum { LINK_END = 1, LINK_QH = 2 };
#define LINK_ADDRESS 0xffffffe0u

/* EHCI 1.0 section 3.5, 32 bytes aligned. */
struct ehci_td {
    uint32_t next, alternate, token, buffer[5];
};

/* Section 3.6; the last eight words are the TD that the controller is at. 64 bytes apart. */
struct ehci_qh {
    uint32_t link, info1, info2, current;
    struct ehci_td overlay;
    uint32_t unused[4];
};

/* Section 3.3. 64 bytes apart. */
struct ehci_itd {
    uint32_t next, transaction[8], buffer[7];
};

enum { PID_OUT = 0, PID_IN = 1, PID_SETUP = 2 };
#define TOKEN_ACTIVE 0x80u
#define TOKEN_HALTED 0x40u
#define TOKEN_BABBLE 0x10u
#define TOKEN_FAILED 0x28u /* data buffer, transaction error */
#define TOKEN_ERRORS (3u << 10)
#define TOKEN_IOC    (1u << 15)
#define TOKEN_TOGGLE (1u << 31)
#define TD_BYTES_MAX 16384u /* at any place in a page: five pages */

#define TDS       2048u
#define ENDPOINTS 64u
#define TRANSFERS 256u
#define ITDS      512u
#define PAGE      4096u
#define NONE      UINT16_MAX
#define FRAMES    1024u
#define SKELETONS 9u /* queue heads for periods of 1 to 128 frames, and the head of the asynchronous ones */
#define SKEL_HEAD 8u
#define MS        UINT64_C(1000000)
#define LOOK_NS   (100 * MS) /* polled: at the ports */

struct transfer {
    struct hcd_urb *urb; /* NULL: free */
    struct endpoint *endpoint;
    struct transfer *next;
    bool loaded;
    uint16_t first, last, at; /* TDs; all before `at` are done */
    uint32_t actual;          /* of those */
    /* Isochronous: `first` and `at` are iTDs. */
    uint16_t frame;   /* microframe of the first packet */
    uint16_t packet;  /* all before it are done */
    uint64_t over_ns; /* when all its frames should have passed */
};

enum endpoint_state {
    EP_FREE,
    EP_LINKED,
    EP_ISO,     /* has no queue */
    EP_LEAVING, /* out of the schedule, until the controller says that it has noticed */
};

struct endpoint {
    enum endpoint_state state;
    bool rung;     /* leaving, and the controller has been asked */
    bool stopped;  /* the controller is not at it */
    bool forsaken; /* to be forgotten when idle */
    uint8_t port, device, number, type;
    bool in; /* false for control */
    bool toggle;
    uint16_t packet;
    unsigned int skeleton;
    uint16_t tail;
    uint16_t iso_next; /* microframe that continues the stream */
    bool iso_streaming;
    struct transfer *head, *end;
};

struct ehci {
    struct hc hc;  /* first */
    uint32_t base; /* of the operational registers */
    bool polled, dead, ringing;
    uint64_t now_ns, look_ns;
    unsigned int held;
    uint32_t command;

    void *structures;
    uint32_t *frames;
    struct ehci_qh *qh; /* SKELETONS, then one for each endpoint */
    struct ehci_td *td;
    struct ehci_itd *itd; /* ITDS */
    uint8_t (*setup)[8];

    uint16_t qh_next[SKELETONS + ENDPOINTS];
    uint16_t td_next[TDS], td_length[TDS];
    uint16_t free_td, last_free_td, nr_free_td;
    uint16_t stop;       /* a TD that is never active: where a queue waits after a short packet */
    uint16_t microframe; /* when it was last looked at */
    uint16_t free_itds[ITDS], next_free_itd, nr_free_itds;
    uint16_t itd_next[ITDS], itd_frame[ITDS];     /* the next one of the transfer; entry of the frame list */
    uint16_t frame_itd[FRAMES], frame_next[ITDS]; /* the first one of each frame, and the next ones */
    struct endpoint endpoints[ENDPOINTS];
    struct transfer transfers[TRANSFERS];
    struct transfer *free_transfer;
};

static inline uint32_t load32(const uint32_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void store32(uint32_t *at, uint32_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static inline uint32_t td_address(const struct ehci *ehci, uint16_t td)
{
    return hc_address(ehci->hc.bus, &ehci->td[td]);
}

static inline struct ehci_qh *endpoint_qh(struct ehci *ehci, const struct endpoint *ep)
{
    return &ehci->qh[SKELETONS + (unsigned int)(ep - ehci->endpoints)];
}

/* ehci.c */
/* The doorbell: the controller looks at the asynchronous schedule, and says when it has. */
void ehci_ring(struct ehci *ehci);

/* ehci_queue.c */
int ehci_queue_submit(struct ehci *ehci, struct hcd_urb *urb);
int ehci_queue_unlink(struct ehci *ehci, struct hcd_urb *urb, int reason);
void ehci_queue_scan(struct ehci *ehci);
/* The controller has noticed what was taken out before the last ring. */
void ehci_queue_advanced(struct ehci *ehci);
bool ehci_queue_leaving(const struct ehci *ehci);
/* Of isochronous transfers, whose packets may have been missed. */
uint64_t ehci_queue_deadline(const struct ehci *ehci);
void ehci_queue_abort(struct ehci *ehci, int status);
void ehci_queue_forsake(struct ehci *ehci, unsigned int port);

/* ehci_td.c */
uint16_t ehci_td_take(struct ehci *ehci);
void ehci_td_release(struct ehci *ehci, uint16_t td);
uint32_t ehci_td_count(const struct hcd_urb *urb);
void ehci_td_load(struct ehci *ehci, struct transfer *transfer);
void ehci_td_unload(struct ehci *ehci, struct transfer *before, struct transfer *transfer);
enum td_result { TD_RUNNING, TD_DONE, TD_STOPPED };
enum td_result ehci_td_scan(struct ehci *ehci, struct transfer *transfer, int *status);
/* The queue head begins anew at the endpoint's first transfer; the controller is not at it. */
void ehci_td_restart(struct ehci *ehci, struct endpoint *ep);

/* ehci_iso.c */
/* The frame list, with nothing isochronous in it. */
void ehci_iso_open(struct ehci *ehci);
/* 0, -EINVAL, -EMSGSIZE. */
int ehci_iso_check(const struct ehci *ehci, const struct hcd_urb *urb);
/* false: not yet, the frames are not free. */
bool ehci_iso_load(struct ehci *ehci, struct transfer *transfer);
void ehci_iso_unload(struct ehci *ehci, struct transfer *transfer);
/* Whether it is over. */
bool ehci_iso_scan(struct ehci *ehci, struct transfer *transfer);
/* It was unlinked: no more packets. It is over when its frames have passed. */
void ehci_iso_stop(struct ehci *ehci, struct transfer *transfer);

#endif
