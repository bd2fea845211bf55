// SPDX-License-Identifier: MIT
/* What a toolstack does when devices are attached, taken away and lost, and controllers removed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../back.h"
#include "../toolstack.h"
#include "frontend_groups.h"

/* What stands in a node of a controller's backend; NULL: it is not there. */
static void node_is(struct conform *t, unsigned int devid, const char *node, const char *expected)
{
    char path[256];
    char value[STORE_VALUE_MAX];
    snprintf(path, sizeof(path), "/local/domain/0/backend/qusb/1/%u/%s", devid, node);
    bool there = store_read(t, store_own(t), path, value);
    if (expected ? !there || strcmp(value, expected) != 0 : there)
        conform_fail(t, "%s of controller %u: expected %s, it is %s", node, devid,
                     expected ? expected : "no such node", there ? value : "missing");
}

static void plug(struct conform *t, unsigned int count)
{
    for (unsigned int i = 1; i <= count; i++) {
        char busid[16];
        snprintf(busid, sizeof(busid), "1-%u", i);
        toolstack_plug(t, busid, false);
    }
}

static void attach(struct conform *t, const char *busid, unsigned int devid, unsigned int port)
{
    conform_equal(t, "attach", 0, toolstack_attach(t, busid, devid, port));
}

/* By name and by number on its bus: either way the name is written. */
static void port_value(struct conform *t)
{
    plug(t, 2);
    attach(t, "1-1", 0, 2);
    node_is(t, 0, "port/2", "1-1");
    conform_equal(t, "attach by address", 0, toolstack_attach_address(t, 1, 3, 0));
    node_is(t, 0, "port/1", "1-2");
}

static void port_free(struct conform *t)
{
    plug(t, 6);
    attach(t, "1-1", 0, 2);
    attach(t, "1-2", 0, 0);
    attach(t, "1-3", 0, 0);
    attach(t, "1-4", 0, 0);
    node_is(t, 0, "port/1", "1-2");
    node_is(t, 0, "port/3", "1-3");
    node_is(t, 0, "port/4", "1-4");
    conform_true(t, toolstack_attach(t, "1-5", 0, 0) < 0, "without a free port it is refused");
    conform_true(t, toolstack_attach(t, "1-5", 0, 3) < 0, "a port that is taken is refused");
    node_is(t, 0, "port/3", "1-3");
    conform_equal(t, "detach", 0, toolstack_detach(t, 0, 3));
    node_is(t, 0, "port/3", "");
    attach(t, "1-5", 0, 0);
    node_is(t, 0, "port/3", "1-5");
}

static void port_range(struct conform *t)
{
    plug(t, 1);
    conform_true(t, toolstack_attach(t, "1-1", 0, 5) < 0, "a port above num-ports is refused");
    node_is(t, 0, "port/5", NULL);
    conform_true(t, toolstack_attach(t, "1-1", 0, 32) < 0, "a port above 31 is refused");
    node_is(t, 0, "port/32", NULL);
    attach(t, "1-1", 0, 4);
}

static void attach_twice(struct conform *t)
{
    unsigned int devid;
    plug(t, 1);
    conform_equal(t, "create", 0, toolstack_create(t, 2, 4, &devid));
    attach(t, "1-1", 0, 1);
    conform_true(t, toolstack_attach(t, "1-1", 0, 2) < 0, "a device that is attached is refused");
    conform_true(t, toolstack_attach(t, "1-1", devid, 1) < 0, "on another controller, too");
    node_is(t, 0, "port/2", "");
    node_is(t, devid, "port/1", "");
    conform_equal(t, "detach", 0, toolstack_detach(t, 0, 1));
    attach(t, "1-1", devid, 1);
    node_is(t, devid, "port/1", "1-1");
}

static void not_assignable(struct conform *t)
{
    toolstack_plug(t, "1-3", true);
    conform_true(t, toolstack_attach(t, "1-3", 0, 1) < 0, "a hub is refused");
    conform_true(t, toolstack_attach_address(t, 1, 2, 0) < 0, "by its address, too");
    conform_true(t, toolstack_attach_address(t, 250, 250, 0) < 0, "an unknown device is refused");
    node_is(t, 0, "port/1", "");
}

