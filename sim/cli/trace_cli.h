// SPDX-License-Identifier: MIT
/*
 * pvusb trace: what is in recordings of USB traffic. argv[0] is "trace"; returns the exit code.
 */
#ifndef SIM_CLI_TRACE_CLI_H
#define SIM_CLI_TRACE_CLI_H

int trace_cli(int argc, char **argv);

#endif
