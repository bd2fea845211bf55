// SPDX-License-Identifier: MIT
/* The commands of xl, with their arguments, checks and words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/domain_command.h"
#include "toolstack/attach.h"

/* With --compat a number is what atoi() makes of a word. */
static int number(const struct tool *tool, const char *text, const char *what, unsigned int min,
                  unsigned int max, unsigned int *out, char *error)
{
    char digits[16];
    if (tool->compat) {
        snprintf(digits, sizeof(digits), "%d", atoi(text));
        text = digits;
    }
    return spec_number(text, what, min, max, out, error);
}

/* ---- usbctrl-attach ---- */

static const struct tool_verb ctrl_attach_verb = {
    .name = "usbctrl-attach",
    .arguments = "<Domain> [type=auto|pv|qusb] [version=<version>] [ports=<number>] [backend=<Domain>]",
    .min = 1,
    .max = 8,
    .options = TOOL_TIMEOUT,
    .help = "Creates a virtual USB controller for a domain. type=pv is a controller of the kernel's backend "
            "and is\n"
            "waited for; qusb, the default, one of QEMU's. version is 1 or 2 (default 2), ports 1 to 31\n"
            "(default 8). backend= names a driver domain, which xl cannot.\n",
};

static int check_ctrl_attach(struct tool *tool, struct attach *attach, char *error)
{
    struct controller_spec spec;
    int rc = 0;
    (void)attach;
    spec_controller_init(&spec);
    for (unsigned int i = 1; !rc && i < tool->nr_arguments; i++)
        rc = spec_controller_token(&spec, tool->argument[i], error);
    return rc;
}

static int has_come(void *context)
{
    const struct attach *attach = context;
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    vusb_paths(&attach->port.c, backend, frontend);
    return xenbus_state_read(attach->xen, backend) >= XenbusStateInitWait;
}

/* As xl waits for a kernel's backend; without one there is no controller. */
static int await_backend(struct attach *attach, char *error)
{
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    const char *const paths[] = {backend};
    vusb_paths(&attach->port.c, backend, frontend);
    int rc =
        attach->timeout_ms ? tstore_wait(attach->xen, paths, 1, has_come, attach, attach->timeout_ms) : 0;
    if (!rc)
        return 0;
    (void)tstore_remove_controller(attach->xen, &attach->port.c);
    if (rc != -ETIMEDOUT)
        return tool_refuse(error, rc, "%s", strerror(-rc));
    return tool_refuse(
        error, rc,
        "unable to add device with path %s: is 'pvusb backend' running in domain %u? (waited %u s)", backend,
        attach->port.c.backend, (unsigned int)(attach->timeout_ms / 1000));
}

static int run_ctrl_attach(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                           char *error)
{
    struct vusb_controller *c = &attach->port.c;
    struct tstore_domain backend = {0};
    struct controller_spec spec;
    int rc = 0;
    spec_controller_init(&spec);
    for (unsigned int i = 1; i < tool->nr_arguments; i++)
        (void)spec_controller_token(&spec, tool->argument[i], error);
    if (spec.type == CONTROLLER_DEVICEMODEL)
        return tool_refuse(error, -EOPNOTSUPP, "type=devicemodel is no PVUSB: here an HVM guest has usb = 1");
    if (spec.backend[0])
        rc = tstore_find_domain(tool->xen0, spec.backend, &backend, error);
    if (!rc && backend.domid == domain->domid)
        rc = tool_refuse(error, -EPERM, "a domain cannot be its own backend");
    if (!rc && spec.type != CONTROLLER_PV && !tstore_serves_qusb(tool->xen0, backend.domid, domain->domid))
        rc = tool_refuse(
            error, -ENODEV,
            "backend type not supported by device model: is 'pvusb backend' running in domain %u?",
            backend.domid);
    c->kind = spec.type == CONTROLLER_PV ? "vusb" : "qusb";
    c->backend = backend.domid;
    c->usb_ver = spec.version;
    c->num_ports = spec.ports;
    if (!rc)
        rc = tstore_add_controller(tool->xen0, c, NULL, error);
    return !rc && spec.type == CONTROLLER_PV ? await_backend(attach, error) : rc;
}

int usbctrl_attach_cli(int argc, char **argv)
{
    return domain_command(&ctrl_attach_verb, argc, argv, check_ctrl_attach, run_ctrl_attach);
}

/* ---- usbctrl-detach ---- */

static const struct tool_verb ctrl_detach_verb = {
    .name = "usbctrl-detach",
    .arguments = "<Domain> <DevId>",
    .min = 2,
    .max = 2,
    .options = TOOL_TIMEOUT | TOOL_COMPAT,
    .help = "Removes a virtual USB controller, its devices first.\n"
            "\n"
            "Quirk of --compat: a word that is no number is 0.\n",
};

static int check_ctrl_detach(struct tool *tool, struct attach *attach, char *error)
{
    return number(tool, tool->argument[1], "DevId", 0, SPEC_DEVID_MAX, &attach->port.c.devid, error);
}

static int run_ctrl_detach(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                           char *error)
{
    return destroy_controller(tool, attach, domain, "Unknown device %u", error);
}

int usbctrl_detach_cli(int argc, char **argv)
{
    return domain_command(&ctrl_detach_verb, argc, argv, check_ctrl_detach, run_ctrl_detach);
}

