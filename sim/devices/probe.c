// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices/probe.h"

#define ENDPOINTS  4u
#define ISO_PACKET 192u
#define MS_NS      UINT64_C(1000000)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the protocol's structs are sent as they lie in memory"
#endif

struct stream {
    struct probe_step steps[PROBE_STEPS_MAX];
    unsigned int first, used;
    struct probe_step fallback;
    struct host_urb *urb; /* that the step is for, NULL for none */
    struct probe_step step;
    uint32_t position;
    uint32_t last_bytes;
    uint8_t last[PROBE_BYTES_MAX];
};

struct probe {
    struct usb_device device;
    struct sim_host *host;
    char busid[SIM_HOST_BUSID_SIZE];
    uint64_t unplug_at;
    uint8_t device_desc[18];
    uint8_t config[160];
    const uint8_t *configs[1];
    struct stream in[ENDPOINTS + 1], out[ENDPOINTS + 1]; /* by endpoint number, 0 is not used */
    uint8_t bytes[PROBE_BYTES_MAX];
    uint32_t nr_bytes;
    struct probe_entry log[PROBE_LOG_MAX];
    unsigned int nr_log;
};

static struct probe *probe_of(const struct usb_device *device)
{
    return (struct probe *)(uintptr_t)device; /* drops the const of those who only ask */
}

/* NULL when there is no such endpoint. */
static struct stream *stream_of(struct probe *probe, uint16_t address)
{
    unsigned int number = address & 0x7fu;
    if (address > 0xff || number == 0 || number > ENDPOINTS)
        return NULL;
    return address & 0x80u ? &probe->in[number] : &probe->out[number];
}

/* ---- scripts ---- */

static struct probe_step next_step(struct stream *s)
{
    if (s->used == 0)
        return s->fallback;
    struct probe_step step = s->steps[s->first];
    s->first = (s->first + 1) % PROBE_STEPS_MAX;
    s->used--;
    return step;
}

/* A transfer is looked at again and again, and takes one step. */
static struct probe_step *step_for(struct stream *s, struct host_urb *urb)
{
    if (s->urb != urb) {
        s->urb = urb;
        s->step = next_step(s);
    }
    return &s->step;
}

static void clear(struct probe *probe)
{
    for (unsigned int i = 0; i <= ENDPOINTS; i++) {
        struct stream *both[2] = {&probe->in[i], &probe->out[i]};
        for (unsigned int j = 0; j < 2; j++) {
            both[j]->used = both[j]->position = both[j]->last_bytes = 0;
            both[j]->fallback = (struct probe_step){.action = PROBE_SEND};
        }
    }
    probe->in[2].fallback.action = PROBE_HOLD;
    probe->nr_log = 0;
}

static int set_script(struct stream *s, bool fallback, const uint8_t *data, uint32_t n)
{
    struct probe_step step;
    if (n == 0 || n % sizeof(step) || (!fallback && n / sizeof(step) > PROBE_STEPS_MAX - s->used))
        return -EPIPE;
    for (uint32_t at = 0; at < n; at += (uint32_t)sizeof(step)) {
        memcpy(&step, data + at, sizeof(step));
        if (step.action > PROBE_BABBLE)
            return -EPIPE;
    }
    for (uint32_t at = 0; at < n; at += (uint32_t)sizeof(step)) {
        memcpy(&step, data + at, sizeof(step));
        if (fallback)
            s->fallback = step;
        else
            s->steps[(s->first + s->used++) % PROBE_STEPS_MAX] = step;
    }
    return DEVICE_DONE;
}

/* ---- bulk and interrupt ---- */

static void send(struct stream *s, struct device_endpoint *ep, uint32_t n)
{
    uint8_t bytes[512];
    struct device_run run = device_in(ep, n);
    for (uint32_t at = 0; at < run.store; at += (uint32_t)sizeof(bytes)) {
        uint32_t part = run.store - at < sizeof(bytes) ? run.store - at : (uint32_t)sizeof(bytes);
        for (uint32_t i = 0; i < part; i++)
            bytes[i] = PROBE_BYTE(ep->address, s->position + at + i);
        host_urb_write(ep->head, run.offset + at, bytes, part);
    }
    s->position += run.used;
}

