// SPDX-License-Identifier: MIT
/* Section numbers are those of HID 1.11. */
#include <errno.h>
#include <stdlib.h>

#include "devices/keyboard.h"

#define REPORT_BYTES 8u
#define IDLE_NS      UINT64_C(4000000)
#define IDLE_DEFAULT 125u /* 500 ms, section 7.2.4 */
#define FIRST_KEY    4u   /* HID Usage Tables section 10: "a"; below are the error codes */

enum { DT_HID = 0x21, DT_REPORT = 0x22 };
enum { CLASS_IN = 0xa1, CLASS_OUT = 0x21, STANDARD_IN = 0x81 };
enum { REQ_GET_DESCRIPTOR = 6 };
enum {
    REQ_GET_REPORT = 1,
    REQ_GET_IDLE = 2,
    REQ_GET_PROTOCOL = 3,
    REQ_SET_REPORT = 9,
    REQ_SET_IDLE = 10,
    REQ_SET_PROTOCOL = 11,
};
enum { REPORT_INPUT = 1, REPORT_OUTPUT = 2 };
enum { PROTOCOL_BOOT = 0, PROTOCOL_REPORT = 1 };

struct report {
    uint8_t bytes[REPORT_BYTES]; /* modifiers, reserved, six keys */
};

struct keyboard {
    struct function function;
    struct report queue[KEYBOARD_QUEUE];
    unsigned int head, count;
    struct report now; /* the last one the host has seen */
    uint64_t now_ns, sent_ns;
    uint8_t idle;
    uint8_t protocol;
    uint8_t leds;
};

/* Appendix E.6. */
static const uint8_t report_desc[63] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01,             /* generic desktop, keyboard: application */
    0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, /* modifiers, 8 bits */
    0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, /* */
    0x95, 0x01, 0x75, 0x08, 0x81, 0x01,             /* a reserved byte */
    0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01, /* LEDs, 5 bits out */
    0x29, 0x05, 0x91, 0x02,                         /* */
    0x95, 0x01, 0x75, 0x03, 0x91, 0x01,             /* padding, 3 bits out */
    0x95, 0x06, 0x75, 0x08, 0x15, 0x00, 0x25, 0x65, /* six keys, an array */
    0x05, 0x07, 0x19, 0x00, 0x29, 0x65, 0x81, 0x00, /* */
    0xc0};

/* Section 6.2.1. */
static const uint8_t hid_desc[9] = {9, DT_HID, 0x11, 0x01, 0, 1, DT_REPORT, sizeof(report_desc), 0};

static uint8_t endpoint_of(const struct keyboard *keyboard)
{
    return (uint8_t)(0x80u | keyboard->function.first_endpoint);
}

static unsigned int describe(const struct function *function, uint8_t speed, uint8_t *out)
{
    /* 10 ms; at high speed 2^(7-1) microframes are 8 ms (USB 2.0 section 9.6.6). */
    uint8_t interval = speed == USBIF_SPEED_HIGH ? 7 : 10;
    const uint8_t interface[9] = {9, 4, function->first_interface, 0, 1, 0x03, 0x01, 0x01, 0};
    const uint8_t endpoint[7] = {7, 5,       (uint8_t)(0x80u | function->first_endpoint), 3, REPORT_BYTES,
                                 0, interval};
    memcpy(out, interface, 9);
    memcpy(out + 9, hid_desc, 9);
    memcpy(out + 18, endpoint, 7);
    return 25;
}

/* ---- reports ---- */

static bool idle_over(const struct keyboard *keyboard)
{
    return keyboard->idle && keyboard->now_ns - keyboard->sent_ns >= keyboard->idle * IDLE_NS;
}

static int keyboard_in(struct function *function, struct device_endpoint *ep)
{
    struct keyboard *keyboard = (struct keyboard *)function;
    bool queued = keyboard->count > 0;
    if (!queued && !idle_over(keyboard))
        return DEVICE_WAIT;
    struct report next = queued ? keyboard->queue[keyboard->head] : keyboard->now;
    /* A host with too little room gets a babble, and the report again. */
    if (device_in_copy(ep, next.bytes, REPORT_BYTES) < REPORT_BYTES)
        return DEVICE_DONE;
    keyboard->now = next;
    keyboard->sent_ns = keyboard->now_ns;
    if (queued) {
        keyboard->head = (keyboard->head + 1) % KEYBOARD_QUEUE;
        keyboard->count--;
    }
    return DEVICE_DONE;
}

