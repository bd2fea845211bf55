// SPDX-License-Identifier: MIT
#include "../toolstack.h"

#include <errno.h>
#include <string.h>

#include "kit.h"

static const struct peer_toolstack_ops *ops(struct conform *t)
{
    if (!t->peer->ops->toolstack)
        conform_skip(t, "nobody can order anything of peer %s", t->peer->ops->name);
    return t->peer->ops->toolstack;
}

static int said(struct conform *t, const char *what, const char *busid, unsigned int devid, unsigned int port,
                int rc)
{
    conform_note(t, "%s %s, controller %u, port %u: %s", what, busid, devid, port,
                 rc ? strerror(-rc) : "done");
    return rc;
}

int toolstack_create(struct conform *t, unsigned int usb_ver, unsigned int num_ports, unsigned int *devid)
{
    int rc = ops(t)->create(t->peer, usb_ver, num_ports, devid);
    conform_note(t, "create usb-ver %u, %u ports: %s", usb_ver, num_ports, rc ? strerror(-rc) : "done");
    return rc;
}

int toolstack_attach(struct conform *t, const char *busid, unsigned int devid, unsigned int port)
{
    return said(t, "attach", busid, devid, port, ops(t)->attach(t->peer, busid, devid, port));
}

int toolstack_attach_address(struct conform *t, unsigned int bus, unsigned int address, unsigned int devid)
{
    return said(t, "attach", "by address", devid, 0, ops(t)->attach_address(t->peer, bus, address, devid));
}

int toolstack_detach(struct conform *t, unsigned int devid, unsigned int port)
{
    return said(t, "detach", "", devid, port, ops(t)->detach(t->peer, devid, port));
}

int toolstack_holder(struct conform *t, const char *busid, unsigned int *devid, unsigned int *port)
{
    return ops(t)->holder(t->peer, busid, devid, port);
}

int toolstack_close(struct conform *t, unsigned int devid)
{
    return said(t, "close", "", devid, 0, ops(t)->close(t->peer, devid));
}

int toolstack_remove(struct conform *t, unsigned int devid)
{
    return said(t, "remove", "", devid, 0, ops(t)->remove(t->peer, devid));
}

void toolstack_plug(struct conform *t, const char *busid, bool hub)
{
    int rc = ops(t)->plug(t->peer, busid, hub);
    if (rc)
        conform_fail(t, "plug %s: %s", busid, strerror(-rc));
}

void toolstack_unplug(struct conform *t, const char *busid)
{
    int rc = ops(t)->unplug(t->peer, busid);
    if (rc)
        conform_fail(t, "unplug %s: %s", busid, strerror(-rc));
}
