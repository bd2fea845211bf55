/* SPDX-License-Identifier: MIT */
/*
 * Descriptors as a guest reads them: bytes of a device that may lie about every length. Pure functions:
 * nothing outside of bytes[0..n) is read, and what is returned has been checked. 0 or -EPROTO (contradicts
 * USB 2.0 section 9.6), -EMSGSIZE (more than the limits here).
 */
#ifndef SIM_GUEST_DESCRIPTOR_H
#define SIM_GUEST_DESCRIPTOR_H

#include <stddef.h>
#include <stdint.h>

#define GUEST_INTERFACES_MAX 32u /* alternate settings count */
#define GUEST_ENDPOINTS_MAX  30u /* of one alternate setting; all there can be */

struct guest_device_descriptor {
    uint16_t vendor;
    uint16_t product;
    uint8_t device_class;
    uint8_t packet0;
    uint8_t strings[3]; /* indexes: manufacturer, product, serial number */
    uint8_t nr_configurations;
};

struct guest_endpoint {
    uint8_t address;
    uint8_t type; /* USBIF_PIPE_TYPE_* */
    uint8_t interval;
    uint16_t packet;      /* of a transaction */
    uint8_t transactions; /* in a microframe: 1, or 2 and 3 of a high-bandwidth endpoint */
};

struct guest_interface {
    uint8_t number, alternate;
    uint8_t interface_class, subclass, protocol;
    uint8_t nr_endpoints;
    struct guest_endpoint endpoints[GUEST_ENDPOINTS_MAX];
};

struct guest_configuration {
    uint8_t value;
    uint8_t attributes;
    uint8_t nr_interfaces;
    struct guest_interface interfaces[GUEST_INTERFACES_MAX];
};

int guest_parse_device(const uint8_t *bytes, size_t n, struct guest_device_descriptor *out);
/* The first 8 bytes say as much: the packet size of endpoint 0. speed is USBIF_SPEED_*. */
int guest_parse_packet0(const uint8_t *bytes, size_t n, uint8_t speed, uint8_t *packet0);
/* wTotalLength out of the first 9 bytes. */
int guest_parse_total(const uint8_t *bytes, size_t n, uint16_t *total);
/* The whole configuration; n must be wTotalLength. */
int guest_parse_configuration(const uint8_t *bytes, size_t n, struct guest_configuration *out);
int guest_parse_language(const uint8_t *bytes, size_t n, uint16_t *language);
/* As printable ASCII, other characters as '?', cut to fit, terminated. */
int guest_parse_string(const uint8_t *bytes, size_t n, char *out, size_t size);

#endif
