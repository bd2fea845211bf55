/* SPDX-License-Identifier: MIT */
/*
 * How to add a simulated device.
 *
 * Embed struct usb_device as the first member of your own struct, fill in struct usb_device_ops and
 * struct usb_descriptors, call device_init(), and plug the result into a host (sim_host.h). The smallest
 * example is the loopback device in sim/test/test_device.c, the largest is disk.c. What is to be a part of
 * composite devices too is a function: see composite.h.
 *
 * The common layer answers the standard requests of USB 2.0 chapter 9 from the descriptors, knows which
 * endpoints exist in the current configuration, keeps halts, queues URBs per endpoint and completes them in
 * the order of their submission. A device sees class and vendor requests, and the first URB of an endpoint's
 * queue:
 *
 *   in(), out()   move what can be moved now: see device_in(), device_out(). DEVICE_WAIT means that the
 *                 endpoint answers NAK; call device_kick() when that changes. -EPIPE halts the endpoint
 *                 (and completes the URB with it); another -errno only completes the URB.
 *   control()     answers, with device_control_in() or device_control_out(), or stalls with -EPIPE.
 *
 * Those never nest, and no URB completes while one runs: a completion may submit, cancel, close or unplug.
 *
 * After a babble, and after an IN transfer with short_not_ok that ended short, the URBs queued behind are
 * completed with -ECONNRESET without having been started (rules SNO-02, XFR-08): the stream has moved on, and
 * a follower would take what was not meant for it, for example a disk's status.
 *
 * Isochronous endpoints have time: iso.c gives every packet its frame, and iso() is called for each when the
 * frame has passed. A stream begins with the frame after the first step() that finds an URB, and ends when
 * the last URB is cancelled or the endpoint goes; a frame in between that finds no URB is lost and counted.
 * URBs behind one that is cancelled keep the frames they have.
 *
 * Not modelled: data toggles, NAK limits, bandwidth, the duration of other transfers, SET_ADDRESS
 * (the host does it; the request stalls), remote wakeup (only its feature bit), test modes.
 *
 * Threads: one. Nothing here allocates.
 */
#ifndef SIM_DEVICES_DEVICE_H
#define SIM_DEVICES_DEVICE_H

#include "hosts/usb_host.h"

#define DEVICE_INTERFACES_MAX 16u
#define DEVICE_HUB_CLASS      9u
/* A speed that usbif.h cannot name; the host presents such a device as a high-speed one (rule CONN-13). */
#define DEVICE_SPEED_SUPER 4u

enum device_result {
    DEVICE_WAIT = 0, /* nothing more now */
    DEVICE_DONE = 1, /* something was moved; a control request is answered */
    DEVICE_PASS = 2, /* of intercept() only: not mine */
};

/* USB 2.0 table 9-2, in host byte order. */
struct usb_setup {
    uint8_t type; /* bmRequestType */
    uint8_t request;
    uint16_t value;
    uint16_t index;
    uint16_t length;
};

struct usb_device;

struct device_endpoint {
    uint8_t address; /* with bit 7 for IN */
    uint8_t type;    /* USBIF_PIPE_TYPE_* */
    uint16_t packet; /* wMaxPacketSize without the high-bandwidth bits */
    bool exists;     /* in the current configuration and alternate settings */
    bool halted;
    bool wedged; /* CLEAR_FEATURE does not clear the halt */
    bool ended;            /* the transfer of head is over */
    int32_t status;        /* with which head ends */
    uint32_t moved;        /* bytes of head moved so far */
    /* Isochronous only. A frame is 1 ms, at high speed a microframe of 125 us, counted from time 0. */
    uint16_t capacity; /* bytes per frame: wMaxPacketSize with the high-bandwidth bits */
    uint16_t interval; /* frames from one packet to the next */
    bool streaming;
    uint16_t served; /* packets of head that are done */
    uint64_t frame;  /* of the next packet */
    uint64_t missed; /* frames without URB, ever */
    struct host_urb *head; /* the transfer being served */
    struct host_urb *tail;
    struct host_urb *doomed; /* out of the queue, still to be completed */
};

