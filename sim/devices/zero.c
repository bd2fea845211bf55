// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "devices/zero.h"

#define BUFFERS      32u /* of the loopback, as many as the gadget queues */
#define BUFFER_BYTES 4096u
#define PATTERN_MOD  63u
#define PACKET_MAX   1024u

struct buffer {
    uint32_t n, at; /* filled, and given back */
    bool full;      /* ended: a short packet came, or there is no more room */
    uint8_t bytes[BUFFER_BYTES];
};

struct zero {
    struct usb_device device;
    struct zero_stats stats;
    uint8_t pattern;
    const uint8_t *configs[2];
    uint8_t source_sink[69], loopback[32];
    uint8_t control[ZERO_CONTROL_BYTES];
    struct buffer buffers[BUFFERS];
    unsigned int first, used; /* buffers that hold something */
};

static struct zero *zero_of(const struct usb_device *device)
{
    return (struct zero *)(uintptr_t)device; /* drops the const of those who only ask */
}

/* ---- the pattern; it starts anew in every packet ---- */

static uint8_t pattern_byte(const struct zero *zero, uint32_t at)
{
    return zero->pattern ? (uint8_t)(at % PATTERN_MOD) : 0;
}

static void write_pattern(struct zero *zero, struct device_endpoint *ep, uint32_t offset, uint32_t n)
{
    uint8_t bytes[PACKET_MAX];
    for (uint32_t i = 0; i < ep->packet; i++)
        bytes[i] = pattern_byte(zero, i);
    for (uint32_t at = 0; at < n; at += ep->packet)
        host_urb_write(ep->head, offset + at, bytes, n - at < ep->packet ? n - at : ep->packet);
}

static bool pattern_good(struct zero *zero, const uint8_t *bytes, uint32_t n)
{
    uint64_t wrong = 0;
    for (uint32_t i = 0; i < n; i++)
        wrong += bytes[i] != pattern_byte(zero, i);
    zero->stats.wrong += wrong;
    return wrong == 0;
}

/* ---- source and sink ---- */

static int source(struct zero *zero, struct device_endpoint *ep)
{
    uint32_t room = ep->head->length - ep->moved;
    uint32_t packets = (room + ep->packet - 1) / ep->packet;
    struct device_run run = device_in(ep, (packets ? packets : 1) * ep->packet);
    write_pattern(zero, ep, run.offset, run.store);
    zero->stats.bytes_in += run.used;
    return DEVICE_DONE;
}

static int sink(struct zero *zero, struct device_endpoint *ep)
{
    uint8_t bytes[PACKET_MAX];
    bool good = true;
    do {
        uint32_t n = device_out_packet(ep);
        host_urb_read(ep->head, ep->moved, bytes, n);
        device_out_take(ep, n);
        zero->stats.bytes_out += n;
        good = pattern_good(zero, bytes, n);
    } while (good && !ep->ended);
    if (!good)
        device_halt(&zero->device, ep->address);
    return DEVICE_DONE;
}

static void zero_iso(struct usb_device *device, struct device_endpoint *ep, struct pvusb_iso_desc *packet)
{
    struct zero *zero = zero_of(device);
    uint8_t bytes[3 * PACKET_MAX];
    if (ep->head->in) {
        for (uint32_t i = 0; i < ep->capacity; i++)
            bytes[i] = pattern_byte(zero, i % ep->packet);
        device_iso_in(ep, packet, bytes, packet->length < ep->capacity ? packet->length : ep->capacity);
        zero->stats.packets_in++;
    } else {
        const uint32_t n = device_iso_out(ep, packet, bytes, ep->capacity);
        for (uint32_t at = 0; at < n; at += ep->packet)
            (void)pattern_good(zero, bytes + at, n - at < ep->packet ? n - at : ep->packet);
        zero->stats.packets_out++;
    }
}

static void zero_missed(struct usb_device *device, struct device_endpoint *ep, uint64_t packets)
{
    (void)ep;
    zero_of(device)->stats.missed += packets;
}

/* ---- loopback ---- */

static int loop_out(struct zero *zero, struct device_endpoint *ep)
{
    struct buffer *buffer = &zero->buffers[(zero->first + zero->used - 1) % BUFFERS];
    uint32_t n = device_out_packet(ep);
    if (zero->used == 0 || buffer->full) {
        if (zero->used == BUFFERS)
            return DEVICE_WAIT;
        buffer = &zero->buffers[(zero->first + zero->used++) % BUFFERS];
        buffer->n = buffer->at = 0;
    }
    host_urb_read(ep->head, ep->moved, buffer->bytes + buffer->n, n);
    device_out_take(ep, n);
    buffer->n += n;
    zero->stats.bytes_out += n;
    /* BUFFER_BYTES is a multiple of every packet size. */
    buffer->full = n < ep->packet || buffer->n == BUFFER_BYTES;
    device_kick(&zero->device, ZERO_EP_IN);
    return DEVICE_DONE;
}

static int loop_in(struct zero *zero, struct device_endpoint *ep)
{
    struct buffer *buffer = &zero->buffers[zero->first];
    if (zero->used == 0 || !buffer->full)
        return DEVICE_WAIT;
    uint32_t used = device_in_copy(ep, buffer->bytes + buffer->at, buffer->n - buffer->at);
    buffer->at += used;
    zero->stats.bytes_in += used;
    if (buffer->at == buffer->n) {
        zero->first = (zero->first + 1) % BUFFERS;
        zero->used--;
        device_kick(&zero->device, ZERO_EP_OUT);
    }
    return DEVICE_DONE;
}

