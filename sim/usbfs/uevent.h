/* SPDX-License-Identifier: MIT */
/* Messages of udev to the programs in a testbed: the preload library gives each listener a socket there. */
#ifndef SIM_USBFS_UEVENT_H
#define SIM_USBFS_UEVENT_H

/* action: "add" or "remove"; devpath: without "/sys"; node: "/dev/...". A listener that is gone is left out.
 */
void uevent_send(const char *dir, const char *devpath, const char *action, const char *node, unsigned int bus,
                 unsigned int number);

#endif
