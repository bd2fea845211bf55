// SPDX-License-Identifier: MIT
/* The commands of xm, with their arguments, checks and words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/domain_command.h"
#include "cli/usb_list.h"
#include "toolstack/attach.h"

/* ---- usb-hc-create ---- */

static const struct tool_verb create_verb = {
    .name = "usb-hc-create",
    .arguments = "<Domain> <USBSpecVer> <NumberOfPorts>",
    .min = 3,
    .max = 3,
    .options = TOOL_BACKEND,
    .help =
        "Creates a domain's new virtual host controller. Prints nothing; 'pvusb usb-list' shows its number.\n"
        "\n"
        "  <Domain>         name or number\n"
        "  <USBSpecVer>     1: USB 1.1, 2: USB 2.0\n"
        "  <NumberOfPorts>  of its root hub, 1 to 31. xm documents 1 to 16, so more is warned of.\n",
};

static int check_create(struct tool *tool, struct attach *attach, char *error)
{
    struct vusb_controller *c = &attach->port.c;
    int rc = spec_number(tool->argument[1], "USBSpecVer", USB_VER_USB11, USB_VER_USB20, &c->usb_ver, error);
    return rc ? rc
              : spec_number(tool->argument[2], "NumberOfPorts", 1, PVUSB_PORTS_MAX, &c->num_ports, error);
}

static int run_create(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                      char *error)
{
    struct vusb_controller *c = &attach->port.c;
    struct tstore_domain backend = {0};
    (void)domain;
    int rc = tool->backend ? tstore_find_domain(tool->xen0, tool->backend, &backend, error) : 0;
    c->kind = "vusb";
    c->backend = backend.domid;
    if (!rc && backend.domid == c->frontend)
        rc = tool_refuse(error, -EPERM, "a domain cannot be its own backend");
    if (!rc)
        rc = tstore_add_controller(tool->xen0, c, NULL, error);
    if (!rc && c->num_ports > XM_PORTS_MAX)
        fprintf(stderr, "pvusb usb-hc-create: warning: %u ports; xm and the frontends of its day go to %u\n",
                c->num_ports, XM_PORTS_MAX);
    return rc;
}

int usb_hc_create_cli(int argc, char **argv)
{
    return domain_command(&create_verb, argc, argv, check_create, run_create);
}

/* ---- usb-hc-destroy ---- */

static const struct tool_verb destroy_verb = {
    .name = "usb-hc-destroy",
    .arguments = "<Domain> <DevId>",
    .min = 2,
    .max = 2,
    .options = TOOL_TIMEOUT,
    .help = "Destroys a domain's virtual host controller, with all that is attached to it.\n",
};

static int check_devid(struct tool *tool, struct attach *attach, char *error)
{
    return spec_number(tool->argument[1], "DevId", 0, SPEC_DEVID_MAX, &attach->port.c.devid, error);
}

static int run_destroy(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                       char *error)
{
    return destroy_controller(tool, attach, domain, "Cannot find device '%u'", error);
}

int usb_hc_destroy_cli(int argc, char **argv)
{
    return domain_command(&destroy_verb, argc, argv, check_devid, run_destroy);
}

/* ---- usb-attach ---- */

static const struct tool_verb attach_verb = {
    .name = "usb-attach",
    .arguments = "<Domain> <DevId> <PortNumber> <BusId>",
    .min = 4,
    .max = 4,
    .options = TOOL_TIMEOUT | TOOL_COMPAT,
    .help =
        "Attaches a place on a physical bus to a domain's virtual port. A device that is plugged in there\n"
        "goes to the guest at once, and the command ends when the guest has it; so does each that is\n"
        "plugged in there later.\n"
        "\n"
        "  <Domain>      name or number\n"
        "  <DevId>       of its controller, as usb-list shows it\n"
        "  <PortNumber>  of the controller\n"
        "  <BusId>       such as 1-2 or 2-4.3.3\n"
        "\n"
        "Quirk of --compat: ',' is taken for '-' and '.'.\n",
};

static int check_port(struct tool *tool, struct attach *attach, char *error)
{
    int rc = check_devid(tool, attach, error);
    return rc ? rc
              : spec_number(tool->argument[2], "Port Number", 1, PVUSB_PORTS_MAX, &attach->port.port, error);
}

static int check_attach(struct tool *tool, struct attach *attach, char *error)
{
    int rc = check_port(tool, attach, error);
    return rc ? rc : spec_busid(tool->argument[3], tool->compat, attach->port.busid, error);
}

static int run_attach(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                      char *error)
{
    int rc = attach_device(attach, error);
    (void)tool;
    if (!rc && !attach->plugged)
        printf("%s: nothing is plugged in there; '%s' gets what will be\n", attach->port.busid, domain->name);
    return rc;
}

int usb_attach_cli(int argc, char **argv)
{
    return domain_command(&attach_verb, argc, argv, check_attach, run_attach);
}

/* ---- usb-detach ---- */

static const struct tool_verb detach_verb = {
    .name = "usb-detach",
    .arguments = "<Domain> <DevId> <PortNumber>",
    .min = 3,
    .max = 3,
    .options = TOOL_TIMEOUT | TOOL_COMPAT,
    .help = "Detaches what is on a domain's virtual port. The command ends when the guest has let go of it.\n"
            "\n"
            "Quirk of --compat: a port without a device is no error.\n",
};

static int run_detach(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                      char *error)
{
    int rc = attach_detach(attach, error);
    (void)domain;
    return rc == -ENXIO && tool->compat ? 0 : rc;
}

int usb_detach_cli(int argc, char **argv)
{
    return domain_command(&detach_verb, argc, argv, check_port, run_detach);
}

/* ---- lists ---- */

static const struct tool_verb list_verb = {
    .name = "usb-list",
    .arguments = "<Domain>",
    .min = 1,
    .max = 1,
    .options = TOOL_XL | TOOL_COMPAT,
    .help = "Lists a domain's virtual host controllers and what is attached to their ports; nothing without\n"
            "controllers. The state is the frontend's. Then what it has in the older ways: an emulated\n"
            "controller, and controllers of the host as a whole.\n"
            "\n"
            "Quirks of --compat: nothing of the older ways; with --xl, bus and device in hexadecimal.\n",
};

static int run_list(struct tool *tool, struct attach *attach, const struct tstore_domain *domain, char *error)
{
    (void)attach;
    (void)error;
    return usb_list_controllers(tool, domain);
}

int usb_list_cli(int argc, char **argv)
{
    return domain_command(&list_verb, argc, argv, NULL, run_list);
}

static const struct tool_verb assignable_verb = {
    .name = "usb-list-assignable-devices",
    .arguments = "",
    .help = "Lists the devices that can be attached: all but hubs and those that are attached.\n",
};

int usb_list_assignable_devices_cli(int argc, char **argv)
{
    struct tool tool;
    int code = tool_parse(&assignable_verb, argc, argv, &tool);
    if (code < 0 && !tool.dir)
        code = usage_error(tool.verb->name, "of a real host, lsusb shows the devices");
    if (code < 0)
        code = tool_connect(&tool);
    if (code < 0)
        code = usb_list_assignable(&tool);
    tool_close(&tool);
    return code;
}