/* Moves what comes before a hold, stall or error: whole packets, and not all of the transfer. */
static void move_some(struct stream *s, struct device_endpoint *ep, uint32_t n)
{
    n -= n % ep->packet;
    if (ep->moved >= n || n >= ep->head->length)
        return;
    if (ep->head->in)
        send(s, ep, n - ep->moved);
    else
        device_out_take(ep, n - ep->moved);
}

static int probe_move(struct usb_device *device, struct device_endpoint *ep)
{
    struct stream *s = stream_of(probe_of(device), ep->address);
    const struct probe_step *step = step_for(s, ep->head);
    uint32_t room = ep->head->length - ep->moved;
    if (step->action == PROBE_HOLD || step->action == PROBE_STALL || step->action == PROBE_ERROR) {
        move_some(s, ep, step->n);
        if (step->action == PROBE_HOLD)
            return DEVICE_WAIT;
        return step->action == PROBE_STALL ? -EPIPE : -EPROTO;
    }
    if (!ep->head->in) {
        device_out_take(ep, room);
        return DEVICE_DONE;
    }
    send(s, ep, step->action == PROBE_SHORT && step->n < room ? step->n : room);
    ep->ended = true;
    return step->action == PROBE_BABBLE ? -EOVERFLOW : DEVICE_DONE;
}

/* One step for each packet. */
static void probe_iso(struct usb_device *device, struct device_endpoint *ep, struct pvusb_iso_desc *packet)
{
    struct stream *s = stream_of(probe_of(device), ep->address);
    struct probe_step step = next_step(s);
    uint8_t bytes[ISO_PACKET + 1];
    uint32_t n = packet->length < ISO_PACKET ? packet->length : ISO_PACKET;
    if (step.action == PROBE_STALL || step.action == PROBE_ERROR) {
        packet->status = step.action == PROBE_STALL ? -EPIPE : -EPROTO;
        return;
    }
    if (!ep->head->in) {
        (void)device_iso_out(ep, packet, bytes, ISO_PACKET);
        return;
    }
    if (step.action == PROBE_HOLD)
        n = 0;
    else if (step.action == PROBE_SHORT && step.n < n)
        n = step.n;
    else if (step.action == PROBE_BABBLE)
        n++;
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = PROBE_BYTE(ep->address, s->position + i);
    device_iso_in(ep, packet, bytes, n);
    s->position += packet->actual_length;
}

/* ---- what reached the device ---- */

static uint32_t sum_of(const struct host_urb *urb, uint32_t n)
{
    uint8_t bytes[512];
    uint32_t sum = 0;
    for (uint32_t at = 0; at < n; at += (uint32_t)sizeof(bytes)) {
        uint32_t part = host_urb_read(urb, at, bytes, n - at < sizeof(bytes) ? n - at : (uint32_t)sizeof(bytes));
        for (uint32_t i = 0; i < part; i++)
            sum += (at + i + 1) * bytes[i];
    }
    return sum;
}

static void probe_ended(struct usb_device *device, struct device_endpoint *ep, const struct host_urb *urb,
                        int32_t status, uint32_t moved)
{
    struct probe *probe = probe_of(device);
    struct stream *s = stream_of(probe, ep->address);
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;
    if (s && s->urb == urb)
        s->urb = NULL;
    if (s && !urb->in) {
        uint32_t n = moved < PROBE_BYTES_MAX ? moved : PROBE_BYTES_MAX;
        s->last_bytes = host_urb_read(urb, moved - n, s->last, n);
    }
    if (probe->nr_log == PROBE_LOG_MAX || (control && (urb->setup[0] & 0x60u) == 0x40))
        return;
    struct probe_entry *entry = &probe->log[probe->nr_log++];
    *entry = (struct probe_entry){
        .endpoint = (uint8_t)((control ? 0u : urb->endpoint & 15u) | (urb->in ? 0x80u : 0u)),
        .type = urb->type,
        .end = status == -ECONNRESET ? PROBE_CANCELLED : PROBE_ENDED,
        .length = urb->length,
        .actual = moved,
        .sum = sum_of(urb, moved),
    };
    if (control)
        memcpy(entry->setup, urb->setup, sizeof(entry->setup));
}

