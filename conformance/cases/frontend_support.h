/* SPDX-License-Identifier: MIT */
/* URBs and ports as the frontend cases use them: a device with address 5 behind port 1. */
#ifndef CONFORMANCE_CASES_FRONTEND_SUPPORT_H
#define CONFORMANCE_CASES_FRONTEND_SUPPORT_H

#include <errno.h>
#include <string.h>

#include "../back.h"

#define URB_ISO  0u
#define URB_INT  1u
#define URB_CTRL 2u
#define URB_BULK 3u

#define MS UINT64_C(1000000)

/* A row of a group whose URBs come from the guest. */
#define GUEST_CASE(id, requirements, title, run)                                                             \
    {                                                                                                        \
        id, requirements, title, run, CONFORM_FRONTEND, CONFORM_READY, 0, 0, "guest"                         \
    }

static inline struct guest_urb make_urb(uint8_t type, uint8_t endpoint, bool in, uint32_t length)
{
    struct guest_urb urb;
    memset(&urb, 0, sizeof(urb));
    urb.port = 1;
    urb.device = 5;
    urb.type = type;
    urb.endpoint = endpoint;
    urb.in = in;
    urb.length = length;
    urb.interval = type < URB_CTRL ? 8 : 0;
    return urb;
}

/* GET_DESCRIPTOR of a device, 18 bytes. */
static inline struct guest_urb make_control(void)
{
    static const uint8_t setup[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};
    struct guest_urb urb = make_urb(URB_CTRL, 0, true, 18);
    memcpy(urb.setup, setup, sizeof(setup));
    return urb;
}

static inline struct guest_urb make_iso(bool in, uint16_t packets, uint32_t each)
{
    struct guest_urb urb = make_urb(URB_ISO, 1, in, packets * each);
    urb.nr_packets = packets;
    urb.packet_length = each;
    return urb;
}

/* Submits what must be taken. */
static inline int submit(struct conform *t, struct guest_urb urb)
{
    int number = guest_submit(t, &urb);
    conform_true(t, number >= 0, "the guest can submit the URB");
    return number;
}

/* Submits and takes its request. */
static inline struct usbif_urb_request submit_take(struct conform *t, struct guest_urb urb, int *number)
{
    int n = submit(t, urb);
    if (number)
        *number = n;
    return back_take(t);
}

/* The connection still carries URBs. */
static inline void check_works(struct conform *t)
{
    int urb;
    struct usbif_urb_request request = submit_take(t, make_control(), &urb);
    back_respond(t, request.id, 0, 18);
    guest_expect(t, urb, 0, 18);
}

#endif
