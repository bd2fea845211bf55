/* SPDX-License-Identifier: MIT */
/*
 * A guest's USB core: finds devices on the root ports of an hcd, enumerates them as USB 2.0 section 9.1.2 and
 * Linux do (reset, descriptor, reset, address, descriptors, configuration), and gives class drivers an
 * asynchronous way to run transfers. Drivers bind to interfaces: storage.h, hid.h, acm.h.
 *
 * Trusts no device: a descriptor that contradicts itself, or a transfer longer than its buffer, ends in a
 * failed enumeration or transfer. Three attempts, then the port is left alone until it is replugged.
 *
 * Lifetimes: a struct guest_device is valid from ready() until gone() returns. Before gone() every transfer
 * of the device has been given back. Memory is taken in guest_create(); nothing is allocated per device or
 * transfer.
 *
 * A device in use can be reset, suspended and resumed. Its transfers then return with -EHOSTUNREACH, new ones
 * are refused with that, until event() says that it can be used again. After a reset it has the address it had
 * (as in Linux), and is configured; if it does not come back, or as another device, it is gone and perhaps
 * found anew. A resume that the device does not answer becomes a reset (Linux: reset-resume).
 *
 * Not modelled: hubs below the root, remote wakeup, choosing among configurations (the first one is used),
 * bandwidth.
 *
 * Threads: one. Nothing here sleeps: waits are deadlines of guest_step().
 */
#ifndef SIM_GUEST_GUEST_H
#define SIM_GUEST_GUEST_H

#include "guest/descriptor.h"
#include "guest/hcd.h"

#define GUEST_CONFIGURATION_MAX 4096u
#define GUEST_STRING_MAX        128u
#define GUEST_TIMEOUT_NS        UINT64_C(5000000000) /* of a transfer that sets none */
#define GUEST_NO_TIMEOUT        UINT64_MAX

struct guest;
struct guest_xfer;

struct guest_device {
    struct guest *guest;
    uint8_t port;
    uint8_t address;
    uint8_t speed; /* USBIF_SPEED_* */
    struct guest_device_descriptor descriptor;
    struct guest_configuration configuration;
    uint8_t raw_device[18];
    uint8_t raw_configuration[GUEST_CONFIGURATION_MAX];
    uint16_t raw_configuration_length;
    char strings[3][GUEST_STRING_MAX]; /* manufacturer, product, serial number; "" for none */
    void *driver;                      /* the listener's own */

    /* The core's own. */
    uint8_t packet0; /* the size of endpoint 0's packets */
    bool gone;
    bool frozen; /* being reset or suspended: drivers' transfers are refused */
    struct guest_xfer *in_flight;
    const void *owners[GUEST_INTERFACES_MAX]; /* of configuration.interfaces */
};

enum guest_event {
    GUEST_RESET,     /* what drivers had set is forgotten */
    GUEST_SUSPENDED, /* still not to be used */
    GUEST_RESUMED,   /* as it was left */
};

struct guest_listener {
    /* Enumerated and configured. */
    void (*ready)(void *context, struct guest_device *device);
    /* Unplugged. Only for devices that were ready. */
    void (*gone)(void *context, struct guest_device *device);
    /* Given up, with the errno of the last attempt. May be NULL. */
    void (*failed)(void *context, unsigned int port, int error);
    void *context;
    /* What guest_reset_device(), guest_suspend() or guest_resume() began is done. May be NULL. */
    void (*event)(void *context, struct guest_device *device, enum guest_event event);
};

/* One transfer. The storage is the caller's, and must stay while it is under way. */
struct guest_xfer {
    uint64_t timeout_ns; /* set before the call; 0 for GUEST_TIMEOUT_NS */
    void (*done)(struct guest_xfer *xfer);
    void *context;
    /*
     * Valid in done(): 0, or as in hcd.h; -ETIMEDOUT no answer in time; -ENODEV gone; -ECONNRESET unlinked;
     * -EHOSTUNREACH taken back for a reset or suspend.
     */
    int status;
    uint32_t actual;

