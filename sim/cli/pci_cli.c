// SPDX-License-Identifier: MIT
/* Whole host controllers for one guest, as pci-attach of xm and xl gives them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/domain_command.h"
#include "cli/guest_files.h"
#include "toolstack/owner.h"

#define ARGUMENTS "<Domain> <Bus>"
#define BUS_HELP                                                                                             \
    "  <Domain>  name or number\n"                                                                           \
    "  <Bus>     the controller's bus, as 'pvusb bus list' shows it: there are no PCI addresses here\n"

static const struct tool_verb attach_verb = {
    .name = "pci-attach",
    .arguments = ARGUMENTS,
    .min = 2,
    .max = 2,
    .options = TOOL_TIMEOUT,
    .help = "Gives a guest a whole host controller: all that is plugged in on its bus, now or later, is the\n"
            "guest's, without PVUSB. Refused while anything on the bus is assigned to a guest.\n"
            "\n" BUS_HELP,
};

static const struct tool_verb detach_verb = {
    .name = "pci-detach",
    .arguments = ARGUMENTS,
    .min = 2,
    .max = 2,
    .options = TOOL_TIMEOUT,
    .help = "Takes a whole host controller from a guest. The command ends when the guest has let go of it.\n"
            "\n" BUS_HELP,
};

static int check(struct tool *tool, struct attach *attach, char *error)
{
    unsigned int bus;
    (void)attach;
    return spec_number(tool->argument[1], "Bus", 1, OWNER_BUS_MAX, &bus, error);
}

struct wait {
    struct xen *xen;
    domid_t domid;
    unsigned int bus;
    bool there; /* what is waited for */
};

/* What the guest says, vm.h. One that has ended gets nothing any more, and has let go. */
static int guest_agrees(void *context)
{
    const struct wait *wait = context;
    char dir[64];
    char node[16];
    char value[XENBUS_VALUE_MAX];
    domid_t owner;
    if (wait->there && (tstore_bus_owner(wait->xen, XEN_XBT_NIL, wait->bus, &owner) || owner != wait->domid))
        return -ECANCELED;
    snprintf(dir, sizeof(dir), "/local/domain/%u/data/pci", wait->domid);
    snprintf(node, sizeof(node), "%u", wait->bus);
    return (xenbus_read(wait->xen, XEN_XBT_NIL, dir, node, value) == 0) == wait->there;
}

static int await(struct tool *tool, const struct wait *wait)
{
    char data[64];
    char owner[64];
    const char *const paths[] = {data, owner};
    struct wait copy = *wait;
    snprintf(data, sizeof(data), "/local/domain/%u/data", wait->domid);
    snprintf(owner, sizeof(owner), "/pvusb/pci/%u", wait->bus);
    return tool->timeout_ms ? tstore_wait(wait->xen, paths, 2, guest_agrees, &copy, tool->timeout_ms) : 0;
}

/* Nobody else here takes a controller. */
static int refuse_domain(const struct tool *tool, const struct tstore_domain *domain, char *error)
{
    if (!tool->dir)
        return tool_refuse(error, -EOPNOTSUPP, "on a real Xen, xl pci-attach and pci-detach do this");
    if (strcmp(tool->verb->name, attach_verb.name) == 0 && !guest_pid(tool->dir, domain->name))
        return tool_refuse(error, -EOPNOTSUPP,
                           "'%s' has no process that could take a controller: 'pvusb guest-create' makes guests "
                           "that have one",
                           domain->name);
    return 0;
}

static int run_attach(struct tool *tool, struct attach *attach, const struct tstore_domain *domain, char *error)
{
    struct wait wait = {.xen = attach->xen, .domid = domain->domid, .there = true};
    char ignored[TOOL_ERROR_MAX];
    int rc = spec_number(tool->argument[1], "Bus", 1, OWNER_BUS_MAX, &wait.bus, error);
    if (!rc)
        rc = refuse_domain(tool, domain, error);
    if (!rc)
        rc = tstore_pass_bus(attach->xen, domain->domid, wait.bus, error);
    if (rc)
        return rc;
    rc = await(tool, &wait);
    if (!rc)
        return 0;
    if (rc == -ECANCELED)
        return tool_refuse(error, rc, "the controller of bus %u was taken from '%s' meanwhile", wait.bus,
                           domain->name);
    (void)tstore_take_bus(attach->xen, domain->domid, wait.bus, ignored);
    return tool_refuse(error, rc, "'%s' did not take the controller of bus %u in time, so it is the host's again",
                       domain->name, wait.bus);
}

static int run_detach(struct tool *tool, struct attach *attach, const struct tstore_domain *domain, char *error)
{
    struct wait wait = {.xen = attach->xen, .domid = domain->domid, .there = false};
    int rc = spec_number(tool->argument[1], "Bus", 1, OWNER_BUS_MAX, &wait.bus, error);
    if (!rc)
        rc = refuse_domain(tool, domain, error);
    if (!rc)
        rc = tstore_take_bus(attach->xen, domain->domid, wait.bus, error);
    if (rc || !guest_pid(tool->dir, domain->name))
        return rc; /* one that has ended has let go */
    if (await(tool, &wait))
        fprintf(stderr, "pvusb pci-detach: warning: '%s' has not let go of bus %u in time\n", domain->name, wait.bus);
    return 0;
}

int pci_attach_cli(int argc, char **argv)
{
    return domain_command(&attach_verb, argc, argv, check, run_attach);
}

int pci_detach_cli(int argc, char **argv)
{
    return domain_command(&detach_verb, argc, argv, check, run_detach);
}
