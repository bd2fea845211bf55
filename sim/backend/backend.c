// SPDX-License-Identifier: MIT
#include "backend/backend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/private.h"

__attribute__((format(printf, 2, 0))) static void log_line(struct back *back, const char *format, va_list args)
{
    char line[256];
    if (!back->config.log)
        return;
    int n = snprintf(line, sizeof(line), "%s-%u-%u: ", back->config.kind, back->config.frontend, back->config.devid);
    vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
    back->config.log(back->config.log_context, line);
}

void back_log(struct back *back, const char *format, ...)
{
    va_list args;
    if (back->config.quiet)
        return;
    va_start(args, format);
    log_line(back, format, args);
    va_end(args);
}

void back_say(struct back *back, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(back, format, args);
    va_end(args);
}

/* ---- physical hot-plug ---- */

/* A device came to a place that ports name: they take it, without a write to xenstore (rule CONN-19). */
static void plugged(void *context, const char *busid)
{
    struct back *back = context;
    for (unsigned int i = 1; i <= back->num_ports; i++) {
        if (strcmp(back->port[i].busid, busid) == 0)
            back_attach_port(back, i);
    }
    back_send_events(back);
}

static void unplugged(void *context, const char *busid)
{
    struct back *back = context;
    for (unsigned int i = 1; i <= back->num_ports; i++) {
        if (back->port[i].device && strcmp(back->port[i].busid, busid) == 0)
            back_detach_port(back, i);
    }
}

/* ---- life ---- */

int back_create(struct xen *xen, const struct back_config *config, struct back **out)
{
    int rc;
    unsigned int ring_pages = config->ring_pages ? config->ring_pages : BACK_RING_PAGES;
    struct back *back = calloc(1, sizeof(*back));
    if (!back)
        return -ENOMEM;
    back->xen = xen;
    back->config = *config;
    back->state = XenbusStateUnknown;
    while (back->order_max < PVUSB_RING_ORDER_MAX && 2u << back->order_max <= ring_pages)
        back->order_max++;
    back->listener = (struct usb_host_listener){.plugged = plugged, .unplugged = unplugged, .context = back};
    snprintf(back->dir, sizeof(back->dir), "/local/domain/%u/backend/%s/%u/%u", xen->domid, config->kind,
             config->frontend, config->devid);
    rc = xenbus_read(xen, XEN_XBT_NIL, back->dir, "frontend", back->frontend_dir);
    if (rc)
        goto out;
    rc = xen->ops->grant_map_limit(xen, BACK_MAPS_MAX(back->order_max));
    if (rc)
        goto out;
    rc = xen->ops->xs_watch(xen, back->dir, "backend");
    if (rc)
        goto out;
    rc = xen->ops->xs_watch(xen, back->frontend_dir, "frontend");
    if (rc)
        goto out_backend;
    rc = xen->ops->xs_watch(xen, "@releaseDomain", "domains");
    if (rc)
        goto out_frontend;
    rc = config->host->ops->listen(config->host, &back->listener);
    if (!rc) {
        *out = back;
        return 0;
    }
    xen->ops->xs_unwatch(xen, "@releaseDomain", "domains");
out_frontend:
    xen->ops->xs_unwatch(xen, back->frontend_dir, "frontend");
out_backend:
    xen->ops->xs_unwatch(xen, back->dir, "backend");
out:
    free(back);
    return rc;
}

void back_destroy(struct back *back)
{
    if (!back)
        return;
    back->stepping = true;
    back->config.host->ops->unlisten(back->config.host, &back->listener);
    back_disconnect(back);
    back_close_ports(back);
    xen_close(back->xen);
    free(back->request);
    free(back);
}

static int take_watches(struct back *back)
{
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    unsigned int n = 0;
    int rc = 0;
    while (n < BACK_WATCHES_PER_STEP && !(rc = back->xen->ops->xs_watch_read(back->xen, path, token)))
        n++;
    if (rc == -EPIPE)
        return rc; /* anything else: what is waiting is for the next step */
    back->busy = back->busy || n == BACK_WATCHES_PER_STEP;
    if (n == 0)
        return 0;
    rc = back_follow(back);
    if (!rc)
        back_check_frontend(back); /* a domain may have ended, and Xen raises no event for that */
    return rc;
}

static void take_events(struct back *back)
{
    evtchn_port_t port;
    unsigned int n = 0;
    while (n < BACK_EVENTS_PER_STEP && !back->xen->ops->evtchn_pending(back->xen, &port)) {
        n++;
        if (port != back->evtchn)
            continue; /* a channel of before a reconnect */
        back_take_requests(back);
        back_push(back); /* before anything that only we need */
        back_send_events(back); /* both rings on every event (rule RING-15) */
        back_check_frontend(back);
        if (port == back->evtchn)
            back->xen->ops->evtchn_unmask(back->xen, port);
        back->polled = true;
        break; /* another look now would hardly find what the next step finds anyway */
    }
    back->busy = back->busy || n == BACK_EVENTS_PER_STEP;
}

/*
 * The event of the next request is asked for last, when what we have is answered: a frontend that sends more before then need
 * not send one, and we need not sleep for it.
 */
static void serve(struct back *back)
{
    for (unsigned int turn = 0; back->polled; turn++) {
        back->polled = back->urb_page && pvusb_ring_back_final_check(&back->urb_ring);
        if (!back->polled)
            break;
        if (turn == BACK_TURNS_PER_STEP) {
            back->busy = true;
            break;
        }
        back_take_requests(back);
        back_push(back);
    }
}

int back_step(struct back *back, uint64_t now_ns)
{
    (void)now_ns; /* a backend has no times of its own; devices have */
    back->stepping = true;
    back->busy = false;
    int waits = xen_waiting(back->xen);
    int rc = waits < 0 ? waits : waits & XEN_WAITS_WATCH ? take_watches(back) : 0;
    if (!rc) {
        if (waits & XEN_WAITS_EVENT)
            take_events(back);
        back_push(back);
        serve(back);
        if (!back->urb_page)
            back_close_channel(back);
    }
    back->stepping = false;
    return rc;
}

void back_poll(struct back *back)
{
    back->stepping = true;
    back_take_requests(back);
    back_push(back);
    back->polled = true;
    back->stepping = false;
}

bool back_pending(const struct back *back)
{
    return back->urb_page && pvusb_ring_back_pending(&back->urb_ring);
}

bool back_busy(const struct back *back)
{
    return back->busy;
}

enum xenbus_state back_state(const struct back *back)
{
    return back->state;
}

enum pvusb_verdict back_verdict(const struct back *back)
{
    return back->verdict;
}

struct back_stats back_stats(const struct back *back)
{
    return back->stats;
}

struct xen *back_xen(struct back *back)
{
    return back->xen;
}
