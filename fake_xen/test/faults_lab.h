/* SPDX-License-Identifier: MIT */
/* A machine with faults around whichever form, a guest and a backend with a channel between them. */
#ifndef FAKEXEN_TEST_FAULTS_LAB_H
#define FAKEXEN_TEST_FAULTS_LAB_H

#include <fakexen/faults.h>

#include "machine.h"

struct lab {
    struct test_machine test;
    struct xen_machine *faults;
    struct xen *guest;
    struct xen *back;    /* of domain 0 */
    evtchn_port_t gport; /* a channel between the two; neither has an event */
    evtchn_port_t bport;
};

/* cmocka's set-up and tear-down: the latter fails unless everything was given back. */
int faults_set_up(void **state);
int faults_tear_down(void **state);
#define FAULTS_TEST(name) cmocka_unit_test_setup_teardown(name, faults_set_up, faults_tear_down)

void faults_plan(struct lab *lab, const char *text);
bool faults_pending(struct lab *lab);
/* Connects another channel; gport and bport are its. */
void faults_connect(struct lab *lab);
/* One poll: the port that is pending, 0 for none. It stays masked. */
evtchn_port_t faults_poll(struct xen *xen);
void faults_unmask(struct xen *xen, evtchn_port_t port);
void faults_notify(struct lab *lab);

#endif