struct usb_device_ops {
    /*
     * Class and vendor requests, and GET_DESCRIPTOR to an interface (HID 1.11 section 7.1.1). NULL: all
     * stall.
     */
    int (*control)(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup);
    /* Bulk and interrupt transfers. NULL: they wait for ever. */
    int (*in)(struct usb_device *device, struct device_endpoint *ep);
    int (*out)(struct usb_device *device, struct device_endpoint *ep);
    /*
     * One packet of ep->head, whose frame has passed: moves the data at packet->offset (device_iso_in(),
     * device_iso_out()), or sets packet->status and moves none. NULL: isochronous transfers stall.
     */
    void (*iso)(struct usb_device *device, struct device_endpoint *ep, struct pvusb_iso_desc *packet);
    /* The frames of that many packets passed without an URB. Optional. */
    void (*iso_missed)(struct usb_device *device, struct device_endpoint *ep, uint64_t packets);
    /* Sees every control request before chapter 9 does: for devices that misbehave on purpose. Optional. */
    int (*intercept)(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup);
    /*
     * An URB leaves, completed or cancelled, with `moved` bytes; it is not the device's any more afterwards.
     * For devices that keep a record. Optional.
     */
    void (*ended)(struct usb_device *device, struct device_endpoint *ep, const struct host_urb *urb,
                  int32_t status, uint32_t moved);
    /* The bus was reset. Optional. */
    void (*reset)(struct usb_device *device);
    /*
     * Somebody cleared the halt of an endpoint, or made a configuration or alternate setting current.
     * Optional.
     */
    void (*halt_cleared)(struct usb_device *device, uint8_t address);
    void (*configured)(struct usb_device *device);
    /* Runs what is due; when that is next, UINT64_MAX for never. Optional, both or none. */
    void (*step)(struct usb_device *device, uint64_t now_ns);
    uint64_t (*deadline)(const struct usb_device *device);
    /* Frees the device. No URB is held any more. */
    void (*destroy)(struct usb_device *device);
};

/* All bytes as they go over the bus. They belong to the device and stay until destroy(). */
struct usb_descriptors {
    const uint8_t *device; /* 18 bytes */
    /* bNumConfigurations of them, each wTotalLength bytes with all it holds. */
    const uint8_t *const *configurations;
    const char *const *strings; /* ASCII; strings[i] is the string of index i + 1 */
    unsigned int nr_strings;
    const uint8_t *qualifier;          /* 10 bytes; NULL for a device that is not high-speed capable */
    const uint8_t *const *other_speed; /* like configurations, of type 7; NULL without qualifier */
    uint8_t speed;                     /* USBIF_SPEED_* or DEVICE_SPEED_SUPER */
};

struct usb_device {
    const struct usb_device_ops *ops;
    struct usb_descriptors descriptors;

    /* The common layer's own. */
    struct device_endpoint in[16]; /* in[0] is the control endpoint */
    struct device_endpoint out[16];
    uint8_t configuration; /* bConfigurationValue, 0 when not configured */
    uint8_t alternate[DEVICE_INTERFACES_MAX];
    bool remote_wakeup;
    bool slowed; /* at full speed, of a device that could do better */
    uint64_t now_ns; /* of the last step */
    bool running;
    uint32_t kicked; /* endpoints to be looked at: in[] and, from bit 16 on, out[] */
    bool dead;
    unsigned int depth;
};

/* ---- for devices ---- */

/* -EINVAL when the descriptors contradict themselves: our own devices lie in intercept(), not by accident. */
int device_init(struct usb_device *device, const struct usb_device_ops *ops,
                const struct usb_descriptors *descriptors);
/* Has the endpoint (0 for control) looked at again, at once or after the op that is running. */
void device_kick(struct usb_device *device, uint8_t address);
/* Halts an endpoint: URBs held and to come end with -EPIPE until CLEAR_FEATURE(ENDPOINT_HALT). */
void device_halt(struct usb_device *device, uint8_t address);
/* The same, and CLEAR_FEATURE does not help. Ending it leaves the endpoint halted. */
void device_wedge(struct usb_device *device, uint8_t address, bool wedged);

/* A run of packets into the head of an IN endpoint. */
struct device_run {
    uint32_t offset; /* where in the URB */
    uint32_t store;  /* bytes the device has to store there */
    uint32_t used;   /* bytes the host has acknowledged; less than store only after a babble */
};

