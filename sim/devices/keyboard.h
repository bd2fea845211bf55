/* SPDX-License-Identifier: MIT */
/*
 * A boot keyboard (HID 1.11 appendix B.1): one interrupt IN endpoint with reports of 8 bytes, LEDs by
 * SET_REPORT. By itself a low-speed device, as most are, or a function of a composite one (composite.h).
 *
 * The endpoint answers NAK until a key changes, or until the idle time has passed since the last report (HID
 * 1.11 section 7.2.4); a report says all keys that are down. Boot and report protocol have the same reports.
 * Keys wait in a queue until the host asks; a bus reset empties it.
 *
 * Not modelled: country codes, remote wakeup, more than six keys, an output report by an OUT endpoint.
 */
#ifndef SIM_DEVICES_KEYBOARD_H
#define SIM_DEVICES_KEYBOARD_H

#include "devices/composite.h"

#define KEYBOARD_KEYS  6u
#define KEYBOARD_QUEUE 512u /* reports */

/* Bits of the LEDs and of the modifiers (HID 1.11 appendix B.1; HID Usage Tables section 11). */
enum { KEYBOARD_NUM_LOCK = 1, KEYBOARD_CAPS_LOCK = 2, KEYBOARD_SCROLL_LOCK = 4 };
enum { KEYBOARD_LEFT_CTRL = 0x01, KEYBOARD_LEFT_SHIFT = 0x02, KEYBOARD_LEFT_ALT = 0x04 };

/* speed: USBIF_SPEED_*, 0 for low. */
int keyboard_create(uint8_t speed, struct usb_device **out);
/* For composite_create(). */
int keyboard_function(struct function **out);

/* These work on any device that has a keyboard in it. */

/*
 * Queues one report: these keys are down now, and no others; 0 for none. NULL keys: none at all. -ENOBUFS the
 * queue is full.
 */
int keyboard_press(struct usb_device *device, uint8_t modifiers, const uint8_t keys[KEYBOARD_KEYS]);
/*
 * Queues a press and a release for each character, on the US layout. All or nothing: -EILSEQ there is a
 * character without a key, -ENOBUFS too long for the queue.
 */
int keyboard_type(struct usb_device *device, const char *text);
/* Reports the host has not fetched yet. */
unsigned int keyboard_queued(struct usb_device *device);
uint8_t keyboard_leds(struct usb_device *device);
/* As the host has set them: protocol 0 boot, 1 report; idle in units of 4 ms, 0 for never. */
uint8_t keyboard_protocol(struct usb_device *device);
uint8_t keyboard_idle(struct usb_device *device);

#endif
