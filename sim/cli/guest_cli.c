// SPDX-License-Identifier: MIT
/* Guests: made from a config file, listed, ended. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/guest_files.h"
#include "cli/tool_cli.h"
#include "toolstack/attach.h"
#include "toolstack/emulated.h"
#include "toolstack/guest_config.h"

#define PROCESS_END_MS 5000u

/* ---- guest-create ---- */

static const struct tool_verb create_verb = {
    .name = "guest-create",
    .arguments = "[FILE]",
    .max = 1,
    .options = TOOL_NAME | TOOL_GUEST | TOOL_TIMEOUT | TOOL_COMPAT,
    .help =
        "Makes a guest: a domain, its controllers and devices, and a process that has a frontend for\n"
        "each of its controllers, those to come included, and writes into DIR/guest/NAME.log.\n"
        "FILE is a config as of xl or xm; of it the following counts, all else is ignored:\n"
        "\n"
        "  name = \"guest_A\"\n"
        "  vusb = [ 'usbver=2,numports=8,port_1=1-8,port_4=2-1.3' ]\n"
        "  usbctrl = [ \"type=qusb,version=2,ports=4\" ]   type: auto, pv or qusb; backend=DOMAIN\n"
        "  usbdev = [ \"hostbus=1,hostaddr=5,controller=0,port=3\" ]\n"
        "  type = \"hvm\"   usb = 1   usbdevice = \"host:1234:5678\", \"host:4.6\", \"tablet\" or a list\n"
        "\n"
        "When a device does not come in time, there is no guest either.\n",
};

struct creation {
    struct tool *tool;
    struct guest_config config;
    struct tstore_domain domain;
    struct vusb_controller controllers[2 * GUEST_CONTROLLERS_MAX];
    unsigned int nr_controllers;
    struct attach devices[GUEST_CONTROLLERS_MAX * PVUSB_PORTS_MAX + GUEST_DEVICES_MAX];
    unsigned int nr_devices;
    char error[TOOL_ERROR_MAX];
};

static int read_file(const char *name, char **text, size_t *length, char *error)
{
    FILE *file = fopen(name, "re");
    if (!file)
        return tool_refuse(error, -EINVAL, "%s: %s", name, strerror(errno));
    *text = malloc(CONFIG_TEXT_MAX + 1);
    *length = *text ? fread(*text, 1, CONFIG_TEXT_MAX + 1, file) : 0;
    const int rc = !*text ? -ENOMEM : ferror(file) ? -EISDIR : 0;
    fclose(file);
    if (rc)
        free(*text);
    return rc ? tool_refuse(error, -EINVAL, "%s: %s", name, strerror(-rc)) : 0;
}

static int read_config(struct creation *creation)
{
    const struct tool *tool = creation->tool;
    char *error = creation->error;
    char what[TOOL_ERROR_MAX];
    char *text = NULL;
    size_t length = 0;
    int rc = 0;
    if (tool->nr_arguments) {
        rc = read_file(tool->argument[0], &text, &length, error);
        if (rc)
            return rc;
        rc = guest_config_parse(text, length, tool->compat, &creation->config, what);
        free(text);
        if (rc)
            return tool_refuse(error, rc, "%.200s: %.250s", tool->argument[0], what);
    }
    if (tool->name) {
        rc = spec_guest_name(tool->name, error);
        snprintf(creation->config.name, sizeof(creation->config.name), "%.64s", tool->name);
    }
    if (!rc && !creation->config.name[0])
        rc = tool_refuse(error, -EINVAL, "%s",
                         tool->nr_arguments ? "the config has no name; --name NAME gives one"
                                            : "a FILE or --name NAME is needed");
    return rc;
}

/* The next number behind those that live, as Xen gives them. */
static int make_domain(struct creation *creation)
{
    struct tstore_domain domains[STORE_DOMAINS_MAX];
    struct xen_machine *machine = creation->tool->machine;
    int count = tstore_domains(creation->tool->xen0, XEN_XBT_NIL, domains);
    unsigned int domid = count > 0 ? domains[count - 1].domid + 1u : 1;
    int rc = count < 0 ? count : -EEXIST;
    while (rc == -EEXIST && domid < DOMID_FIRST_RESERVED) {
        rc = machine->ops->domain_create(machine, (domid_t)domid);
        domid += rc == -EEXIST;
    }
    creation->domain.domid = (domid_t)domid;
    snprintf(creation->domain.name, sizeof(creation->domain.name), "%s", creation->config.name);
    return rc ? tool_refuse(creation->error, rc == -EINVAL ? -ENOSPC : rc, "no domain can be made: %s",
                            strerror(-rc))
              : 0;
}

