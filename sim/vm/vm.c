// SPDX-License-Identifier: MIT
#include "vm/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/local.h"
#include "vm/private.h"
#include "xenbus/xenbus.h"

#define DEVID_MAX 65535ul

void vm_log(struct vm *vm, const char *format, ...)
{
    char line[512];
    va_list args;
    if (!vm->config.log)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    vm->config.log(vm->config.context, line);
}

/* ---- what the toolstack waits for; nobody else depends on these nodes ---- */

void vm_tell_port(struct vm_controller *controller, unsigned int port, const char *what)
{
    struct vm *vm = controller->vm;
    char dir[64];
    char node[16];
    char value[XENBUS_VALUE_MAX];
    if (controller->unwanted || !controller->front)
        return;
    snprintf(dir, sizeof(dir), "data/usb/%u", controller->devid);
    snprintf(node, sizeof(node), "%u", port);
    if (!what) {
        snprintf(dir + strlen(dir), sizeof(dir) - strlen(dir), "/%u", port);
        (void)vm->xen->ops->xs_rm(vm->xen, XEN_XBT_NIL, dir);
        return;
    }
    vm->sequence++;
    (void)xenbus_write(vm->xen, XEN_XBT_NIL, "data", "usb", "%" PRIu64, vm->sequence); /* first: see vm.h */
    snprintf(value, sizeof(value), "%" PRIu64 " %.200s", vm->sequence, what);
    (void)xenbus_write(vm->xen, XEN_XBT_NIL, dir, node, "%s", value);
}

void vm_tell_controller(const struct vm_controller *controller, bool there)
{
    struct vm *vm = controller->vm;
    char path[64];
    snprintf(path, sizeof(path), "data/usb/%u", controller->devid);
    if (there)
        (void)vm->xen->ops->xs_write(vm->xen, XEN_XBT_NIL, path, "1", 1);
    else
        (void)vm->xen->ops->xs_rm(vm->xen, XEN_XBT_NIL, path);
}

/* ---- finding controllers ---- */

static int read_backend(struct vm *vm, unsigned int devid, char out[XENBUS_VALUE_MAX])
{
    char dir[64];
    snprintf(dir, sizeof(dir), "device/vusb/%u", devid);
    return xenbus_read(vm->xen, XEN_XBT_NIL, dir, "backend", out);
}

static struct vm_controller *find(struct vm *vm, unsigned int devid)
{
    for (struct vm_controller *c = vm->controllers; c; c = c->next) {
        if (c->devid == devid)
            return c;
    }
    return NULL;
}

/* Those that are no longer there, or are others by now, are let go; a new one waits for the old one of its
 * number. */
static void drop_missing(struct vm *vm)
{
    char backend[XENBUS_VALUE_MAX];
    for (struct vm_controller *c = vm->controllers; c; c = c->next) {
        int rc = read_backend(vm, c->devid, backend);
        if (rc == -ENOENT || (rc == 0 && strcmp(backend, c->backend) != 0))
            vm_controller_leave(c);
    }
}

static int find_new(struct vm *vm)
{
    char names[XEN_XS_PAYLOAD_MAX + 1];
    char backend[XENBUS_VALUE_MAX];
    ssize_t n = vm->xen->ops->xs_directory(vm->xen, XEN_XBT_NIL, "device/vusb", names, XEN_XS_PAYLOAD_MAX);
    if (n < 0)
        return n == -EPIPE ? -EPIPE : 0;
    names[n] = '\0';
    for (const char *name = names; name < names + n; name += strlen(name) + 1) {
        const unsigned long devid = strtoul(name, NULL, 10);
        if (strspn(name, "0123456789") != strlen(name) || devid > DEVID_MAX ||
            find(vm, (unsigned int)devid) || read_backend(vm, (unsigned int)devid, backend))
            continue;
        int rc = vm_controller_create(vm, (unsigned int)devid, backend);
        if (rc == -EPIPE)
            return rc;
        if (rc)
            vm_log(vm, "controller %lu: %s", devid, strerror(-rc));
    }
    return 0;
}