/* ---- the device ---- */

static int zero_in(struct usb_device *device, struct device_endpoint *ep)
{
    bool loop = device->configuration == ZERO_LOOPBACK;
    return loop ? loop_in(zero_of(device), ep) : source(zero_of(device), ep);
}

static int zero_out(struct usb_device *device, struct device_endpoint *ep)
{
    bool loop = device->configuration == ZERO_LOOPBACK;
    return loop ? loop_out(zero_of(device), ep) : sink(zero_of(device), ep);
}

static int zero_control(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup)
{
    struct zero *zero = zero_of(device);
    if (setup->value || setup->index || setup->length > ZERO_CONTROL_BYTES)
        return -EPIPE;
    if (setup->type == 0x40 && setup->request == 0x5b) {
        device_control_out(ep, setup, zero->control, setup->length);
        return DEVICE_DONE;
    }
    if (setup->type == 0xc0 && setup->request == 0x5c)
        return device_control_in(ep, setup, zero->control, setup->length);
    return -EPIPE;
}

static void zero_configured(struct usb_device *device)
{
    zero_of(device)->used = 0;
}

static void zero_destroy(struct usb_device *device)
{
    free(zero_of(device));
}

static const struct usb_device_ops zero_ops = {
    .control = zero_control,
    .in = zero_in,
    .out = zero_out,
    .iso = zero_iso,
    .iso_missed = zero_missed,
    .reset = zero_configured,
    .configured = zero_configured,
    .destroy = zero_destroy,
};

/* clang-format off */
#define LE16(value)             (value) & 0xff, (value) >> 8
#define BULK_ENDPOINTS          7, 5, ZERO_EP_IN, 2, LE16(512), 0, 7, 5, ZERO_EP_OUT, 2, LE16(512), 0
/* bInterval 4, the gadget's default: 1 ms at high speed, 8 ms at full speed */
#define ISO_ENDPOINT(address)   7, 5, address, 5, LE16(1024), 4
#define ISO_ENDPOINTS           ISO_ENDPOINT(ZERO_EP_ISO_IN), ISO_ENDPOINT(ZERO_EP_ISO_OUT)
#define INTERFACE(alternate, n) 9, 4, 0, alternate, n, 0xff, 0, 0, 0

static const uint8_t source_sink_high[69] = {9, 2, LE16(69), 1, ZERO_SOURCE_SINK, 4, 0xc0, 1,
    INTERFACE(0, 2), BULK_ENDPOINTS, INTERFACE(1, 4), BULK_ENDPOINTS, ISO_ENDPOINTS};
static const uint8_t loopback_high[32] = {9, 2, LE16(32), 1, ZERO_LOOPBACK, 5, 0xc0, 1,
    INTERFACE(0, 2), BULK_ENDPOINTS};
/* clang-format on */

static const uint8_t device_desc[18] = {18,   1,    0x00, 2,    0xff, 0, 0, 64, 0x25,
                                        0x05, 0xa0, 0xa4, 0x00, 6,    1, 2, 3,  2};
static const char *const strings[] = {"PVUSB", "Gadget Zero", "0123456789.0123456789.0123456789",
                                      "source and sink data", "loop input to output"};

static void fit_full_speed(uint8_t *config, unsigned int n)
{
    for (unsigned int at = 0; at < n; at += config[at]) {
        uint16_t packet = config[at + 3] == 2 ? 64 : 1023;
        if (config[at + 1] != 5)
            continue;
        config[at + 4] = (uint8_t)packet;
        config[at + 5] = (uint8_t)(packet >> 8);
    }
}

int zero_create(const struct zero_config *config, struct usb_device **out)
{
    bool full = config->speed == USBIF_SPEED_FULL;
    if (config->pattern > 1 || config->more > (full ? 0 : 2) ||
        (!full && config->speed != 0 && config->speed != USBIF_SPEED_HIGH))
        return -EINVAL;
    struct zero *zero = calloc(1, sizeof(*zero));
    if (!zero)
        return -ENOMEM;
    zero->pattern = config->pattern;
    memcpy(zero->source_sink, source_sink_high, sizeof(source_sink_high));
    memcpy(zero->loopback, loopback_high, sizeof(loopback_high));
    if (full) {
        fit_full_speed(zero->source_sink, sizeof(zero->source_sink));
        fit_full_speed(zero->loopback, sizeof(zero->loopback));
    }
    for (unsigned int at = 0; at < sizeof(zero->source_sink); at += zero->source_sink[at]) {
        if (zero->source_sink[at + 1] == 5 && zero->source_sink[at + 3] == 5)
            zero->source_sink[at + 5] |= (uint8_t)(config->more << 3);
    }
    zero->configs[config->loopback_first ? 1 : 0] = zero->source_sink;
    zero->configs[config->loopback_first ? 0 : 1] = zero->loopback;
    struct usb_descriptors descriptors = {
        .device = device_desc,
        .configurations = zero->configs,
        .strings = strings,
        .nr_strings = 5,
        .speed = full ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH,
    };
    int rc = device_init(&zero->device, &zero_ops, &descriptors);
    if (rc) {
        free(zero);
        return rc;
    }
    *out = &zero->device;
    return 0;
}

struct zero_stats zero_stats(const struct usb_device *device)
{
    return zero_of(device)->stats;
}
