/* SPDX-License-Identifier: MIT */
/*
 * The guest's driver for serial ports: CDC-ACM (PSTN 1.2), in the way of Linux cdc-acm. An open port has one
 * interrupt IN URB and 16 bulk IN URBs pending, that is 17 receivers that may be idle for ever (rule
 * RING-12), and up to 16 writes.
 *
 * Recovery: when a transfer fails, the others of its endpoint are taken back, the halt is cleared, and all
 * start again; of what was written, from where the device stopped taking it. No byte is lost or doubled by a
 * halt. After other errors (-EPROTO) a device may have taken writes queued behind the one that failed; their
 * order is then not kept, as in Linux. Ten failures without a byte in between, and the port is given up.
 *
 * Unlike Linux: writes are not lost by a halt, at most 4 of them are in flight, there is no cool-down time,
 * no tty above.
 *
 * Threads: one. No allocation after acm_create().
 */
#ifndef SIM_GUEST_ACM_H
#define SIM_GUEST_ACM_H

#include "guest/guest.h"

#define ACM_READS  16u /* Linux: ACM_NR */
#define ACM_WRITES 16u /* Linux: ACM_NW */
/*
 * Of those, what is in flight at a time. A device that takes nothing keeps them for as long as it likes, and
 * on a ring of 16 slots 16 of them would leave no slot for what it waits for.
 */
#define ACM_WRITES_PENDING 4u

/* PSTN 1.2 sections 6.5.4 and 6.3.12. */
enum { ACM_DCD = 0x01, ACM_DSR = 0x02, ACM_BREAK = 0x04, ACM_RING = 0x08 };
enum { ACM_DTR = 0x01, ACM_RTS = 0x02 };

struct acm;

struct acm_line {
    uint32_t baud;
    uint8_t stop, parity, bits; /* PSTN 1.2 section 6.3.11 */
};

/* All may be NULL but received(). They may call anything here but acm_destroy(). */
struct acm_listener {
    /* Valid during the call. */
    void (*received)(void *context, struct acm *acm, const uint8_t *bytes, uint32_t n);
    /* There is room again, after an acm_write() that took less than it could have. */
    void (*writable)(void *context, struct acm *acm);
    /* What the device says of its signals, ACM_DCD to ACM_RING and more. */
    void (*signals)(void *context, struct acm *acm, uint16_t signals);
    void (*closed)(void *context, struct acm *acm);
    /* Given up; acm_close() and acm_open() try again. */
    void (*failed)(void *context, struct acm *acm, int error);
    void *context;
};

struct acm_stats {
    uint64_t received, sent; /* bytes */
    uint64_t failures;       /* halts cleared among them */
};

/* Whether there are interfaces for this driver that no other driver has. */
bool acm_matches(const struct guest_device *device);
/* Takes the communication and the data interface, else -ENODEV. The port is closed. */
int acm_create(struct guest_device *device, const struct acm_listener *listener, struct acm **out);
/* To be called in the listener's event() of guest.h. */
void acm_event(struct acm *acm, enum guest_event event);
/*
 * Not while busy. In gone() at the latest; acm_busy() is false there, and closed() does not come any more.
 */
void acm_destroy(struct acm *acm);
bool acm_busy(const struct acm *acm);

/* Sets line and signals (DTR and RTS) and begins to receive. -EBUSY open, or still closing; -ENODEV. */
int acm_open(struct acm *acm);
/* Takes every URB back, what is not written yet is lost, DTR and RTS fall; then closed(). */
void acm_close(struct acm *acm);
bool acm_is_open(const struct acm *acm);
/* Takes a copy of what there is room for; returns how much. 0 when not open. */
uint32_t acm_write(struct acm *acm, const void *bytes, uint32_t n);
/* What acm_write() took and the device did not take yet. */
uint32_t acm_unsent(const struct acm *acm);
/* While on, receivers that are done are not started again (as Linux does when the tty is full). */
void acm_throttle(struct acm *acm, bool on);
/* Kept for acm_open() when the port is closed. */
void acm_set_line(struct acm *acm, const struct acm_line *line);
/* ACM_DTR and ACM_RTS, of an open port. */
void acm_set_signals(struct acm *acm, uint16_t signals);
void acm_send_break(struct acm *acm, uint16_t ms);
struct acm_stats acm_stats(const struct acm *acm);

#endif
