/* SPDX-License-Identifier: MIT */
/* pvusb replay, with what plays a recording as an argument, so that a test can put a wrong result there. */
#ifndef SIM_CLI_REPLAY_CLI_H
#define SIM_CLI_REPLAY_CLI_H

#include "cli/cli.h"
#include "replay/report.h"

/* As replay_run(). */
typedef int replay_runner(const struct plan *plan, const struct replay_options *options,
                          struct replay_results *results, struct replay_totals *totals,
                          char error[REPLAY_ERROR_MAX]);
int replay_cli_with(int argc, char **argv, replay_runner *run);

#endif
