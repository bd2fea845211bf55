// SPDX-License-Identifier: MIT
/* An HVM guest's UHCI controller, and the device model that has it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/tablet.h"
#include "toolstack/emulated.h"
#include "vm/local.h"
#include "xenbus/xenbus.h"

#define MEMORY_BYTES   (4u * 1024 * 1024)
#define MEMORY_ADDRESS 0x10000000u
#define OWN_BUS        (OWNER_BUS_MAX + 1) /* devices of the emulation's own: no bus of the host */

static void model_dir(const struct vm *vm, char dir[64])
{
    snprintf(dir, 64, "/local/domain/0/device-model/%u", vm->config.domid);
}

/* ---- devices ---- */

static bool is_mine(void *context, const struct hostbus_device *device)
{
    const struct vm_local *local = context;
    for (unsigned int i = 1; i <= EMULATED_PORTS; i++) {
        if (strcmp(local->place[i], device->path) == 0)
            return true;
    }
    return false;
}

/* The model itself lets go of one that is unplugged. */
static void plugged(void *context, const char *busid)
{
    struct vm_local *local = context;
    for (unsigned int i = 1; i <= EMULATED_PORTS; i++) {
        if (strcmp(local->place[i], busid) != 0)
            continue;
        local->plugged = uhci_model_plug(local->model, i, busid);
        if (local->plugged)
            vm_log(local->c.vm, "%s port %u: %s: %s", local->c.name, i, busid,
                   local->plugged == -EPROTOTYPE ? "cannot run at full speed" : strerror(-local->plugged));
    }
}

static int plug_tablet(struct vm_local *local, unsigned int port)
{
    struct usb_device *tablet;
    snprintf(local->place[port], sizeof(local->place[port]), "%u-%u", OWN_BUS, port);
    int rc = tablet_create(&tablet);
    return rc ? rc : sim_host_plug(local->sim, local->place[port], tablet);
}

static int show(struct vm_local *local, unsigned int port, const char *busid)
{
    if (strcmp(busid, "-") == 0)
        return plug_tablet(local, port);
    snprintf(local->place[port], sizeof(local->place[port]), "%s", busid);
    return local->follow ? hostbus_follow_look(local->follow) : 0;
}

static int hide(struct vm_local *local, unsigned int port)
{
    char busid[SPEC_BUSID_SIZE];
    snprintf(busid, sizeof(busid), "%s", local->place[port]);
    (void)uhci_model_unplug(local->model, port); /* not there when it was pulled out before */
    local->place[port][0] = '\0';
    if (strtoul(busid, NULL, 10) == OWN_BUS)
        (void)sim_host_unplug(local->sim, busid);
    return hostbus_follow_look(local->follow);
}

/* ---- commands ---- */

static int add(struct vm_local *local, const char *parameter, char *error)
{
    struct tstore_emulated devices[EMULATED_PORTS + 1];
    struct vm *vm = local->c.vm;
    unsigned int port;
    int rc = emulated_add(vm->xen0, vm->config.dir, vm->config.domid, parameter, &port, error);
    if (rc)
        return rc;
    local->plugged = -ENODEV;
    rc = tstore_emulated(vm->xen0, XEN_XBT_NIL, vm->config.domid, devices);
    if (!rc)
        rc = show(local, port, devices[port].busid);
    if (!rc)
        rc = local->plugged;
    if (!rc)
        return 0;
    (void)hide(local, port);
    (void)tstore_drop_emulated(vm->xen0, vm->config.domid, port);
    return tool_refuse(error, rc, "'%.64s': %s", parameter,
                       rc == -EPROTOTYPE ? "the device cannot run at full speed, and UHCI has no more"
                                         : strerror(-rc));
}

static int del(struct vm_local *local, const char *parameter, char *error)
{
    struct vm *vm = local->c.vm;
    unsigned int port;
    int rc = emulated_find(vm->xen0, vm->config.dir, vm->config.domid, parameter, &port, error);
    if (!rc && hide(local, port))
        rc = tool_refuse(error, -EIO, "the bus cannot be read");
    if (!rc && tstore_drop_emulated(vm->xen0, vm->config.domid, port))
        rc = tool_refuse(error, -EIO, "xenstore cannot be written");
    return rc;
}

