/* SPDX-License-Identifier: MIT */
/*
 * One recording, replayed: a guest with a virtual controller for each recorded bus, the backend, the
 * recorded devices. In one process on a local machine and virtual time, or with the
 * machine, the backend and the frontend as three processes.
 */
#ifndef SIM_REPLAY_SESSION_H
#define SIM_REPLAY_SESSION_H

#include "frontend/frontend.h"
#include "replay/plan.h"
#include "replay/replay_host.h"
#include "replay/result.h"

struct replay_options {
    unsigned int processes; /* 1 or 2 */
    enum replay_match match;
    bool qemu;         /* QEMU's backend instead of ours; the plan is one for it, and match REPLAY_ENDPOINT */
    const char *trace; /* with it: the file that the plan is of */
    const char *pcap;       /* NULL, or the file to write what went over the ring to */
    void (*log)(void *context, const char *line); /* NULL for none */
    void *log_context;
};

struct replay_totals {
    struct front_stats front;  /* sums over the controllers */
    uint64_t elapsed_ns;       /* of real time */
};

#define REPLAY_ERROR_MAX 512

/*
 * results has room for every URB of the trace, zeroed, in shared memory when two processes are
 * asked for (replay_results_create()). 0 when the replay ran to its end or came to a stand, which the results tell;
 * -errno with a line in error when it could not run or a process died; -ENOPKG when a
 * package is missing for QEMU.
 */
int replay_run(const struct plan *plan, const struct replay_options *options, struct replay_results *results,
               struct replay_totals *totals, char error[REPLAY_ERROR_MAX]);

struct replay_results *replay_results_create(const struct trace *trace);
void replay_results_destroy(struct replay_results *results, const struct trace *trace);

#endif
