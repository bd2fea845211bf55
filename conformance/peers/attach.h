/* SPDX-License-Identifier: MIT */
/* Machines that were there before and stay: struct peer_config.machine. */
#ifndef CONFORMANCE_PEERS_ATTACH_H
#define CONFORMANCE_PEERS_ATTACH_H

#include "peer.h"

/* Whether it is the Xen that we run on. */
bool attach_is_real(const struct peer_config *config);
/*
 * The machine, and a handle of the domain that this process is in: on a fake one whichever it wants, so domain 0. 0 or
 * -errno with a line.
 */
int attach_machine_open(const struct peer_config *config, struct xen_machine **machine, struct xen **look,
                        char error[PEER_ERROR_MAX]);
/* NULLs are allowed. */
void attach_machine_close(const struct peer_config *config, struct xen_machine *machine, struct xen *look);
/* True with a line when the machine is gone. */
bool attach_machine_gone(struct xen *look, char line[PEER_ERROR_MAX]);
/* What cases may do there with such a half, without what its program adds. */
const char *attach_abilities(const struct peer_config *config);

#endif
