/* SPDX-License-Identifier: MIT */
/* What came of a replay: sums, reasons, and for each difference what was expected and what came. */
#ifndef SIM_REPLAY_REPORT_H
#define SIM_REPLAY_REPORT_H

#include <stdio.h>

#include <jansson.h>

#include "replay/plan.h"
#include "replay/result.h"
#include "replay/session.h"

struct replay_summary {
    uint32_t urbs;     /* submissions in the file */
    uint32_t unpaired; /* completions whose submission is not: no URB, and not among the sums */
    uint32_t replayed;
    uint32_t matched;
    uint32_t mismatched;
    uint32_t not_checked;
    uint32_t reasons[REPLAY_REASONS]; /* of those not checked */
    uint32_t strays;
    uint32_t guest_step;  /* where it came to a stand; nr_steps when it did not */
    uint32_t nr_steps;
};

enum replay_verdict {
    VERDICT_MATCHED,
    VERDICT_MISMATCHED,
    VERDICT_NOT_CHECKED, /* plan->urb[u].reason says why */
    VERDICT_NO_URB,      /* a completion whose submission is not in the file */
};
enum replay_verdict replay_verdict(const struct plan *plan, const struct replay_results *results, uint32_t u);

/* The verdict on every URB; the sums add up to summary->urbs. */
void replay_summarise(const struct plan *plan, const struct replay_results *results, struct replay_summary *summary);
/* One block per mismatched URB, at most `most` of them; field by field, with a hex difference for data. */
void replay_print_mismatches(FILE *out, const struct plan *plan, const struct replay_results *results, uint32_t most);
/* The object for one file of the JSON report, without its name; NULL when out of memory. */
json_t *replay_json(const struct replay_summary *summary, const struct replay_totals *totals);

#endif
