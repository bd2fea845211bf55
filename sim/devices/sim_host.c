// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "devices/sim_host.h"

/* One per device that was plugged in; goes when it is neither plugged in nor open. */
struct host_device {
    char busid[SIM_HOST_BUSID_SIZE];
    struct usb_device *device; /* NULL once unplugged */
    bool open;
    bool timed;    /* has something to do when time passes */
    bool unusable; /* super-speed, and nothing else will do */
    uint8_t speed;
    uint8_t shown[18]; /* the device descriptor of one that is super-speed */
    struct host_device *next;
};

struct sim_host {
    struct usb_host host;
    struct host_device *devices; /* those that are timed first: many idle ones without cost nothing */
    bool stale;                  /* sweep() may find something */
    unsigned int held; /* functions on the stack that need the list of devices as it is */
    const struct usb_host_listener **listeners; /* NULL where one was removed */
    unsigned int nr_listeners;
};

static struct sim_host *sim(struct usb_host *host)
{
    return (struct sim_host *)host;
}

bool sim_host_busid_valid(const char *busid)
{
    const char *p = busid;
    bool dash = false;
    if (strnlen(busid, SIM_HOST_BUSID_SIZE) >= SIM_HOST_BUSID_SIZE)
        return false;
    for (;;) {
        if (*p < '1' || *p > '9')
            return false;
        while (*p >= '0' && *p <= '9')
            p++;
        if (*p == '\0')
            return dash;
        if (*p != (dash ? '.' : '-'))
            return false;
        dash = true;
        p++;
    }
}

static struct host_device *find(struct sim_host *host, const char *busid)
{
    for (struct host_device *d = host->devices; d; d = d->next) {
        if (d->device && strcmp(d->busid, busid) == 0)
            return d;
    }
    return NULL;
}

/* Frees what is neither plugged in nor open, unless somebody up the stack holds on to the list. */
static void sweep(struct sim_host *host)
{
    if (host->held || !host->stale)
        return;
    host->stale = false;
    for (struct host_device **link = &host->devices; *link;) {
        struct host_device *d = *link;
        if (d->device || d->open) {
            link = &d->next;
            continue;
        }
        *link = d->next;
        free(d);
    }
}

static void tell(struct sim_host *host, const char *busid, bool plugged)
{
    for (unsigned int i = 0; i < host->nr_listeners; i++) {
        const struct usb_host_listener *l = host->listeners[i]; /* looked up anew: a callback may add one */
        void (*callback)(void *, const char *) = l ? (plugged ? l->plugged : l->unplugged) : NULL;
        if (callback)
            callback(l->context, busid);
    }
}

static int op_listen(struct usb_host *host, const struct usb_host_listener *listener)
{
    struct sim_host *h = sim(host);
    for (unsigned int i = 0; i < h->nr_listeners; i++) {
        if (!h->listeners[i]) {
            h->listeners[i] = listener;
            return 0;
        }
    }
    const struct usb_host_listener **grown =
        realloc(h->listeners, (h->nr_listeners + 1) * sizeof(const struct usb_host_listener *));
    if (!grown)
        return -ENOMEM;
    h->listeners = grown;
    h->listeners[h->nr_listeners++] = listener;
    return 0;
}

static void op_unlisten(struct usb_host *host, const struct usb_host_listener *listener)
{
    for (unsigned int i = 0; i < sim(host)->nr_listeners; i++) {
        if (sim(host)->listeners[i] == listener)
            sim(host)->listeners[i] = NULL;
    }
}

static int op_open(struct usb_host *host, const char *busid, struct host_device **out)
{
    struct host_device *d = find(sim(host), busid);
    if (!d)
        return -ENODEV;
    if (d->device->descriptors.device[4] == DEVICE_HUB_CLASS)
        return -EACCES; /* rule CONN-14 */
    if (d->unusable)
        return -EOPNOTSUPP;
    if (d->open)
        return -EBUSY;
    d->open = true;
    *out = d;
    return 0;
}

