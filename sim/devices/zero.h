/* SPDX-License-Identifier: MIT */
/*
 * Linux's gadget zero, the peer of usbtest: vendor-specific, two configurations.
 *
 *   source and sink (3)  bulk IN 1 gives a pattern for ever, bulk OUT 1 takes it and halts when a byte is
 *                        wrong; alternate setting 1 adds isochronous IN 2 and OUT 2 of the same kind
 *   loopback (2)         what bulk OUT 1 takes, in transfers of at most 4096 bytes, bulk IN 1 gives back
 *
 * Vendor request 0x5b stores up to 4096 bytes, 0x5c gives them back (f_sourcesink.c, as of Linux 6.1).
 * The source always sends full packets: an IN transfer that is no multiple of them babbles.
 *
 * Not modelled: remote wakeup by timer, the autoresume options, bursts.
 */
#ifndef SIM_DEVICES_ZERO_H
#define SIM_DEVICES_ZERO_H

#include "devices/device.h"

#define ZERO_EP_IN         0x81u
#define ZERO_EP_OUT        0x01u
#define ZERO_EP_ISO_IN     0x82u
#define ZERO_EP_ISO_OUT    0x02u
#define ZERO_SOURCE_SINK   3u /* bConfigurationValue */
#define ZERO_LOOPBACK      2u
#define ZERO_CONTROL_BYTES 4096u

struct zero_config {
    uint8_t speed;       /* USBIF_SPEED_FULL or, also for 0, _HIGH */
    uint8_t pattern;     /* 0: zeros; 1: byte i of a packet is i mod 63 */
    bool loopback_first; /* which configuration has index 0 */
    uint8_t more; /* isoc_mult: transactions in a microframe besides the first, 0..2; high speed only */
};

struct zero_stats {
    uint64_t bytes_in, bytes_out;             /* bulk */
    uint64_t packets_in, packets_out, missed; /* isochronous */
    uint64_t wrong;                           /* bytes that were not the pattern */
};

/* -EINVAL for another speed, pattern or number of transactions. For sim_host_plug(). */
int zero_create(const struct zero_config *config, struct usb_device **out);
struct zero_stats zero_stats(const struct usb_device *device);

#endif
