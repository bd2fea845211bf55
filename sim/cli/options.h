/* SPDX-License-Identifier: MIT */
/* What several verbs parse and say alike. */
#ifndef SIM_CLI_OPTIONS_H
#define SIM_CLI_OPTIONS_H

#include <fakexen/fakexen.h>

#include "cli/numbers.h"

/*
 * "fake:DIR" becomes the machine there, and "real" the Xen that we run on (fakexen/real.h); a handle of domid on it is
 * opened. On failure one line on stderr says what is wrong and what to do; returns EXIT_USAGE.
 */
int connect_machine(const char *verb, const char *where, domid_t domid, struct xen_machine **machine,
                    struct xen **xen);
/* All handles must be closed. */
void disconnect_machine(const char *where, struct xen_machine *machine);

/* A log line of a driver, on stdout at once. */
void print_line(void *context, const char *line);

#endif
