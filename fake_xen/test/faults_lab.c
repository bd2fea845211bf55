// SPDX-License-Identifier: MIT
#include "faults_lab.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

void faults_plan(struct lab *lab, const char *text)
{
    char error[FAKEXEN_FAULTS_ERROR_MAX] = "";
    if (fakexen_faults_parse(lab->faults, text, error))
        fail_msg("%s: %s", text, error);
}

bool faults_pending(struct lab *lab)
{
    return fakexen_faults_pending(lab->faults, machine_waiting);
}

evtchn_port_t faults_poll(struct xen *xen)
{
    evtchn_port_t port = 0;
    int rc = CALL(xen, evtchn_pending, &port);
    assert_true(rc == 0 || rc == -EAGAIN);
    return rc ? 0 : port;
}

void faults_unmask(struct xen *xen, evtchn_port_t port)
{
    assert_int_equal(CALL(xen, evtchn_unmask, port), 0);
}

void faults_notify(struct lab *lab)
{
    assert_int_equal(CALL(lab->back, evtchn_notify, lab->bport), 0);
}

void faults_connect(struct lab *lab)
{
    assert_int_equal(CALL(lab->guest, evtchn_alloc, 0, &lab->gport), 0);
    assert_int_equal(CALL(lab->back, evtchn_bind, GUEST, lab->gport, &lab->bport), 0);
    assert_int_equal(faults_poll(lab->back), lab->bport);
    faults_unmask(lab->back, lab->bport);
}

int faults_set_up(void **state)
{
    struct lab *lab = calloc(1, sizeof(*lab));
    assert_non_null(lab);
    machine_begin(&lab->test);
    assert_int_equal(fakexen_faults_create(lab->test.machine, &lab->faults), 0);
    assert_int_equal(lab->faults->ops->domain_create(lab->faults, GUEST), 0);
    assert_int_equal(lab->faults->ops->open(lab->faults, GUEST, &lab->guest), 0);
    assert_int_equal(lab->faults->ops->open(lab->faults, 0, &lab->back), 0);
    faults_connect(lab);
    *state = lab;
    return 0;
}

int faults_tear_down(void **state)
{
    struct lab *lab = *state;
    const struct fakexen_balance none = {0};
    xen_close(lab->guest);
    xen_close(lab->back);
    struct fakexen_balance balance = machine_balance(&lab->test);
    fakexen_faults_destroy(lab->faults);
    machine_finish(&lab->test);
    free(lab);
    assert_memory_equal(&balance, &none, sizeof(none));
    return 0;
}
