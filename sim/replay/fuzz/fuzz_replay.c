// SPDX-License-Identifier: MIT
/*
 * Any bytes as a recording, replayed in one process in both ways. A recording may contradict itself; the
 * replay may not: no difference, no transfer too many, no stand-still, nothing left open, and sums that add up.
 */
#include <stdio.h>
#include <stdlib.h>

#include "replay/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static void check(const struct plan *plan, const struct replay_results *results)
{
    struct replay_summary s;
    uint32_t submissions = 0;
    uint32_t reasons = 0;
    replay_summarise(plan, results, &s);
    for (uint32_t i = 0; i < plan->trace->nr_order; i++)
        submissions += plan->trace->order[i].what == 'S';
    for (unsigned int r = 0; r < REPLAY_REASONS; r++)
        reasons += s.reasons[r];
    replay_print_mismatches(stderr, plan, results, 3);
    MUST(s.mismatched == 0);
    MUST(s.strays == 0);
    MUST(s.guest_step == s.nr_steps);
    MUST(s.urbs == submissions);
    MUST(s.urbs + s.unpaired == plan->trace->nr_urbs);
    MUST(s.matched + s.not_checked == s.urbs);
    MUST(s.reasons[REPLAY_CHECKED] == 0 && reasons == s.not_checked);
    MUST(s.replayed >= s.matched);
}

static void play(const struct trace *trace, enum replay_match match)
{
    const struct replay_options options = {.processes = 1, .match = match};
    char error[REPLAY_ERROR_MAX];
    struct plan plan;
    struct replay_totals totals;
    struct replay_results *results = replay_results_create(trace);
    MUST(results);
    MUST(plan_create_for(trace, PLAN_QEMU, &plan) == 0); /* to be made only: QEMU is not here */
    plan_dispose(&plan);
    MUST(plan_create(trace, &plan) == 0);
    if (replay_run(&plan, &options, results, &totals, error)) {
        fprintf(stderr, "%s\n", error);
        abort();
    }
    check(&plan, results);
    plan_dispose(&plan);
    replay_results_destroy(results, trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[TRACE_ERROR_MAX];
    struct trace trace;
    if (trace_read_memory("fuzz", data, size, &trace, error))
        return 0;
    play(&trace, REPLAY_STRICT);
    play(&trace, REPLAY_ENDPOINT);
    trace_dispose(&trace);
    return 0;
}
