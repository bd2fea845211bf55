/* SPDX-License-Identifier: MIT */
/*
 * What the bytes of a slot mean: the pipe word, and the checks that a request
 * must pass before anything is done with it. Pure, like ring.h.
 *
 * All functions take a private copy of a slot, never shared memory.
 */
#ifndef PVUSB_URB_H
#define PVUSB_URB_H

#include <stdbool.h>
#include <stdint.h>

#include <pvusb/abi.h>
#include <pvusb/verdict.h>

/* The pipe word by its fields; bits that usbif.h leaves undefined are ignored (rule PIPE-01). */
struct pvusb_pipe {
    uint8_t port;   /* 1..31; means something only while device is 0 (rule PIPE-02) */
    uint8_t device; /* 0..127, the address that the guest gave */
    uint8_t endpoint; /* 0..15 */
    uint8_t type;   /* USBIF_PIPE_TYPE_* */
    bool in;
    bool unlink;
};

struct pvusb_pipe pvusb_pipe_decode(uint32_t word);
uint32_t pvusb_pipe_encode(struct pvusb_pipe pipe);

/* A request that passed its checks. */
struct pvusb_urb {
    uint16_t id;
    struct pvusb_pipe pipe;
    bool short_not_ok;
    uint8_t nr_segs;      /* data segments: seg[0..nr_segs-1] of the request */
    uint8_t nr_desc_segs; /* isochronous descriptors: the segments after those */
    uint16_t interval;    /* as sent; informational (rules XFR-01, ISO-05) */
    uint16_t start_frame;
    uint16_t nr_packets;
    uint16_t unlink_id;   /* valid when pipe.unlink */
    uint32_t length;      /* sum of the data segments, 0..65536 (rule SEG-03) */
    uint8_t setup[8];     /* control only */
};

/*
 * Checks a request and fills *urb, whose id and pipe are valid whatever the verdict. An
 * unlink request is never refused (rule UNL-03).
 */
enum pvusb_verdict pvusb_urb_decode(const struct usbif_urb_request *request, struct pvusb_urb *urb);

/* Checks packets, as copied from the descriptor segments, against the data they point into (rule ISO-07). */
enum pvusb_verdict pvusb_iso_check(const struct pvusb_iso_desc *packets, unsigned int count, uint32_t length);

/* Checks a plug event (rules CONN-07, CONN-08). */
enum pvusb_verdict pvusb_conn_check(const struct usbif_conn_response *event, unsigned int num_ports);

/* wLength of a setup packet. */
static inline uint16_t pvusb_setup_length(const uint8_t setup[8])
{
    return (uint16_t)(setup[6] | setup[7] << 8);
}

/* wValue of a setup packet. */
static inline uint16_t pvusb_setup_value(const uint8_t setup[8])
{
    return (uint16_t)(setup[2] | setup[3] << 8);
}

/* wIndex of a setup packet. */
static inline uint16_t pvusb_setup_index(const uint8_t setup[8])
{
    return (uint16_t)(setup[4] | setup[5] << 8);
}

#endif
