/* SPDX-License-Identifier: MIT */
/* What a recorded device says of itself in sysfs, from what it said to whoever was recorded. */
#ifndef SIM_USBFS_DESCRIBE_H
#define SIM_USBFS_DESCRIBE_H

#include "replay/plan.h"

/*
 * One device descriptor (18 bytes) and one configuration, to be freed. The configuration is the one that the
 * recording has in full and chooses, if every endpoint in use is in it; else, or with *made_up set, one with
 * the interfaces and endpoints that are in use, and *made_up is set. No strings, no device class. 0 or
 * -ENOMEM.
 */
int describe_recorded(const struct plan *plan, uint32_t device, uint8_t bytes[18], uint8_t **configuration,
                      bool *made_up);

#endif
