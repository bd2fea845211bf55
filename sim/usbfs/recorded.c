// SPDX-License-Identifier: MIT
#include "usbfs/recorded.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replay/replay_host.h"
#include "usbfs/describe.h"

struct host_device {
    char busid[PLAN_BUSID_MAX];
    struct host_device *inner; /* of the replay's host, while it is open */
    struct usb_device device;
    uint8_t bytes[18];
    uint8_t *configuration;
    const uint8_t *configurations[1];
};

struct recorded {
    struct usb_host usb;
    struct trace trace;
    struct plan plan;
    void *memory; /* of the results */
    size_t size;
    struct replay_host *replay;
    struct usb_host *inner;
    struct host_device *device;
    uint32_t nr_devices;
};

static struct recorded *recorded_of(struct usb_host *usb)
{
    return (struct recorded *)usb;
}

static struct host_device *find(struct recorded *recorded, const char *busid)
{
    for (uint32_t i = 0; i < recorded->nr_devices; i++) {
        if (strcmp(recorded->device[i].busid, busid) == 0)
            return &recorded->device[i];
    }
    return NULL;
}

/* ---- usb_host ---- */

/* Devices neither come nor go. */
static int op_listen(struct usb_host *usb, const struct usb_host_listener *listener)
{
    (void)usb;
    (void)listener;
    return 0;
}

static void op_unlisten(struct usb_host *usb, const struct usb_host_listener *listener)
{
    (void)usb;
    (void)listener;
}

static int op_open(struct usb_host *usb, const char *busid, struct host_device **out)
{
    struct recorded *recorded = recorded_of(usb);
    struct host_device *device = find(recorded, busid);
    if (!device)
        return -ENODEV;
    int rc = recorded->inner->ops->open(recorded->inner, busid, &device->inner);
    if (!rc)
        *out = device;
    return rc;
}

static void op_close(struct usb_host *usb, struct host_device *device)
{
    struct recorded *recorded = recorded_of(usb);
    recorded->inner->ops->close(recorded->inner, device->inner);
}

static uint8_t op_speed(struct usb_host *usb, struct host_device *device)
{
    (void)usb;
    (void)device;
    return USBIF_SPEED_HIGH;
}

/* A host's own request, which no recording has. */
static bool is_settings(const struct host_urb *urb)
{
    return urb->type == USBIF_PIPE_TYPE_CTRL &&
           ((urb->setup[0] == 0 && urb->setup[1] == 9) || (urb->setup[0] == 1 && urb->setup[1] == 11) ||
            (urb->setup[0] == 2 && urb->setup[1] == 1));
}

static void op_submit(struct usb_host *usb, struct host_device *device, struct host_urb *urb)
{
    struct recorded *recorded = recorded_of(usb);
    if (is_settings(urb))
        device_submit(&device->device, urb);
    else
        recorded->inner->ops->submit(recorded->inner, device->inner, urb);
}

static void op_cancel(struct usb_host *usb, struct host_device *device, struct host_urb *urb)
{
    struct recorded *recorded = recorded_of(usb);
    if (!is_settings(urb)) /* those are over at once */
        recorded->inner->ops->cancel(recorded->inner, device->inner, urb);
}

static void op_set_configuration(struct usb_host *usb, struct host_device *device, struct host_urb *urb,
                                 uint8_t value)
{
    (void)usb;
    (void)value;
    device_submit(&device->device, urb);
}

static void op_set_interface(struct usb_host *usb, struct host_device *device, struct host_urb *urb,
                             uint8_t interface, uint8_t alternate)
{
    (void)usb;
    (void)interface;
    (void)alternate;
    device_submit(&device->device, urb);
}

static void op_clear_halt(struct usb_host *usb, struct host_device *device, struct host_urb *urb,
                          uint8_t endpoint)
{
    (void)usb;
    (void)endpoint;
    device_submit(&device->device, urb);
}

static int op_reset(struct usb_host *usb, struct host_device *device)
{
    (void)usb;
    device_reset(&device->device);
    return 0;
}

static void op_step(struct usb_host *usb, uint64_t now_ns)
{
    struct recorded *recorded = recorded_of(usb);
    recorded->inner->ops->step(recorded->inner, now_ns);
}

static uint64_t op_deadline(struct usb_host *usb)
{
    struct recorded *recorded = recorded_of(usb);
    return recorded->inner->ops->deadline(recorded->inner);
}