static struct attach *add_device(struct creation *creation, const char *busid)
{
    struct attach *attach = &creation->devices[creation->nr_devices++];
    *attach = (struct attach){.xen = creation->tool->xen0,
                              .dir = creation->tool->dir,
                              .timeout_ms = creation->tool->no_process ? 0 : creation->tool->timeout_ms,
                              .port = {.guest = creation->domain.name}};
    attach->port.c.frontend = creation->domain.domid;
    snprintf(attach->port.busid, sizeof(attach->port.busid), "%s", busid);
    return attach;
}

static int add_controller(struct creation *creation, const struct vusb_controller *like,
                          char (*ports)[SPEC_BUSID_SIZE])
{
    struct vusb_controller *c = &creation->controllers[creation->nr_controllers++];
    const unsigned int before = creation->nr_devices;
    int rc = 0;
    *c = *like;
    c->frontend = creation->domain.domid;
    for (unsigned int i = 1; ports && !rc && i <= c->num_ports; i++) {
        if (!ports[i][0])
            continue;
        struct attach *attach = add_device(creation, ports[i]);
        attach->port.port = i;
        rc = attach_check(attach, creation->error);
        if (!rc && attach->plugged && !attach->port.low_or_full && c->usb_ver == USB_VER_USB11)
            rc =
                tool_refuse(creation->error, -EPROTOTYPE,
                            "port_%u: %s is a high-speed device, and the controller is USB 1.1", i, ports[i]);
    }
    if (!rc)
        rc = tstore_add_controller(creation->tool->xen0, c, ports, creation->error);
    for (unsigned int i = before; i < creation->nr_devices; i++)
        creation->devices[i].port.c = *c;
    return rc;
}

static int add_controllers(struct creation *creation)
{
    struct guest_config *config = &creation->config;
    int rc = 0;
    for (unsigned int i = 0; !rc && i < config->nr_vusb; i++) {
        const struct vusb_controller c = {
            .kind = "vusb", .usb_ver = config->vusb[i].version, .num_ports = config->vusb[i].ports};
        rc = add_controller(creation, &c, config->vusb[i].busid);
    }
    for (unsigned int i = 0; !rc && i < config->nr_usbctrl; i++) {
        const struct controller_spec *spec = &config->usbctrl[i];
        struct vusb_controller c = {.kind = spec->type == CONTROLLER_PV ? "vusb" : "qusb",
                                    .usb_ver = spec->version,
                                    .num_ports = spec->ports};
        struct tstore_domain backend = {0};
        if (spec->type == CONTROLLER_DEVICEMODEL)
            rc = tool_refuse(creation->error, -EOPNOTSUPP,
                             "type=devicemodel is no PVUSB: here an HVM guest has usb = 1");
        if (!rc && spec->backend[0])
            rc = tstore_find_domain(creation->tool->xen0, spec->backend, &backend, creation->error);
        c.backend = backend.domid;
        if (!rc)
            rc = add_controller(creation, &c, NULL);
    }
    return rc;
}

static int add_devices(struct creation *creation)
{
    int rc = 0;
    for (unsigned int i = 0; !rc && i < creation->config.nr_usbdev; i++) {
        const struct device_spec *spec = &creation->config.usbdev[i];
        struct attach *attach = add_device(creation, "");
        attach->port.xl = true;
        attach->port.c.devid = spec->has_controller ? spec->controller : STORE_ANY;
        attach->port.port = spec->has_port ? spec->port : STORE_ANY;
        rc = attach_resolve(attach, spec->bus, spec->address, creation->error);
        if (!rc)
            rc = attach_check(attach, creation->error);
        if (!rc)
            rc = tstore_attach(creation->tool->xen0, &attach->port, creation->error);
        if (rc == -ENOSPC)
            rc = tool_refuse(creation->error, rc, "usbdev: no controller has a free port for %u.%u",
                             spec->bus, spec->address);
    }
    return rc;
}

