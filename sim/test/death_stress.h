/* SPDX-License-Identifier: MIT */
/* What the files of the stress on death share: the machine's processes and what the parent knows of them. */
#ifndef SIM_TEST_DEATH_STRESS_H
#define SIM_TEST_DEATH_STRESS_H

#include <fakexen/fakexen.h>

#include "death_process.h"
#include "death_traffic.h"

#define KILLS_MAX 20000u

struct stress {
    uint64_t seed;
    uint64_t random;
    bool verbose;
    uint64_t notice_ns; /* bounds, for failure only */
    uint64_t recover_ns;

    const char *bin;  /* the programs' folder */
    char parent[64];  /* TMPDIR of all */
    char dir[80];     /* of the machine */
    struct xen_machine *machine;

    struct process host;
    struct process back;
    pid_t front;
    int ops;    /* eventfd */
    int report; /* of the frontend; -1 at its end */
    int host_fds; /* of the host with nobody there */

    /* What came in. Times are those of the event, 0 for not since it was last forgotten. */
    uint64_t nr_ops;
    uint64_t works_ns;
    uint64_t good_ns;
    uint64_t lost_ns;
    uint64_t left_ns;
    uint64_t machine_ns;
    uint64_t back_lost_ns;    /* the backend said that its frontend is gone */
    uint64_t back_machine_ns; /* the backend said that the machine is gone */
    uint64_t ready_ns;        /* the host or the backend listens */
    char balance[PROCESS_LINE_MAX];
    uint64_t target_ops; /* what the parent waits for */
    uint64_t since_ns;   /* of the last kill */
    uint64_t started_ns; /* of the half started last */
    unsigned int kills;  /* of a half */

    /* How long the other half took to notice. */
    uint64_t front_noticed[2 * KILLS_MAX];
    uint64_t back_noticed[2 * KILLS_MAX];
    unsigned int nr_front_noticed;
    unsigned int nr_back_noticed;
};

/* Prints the line and the seed, and ends everything. */
void fail(const struct stress *s, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

/* With --verbose: what is done, and what is seen. */
void note(const struct stress *s, const char *what);

/* death_watch.c: takes in what the processes say until done() or, as a failure that `what` names, for bound_ns. */
void await(struct stress *s, bool (*done)(const struct stress *s), uint64_t bound_ns, const char *what);
/* Takes in what is there. */
void take_in(struct stress *s);
/* Until the machine's balance is that: handles, and of the rest nothing. Counts the host's descriptors, too. */
void await_balance(struct stress *s, unsigned int handles, const char *when);
/* The same for the parts that a survivor's own waiting does not touch. */
void await_no_maps(struct stress *s, unsigned int handles, const char *when);

#endif
