// SPDX-License-Identifier: MIT
#include "bench/paths/pvusb.h"

#include "toolstack/vusb.h"

static int controller_nodes(const struct bench_setup *setup, struct xen *dom0, unsigned int guest)
{
    const struct vusb_controller controller = {.kind = "qusb",
                                               .frontend = (domid_t)(PVUSB_BENCH_GUEST + guest),
                                               .usb_ver = 2,
                                               .num_ports = setup->devices};
    int rc = vusb_create(dom0, &controller);
    for (unsigned int d = 0; !rc && d < setup->devices; d++) {
        char busid[32];
        bench_busid(guest, d, busid, sizeof(busid));
        rc = vusb_set_port(dom0, &controller, d + 1, busid);
    }
    return rc;
}

int pvusb_bench_nodes(const struct bench_setup *setup, struct xen_machine *machine)
{
    struct xen *dom0;
    int rc = machine->ops->open(machine, 0, &dom0);
    if (rc)
        return rc;
    for (unsigned int g = 0; !rc && g < setup->guests; g++) {
        rc = machine->ops->domain_create(machine, (domid_t)(PVUSB_BENCH_GUEST + g));
        if (!rc)
            rc = controller_nodes(setup, dom0, g);
    }
    xen_close(dom0);
    return rc;
}

int pvusb_bench_fronts(const struct bench_setup *setup, struct xen_machine *machine, struct front **fronts)
{
    int rc = 0;
    for (unsigned int g = 0; !rc && g < setup->guests; g++) {
        struct xen *xen;
        rc = machine->ops->open(machine, (domid_t)(PVUSB_BENCH_GUEST + g), &xen);
        if (rc)
            break;
        rc = front_create(xen, 0, NULL, NULL, &fronts[g]);
        if (rc)
            xen_close(xen);
    }
    return rc;
}

bool pvusb_bench_connected(const struct bench_setup *setup, struct front *const *fronts)
{
    for (unsigned int g = 0; g < setup->guests; g++) {
        if (front_state(fronts[g]) != XenbusStateConnected)
            return false;
    }
    return true;
}

void pvusb_bench_count_back(struct back_driver *driver, struct bench_counters *out)
{
    struct back *back;
    for (unsigned int i = 0; (back = back_driver_connector(driver, i)); i++) {
        struct back_stats stats = back_stats(back);
        out->notifications += stats.notifications;
        out->maps += 2 * stats.map_calls; /* each with its unmap */
        out->copied += stats.copied_bytes;
    }
}

void pvusb_bench_count_front(struct front *const *fronts, struct bench_counters *out)
{
    for (unsigned int g = 0; g < BENCH_GUESTS_MAX && fronts[g]; g++)
        out->notifications += front_stats(fronts[g]).notifications;
}