static void op_close(struct usb_host *host, struct host_device *device)
{
    assert(device->open);
    if (device->device) {
        device_abort(device->device, -ECONNRESET);
        (void)device_slow_down(device->device, false);
    }
    device->open = false;
    sim(host)->stale = true;
    sweep(sim(host));
}

static uint8_t op_speed(struct usb_host *host, struct host_device *device)
{
    (void)host;
    return device->device && device->device->slowed ? USBIF_SPEED_FULL : device->speed;
}

static int op_full_speed(struct usb_host *host, struct host_device *device)
{
    (void)host;
    return device->device ? device_slow_down(device->device, true) : -ENODEV;
}

static void op_submit(struct usb_host *host, struct host_device *device, struct host_urb *urb)
{
    (void)host;
    if (device->device)
        device_submit(device->device, urb);
    else
        host_urb_complete(urb, -ENODEV, 0);
}

static void op_cancel(struct usb_host *host, struct host_device *device, struct host_urb *urb)
{
    (void)host;
    if (device->device)
        device_cancel(device->device, urb);
}

/* The three requests need nothing special here: the device itself answers them. */
static void op_set_configuration(struct usb_host *host, struct host_device *device, struct host_urb *urb,
                                 uint8_t value)
{
    (void)value;
    op_submit(host, device, urb);
}

static void op_set_interface(struct usb_host *host, struct host_device *device, struct host_urb *urb,
                             uint8_t interface, uint8_t alternate)
{
    (void)interface;
    (void)alternate;
    op_submit(host, device, urb);
}

static void op_clear_halt(struct usb_host *host, struct host_device *device, struct host_urb *urb,
                          uint8_t endpoint_address)
{
    (void)endpoint_address;
    op_submit(host, device, urb);
}

static int op_reset(struct usb_host *host, struct host_device *device)
{
    (void)host;
    if (!device->device)
        return -ENODEV;
    device_reset(device->device);
    return 0;
}

static void op_step(struct usb_host *host, uint64_t now_ns)
{
    sim(host)->held++;
    for (struct host_device *d = sim(host)->devices; d && d->timed; d = d->next) {
        if (d->device)
            device_step(d->device, now_ns);
    }
    sim(host)->held--;
    sweep(sim(host));
}

static uint64_t op_deadline(struct usb_host *host)
{
    uint64_t first = UINT64_MAX;
    for (struct host_device *d = sim(host)->devices; d && d->timed; d = d->next) {
        uint64_t due = d->device ? device_deadline(d->device) : UINT64_MAX;
        if (due < first)
            first = due;
    }
    return first;
}

static const struct usb_host_ops sim_host_ops = {
    .listen = op_listen,
    .unlisten = op_unlisten,
    .open = op_open,
    .close = op_close,
    .speed = op_speed,
    .full_speed = op_full_speed,
    .submit = op_submit,
    .cancel = op_cancel,
    .set_configuration = op_set_configuration,
    .set_interface = op_set_interface,
    .clear_halt = op_clear_halt,
    .reset = op_reset,
    .step = op_step,
    .deadline = op_deadline,
};

int sim_host_create(struct sim_host **out)
{
    struct sim_host *host = calloc(1, sizeof(*host));
    if (!host)
        return -ENOMEM;
    host->host.ops = &sim_host_ops;
    *out = host;
    return 0;
}

void sim_host_destroy(struct sim_host *host)
{
    if (!host)
        return;
    for (struct host_device *d = host->devices; d; d = d->next) {
        assert(!d->open && d->device);
        device_destroy(d->device);
        d->device = NULL;
    }
    host->stale = true;
    sweep(host);
    free(host->listeners);
    free(host);
}

/* ---- super-speed ---- */

