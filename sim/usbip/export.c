// SPDX-License-Identifier: MIT
/* Devices that a server offers: their descriptors, and what they are set to. */
#include "usbip/server_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- descriptors ---- */

static void on_described(void *context, int status)
{
    struct export *export = context;
    struct usbip_device *shown = &export->shown;
    const struct guest_configuration *first = &export->described.configurations[0];
    const uint8_t *d = export->described.raw_device;
    if (status) {
        server_log(export->server, export->busid, "not exported: its descriptors cannot be read");
        return;
    }
    shown->device_class = d[4];
    shown->subclass = d[5];
    shown->protocol = d[6];
    shown->vendor = (uint16_t)(d[8] | d[9] << 8);
    shown->product = (uint16_t)(d[10] | d[11] << 8);
    shown->release = (uint16_t)(d[12] | d[13] << 8);
    shown->nr_configurations = d[17];
    for (unsigned int i = 0; export->described.nr_configurations && i < first->nr_interfaces; i++)
        shown->nr_interfaces = (uint8_t)(shown->nr_interfaces + (first->interfaces[i].alternate == 0));
    export->ready = true;
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
    memset(&export->shown, 0, sizeof(export->shown));
    memcpy(export->shown.busid, export->busid, sizeof(export->busid));
    snprintf(export->shown.path, sizeof(export->shown.path), "/sys/devices/pvusb/%s", export->busid);
    export->shown.busnum = (uint32_t)strtoul(export->busid, NULL, 10) & 0xffffu;
    export->shown.devnum = export->number;
    export->shown.speed = speed_of(host->ops->speed(host, export->device));
    export->described.host = host;
    export->described.device = export->device;
    export->described.ready = on_described;
    export->described.context = export;
    described_begin(&export->described);
    return 0;
}

void export_close(struct export *export)
{
    struct usb_host *host = export->server->config.host;
    struct host_device *device = export->device;
    export->ready = false;
    export->device = NULL;
    described_end(&export->described);
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
    const struct guest_endpoint *endpoint = described_endpoint(&export->described, address);
    if ((address & 15u) == 0)
        return USBIF_PIPE_TYPE_CTRL;
    return endpoint ? endpoint->type : -1;
}

void export_follow(struct export *export, const uint8_t setup[8])
{
    if (setup[0] == 0x23) /* the one request of this kind that succeeds: a port's reset */
        described_reset(&export->described);
    described_follow(&export->described, setup);
    export->shown.configuration = export->described.current ? export->described.current->value : 0;
}