/* ---- vendor requests ---- */

static int take_script(struct probe *probe, struct device_endpoint *ep, const struct usb_setup *setup)
{
    uint8_t data[PROBE_STEPS_MAX * sizeof(struct probe_step)];
    struct stream *s = stream_of(probe, setup->index);
    if (!s || setup->value > 1 || setup->length > sizeof(data))
        return -EPIPE;
    return set_script(s, setup->value == 1, data, device_control_out(ep, setup, data, sizeof(data)));
}

static int release(struct probe *probe, uint16_t address)
{
    struct stream *s = stream_of(probe, address);
    if (!s)
        return -EPIPE;
    if (s->urb && s->step.action == PROBE_HOLD)
        s->step.action = PROBE_SEND;
    device_kick(&probe->device, (uint8_t)address);
    return DEVICE_DONE;
}

static int set(struct probe *probe, struct device_endpoint *ep, const struct usb_setup *setup)
{
    switch (setup->request) {
    case PROBE_SET_SCRIPT:
        return take_script(probe, ep, setup);
    case PROBE_SET_RELEASE:
        return release(probe, setup->index);
    case PROBE_SET_CLEAR:
        clear(probe);
        return DEVICE_DONE;
    case PROBE_SET_UNPLUG:
        if (!probe->host || setup->index) /* what has gone cannot bring itself back */
            return -EPIPE;
        probe->unplug_at = probe->device.now_ns + setup->value * MS_NS;
        return DEVICE_DONE;
    case PROBE_SET_BYTES:
        if (setup->length > PROBE_BYTES_MAX)
            return -EPIPE;
        probe->nr_bytes = device_control_out(ep, setup, probe->bytes, PROBE_BYTES_MAX);
        return DEVICE_DONE;
    default:
        return -EPIPE;
    }
}

static int get(struct probe *probe, struct device_endpoint *ep, const struct usb_setup *setup)
{
    const struct stream *s = stream_of(probe, setup->index);
    uint32_t n = probe->nr_bytes;
    switch (setup->request) {
    case PROBE_GET_LOG:
        if (setup->index > probe->nr_log)
            return -EPIPE;
        n = probe->nr_log - setup->index;
        if (n > setup->length / sizeof(struct probe_entry))
            n = (uint32_t)(setup->length / sizeof(struct probe_entry));
        return device_control_in(ep, setup, probe->log + setup->index, n * (uint32_t)sizeof(struct probe_entry));
    case PROBE_GET_BYTES:
        if (setup->value && setup->value < n)
            n = setup->value;
        (void)device_control_in(ep, setup, probe->bytes, n);
        if (setup->index == 1)
            ep->status = -EOVERFLOW;
        return DEVICE_DONE;
    case PROBE_GET_LAST:
        return s && !(setup->index & 0x80u) ? device_control_in(ep, setup, s->last, s->last_bytes) : -EPIPE;
    default:
        return -EPIPE;
    }
}

static int probe_control(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup)
{
    struct probe *probe = probe_of(device);
    if ((setup->type & 0x7fu) != 0x40 || setup->request == PROBE_DO_STALL)
        return -EPIPE;
    if (setup->request == PROBE_DO_HOLD)
        return DEVICE_WAIT;
    return setup->type & 0x80u ? get(probe, ep, setup) : set(probe, ep, setup);
}

/* ---- the device ---- */

static void probe_device_step(struct usb_device *device, uint64_t now_ns)
{
    struct probe *probe = probe_of(device);
    if (now_ns < probe->unplug_at)
        return;
    probe->unplug_at = UINT64_MAX;
    /* Whoever stepped us keeps the device until we are back. */
    (void)sim_host_unplug(probe->host, probe->busid);
}

