// SPDX-License-Identifier: MIT
/* Section numbers are those of PSTN 1.2 where nothing else is said. */
#include <errno.h>
#include <stdlib.h>

#include "devices/serial.h"

#define FIFO_DEFAULT       4096u
#define LINE_BYTES         7u
#define NOTIFICATION_BYTES 10u
#define NOTIFY_PACKET      16u

enum { CLASS_IN = 0xa1, CLASS_OUT = 0x21 };
/* Section 6.3, table 13 */
enum { SET_LINE_CODING = 0x20, GET_LINE_CODING = 0x21, SET_CONTROL_LINE_STATE = 0x22, SEND_BREAK = 0x23 };
/* Signals that are told once, and not again when another one changes (section 6.5.4). */
#define EVENTS ((uint16_t)(SERIAL_BREAK | SERIAL_RING | SERIAL_OVERRUN))

struct fifo {
    uint8_t *bytes;
    uint32_t size, head, count;
};

struct serial {
    struct function function;
    struct serial_config config;
    struct fifo to_host, from_host;
    bool empty_packet; /* the last packet was full and nothing follows */
    uint8_t line[LINE_BYTES];
    uint16_t control_lines;
    uint16_t break_ms;
    uint16_t signals;
    bool notify; /* a notification is due, or on its way: */
    uint8_t notification[NOTIFICATION_BYTES];
    unsigned int notified; /* bytes of it */
};

static uint32_t fifo_room(const struct fifo *fifo)
{
    return fifo->size - fifo->count;
}

/* One of the two pieces in which n bytes from `at` may lie: returns its length. */
static uint32_t piece(const struct fifo *fifo, uint32_t at, uint32_t n)
{
    uint32_t rest = fifo->size - at;
    return n < rest ? n : rest;
}

/* From an URB, else from memory. The caller has looked at the room. */
static void fifo_put(struct fifo *fifo, const struct host_urb *urb, uint32_t offset, const uint8_t *src,
                     uint32_t n)
{
    while (n) {
        uint32_t at = (fifo->head + fifo->count) % fifo->size;
        uint32_t part = piece(fifo, at, n);
        if (urb)
            host_urb_read(urb, offset, fifo->bytes + at, part);
        else
            memcpy(fifo->bytes + at, src + offset, part);
        fifo->count += part;
        offset += part;
        n -= part;
    }
}

static void fifo_drop(struct fifo *fifo, uint32_t n)
{
    fifo->head = (fifo->head + n) % fifo->size;
    fifo->count -= n;
}

/* ---- descriptors ---- */

static uint8_t notify_address(const struct serial *serial)
{
    return (uint8_t)(0x80u | serial->function.first_endpoint);
}

static uint8_t in_address(const struct serial *serial)
{
    return (uint8_t)(0x80u | (serial->function.first_endpoint + 1u));
}

static uint8_t out_address(const struct serial *serial)
{
    return (uint8_t)(serial->function.first_endpoint + 1u);
}

static unsigned int describe(const struct function *function, uint8_t speed, uint8_t *out)
{
    const struct serial *serial = (const struct serial *)function;
    bool high = speed == USBIF_SPEED_HIGH;
    uint8_t comm = function->first_interface, data = (uint8_t)(comm + 1);
    uint8_t bulk = high ? 2 : 0; /* high byte of 512, or of 64 */
    /* clang-format off */
    const uint8_t bytes[58] = {
        9, 4, comm, 0, 1, 0x02, 0x02, 0x01, 0,
        5, 0x24, 0x00, 0x20, 0x01,             /* CDC 1.2 section 5.2.3.1: header */
        5, 0x24, 0x01, 0x00, data,             /* section 5.3.1: call management, none */
        4, 0x24, 0x02, 0x06,                   /* section 5.3.2: line coding and state, break */
        5, 0x24, 0x06, comm, data,             /* CDC 1.2 section 5.2.3.2: union */
        7, 5, notify_address(serial), 3, serial->config.notify_packet, 0, high ? 9 : 32,
        9, 4, data, 0, 2, 0x0a, 0x00, 0x00, 0,
        7, 5, in_address(serial), 2, bulk ? 0 : 64, bulk, 0,
        7, 5, out_address(serial), 2, bulk ? 0 : 64, bulk, 0,
    };
    /* clang-format on */
    if (speed == USBIF_SPEED_LOW) /* USB 2.0 section 5.8.3 */
        return 0;
    memcpy(out, bytes, sizeof(bytes));
    return sizeof(bytes);
}

/* ---- data ---- */

