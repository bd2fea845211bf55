// SPDX-License-Identifier: MIT
/*
 * usb-add and usb-del of xm, for the emulated controller of HVM guests: a word with the device model through
 * xenstore, /local/domain/0/device-model/<domid>: parameter, command, and an answer in state.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/domain_command.h"
#include "toolstack/emulated.h"
#include "toolstack/guest_config.h"

#define ARGUMENTS "<Domain> <host:bus.addr|host:vendor:product>"

static const struct tool_verb add_verb = {
    .name = "usb-add",
    .arguments = ARGUMENTS,
    .min = 2,
    .max = 2,
    .options = TOOL_TIMEOUT,
    .help = "Adds a device to the emulated USB controller of an HVM guest with usb = 1: UHCI, two ports, full speed.\n"
            "The guest keeps the place until usb-del: what is pulled out and plugged in again there comes back.\n",
};

static const struct tool_verb del_verb = {
    .name = "usb-del",
    .arguments = ARGUMENTS,
    .min = 2,
    .max = 2,
    .options = TOOL_TIMEOUT,
    .help = "Takes a device off the emulated USB controller of an HVM guest with usb = 1.\n",
};

static bool adding(const struct tool *tool)
{
    return tool->verb == &add_verb;
}

static int check(struct tool *tool, struct attach *attach, char *error)
{
    struct usbdevice_spec spec;
    (void)attach;
    int rc = spec_usbdevice(tool->argument[1], &spec, error);
    if (!rc && spec.kind == USBDEVICE_TABLET)
        rc = tool_refuse(error, -EINVAL,
                         "'%s' is no device of the host: host:<bus>.<addr> or host:<vendor>:<product>",
                         tool->argument[1]);
    return rc;
}

static int refuse_domain(struct tool *tool, const struct tstore_domain *domain, char *error)
{
    char dir[64];
    char value[XENBUS_VALUE_MAX];
    snprintf(dir, sizeof(dir), "/libxl/%u", domain->domid);
    if (xenbus_read(tool->xen0, XEN_XBT_NIL, dir, "type", value) || strcmp(value, "hvm") != 0)
        return tool_refuse(error, -EPERM,
                           "Can't %s usb device to a non-hvm guest: '%s' has usb-attach for it",
                           adding(tool) ? "add" : "del", domain->name);
    if (!tstore_has_emulated(tool->xen0, domain->domid))
        return tool_refuse(error, -EPERM,
                           "Can't %s usb device to a guest with usb disabled in configure file: usb = 1 "
                           "is needed there",
                           adding(tool) ? "add" : "del");
    return 0;
}

static int run(struct tool *tool, struct attach *attach, const struct tstore_domain *domain, char *error)
{
    int rc = refuse_domain(tool, domain, error);
    return rc ? rc
              : emulated_command(attach->xen, domain->domid, tool->verb->name, tool->argument[1],
                                 adding(tool) ? EMULATED_ADDED : EMULATED_DELETED, tool->timeout_ms, error);
}

int usb_add_cli(int argc, char **argv)
{
    return domain_command(&add_verb, argc, argv, check, run);
}

int usb_del_cli(int argc, char **argv)
{
    return domain_command(&del_verb, argc, argv, check, run);
}
