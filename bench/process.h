/* SPDX-License-Identifier: MIT */
/* What processes cost: CPU time and wake-ups, of others too. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include "bench/path.h"

/* CPU time of this process and of the session's, in ns; of a process that has ended, 0. session may be NULL.
 */
uint64_t bench_cpu_ns(const struct bench_session *session);
/* How often their threads went to sleep by themselves so far: each is a wake-up that was or will be. */
uint64_t bench_sleeps(const struct bench_session *session);
/*
 * The first two CPUs this process may use: the guest gets the first, the other side the second, or the same
 * where there is no other, or `cpus` says so for what spins or does not.
 */
void bench_choose_cpus(struct bench_setup *setup, enum bench_cpus cpus, bool spins);
/* Puts this process on setup->guest_cpu and gives it timers without slack. */
void bench_become_guest_side(const struct bench_setup *setup);
/* Back to all CPUs that were allowed when the program began. */
void bench_leave_cpu(void);

/* One turn of a loop that looks at another processor's memory. */
static inline void bench_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

#endif
