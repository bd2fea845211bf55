/* SPDX-License-Identifier: MIT */
/*
 * A serial port: CDC 1.2 with the abstract control model of PSTN 1.2 (Linux: cdc-acm). A communication
 * interface with notifications, a data interface with bulk IN and OUT. By itself a device, or a function of a
 * composite one (composite.h). Full or high speed; low speed has no bulk endpoints.
 *
 * As a loopback plug: what comes in goes out again, DTR comes back as DSR and DCD, a break as a break.
 * Otherwise a test is the other end: serial_feed(), serial_read(), serial_signal().
 *
 * Bytes wait in FIFOs of fixed size. When one is full the OUT endpoint answers NAK. A batch of bytes to the
 * host that ends with a full packet is followed by an empty one, so that a host with room for more gets it at
 * once.
 *
 * Not modelled: the time bytes take at a baud rate, flow control by RTS, GET_COMM_FEATURE,
 * NETWORK_CONNECTION, AT commands.
 */
#ifndef SIM_DEVICES_SERIAL_H
#define SIM_DEVICES_SERIAL_H

#include "devices/composite.h"

#define SERIAL_FIFO_MIN 512u

/* PSTN 1.2 section 6.5.4: bits of SERIAL_STATE. */
enum { SERIAL_DCD = 0x01, SERIAL_DSR = 0x02, SERIAL_BREAK = 0x04, SERIAL_RING = 0x08, SERIAL_OVERRUN = 0x40 };
/* PSTN 1.2 section 6.3.12. */
enum { SERIAL_DTR = 0x01, SERIAL_RTS = 0x02 };

struct serial_config {
    bool loopback;
    uint32_t fifo_bytes;   /* of each direction; 0 for 4096, at least SERIAL_FIFO_MIN */
    uint8_t notify_packet; /* of the notification endpoint: 8 splits every notification; 0 for 16 */
};

/* PSTN 1.2 section 6.3.11. */
struct serial_line {
    uint32_t baud;
    uint8_t stop;   /* 0: 1 bit, 1: 1.5, 2: 2 */
    uint8_t parity; /* 0 none, 1 odd, 2 even, 3 mark, 4 space */
    uint8_t bits;
};

/* speed: USBIF_SPEED_FULL or, also for 0, _HIGH. -EINVAL for a speed or size that cannot be; -ENOMEM. */
int serial_create(const struct serial_config *config, uint8_t speed, struct usb_device **out);
/* For composite_create(). */
int serial_function(const struct serial_config *config, struct function **out);

/* These work on any device that has a serial port in it. */

/* Bytes for the host; returns how many there was room for. */
uint32_t serial_feed(struct usb_device *device, const void *bytes, uint32_t n);
/* Takes bytes the host has sent; returns how many there were. Never any in loopback. */
uint32_t serial_read(struct usb_device *device, void *bytes, uint32_t n);
/* Tells the host of these signals (SERIAL_*), once for those that are events. */
void serial_signal(struct usb_device *device, uint16_t signals);
struct serial_line serial_line(struct usb_device *device);
/* SERIAL_DTR and SERIAL_RTS as the host has set them. */
uint16_t serial_control_lines(struct usb_device *device);
/* Of the last SEND_BREAK, in ms; 0xffff: until further notice. */
uint16_t serial_break(struct usb_device *device);
/* The endpoints, to halt. */
uint8_t serial_notify_address(struct usb_device *device);
uint8_t serial_in_address(struct usb_device *device);
uint8_t serial_out_address(struct usb_device *device);

#endif