static uint64_t probe_deadline(const struct usb_device *device)
{
    return probe_of(device)->unplug_at;
}

static void probe_destroy(struct usb_device *device)
{
    free(probe_of(device));
}

static const struct usb_device_ops probe_ops = {
    .control = probe_control,
    .in = probe_move,
    .out = probe_move,
    .iso = probe_iso,
    .ended = probe_ended,
    .step = probe_device_step,
    .deadline = probe_deadline,
    .destroy = probe_destroy,
};

static uint8_t *put_endpoint(uint8_t *at, uint8_t address, uint8_t type, uint16_t packet)
{
    const uint8_t bytes[7] = {7, 5, address, type, (uint8_t)packet, (uint8_t)(packet >> 8), type == 2 ? 0 : 1};
    memcpy(at, bytes, sizeof(bytes));
    return at + sizeof(bytes);
}

static uint8_t *put_alternate(uint8_t *at, uint8_t alternate, uint8_t speed)
{
    bool low = speed == USBIF_SPEED_LOW;
    uint16_t bulk = speed == USBIF_SPEED_HIGH ? 512 : 64;
    uint8_t *start = at;
    const uint8_t interface[9] = {9, 4, 0, alternate, 0, 0xff, 0, 0, 0};
    memcpy(at, interface, sizeof(interface));
    at += sizeof(interface);
    for (uint8_t number = 1; number <= 3; number++) {
        if (low && number != 2)
            continue;
        uint8_t type = number == 2 ? 3 : 2; /* as bmAttributes says it */
        uint16_t packet = number != 2 ? bulk : low ? 8 : 64;
        at = put_endpoint(at, 0x80u | number, type, packet);
        at = put_endpoint(at, number, type, packet);
    }
    if (alternate == 1) {
        at = put_endpoint(at, 0x84, 1, ISO_PACKET);
        at = put_endpoint(at, 0x04, 1, ISO_PACKET);
    }
    start[4] = (uint8_t)((at - start - 9) / 7);
    return at;
}

static void put_descriptors(struct probe *probe, uint8_t speed)
{
    bool low = speed == USBIF_SPEED_LOW;
    const uint8_t device[18] = {18, 1, 0x00, 2, 0xff, 0, 0, low ? 8 : 64, PROBE_VENDOR & 0xff, PROBE_VENDOR >> 8,
                                PROBE_PRODUCT & 0xff, PROBE_PRODUCT >> 8, 0, 1, 1, 2, 0, 1};
    const uint8_t head[9] = {9, 2, 0, 0, 1, 1, 0, 0xc0, 1};
    memcpy(probe->device_desc, device, sizeof(device));
    memcpy(probe->config, head, sizeof(head));
    uint8_t *at = put_alternate(probe->config + sizeof(head), 0, speed);
    if (!low)
        at = put_alternate(at, 1, speed);
    probe->config[2] = (uint8_t)(at - probe->config);
    probe->configs[0] = probe->config;
}

int probe_create(const struct probe_config *config, struct usb_device **out)
{
    static const char *const strings[] = {"PVUSB", "Probe"};
    uint8_t speed = config->speed ? config->speed : USBIF_SPEED_HIGH;
    if (speed > USBIF_SPEED_HIGH)
        return -EINVAL;
    struct probe *probe = calloc(1, sizeof(*probe));
    if (!probe)
        return -ENOMEM;
    probe->host = config->busid ? config->host : NULL;
    snprintf(probe->busid, sizeof(probe->busid), "%s", config->busid ? config->busid : "");
    probe->unplug_at = UINT64_MAX;
    clear(probe);
    put_descriptors(probe, speed);
    const struct usb_descriptors descriptors = {
        .device = probe->device_desc,
        .configurations = probe->configs,
        .strings = strings,
        .nr_strings = 2,
        .speed = speed,
    };
    int rc = device_init(&probe->device, &probe_ops, &descriptors);
    if (rc) {
        free(probe);
        return rc;
    }
    *out = &probe->device;
    return 0;
}
