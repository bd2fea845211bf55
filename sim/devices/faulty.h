/* SPDX-License-Identifier: MIT */
/*
 * Makes any device misbehave on command. A script is a list of rules, separated by ';' or newlines:
 *
 *   ep ADDRESS [after N] [times M]: stall | nak | error | babble | short N | long N | disconnect
 *   descriptor device|config|string [after N] [times M]:
 *       truncated N | too-long N | wTotalLength N | bLength N | byte AT VALUE | stall | nak
 *
 * A rule lets the first N transfers (0) of its endpoint pass and then spoils M of them (1; 0: all that come);
 * of a stalled endpoint those count that find it not halted. Of several rules for one transfer the first that
 * is due applies. Endpoint 0 counts all control requests, descriptor rules the GET_DESCRIPTORs of their kind;
 * on isochronous endpoints a packet is what a transfer is elsewhere. Numbers may be hexadecimal.
 *
 *   stall       -EPIPE, and the endpoint is halted
 *   nak         no answer as long as the transfer is there
 *   error       as after a bad CRC: -EPROTO, nothing moved
 *   babble      more data than asked for: -EOVERFLOW. IN only, as are the next two.
 *   short N     what the device sends, but at most N bytes of it
 *   long N      what the device sends, and N bytes more
 *   disconnect  a first packet moves if the transfer has two, then the device is unplugged at the next step
 *   truncated   the first N bytes of the descriptor, whatever it says about its length
 *   too-long    N bytes more than there are or were asked for
 *   byte        one byte replaced
 *
 * On endpoint 0 the device's own answers are not to be had: short and long are made of zeros there.
 */
#ifndef SIM_DEVICES_FAULTY_H
#define SIM_DEVICES_FAULTY_H

#include "devices/sim_host.h"

#define FAULTY_RULES_MAX 16u

struct faulty_config {
    const char *script;
    /* Where disconnect unplugs it; NULL if no rule says so. The host must live as long as the device. */
    struct sim_host *host;
    const char *busid;
};

/*
 * From now on, and until it is destroyed, the device obeys the script. -EINVAL for a script that is none, the
 * device then is as it was.
 */
int faulty_wrap(struct usb_device *device, const struct faulty_config *config);
/* How many transfers have been spoiled. */
unsigned int faulty_fired(const struct usb_device *device);

#endif