static const struct usb_host_ops recorded_ops = {
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

/* ---- life ---- */

static int describe(struct recorded *recorded, uint32_t index, struct host_device *device, bool *made_up)
{
    static const struct usb_device_ops settings_only = {0};
    free(device->configuration);
    int rc = describe_recorded(&recorded->plan, index, device->bytes, &device->configuration, made_up);
    if (rc)
        return rc;
    device->configurations[0] = device->configuration;
    /* The speed that has no rules for packet sizes, which a recording need not keep. */
    const struct usb_descriptors descriptors = {
        .device = device->bytes, .configurations = device->configurations, .speed = DEVICE_SPEED_SUPER};
    uint8_t packet = device->bytes[7];
    device->bytes[7] = 9;
    rc = device_init(&device->device, &settings_only, &descriptors);
    device->bytes[7] = packet;
    return rc;
}

static int make_device(struct recorded *recorded, uint32_t index)
{
    const struct plan_device *planned = &recorded->plan.device[index];
    struct host_device *device = &recorded->device[recorded->nr_devices++];
    bool made_up = false;
    plan_busid(&recorded->plan.controller[planned->controller], planned->port, device->busid);
    int rc = describe(recorded, index, device, &made_up);
    if (rc != -EINVAL || made_up)
        return rc;
    made_up = true; /* the real one says what our devices may not */
    return describe(recorded, index, device, &made_up);
}

static int map_notes(struct recorded *recorded, const char *notes, struct replay_results **out)
{
    struct stat about;
    recorded->size = replay_results_size(&recorded->trace);
    int fd = notes ? open(notes, O_RDWR | O_CLOEXEC) : -1;
    if (notes && fd < 0)
        return -errno;
    if (notes && (fstat(fd, &about) || (uint64_t)about.st_size != recorded->size)) {
        close(fd);
        return -EINVAL;
    }
    void *memory =
        mmap(NULL, recorded->size, PROT_READ | PROT_WRITE, MAP_SHARED | (notes ? 0 : MAP_ANONYMOUS), fd, 0);
    int rc = memory == MAP_FAILED ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (rc)
        return rc;
    recorded->memory = memory;
    *out = replay_results_at(memory, &recorded->trace);
    return 0;
}

static int make_all(struct recorded *recorded, const char *notes, char *error)
{
    struct replay_results *results = NULL;
    int rc = plan_create_for(&recorded->trace, PLAN_QEMU, &recorded->plan);
    if (!rc && (rc = map_notes(recorded, notes, &results)) != 0) {
        snprintf(error, TRACE_ERROR_MAX, "%.300s: %s", notes ? notes : "notes", strerror(-rc));
        return rc;
    }
    if (!rc)
        rc = replay_host_create(&recorded->plan, REPLAY_ENDPOINT, results, &recorded->replay);
    recorded->device = calloc(recorded->plan.nr_devices + 1, sizeof(*recorded->device));
    if (!rc && !recorded->device)
        rc = -ENOMEM;
    for (uint32_t i = 0; !rc && i < recorded->plan.nr_devices; i++) {
        if (recorded->plan.device[i].port != 0)
            rc = make_device(recorded, i);
    }
    if (rc) {
        snprintf(error, TRACE_ERROR_MAX, "the recorded devices: %s", strerror(-rc));
        return rc;
    }
    recorded->inner = replay_host_usb(recorded->replay);
    recorded->inner->ops->step(recorded->inner, 0); /* all are plugged in from the beginning */
    return 0;
}

int recorded_create(const char *trace, const char *notes, struct recorded **out, char *error)
{
    struct recorded *recorded = calloc(1, sizeof(*recorded));
    if (!recorded) {
        snprintf(error, TRACE_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    recorded->usb.ops = &recorded_ops;
    int rc = trace_read(trace, &recorded->trace, error);
    if (!rc)
        rc = make_all(recorded, notes, error);
    if (rc)
        recorded_destroy(recorded);
    else
        *out = recorded;
    return rc;
}

void recorded_destroy(struct recorded *recorded)
{
    if (!recorded)
        return;
    for (uint32_t i = 0; i < recorded->nr_devices; i++)
        free(recorded->device[i].configuration);
    free(recorded->device);
    replay_host_destroy(recorded->replay);
    if (recorded->memory)
        munmap(recorded->memory, recorded->size);
    plan_dispose(&recorded->plan);
    trace_dispose(&recorded->trace);
    free(recorded);
}

struct usb_host *recorded_host(struct recorded *recorded)
{
    return &recorded->usb;
}

const char *recorded_busid(const struct recorded *recorded, uint32_t index)
{
    return index < recorded->nr_devices ? recorded->device[index].busid : NULL;
}

struct usb_device *recorded_device(struct recorded *recorded, const char *busid)
{
    struct host_device *device = find(recorded, busid);
    return device ? &device->device : NULL;
}
