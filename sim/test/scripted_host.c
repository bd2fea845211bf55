// SPDX-License-Identifier: MIT
#include "scripted_host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A handle is the address of its busid. */
static unsigned int index_of(const struct scripted_host *host, const struct host_device *device)
{
    return (unsigned int)(((const char(*)[32])(const void *)device) - host->busid);
}

__attribute__((format(printf, 2, 3))) static void note(struct scripted_host *host, const char *format, ...)
{
    size_t at = strlen(host->log);
    va_list args;
    va_start(args, format);
    vsnprintf(host->log + at, sizeof(host->log) - at, format, args);
    va_end(args);
}

void scripted_host_clear_log(struct scripted_host *host)
{
    host->log[0] = '\0';
}

static void drop(struct scripted_host *host, unsigned int i)
{
    host->nr_held--;
    for (; i < host->nr_held; i++) {
        host->held[i] = host->held[i + 1];
        host->held_device[i] = host->held_device[i + 1];
    }
}

void scripted_host_complete(struct scripted_host *host, unsigned int i, int32_t status, const void *data,
                            uint32_t length)
{
    struct host_urb *urb = host->held[i];
    assert(i < host->nr_held);
    drop(host, i);
    if (data && urb->in)
        length = host_urb_write(urb, 0, data, length);
    host_urb_complete(urb, status, length);
}

static int find(const struct scripted_host *host, const char *busid)
{
    for (unsigned int i = 0; i < SCRIPTED_DEVICES; i++) {
        if (busid[0] && strcmp(host->busid[i], busid) == 0)
            return (int)i;
    }
    return -1;
}

void scripted_host_plug(struct scripted_host *host, const char *busid, uint8_t speed)
{
    for (unsigned int i = 0; i < SCRIPTED_DEVICES; i++) {
        if (host->busid[i][0])
            continue;
        snprintf(host->busid[i], sizeof(host->busid[i]), "%s", busid);
        host->speed[i] = speed;
        break;
    }
    for (unsigned int i = 0; i < host->nr_listeners; i++)
        host->listener[i]->plugged(host->listener[i]->context, busid);
}

static void complete_all(struct scripted_host *host, unsigned int device, int32_t status)
{
    for (unsigned int i = 0; i < host->nr_held;) {
        if (host->held_device[i] == device)
            scripted_host_complete(host, i, status, NULL, 0);
        else
            i++;
    }
}

void scripted_host_unplug(struct scripted_host *host, const char *busid)
{
    int i = find(host, busid);
    assert(i >= 0);
    complete_all(host, (unsigned int)i, -ENODEV);
    host->busid[i][0] = '\0';
    for (unsigned int l = 0; l < host->nr_listeners; l++)
        host->listener[l]->unplugged(host->listener[l]->context, busid);
}

/* ---- usb_host ---- */

static int op_listen(struct usb_host *usb, const struct usb_host_listener *listener)
{
    struct scripted_host *host = (struct scripted_host *)usb;
    if (host->nr_listeners == 64)
        return -ENOSPC;
    host->listener[host->nr_listeners++] = listener;
    return 0;
}

static void op_unlisten(struct usb_host *usb, const struct usb_host_listener *listener)
{
    struct scripted_host *host = (struct scripted_host *)usb;
    for (unsigned int i = 0; i < host->nr_listeners; i++) {
        if (host->listener[i] == listener)
            host->listener[i--] = host->listener[--host->nr_listeners];
    }
}

static int op_open(struct usb_host *usb, const char *busid, struct host_device **out)
{
    struct scripted_host *host = (struct scripted_host *)usb;
    int i = find(host, busid);
    if (i < 0)
        return -ENODEV;
    if (host->open[i])
        return -EBUSY;
    host->open[i] = true;
    *out = (struct host_device *)(void *)host->busid[i];
    note(host, "open %s; ", busid);
    return 0;
}

static void op_close(struct usb_host *usb, struct host_device *device)
{
    struct scripted_host *host = (struct scripted_host *)usb;
    unsigned int i = index_of(host, device);
    complete_all(host, i, -ECONNRESET);
    host->open[i] = false;
    note(host, "close; ");
}

static uint8_t op_speed(struct usb_host *usb, struct host_device *device)
{
    struct scripted_host *host = (struct scripted_host *)usb;
    return host->speed[index_of(host, device)];
}

static void hold(struct scripted_host *host, struct host_device *device, struct host_urb *urb)
{
    assert(host->nr_held < SCRIPTED_HELD);
    host->held_device[host->nr_held] = index_of(host, device);
    host->held[host->nr_held++] = urb;
}

static void op_submit(struct usb_host *usb, struct host_device *device, struct host_urb *urb)
{
    static const char *const types[] = {"iso", "int", "control", "bulk"};
    struct scripted_host *host = (struct scripted_host *)usb;
    note(host, "submit ep %u %s %s %u; ", urb->endpoint, types[urb->type], urb->in ? "in" : "out", urb->length);
    hold(host, device, urb);
}

static void op_cancel(struct usb_host *usb, struct host_device *device, struct host_urb *urb)
{
    struct scripted_host *host = (struct scripted_host *)usb;
    (void)device;
    note(host, "cancel; ");
    for (unsigned int i = 0; i < host->nr_held && !host->cancel_late; i++) {
        if (host->held[i] == urb) {
            scripted_host_complete(host, i, -ECONNRESET, NULL, 0);
            return;
        }
    }
}

static void op_set_configuration(struct usb_host *usb, struct host_device *device, struct host_urb *urb, uint8_t value)
{
    note((struct scripted_host *)usb, "set_configuration %u; ", value);
    hold((struct scripted_host *)usb, device, urb);
}

static void op_set_interface(struct usb_host *usb, struct host_device *device, struct host_urb *urb,
                             uint8_t interface, uint8_t alternate)
{
    note((struct scripted_host *)usb, "set_interface %u %u; ", interface, alternate);
    hold((struct scripted_host *)usb, device, urb);
}

static void op_clear_halt(struct usb_host *usb, struct host_device *device, struct host_urb *urb, uint8_t endpoint)
{
    note((struct scripted_host *)usb, "clear_halt %02x; ", endpoint);
    hold((struct scripted_host *)usb, device, urb);
}

static int op_reset(struct usb_host *usb, struct host_device *device)
{
    (void)device;
    note((struct scripted_host *)usb, "reset; ");
    return 0;
}

static void op_step(struct usb_host *usb, uint64_t now_ns)
{
    (void)usb;
    (void)now_ns;
}

static uint64_t op_deadline(struct usb_host *usb)
{
    (void)usb;
    return UINT64_MAX;
}

static const struct usb_host_ops scripted_ops = {
    .listen = op_listen,
    .unlisten = op_unlisten,
    .open = op_open,
    .close = op_close,
    .speed = op_speed,
    .submit = op_submit,
    .cancel = op_cancel,
    .set_configuration = op_set_configuration,
    .set_interface = op_set_interface,
    .clear_halt = op_clear_halt,
    .reset = op_reset,
    .step = op_step,
    .deadline = op_deadline,
};

void scripted_host_init(struct scripted_host *host)
{
    memset(host, 0, sizeof(*host));
    host->host.ops = &scripted_ops;
}