/* The same checks as QEMU's: what high speed does not have, or the guest would not know how to ask for. */
static bool fits_high_speed(const uint8_t *config)
{
    enum { ISOCHRONOUS = 1, BULK = 2, INTERRUPT = 3, DT_ENDPOINT = 5, DT_COMPANION = 0x30 };
    unsigned int total = config[2] | (unsigned int)config[3] << 8, type = 0;
    for (unsigned int at = 0; at < total; at += config[at]) {
        const uint8_t *d = config + at;
        if (d[1] == DT_ENDPOINT)
            type = d[3] & 3u;
        if (d[1] == DT_ENDPOINT && type == ISOCHRONOUS)
            return false;
        if (d[1] == DT_ENDPOINT && type == INTERRUPT && (d[4] | (unsigned int)d[5] << 8) > 1024)
            return false;
        /* USB 3.2 section 9.6.7: the low bits of a bulk endpoint's bmAttributes are its streams. */
        if (d[1] == DT_COMPANION && d[0] >= 6 && type == BULK && d[3] & 0x1fu)
            return false;
    }
    return true;
}

static void present_super(struct host_device *d, struct usb_device *device)
{
    struct usb_descriptors *descriptors = &device->descriptors;
    d->speed = USBIF_SPEED_HIGH;
    for (unsigned int i = 0; i < descriptors->device[17]; i++)
        d->unusable = d->unusable || !fits_high_speed(descriptors->configurations[i]);
    memcpy(d->shown, descriptors->device, sizeof(d->shown));
    if (d->shown[7] == 9)
        d->shown[7] = 64;
    descriptors->device = d->shown;
}

/* Time is nothing to a device that has neither a step nor isochronous endpoints. */
static bool has_time(const struct usb_device *device)
{
    return device->ops->step || device->ops->iso;
}

static void enlist(struct sim_host *host, struct host_device *d)
{
    struct host_device **link = &host->devices;
    d->timed = has_time(d->device);
    while (!d->timed && *link && (*link)->timed)
        link = &(*link)->next;
    d->next = *link;
    *link = d;
}

int sim_host_plug(struct sim_host *host, const char *busid, struct usb_device *device)
{
    struct host_device *d = NULL;
    int rc;

    rc = -EINVAL;
    if (!sim_host_busid_valid(busid))
        goto out;
    rc = -EEXIST;
    if (find(host, busid))
        goto out;
    rc = -ENOMEM;
    d = calloc(1, sizeof(*d));
    if (!d)
        goto out;
    memcpy(d->busid, busid, strlen(busid));
    d->device = device;
    d->speed = device->descriptors.speed;
    if (d->speed == DEVICE_SPEED_SUPER)
        present_super(d, device);
    enlist(host, d);
    host->held++;
    tell(host, d->busid, true);
    host->held--;
    sweep(host);
    return 0;
out:
    device_destroy(device);
    return rc;
}

int sim_host_unplug(struct sim_host *host, const char *busid)
{
    struct host_device *d = find(host, busid);
    if (!d)
        return -ENODEV;
    struct usb_device *device = d->device;
    /* Before anything completes, so that nobody starts another transfer from a completion. */
    d->device = NULL;
    host->stale = true;
    host->held++;
    device_abort(device, -ENODEV);
    device_destroy(device);
    tell(host, d->busid, false);
    host->held--;
    sweep(host);
    return 0;
}

void sim_host_ops_changed(struct sim_host *host, const char *busid)
{
    struct host_device *d = find(host, busid);
    struct host_device **link = &host->devices;
    if (!d || d->timed)
        return;
    while (*link != d)
        link = &(*link)->next;
    *link = d->next;
    enlist(host, d);
}

struct usb_device *sim_host_device(struct sim_host *host, const char *busid)
{
    struct host_device *d = find(host, busid);
    return d ? d->device : NULL;
}

struct usb_host *sim_host_host(struct sim_host *host)
{
    return &host->host;
}