int vm_take_watches(struct xen *xen, bool *any)
{
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    int waits = xen_waitset_has(xen) ? xen_waiting(xen) : 0;
    int rc = waits < 0 ? waits : 0;
    while (!rc && waits & XEN_WAITS_WATCH && !(rc = xen->ops->xs_watch_read(xen, path, token)))
        *any = true;
    return rc == -EPIPE ? rc : 0;
}

static int take_watches(struct vm *vm)
{
    int rc = vm_take_watches(vm->xen, &vm->look);
    if (rc || !vm->look || vm->closing)
        return rc;
    vm->look = false;
    drop_missing(vm);
    return find_new(vm);
}

/* ---- life ---- */

/* What one has said that was here before and was killed. */
static int forget(struct vm *vm, const char *path)
{
    int rc = vm->xen->ops->xs_rm(vm->xen, XEN_XBT_NIL, path);
    return rc == -ENOENT ? 0 : rc;
}

int vm_create(const struct vm_config *config, struct vm **out)
{
    struct vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return -ENOMEM;
    vm->config = *config;
    int rc = xen_waitset_open(config->set, config->machine, config->domid, &vm->xen);
    if (!rc)
        rc = forget(vm, "data/usb");
    if (!rc)
        rc = forget(vm, "data/pci");
    if (!rc)
        rc = vm->xen->ops->xs_write(vm->xen, XEN_XBT_NIL, "data/usb", "0", 1);
    if (!rc)
        rc = vm->xen->ops->xs_watch(vm->xen, "device/vusb", "controllers");
    if (!rc)
        rc = vm_locals_begin(vm);
    if (rc) {
        vm_destroy(vm);
        return rc;
    }
    *out = vm;
    return 0;
}

int vm_step(struct vm *vm, uint64_t now_ns)
{
    int rc = take_watches(vm);
    for (struct vm_controller **link = &vm->controllers; rc >= 0 && *link;) {
        struct vm_controller *controller = *link;
        rc = vm_controller_step(controller, now_ns);
        if (rc != 1) {
            link = &controller->next;
            continue;
        }
        *link = controller->next;
        vm_tell_controller(controller, false);
        vm_controller_destroy(controller);
        vm->look = true; /* for one of the same number */
    }
    if (rc >= 0)
        rc = vm_locals_step(vm, now_ns);
    return rc < 0 ? rc : 0;
}

uint64_t vm_deadline(const struct vm *vm)
{
    uint64_t first = vm->look && !vm->closing ? 0 : UINT64_MAX;
    for (const struct vm_controller *c = vm->controllers; c; c = c->next) {
        const uint64_t due = vm_controller_deadline(c);
        first = due < first ? due : first;
    }
    const uint64_t local = vm_locals_deadline(vm);
    return local < first ? local : first;
}

void vm_close(struct vm *vm)
{
    vm->closing = true;
    for (struct vm_controller *c = vm->controllers; c; c = c->next)
        vm_controller_leave(c);
    vm_locals_close(vm);
}

bool vm_closed(const struct vm *vm)
{
    return !vm->controllers && !vm->locals;
}

struct vm_stats vm_stats(const struct vm *vm)
{
    struct vm_stats stats = vm->stats;
    for (const struct vm_controller *c = vm->controllers; c; c = c->next) {
        stats.controllers++;
        stats.devices += c->devices;
    }
    vm_locals_count(vm, &stats);
    return stats;
}

unsigned int vm_usages(const struct vm *vm, struct vm_usage *out, unsigned int size)
{
    unsigned int n = 0;
    for (const struct vm_controller *c = vm->controllers; c; c = c->next) {
        for (unsigned int port = 1; port <= PVUSB_PORTS_MAX && n < size; port++) {
            if (c->urbs[port])
                out[n++] = (struct vm_usage){
                    .devid = c->devid, .port = port, .urbs = c->urbs[port], .bytes = c->bytes[port]};
        }
    }
    return n;
}

void vm_destroy(struct vm *vm)
{
    if (!vm)
        return;
    while (vm->controllers) {
        struct vm_controller *controller = vm->controllers;
        vm->controllers = controller->next;
        vm_controller_destroy(controller);
    }
    vm_locals_destroy(vm);
    xen_close(vm->xen);
    free(vm);
}
