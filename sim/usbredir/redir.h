/* SPDX-License-Identifier: MIT */
/*
 * The usb-host side of usbredir (docs/usb-redirection-protocol.md of spice/usbredir): one device of a
 * usb_host for QEMU's `-device usb-redir,chardev=...`, over a connected socket, with libusbredirparser.
 *
 * Control, bulk and interrupt transfers, cancel, reset, configurations and alternate settings. Interrupt
 * endpoints are read ahead, as the protocol has it, with two transfers under way. Isochronous streams of at
 * most 16 URBs of at most 32 packets, one packet for each frame or microframe, of high-bandwidth endpoints,
 * too: what comes from the device is sent as it comes; what goes to it is collected, half of the URBs before
 * the first one. A stream that gets ahead of its device, or of a peer that does not read, loses packets.
 *
 * Trusts no peer: packets that the parser refuses, or that name an endpoint that is not there, end in a
 * refusal or in the end of the connection. At most 256 transfers and 16 MiB of buffers; what is more is
 * refused.
 *
 * Threads: one. Nothing blocks.
 */
#ifndef SIM_USBREDIR_REDIR_H
#define SIM_USBREDIR_REDIR_H

#include "hosts/usb_host.h"

struct redir;

struct redir_stats {
    uint64_t transfers, cancels, refused, reports; /* reports: of interrupt endpoints, sent by ourselves */
    uint64_t iso_packets, iso_lost;                /* of streams; lost: for want of room */
};

/*
 * Opens the device at busid and takes the socket, on failure too. log may be NULL. What open() of the host
 * says, -ENOMEM.
 */
int redir_create(struct usb_host *host, const char *busid, int fd,
                 void (*log)(void *context, const char *line), void *log_context, struct redir **out);
/* Ends all transfers, and the connection. */
void redir_destroy(struct redir *redir);
/* Does all that can be done; the host's step() is the owner's. 0; -EPIPE the peer closed; -EPROTO; -ENODEV
 * unplugged. */
int redir_step(struct redir *redir);
/* Something is to be sent that has not been tried. */
bool redir_due(const struct redir *redir);
int redir_fd(const struct redir *redir);
/* What poll() is to be asked. */
short redir_events(const struct redir *redir);
struct redir_stats redir_stats(const struct redir *redir);

#endif
