/* SPDX-License-Identifier: MIT */
/* A replay as the tests run it, and what must hold after every one. */
#ifndef SIM_TEST_REPLAY_SUPPORT_H
#define SIM_TEST_REPLAY_SUPPORT_H

#include "replay/report.h"

struct replay_run {
    struct plan plan;
    struct replay_results *results;
    struct replay_totals totals;
    struct replay_summary summary;
};

/*
 * Plays a trace; the session itself checks that nothing is left open. -1 with a line on stderr when it could not be
 * played. Dispose of it in any case.
 */
int replay_test_run(const struct trace *trace, unsigned int processes, enum replay_match match,
                    struct replay_run *out);
void replay_test_dispose(struct replay_run *run, const struct trace *trace);

/* True when nothing differs, nothing stands still and the sums add up; otherwise says on stderr what is wrong. */
bool replay_test_clean(const struct replay_run *run, const char *name);
/* True when both say the same of every URB. */
bool replay_test_same(const struct replay_run *a, const struct replay_run *b);

#endif
