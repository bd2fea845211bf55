// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inproc_moments.h"
#include "inproc_private.h"
#include "toolstack/vusb.h"

#define GUEST 1u

static struct inproc *of(struct peer *peer)
{
    return (struct inproc *)(void *)peer;
}

static bool is_backend(const struct inproc *p)
{
    return p->peer.config.role == CONFORM_BACKEND;
}

static const char *inproc_abilities(const struct peer_config *config)
{
    static char abilities[128];
    snprintf(abilities, sizeof(abilities), "%s moments%s",
             config->role == CONFORM_BACKEND     ? "inproc device replug speeds hub iso toolstack restart guests"
             : config->role == CONFORM_TOOLSTACK ? "inproc toolstack attach"
                                                 : "inproc guest iso speeds toolstack restart",
             inproc_moments_accesses() ? " accesses" : "");
    return abilities;
}

static void inproc_close(struct peer *peer)
{
    struct inproc *p = of(peer);
    inproc_moments_watch(&(struct peer_watch){0});
    inproc_frontend_stop(p->frontend);
    inproc_toolstack_stop(p->toolstack);
    inproc_backend_close(p);
    fakexen_local_destroy(p->local);
    free(p);
}

static int inproc_open(const struct peer_config *config, struct peer **out, char error[PEER_ERROR_MAX])
{
    struct inproc *p = calloc(1, sizeof(*p));
    int rc = p ? fakexen_local_create(&p->local) : -ENOMEM;
    if (!rc && config->role != CONFORM_BACKEND) {
        struct xen_machine *machine = fakexen_local_machine(p->local);
        rc = machine->ops->domain_create(machine, GUEST);
    }
    if (rc) {
        snprintf(error, PEER_ERROR_MAX, "cannot make a machine: %s", strerror(-rc));
        fakexen_local_destroy(p ? p->local : NULL);
        free(p);
        return rc;
    }
    p->peer.ops = &peer_inproc;
    p->peer.config = *config;
    rc = is_backend(p) ? inproc_backend_open(p, error) : 0;
    if (rc)
        inproc_close(&p->peer);
    else
        *out = &p->peer;
    return rc;
}

/* What our toolstack makes of a controller. */
static int make_controller(struct inproc *p)
{
    const struct vusb_controller controller = {.kind = "qusb", .frontend = GUEST, .usb_ver = 2, .num_ports = 4};
    struct xen_machine *machine = fakexen_local_machine(p->local);
    struct xen *xen;
    int rc = machine->ops->open(machine, 0, &xen);
    if (rc)
        return rc;
    rc = vusb_create(xen, &controller);
    xen_close(xen);
    return rc;
}

static int start_toolstack(struct inproc *p)
{
    int rc = make_controller(p);
    return rc ? rc : inproc_toolstack_start(fakexen_local_machine(p->local), GUEST, &p->toolstack);
}

static int inproc_start(struct peer *peer, char error[PEER_ERROR_MAX])
{
    struct inproc *p = of(peer);
    int rc;
    if (is_backend(p))
        return inproc_backend_start(p, error);
    if (peer->config.role == CONFORM_TOOLSTACK)
        rc = start_toolstack(p);
    else
        rc = inproc_frontend_start(fakexen_local_machine(p->local), GUEST, &p->frontend);
    if (rc)
        snprintf(error, PEER_ERROR_MAX, "cannot start: %s", strerror(-rc));
    else if (p->frontend)
        inproc_frontend_step(p->frontend, p->now_ns);
    return rc;
}

static void inproc_kill(struct peer *peer)
{
    struct inproc *p = of(peer);
    if (p->frontend)
        inproc_frontend_kill(p->frontend);
    p->frontend = NULL;
    if (is_backend(p))
        inproc_backend_kill(p);
}

static bool inproc_died(struct peer *peer, char line[PEER_ERROR_MAX])
{
    const struct inproc *p = of(peer);
    if (p->rc)
        snprintf(line, PEER_ERROR_MAX, "it ended with %s", strerror(-p->rc));
    return p->rc != 0;
}

