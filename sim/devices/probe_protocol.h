/* SPDX-License-Identifier: MIT */
/*
 * How the probe device is told what to do, by vendor requests to the device (recipient device). Plain C, no other
 * header: whoever makes a probe device of hardware or of a Linux gadget can use it too.
 *
 * High speed (or full: no endpoint above 64 bytes; or low: control and interrupt endpoints of 8 bytes only), 1209:0103, one
 * configuration (value 1), interface 0:
 *   alternate 0: 0x81 0x01 and 0x83 0x03 bulk, 0x82 0x02 interrupt
 *   alternate 1: the same and 0x84 0x04 isochronous, of 192 bytes
 * Without a script IN endpoints but 0x82 send as much as asked for, 0x82 holds (NAK); OUT endpoints take all.
 * Data are little endian.
 */
#ifndef SIM_DEVICES_PROBE_PROTOCOL_H
#define SIM_DEVICES_PROBE_PROTOCOL_H

#include <stdint.h>

#define PROBE_VENDOR  0x1209
#define PROBE_PRODUCT 0x0103

enum probe_request {
    /* OUT, wIndex: endpoint, data: struct probe_step, one or more. wValue 1: sets what to do without a script. */
    PROBE_SET_SCRIPT = 1,
    PROBE_SET_RELEASE = 2, /* OUT, wIndex: endpoint; what is held goes on as PROBE_SEND */
    PROBE_GET_LOG = 3,     /* IN, wIndex: first entry; data: struct probe_entry, as many as fit */
    PROBE_SET_CLEAR = 4,   /* OUT; log, scripts, stream positions and counters */
    PROBE_SET_UNPLUG = 5,  /* OUT, wValue: ms until it goes, wIndex: ms until it is back, 0 never (stalls where the
                              device cannot do that) */
    PROBE_SET_BYTES = 6,   /* OUT; keeps the data (at most PROBE_BYTES_MAX) ... */
    PROBE_GET_BYTES = 7,   /* IN; ... and gives them back; wValue: at most so many, 0 all; wIndex 1: one packet too
                              many whatever was asked, if that is possible */
    PROBE_DO_STALL = 8,    /* either direction: stalls */
    PROBE_DO_HOLD = 9,     /* either direction, no data: NAK until the request is cancelled */
    PROBE_GET_LAST = 10,   /* IN; what the last OUT transfer of endpoint wIndex brought: at most its last
                              PROBE_BYTES_MAX bytes */
};

#define PROBE_BYTES_MAX 4096u
#define PROBE_LOG_MAX   256u

enum probe_action {
    PROBE_SEND = 0,  /* IN: as much as asked for; OUT: takes all */
    PROBE_SHORT = 1, /* IN: n bytes, then a short (or empty) packet; OUT: as PROBE_SEND */
    PROBE_HOLD = 2,  /* NAK until PROBE_SET_RELEASE or cancel; n: bytes moved before that */
    PROBE_STALL = 3, /* after n bytes; the endpoint is halted */
    PROBE_ERROR = 4, /* after n bytes the transfer ends with an error on the bus */
    PROBE_BABBLE = 5 /* IN: a packet larger than the rest of the transfer */
};

struct probe_step {
    uint8_t action;
    uint8_t zero[3];
    uint32_t n;
};

enum probe_end { PROBE_ENDED = 0, PROBE_CANCELLED = 1 };

/* One transfer that reached the device on another endpoint than 0, or a class or standard control request. */
struct probe_entry {
    uint8_t endpoint; /* with bit 7 for IN */
    uint8_t type;     /* 0 iso 1 int 2 control 3 bulk */
    uint8_t end;      /* enum probe_end */
    uint8_t zero;
    uint32_t length;
    uint32_t actual;
    uint32_t sum;     /* of the bytes moved: a sum of (position + 1) * byte, modulo 2^32 */
    uint8_t setup[8]; /* control */
};

/* Byte number `position` that IN endpoint `address` sends. */
#define PROBE_BYTE(address, position) ((uint8_t)((address) * 37u + (position) * 31u + (position) / 251u))

#endif