/* What the device model will want to know of an HVM guest. */
static int record_emulated(struct creation *creation)
{
    struct xen *xen = creation->tool->xen0;
    char dir[64];
    int rc = 0;
    if (!creation->config.usb)
        return 0;
    snprintf(dir, sizeof(dir), "/libxl/%u/hvm", creation->domain.domid);
    rc = xenbus_write(xen, XEN_XBT_NIL, dir, "usb", "1");
    for (unsigned int i = 0; !rc && i < creation->config.nr_usbdevices; i++) {
        char node[32];
        snprintf(node, sizeof(node), "usbdevice/%u", i);
        rc = xenbus_write(xen, XEN_XBT_NIL, dir, node, "%s", creation->config.usbdevice_text[i]);
    }
    for (unsigned int i = 0; !rc && i < creation->config.nr_usbdevices; i++) {
        unsigned int port;
        rc = emulated_add(xen, creation->tool->dir, creation->domain.domid, creation->config.usbdevice_text[i],
                          &port, creation->error);
        if (rc)
            return rc;
    }
    return rc ? tool_refuse(creation->error, rc, "xenstore: %s", strerror(-rc)) : 0;
}

static int start_process(struct creation *creation)
{
    const struct tool *tool = creation->tool;
    char domid[16], bytes[24], log[PATH_MAX];
    const char *const argv[] = {"pvusb",   "guest-process", "--dir",   tool->dir,
                                "--domid", domid,           "--name",  creation->domain.name,
                                "--read",  bytes,           "--ready", tool->traffic ? "--traffic" : NULL,
                                NULL};
    if (tool->no_process)
        return 0;
    snprintf(domid, sizeof(domid), "%u", creation->domain.domid);
    snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)tool->read);
    int rc = guest_files_begin(tool->dir);
    if (!rc)
        rc = guest_process_start(tool->dir, creation->domain.name, argv);
    if (rc == -ECHILD && !guest_file_name(tool->dir, creation->domain.name, GUEST_LOG, log))
        return tool_refuse(creation->error, rc, "the guest's process did not start; %.300s says why", log);
    return rc ? tool_refuse(creation->error, rc, "the guest's process: %s", strerror(-rc)) : 0;
}

static int await_devices(struct creation *creation)
{
    int rc = 0;
    for (unsigned int i = 0; !rc && i < creation->nr_devices; i++)
        rc = attach_await(&creation->devices[i], 0, creation->error);
    return rc;
}

static void end_domain(const struct tool *tool, const struct tstore_domain *domain)
{
    /* First what its backends have of it: they let go before they could find it gone and write about that. */
    (void)tstore_forget_domain(tool->xen0, domain->domid);
    (void)tool->machine->ops->domain_destroy(tool->machine, domain->domid);
    guest_process_end(tool->dir, domain->name, PROCESS_END_MS);
}

static int build(struct creation *creation)
{
    int rc = make_domain(creation);
    if (rc)
        return rc;
    rc = tstore_name_domain(creation->tool->xen0, &creation->domain, creation->config.hvm, creation->error);
    if (rc) { /* its files are another guest's */
        (void)creation->tool->machine->ops->domain_destroy(creation->tool->machine, creation->domain.domid);
        return rc;
    }
    rc = add_controllers(creation);
    if (!rc)
        rc = add_devices(creation);
    if (!rc)
        rc = record_emulated(creation);
    if (!rc)
        rc = start_process(creation);
    if (!rc)
        rc = await_devices(creation);
    if (rc)
        end_domain(creation->tool, &creation->domain);
    return rc;
}

static bool is_fake(const struct tool *tool)
{
    if (!tool->dir)
        (void)usage_error(tool->verb->name, "guests of a real Xen are made by xl");
    return tool->dir != NULL;
}

int guest_create_cli(int argc, char **argv)
{
    struct tool tool;
    int code = tool_parse(&create_verb, argc, argv, &tool);
    if (code >= 0)
        return code;
    struct creation *creation = is_fake(&tool) ? calloc(1, sizeof(*creation)) : NULL;
    if (!creation)
        return EXIT_USAGE;
    creation->tool = &tool;
    int rc = read_config(creation);
    code = rc ? tool_failed(&tool, rc, creation->error) : tool_connect(&tool);
    if (code < 0) {
        rc = build(creation);
        code = rc ? tool_failed(&tool, rc == -EINVAL ? -EPERM : rc, creation->error) : EXIT_AS_EXPECTED;
        if (!rc)
            printf("%s: domain %u\n", creation->domain.name, creation->domain.domid);
    }
    tool_close(&tool);
    free(creation);
    return code;
}

/* ---- guest-destroy ---- */

static const struct tool_verb destroy_verb = {
    .name = "guest-destroy",
    .arguments = "<Domain>",
    .min = 1,
    .max = 1,
    .help = "Ends a guest at once, as a crash does: its devices are free for others. Its log stays.\n",
};

static int refuse_domain0(const struct tstore_domain *domain, char *error)
{
    return domain->domid
               ? 0
               : tool_refuse(error, -EPERM, "Domain 0 is the host and stays as long as the machine");
}

