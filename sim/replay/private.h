/* SPDX-License-Identifier: MIT */
/* What the files of the replay share. */
#ifndef SIM_REPLAY_PRIVATE_H
#define SIM_REPLAY_PRIVATE_H

#include "replay/plan.h"

/* classify.c: fills everything of *plan but the device. */
void plan_classify(const struct trace_urb *urb, struct plan_urb *plan);

/* devices.c: groups URBs into devices. 0 or -ENOMEM. */
int plan_find_devices(struct plan *plan);

/* qemu.c: takes out of the plan what QEMU does not carry. 0 or -ENOMEM. */
int plan_limit_to_qemu(struct plan *plan);

#endif
