// SPDX-License-Identifier: MIT
/*
 * PVUSB with QEMU's backend in the place of ours: Debian's unmodified QEMU on the drop-in libraries, its
 * devices ours by way of libusb (sim/peer, sim/usbfs), and our frontend in this process. The machine's
 * process is not in the way of traffic but for QEMU's maps and unmaps of each URB's pages.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fakexen/fakexen.h>
#include <fakexen/waitset.h>

#include "bench/devices.h"
#include "bench/paths/paths.h"
#include "bench/process.h"
#include "frontend/frontend.h"
#include "peer/peer.h"
#include "process/family.h"
#include "process/loop.h"
#include "toolstack/vusb.h"

#define GUEST_ID   1u
#define CONNECT_NS UINT64_C(10000000000)
/*
 * By the device, into the socket of the preloaded library, out of it into libusb's buffer, and by QEMU between that
 * and the guest's mapped pages; control data are once more in a buffer of QEMU's USB core.
 */
#define COPIES 4u

struct qemu_pvusb {
    struct bench_session session; /* first */
    struct family family;
    bool have_family;
    struct xen_machine *machine;
    struct peer *peer;
    struct front *front;
    struct xen_waitset *set;
    struct xen_waitset_fd end; /* of the peer */
};

static int pv_step(struct bench_session *session, uint64_t now_ns)
{
    return front_step(((struct qemu_pvusb *)session)->front, now_ns);
}

static int pv_wait(struct bench_session *session, uint64_t until_ns)
{
    struct qemu_pvusb *pv = (struct qemu_pvusb *)session;
    uint64_t due = front_deadline(pv->front);
    int rc = xen_waitset_until(pv->set, due < until_ns ? due : until_ns);
    return rc || !pv->end.ready ? rc : -ECHILD;
}

/* QEMU does not say, but what it does to our frontend's handle can be seen there. */
static void pv_counters(struct bench_session *session, struct bench_counters *out)
{
    struct qemu_pvusb *pv = (struct qemu_pvusb *)session;
    struct fakexen_counts theirs;
    *out = (struct bench_counters){.notifications = BENCH_UNKNOWN, .maps = BENCH_UNKNOWN};
    if (fakexen_client_counts(front_xen(pv->front), &theirs))
        return;
    out->notifications = front_stats(pv->front).notifications + theirs.events;
    out->maps = theirs.maps;
}

static void pv_close(struct bench_session *session)
{
    struct qemu_pvusb *pv = (struct qemu_pvusb *)session;
    char error[FAMILY_ERROR_MAX];
    if (pv->front)
        front_destroy(pv->front);
    xen_waitset_destroy(pv->set);
    (void)peer_stop(pv->peer);
    fakexen_client_machine_destroy(pv->machine);
    if (pv->have_family)
        (void)family_close(&pv->family, 0, error);
    free(pv);
}

static const struct bench_session_ops pv_ops = {
    .step = pv_step,
    .wait = pv_wait,
    .counters = pv_counters,
    .close = pv_close,
};

/* ---- beginning ---- */

static int start_qemu(struct qemu_pvusb *pv, const struct bench_setup *setup, char *error)
{
    char options[PEER_DEVICES_MAX][BENCH_KIND_MAX], file[128];
    const char *devices[PEER_DEVICES_MAX];
    snprintf(file, sizeof(file), "%s/disk", pv->family.dir);
    int rc = setup->device == BENCH_DISK ? bench_disk_file(file) : 0;
    if (rc) {
        snprintf(error, PEER_ERROR_MAX, "%s: %s", file, strerror(-rc));
        return rc;
    }
    for (unsigned int d = 0; d < setup->devices; d++) {
        bench_device_option(setup, 0, d, file, options[d]);
        devices[d] = options[d];
    }
    const struct peer_config config = {
        .dir = pv->family.dir, .guest = GUEST_ID, .devices = devices, .nr_devices = setup->devices};
    rc = peer_qemu_start(&config, &pv->peer, error);
    (void)unlink(file); /* it is open where it is needed */
    return rc;
}

