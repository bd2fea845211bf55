// SPDX-License-Identifier: MIT
/* Section numbers are those of HID 1.11. */
#include "devices/tablet.h"

#include <errno.h>
#include <stdlib.h>

#define REPORT_BYTES 6u

enum { DT_HID = 0x21, DT_REPORT = 0x22 };
enum { CLASS_IN = 0xa1, CLASS_OUT = 0x21, STANDARD_IN = 0x81 };
enum { REQ_GET_DESCRIPTOR = 6, REQ_GET_REPORT = 1, REQ_SET_IDLE = 10 };
enum { REPORT_INPUT = 1 };

struct tablet {
    struct function function;
    struct tablet_state state;
    bool moved;
};

static const uint8_t report_desc[] = {
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01,             /* generic desktop, mouse: application */
    0x09, 0x01, 0xa1, 0x00,                         /* pointer: physical */
    0x05, 0x09, 0x19, 0x01, 0x29, 0x03,             /* three buttons */
    0x15, 0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01, /* */
    0x81, 0x02, 0x95, 0x01, 0x75, 0x05, 0x81, 0x01, /* padding, 5 bits */
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31,             /* x, y: absolute, 16 bits */
    0x15, 0x00, 0x26, 0xff, 0x7f, 0x35, 0x00, 0x46, 0xff, 0x7f, 0x75, 0x10, 0x95, 0x02, 0x81, 0x02,
    0x05, 0x01, 0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, /* wheel: relative, 8 bits */
    0x35, 0x00, 0x45, 0x00, 0x75, 0x08, 0x95, 0x01, 0x81, 0x06,
    0xc0, 0xc0};

/* Section 6.2.1. */
static const uint8_t hid_desc[9] = {9, DT_HID, 0x11, 0x01, 0, 1, DT_REPORT, sizeof(report_desc), 0};

static unsigned int describe(const struct function *function, uint8_t speed, uint8_t *out)
{
    const uint8_t interface[9] = {9, 4, function->first_interface, 0, 1, 0x03, 0, 0, 0};
    const uint8_t endpoint[7] = {7, 5, (uint8_t)(0x80u | function->first_endpoint), 3, REPORT_BYTES, 0, 10};
    (void)speed;
    memcpy(out, interface, 9);
    memcpy(out + 9, hid_desc, 9);
    memcpy(out + 18, endpoint, 7);
    return 25;
}

static void make_report(const struct tablet *tablet, uint8_t out[REPORT_BYTES])
{
    const struct tablet_state *s = &tablet->state;
    const uint8_t report[REPORT_BYTES] = {
        s->buttons,         (uint8_t)s->x, (uint8_t)(s->x >> 8), (uint8_t)s->y, (uint8_t)(s->y >> 8),
        (uint8_t)s->wheel,
    };
    memcpy(out, report, REPORT_BYTES);
}

static int tablet_in(struct function *function, struct device_endpoint *ep)
{
    struct tablet *tablet = (struct tablet *)function;
    uint8_t report[REPORT_BYTES];
    if (!tablet->moved)
        return DEVICE_WAIT;
    make_report(tablet, report);
    /* A host with too little room gets a babble, and the report again. */
    if (device_in_copy(ep, report, REPORT_BYTES) < REPORT_BYTES)
        return DEVICE_DONE;
    tablet->moved = false;
    tablet->state.wheel = 0;
    return DEVICE_DONE;
}

static int tablet_control(struct function *function, struct device_endpoint *ep, const struct usb_setup *setup)
{
    const struct tablet *tablet = (const struct tablet *)function;
    uint8_t report[REPORT_BYTES];
    if (setup->type == STANDARD_IN && setup->request == REQ_GET_DESCRIPTOR && setup->value == DT_HID << 8)
        return device_control_in(ep, setup, hid_desc, sizeof(hid_desc));
    if (setup->type == STANDARD_IN && setup->request == REQ_GET_DESCRIPTOR && setup->value == DT_REPORT << 8)
        return device_control_in(ep, setup, report_desc, sizeof(report_desc));
    if (setup->type == CLASS_IN && setup->request == REQ_GET_REPORT && setup->value == REPORT_INPUT << 8) {
        make_report(tablet, report);
        return device_control_in(ep, setup, report, REPORT_BYTES);
    }
    /* Only "never", which it does anyway; section 7.2.4 lets a device refuse. */
    if (setup->type == CLASS_OUT && setup->request == REQ_SET_IDLE && setup->value == 0 && setup->length == 0)
        return DEVICE_DONE;
    return -EPIPE;
}

static void tablet_start_over(struct function *function)
{
    struct tablet *tablet = (struct tablet *)function;
    tablet->state = (struct tablet_state){0};
    tablet->moved = false;
}

static void tablet_destroy(struct function *function)
{
    free(function);
}

static const struct function_ops tablet_ops = {
    .of = {.interfaces = 1, .endpoints = 1, .product = 0x0108, .name = "Simulated tablet"},
    .describe = describe,
    .control = tablet_control,
    .in = tablet_in,
    .start_over = tablet_start_over,
    .destroy = tablet_destroy,
};

int tablet_create(struct usb_device **out)
{
    struct tablet *tablet = calloc(1, sizeof(*tablet));
    struct function *function = &tablet->function;
    if (!tablet)
        return -ENOMEM;
    function->ops = &tablet_ops;
    return composite_create(USBIF_SPEED_FULL, &function, 1, out);
}

void tablet_move(struct usb_device *device, const struct tablet_state *state)
{
    struct function *function = composite_find(device, &tablet_ops);
    assert(function);
    struct tablet *tablet = (struct tablet *)function;
    tablet->state = *state;
    tablet->state.buttons &= 7;
    tablet->state.x = state->x < TABLET_MAX ? state->x : TABLET_MAX;
    tablet->state.y = state->y < TABLET_MAX ? state->y : TABLET_MAX;
    tablet->moved = true;
    device_kick(device, (uint8_t)(0x80u | function->first_endpoint));
}
