/* SPDX-License-Identifier: MIT */
/*
 * The inside of a guest, as far as USB goes: a frontend for every controller that the toolstack gives the
 * domain, now or later, a USB core on each, and the storage driver for each disk. It reads the first bytes of
 * every disk that comes, and says what it has found: in lines, and in xenstore, where the toolstack waits for
 * it:
 *
 *   data/usb                   the highest SEQUENCE so far: this guest tells
 *   data/usb/<devid>           "1": it has a frontend for the controller
 *   data/usb/<devid>/<port>    "SEQUENCE ok VVVV:PPPP PRODUCT" or "SEQUENCE failed REASON",
 *                              each time with a higher number. Not there: nothing is on the port.
 *
 * With the folder of a machine it has also what comes without PVUSB: the emulated UHCI controller of an HVM guest,
 * for which it is the device model, too (emulated.h), and controllers that are passed through as a whole. Of the
 * latter it says
 *
 *   data/pci/<bus>             "1": it has the controller of this bus
 *
 * A backend that ends or is started again is followed; a controller that the toolstack takes away is let go.
 *
 * Threads: one. Time is an argument of vm_step().
 */
#ifndef SIM_VM_VM_H
#define SIM_VM_VM_H

#include <fakexen/xen_ops.h>

struct vm;

struct vm_config {
    struct xen_machine *machine; /* outlives the vm */
    domid_t domid;
    const char *dir; /* of the machine, with its bus; NULL: only PVUSB. Outlives the vm. */
    uint64_t read; /* bytes of each disk; 0 for none */
    bool traffic;  /* reads them again and again */
    void (*log)(void *context, const char *line);
    void *context;
    struct xen_waitset *set; /* what vm_step() is waited for in, besides its deadline; NULL: it is called all the time */
};

struct vm_stats {
    unsigned int controllers;
    unsigned int devices;
    uint64_t bytes_read;
    uint64_t urbs; /* given back, on all ports, also of controllers that are gone */
};

/* What went through a port, over all connections and devices. */
struct vm_usage {
    unsigned int devid;
    unsigned int port;
    uint64_t urbs;
    uint64_t bytes;
};

/* -errno of the machine. */
int vm_create(const struct vm_config *config, struct vm **out);
/* Does what can be done at now_ns. -EPIPE: the machine or the domain is gone, only vm_destroy() is left to
 * do. */
int vm_step(struct vm *vm, uint64_t now_ns);
/* When vm_step() is due even without an event; UINT64_MAX for never. */
uint64_t vm_deadline(const struct vm *vm);
/* Begins to close everything, as a guest that shuts down. Goes on in vm_step() until vm_closed(). */
void vm_close(struct vm *vm);
bool vm_closed(const struct vm *vm);
struct vm_stats vm_stats(const struct vm *vm);
/* Ports that had any URB, at most size of them; returns how many are in out. */
unsigned int vm_usages(const struct vm *vm, struct vm_usage *out, unsigned int size);
/* NULL is allowed. */
void vm_destroy(struct vm *vm);

#endif