int guest_destroy_cli(int argc, char **argv)
{
    struct tool tool;
    struct tstore_domain domain;
    char error[TOOL_ERROR_MAX];
    int code = tool_parse(&destroy_verb, argc, argv, &tool);
    if (code < 0 && !is_fake(&tool))
        code = EXIT_USAGE;
    if (code < 0)
        code = tool_connect(&tool);
    if (code < 0) {
        int rc = tstore_find_domain(tool.xen0, tool.argument[0], &domain, error);
        if (!rc)
            rc = refuse_domain0(&domain, error);
        if (!rc)
            end_domain(&tool, &domain);
        code = rc ? tool_failed(&tool, rc, error) : EXIT_AS_EXPECTED;
    }
    tool_close(&tool);
    return code;
}

/* ---- guest-list ---- */

static const struct tool_verb list_verb = {
    .name = "guest-list",
    .arguments = "",
    .help = "All domains: name, number, how many controllers and devices each has, and the process of\n"
            "those that 'pvusb guest-create' made.\n",
};

static void list_one(const struct tool *tool, const struct tstore_domain *domain,
                     const struct tstore_controllers *all)
{
    unsigned int controllers = 0, devices = 0;
    for (unsigned int i = 0; i < all->count; i++) {
        if (all->list[i].c.frontend != domain->domid)
            continue;
        controllers++;
        for (unsigned int p = 1; p <= all->list[i].c.num_ports; p++)
            devices += all->list[i].port[p][0] != '\0';
    }
    char process[24] = "-";
    const pid_t pid = domain->domid ? guest_pid(tool->dir, domain->name) : 0;
    if (pid)
        snprintf(process, sizeof(process), "%d", (int)pid);
    printf("%-30s %5u %11u %7u %s\n", domain->name, domain->domid, controllers, devices, process);
}

int guest_list_cli(int argc, char **argv)
{
    struct tstore_domain domains[STORE_DOMAINS_MAX];
    struct tstore_controllers all;
    struct tool tool;
    int code = tool_parse(&list_verb, argc, argv, &tool);
    if (code < 0 && !is_fake(&tool))
        code = EXIT_USAGE;
    if (code < 0)
        code = tool_connect(&tool);
    if (code < 0) {
        int count = tstore_domains(tool.xen0, XEN_XBT_NIL, domains);
        int rc = count < 0 ? count : tstore_controllers(tool.xen0, XEN_XBT_NIL, STORE_ANY, &all);
        if (!rc) {
            printf("%-30s %5s %11s %7s %s\n", "Name", "ID", "Controllers", "Devices", "Process");
            for (int i = 0; i < count; i++)
                list_one(&tool, &domains[i], &all);
            tstore_controllers_free(&all);
        }
        code = rc ? tool_failed(&tool, rc, strerror(-rc)) : EXIT_AS_EXPECTED;
    }
    tool_close(&tool);
    return code;
}

/* ---- guest-save ---- */

static const struct tool_verb save_verb = {
    .name = "guest-save",
    .arguments = "<Domain> <File>",
    .min = 2,
    .max = 2,
    .help = "Always refused: neither half of PVUSB can be saved and go on elsewhere, and a device\n"
            "cannot be saved at all. A guest is never left half saved.\n",
};

int guest_save_cli(int argc, char **argv)
{
    struct tool tool;
    struct tstore_domain domain;
    struct tstore_controllers all;
    char error[TOOL_ERROR_MAX];
    int code = tool_parse(&save_verb, argc, argv, &tool);
    if (code < 0)
        code = tool_connect(&tool);
    if (code < 0) {
        int rc = tstore_find_domain(tool.xen0, tool.argument[0], &domain, error);
        if (!rc)
            rc = refuse_domain0(&domain, error);
        if (!rc && tstore_controllers(tool.xen0, XEN_XBT_NIL, domain.domid, &all) == 0) {
            rc = all.count ? tool_refuse(error, -EBUSY,
                                         "Migration not permitted with assigned USB device. '%s' has %u "
                                         "controller(s): destroy them first, 'pvusb usb-list %s' shows them",
                                         domain.name, all.count, domain.name)
                           : tool_refuse(error, -EOPNOTSUPP,
                                         "the domains of this machine have no memory that could be "
                                         "saved; destroy '%s' and make it anew",
                                         domain.name);
            tstore_controllers_free(&all);
        }
        code = tool_failed(&tool, rc ? rc : -EIO, rc ? error : "xenstore cannot be read");
    }
    tool_close(&tool);
    return code;
}
