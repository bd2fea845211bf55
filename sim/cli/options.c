// SPDX-License-Identifier: MIT
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <fakexen/real.h>

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

static int connect_real(const char *verb, domid_t domid, struct xen_machine **machine, struct xen **xen)
{
    int rc = xen_real_machine_create(0, machine);
    if (!rc) {
        rc = (*machine)->ops->open(*machine, domid, xen);
        if (!rc)
            return 0;
        xen_real_machine_destroy(*machine);
    }
    *machine = NULL;
    if (rc == -ENXIO)
        return usage_error(verb, "--xen real: this is not domain %u", domid);
    return usage_error(verb, "--xen real: %s; it needs xenstore, /dev/xen/evtchn and /dev/xen/gntdev", strerror(-rc));
}

int connect_machine(const char *verb, const char *where, domid_t domid, struct xen_machine **machine,
                    struct xen **xen)
{
    if (!where)
        return usage_error(verb, "--xen fake:DIR is needed: the directory of a 'pvusb host'");
    if (strcmp(where, "real") == 0)
        return connect_real(verb, domid, machine, xen);
    if (strncmp(where, "fake:", 5) != 0 || !where[5])
        return usage_error(verb, "--xen takes fake:DIR or real, not '%s'", where);
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

void disconnect_machine(const char *where, struct xen_machine *machine)
{
    if (machine && strcmp(where, "real") == 0)
        xen_real_machine_destroy(machine);
    else
        fakexen_client_machine_destroy(machine);
}

void print_line(void *context, const char *line)
{
    (void)context;
    printf("%s\n", line);
    fflush(stdout);
}
