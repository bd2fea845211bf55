/* SPDX-License-Identifier: MIT */
/* The program pvusb-conform, as a function of its tables. */
#ifndef CONFORMANCE_RUN_RUN_H
#define CONFORMANCE_RUN_RUN_H

#include "../kit/kit.h"

/* groups and peers end with NULL; the first peer is the default. Returns the exit code. */
int conform_main(int argc, char **argv, const struct conform_case *const groups[],
                 const struct peer_ops *const peers[]);

/* What a case came to, as its process said it. */
struct outcome {
    enum kit_verdict verdict;
    char message[512];
    char block[8192]; /* last slots and events, printed */
};

/*
 * Runs one case in a process of its own and waits for it at most limit_s seconds: then it is killed. Whatever becomes
 * of that process, out holds a verdict and one line.
 */
void isolate_run(const struct conform_case *test, const struct peer_ops *ops, const struct peer_config *config,
                 uint64_t seed, unsigned int limit_s, struct outcome *out);

#endif
