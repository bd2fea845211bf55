// SPDX-License-Identifier: MIT
#include "cli/usb_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolstack/owner.h"

static enum xenbus_state frontend_state(const struct tool *tool, const struct vusb_controller *c)
{
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    vusb_paths(c, backend, frontend);
    return xenbus_state_read(tool->xen0, frontend);
}

/* A device that vanished blocks no list (rule TOOL-10). */
static bool find(const struct tool *tool, const char *busid, struct hostbus_device *device)
{
    return tool->dir && hostbus_find(tool->dir, busid, device) == 0;
}

static void print_device(const struct hostbus_device *device)
{
    printf("%s [ID %04x:%04x %s]\n", device->path, device->vendor, device->product, device->name);
}

static void print_port(const struct tool *tool, unsigned int port, const char *busid)
{
    struct hostbus_device device;
    printf("port %u: ", port);
    if (!busid[0])
        putchar('\n');
    else if (find(tool, busid, &device))
        print_device(&device);
    else
        printf("%s [%s]\n", busid, tool->dir ? "not plugged in" : "of the host");
}

static void print_xm(const struct tool *tool, const struct tstore_controller *c)
{
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    vusb_paths(&c->c, backend, frontend);
    printf("%-3u %-3u %-5d %-7s %-30s  \n", c->c.devid, c->c.backend, (int)frontend_state(tool, &c->c),
           c->c.usb_ver == USB_VER_USB11 ? "USB1.1" : "USB2.0", backend);
    for (unsigned int i = 1; i <= c->c.num_ports; i++)
        print_port(tool, i, c->port[i]);
}

/* xl prints hexadecimal, which usbdev-attach does not take; with --compat so do we. */
static void print_xl(const struct tool *tool, const struct tstore_controller *c)
{
    struct hostbus_device device;
    printf("%-6u %-12s %-3u %-5d %-7u %-5u\n", c->c.devid, strcmp(c->c.kind, "vusb") == 0 ? "pv" : "qusb",
           c->c.backend, (int)frontend_state(tool, &c->c), c->c.usb_ver, c->c.num_ports);
    for (unsigned int i = 1; i <= c->c.num_ports; i++) {
        printf("  Port %u:", i);
        if (c->port[i][0] && find(tool, c->port[i], &device))
            printf(tool->compat ? " Bus %03x Device %03x" : " Bus %03u Device %03u", device.bus,
                   device.address);
        else if (c->port[i][0])
            printf(" %s %s", c->port[i], tool->dir ? "not plugged in" : "of the host");
        putchar('\n');
    }
}

static int print_emulated(const struct tool *tool, domid_t domid)
{
    struct tstore_emulated devices[EMULATED_PORTS + 1];
    int rc = tstore_emulated(tool->xen0, XEN_XBT_NIL, domid, devices);
    if (rc || !tstore_has_emulated(tool->xen0, domid))
        return rc;
    puts("Emulated controller");
    for (unsigned int i = 1; i <= EMULATED_PORTS; i++) {
        if (strcmp(devices[i].busid, "-") == 0)
            printf("port %u: [%s]\n", i, devices[i].spec);
        else
            print_port(tool, i, devices[i].busid);
    }
    return 0;
}

static int print_passed(const struct tool *tool, domid_t domid)
{
    unsigned int buses[OWNER_BUS_MAX];
    struct hostbus_device *devices = NULL;
    unsigned int count = 0;
    int passed = tstore_buses_of(tool->xen0, XEN_XBT_NIL, domid, buses);
    int rc = passed <= 0 || !tool->dir ? passed : hostbus_list(tool->dir, &devices, &count);
    for (int i = 0; rc >= 0 && i < passed; i++) {
        printf("Controller of bus %u\n", buses[i]);
        for (unsigned int d = 0; d < count; d++) {
            if (devices[d].bus == buses[i] && devices[d].device_class != DEVICE_HUB_CLASS)
                print_device(&devices[d]);
        }
    }
    free(devices);
    return rc < 0 ? rc : 0;
}

/* What xm and xl do not know of. */
static int print_others(const struct tool *tool, domid_t domid)
{
    int rc = tool->compat ? 0 : print_emulated(tool, domid);
    if (!rc && !tool->compat)
        rc = print_passed(tool, domid);
    return rc ? tool_failed(tool, rc, strerror(-rc)) : EXIT_AS_EXPECTED;
}

int usb_list_controllers(const struct tool *tool, const struct tstore_domain *domain)
{
    struct tstore_controllers all;
    int rc = tstore_controllers(tool->xen0, XEN_XBT_NIL, domain->domid, &all);
    if (rc)
        return tool_failed(tool, rc, strerror(-rc));
    if (all.count && tool->xl)
        printf("%-6s %-12s %-3s %-5s %-7s %-5s\n", "Devid", "Type", "BE", "state", "usb-ver", "ports");
    else if (all.count)
        printf("%-3s %-3s %-5s %-7s %-30s\n", "Idx", "BE", "state", "usb-ver", "BE-path");
    for (unsigned int i = 0; i < all.count; i++) {
        if (tool->xl)
            print_xl(tool, &all.list[i]);
        else
            print_xm(tool, &all.list[i]);
    }
    tstore_controllers_free(&all);
    return print_others(tool, domain->domid);
}

static bool is_assignable(const struct tool *tool, const struct tstore_controllers *all,
                          const struct hostbus_device *device)
{
    char error[TOOL_ERROR_MAX];
    unsigned int port;
    return device->device_class != DEVICE_HUB_CLASS && !tstore_holder_of(all, device->path, &port) &&
           tstore_not_owned(tool->xen0, XEN_XBT_NIL, device->path, error) == 0;
}

int usb_list_assignable(const struct tool *tool)
{
    struct tstore_controllers all;
    struct hostbus_device *devices;
    unsigned int count;
    int rc = hostbus_list(tool->dir, &devices, &count);
    if (rc)
        return tool_failed(tool, rc, strerror(-rc));
    rc = tstore_controllers(tool->xen0, XEN_XBT_NIL, STORE_ANY, &all);
    for (unsigned int i = 0; !rc && i < count; i++) {
        const struct hostbus_device *d = &devices[i];
        if (is_assignable(tool, &all, d))
            printf("%-13s: ID %04x:%04x %s\n", d->path, d->vendor, d->product, d->name);
    }
    free(devices);
    if (rc)
        return tool_failed(tool, rc, strerror(-rc));
    tstore_controllers_free(&all);
    return EXIT_AS_EXPECTED;
}
