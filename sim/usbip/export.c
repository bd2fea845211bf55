// SPDX-License-Identifier: MIT
/* Devices that a server offers: their descriptors, and what they are set to. */
#include "usbip/server_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQ_GET_DESCRIPTOR    6
#define REQ_SET_CONFIGURATION 9
#define REQ_SET_INTERFACE     11

enum { DT_DEVICE = 1, DT_CONFIGURATION = 2 };

static void ask(struct export *export, uint8_t type, uint8_t index, uint16_t length);

/* ---- descriptors ---- */

static void finish(struct export *export)
{
    struct usbip_device *shown = &export->shown;
    shown->nr_interfaces = 0;
    const struct guest_configuration *first = &export->configurations[0];
    for (unsigned int i = 0; export->nr_configurations && i < first->nr_interfaces; i++)
        shown->nr_interfaces = (uint8_t)(shown->nr_interfaces + (first->interfaces[i].alternate == 0));
    export->ready = true;
}

static void ask_configuration(struct export *export)
{
    export->whole = false;
    if (export->asked < export->shown.nr_configurations && export->asked < CONFIGURATIONS_MAX)
        ask(export, DT_CONFIGURATION, (uint8_t) export->asked, 9);
    else
        finish(export);
}

static void got_device(struct export *export)
{
    const uint8_t *d = export->buffer;
    struct usbip_device *shown = &export->shown;
    if (export->urb.actual != 18) {
        server_log(export->server, export->busid, "not exported: it does not describe itself");
        return;
    }
    shown->device_class = d[4];
    shown->subclass = d[5];
    shown->protocol = d[6];
    shown->vendor = (uint16_t)(d[8] | d[9] << 8);
    shown->product = (uint16_t)(d[10] | d[11] << 8);
    shown->release = (uint16_t)(d[12] | d[13] << 8);
    shown->nr_configurations = d[17];
    export->asked = export->nr_configurations = 0;
    ask_configuration(export);
}

/* A configuration that lies is left out: its endpoints are then not there. */
static void got_configuration(struct export *export)
{
    uint16_t total;
    uint32_t n = export->urb.actual;
    bool good = guest_parse_total(export->buffer, n, &total) == 0 && total <= CONFIGURATION_SIZE;
    if (good && !export->whole) {
        export->whole = true;
        ask(export, DT_CONFIGURATION, (uint8_t) export->asked, total);
        return;
    }
    struct guest_configuration *out = &export->configurations[export->nr_configurations];
    if (good && guest_parse_configuration(export->buffer, n, out) == 0)
        export->nr_configurations++;
    export->asked++;
    ask_configuration(export);
}

static void asked(struct host_urb *urb)
{
    struct export *export = urb->context;
    export->asking = false;
    if (!export->device)
        return;
    if (urb->status)
        server_log(export->server, export->busid, "not exported: its descriptors cannot be read");
    else if (urb->setup[3] == DT_DEVICE)
        got_device(export);
    else
        got_configuration(export);
}

static void ask(struct export *export, uint8_t type, uint8_t index, uint16_t length)
{
    struct usb_host *host = export->server->config.host;
    export->asking = true;
    export->urb = (struct host_urb){
        .type = USBIF_PIPE_TYPE_CTRL,
        .in = true,
        .setup = {0x80, REQ_GET_DESCRIPTOR, index, type, 0, 0, (uint8_t)length, (uint8_t)(length >> 8)},
        .length = length,
        .nr_segs = 1,
        .seg = {{export->buffer, length}},
        .complete = asked,
        .context = export};
    host->ops->submit(host, export->device, &export->urb);
}

/* ---- coming and going ---- */

struct export *export_find(struct usbip_server *server, const char *busid)
{
    for (struct export *export = server->exports; export; export = export->next) {
        if (strcmp(export->busid, busid) == 0)
            return export;
    }
    return NULL;
}

static uint32_t speed_of(uint8_t speed)
{
    return speed == USBIF_SPEED_LOW    ? USBIP_SPEED_LOW
           : speed == USBIF_SPEED_FULL ? USBIP_SPEED_FULL
                                       : USBIP_SPEED_HIGH;
}

int export_open(struct export *export)
{
    struct usbip_server *server = export->server;
    struct usb_host *host = server->config.host;
    int rc = host->ops->open(host, export->busid, &export->device);
    if (rc) {
        export->device = NULL;
        return rc;
    }
    rc = host->ops->reset(host, export->device);
    if (rc) {
        export_close(export);
        return rc;
    }
    export->current = NULL;
    memset(export->alternate, 0, sizeof(export->alternate));
    memset(&export->shown, 0, sizeof(export->shown));
    memcpy(export->shown.busid, export->busid, sizeof(export->busid));
    snprintf(export->shown.path, sizeof(export->shown.path), "/sys/devices/pvusb/%s", export->busid);
    export->shown.busnum = (uint32_t)strtoul(export->busid, NULL, 10) & 0xffffu;
    export->shown.devnum = export->number;
    export->shown.speed = speed_of(host->ops->speed(host, export->device));
    ask(export, DT_DEVICE, 0, 18);
    return 0;
}

void export_close(struct export *export)
{
    struct usb_host *host = export->server->config.host;
    struct host_device *device = export->device;
    export->ready = false;
    export->device = NULL; /* what completes now is of no interest */
    if (device)
        host->ops->close(host, device);
}

void export_release(struct export *export)
{
    if (!export->device)
        return;
    export_close(export);
    int rc = export_open(export);
    if (rc)
        server_log(export->server, export->busid, strerror(-rc));
}

static void on_plugged(void *context, const char *busid)
{
    struct export *export = export_find(context, busid);
    if (!export || export->device)
        return;
    int rc = export_open(export);
    if (rc)
        server_log(export->server, busid, strerror(-rc));
}

static void on_unplugged(void *context, const char *busid)
{
    struct export *export = export_find(context, busid);
    if (!export || !export->device)
        return;
    export_close(export);
    if (export->session)
        session_device_gone(export->session);
}

void export_listen(struct usbip_server *server)
{
    server->listener =
        (struct usb_host_listener){.plugged = on_plugged, .unplugged = on_unplugged, .context = server};
}

/* ---- endpoints ---- */

int export_endpoint_type(const struct export *export, uint8_t address)
{
    const struct guest_configuration *config = export->current;
    if ((address & 15u) == 0)
        return USBIF_PIPE_TYPE_CTRL;
    for (unsigned int i = 0; config && i < config->nr_interfaces; i++) {
        const struct guest_interface *interface = &config->interfaces[i];
        unsigned int number = interface->number;
        if (number >= GUEST_INTERFACES_MAX || export->alternate[number] != interface->alternate)
            continue;
        for (unsigned int e = 0; e < interface->nr_endpoints; e++) {
            if (interface->endpoints[e].address == address)
                return interface->endpoints[e].type;
        }
    }
    return -1;
}

void export_follow(struct export *export, const uint8_t setup[8])
{
    if (setup[0] == 0x00 && setup[1] == REQ_SET_CONFIGURATION) {
        export->current = NULL;
        memset(export->alternate, 0, sizeof(export->alternate));
        for (unsigned int i = 0; i < export->nr_configurations; i++) {
            if (export->configurations[i].value == setup[2])
                export->current = &export->configurations[i];
        }
        export->shown.configuration = export->current ? setup[2] : 0;
    } else if (setup[0] == 0x01 && setup[1] == REQ_SET_INTERFACE && setup[4] < GUEST_INTERFACES_MAX) {
        export->alternate[setup[4]] = setup[2];
    }
}
