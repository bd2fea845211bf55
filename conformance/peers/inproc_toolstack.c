// SPDX-License-Identifier: MIT
#include "inproc_toolstack.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolstack/attach.h"

struct inproc_toolstack {
    struct xen *xen;
    domid_t guest;
    char dir[64];
    char error[TOOL_ERROR_MAX > HOSTBUS_ERROR_MAX ? TOOL_ERROR_MAX : HOSTBUS_ERROR_MAX];
};

int inproc_toolstack_start(struct xen_machine *machine, domid_t guest, struct inproc_toolstack **out)
{
    const char *tmp = getenv("TMPDIR");
    struct inproc_toolstack *tool = calloc(1, sizeof(*tool));
    if (!tool)
        return -ENOMEM;
    tool->guest = guest;
    snprintf(tool->dir, sizeof(tool->dir), "%.40s/conform-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    int rc = mkdtemp(tool->dir) ? machine->ops->open(machine, 0, &tool->xen) : -errno;
    if (rc) {
        inproc_toolstack_stop(tool);
        return rc;
    }
    *out = tool;
    return 0;
}

static void remove_folder(const char *dir)
{
    struct dirent *entry;
    char bus[96];
    snprintf(bus, sizeof(bus), "%s/bus", dir);
    DIR *files = opendir(bus);
    while (files && (entry = readdir(files)))
        unlinkat(dirfd(files), entry->d_name, 0);
    if (files)
        closedir(files);
    rmdir(bus);
    rmdir(dir);
}

void inproc_toolstack_stop(struct inproc_toolstack *tool)
{
    if (!tool)
        return;
    remove_folder(tool->dir);
    xen_close(tool->xen);
    free(tool);
}

static struct attach order_of(struct inproc_toolstack *tool, unsigned int devid, unsigned int port)
{
    return (struct attach){.xen = tool->xen,
                           .dir = tool->dir,
                           .port = {.c = {.frontend = tool->guest, .devid = devid},
                                    .port = port ? port : STORE_ANY,
                                    .guest = "guest"}};
}

int inproc_toolstack_create(struct inproc_toolstack *tool, unsigned int usb_ver, unsigned int num_ports,
                            unsigned int *devid)
{
    struct vusb_controller c = {
        .kind = "qusb", .frontend = tool->guest, .usb_ver = usb_ver, .num_ports = num_ports};
    int rc = tstore_add_controller(tool->xen, &c, NULL, tool->error);
    *devid = c.devid;
    return rc;
}

/* What the commands do, but for the wait. */
static int attach(struct inproc_toolstack *tool, struct attach *attach)
{
    int rc = attach_check(attach, tool->error);
    return rc ? rc : tstore_attach(tool->xen, &attach->port, tool->error);
}

int inproc_toolstack_attach(struct inproc_toolstack *tool, const char *busid, unsigned int devid,
                            unsigned int port)
{
    struct attach order = order_of(tool, devid, port);
    snprintf(order.port.busid, sizeof(order.port.busid), "%s", busid);
    return attach(tool, &order);
}

int inproc_toolstack_attach_address(struct inproc_toolstack *tool, unsigned int bus, unsigned int address,
                                    unsigned int devid)
{
    struct attach order = order_of(tool, devid, 0);
    int rc = attach_resolve(&order, bus, address, tool->error);
    return rc ? rc : attach(tool, &order);
}

int inproc_toolstack_detach(struct inproc_toolstack *tool, unsigned int devid, unsigned int port)
{
    struct attach order = order_of(tool, devid, port);
    return tstore_detach(tool->xen, &order.port, tool->error);
}

int inproc_toolstack_holder(struct inproc_toolstack *tool, const char *busid, unsigned int *devid,
                            unsigned int *port)
{
    struct tstore_controllers all;
    int rc = tstore_controllers(tool->xen, XEN_XBT_NIL, tool->guest, &all);
    if (rc)
        return rc;
    const struct tstore_controller *holder = tstore_holder_of(&all, busid, port);
    if (holder)
        *devid = holder->c.devid;
    tstore_controllers_free(&all);
    return holder ? 0 : -ENODEV;
}

static int find(struct inproc_toolstack *tool, unsigned int devid, struct vusb_controller *out)
{
    struct tstore_controllers all;
    int rc = tstore_controllers(tool->xen, XEN_XBT_NIL, tool->guest, &all);
    if (rc)
        return rc;
    const struct tstore_controller *c = tstore_controller_of(&all, tool->guest, devid);
    if (c)
        *out = c->c;
    tstore_controllers_free(&all);
    return c ? 0 : -ENODEV;
}

int inproc_toolstack_close(struct inproc_toolstack *tool, unsigned int devid)
{
    struct vusb_controller c;
    int rc = find(tool, devid, &c);
    return rc ? rc : tstore_close_controller(tool->xen, &c, tool->error);
}

int inproc_toolstack_remove(struct inproc_toolstack *tool, unsigned int devid)
{
    struct vusb_controller c;
    int rc = find(tool, devid, &c);
    return rc ? rc : tstore_remove_controller(tool->xen, &c);
}

int inproc_toolstack_plug(struct inproc_toolstack *tool, const char *busid, bool hub)
{
    return hostbus_plug(tool->dir, busid, hub ? "hub" : "keyboard", NULL, tool->error);
}

int inproc_toolstack_unplug(struct inproc_toolstack *tool, const char *busid)
{
    return hostbus_unplug(tool->dir, busid, tool->error);
}
