/* SPDX-License-Identifier: MIT */
/* Controllers of a vm that have their devices in the vm's own process, without a backend. */
#ifndef SIM_VM_LOCAL_H
#define SIM_VM_LOCAL_H

#include "bus/hostbus.h"
#include "guest/loop_hcd.h"
#include "toolstack/owner.h"
#include "uhci/driver.h"
#include "uhci/model.h"
#include "vm/private.h"

struct vm_local {
    struct vm_controller c; /* first; without a frontend */
    const struct vm_local_ops *ops;
    struct sim_host *sim;
    struct hostbus_follow *follow;
    struct xen_waitset_fd changes; /* of its bus, with a set */
    struct usb_host_listener listener;
    bool closing;
    /* The emulated one. */
    uint8_t *memory;
    struct uhci_model *model;
    struct uhci_driver *driver;
    int plugged; /* what the last plug said */
    /* One that is passed through. */
    unsigned int bus; /* 0: it is none */
    struct loop_hcd *loop;
    /* Both: what is on the ports, "" for nothing; [0] unused. */
    char place[PVUSB_PORTS_MAX + 1][SPEC_BUSID_SIZE];
    struct vm_local *next;
};

struct vm_local_ops {
    /* The controller and its driver, without the core above. */
    void (*step)(struct vm_local *local, uint64_t now_ns);
    uint64_t (*deadline)(const struct vm_local *local);
    /* What create() made; after the core has gone. */
    void (*destroy)(struct vm_local *local);
};

/* ---- for vm.c: all of them ---- */

int vm_locals_begin(struct vm *vm);
int vm_locals_step(struct vm *vm, uint64_t now_ns);
uint64_t vm_locals_deadline(const struct vm *vm);
void vm_locals_close(struct vm *vm);
void vm_locals_count(const struct vm *vm, struct vm_stats *stats);
void vm_locals_destroy(struct vm *vm);

/* ---- for each ---- */

/* A host of its own for it, with those devices of the bus that are mine(). Sets ops and adds it to the vm. */
int vm_local_create(struct vm *vm, const struct vm_local_ops *ops, struct vm_local **out);
/* The devices, when they can be taken: listener and core are set. */
int vm_local_follow(struct vm_local *local, bool (*mine)(void *context, const struct hostbus_device *device));
/* At once; for one that could not be made. */
void vm_local_drop(struct vm_local *local);
/* Begins to let go; vm_locals_step() goes on and destroys it. */
void vm_local_close(struct vm_local *local);

/* local_emulated.c: 0 also for a guest that has none. */
int vm_emulated_create(struct vm *vm);
/* local_passed.c: makes those that are there now, and lets go of those that are not. */
int vm_passed_look(struct vm *vm);
/* A command for the device model may have come. */
void vm_emulated_command(struct vm_local *local);

#endif
