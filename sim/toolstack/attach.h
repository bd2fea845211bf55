/* SPDX-License-Identifier: MIT */
/*
 * Attaching and detaching as a whole: the check against the physical bus, the nodes, and the wait until the
 * guest really has the device, or no longer has it, or until the time is over.
 *
 * What is waited for: a guest of 'pvusb guest-create' says in xenstore what is on each of its ports (vm.h).
 * Of another guest only the connection is known: both states Connected. A device that is not plugged in is
 * not waited for: the guest gets it when it comes, as with xm.
 *
 * What is not had in time is taken back: nothing has changed then.
 *
 * Errors as in store.h; -ETIMEDOUT when the wait was in vain.
 */
#ifndef SIM_TOOLSTACK_ATTACH_H
#define SIM_TOOLSTACK_ATTACH_H

#include "bus/hostbus.h"
#include "toolstack/store.h"

struct attach {
    struct xen *xen;
    const char *dir;     /* whose physical bus; NULL: a real one, of which nothing is known here */
    uint64_t timeout_ms; /* 0: nothing is waited for */
    struct tstore_port port;
    /* Out: */
    bool plugged; /* there is a device at the place */
    struct hostbus_device device;
};

/* Whether port.busid is a place that a guest can have, and what is there. */
int attach_check(struct attach *attach, char *error);
/* The device at a bus and address, as xl names them; sets port.busid. */
int attach_resolve(struct attach *attach, unsigned int bus, unsigned int address, char *error);
/* Checks, writes, waits. */
int attach_device(struct attach *attach, char *error);
/* The second half of that, for nodes that are written already; since: the guest's sequence before. */
int attach_await(struct attach *attach, uint64_t since, char *error);
/* What the guest has said so far; 0 for one that says nothing. */
uint64_t attach_sequence(struct xen *xen, domid_t frontend);
/* Takes it away and waits until the guest has let go. */
int attach_detach(struct attach *attach, char *error);
/*
 * Devices, controller, nodes. 0, also when somebody else has done it meanwhile, or 1 when it had to be forced
 * because the backend did not close in time; error has a line then, too. -ENODEV: it was gone before.
 */
int attach_destroy_controller(struct attach *attach, const struct vusb_controller *controller, char *error);

#endif