static bool step(struct inproc *p)
{
    if (is_backend(p))
        return inproc_backend_step(p);
    if (!p->frontend || !inproc_frontend_pending(p->frontend))
        return false;
    inproc_frontend_step(p->frontend, p->now_ns);
    return true;
}

static uint64_t deadline(struct inproc *p)
{
    if (is_backend(p))
        return inproc_backend_deadline(p);
    return p->frontend ? inproc_frontend_deadline(p->frontend) : UINT64_MAX;
}

static bool inproc_turn(struct peer *peer, int fd, uint64_t until_ns, bool advance)
{
    struct inproc *p = of(peer);
    (void)fd;
    if (step(p))
        return true;
    uint64_t next = deadline(p);
    if (next > p->now_ns && !advance)
        return false;
    if (next > until_ns) {
        p->now_ns = until_ns; /* nothing happens before */
        return false;
    }
    p->now_ns = next > p->now_ns ? next : p->now_ns;
    if (p->frontend)
        inproc_frontend_step(p->frontend, p->now_ns);
    else
        (void)inproc_backend_step(p);
    return true;
}

static uint64_t inproc_now(struct peer *peer)
{
    return of(peer)->now_ns;
}

static struct xen_machine *inproc_machine(struct peer *peer)
{
    return fakexen_local_machine(of(peer)->local);
}

static int inproc_plug(struct peer *peer, const char *busid, uint8_t speed)
{
    return inproc_backend_plug(of(peer), busid, speed);
}

static int inproc_unplug(struct peer *peer, const char *busid)
{
    return inproc_backend_unplug(of(peer), busid);
}

static struct fakexen_balance inproc_balance(struct peer *peer)
{
    return fakexen_local_balance(of(peer)->local);
}

static void inproc_watch(struct peer *peer, const struct peer_watch *watch)
{
    (void)peer;
    inproc_moments_watch(watch);
}

/* ---- the administrator ---- */

static int create(struct peer *peer, unsigned int usb_ver, unsigned int num_ports, unsigned int *devid)
{
    return inproc_toolstack_create(of(peer)->toolstack, usb_ver, num_ports, devid);
}

static int attach(struct peer *peer, const char *busid, unsigned int devid, unsigned int port)
{
    return inproc_toolstack_attach(of(peer)->toolstack, busid, devid, port);
}

static int attach_address(struct peer *peer, unsigned int bus, unsigned int address, unsigned int devid)
{
    return inproc_toolstack_attach_address(of(peer)->toolstack, bus, address, devid);
}

static int detach(struct peer *peer, unsigned int devid, unsigned int port)
{
    return inproc_toolstack_detach(of(peer)->toolstack, devid, port);
}

static int holder(struct peer *peer, const char *busid, unsigned int *devid, unsigned int *port)
{
    return inproc_toolstack_holder(of(peer)->toolstack, busid, devid, port);
}

static int close_controller(struct peer *peer, unsigned int devid)
{
    return inproc_toolstack_close(of(peer)->toolstack, devid);
}

static int remove_controller(struct peer *peer, unsigned int devid)
{
    return inproc_toolstack_remove(of(peer)->toolstack, devid);
}

static int bus_plug(struct peer *peer, const char *busid, bool hub)
{
    return inproc_toolstack_plug(of(peer)->toolstack, busid, hub);
}

static int bus_unplug(struct peer *peer, const char *busid)
{
    return inproc_toolstack_unplug(of(peer)->toolstack, busid);
}

static const struct peer_toolstack_ops toolstack_ops = {
    create, attach, attach_address, detach, holder, close_controller, remove_controller, bus_plug, bus_unplug,
};

const struct peer_ops peer_inproc = {
    .name = "inproc",
    .abilities_for = inproc_abilities,
    .open = inproc_open,
    .close = inproc_close,
    .start = inproc_start,
    .kill = inproc_kill,
    .died = inproc_died,
    .turn = inproc_turn,
    .now = inproc_now,
    .machine = inproc_machine,
    .plug = inproc_plug,
    .unplug = inproc_unplug,
    .balance = inproc_balance,
    .watch = inproc_watch,
    .guest = &inproc_guest_ops,
    .toolstack = &toolstack_ops,
};
