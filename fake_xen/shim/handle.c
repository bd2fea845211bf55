// SPDX-License-Identifier: MIT
#include "handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int handle_result(int rc)
{
    if (rc >= 0)
        return rc;
    errno = -rc;
    return -1;
}

/* One line in a process: a program that tries again does not fill the terminal. */
static int refuse(const char *library, const char *reason, int error)
{
    static bool said;
    if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
        fprintf(stderr, "%s (fake Xen): %s\n", library, reason);
    errno = error;
    return -1;
}

static bool parse_domid(const char *text, domid_t *out)
{
    char *end;
    if (!text || *text < '0' || *text > '9')
        return false;
    unsigned long value = strtoul(text, &end, 10);
    *out = (domid_t)value;
    return !*end && value < DOMID_FIRST_RESERVED;
}

int handle_open(struct handle *handle, const char *library)
{
    char reason[512];
    struct xen_machine *machine;
    struct xen *xen;
    domid_t domid;
    const char *dir = getenv("FAKEXEN_DIR");
    if (!dir || !*dir)
        return refuse(library, "FAKEXEN_DIR is not set; start this program with 'pvusb exec'", ENOENT);
    if (!parse_domid(getenv("FAKEXEN_DOMID"), &domid))
        return refuse(library, "FAKEXEN_DOMID is no domain; start this program with 'pvusb exec'", ENOENT);
    int rc = fakexen_client_machine_create(dir, &machine);
    if (!rc) {
        rc = machine->ops->open(machine, domid, &xen);
        fakexen_client_machine_destroy(machine);
    }
    if (rc) {
        snprintf(reason, sizeof(reason), "domain %u of the machine in %s: %s", (unsigned int)domid, dir,
                 strerror(-rc));
        return refuse(library, reason, rc == -EMFILE || rc == -ENOMEM ? -rc : ENODEV);
    }
    handle->client = (struct client *)xen;
    handle->pid = getpid();
    pthread_mutex_init(&handle->mutex, NULL);
    return 0;
}

void handle_close(struct handle *handle)
{
    if (handle->pid == getpid())
        xen_close(&handle->client->xen);
    else
        client_abandon(handle->client);
    pthread_mutex_destroy(&handle->mutex);
}
