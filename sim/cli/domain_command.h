/* SPDX-License-Identifier: MIT */
/* What the commands have in common whose first argument is a domain. */
#ifndef SIM_CLI_DOMAIN_COMMAND_H
#define SIM_CLI_DOMAIN_COMMAND_H

#include "cli/tool_cli.h"
#include "toolstack/attach.h"

/*
 * Parses; check() looks at the arguments in themselves (NULL: there is nothing to look at); then the machine,
 * the domain, and run(), with attach->port.guest and .c.frontend of the domain. Both return 0 or a -errno
 * with its line in error (TOOL_ERROR_MAX bytes), run() also an exit code. Returns the exit code.
 */
int domain_command(const struct tool_verb *verb, int argc, char **argv,
                   int (*check)(struct tool *tool, struct attach *attach, char *error),
                   int (*run)(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                              char *error));

/* Controller attach->port.c.devid with all that is on it; unknown: what the refusal says, with one %u, the
 * number. */
int destroy_controller(struct tool *tool, struct attach *attach, const struct tstore_domain *domain,
                       const char *unknown, char *error);

#endif
