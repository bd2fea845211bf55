/* SPDX-License-Identifier: MIT */
/* One case, one process: what crashes or hangs there costs that case only. */
#ifndef CONFORMANCE_RUN_ISOLATE_H
#define CONFORMANCE_RUN_ISOLATE_H

#include <sys/types.h>

#include "../kit/log.h"

/* What a case came to. Its process writes it into shared memory, so that of one that dies all is there up to
 * then. */
struct outcome {
    enum kit_verdict verdict;
    bool applicable; /* false: the peer lacks what the case needs, and the verdict is a skip */
    bool told; /* verdict and message stand, whatever becomes of the process now */
    char message[512];
    struct kit_log log;
};

struct isolated {
    struct outcome *out; /* NULL: nothing was started */
    pid_t pid;
    int fd; /* readable when the process has ended or has nothing more to do; -1 once it is over */
    int64_t start_ms, end_ms;
};

struct isolate_config {
    const struct peer_ops *ops;
    struct peer_config config;
    uint64_t seed;
    unsigned int limit_s; /* then it is killed */
};

/* Starts it; a case that cannot be is over at once, with KIT_ERROR. Only without memory it fails, and `out`
 * is NULL then. */
void isolate_start(struct isolated *i, const struct conform_case *test, const struct isolate_config *config);
/*
 * Waits at most wait_ms for one of n to be over, the entries without `out` left aside, and returns its index
 * or -1. Then its outcome holds a verdict and one line, whatever became of the process, and nothing that it
 * started in its group is left.
 */
int isolate_wait(struct isolated *list, unsigned int n, int wait_ms);
/* Milliseconds that it took, once it is over. */
int64_t isolate_took(const struct isolated *i);
/* Ends it if it is not over, and frees the outcome. */
void isolate_free(struct isolated *i);

#endif