static int in_data(struct serial *serial, struct device_endpoint *ep)
{
    struct fifo *fifo = &serial->to_host;
    if (fifo->count == 0 && !serial->empty_packet)
        return DEVICE_WAIT;
    /* Two pieces where the FIFO wraps. */
    uint32_t first = piece(fifo, fifo->head, fifo->count);
    uint32_t n = fifo->count;
    struct device_run run = device_in(ep, n);
    uint32_t part = run.store < first ? run.store : first;
    host_urb_write(ep->head, run.offset, fifo->bytes + fifo->head, part);
    host_urb_write(ep->head, run.offset + part, fifo->bytes, run.store - part);
    fifo_drop(fifo, run.used);
    if (ep->status == 0)
        serial->empty_packet = fifo->count == 0 && n > 0 && n % ep->packet == 0;
    if (serial->config.loopback)
        device_kick(serial->function.device, out_address(serial));
    return DEVICE_DONE;
}

static int in_notification(struct serial *serial, struct device_endpoint *ep)
{
    if (!serial->notify)
        return DEVICE_WAIT;
    /* Section 6.5.4; what is told now stays so until all its packets have gone. */
    if (serial->notified == 0) {
        const uint8_t bytes[NOTIFICATION_BYTES] = {0xa1,
                                                   0x20,
                                                   0,
                                                   0,
                                                   serial->function.first_interface,
                                                   0,
                                                   2,
                                                   0,
                                                   (uint8_t)serial->signals,
                                                   (uint8_t)(serial->signals >> 8)};
        memcpy(serial->notification, bytes, sizeof(bytes));
    }
    serial->notified +=
        device_in_copy(ep, serial->notification + serial->notified, NOTIFICATION_BYTES - serial->notified);
    if (serial->notified == NOTIFICATION_BYTES) {
        uint16_t told = (uint16_t)(serial->notification[8] | serial->notification[9] << 8);
        serial->signals = (uint16_t)(serial->signals & ~(told & EVENTS));
        serial->notify = (told & ~EVENTS) != serial->signals;
        serial->notified = 0;
    }
    return DEVICE_DONE;
}

static int serial_in(struct function *function, struct device_endpoint *ep)
{
    struct serial *serial = (struct serial *)function;
    return ep->address == in_address(serial) ? in_data(serial, ep) : in_notification(serial, ep);
}

static int serial_out(struct function *function, struct device_endpoint *ep)
{
    struct serial *serial = (struct serial *)function;
    struct fifo *fifo = serial->config.loopback ? &serial->to_host : &serial->from_host;
    uint32_t room = fifo_room(fifo), n = ep->head->length - ep->moved;
    if (n > room) {
        n = room - room % ep->packet;
        if (n == 0)
            return DEVICE_WAIT;
    }
    fifo_put(fifo, ep->head, ep->moved, NULL, n);
    device_out_take(ep, n);
    if (serial->config.loopback)
        device_kick(function->device, in_address(serial));
    return DEVICE_DONE;
}

/* ---- requests ---- */

static void signal_host(struct serial *serial, uint16_t signals)
{
    serial->signals = signals;
    serial->notify = true;
    device_kick(serial->function.device, notify_address(serial));
}

/* Section 6.3.10 lets a device refuse what it cannot do. */
static bool line_good(const uint8_t line[LINE_BYTES])
{
    bool rate = line[0] || line[1] || line[2] || line[3];
    return rate && line[4] <= 2 && line[5] <= 4 && ((line[6] >= 5 && line[6] <= 8) || line[6] == 16);
}

static int set_line_coding(struct serial *serial, struct device_endpoint *ep, const struct usb_setup *setup)
{
    uint8_t line[LINE_BYTES];
    if (setup->value || setup->length != LINE_BYTES)
        return -EPIPE;
    device_control_out(ep, setup, line, LINE_BYTES);
    if (!line_good(line))
        return -EPIPE;
    memcpy(serial->line, line, LINE_BYTES);
    return DEVICE_DONE;
}

static int set_request(struct serial *serial, struct device_endpoint *ep, const struct usb_setup *setup)
{
    if (setup->request == SET_LINE_CODING)
        return set_line_coding(serial, ep, setup);
    if (setup->length)
        return -EPIPE;
    if (setup->request == SET_CONTROL_LINE_STATE) {
        uint16_t mirrored = setup->value & SERIAL_DTR ? SERIAL_DCD | SERIAL_DSR : 0;
        uint16_t others = (uint16_t)(serial->signals & ~(SERIAL_DCD | SERIAL_DSR));
        serial->control_lines = setup->value & (SERIAL_DTR | SERIAL_RTS);
        if (serial->config.loopback && (serial->signals & (SERIAL_DCD | SERIAL_DSR)) != mirrored)
            signal_host(serial, others | mirrored);
        return DEVICE_DONE;
    }
    if (setup->request != SEND_BREAK)
        return -EPIPE;
    serial->break_ms = setup->value;
    if (serial->config.loopback && setup->value)
        signal_host(serial, serial->signals | SERIAL_BREAK);
    return DEVICE_DONE;
}

