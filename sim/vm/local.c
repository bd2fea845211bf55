// SPDX-License-Identifier: MIT
/* What the controllers without a backend have in common. */
#include "vm/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLOSING_STEP_NS UINT64_C(2000000)
#define CLOSING_STEPS   1000u

static void step(struct vm_local *local, uint64_t now_ns)
{
    local->c.now_ns = now_ns;
    if (local->c.guest)
        guest_step(local->c.guest, now_ns);
    local->ops->step(local, now_ns);
    if (local->c.guest)
        guest_step(local->c.guest, now_ns);
}

void vm_local_close(struct vm_local *local)
{
    if (!local->closing && local->c.guest)
        guest_close(local->c.guest);
    local->closing = true;
}

/* Out of the vm's list already. Time is made up: whatever is waited for has to be over. */
static void destroy(struct vm_local *local)
{
    vm_local_close(local);
    for (unsigned int i = 0; local->c.guest && guest_busy(local->c.guest) && i < CLOSING_STEPS; i++)
        step(local, local->c.now_ns + CLOSING_STEP_NS);
    if (local->c.guest && guest_busy(local->c.guest))
        return; /* memory is lost; to free what is in use would be worse */
    if (local->c.guest)
        guest_destroy(local->c.guest);
    local->ops->destroy(local);
    if (local->follow && local->c.vm->config.set)
        xen_waitset_remove_fd(local->c.vm->config.set, &local->changes);
    hostbus_follow_destroy(local->follow);
    if (local->sim) {
        struct usb_host *host = sim_host_host(local->sim);
        if (local->listener.context)
            host->ops->unlisten(host, &local->listener);
        sim_host_destroy(local->sim);
    }
    free(local);
}

void vm_local_drop(struct vm_local *local)
{
    struct vm_local **link = &local->c.vm->locals;
    while (*link != local)
        link = &(*link)->next;
    *link = local->next;
    destroy(local);
}

int vm_local_create(struct vm *vm, const struct vm_local_ops *ops, struct vm_local **out)
{
    struct vm_local *local = calloc(1, sizeof(*local));
    int rc = local ? sim_host_create(&local->sim) : -ENOMEM;
    if (rc) {
        free(local);
        return rc;
    }
    local->ops = ops;
    local->c.vm = vm;
    local->next = vm->locals;
    vm->locals = local;
    *out = local;
    return 0;
}

static void log_bus(void *context, const char *line)
{
    struct vm_local *local = context;
    vm_log(local->c.vm, "%s: %s", local->c.name, line);
}

int vm_local_follow(struct vm_local *local, bool (*mine)(void *context, const struct hostbus_device *device))
{
    const struct hostbus_follow_config config = {
        .dir = local->c.vm->config.dir, .host = local->sim, .mine = mine, .log = log_bus, .context = local};
    int rc = hostbus_follow_create(&config, &local->follow);
    struct xen_waitset *set = local->c.vm->config.set;
    return rc || !set ? rc : xen_waitset_add_fd(set, &local->changes, hostbus_follow_fd(local->follow));
}

/* ---- all of them ---- */

int vm_locals_begin(struct vm *vm)
{
    if (!vm->config.dir)
        return 0;
    int rc = xen_waitset_open(vm->config.set, vm->config.machine, 0, &vm->xen0);
    if (!rc)
        rc = vm->xen0->ops->xs_watch(vm->xen0, "/pvusb/pci", "passed");
    return rc ? rc : vm_emulated_create(vm);
}

static int take_watches(struct vm *vm)
{
    int rc = vm_take_watches(vm->xen0, &vm->look_local);
    if (rc || !vm->look_local)
        return rc;
    vm->look_local = false;
    for (struct vm_local *local = vm->locals; local; local = local->next)
        vm_emulated_command(local);
    rc = vm_passed_look(vm);
    return rc == -EPIPE ? rc : 0;
}

int vm_locals_step(struct vm *vm, uint64_t now_ns)
{
    int rc = vm->xen0 && !vm->closing ? take_watches(vm) : 0;
    for (struct vm_local **link = &vm->locals; !rc && *link;) {
        struct vm_local *local = *link;
        if (local->follow && (!vm->config.set || local->changes.ready)) {
            local->changes.ready = false;
            rc = hostbus_follow_step(local->follow);
        }
        step(local, now_ns);
        if (!local->closing || guest_busy(local->c.guest)) {
            link = &local->next;
            continue;
        }
        *link = local->next;
        destroy(local);
        vm->look_local = true; /* for one of the same bus */
    }
    return rc;
}

uint64_t vm_locals_deadline(const struct vm *vm)
{
    uint64_t first = vm->look_local && !vm->closing ? 0 : UINT64_MAX;
    for (const struct vm_local *local = vm->locals; local; local = local->next) {
        const uint64_t guest = guest_deadline(local->c.guest);
        const uint64_t hcd = local->ops->deadline(local);
        first = guest < first ? guest : first;
        first = hcd < first ? hcd : first;
    }
    return first;
}

void vm_locals_close(struct vm *vm)
{
    for (struct vm_local *local = vm->locals; local; local = local->next)
        vm_local_close(local);
}

void vm_locals_count(const struct vm *vm, struct vm_stats *stats)
{
    for (const struct vm_local *local = vm->locals; local; local = local->next) {
        stats->controllers++;
        stats->devices += local->c.devices;
    }
}

void vm_locals_destroy(struct vm *vm)
{
    while (vm->locals) {
        struct vm_local *local = vm->locals;
        vm->locals = local->next;
        destroy(local);
    }
    xen_close(vm->xen0);
    vm->xen0 = NULL;
}
