/* SPDX-License-Identifier: MIT */
/* What the files of the backend share. The contract is backend.h. */
#ifndef SIM_BACKEND_PRIVATE_H
#define SIM_BACKEND_PRIVATE_H

#include <pvusb/ring.h>
#include <pvusb/urb.h>

#include "backend/backend.h"
#include "xenbus/xenbus.h"

#define BACK_BUSID_MAX   32u /* the kernel backend compares 20 bytes (rule XS-09) */
/* Per step: a guest that never stops must not hold up the others (MAL-41). The ring bounds its requests. */
#define BACK_EVENTS_PER_STEP  16u
#define BACK_WATCHES_PER_STEP 64u
#define BACK_TURNS_PER_STEP   8u /* requests taken and answered; what comes then is for the next step */
/* Pages that stay mapped; each is a mapping of its own to the kernel, which bounds those of a process. */
#define BACK_KEPT_MAX 1024u
#define BACK_KEPT_NODE "feature-persistent"
#define BACK_ORDER_MAX_NODE "max-urb-ring-page-order"
#define BACK_ORDER_NODE     "urb-ring-page-order"
#define BACK_RING_PAGES_MAX (1u << PVUSB_RING_ORDER_MAX)
/* Where nobody says otherwise: a guest can have all of its requests mapped, and the kernel bounds the mappings of all. */
#define BACK_RING_PAGES 8u
/* Up to here two copies cost less than a map and an unmap, where the frontend does not keep its grants. */
#define BACK_COPY_MAX 4096u
/* Responses that wait to be published while requests are taken. Measured: more, and both halves work in turns. */
#define BACK_PUBLISH_AFTER 2u
/*
 * Requests that are served, while there are more, before a frontend that sleeps is told of the first response. Measured: with
 * fewer the processors wake each other more often than they work, with more the frontend comes too late to keep us busy.
 */
#define BACK_BATCH(slots) ((slots) * 3u / 8u)
/* A ring of requests of 16 pages, two rings (rule RING-20), and what is kept. */
#define BACK_MAPS_MAX(order)                                                                                 \
    ((PVUSB_URB_RING_SLOTS << (order)) * PVUSB_SEGMENTS_MAX + (1u << (order)) + 1u + BACK_KEPT_MAX)

/* A request that owes its response. */
struct back_request {
    bool used;
    bool at_host;            /* the host has its transfer */
    uint64_t order;          /* of arrival, counted */
    unsigned int port;       /* whose device it is for */
    struct pvusb_urb urb;
    struct back_request *target; /* an unlink that waits for its target's end */
    struct back_request *next;   /* while it is free */
    struct back *back;
    void *data;              /* mapped data pages */
    void *desc;              /* mapped descriptor pages */
    bool copied;             /* host.seg is in bounce memory */
    struct usbif_request_segment seg[PVUSB_SEGMENTS_MAX]; /* if copied: where the data belongs */
    struct host_seg desc_seg[PVUSB_SEGMENTS_MAX];
    struct host_urb host;
    struct pvusb_iso_desc packets[PVUSB_ISO_PACKETS_MAX];
};

struct back_port {
    char busid[BACK_BUSID_MAX]; /* of the port node; "" for none */
    struct host_device *device; /* NULL: nothing there, or not to be had */
    uint8_t speed;              /* of device, USBIF_SPEED_NONE without one */
    uint8_t told;               /* what the frontend knows */
    bool tell_gone;             /* a 0 is owed before anything else (rule CONN-11) */
};

struct back {
    struct xen *xen;
    struct back_config config;
    char dir[XENBUS_PATH_MAX];
    char frontend_dir[XENBUS_PATH_MAX];
    enum xenbus_state state;
    enum xenbus_state frontend_state;
    enum pvusb_verdict verdict;
    bool stepping;
    bool polled;      /* the event of the next request is to be asked for */
    bool busy;        /* the last step ended at one of its bounds */
    bool complained;  /* about what is missing; once per wait */
    bool released;    /* closed a device since the driver last asked: another connector may want it */
    bool odd_pipes;   /* undefined pipe bits were noted; once per connection (MAL-31) */
    struct usb_host_listener listener;

