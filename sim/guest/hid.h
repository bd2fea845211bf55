/* SPDX-License-Identifier: MIT */
/*
 * The guest's driver for boot keyboards (HID 1.11 appendix B.1), one interrupt IN URB pending at any time.
 *
 * Recovery: a failed report means CLEAR_FEATURE(ENDPOINT_HALT) and the next report; ten failures without a
 * report in between, and the keyboard is given up. Reports that are too short, and those that say "too many
 * keys", change nothing.
 *
 * Not modelled: report descriptors, key repeat, LEDs that follow the lock keys (hid_set_leds() is for whoever
 * listens).
 *
 * Threads: one. No allocation after hid_create().
 */
#ifndef SIM_GUEST_HID_H
#define SIM_GUEST_HID_H

#include "guest/guest.h"

#define HID_MODIFIERS 0xe0u /* the first of eight; HID Usage Tables section 10 */

struct hid;

struct hid_listener {
    /* A key went down or up: usages 0x04 to 0xff of the keyboard page. Modifiers first, then up, then down.
     */
    void (*key)(void *context, struct hid *hid, uint8_t usage, bool down);
    /* 0: it listens now. An errno: it is given up. May be NULL. */
    void (*status)(void *context, struct hid *hid, int status);
    void *context;
};

struct hid_stats {
    uint64_t reports;
    uint64_t ignored;
    uint64_t failures; /* halts cleared among them */
};

/* Whether there is an interface for this driver that no other driver has. */
bool hid_matches(const struct guest_device *device);
/* Takes the interface, else -ENODEV. status() comes later. */
int hid_create(struct guest_device *device, const struct hid_listener *listener, struct hid **out);
/* To be called in the listener's event() of guest.h. After a reset all keys are up. */
void hid_event(struct hid *hid, enum guest_event event);
/* Takes its transfers back; goes on while the controller is stepped, until !hid_busy(). */
void hid_stop(struct hid *hid);
bool hid_busy(const struct hid *hid);
/* In gone() at the latest, never while busy. */
void hid_destroy(struct hid *hid);
/* The latest wins when several are asked for at once. */
void hid_set_leds(struct hid *hid, uint8_t leds);
/* Bits 0 to 7: usages 0xe0 to 0xe7. */
uint8_t hid_modifiers(const struct hid *hid);
struct hid_stats hid_stats(const struct hid *hid);
/* The character of a key on the US layout, 0 for none. */
char hid_ascii(uint8_t usage, uint8_t modifiers);

#endif
