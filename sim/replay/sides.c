// SPDX-License-Identifier: MIT
#include "replay/sides.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolstack/vusb.h"

int replay_write_nodes(struct xen *dom0, const struct plan *plan)
{
    int rc = 0;
    for (unsigned int i = 0; !rc && i < plan->nr_controllers; i++) {
        struct vusb_controller controller = {
            .kind = "qusb", .frontend = REPLAY_GUEST, .devid = i, .usb_ver = 2, .num_ports = PVUSB_PORTS_MAX};
        rc = vusb_create(dom0, &controller);
        for (unsigned int port = 1; !rc && port <= plan->controller[i].nr_ports; port++) {
            char busid[PLAN_BUSID_MAX];
            plan_busid(&plan->controller[i], port, busid);
            rc = vusb_set_port(dom0, &controller, port, busid);
        }
    }
    return rc;
}

/* ---- guest ---- */

int guest_side_init(struct guest_side *guest, struct xen_machine *machine, const struct plan *plan,
                    const struct replay_options *options, struct replay_results *results, char error[REPLAY_ERROR_MAX])
{
    int rc = 0;
    *guest = (struct guest_side){.plan = plan, .options = options, .results = results};
    guest->front = calloc(plan->nr_controllers + 1, sizeof(struct front *));
    guest->hcd = calloc(plan->nr_controllers + 1, sizeof(struct hcd *));
    if (!guest->front || !guest->hcd)
        rc = -ENOMEM;
    if (!rc && options->pcap)
        rc = recorder_create(options->pcap, plan->nr_controllers, &guest->recorder, error);
    for (unsigned int i = 0; !rc && i < plan->nr_controllers; i++) {
        struct xen *xen;
        rc = machine->ops->open(machine, REPLAY_GUEST, &xen);
        if (rc)
            break;
        rc = front_create(xen, i, options->log, options->log_context, &guest->front[i]);
        if (rc) {
            xen_close(xen);
            break;
        }
        guest->hcd[i] = front_hcd(guest->front[i]);
        if (guest->recorder)
            front_set_tap(guest->front[i], recorder_tap(guest->recorder, i, plan->controller[i].bus));
    }
    if (!rc)
        rc = player_create(plan, options->match, guest->hcd, results, &guest->player);
    return rc;
}

static bool all_in_state(const struct guest_side *guest, enum xenbus_state state)
{
    for (unsigned int i = 0; i < guest->plan->nr_controllers; i++) {
        if (front_state(guest->front[i]) != state)
            return false;
    }
    return true;
}

int guest_side_step(struct guest_side *guest, uint64_t now_ns)
{
    int rc = 0;
    for (unsigned int i = 0; !rc && i < guest->plan->nr_controllers; i++)
        rc = front_step(guest->front[i], now_ns);
    if (!rc && all_in_state(guest, XenbusStateConnected))
        player_step(guest->player, now_ns);
    return rc;
}

uint64_t guest_side_deadline(const struct guest_side *guest)
{
    uint64_t due = UINT64_MAX;
    for (unsigned int i = 0; i < guest->plan->nr_controllers; i++) {
        uint64_t at = front_deadline(guest->front[i]);
        due = at < due ? at : due;
    }
    return due;
}

bool guest_side_finished(const struct guest_side *guest)
{
    return player_finished(guest->player);
}

void guest_side_close(struct guest_side *guest)
{
    player_stop(guest->player);
    for (unsigned int i = 0; i < guest->plan->nr_controllers; i++)
        front_close(guest->front[i]);
}

bool guest_side_closed(const struct guest_side *guest)
{
    return all_in_state(guest, XenbusStateClosed);
}

struct front_stats guest_side_stats(const struct guest_side *guest)
{
    struct front_stats sum = {0};
    for (unsigned int i = 0; i < guest->plan->nr_controllers; i++) {
        struct front_stats one = front_stats(guest->front[i]);
        sum.urbs += one.urbs;
        sum.requests += one.requests;
        sum.responses += one.responses;
        sum.unlinks += one.unlinks;
        sum.notifications += one.notifications;
        sum.plug_events += one.plug_events;
    }
    return sum;
}

int guest_side_dispose(struct guest_side *guest, char error[REPLAY_ERROR_MAX])
{
    for (unsigned int i = 0; guest->front && i < guest->plan->nr_controllers; i++)
        front_destroy(guest->front[i]);
    player_destroy(guest->player);
    int rc = recorder_destroy(guest->recorder);
    if (rc && !error[0])
        snprintf(error, REPLAY_ERROR_MAX, "%s: %s", guest->options->pcap, strerror(-rc));
    free(guest->front);
    free(guest->hcd);
    *guest = (struct guest_side){0};
    return rc;
}

/* ---- device ---- */

int device_side_init(struct device_side *device, struct xen_machine *machine, const struct plan *plan,
                     const struct replay_options *options, struct replay_results *results)
{
    *device = (struct device_side){0};
    int rc = replay_host_create(plan, options->match, results, &device->host);
    if (rc)
        return rc;
    struct back_config config = {
        .host = replay_host_usb(device->host), .log = options->log, .log_context = options->log_context};
    return back_driver_create(machine, 0, &config, &device->driver);
}

int device_side_step(struct device_side *device, uint64_t now_ns)
{
    struct usb_host *usb = replay_host_usb(device->host);
    int rc = back_driver_step(device->driver, now_ns);
    if (!rc)
        usb->ops->step(usb, now_ns);
    return rc;
}

void device_side_dispose(struct device_side *device)
{
    back_driver_destroy(device->driver);
    replay_host_destroy(device->host);
    *device = (struct device_side){0};
}
