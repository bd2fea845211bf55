/* SPDX-License-Identifier: MIT */
/*
 * What the programs of this folder share. They are written against Xen's own headers and linked with Xen's
 * own libraries only; which domain a handle is of is what `pvusb exec` says in the environment when it is
 * opened.
 */
#ifndef SIM_TEST_EXEC_XEN_LAB_H
#define SIM_TEST_EXEC_XEN_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define PAGE 4096u

/* Handles opened from now on are of this domain: 0, 1 or 2. */
void be_domain(unsigned int domid);
xengnttab_handle *tab_of(unsigned int domid);
xengntshr_handle *shr_of(unsigned int domid);
xenevtchn_handle *evtchn_of(unsigned int domid);

/* What the kernel says of a byte of ours, so that a fault is an answer. */
bool can_read(const void *addr);
bool can_write(void *addr);

/* Whether an event waits, at once or within 30 seconds. */
bool has_event(xenevtchn_handle *xce);
bool wait_event(xenevtchn_handle *xce);

/* A channel between two handles of domains 0 and 1, without the event that a new one has. */
struct channel {
    xenevtchn_handle *near; /* of domain 0 */
    xenevtchn_handle *far;  /* of domain 1 */
    evtchn_port_t near_port;
    evtchn_port_t far_port;
};
void channel_open(struct channel *channel);
void channel_close(struct channel *channel);

/* The exit code of a child, 128 + its signal if that ended it. */
int child_ended(int pid);

#endif
