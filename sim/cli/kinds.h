/* SPDX-License-Identifier: MIT */
/* Simulated devices by name, as on a command line: BUSID=KIND. kinds_help lists the kinds. */
#ifndef SIM_CLI_KINDS_H
#define SIM_CLI_KINDS_H

#include "devices/sim_host.h"

#define KIND_ERROR_MAX 320u

/* The kinds, as lines of a --help. */
extern const char kinds_help[];

/*
 * Makes the device that "1-1=disk:16M" names and plugs it in. busid, if not NULL, gets the name
 * (SIM_HOST_BUSID_SIZE bytes). -EINVAL for text that is wrong, or what disk_create() or sim_host_plug() said;
 * error then has one line without newline.
 */
int kind_plug(struct sim_host *sim, const char *text, char *busid, char error[KIND_ERROR_MAX]);

#endif
