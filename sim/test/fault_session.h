/* SPDX-License-Identifier: MIT */
/*
 * One whole session in one process and in virtual time, on a machine with faults: the toolstack makes a
 * controller, both drivers connect, the guest enumerates a disk, writes, reads back, has the disk
 * pulled in the middle of a read, and everything is closed and removed in order.
 *
 * Asserts nothing itself: what went wrong, whoever noticed it, is in the result. It may run without memory.
 */
#ifndef SIM_TEST_FAULT_SESSION_H
#define SIM_TEST_FAULT_SESSION_H

#include <fakexen/fakexen.h>
#include <fakexen/faults.h>

#include "backend/backend.h"

struct fault_session_config {
    const char *plan; /* of fakexen/faults.h; NULL for none */
    bool plain;       /* without persistent grants */
    enum back_buffers buffers;
    bool front_first; /* the frontend is destroyed before the backend */
    /* Called after every step; optional. */
    void (*stepped)(void *context, struct xen_machine *machine, uint64_t now_ns, bool reading);
    void *context;
    /* The machine, with nothing on it; NULL for a local one of the session's own. */
    struct xen_machine *inner;
    /* For the former: what is open on it; and optional, before time passes: lets its other processes catch
     * up. */
    int (*balance)(struct xen_machine *inner, struct fakexen_balance *out);
    void (*settle)(void *context);
};

struct fault_result {
    char failure[160]; /* the first thing that went wrong and its errno; "" for a session like one without
                          faults */
    bool endless;      /* it did not end by itself: steps or, if late is set, virtual time ran out */
    bool late;
    bool wrong_data; /* bytes that were reported good are not what was written */
    bool plan_refused;
    unsigned int steps;
    uint64_t ended_ns;
    uint64_t requests;           /* on the ring */
    struct fakexen_balance left; /* after all was destroyed */
    struct fakexen_faults_stats faults;
    uint64_t calls[64]; /* by index of fakexen_faults_op() */
};

void fault_session_run(const struct fault_session_config *config, struct fault_result *result);

#endif