static void vanished(struct conform *t)
{
    unsigned int devid = 9, port = 9;
    plug(t, 2);
    attach(t, "1-1", 0, 1);
    toolstack_unplug(t, "1-1");
    conform_equal(t, "looking who has the device that vanished", 0,
                  toolstack_holder(t, "1-1", &devid, &port));
    conform_equal(t, "its port", 1, port);
    attach(t, "1-2", 0, 2);
    node_is(t, 0, "port/2", "1-2");
    conform_equal(t, "detaching the device that vanished", 0, toolstack_detach(t, 0, 1));
    node_is(t, 0, "port/1", "");
}

/* The guest says that its backend is another one; the toolstack knows better. */
static void copy(struct conform *t)
{
    struct xen *guest = store_guest(t, 1);
    unsigned int devid = 9, port = 9;
    plug(t, 2);
    store_write(t, guest, "/local/domain/1/device/vusb/0/backend", "/local/domain/1/device/vusb/0/trap");
    store_write(t, guest, "/local/domain/1/device/vusb/0/trap/port/1", "1-1");
    store_write(t, guest, "/local/domain/1/device/vusb/0/trap/num-ports", "31");
    xen_close(guest);
    conform_equal(t, "who has a device that only the guest speaks of", -ENODEV,
                  toolstack_holder(t, "1-1", &devid, &port));
    attach(t, "1-1", 0, 1);
    node_is(t, 0, "port/1", "1-1");
    conform_equal(t, "who has it then", 0, toolstack_holder(t, "1-1", &devid, &port));
    conform_equal(t, "its controller", 0, devid);
    conform_true(t, toolstack_attach(t, "1-2", 0, 9) < 0, "num-ports is not the guest's to say");
}

static void removed(struct conform *t)
{
    char value[STORE_VALUE_MAX];
    plug(t, 2);
    attach(t, "1-1", 0, 1);
    attach(t, "1-2", 0, 4);
    conform_equal(t, "close", 0, toolstack_close(t, 0));
    node_is(t, 0, "port/1", "");
    node_is(t, 0, "port/4", "");
    node_is(t, 0, "online", "0");
    node_is(t, 0, "state", "5");
    conform_equal(t, "remove", 0, toolstack_remove(t, 0));
    conform_true(t, !store_read(t, store_own(t), "/local/domain/0/backend/qusb/1/0/state", value),
                 "the backend's directory is gone");
    conform_true(t, !store_read(t, store_own(t), "/local/domain/1/device/vusb/0/state", value),
                 "the frontend's directory is gone");
}

static void limits(struct conform *t)
{
    static const unsigned int bad[][2] = {{2, 0}, {2, 32}, {2, 4294967295u}, {0, 4}, {3, 4}};
    unsigned int devid;
    for (unsigned int i = 0; i < 5; i++)
        conform_true(t, toolstack_create(t, bad[i][0], bad[i][1], &devid) < 0,
                     "numbers out of range are refused");
    conform_equal(t, "create with 1 port of USB 1.1", 0, toolstack_create(t, 1, 1, &devid));
    node_is(t, devid, "usb-ver", "1");
    conform_equal(t, "create with 31 ports of USB 2.0", 0, toolstack_create(t, 2, 31, &devid));
    node_is(t, devid, "port/31", "");
    node_is(t, devid, "port/32", NULL);
}

#define TOOL_CASE(id, requirement, title, run)                                                               \
    {                                                                                                        \
        "toolstack." id, requirement, title, run, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, "attach"         \
    }

const struct conform_case cases_toolstack_orders[] = {
    TOOL_CASE("limits", "toolstack.limits toolstack.nodes", "1 to 31 ports of USB 1.1 or 2.0", limits),
    TOOL_CASE("port-value", "toolstack.port-value", "a port gets the name of the device", port_value),
    TOOL_CASE("port-free", "toolstack.port-free", "the first free port is taken", port_free),
    TOOL_CASE("port-range", "toolstack.port-range", "a port that is not there is refused", port_range),
    TOOL_CASE("attach-twice", "toolstack.attach-twice", "a device goes to one port only", attach_twice),
    TOOL_CASE("not-assignable", "toolstack.not-assignable", "hubs and unknown devices are refused",
              not_assignable),
    TOOL_CASE("vanished", "toolstack.vanished", "a device that vanished is in nobody's way", vanished),
    TOOL_CASE("copy", "toolstack.copy", "what a guest writes is not believed", copy),
    TOOL_CASE("remove", "toolstack.remove", "devices first, then the controller, then its nodes", removed),
    {0},
};
