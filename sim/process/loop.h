/* SPDX-License-Identifier: MIT */
/*
 * Waiting, for programs that are processes of their own: a set of descriptors made anew for each wait, and
 * the clock. Nothing below the programs waits.
 */
#ifndef SIM_PROCESS_LOOP_H
#define SIM_PROCESS_LOOP_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOP_FDS_MAX 256u

struct loop {
    struct pollfd fds[LOOP_FDS_MAX];
    unsigned int nr;
    bool overfull; /* more descriptors than fit: the wait becomes a poll */
};

void loop_clear(struct loop *loop);
/* A negative descriptor is left out. */
void loop_add(struct loop *loop, int fd);
/* For other events of poll() than POLLIN. */
void loop_add_for(struct loop *loop, int fd, short events);
/* Waits for any of them until a time of loop_now_ns(); UINT64_MAX for ever, 0 not at all. 0 or -errno. */
int loop_wait(struct loop *loop, uint64_t until_ns);
/* Whether the last wait found it ready, or closed at the other end. */
bool loop_ready(const struct loop *loop, int fd);
/*
 * Looking again instead of waiting. poll() is called while pending() says that there is work; after `ns` without, at
 * until_ns, or after LOOP_SPIN_TURN_NS in any case, as descriptors want their turn too, it ends. No system call but the
 * clock's. The caller then takes its step and waits; while it is told that there was work until the end of its turn, it
 * only looks at the descriptors, and spins on.
 */
struct loop_spin {
    uint64_t ns; /* 0: not at all */
    bool (*pending)(void *context);
    void (*poll)(void *context, uint64_t now_ns);
    void *context;
};
#define LOOP_SPIN_TURN_NS UINT64_C(1000000)
bool loop_spin(const struct loop_spin *spin, uint64_t until_ns);

/* CLOCK_MONOTONIC. */
uint64_t loop_now_ns(void);
/* A descriptor that becomes readable with SIGINT or SIGTERM, which then do nothing else; -errno. */
int loop_signal_fd(void);

#endif
