/* SPDX-License-Identifier: MIT */
/*
 * A machine for a test, whichever form it has: the same tests are linked with
 * machine_local.c and with machine_host.c. It begins with domains 0, 5 and 7 and a handle of each.
 */
#ifndef FAKEXEN_TEST_MACHINE_H
#define FAKEXEN_TEST_MACHINE_H

#include <fakexen/fakexen.h>

/* In dom0, in guest (5) and in other (7). */
struct test_machine {
    struct xen_machine *machine;
    struct xen *dom0;
    struct xen *guest;
    struct xen *other;
    void *form; /* of the file that made it */
    void (*opened)(struct test_machine *test, struct xen *xen); /* what the form does with each handle, or NULL */
};

#define GUEST 5
#define OTHER 7

#define CALL(xen, op, ...) ((xen)->ops->op((xen), __VA_ARGS__))

/* Each implementation has these two; they abort the test program when they fail. */
void machine_begin(struct test_machine *test);
struct fakexen_balance machine_balance(struct test_machine *test);
void machine_finish(struct test_machine *test);
/* Whether a handle of this form has something waiting; NULL where its fd says that. */
extern bool (*const machine_waiting)(const struct xen *xen);

/* The store is ours, not the genuine xenstored. */
extern const bool machine_own_store;

/* cmocka's set-up and tear-down: the latter fails unless everything was given back. */
int machine_setup(void **state);
int machine_teardown(void **state);
struct xen *machine_open(struct test_machine *test, domid_t domid);

#endif
