/* SPDX-License-Identifier: MIT */
/* A machine in a process of its own, for peers that are programs, and what real time makes of a turn. */
#ifndef CONFORMANCE_PEERS_FAR_MACHINE_H
#define CONFORMANCE_PEERS_FAR_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include <fakexen/xen_ops.h>

#include "process/family.h"

struct far_machine {
    struct family family; /* .dir is the machine's folder, in TMPDIR */
    struct xen_machine *machine;
};

/*
 * Starts the machine's process. It ends, and its folder goes, with far_machine_close() or with this process, however
 * that ends. 0 or -errno; then error (FAMILY_ERROR_MAX bytes) has a line and there is nothing to close.
 */
int far_machine_open(struct far_machine *far, char *error);
/* All handles must be closed. */
void far_machine_close(struct far_machine *far);

/*
 * struct peer_ops' now() and turn(): the clock, and a wait for two descriptors, -1 for none, that looks up now and then.
 */
uint64_t far_now(void);
bool far_turn(int fd, int other, uint64_t until_ns);

#endif
