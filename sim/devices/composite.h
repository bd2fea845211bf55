/* SPDX-License-Identifier: MIT */
/*
 * A device made of functions: a keyboard, a serial port, or both in one configuration.
 *
 * A function is a set of interfaces and their endpoints. It knows neither its interface numbers nor its
 * endpoint numbers until it is put into a device, which numbers interfaces from 0 and endpoints from 1 in the
 * order of the functions. A device of one function says so in its device descriptor; one of several has class
 * EF/02/01 and an interface association descriptor per function of more than one interface (USB 2.0 ECN
 * "Interface Association Descriptors"). High-speed devices also say what they would be at full speed (USB 2.0
 * section 9.6.2).
 *
 * To add a function: embed struct function as the first member, fill in struct function_ops, and give it to
 * composite_create(). keyboard.c is the smallest example.
 */
#ifndef SIM_DEVICES_COMPOSITE_H
#define SIM_DEVICES_COMPOSITE_H

#include "devices/device.h"

#define COMPOSITE_FUNCTIONS_MAX  4u
#define COMPOSITE_CONFIG_MAX     512u
#define COMPOSITE_STRINGS        3u
#define COMPOSITE_STRING_MAX     32u
#define COMPOSITE_FUNCTION_BYTES 112u /* of descriptors, at most */

struct function;

/* What a function says of itself. */
struct function_class {
    uint8_t interfaces; /* how many */
    uint8_t endpoints;  /* how many numbers; an IN and an OUT endpoint may share one */
    uint8_t device[3];  /* class, subclass, protocol of a device that is nothing else */
    uint8_t association[3];
    uint16_t product;
    const char *name;
};

struct function_ops {
    struct function_class of;
    /*
     * Puts interface and endpoint descriptors for a device of that speed into out; returns how many bytes, at
     * most COMPOSITE_FUNCTION_BYTES. first_interface and first_endpoint are set. 0: not at this speed.
     */
    unsigned int (*describe)(const struct function *function, uint8_t speed, uint8_t *out);
    /* As in struct usb_device_ops, for the function's own interfaces and endpoints only. */
    int (*control)(struct function *function, struct device_endpoint *ep, const struct usb_setup *setup);
    int (*in)(struct function *function, struct device_endpoint *ep);
    int (*out)(struct function *function, struct device_endpoint *ep);
    /* Reset, or another configuration: everything as it was at first. */
    void (*start_over)(struct function *function);
    /* Optional, both or none. */
    void (*step)(struct function *function, uint64_t now_ns);
    uint64_t (*deadline)(struct function *function);
    void (*destroy)(struct function *function);
};

struct function {
    const struct function_ops *ops;

    /* Set when it is put into a device. */
    struct usb_device *device;
    uint8_t first_interface;
    uint8_t first_endpoint;
};

/*
 * Takes the functions, on failure too. speed is USBIF_SPEED_*. -EINVAL for a function that cannot be had at
 * that speed, or too many of them; -ENOMEM.
 */
int composite_create(uint8_t speed, struct function *const *functions, unsigned int n,
                     struct usb_device **out);
/* The first function of a kind in a device of composite_create(), NULL for none. */
struct function *composite_find(struct usb_device *device, const struct function_ops *ops);

#endif