static void keyboard_step(struct function *function, uint64_t now_ns)
{
    struct keyboard *keyboard = (struct keyboard *)function;
    keyboard->now_ns = now_ns;
    if (idle_over(keyboard))
        device_kick(function->device, endpoint_of(keyboard));
}

/* Only when somebody waits: a host that does not ask is told nothing. */
static uint64_t keyboard_deadline(struct function *function)
{
    struct keyboard *keyboard = (struct keyboard *)function;
    const struct device_endpoint *ep = device_endpoint(function->device, endpoint_of(keyboard));
    if (!keyboard->idle || !ep->exists || !ep->head)
        return UINT64_MAX;
    return keyboard->sent_ns + keyboard->idle * IDLE_NS;
}

/* ---- requests, section 7.2 ---- */

static int get_descriptor(struct device_endpoint *ep, const struct usb_setup *setup)
{
    if (setup->value == DT_HID << 8)
        return device_control_in(ep, setup, hid_desc, sizeof(hid_desc));
    if (setup->value == DT_REPORT << 8)
        return device_control_in(ep, setup, report_desc, sizeof(report_desc));
    return -EPIPE;
}

static int get_request(struct keyboard *keyboard, struct device_endpoint *ep, const struct usb_setup *setup)
{
    switch (setup->request) {
    case REQ_GET_REPORT:
        if (setup->value == REPORT_INPUT << 8)
            return device_control_in(ep, setup, keyboard->now.bytes, REPORT_BYTES);
        if (setup->value == REPORT_OUTPUT << 8)
            return device_control_in(ep, setup, &keyboard->leds, 1);
        return -EPIPE;
    case REQ_GET_IDLE:
        return setup->value == 0 ? device_control_in(ep, setup, &keyboard->idle, 1) : -EPIPE;
    case REQ_GET_PROTOCOL:
        return setup->value == 0 ? device_control_in(ep, setup, &keyboard->protocol, 1) : -EPIPE;
    default:
        return -EPIPE;
    }
}

static int set_request(struct keyboard *keyboard, struct device_endpoint *ep, const struct usb_setup *setup)
{
    switch (setup->request) {
    case REQ_SET_REPORT:
        if (setup->value != REPORT_OUTPUT << 8 || setup->length != 1)
            return -EPIPE;
        device_control_out(ep, setup, &keyboard->leds, 1);
        return DEVICE_DONE;
    case REQ_SET_IDLE:
        /* The low byte is a report id, and there are none; the new time counts from the last report. */
        if (setup->value & 0xffu || setup->length)
            return -EPIPE;
        keyboard->idle = (uint8_t)(setup->value >> 8);
        if (idle_over(keyboard))
            device_kick(keyboard->function.device, endpoint_of(keyboard));
        return DEVICE_DONE;
    case REQ_SET_PROTOCOL:
        if (setup->value > PROTOCOL_REPORT || setup->length)
            return -EPIPE;
        keyboard->protocol = (uint8_t)setup->value;
        return DEVICE_DONE;
    default:
        return -EPIPE;
    }
}

static int keyboard_control(struct function *function, struct device_endpoint *ep,
                            const struct usb_setup *setup)
{
    struct keyboard *keyboard = (struct keyboard *)function;
    switch (setup->type) {
    case STANDARD_IN:
        return setup->request == REQ_GET_DESCRIPTOR ? get_descriptor(ep, setup) : -EPIPE;
    case CLASS_IN:
        return get_request(keyboard, ep, setup);
    case CLASS_OUT:
        return set_request(keyboard, ep, setup);
    default:
        return -EPIPE;
    }
}

static void keyboard_start_over(struct function *function)
{
    struct keyboard *keyboard = (struct keyboard *)function;
    keyboard->head = keyboard->count = 0;
    keyboard->now = (struct report){{0}};
    keyboard->sent_ns = keyboard->now_ns;
    keyboard->idle = IDLE_DEFAULT;
    keyboard->protocol = PROTOCOL_REPORT; /* section 7.2.6 */
    keyboard->leds = 0;
}

