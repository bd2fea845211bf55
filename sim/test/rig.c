// SPDX-License-Identifier: MIT
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void keep_line(void *context, const char *line)
{
    struct rig *rig = context;
    size_t at = strlen(rig->log);
    snprintf(rig->log + at, sizeof(rig->log) - at, "%s\n", line);
}

void rig_init(struct rig *rig, unsigned int usb_ver, unsigned int num_ports)
{
    memset(rig, 0, sizeof(*rig));
    scripted_host_init(&rig->host);
    assert_int_equal(fakexen_local_create(&rig->local), 0);
    rig->machine = fakexen_local_machine(rig->local);
    assert_int_equal(rig->machine->ops->domain_create(rig->machine, 1), 0);
    assert_int_equal(rig->machine->ops->open(rig->machine, 0, &rig->dom0), 0);
    rig->controller = (struct vusb_controller){
        .kind = "qusb", .frontend = 1, .usb_ver = usb_ver, .num_ports = num_ports};
    assert_int_equal(vusb_create(rig->dom0, &rig->controller), 0);
}

void rig_start_front(struct rig *rig)
{
    struct xen *xen;
    assert_int_equal(rig->machine->ops->open(rig->machine, 1, &xen), 0);
    assert_int_equal(front_create(xen, 0, keep_line, rig, &rig->front), 0);
}

void rig_start_back(struct rig *rig)
{
    struct xen *xen;
    struct back_config config = {
        .kind = "qusb", .frontend = 1, .devid = 0, .host = &rig->host.host, .log = keep_line, .log_context = rig,
        .buffers = rig->buffers, .ring_pages = rig->ring_pages};
    assert_int_equal(rig->machine->ops->open(rig->machine, 0, &xen), 0);
    assert_int_equal(back_create(xen, &config, &rig->back), 0);
}

void rig_run(struct rig *rig)
{
    unsigned int rounds = 0;
    do {
        if (rig->back && !rig->back_rc)
            rig->back_rc = back_step(rig->back, rig->now_ns);
        if (rig->front)
            front_step(rig->front, rig->now_ns);
        assert_true(++rounds < 1000); /* somebody wakes somebody for nothing */
    } while (rounds < 2 || fakexen_local_pending(rig->local));
}

void rig_advance(struct rig *rig, uint64_t ns)
{
    rig->now_ns += ns;
    rig_run(rig);
}

void rig_dispose(struct rig *rig)
{
    /* The backend first, as when its process ends: the frontend finds nothing of its own still mapped. */
    back_destroy(rig->back);
    front_destroy(rig->front);
    xen_close(rig->dom0);
    struct fakexen_balance left = fakexen_local_balance(rig->local);
    struct fakexen_balance none = {0};
    fakexen_local_destroy(rig->local);
    assert_memory_equal(&left, &none, sizeof(left));
}

const char *rig_node(struct rig *rig, const char *path)
{
    static char value[XEN_XS_PAYLOAD_MAX + 1];
    if (rig->dom0->ops->xs_read(rig->dom0, XEN_XBT_NIL, path, value, sizeof(value)) < 0)
        value[0] = '\0';
    return value;
}

void rig_set_node(struct rig *rig, const char *path, const char *value)
{
    assert_int_equal(rig->dom0->ops->xs_write(rig->dom0, XEN_XBT_NIL, path, value, strlen(value)), 0);
}
