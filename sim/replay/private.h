/* SPDX-License-Identifier: MIT */
/* What the files of the replay share. */
#ifndef SIM_REPLAY_PRIVATE_H
#define SIM_REPLAY_PRIVATE_H

#include "replay/plan.h"

/* classify.c: fills everything of *plan but the device. */
void plan_classify(const struct trace_urb *urb, struct plan_urb *plan);

/* devices.c: groups URBs into devices. 0 or -ENOMEM. */
int plan_find_devices(struct plan *plan);

#endif
