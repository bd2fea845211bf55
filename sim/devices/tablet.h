/* SPDX-License-Identifier: MIT */
/*
 * A pointer with absolute places, what usbdevice = "tablet" gives an HVM guest: a full-speed HID device with one
 * interrupt IN endpoint. Its reports are laid out as those of QEMU's usb-tablet: a byte of buttons, x and y as
 * 16 bits from 0 to TABLET_MAX, a byte of wheel.
 *
 * The endpoint answers NAK until the pointer moves; of moves that nobody fetched in between the last one counts. A
 * bus reset forgets them.
 *
 * Not modelled: boot protocol, idle reports, wake-up.
 */
#ifndef SIM_DEVICES_TABLET_H
#define SIM_DEVICES_TABLET_H

#include "devices/composite.h"

#define TABLET_MAX 0x7fffu

int tablet_create(struct usb_device **out);

struct tablet_state {
    uint8_t buttons; /* bits 0 to 2: left, right, middle */
    uint16_t x, y;   /* at most TABLET_MAX; what is more is cut off */
    int8_t wheel;    /* since the last report */
};

/* The device has to be a tablet. */
void tablet_move(struct usb_device *device, const struct tablet_state *state);

#endif
