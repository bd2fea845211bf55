/* SPDX-License-Identifier: MIT */
/*
 * When other processes have nothing to do. How fast the machine is does not matter: what waits for a CPU does
 * not sleep. Needs /proc.
 */
#ifndef CONFORMANCE_PEERS_QUIET_H
#define CONFORMANCE_PEERS_QUIET_H

#include <sys/types.h>

#define QUIET_MAX 32u /* processes; of more, the first ones */

/*
 * Waits until all threads of these processes have slept at one and the same time, so that none has work that
 * another gave it. Timers that they have set are not waited for. Gives up on processes that do not sleep for a
 * second of their CPU time, and after ten seconds in any case.
 */
void quiet_wait(const pid_t pids[], unsigned int count);

/*
 * The same for a program of somebody else, which may set timers and start others: until it and all that
 * descend from it have slept for 50 ms altogether. machine: a process that they work with, 0 for none.
 */
void quiet_wait_family(pid_t root, pid_t machine);

#endif
