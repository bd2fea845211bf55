// SPDX-License-Identifier: MIT
#include "cli/domain_command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int domain_command(const struct tool_verb *verb, int argc, char **argv,
                   int (*check)(struct tool *tool, struct attach *attach, char *error),
                   int (*run)(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                              char *error))
{
    char error[TOOL_ERROR_MAX];
    struct attach attach = {0};
    struct tstore_domain domain;
    struct tool tool;
    int code = tool_parse(verb, argc, argv, &tool);
    int rc = code < 0 && check ? check(&tool, &attach, error) : 0;
    if (rc)
        code = tool_failed(&tool, rc, error);
    if (code < 0)
        code = tool_connect(&tool);
    if (code < 0) {
        rc = tstore_find_domain(tool.xen0, tool.argument[0], &domain, error);
        if (!rc && !domain.domid)
            rc = tool_refuse(error, -EPERM, "Domain 0 is the host: it has the devices already");
        attach.xen = tool.xen0;
        attach.dir = tool.dir;
        attach.timeout_ms = tool.timeout_ms;
        attach.port.guest = domain.name;
        attach.port.c.frontend = domain.domid;
        if (!rc)
            rc = run(&tool, &attach, &domain, error);
        /* The arguments are right in themselves, or run() would not have begun. */
        code = rc < 0 ? tool_failed(&tool, rc == -EINVAL ? -EPERM : rc, error) : rc;
    }
    tool_close(&tool);
    return code;
}

/* The one argument of the format is the number, which only some callers put into quotes. */
static int unknown_controller(char *error, const char *unknown, unsigned int devid, const char *guest)
{
    char what[64];
    const char *percent = strchr(unknown, '%');
    snprintf(what, sizeof(what), "%.*s%u%s", (int)(percent - unknown), unknown, devid, percent + 2);
    return tool_refuse(error, -ENODEV, "%s in domain '%s': 'pvusb usb-list %s' shows its controllers", what,
                       guest, guest);
}

/* A controller that had to be forced is gone, too: said, and no failure. */
int destroy_controller(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                       const char *unknown, char *error)
{
    const unsigned int devid = attach->port.c.devid;
    struct tstore_controllers all;
    int rc = tstore_controllers(tool->xen0, XEN_XBT_NIL, domain->domid, &all);
    if (rc)
        return tool_refuse(error, rc, "%s", strerror(-rc));
    const struct tstore_controller *c = tstore_controller_of(&all, domain->domid, devid);
    rc = c ? attach_destroy_controller(attach, &c->c, error) : -ENODEV;
    if (rc == -ENODEV) /* or no longer */
        rc = unknown_controller(error, unknown, devid, domain->name);
    tstore_controllers_free(&all);
    if (rc == 1)
        fprintf(stderr, "pvusb %s: warning: %s\n", tool->verb->name, error);
    return rc < 0 ? rc : 0;
}
