// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "devices/probe.h"
#include "inproc_moments.h"
#include "inproc_private.h"

#define PROBES 4u
#define ROUNDS 1000u

static struct inproc *of_machine(struct xen_machine *machine)
{
    return (struct inproc *)(void *)((char *)machine - offsetof(struct inproc, backend.machine));
}

static int noting_open(struct xen_machine *machine, domid_t domid, struct xen **out)
{
    struct inproc *p = of_machine(machine);
    struct xen_machine *real = fakexen_local_machine(p->local);
    int rc = real->ops->open(real, domid, out);
    if (!rc && !p->backend.own)
        p->backend.own = *out; /* the first one: the others belong to connectors */
    if (!rc)
        inproc_moments_xen(*out);
    return rc;
}

static const struct xen_machine_ops noting_ops = {.open = noting_open};

int inproc_backend_plug(struct inproc *p, const char *busid, uint8_t speed)
{
    const struct probe_config config = {.speed = speed == PEER_HUB ? USBIF_SPEED_HIGH : speed, .host = p->backend.host, .busid = busid};
    struct usb_device *device;
    static uint8_t hub[18]; /* a device descriptor */
    int rc = probe_create(&config, &device);
    if (rc)
        return rc;
    if (speed == PEER_HUB) {
        memcpy(hub, device->descriptors.device, sizeof(hub));
        hub[4] = DEVICE_HUB_CLASS;
        device->descriptors.device = hub;
    }
    return sim_host_plug(p->backend.host, busid, device);
}

int inproc_backend_unplug(struct inproc *p, const char *busid)
{
    return sim_host_unplug(p->backend.host, busid);
}

int inproc_backend_open(struct inproc *p, char error[PEER_ERROR_MAX])
{
    int rc = sim_host_create(&p->backend.host);
    for (unsigned int i = 1; !rc && i <= PROBES; i++) {
        char busid[8];
        snprintf(busid, sizeof(busid), "1-%u", i);
        rc = inproc_backend_plug(p, busid, USBIF_SPEED_HIGH);
    }
    if (rc)
        snprintf(error, PEER_ERROR_MAX, "cannot make the probe devices: %s", strerror(-rc));
    return rc;
}

void inproc_backend_close(struct inproc *p)
{
    back_driver_destroy(p->backend.driver);
    p->backend.driver = NULL;
    if (p->backend.host)
        sim_host_destroy(p->backend.host);
}

int inproc_backend_start(struct inproc *p, char error[PEER_ERROR_MAX])
{
    const struct back_config config = {.host = sim_host_host(p->backend.host)};
    domid_t domid = 0;
    p->backend.machine.ops = &noting_ops;
    inproc_moments_host(sim_host_host(p->backend.host));
    p->backend.own = NULL;
    int rc = back_driver_create(&p->backend.machine, domid, &config, &p->backend.driver);
    if (rc)
        snprintf(error, PEER_ERROR_MAX, "cannot start the backend: %s", strerror(-rc));
    return rc;
}

void inproc_backend_kill(struct inproc *p)
{
    struct back_driver *driver = p->backend.driver;
    struct back *back;
    if (!driver)
        return;
    for (unsigned int i = 0; (back = back_driver_connector(driver, i)); i++)
        fakexen_local_kill(back_xen(back));
    if (p->backend.own)
        fakexen_local_kill(p->backend.own);
    back_driver_destroy(driver);
    p->backend.driver = NULL;
}

static bool has_work(struct inproc *p)
{
    struct back_driver *driver = p->backend.driver;
    struct back *back;
    if (back_driver_busy(driver) || fakexen_local_handle_pending(p->backend.own))
        return true;
    for (unsigned int i = 0; (back = back_driver_connector(driver, i)); i++) {
        if (fakexen_local_handle_pending(back_xen(back)))
            return true;
    }
    return false;
}

bool inproc_backend_step(struct inproc *p)
{
    struct usb_host *host = sim_host_host(p->backend.host);
    bool any = false;
    for (unsigned int round = 0; p->backend.driver && !p->rc && round < ROUNDS; round++) {
        bool work = has_work(p);
        if (!work && round >= 2)
            break;
        any = any || work;
        p->rc = back_driver_step(p->backend.driver, p->now_ns);
        host->ops->step(host, p->now_ns);
    }
    return any;
}

uint64_t inproc_backend_deadline(struct inproc *p)
{
    struct usb_host *host = sim_host_host(p->backend.host);
    return p->backend.driver ? host->ops->deadline(host) : UINT64_MAX;
}
