// SPDX-License-Identifier: MIT
/* Ports: which device is where, and telling the frontend (rules of sections 1, 4 and 16). */
#include "backend/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void back_forget_addresses(struct back *back, unsigned int port)
{
    for (unsigned int i = 0; i <= PVUSB_ADDRESS_MAX; i++) {
        if (back->address[i] == port)
            back->address[i] = 0;
    }
}

/*
 * A device that cannot be had is not announced (rule CONN-18): the port stays empty until the device
 * appears or the node is written again (rule HOT-10).
 */
void back_attach_port(struct back *back, unsigned int number)
{
    struct back_port *port = &back->port[number];
    struct usb_host *host = back->config.host;
    if (port->device || !port->busid[0])
        return;
    int rc = host->ops->open(host, port->busid, &port->device);
    if (rc) {
        port->device = NULL;
        back_log(back, "port %u: %s: %s", number, port->busid,
                 rc == -ENODEV   ? "not plugged in"
                 : rc == -EBUSY  ? "in use elsewhere"
                 : rc == -EACCES ? "a hub, or not allowed"
                                 : strerror(-rc));
        return;
    }
    uint8_t speed = host->ops->speed(host, port->device);
    if (speed == USBIF_SPEED_HIGH && back->usb_ver == USB_VER_USB11) { /* rule CONN-13 */
        back_log(back, "port %u: %s: wrong speed: a high-speed device on a USB 1.1 controller", number, port->busid);
        host->ops->close(host, port->device);
        port->device = NULL;
        return;
    }
    host->ops->reset(host, port->device); /* once, here; the guest's resets stay in its root hub (rule CTL-12) */
    port->speed = speed;
    back_log(back, "port %u: %s attached", number, port->busid);
}

void back_fill_ports(struct back *back)
{
    for (unsigned int i = 1; i <= back->num_ports; i++)
        back_attach_port(back, i);
    back_send_events(back);
}

/* Answers first, then the event, then the addresses (rule HOT-05). */
void back_detach_port(struct back *back, unsigned int number)
{
    struct back_port *port = &back->port[number];
    struct usb_host *host = back->config.host;
    if (!port->device)
        return;
    back_cancel_port(back, number);
    host->ops->close(host, port->device); /* completes what cancelling has not */
    back->released = true;
    port->device = NULL;
    port->speed = USBIF_SPEED_NONE;
    port->tell_gone = port->told != USBIF_SPEED_NONE;
    back_log(back, "port %u: %s detached", number, port->busid);
    back_push(back);
    back_send_events(back);
    back_forget_addresses(back, number);
}

/* A missing node leaves its port as it is (rule XS-08). */
static void read_port(struct back *back, unsigned int number)
{
    struct back_port *port = &back->port[number];
    char node[16];
    char busid[XENBUS_VALUE_MAX];
    snprintf(node, sizeof(node), "port/%u", number);
    int rc = xenbus_read(back->xen, XEN_XBT_NIL, back->dir, node, busid);
    if (rc && rc != -EINVAL && rc != -ERANGE)
        return; /* nor does one that cannot be read take a device away */
    if (rc || strlen(busid) >= BACK_BUSID_MAX) {
        back_log(back, "port %u: no name of a device, or longer than %u bytes", number, BACK_BUSID_MAX - 1);
        busid[0] = '\0'; /* what was there before is not what the toolstack wants now */
    }
    if (strcmp(port->busid, busid) != 0) {
        back_detach_port(back, number);
        snprintf(port->busid, sizeof(port->busid), "%s", busid);
    }
}

void back_read_ports(struct back *back)
{
    /* All are read before any is filled: a device may move from a higher port to a lower one. */
    for (unsigned int i = 1; i <= back->num_ports; i++)
        read_port(back, i);
    back_fill_ports(back);
}

/* Without a frontend, devices wait for the next one; what the toolstack takes away is free for others at once. */
void back_drop_ports(struct back *back)
{
    for (unsigned int number = 1; number <= PVUSB_PORTS_MAX; number++) {
        if (back->port[number].device)
            read_port(back, number);
    }
}

void back_close_ports(struct back *back)
{
    for (unsigned int i = 1; i <= PVUSB_PORTS_MAX; i++) {
        back_detach_port(back, i);
        back->port[i] = (struct back_port){0};
    }
}

/* True when an event was put; false when none is owed, or no request is there for it (rule CONN-04). */
static bool put_event(struct back *back, unsigned int number, uint8_t speed)
{
    struct usbif_conn_request request;
    enum pvusb_verdict verdict = pvusb_ring_back_take(&back->conn_ring, &request);
    if (verdict == PVUSB_EMPTY && pvusb_ring_back_final_check(&back->conn_ring))
        verdict = pvusb_ring_back_take(&back->conn_ring, &request);
    if (verdict != PVUSB_OK) {
        if (verdict != PVUSB_EMPTY)
            back_violation(back, verdict);
        return false;
    }
    struct usbif_conn_response event = {.id = request.id, .portnum = (uint8_t)number, .speed = speed};
    pvusb_ring_back_put(&back->conn_ring, &event);
    back->port[number].told = speed;
    back->stats.plug_events++;
    return true;
}

static bool send_port(struct back *back, unsigned int number)
{
    struct back_port *port = &back->port[number];
    if (port->tell_gone) {
        if (!put_event(back, number, USBIF_SPEED_NONE))
            return false;
        port->tell_gone = false;
    }
    return port->told == port->speed || put_event(back, number, port->speed);
}

void back_send_events(struct back *back)
{
    if (back->state != XenbusStateConnected || !back->conn_page || back->verdict != PVUSB_OK)
        return; /* the verdict: closing a device after a violation must not look at the ring again */
    for (unsigned int i = 1; i <= back->num_ports && send_port(back, i); i++)
        ;
    if (!back->conn_page || back->conn_ring.rsp_prod == back->conn_ring.rsp_published)
        return;
    if (pvusb_ring_back_push(&back->conn_ring)) {
        back->stats.notifications++;
        back->xen->ops->evtchn_notify(back->xen, back->evtchn);
    }
}