/* Management elements are requests to the communication interface (section 6.3). */
static int serial_control(struct function *function, struct device_endpoint *ep,
                          const struct usb_setup *setup)
{
    struct serial *serial = (struct serial *)function;
    if (setup->index != function->first_interface)
        return -EPIPE;
    if (setup->type == CLASS_IN && setup->request == GET_LINE_CODING && setup->value == 0)
        return device_control_in(ep, setup, serial->line, LINE_BYTES);
    return setup->type == CLASS_OUT ? set_request(serial, ep, setup) : -EPIPE;
}

static void serial_start_over(struct function *function)
{
    static const uint8_t line[LINE_BYTES] = {0x80, 0x25, 0, 0, 0, 0, 8}; /* 9600 8N1 */
    struct serial *serial = (struct serial *)function;
    serial->to_host.count = serial->from_host.count = 0;
    serial->empty_packet = false;
    memcpy(serial->line, line, LINE_BYTES);
    serial->control_lines = serial->break_ms = serial->signals = 0;
    serial->notify = false;
    serial->notified = 0;
}

static void serial_destroy(struct function *function)
{
    struct serial *serial = (struct serial *)function;
    free(serial->to_host.bytes);
    free(serial->from_host.bytes);
    free(serial);
}

static const struct function_ops serial_ops = {
    .of = {.interfaces = 2,
           .endpoints = 2,
           .device = {0x02, 0, 0},
           .association = {0x02, 0x02, 0x01},
           .product = 0x0102,
           .name = "Simulated serial port"},
    .describe = describe,
    .control = serial_control,
    .in = serial_in,
    .out = serial_out,
    .start_over = serial_start_over,
    .destroy = serial_destroy,
};

static int fifo_alloc(struct fifo *fifo, uint32_t size)
{
    fifo->bytes = malloc(size);
    fifo->size = size;
    return fifo->bytes ? 0 : -ENOMEM;
}

int serial_function(const struct serial_config *config, struct function **out)
{
    uint32_t size = config->fifo_bytes ? config->fifo_bytes : FIFO_DEFAULT;
    uint8_t packet = config->notify_packet ? config->notify_packet : NOTIFY_PACKET;
    struct serial *serial = NULL;
    int rc;

    if (size < SERIAL_FIFO_MIN || packet < 8 || packet > 64)
        return -EINVAL;
    serial = calloc(1, sizeof(*serial));
    if (!serial)
        return -ENOMEM;
    serial->function.ops = &serial_ops;
    serial->config = *config;
    serial->config.notify_packet = packet;
    rc = fifo_alloc(&serial->to_host, size);
    if (!rc)
        rc = fifo_alloc(&serial->from_host, size);
    if (rc)
        serial_destroy(&serial->function);
    else
        *out = &serial->function;
    return rc;
}

int serial_create(const struct serial_config *config, uint8_t speed, struct usb_device **out)
{
    struct function *function;
    int rc = serial_function(config, &function);
    return rc ? rc : composite_create(speed ? speed : USBIF_SPEED_HIGH, &function, 1, out);
}

/* ---- the other end of the line ---- */

static struct serial *find(struct usb_device *device)
{
    struct function *function = composite_find(device, &serial_ops);
    assert(function);
    return (struct serial *)function;
}

uint32_t serial_feed(struct usb_device *device, const void *bytes, uint32_t n)
{
    struct serial *serial = find(device);
    uint32_t room = fifo_room(&serial->to_host);
    n = n < room ? n : room;
    fifo_put(&serial->to_host, NULL, 0, bytes, n);
    device_kick(device, in_address(serial));
    return n;
}

uint32_t serial_read(struct usb_device *device, void *bytes, uint32_t n)
{
    struct serial *serial = find(device);
    struct fifo *fifo = &serial->from_host;
    n = n < fifo->count ? n : fifo->count;
    uint32_t first = piece(fifo, fifo->head, n);
    memcpy(bytes, fifo->bytes + fifo->head, first);
    memcpy((uint8_t *)bytes + first, fifo->bytes, n - first);
    fifo_drop(fifo, n);
    device_kick(device, out_address(serial));
    return n;
}

void serial_signal(struct usb_device *device, uint16_t signals)
{
    signal_host(find(device), signals);
}

struct serial_line serial_line(struct usb_device *device)
{
    const uint8_t *b = find(device)->line;
    uint32_t baud = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    return (struct serial_line){.baud = baud, .stop = b[4], .parity = b[5], .bits = b[6]};
}

uint16_t serial_control_lines(struct usb_device *device)
{
    return find(device)->control_lines;
}

uint16_t serial_break(struct usb_device *device)
{
    return find(device)->break_ms;
}

uint8_t serial_notify_address(struct usb_device *device)
{
    return notify_address(find(device));
}

uint8_t serial_in_address(struct usb_device *device)
{
    return in_address(find(device));
}

uint8_t serial_out_address(struct usb_device *device)
{
    return out_address(find(device));
}