void vm_emulated_command(struct vm_local *local)
{
    struct xen *xen = local->c.vm->xen0;
    char command[XENBUS_VALUE_MAX];
    char parameter[XENBUS_VALUE_MAX];
    char answer[TOOL_ERROR_MAX + sizeof(EMULATED_FAILED)];
    char error[TOOL_ERROR_MAX] = "";
    char dir[64];
    if (!local->model)
        return;
    model_dir(local->c.vm, dir);
    if (xenbus_read(xen, XEN_XBT_NIL, dir, "command", command))
        return;
    if (xenbus_read(xen, XEN_XBT_NIL, dir, "parameter", parameter))
        parameter[0] = '\0';
    int rc = -EINVAL;
    if (strcmp(command, "usb-add") == 0)
        rc = add(local, parameter, error);
    else if (strcmp(command, "usb-del") == 0)
        rc = del(local, parameter, error);
    else
        snprintf(error, sizeof(error), "'%.64s' is no command of this device model", command);
    vm_log(local->c.vm, "%s: %.64s %.64s: %s", local->c.name, command, parameter, rc ? error : "done");
    snprintf(answer, sizeof(answer), "%s%s",
             rc ? EMULATED_FAILED : strcmp(command, "usb-add") == 0 ? EMULATED_ADDED : EMULATED_DELETED,
             error[0] ? error : "");
    (void)emulated_answer(xen, local->c.vm->config.domid, answer);
}

/* ---- life ---- */

static void emulated_step(struct vm_local *local, uint64_t now_ns)
{
    uhci_driver_step(local->driver, now_ns);
    uhci_model_step(local->model, now_ns);
    uhci_driver_step(local->driver, now_ns);
}

static uint64_t emulated_deadline(const struct vm_local *local)
{
    const uint64_t driver = uhci_driver_deadline(local->driver);
    const uint64_t model = uhci_model_deadline(local->model);
    return driver < model ? driver : model;
}

static void emulated_destroy(struct vm_local *local)
{
    char path[96];
    char dir[64];
    model_dir(local->c.vm, dir);
    snprintf(path, sizeof(path), "%s/state", dir);
    (void)local->c.vm->xen0->ops->xs_rm(local->c.vm->xen0, XEN_XBT_NIL, path);
    if (local->driver)
        uhci_driver_destroy(local->driver);
    if (local->model)
        uhci_model_destroy(local->model);
    if (local->memory)
        munmap(local->memory, MEMORY_BYTES);
}

static const struct vm_local_ops emulated_ops = {
    .step = emulated_step, .deadline = emulated_deadline, .destroy = emulated_destroy};

static int make_controller(struct vm_local *local)
{
    struct usb_host *host = sim_host_host(local->sim);
    /* Zero, and mostly never touched. */
    void *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    local->memory = memory;
    const struct uhci_model_config config = {
        .host = host, .memory = local->memory, .address = MEMORY_ADDRESS, .size = MEMORY_BYTES};
    int rc = uhci_model_create(&config, &local->model);
    if (!rc)
        rc = uhci_driver_create(uhci_model_bus(local->model), &local->driver);
    if (!rc)
        rc = vm_controller_guest(&local->c, uhci_driver_hcd(local->driver));
    if (rc)
        return rc;
    local->listener = (struct usb_host_listener){.plugged = plugged, .context = local};
    rc = host->ops->listen(host, &local->listener);
    if (rc)
        local->listener.context = NULL;
    return rc;
}

static int show_all(struct vm_local *local)
{
    struct tstore_emulated devices[EMULATED_PORTS + 1];
    struct vm *vm = local->c.vm;
    int rc = tstore_emulated(vm->xen0, XEN_XBT_NIL, vm->config.domid, devices);
    for (unsigned int i = 1; !rc && i <= EMULATED_PORTS; i++) {
        if (devices[i].busid[0])
            rc = show(local, i, devices[i].busid);
    }
    return rc ? rc : vm_local_follow(local, is_mine);
}

int vm_emulated_create(struct vm *vm)
{
    struct vm_local *local;
    char dir[64];
    char path[96];
    if (!tstore_has_emulated(vm->xen0, vm->config.domid))
        return 0;
    int rc = vm_local_create(vm, &emulated_ops, &local);
    if (rc)
        return rc;
    snprintf(local->c.name, sizeof(local->c.name), "emulated controller");
    rc = make_controller(local);
    if (!rc)
        rc = show_all(local);
    if (rc)
        return rc;
    model_dir(vm, dir);
    snprintf(path, sizeof(path), "%s/command", dir);
    rc = vm->xen0->ops->xs_watch(vm->xen0, path, "command");
    return rc ? rc : xenbus_write(vm->xen0, XEN_XBT_NIL, dir, "state", "running");
}
