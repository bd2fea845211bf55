// SPDX-License-Identifier: MIT
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static int explain(const char *verb, const char *dir, domid_t domid, int rc)
{
    switch (rc) {
    case -ENXIO:
        return usage_error(verb, "%s: there is no domain %u on this machine", dir, domid);
    case -ENOENT:
    case -ECONNREFUSED:
    case -ENOTDIR:
        return usage_error(verb, "%s: no fake Xen machine here; start one with 'pvusb host --dir %s'", dir, dir);
    default:
        return usage_error(verb, "%s: %s", dir, strerror(-rc));
    }
}

int connect_machine(const char *verb, const char *where, domid_t domid, struct xen_machine **machine,
                    struct xen **xen)
{
    if (!where)
        return usage_error(verb, "--xen fake:DIR is needed: the directory of a 'pvusb host'");
    if (strncmp(where, "fake:", 5) != 0 || !where[5])
        return usage_error(verb, "--xen takes fake:DIR, not '%s'", where);
    int rc = fakexen_client_machine_create(where + 5, machine);
    if (rc) {
        *machine = NULL;
        return explain(verb, where + 5, domid, rc);
    }
    rc = (*machine)->ops->open(*machine, domid, xen);
    if (!rc)
        return 0;
    fakexen_client_machine_destroy(*machine);
    *machine = NULL;
    return explain(verb, where + 5, domid, rc);
}

void print_line(void *context, const char *line)
{
    (void)context;
    printf("%s\n", line);
    fflush(stdout);
}
