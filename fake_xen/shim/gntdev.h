/* SPDX-License-Identifier: MIT */
/* A handle of libxengnttab: xengnttab.h has two names for the one type. */
#ifndef FAKEXEN_SHIM_GNTDEV_H
#define FAKEXEN_SHIM_GNTDEV_H

#include <xengnttab.h>

#include "handle.h"

/* Pages that xengntshr_share_pages() returned. */
struct share {
    struct share *next;
    void *addr;  /* where the program sees them; NULL once unshared while somebody still maps them */
    void *pages; /* where they are in the client's memory */
    unsigned int count;
    bool notify; /* the host has something to do when it ends */
    grant_ref_t refs[];
};

struct xengntdev_handle {
    struct handle handle;
    struct share *shares;
};

/* What xengnttab.h takes for a notification: a byte beyond the page is none, and neither is port -1. */
struct notify {
    uint32_t offset; /* CONTROL_NONE */
    evtchn_port_t port;
};

static inline struct notify notify_of(uint32_t offset, evtchn_port_t port)
{
    return (struct notify){.offset = offset < XEN_PAGE_SIZE_BYTES ? offset : CONTROL_NONE, .port = port};
}

static inline bool notify_wanted(const struct notify *notify)
{
    return notify->offset != CONTROL_NONE || notify->port != CONTROL_NONE;
}

xengnttab_handle *gntdev_open(const char *library);
void gntdev_close(xengnttab_handle *xgt);

#endif