/* QEMU wants a port's device to be there before the port names it. */
static int make_controller(struct qemu_pvusb *pv, const struct bench_setup *setup)
{
    const struct vusb_controller controller = {
        .kind = "qusb", .frontend = GUEST_ID, .usb_ver = 2, .num_ports = setup->devices};
    struct xen *dom0;
    int rc = pv->machine->ops->open(pv->machine, 0, &dom0);
    if (rc)
        return rc;
    rc = vusb_create(dom0, &controller);
    for (unsigned int d = 0; !rc && d < setup->devices; d++) {
        char busid[32];
        bench_busid(0, d, busid, sizeof(busid));
        rc = vusb_set_port(dom0, &controller, d + 1, busid);
    }
    xen_close(dom0);
    return rc;
}

static int connect_front(struct qemu_pvusb *pv)
{
    struct xen *xen;
    uint64_t limit = loop_now_ns() + CONNECT_NS;
    int rc = xen_waitset_create(&pv->set);
    if (!rc)
        rc = xen_waitset_add_fd(pv->set, &pv->end, peer_fd(pv->peer));
    if (!rc)
        rc = xen_waitset_open(pv->set, pv->machine, GUEST_ID, &xen);
    if (rc)
        return rc;
    rc = front_create(xen, 0, NULL, NULL, &pv->front);
    if (rc)
        xen_close(xen);
    while (!rc) {
        uint64_t now = loop_now_ns();
        rc = front_step(pv->front, now);
        if (rc || front_state(pv->front) == XenbusStateConnected)
            return rc;
        rc = now >= limit ? -ETIMEDOUT : pv_wait(&pv->session, limit);
    }
    return rc;
}

static int start(struct qemu_pvusb *pv, const struct bench_setup *setup, char error[PEER_ERROR_MAX])
{
    int rc = family_open(&pv->family, error);
    if (rc)
        return rc;
    pv->have_family = true;
    rc = fakexen_client_machine_create(pv->family.dir, &pv->machine);
    if (!rc)
        rc = pv->machine->ops->domain_create(pv->machine, GUEST_ID);
    return rc ? rc : start_qemu(pv, setup, error);
}

static int open_pvusb(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    static_assert((int)PEER_ERROR_MAX >= (int)FAMILY_ERROR_MAX, "one line for both");
    char error[PEER_ERROR_MAX] = "";
    if (setup->guests > 1 || setup->device == BENCH_AUDIO || setup->full_speed || setup->wire) {
        snprintf(why, BENCH_WHY_MAX, "QEMU's backend: one guest, nothing isochronous, high speed, no wire");
        return -ENOTSUP;
    }
    struct qemu_pvusb *pv = calloc(1, sizeof(*pv));
    if (!pv)
        return -ENOMEM;
    pv->session = (struct bench_session){.ops = &pv_ops, .queue = 16, .copies = COPIES, .control_copies = 1};
    bench_become_device_side(setup); /* what is started inherits it */
    int rc = start(pv, setup, error);
    bench_become_guest_side(setup);
    if (!rc)
        rc = make_controller(pv, setup);
    if (!rc)
        rc = connect_front(pv);
    if (rc) {
        snprintf(why, BENCH_WHY_MAX, "%.150s", error[0] ? error : strerror(-rc));
        pv_close(&pv->session);
        return rc;
    }
    pv->session.hcd[0] = front_hcd(pv->front);
    for (unsigned int i = 0; i < pv->family.nr_children; i++)
        pv->session.process[pv->session.nr_processes++] = pv->family.child[i].pid;
    pv->session.process[pv->session.nr_processes++] = peer_pid(pv->peer);
    pv->session.process[pv->session.nr_processes++] = peer_qemu_pid(pv->peer);
    *out = &pv->session;
    return 0;
}

const struct bench_path bench_qemu_pvusb = {
    .name = "qemu-pvusb",
    .what = "our frontend with QEMU's PVUSB backend, our devices behind that through libusb",
    .open = open_pvusb,
};