    /* The core's own. */
    struct hcd_urb urb;
    struct guest_device *device;
    uint64_t deadline;
    bool busy;
    int reason;
    struct guest_xfer *next;
    struct guest_xfer **link;
};

int guest_create(struct hcd *hcd, const struct guest_listener *listener, struct guest **out);
/*
 * Takes everything back and lets every device go. Goes on while the controller is stepped, until
 * !guest_busy().
 */
void guest_close(struct guest *guest);
bool guest_busy(const struct guest *guest);
/* After guest_close(), and not while busy. The controller must still be there. */
void guest_destroy(struct guest *guest);
/* Does what is due at now_ns. Call it also after the controller's step(): the root hub may have news. */
void guest_step(struct guest *guest, uint64_t now_ns);
uint64_t guest_deadline(const struct guest *guest);

/* Memory that transfers can use. */
int guest_buffer_alloc(struct guest *guest, size_t size, void **out);
void guest_buffer_free(struct guest *guest, void *buffer, size_t size);

/*
 * Both start a transfer; done() comes later, never from inside. 0, or why it was not started: -EBUSY the xfer
 * is under way; -ENODEV; -ENOENT no such endpoint in the configuration; what hcd.h says of submit().
 */
int guest_control(struct guest_xfer *xfer, struct guest_device *device, const uint8_t setup[8], void *buffer);
int guest_transfer(struct guest_xfer *xfer, struct guest_device *device, uint8_t address, void *buffer,
                   uint32_t length, bool short_not_ok);
/*
 * Isochronous: packets lie where their offset says, and come back with actual_length and status (-EXDEV: not
 * done); xfer->urb has start_frame and error_count. Status 0 even when packets failed (rule ISO-06).
 */
int guest_isochronous(struct guest_xfer *xfer, struct guest_device *device, uint8_t address, void *buffer,
                      uint32_t length, struct pvusb_iso_desc *packets, uint16_t nr_packets);
/* Wants it back; done() comes, perhaps from inside. */
void guest_unlink(struct guest_xfer *xfer);
/*
 * Resets the port and enumerates what is there once more, as a driver's last resort: gone(), perhaps from inside,
 * then ready() or failed(). The reset does not reach the bus (rule CTL-12): the device keeps what only a bus reset
 * clears. Nothing for a device that is gone.
 */
void guest_reset(struct guest_device *device);
/* The endpoint with that address in any alternate setting, NULL for none. */
const struct guest_endpoint *guest_find_endpoint(const struct guest_device *device, uint8_t address);

/* ---- binding: one driver per interface ---- */

/* The first with these (-1: any) that nobody has claimed, in alternate setting 0; NULL for none. */
const struct guest_interface *guest_find_interface(const struct guest_device *device, int interface_class,
                                                   int subclass, int protocol);
/* The first endpoint of that type and direction (0x80 or 0), NULL for none. interface may be NULL. */
const struct guest_endpoint *guest_endpoint_of(const struct guest_interface *interface, uint8_t type,
                                               uint8_t direction);
/* All alternate settings of the interface. -EBUSY it is somebody else's; -ENOENT there is none. */
int guest_claim(struct guest_device *device, uint8_t number, const void *driver);
/* All that the driver has claimed. */
void guest_release(struct guest_device *device, const void *driver);

/* ---- power ---- */

/*
 * All three only start; event() or gone() comes later, never from inside, but transfers may return from
 * inside. -ENODEV gone; -EBUSY another one of the three is under way, or the state is not one to do it in: a
 * reset needs a device that is ready or suspended, a suspend one that is ready, a resume one that is
 * suspended.
 */
int guest_reset_device(struct guest_device *device);
int guest_suspend(struct guest_device *device);
int guest_resume(struct guest_device *device);

/* A setup packet. */
void guest_setup(uint8_t setup[8], uint8_t type, uint8_t request, uint16_t value, uint16_t index,
                 uint16_t length);

#endif
