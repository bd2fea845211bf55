/* SPDX-License-Identifier: MIT */
/*
 * The messages of USB/IP, version 1.1.1, as Linux's Documentation/usb/usbip_protocol.rst describes them: all
 * numbers in network byte order, no padding but what is named. Pure functions: bytes to values and back.
 *
 * A parser says what is wrong with a message as text, or NULL. It checks all that can be checked without
 * knowing devices or transfers under way; numbers that only mean something for isochronous endpoints are the
 * caller's to check, because others send anything there.
 */
#ifndef SIM_USBIP_PROTOCOL_H
#define SIM_USBIP_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pvusb/abi.h>

#define USBIP_PORT           3240u
#define USBIP_VERSION        0x0111u
#define USBIP_BUSID_SIZE     32u
#define USBIP_OP_SIZE        8u   /* version, code, status */
#define USBIP_DEVICE_SIZE    312u /* of a device in the replies */
#define USBIP_INTERFACE_SIZE 4u
#define USBIP_HEADER_SIZE    48u /* of every message after the import */
#define USBIP_ISO_SIZE       16u
#define USBIP_ISO_MAX        1024u      /* packets of a transfer, as in Linux */
#define USBIP_LENGTH_MAX     (1u << 20) /* bytes of a transfer; ours, Linux has no limit */
#define USBIP_DEVICES_MAX    256u       /* of a device list; ours */

enum {
    USBIP_REQ_DEVLIST = 0x8005,
    USBIP_REP_DEVLIST = 0x0005,
    USBIP_REQ_IMPORT = 0x8003,
    USBIP_REP_IMPORT = 0x0003
};
/* Linux, tools/usb/usbip/libsrc/usbip_common.h: why a request fails. */
enum { USBIP_OK = 0, USBIP_FAILED = 1, USBIP_BUSY = 2, USBIP_IN_ERROR = 3, USBIP_NO_DEVICE = 4 };
enum usbip_command { USBIP_CMD_SUBMIT = 1, USBIP_CMD_UNLINK = 2, USBIP_RET_SUBMIT = 3, USBIP_RET_UNLINK = 4 };
/* enum usb_device_speed of Linux, as devices are shown with. */
enum { USBIP_SPEED_LOW = 1, USBIP_SPEED_FULL = 2, USBIP_SPEED_HIGH = 3 };
/* transfer_flags: Linux's URB_*. */
enum { USBIP_SHORT_NOT_OK = 0x0001, USBIP_ISO_ASAP = 0x0002, USBIP_DIR_IN = 0x0200 };

struct usbip_interface {
    uint8_t interface_class, subclass, protocol;
};

struct usbip_device {
    char path[256];
    char busid[USBIP_BUSID_SIZE];
    uint32_t busnum, devnum, speed;
    uint16_t vendor, product, release;
    uint8_t device_class, subclass, protocol;
    uint8_t configuration, nr_configurations, nr_interfaces;
};

struct usbip_header {
    uint32_t command, seqnum, devid;
    bool in;
    uint8_t endpoint;
    /* CMD_SUBMIT and RET_SUBMIT */
    uint32_t flags;  /* CMD_SUBMIT */
    uint32_t length; /* wanted, or moved */
    uint32_t start_frame, nr_packets, interval;
    uint32_t error_count; /* RET_SUBMIT */
    uint8_t setup[8];     /* CMD_SUBMIT */
    /* RET_SUBMIT, RET_UNLINK: 0 or a negative errno of Linux */
    int32_t status;
    uint32_t unlink_seqnum; /* CMD_UNLINK */
};

uint32_t usbip_get32(const uint8_t *bytes);

/* The first words of requests and replies. Another version is told by its number only: all of USB/IP begins
 * like this. */
void usbip_put_op(uint8_t out[USBIP_OP_SIZE], uint16_t code, uint32_t status);
const char *usbip_get_op(const uint8_t bytes[USBIP_OP_SIZE], uint16_t *code, uint32_t *status);

void usbip_put_device(uint8_t out[USBIP_DEVICE_SIZE], const struct usbip_device *device);
/* Strings end and are printable, the speed is one that PVUSB has or a higher one. */
const char *usbip_get_device(const uint8_t bytes[USBIP_DEVICE_SIZE], struct usbip_device *device);
/* A name of a device as it stands in a request: printable, terminated. */
const char *usbip_get_busid(const uint8_t bytes[USBIP_BUSID_SIZE], char out[USBIP_BUSID_SIZE]);

/* By header->command. */
void usbip_put_header(uint8_t out[USBIP_HEADER_SIZE], const struct usbip_header *header);
/* What a server is sent, and what a client is. */
const char *usbip_get_command(const uint8_t bytes[USBIP_HEADER_SIZE], struct usbip_header *header);
const char *usbip_get_return(const uint8_t bytes[USBIP_HEADER_SIZE], struct usbip_header *header);

void usbip_put_packet(uint8_t out[USBIP_ISO_SIZE], const struct pvusb_iso_desc *packet);
void usbip_get_packet(const uint8_t bytes[USBIP_ISO_SIZE], struct pvusb_iso_desc *packet);

#endif
