// SPDX-License-Identifier: MIT
/*
 * usb-add and usb-del of xm, for the emulated controller of HVM guests: a word with the device model through
 * xenstore, /local/domain/0/device-model/<domid>: parameter, command, and an answer in state.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/domain_command.h"
#include "toolstack/guest_config.h"

#define ARGUMENTS "<Domain> <host:bus.addr|host:vendor:product>"

static const struct tool_verb add_verb = {
    .name = "usb-add",
    .arguments = ARGUMENTS,
    .min = 2,
    .max = 2,
    .options = TOOL_TIMEOUT,
    .help = "Adds a device to the emulated USB controller of an HVM guest with usb = 1.\n",
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

struct model {
    struct xen *xen;
    char dir[64];
    const char *answer;
    char state[XENBUS_VALUE_MAX];
};

static int has_answered(void *context)
{
    struct model *model = context;
    if (xenbus_read(model->xen, XEN_XBT_NIL, model->dir, "state", model->state))
        model->state[0] = '\0';
    return strcmp(model->state, model->answer) == 0;
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
    if (xenbus_read(tool->xen0, XEN_XBT_NIL, dir, "hvm/usb", value) || strcmp(value, "1") != 0)
        return tool_refuse(error, -EPERM,
                           "Can't %s usb device to a guest with usb disabled in configure file: usb = 1 "
                           "is needed there",
                           adding(tool) ? "add" : "del");
    return 0;
}

static int tell_model(struct tool *tool, struct model *model, char *error)
{
    char before[XENBUS_VALUE_MAX];
    const char *const paths[] = {model->dir};
    if (xenbus_read(model->xen, XEN_XBT_NIL, model->dir, "state", before) || strcmp(before, "running") != 0)
        return tool_refuse(error, -EAGAIN, "Device model isn't ready for commands");
    int rc = xenbus_write(model->xen, XEN_XBT_NIL, model->dir, "parameter", "%s", tool->argument[1]);
    if (!rc)
        rc = xenbus_write(model->xen, XEN_XBT_NIL, model->dir, "command", "%s", tool->verb->name);
    if (!rc)
        rc = tstore_wait(model->xen, paths, 1, has_answered, model, tool->timeout_ms);
    (void)xenbus_write(model->xen, XEN_XBT_NIL, model->dir, "state", "%s", before);
    if (rc == -ETIMEDOUT)
        return tool_refuse(error, rc, "Timed out waiting for device model action%s%.64s",
                           strcmp(model->state, before) != 0 ? "; it says " : "",
                           strcmp(model->state, before) != 0 ? model->state : "");
    return rc ? tool_refuse(error, rc, "%s", strerror(-rc)) : 0;
}

static int run(struct tool *tool, struct attach *attach, const struct tstore_domain *domain, char *error)
{
    struct model model = {.xen = attach->xen, .answer = adding(tool) ? "usb-added" : "usb-deleted"};
    snprintf(model.dir, sizeof(model.dir), "/local/domain/0/device-model/%u", domain->domid);
    int rc = refuse_domain(tool, domain, error);
    return rc ? rc : tell_model(tool, &model, error);
}

int usb_add_cli(int argc, char **argv)
{
    return domain_command(&add_verb, argc, argv, check, run);
}

int usb_del_cli(int argc, char **argv)
{
    return domain_command(&del_verb, argc, argv, check, run);
}
