/* SPDX-License-Identifier: MIT */
/* Between redir.c (connection and device) and redir_data.c (transfers). */
#ifndef SIM_USBREDIR_PRIVATE_H
#define SIM_USBREDIR_PRIVATE_H

#include <usbredirparser.h>

#include "hosts/described.h"
#include "usbredir/redir.h"

#define REDIR_TRANSFERS  256u
#define REDIR_MEMORY_MAX (16u << 20)

/* How a transfer began, and so how it is answered. */
enum redir_origin {
    REDIR_FREE,
    REDIR_CONTROL,
    REDIR_BULK,
    REDIR_INTERRUPT,     /* out */
    REDIR_REPORT,        /* an interrupt endpoint that is read ahead */
    REDIR_CONFIGURATION, /* set_configuration */
    REDIR_SETTING,       /* set_alt_setting */
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
    struct transfer *next; /* free */
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
    size_t memory;
    struct redir_stats stats;
    struct transfer *free;
    struct transfer transfers[REDIR_TRANSFERS];
};

/* ---- redir.c ---- */

void redir_send_endpoints(struct redir *redir);

/* ---- redir_data.c ---- */

void redir_data_init(struct redir *redir);
/* Reads on, unless the peer does not take what there is. */
void redir_run_reports(struct redir *redir);
bool redir_reports_due(const struct redir *redir);
/* Their callbacks. */
void redir_set_data_callbacks(struct usbredirparser *parser);

#endif