/*
 * Sends `available` bytes as packets, as far as the transfer goes: full packets, then a short one if
 * something is left, which ends the transfer. 0 is a packet of no bytes. A packet larger than the rest of the
 * transfer is a babble (USB 2.0 section 8.7.4): the transfer ends with -EOVERFLOW and the packet counts as
 * not sent.
 */
struct device_run device_in(struct device_endpoint *ep, uint32_t available);
/* device_in() and the copy; returns the bytes used. */
uint32_t device_in_copy(struct device_endpoint *ep, const void *src, uint32_t n);
/* The size of the next packet of the head of an OUT endpoint. */
uint32_t device_out_packet(const struct device_endpoint *ep);
/*
 * Takes n bytes (whole packets) at ep->moved from the head of an OUT endpoint; all of them end the
 * transfer.
 */
void device_out_take(struct device_endpoint *ep, uint32_t n);
/*
 * Sends a packet: n bytes, of which no more than packet->length arrive; the packet is then a babble. Stores
 * actual_length and status.
 */
void device_iso_in(struct device_endpoint *ep, struct pvusb_iso_desc *packet, const void *src, uint32_t n);
/* Takes a packet of at most n bytes and stores actual_length; returns the bytes copied. */
uint32_t device_iso_out(struct device_endpoint *ep, struct pvusb_iso_desc *packet, void *dst, uint32_t n);
/* Answers a control request with n bytes, at most wLength. Returns DEVICE_DONE. */
int device_control_in(struct device_endpoint *ep, const struct usb_setup *setup, const void *src, uint32_t n);
/* Copies the data stage, which is wLength bytes long, to dst; returns the bytes copied. */
uint32_t device_control_out(struct device_endpoint *ep, const struct usb_setup *setup, void *dst, uint32_t n);

/* ---- for hosts ---- */

void device_submit(struct usb_device *device, struct host_urb *urb);
/* Completes the URB with -ECONNRESET if it is still held. */
void device_cancel(struct usb_device *device, struct host_urb *urb);
/* Completes all URBs with the status. */
void device_abort(struct usb_device *device, int32_t status);
/*
 * Slows a high-speed device down to full speed, or lets it be as it is; a reset must follow. From then on it
 * says of itself what its qualifier and other_speed say. -EOPNOTSUPP for a device that has none.
 */
int device_slow_down(struct usb_device *device, bool slow);
/* USBIF_SPEED_* or DEVICE_SPEED_SUPER, now. */
uint8_t device_speed(const struct usb_device *device);
/* Back to the default state: not configured, no halts. */
void device_reset(struct usb_device *device);
void device_step(struct usb_device *device, uint64_t now_ns);
/* When device_step() is due, UINT64_MAX for never. */
uint64_t device_deadline(const struct usb_device *device);
/* Frees the device, when the last function of this layer has returned. No URB may be held. */
void device_destroy(struct usb_device *device);

/* ---- between device.c, ep0.c and iso.c ---- */

/* Serves the head of the control endpoint: DEVICE_WAIT, DEVICE_DONE or -errno. */
int ep0_run(struct usb_device *device);
/* Makes `exists` and the rest of each endpoint follow configuration and alternate settings. */
void ep0_find_endpoints(struct usb_device *device);
/* The configuration with that bConfigurationValue, or NULL. */
const uint8_t *ep0_configuration(const struct usb_device *device, uint8_t value);
struct device_endpoint *device_endpoint(struct usb_device *device, uint8_t address);
/* Has it looked at by the next run. */
void device_kicked(struct usb_device *device, const struct device_endpoint *ep);
/* Makes an URB ready to be queued: bounds checked, no packet done. */
bool iso_accept(struct host_urb *urb);
/* An URB leaves the queue, and its followers keep their frames. */
void iso_leave_hole(struct device_endpoint *ep, struct host_urb *urb);
/* Begins streams, at the new time. */
void iso_begin(struct usb_device *device, struct device_endpoint *ep);
/* Serves the packets of the head whose frames have passed: DEVICE_WAIT, DEVICE_DONE or -errno. */
int iso_run(struct usb_device *device, struct device_endpoint *ep);
/* Counts the frames that found no URB. */
void iso_idle(struct usb_device *device, struct device_endpoint *ep);
uint64_t iso_deadline(const struct usb_device *device, const struct device_endpoint *ep);
void iso_end(struct device_endpoint *ep);

#endif
