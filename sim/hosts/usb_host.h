/* SPDX-License-Identifier: MIT */
/*
 * The seam below the backend: a USB host, that is, somebody who has devices at
 * topology names such as "1-2" or "2-4.3.3" and runs transfers on them.
 * Implementations: simulated devices (sim/devices/sim_host.h), a recorded trace (sim/replay).
 *
 * Threads: one. Nothing here blocks. An operation that takes time completes from host_step().
 *
 * Transfers: the caller owns a struct host_urb and everything it points at until its
 * complete() has been called, exactly once, whatever happens; it may be called from
 * inside the call that submits or cancels. IN data is stored into the segments before that.
 *
 * Order: per endpoint, URBs complete in the order of submit(). When an IN transfer with short_not_ok ends
 * short, or one babbles, those queued behind it complete with -ECONNRESET without having been started (rules
 * SNO-02, XFR-08).
 *
 * Hostile memory: the segments are pages shared with a guest that may write
 * to them at any moment. A device copies what it interprets once (host_urb_read())
 * and works on its copy.
 */
#ifndef SIM_HOSTS_USB_HOST_H
#define SIM_HOSTS_USB_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include <pvusb/abi.h>

struct host_device;

/* A piece of a transfer's buffer. */
struct host_seg {
    uint8_t *base;
    uint32_t length;
};

struct host_urb {
    /* Set by the caller, unchanged until completion. */
    uint8_t endpoint; /* 0..15 */
    uint8_t type;     /* USBIF_PIPE_TYPE_* */
    bool in;
    bool short_not_ok;
    uint16_t interval;   /* as the guest sent it */
    uint8_t setup[8];    /* control only */
    uint32_t length;     /* bytes in the segments */
    uint8_t nr_segs;
    uint16_t nr_packets; /* isochronous only */
    struct host_seg seg[PVUSB_SEGMENTS_MAX];
    struct pvusb_iso_desc *packets; /* private copy; the device fills actual_length and status */
    void (*complete)(struct host_urb *urb);
    void *context;

    /* Set by the host before complete(). */
    int32_t status;  /* 0, -EPIPE stall, -EPROTO, -EOVERFLOW babble, -ENODEV gone, -ECONNRESET cancelled */
    uint32_t actual; /* bytes moved; at most length for IN */
    uint32_t error_count; /* isochronous packets with a status */
    uint16_t start_frame;

    /* The host's own, for the time it holds the URB. */
    void *host_private;
    struct host_urb *host_next;
};

/* Copies n bytes from src into the segments at offset; what does not fit is left out. Returns the bytes copied. */
uint32_t host_urb_write(struct host_urb *urb, uint32_t offset, const void *src, uint32_t n);
/* Copies n bytes out of the segments at offset; returns the bytes copied. */
uint32_t host_urb_read(const struct host_urb *urb, uint32_t offset, void *dst, uint32_t n);
/* Sets the result and calls complete(). */
void host_urb_complete(struct host_urb *urb, int32_t status, uint32_t actual);

struct usb_host;

/* Told by the host to whoever set it; called from host_step() or from an operation of the caller's own. */
struct usb_host_listener {
    /* A device appeared at or vanished from busid; for one that is open, its URBs have been completed before. */
    void (*plugged)(void *context, const char *busid);
    void (*unplugged)(void *context, const char *busid);
    void *context;
};

struct usb_host_ops {
    /* Listeners stay until removed; the struct belongs to the caller. */
    int (*listen)(struct usb_host *host, const struct usb_host_listener *listener);
    void (*unlisten)(struct usb_host *host, const struct usb_host_listener *listener);
    /*
     * Takes a device for one user. -ENODEV not there; -EBUSY taken; -EACCES not allowed (a hub, rule
     * CONN-14); -EOPNOTSUPP a super-speed device that cannot pass for a high-speed one (rule CONN-13).
     */
    int (*open)(struct usb_host *host, const char *busid, struct host_device **out);
    /* Gives it back. Transfers still held are cancelled and completed first. */
    void (*close)(struct usb_host *host, struct host_device *device);
    /* USBIF_SPEED_LOW, _FULL or _HIGH as usbif can name it (rule CONN-13). */
    uint8_t (*speed)(struct usb_host *host, struct host_device *device);
    /*
     * Has a device behave until close() as it does behind a USB 1.1 controller: at full speed, or low. To be
     * followed by a reset. -EOPNOTSUPP it cannot. NULL: no device of this host can, but for those that are
     * slow anyway.
     */
    int (*full_speed)(struct usb_host *host, struct host_device *device);
    /* Starts a transfer. Always takes the URB; refusals come as its status. */
    void (*submit)(struct usb_host *host, struct host_device *device, struct host_urb *urb);
    /* Ends a transfer early. It completes, perhaps at once, with -ECONNRESET or with the result that won the race. */
    void (*cancel)(struct usb_host *host, struct host_device *device, struct host_urb *urb);
    /*
     * The three requests that a host stack must know about (rules CTL-09 to CTL-11). urb is the
     * guest's control request and completes as one.
     */
    void (*set_configuration)(struct usb_host *host, struct host_device *device, struct host_urb *urb, uint8_t value);
    void (*set_interface)(struct usb_host *host, struct host_device *device, struct host_urb *urb, uint8_t interface,
                          uint8_t alternate);
    void (*clear_halt)(struct usb_host *host, struct host_device *device, struct host_urb *urb,
                       uint8_t endpoint_address);
    /* Resets the device; done once when a port takes it (rule CTL-12). */
    int (*reset)(struct usb_host *host, struct host_device *device);
    /* Runs what is due at now_ns. */
    void (*step)(struct usb_host *host, uint64_t now_ns);
    /* When step() is due next, UINT64_MAX for never. */
    uint64_t (*deadline)(struct usb_host *host);
};

/* Implementations embed this as their first member. */
struct usb_host {
    const struct usb_host_ops *ops;
};

#endif
