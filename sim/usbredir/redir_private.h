/* SPDX-License-Identifier: MIT */
/* Between redir.c (connection and device), redir_data.c (transfers) and redir_iso.c (streams of packets). */
#ifndef SIM_USBREDIR_PRIVATE_H
#define SIM_USBREDIR_PRIVATE_H

#include <usbredirparser.h>

#include "hosts/described.h"
#include "usbredir/redir.h"

#define REDIR_TRANSFERS   256u
#define REDIR_MEMORY_MAX  (16u << 20)
#define REDIR_ISO_PACKETS 32u /* of an URB of a stream */
#define REDIR_ISO_URBS    16u

/* How a transfer began, and so how it is answered. */
enum redir_origin {
    REDIR_FREE,
    REDIR_CONTROL,
    REDIR_BULK,
    REDIR_INTERRUPT,     /* out */
    REDIR_REPORT,        /* an interrupt endpoint that is read ahead */
    REDIR_CONFIGURATION, /* set_configuration */
    REDIR_SETTING,       /* set_alt_setting */
    REDIR_STREAM,        /* isochronous packets */
    REDIR_STOPPED,       /* those, and their stream has ended */
};

struct transfer {
    struct redir *redir;
    enum redir_origin origin;
    uint64_t id;
    uint8_t address;
    struct host_urb host;
    struct usb_redir_control_packet_header control;
    struct usb_redir_bulk_packet_header bulk;
    uint8_t *buffer;
    size_t capacity;
    struct transfer *next; /* free, or of a stream and not under way */
    struct pvusb_iso_desc packets[REDIR_ISO_PACKETS];
};

struct redir_stream {
    uint8_t packets; /* of an URB; 0: there is no stream, and all is 0 */
    uint8_t urbs;    /* at most */
    uint8_t address;
    uint16_t packet; /* bytes, and its interval: as the endpoint had them when it began */
    uint16_t interval;
    uint8_t taken, under_way;        /* URBs */
    uint16_t dropping;               /* OUT: packets that are still to be dropped */
    bool flowing;                    /* OUT: full URBs go at once */
    uint64_t id;                     /* IN: of the next packet */
    struct transfer *waiting, *last; /* OUT: in their order; the last one is perhaps not full */
};

struct redir {
    struct usbredirparser *parser;
    struct usb_host *host;
    struct usb_host_listener listener;
    struct host_device *device;
    struct described described;
    void (*log)(void *context, const char *line);
    void *log_context;
    char busid[32];
    int fd;
    int status; /* why it has ended */
    bool described_all, greeted, connected, stalled, closing;
    bool reading[16];    /* interrupt endpoints that are read ahead */
    uint8_t missing[16]; /* transfers that redir_run_reports() is to start for them */
    uint64_t report_id;
    struct redir_stream streams[32]; /* by endpoint, those of IN from 16 on */
    size_t memory;
    struct redir_stats stats;
    struct transfer *free;
    struct transfer transfers[REDIR_TRANSFERS];
};

/* What an endpoint moves at most in a (micro)frame, which is a packet of the protocol, as in usbredirhost. */
static inline uint16_t redir_packet(const struct guest_endpoint *endpoint)
{
    const bool iso = endpoint->type == USBIF_PIPE_TYPE_ISOC;
    return (uint16_t)(endpoint->packet * (iso ? endpoint->transactions : 1));
}

/* ---- redir.c ---- */

void redir_send_endpoints(struct redir *redir);

/* ---- redir_data.c ---- */

void redir_data_init(struct redir *redir);
/* A transfer with a buffer; NULL: there is no more. */
struct transfer *redir_take(struct redir *redir, enum redir_origin origin, uint64_t id, uint32_t length);
void redir_give_free(struct transfer *transfer);
/* Its URB, for its address and all of its buffer that is to be used. */
struct host_urb *redir_fill(struct transfer *transfer, uint8_t type, bool in, uint32_t length);
void redir_submit(struct transfer *transfer);
uint8_t redir_status_of(int32_t status);
/* Reads on, unless the peer does not take what there is. */
void redir_run_reports(struct redir *redir);
bool redir_reports_due(const struct redir *redir);
/* Their callbacks. */
void redir_set_data_callbacks(struct usbredirparser *parser);

/* ---- redir_iso.c ---- */

/* A transfer of a stream is back. */
void redir_iso_done(struct transfer *transfer);
/* Streams of the interface, as it is set, end. */
void redir_iso_end_interface(struct redir *redir, uint8_t number);
/* All end. tell: the peer does not know of it. */
void redir_iso_end_all(struct redir *redir, bool tell);
void redir_set_iso_callbacks(struct usbredirparser *parser);

#endif