static void keyboard_destroy(struct function *function)
{
    free(function);
}

static const struct function_ops keyboard_ops = {
    .of = {.interfaces = 1, .endpoints = 1, .product = 0x0101, .name = "Simulated keyboard"},
    .describe = describe,
    .control = keyboard_control,
    .in = keyboard_in,
    .start_over = keyboard_start_over,
    .step = keyboard_step,
    .deadline = keyboard_deadline,
    .destroy = keyboard_destroy,
};

int keyboard_function(struct function **out)
{
    struct keyboard *keyboard = calloc(1, sizeof(*keyboard));
    if (!keyboard)
        return -ENOMEM;
    keyboard->function.ops = &keyboard_ops;
    *out = &keyboard->function;
    return 0;
}

int keyboard_create(uint8_t speed, struct usb_device **out)
{
    struct function *function;
    int rc = keyboard_function(&function);
    return rc ? rc : composite_create(speed ? speed : USBIF_SPEED_LOW, &function, 1, out);
}

/* ---- fingers ---- */

static struct keyboard *find(struct usb_device *device)
{
    struct function *function = composite_find(device, &keyboard_ops);
    assert(function);
    return (struct keyboard *)function;
}

static void enqueue(struct keyboard *keyboard, uint8_t modifiers, const uint8_t keys[KEYBOARD_KEYS])
{
    struct report *report = &keyboard->queue[(keyboard->head + keyboard->count++) % KEYBOARD_QUEUE];
    *report = (struct report){{modifiers}};
    if (keys)
        memcpy(report->bytes + 2, keys, KEYBOARD_KEYS);
}

int keyboard_press(struct usb_device *device, uint8_t modifiers, const uint8_t keys[KEYBOARD_KEYS])
{
    struct keyboard *keyboard = find(device);
    if (keyboard->count == KEYBOARD_QUEUE)
        return -ENOBUFS;
    enqueue(keyboard, modifiers, keys);
    device_kick(device, endpoint_of(keyboard));
    return 0;
}

/* The key of a character on the US layout, 0 for none: HID Usage Tables section 10, keys 0x04 to 0x38. */
static uint8_t key_of(char c, uint8_t *modifiers)
{
    /* Key 0x32 is on other layouts only; the second "\n" that holds its place is never found. */
    static const char *const plain = "abcdefghijklmnopqrstuvwxyz1234567890\n\x1b\b\t -=[]\\\n;'`,./";
    static const char *const shifted = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$%^&*()\n\x1b\b\t _+{}|\n:\"~<>?";
    const char *at = c ? strchr(plain, c) : NULL;
    *modifiers = 0;
    if (at)
        return (uint8_t)(FIRST_KEY + (at - plain));
    *modifiers = KEYBOARD_LEFT_SHIFT;
    at = c ? strchr(shifted, c) : NULL;
    return at ? (uint8_t)(FIRST_KEY + (at - shifted)) : 0;
}

int keyboard_type(struct usb_device *device, const char *text)
{
    struct keyboard *keyboard = find(device);
    uint8_t modifiers;
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (!key_of(text[i], &modifiers))
            return -EILSEQ;
    }
    if (length * 2 > KEYBOARD_QUEUE - keyboard->count)
        return -ENOBUFS;
    for (; *text; text++) {
        uint8_t keys[KEYBOARD_KEYS] = {key_of(*text, &modifiers)};
        enqueue(keyboard, modifiers, keys);
        enqueue(keyboard, 0, NULL);
    }
    device_kick(device, endpoint_of(keyboard));
    return 0;
}

unsigned int keyboard_queued(struct usb_device *device)
{
    return find(device)->count;
}

uint8_t keyboard_leds(struct usb_device *device)
{
    return find(device)->leds;
}

uint8_t keyboard_protocol(struct usb_device *device)
{
    return find(device)->protocol;
}

uint8_t keyboard_idle(struct usb_device *device)
{
    return find(device)->idle;
}