/* ---- usbdev-attach ---- */

static const struct tool_verb dev_attach_verb = {
    .name = "usbdev-attach",
    .arguments = "<Domain> hostbus=<busnum> hostaddr=<devnum> [controller=<DevId> [port=<port>]]",
    .min = 2,
    .max = 6,
    .options = TOOL_TIMEOUT | TOOL_COMPAT,
    .help =
        "Attaches the device that has this address on this bus now ('pvusb bus list'). Without a controller "
        "it\n"
        "goes to the first free port of any, or of a new one when none is free. The command ends when the\n"
        "guest has the device.\n"
        "\n"
        "Quirks of --compat: hostbus and hostaddr as in C (010 is 8, 0x10 is 16), in 8 bits; no device\n"
        "on a controller of a driver domain.\n",
};

static int parse_device(const struct tool *tool, struct device_spec *spec, char *error)
{
    int rc = 0;
    spec_device_init(spec);
    for (unsigned int i = 1; !rc && i < tool->nr_arguments; i++)
        rc = spec_device_token(spec, tool->argument[i], tool->compat, error);
    return rc ? rc : spec_device_check(spec, error);
}

static int check_dev_attach(struct tool *tool, struct attach *attach, char *error)
{
    struct device_spec spec;
    (void)attach;
    return parse_device(tool, &spec, error);
}

/* xl's refusal of what it does not find the nodes of. */
static int check_backend(const struct tool *tool, const struct attach *attach, char *error)
{
    struct tstore_controllers all;
    int rc = tool->compat ? tstore_controllers(tool->xen0, XEN_XBT_NIL, attach->port.c.frontend, &all) : 0;
    if (!tool->compat || rc)
        return rc ? tool_refuse(error, rc, "%s", strerror(-rc)) : 0;
    const struct tstore_controller *c =
        tstore_controller_of(&all, attach->port.c.frontend, attach->port.c.devid);
    if (c && c->c.backend)
        rc = tool_refuse(error, -EOPNOTSUPP, "Don't support adding USB device from non-Dom0 backend");
    tstore_controllers_free(&all);
    return rc;
}

/* No port is free anywhere: a controller with defaults, and its first port. */
static int attach_to_new(struct tool *tool, struct attach *attach, char *error)
{
    struct vusb_controller c = {
        .kind = "qusb", .frontend = attach->port.c.frontend, .usb_ver = USB_VER_USB20, .num_ports = 8};
    int rc = tstore_add_controller(tool->xen0, &c, NULL, error);
    if (rc)
        return rc;
    attach->port.c = c;
    attach->port.port = 1;
    rc = attach_device(attach, error);
    if (rc)
        (void)tstore_remove_controller(tool->xen0, &c);
    return rc;
}

static int run_dev_attach(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                          char *error)
{
    struct device_spec spec;
    (void)domain;
    (void)parse_device(tool, &spec, error);
    attach->port.xl = true;
    attach->port.c.devid = spec.has_controller ? spec.controller : STORE_ANY;
    attach->port.port = spec.has_port ? spec.port : STORE_ANY;
    int rc = check_backend(tool, attach, error);
    if (!rc)
        rc = attach_resolve(attach, spec.bus, spec.address, error);
    if (!rc)
        rc = attach_device(attach, error);
    return rc == -ENOSPC && !spec.has_controller ? attach_to_new(tool, attach, error) : rc;
}

int usbdev_attach_cli(int argc, char **argv)
{
    return domain_command(&dev_attach_verb, argc, argv, check_dev_attach, run_dev_attach);
}

/* ---- usbdev-detach ---- */

static const struct tool_verb dev_detach_verb = {
    .name = "usbdev-detach",
    .arguments = "<Domain> <controller> <port>",
    .min = 3,
    .max = 3,
    .options = TOOL_TIMEOUT | TOOL_COMPAT,
    .help =
        "Detaches what is on a port. The command ends when the guest has let go of it. xl's manual writes\n"
        "controller=<DevId> port=<number>, which xl takes for 0 and 0; here it means what it says.\n"
        "\n"
        "Quirk of --compat: a word that is no number is 0.\n",
};

static const char *without_key(const struct tool *tool, unsigned int i, const char *key)
{
    const char *text = tool->argument[i];
    return !tool->compat && strncmp(text, key, strlen(key)) == 0 ? text + strlen(key) : text;
}

static int check_dev_detach(struct tool *tool, struct attach *attach, char *error)
{
    int rc = number(tool, without_key(tool, 1, "controller="), "controller", 0, SPEC_DEVID_MAX,
                    &attach->port.c.devid, error);
    return rc ? rc
              : number(tool, without_key(tool, 2, "port="), "port", tool->compat ? 0 : 1, PVUSB_PORTS_MAX,
                       &attach->port.port, error);
}

static int run_dev_detach(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                          char *error)
{
    (void)tool;
    (void)domain;
    attach->port.xl = true;
    if (attach->port.port == 0)
        return tool_refuse(error, -ENODEV, "Unknown device at controller %u port 0.", attach->port.c.devid);
    return attach_detach(attach, error);
}

int usbdev_detach_cli(int argc, char **argv)
{
    return domain_command(&dev_detach_verb, argc, argv, check_dev_detach, run_dev_detach);
}
