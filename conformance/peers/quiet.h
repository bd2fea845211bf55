/* SPDX-License-Identifier: MIT */
/* When other processes have nothing to do. */
#ifndef CONFORMANCE_PEERS_QUIET_H
#define CONFORMANCE_PEERS_QUIET_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Waits until all threads of these processes have slept at one and the same time, so that none has work that another
 * gave it, or until a time of loop_now_ns(). Timers that they have set are not waited for. Needs /proc.
 */
void quiet_wait(const pid_t pids[], unsigned int count, uint64_t until_ns);

#endif
