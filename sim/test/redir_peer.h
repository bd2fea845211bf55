/* SPDX-License-Identifier: MIT */
/* The usb-guest side of usbredir, as QEMU's usb-redir is one, for tests of ours; with the same parser. */
#ifndef SIM_TEST_REDIR_PEER_H
#define SIM_TEST_REDIR_PEER_H

#include <usbredirparser.h>

#include "test/test_device_util.h"
#include "usbredir/redir.h"

struct redir_peer {
    struct sim_host *sim;
    struct redir *redir;
    struct usbredirparser *parser;
    int fd;
    char told[1024]; /* in order, "endpoints; connect 0525:a4a0 high; " and so on */
    struct usb_redir_ep_info_header endpoints;
    uint8_t data[70000];
    int length;
    unsigned int lines;
    uint64_t now_ns;
    unsigned int packets, bad_packets; /* of an isochronous stream */
    uint32_t next;                     /* sample */
    bool unchecked;                    /* packets may be any; the last one is in data */
};

/* Takes the device. */
void redir_peer_open(struct redir_peer *peer, struct usb_device *device);
void redir_peer_close(struct redir_peer *peer);
/* Both ends, until they have said what they have to; what redir_step() says. */
int redir_peer_step(struct redir_peer *peer);
/* What the peer is told of; it is forgotten then. */
void redir_peer_expect(struct redir_peer *peer, const char *told);
/* Time goes on, a millisecond after the other. */
void redir_peer_pass(struct redir_peer *peer, unsigned int ms);
/* A device with one interface. */
void redir_peer_configure(struct redir_peer *peer, uint8_t value);

#endif
