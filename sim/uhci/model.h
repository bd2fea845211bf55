/* SPDX-License-Identifier: MIT */
/*
 * A UHCI controller of our own with two ports, as qemu-dm gives it to an HVM guest with `usb=1`: the slow way
 * that PVUSB is compared with. It behaves as QEMU 7.2's does, budget and quirks included (bench/qtest
 * compares the two):
 *
 *   - A frame every millisecond while Run is set; there is no stop when idle.
 *   - A transaction starts while the frame has moved fewer than `bandwidth` bytes, 1280 by default, whatever
 *     the real wire could do; at most 256 elements of the schedule per frame.
 *   - A transaction counts as (ActLen & 0x7ff) + 1 bytes, so one without data, such as each control
 *     transfer's status stage, counts as 2048 and ends the frame: one control transfer per frame.
 *   - step() after a pause runs the frames that were missed: 16 per tick of a millisecond, those beyond 128
 *     are skipped. The interrupt is raised at the end of a tick.
 *   - What a device answers later than at once is looked for at the next frame, or as soon as it comes if the
 *     frame has begun; a transaction whose queue is not in the schedule for 32 frames is cancelled.
 *   - Data toggles make no difference; wrong ones are counted.
 *   - Isochronous packets that a device is behind with are not run; QEMU's devices answer theirs at once, or
 *     keep packets themselves, as usb-redir does.
 *
 * Devices come from a usb_host by their busid and are presented at full or low speed (usb_host.h,
 * full_speed()). Each transaction is a transfer of its own to the device; the model has copies of all data,
 * so that a guest which changes its mind spoils only its own.
 *
 * Guest memory is hostile: everything is copied out once and checked; addresses outside it read as zero and
 * swallow writes.
 *
 * Threads: one. Takes no memory after create().
 */
#ifndef SIM_UHCI_MODEL_H
#define SIM_UHCI_MODEL_H

#include "hosts/usb_host.h"
#include "uhci/bus.h"

#define UHCI_PORTS 2u

struct uhci_model;

struct uhci_model_config {
    struct usb_host *host; /* must outlive the model */
    /* The guest's memory: `size` bytes at physical `address`. The caller's; must outlive the model. */
    uint8_t *memory;
    uint32_t address;
    size_t size;
    uint32_t bandwidth; /* bytes per frame; 0 for 1280 */
    /* The interrupt line changed its level. NULL: nobody is told, hc_bus' interrupt() still knows. */
    void (*line)(void *context, bool raised);
    void *context;
};

struct uhci_model_counters {
    uint64_t frames;        /* run */
    uint64_t skipped;       /* not run after too long a pause */
    uint64_t transactions;  /* completed */
    uint64_t bytes;         /* moved by them */
    uint64_t wrong_toggles; /* transactions that a real device would have taken for a repetition */
};

int uhci_model_create(const struct uhci_model_config *config, struct uhci_model **out);
/* Cancels what is under way and closes the devices. */
void uhci_model_destroy(struct uhci_model *model);

/*
 * Connects the device at busid to a port, 1 or 2. -EINVAL no such port; -EBUSY the port has one; -EPROTOTYPE
 * a device that has no full or low speed; otherwise what the host's open() said. It stays until
 * uhci_model_unplug() or until the host says that it is gone; a device that the host gets anew is the
 * caller's to plug again.
 */
int uhci_model_plug(struct uhci_model *model, unsigned int port, const char *busid);
/* -EINVAL no such port; -ENODEV there is none. The device is the host's again at once. */
int uhci_model_unplug(struct uhci_model *model, unsigned int port);
/* The busid at a port; NULL for none. */
const char *uhci_model_port(const struct uhci_model *model, unsigned int port);

/*
 * Runs the frames that are due and steps the host. At the first call after the guest has set Run, time begins
 * for the schedule.
 */
void uhci_model_step(struct uhci_model *model, uint64_t now_ns);
/* The next frame or what the host has due. UINT64_MAX for never. */
uint64_t uhci_model_deadline(const struct uhci_model *model);

/* The guest's registers, offsets as in the UHCI's I/O space; for a guest that is another process. */
uint32_t uhci_model_read(struct uhci_model *model, uint32_t offset, unsigned int size);
void uhci_model_write(struct uhci_model *model, uint32_t offset, unsigned int size, uint32_t value);
bool uhci_model_line(const struct uhci_model *model);
/* The same for a guest of this process. Belongs to the model. */
struct hc_bus *uhci_model_bus(struct uhci_model *model);
void uhci_model_counters(const struct uhci_model *model, struct uhci_model_counters *out);

#endif
