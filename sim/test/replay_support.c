// SPDX-License-Identifier: MIT
/*
 * What the tests of sim/replay share.
 */
#include "replay_support.h"

#include <string.h>

int replay_test_run(const struct trace *trace, unsigned int processes, enum replay_match match,
                    struct replay_run *out)
{
    char error[REPLAY_ERROR_MAX];
    const struct replay_options options = {.processes = processes, .match = match};
    *out = (struct replay_run){0};
    out->results = replay_results_create(trace);
    if (!out->results || plan_create(trace, &out->plan)) {
        fprintf(stderr, "out of memory\n");
        return -1;
    }
    if (replay_run(&out->plan, &options, out->results, &out->totals, error)) {
        fprintf(stderr, "not played: %s\n", error);
        return -1;
    }
    replay_summarise(&out->plan, out->results, &out->summary);
    return 0;
}

void replay_test_dispose(struct replay_run *run, const struct trace *trace)
{
    plan_dispose(&run->plan);
    replay_results_destroy(run->results, trace);
    *run = (struct replay_run){0};
}

static uint32_t submissions(const struct trace *trace)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < trace->nr_order; i++)
        n += trace->order[i].what == 'S';
    return n;
}

static bool sums_add_up(const struct replay_run *run)
{
    const struct replay_summary *s = &run->summary;
    uint32_t reasons = 0;
    for (unsigned int r = 0; r < REPLAY_REASONS; r++)
        reasons += s->reasons[r];
    return s->urbs == submissions(run->plan.trace) && s->urbs + s->unpaired == run->plan.trace->nr_urbs &&
           s->matched + s->mismatched + s->not_checked == s->urbs && reasons == s->not_checked &&
           s->reasons[REPLAY_CHECKED] == 0 && s->matched + s->mismatched <= s->replayed && s->replayed <= s->urbs;
}

bool replay_test_clean(const struct replay_run *run, const char *name)
{
    const struct replay_summary *s = &run->summary;
    bool clean = sums_add_up(run) && s->mismatched == 0 && s->strays == 0 && s->guest_step == s->nr_steps;
    if (clean)
        return true;
    fprintf(stderr, "%s: %u URBs, %u replayed, %u matched, %u mismatched, %u not checked, %u strays, step %u of %u\n",
            name, s->urbs, s->replayed, s->matched, s->mismatched, s->not_checked, s->strays, s->guest_step,
            s->nr_steps);
    replay_print_mismatches(stderr, &run->plan, run->results, 5);
    return false;
}

bool replay_test_same(const struct replay_run *a, const struct replay_run *b)
{
    for (uint32_t u = 0; u < a->plan.trace->nr_urbs; u++) {
        if (replay_verdict(&a->plan, a->results, u) != replay_verdict(&b->plan, b->results, u) ||
            a->plan.urb[u].reason != b->plan.urb[u].reason || a->plan.urb[u].replayed != b->plan.urb[u].replayed) {
            fprintf(stderr, "URB %u is not judged alike\n", u);
            return false;
        }
    }
    return memcmp(&a->summary, &b->summary, sizeof(a->summary)) == 0;
}
