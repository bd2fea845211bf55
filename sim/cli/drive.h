/* SPDX-License-Identifier: MIT */
/* `pvusb frontend --drive`: the guest above the frontend does what lines on stdin say (conformance/DRIVE.md). */
#ifndef SIM_CLI_DRIVE_H
#define SIM_CLI_DRIVE_H

#include "frontend/frontend.h"

/*
 * Serves stdin until it ends or the signal comes (a descriptor of loop_signal_fd()), then destroys the frontend. 0, or
 * -errno: -EPIPE the machine is gone, -EPROTO a line longer than any is.
 */
int drive_frontend(struct front *front, int signals);

#endif
