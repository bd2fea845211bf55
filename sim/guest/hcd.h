/* SPDX-License-Identifier: MIT */
/*
 * A host controller as a guest's USB core sees it. The PVUSB frontend is one
 * (sim/frontend); other controllers can take its place below the same guest.
 *
 * Threads: one. Nothing here blocks; completions come from the controller's step().
 *
 * An URB belongs to the controller from a submit that returns 0 until complete() is called, exactly once. Its
 * buffer must be memory of hcd_buffer_alloc(), at any offset. complete() may submit again.
 */
#ifndef SIM_GUEST_HCD_H
#define SIM_GUEST_HCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pvusb/abi.h>

struct hcd_urb {
    /* Set by the submitter, unchanged until complete(). */
    uint8_t port;     /* root port, 1..31 */
    uint8_t device;   /* address, 0..127 */
    uint8_t endpoint; /* 0..15 */
    uint8_t type;     /* USBIF_PIPE_TYPE_* */
    bool in;
    bool short_not_ok;
    /*
     * wMaxPacketSize of the endpoint without the high-bandwidth bits, or bMaxPacketSize0. Controllers that cut
     * transfers into packets themselves refuse 0 with -EINVAL; PVUSB leaves that to the other side.
     */
    uint16_t packet;
    uint8_t transactions; /* isochronous: of that size in a microframe, 1..3, 0 is 1 */
    uint8_t setup[8];    /* control only */
    uint16_t interval;   /* interrupt and isochronous */
    uint16_t start_frame; /* isochronous: wish on submit, fact on return */
    uint16_t nr_packets; /* isochronous, 1..256 */
    uint32_t length;     /* bytes of the buffer; for control at most wLength */
    void *buffer;        /* NULL only when length is 0 */
    struct pvusb_iso_desc *packets;
    void (*complete)(struct hcd_urb *urb);
    void *context;

    /* Set before complete(). */
    int status;          /* 0 or -errno as Linux drivers know it: -EPIPE -EPROTO -EOVERFLOW -ENODEV -EINVAL
                          * -ESHUTDOWN -EREMOTEIO (short with short_not_ok), or the reason of an unlink */
    uint32_t actual;
    uint32_t error_count;

    /* The controller's own. */
    struct hcd_urb *hcd_next;
    void *hcd_private;
    int hcd_unlinked; /* reason of an unlink, 0 without one */
    bool hcd_seen;
    uint32_t hcd_done; /* bytes of earlier attempts */
};

struct hcd;

struct hcd_ops {
    /*
     * -EINVAL malformed; -EMSGSIZE more than one transfer of this controller can carry;
     * -EFAULT not memory of buffer_alloc(); -ESHUTDOWN the controller is not running. The URB is not taken on failure.
     */
    int (*submit)(struct hcd *hcd, struct hcd_urb *urb);
    /*
     * Asks for an URB back early: it returns with `reason` (-ECONNRESET or -ENOENT), perhaps from inside this call, or
     * with its own result if that came first. -EINVAL not held; -EBUSY asked already (rule UNL-11).
     */
    int (*unlink)(struct hcd *hcd, struct hcd_urb *urb, int reason);
    /*
     * A request to the root hub (USB 2.0 section 11.24). Returns the bytes put into data, or -EPIPE for a stall.
     */
    int (*hub_control)(struct hcd *hcd, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns);
    /* The status change bitmap: bit p for port p; 0 bytes when nothing changed (rule HUB-03). */
    size_t (*hub_status)(struct hcd *hcd, uint8_t *bitmap, size_t size);
    unsigned int (*num_ports)(struct hcd *hcd);
    /* Memory that transfers can use, page aligned and zeroed. */
    int (*buffer_alloc)(struct hcd *hcd, size_t size, void **out);
    void (*buffer_free)(struct hcd *hcd, void *buffer, size_t size);
};

/* Implementations embed this as their first member. */
struct hcd {
    const struct hcd_ops *ops;
};

#endif