    unsigned int num_ports;
    unsigned int usb_ver;
    struct back_port port[PVUSB_PORTS_MAX + 1]; /* [0] unused */
    uint8_t address[PVUSB_ADDRESS_MAX + 1];     /* -> port, 0 for none (rule ADR-01) */

    evtchn_port_t evtchn;
    unsigned int order_max; /* of the URB ring's pages, as offered */
    void *urb_page;         /* the first of urb_ring.kind->pages */
    void *conn_page;
    struct pvusb_ring_back urb_ring;
    struct pvusb_ring_back conn_ring;
    uint8_t *bounce;      /* bounce_size bytes for each request; NULL: data is mapped */
    uint32_t bounce_size;
    struct back_kept *kept; /* NULL: this frontend ends its grants with each request */
    struct back_request *request; /* one for each slot of the ring, from the first connection on */
    unsigned int nr_requests;
    struct back_request *free; /* of those */
    unsigned int waiting_unlinks; /* requests with a target */
    uint64_t order;
    bool event_owed;     /* responses were published that the frontend is to be told of */
    uint32_t owed_since; /* urb_ring.req_cons when that became so */
    struct back_stats stats;
};

void back_log(struct back *back, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For what is to be said even when quiet. */
void back_say(struct back *back, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* connect.c */
void back_set_state(struct back *back, enum xenbus_state state);
/* Looks at both directories and does what the states ask for. -ENOENT when ours is gone. */
int back_follow(struct back *back);
/* Answers or cancels all and unmaps. The ring pages are gone afterwards; the channel stays for the state to be told. */
void back_disconnect(struct back *back);
/* Closes the channel of a connection that has ended. */
void back_close_channel(struct back *back);
/* Looks whether the frontend is still at the other end of the channel. */
void back_check_frontend(struct back *back);
void back_violation(struct back *back, enum pvusb_verdict verdict);

/* request.c */
/* At the beginning of a connection: as many as the ring has slots. -ENOMEM. */
int back_requests_begin(struct back *back, unsigned int count);
/* Takes what is on the ring; the event of the next is asked for at the end of a step. */
void back_take_requests(struct back *back);
void back_push(struct back *back);
/* Cancels everything that a port's device holds; port 0 means all ports. */
void back_cancel_port(struct back *back, unsigned int port);

/* kept.c: pages that stay mapped */
/* At the beginning of a connection: finds out whether the frontend keeps its grants. */
void back_kept_begin(struct back *back);
/* Describes the segments by kept pages, mapping what is not yet. False when that cannot be done for all of them. */
bool back_kept_segments(struct back *back, const struct usbif_request_segment *seg, unsigned int count,
                        struct host_seg *out);
/* Unmaps them. No request may be using one. */
void back_kept_end(struct back *back);

/* copy.c: data that is copied instead of mapped */
/* After back_kept_begin(). */
void back_bounce_begin(struct back *back);
void back_bounce_end(struct back *back);
bool back_bounce_fits(const struct back_request *request);
/* Describes the data by memory of ours, filled if it goes out. False when the guest's pages do not allow it. */
bool back_bounce_in(struct back_request *request, const struct usbif_urb_request *slot);
/* Gives the guest what came in. True also when nothing was to be copied. */
bool back_bounce_out(struct back_request *request);

/* port.c */
void back_read_ports(struct back *back);
/* The same while not connected: lets go of what the port nodes no longer name, and attaches nothing. */
void back_drop_ports(struct back *back);
void back_attach_port(struct back *back, unsigned int port);
/* Attaches what the port nodes name and was not to be had before. */
void back_fill_ports(struct back *back);
void back_detach_port(struct back *back, unsigned int port);
void back_close_ports(struct back *back);
/* Sends the plug events that are owed, as far as there are requests for them. */
void back_send_events(struct back *back);
void back_forget_addresses(struct back *back, unsigned int port);

#endif
