// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdbool.h>

#include <pvusb/abi.h>

#include "guest/descriptor.h"

enum { DT_DEVICE = 1, DT_CONFIGURATION = 2, DT_STRING = 3, DT_INTERFACE = 4, DT_ENDPOINT = 5 };

static uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

int guest_parse_packet0(const uint8_t *bytes, size_t n, uint8_t speed, uint8_t *packet0)
{
    if (n < 8 || bytes[0] != 18 || bytes[1] != DT_DEVICE)
        return -EPROTO;
    uint8_t size = bytes[7];
    bool good = size == 8 || size == 16 || size == 32 || size == 64;
    /* USB 2.0 section 5.5.3 */
    if (speed == USBIF_SPEED_HIGH)
        good = size == 64;
    else if (speed == USBIF_SPEED_LOW)
        good = size == 8;
    if (!good)
        return -EPROTO;
    *packet0 = size;
    return 0;
}

int guest_parse_device(const uint8_t *bytes, size_t n, struct guest_device_descriptor *out)
{
    if (n < 18 || bytes[0] != 18 || bytes[1] != DT_DEVICE || bytes[17] == 0)
        return -EPROTO;
    *out = (struct guest_device_descriptor){
        .vendor = le16(bytes + 8),
        .product = le16(bytes + 10),
        .device_class = bytes[4],
        .packet0 = bytes[7],
        .strings = {bytes[14], bytes[15], bytes[16]},
        .nr_configurations = bytes[17],
    };
    return 0;
}

int guest_parse_total(const uint8_t *bytes, size_t n, uint16_t *total)
{
    if (n < 9 || bytes[0] < 9 || bytes[1] != DT_CONFIGURATION)
        return -EPROTO;
    *total = le16(bytes + 2);
    return *total < 9 ? -EPROTO : 0;
}

static int parse_interface(const uint8_t *d, struct guest_configuration *out)
{
    if (d[0] < 9)
        return -EPROTO;
    if (out->nr_interfaces == GUEST_INTERFACES_MAX)
        return -EMSGSIZE;
    struct guest_interface *interface = &out->interfaces[out->nr_interfaces++];
    *interface = (struct guest_interface){
        .number = d[2], .alternate = d[3], .interface_class = d[5], .subclass = d[6], .protocol = d[7]};
    return 0;
}

static int parse_endpoint(const uint8_t *d, struct guest_configuration *out)
{
    static const uint8_t types[4] = {USBIF_PIPE_TYPE_CTRL, USBIF_PIPE_TYPE_ISOC, USBIF_PIPE_TYPE_BULK,
                                     USBIF_PIPE_TYPE_INT};
    if (d[0] < 7 || out->nr_interfaces == 0 || (d[2] & 0x0fu) == 0 || (d[2] & 0x70u))
        return -EPROTO;
    struct guest_interface *interface = &out->interfaces[out->nr_interfaces - 1];
    for (unsigned int i = 0; i < interface->nr_endpoints; i++) {
        if (interface->endpoints[i].address == d[2])
            return -EPROTO;
    }
    uint8_t type = types[d[3] & 3u];
    uint16_t packet = le16(d + 4) & 0x7ffu;
    uint8_t more = le16(d + 4) >> 11 & 3u; /* 3 is reserved */
    if (packet == 0 && type != USBIF_PIPE_TYPE_ISOC)
        return -EPROTO;
    /* No address twice and 30 of them: there is room. */
    assert(interface->nr_endpoints < GUEST_ENDPOINTS_MAX);
    interface->endpoints[interface->nr_endpoints++] =
        (struct guest_endpoint){.address = d[2],
                                .type = type,
                                .interval = d[6],
                                .packet = packet,
                                .transactions = (uint8_t)(more == 3 ? 1 : 1 + more)};
    return 0;
}

int guest_parse_configuration(const uint8_t *bytes, size_t n, struct guest_configuration *out)
{
    uint16_t total;
    int rc = guest_parse_total(bytes, n, &total);
    if (rc)
        return rc;
    if (total != n)
        return -EPROTO;
    out->value = bytes[5];
    out->attributes = bytes[7];
    out->nr_interfaces = 0;
    if (out->value == 0) /* USB 2.0 section 9.4.7: 0 means not configured */
        return -EPROTO;
    for (size_t at = bytes[0]; at < n; at += bytes[at]) {
        if (n - at < 2 || bytes[at] < 2 || bytes[at] > n - at)
            return -EPROTO;
        if (bytes[at + 1] == DT_INTERFACE)
            rc = parse_interface(bytes + at, out);
        else if (bytes[at + 1] == DT_ENDPOINT)
            rc = parse_endpoint(bytes + at, out);
        if (rc)
            return rc;
    }
    return bytes[0] > n || out->nr_interfaces == 0 ? -EPROTO : 0;
}

/* Common to both uses: a string descriptor with something in it. Returns its length, or 0. */
static size_t string_length(const uint8_t *bytes, size_t n)
{
    if (n < 2 || bytes[0] < 2 || bytes[1] != DT_STRING || bytes[0] > n)
        return 0;
    return bytes[0];
}

int guest_parse_language(const uint8_t *bytes, size_t n, uint16_t *language)
{
    if (string_length(bytes, n) < 4)
        return -EPROTO;
    *language = le16(bytes + 2);
    return 0;
}

int guest_parse_string(const uint8_t *bytes, size_t n, char *out, size_t size)
{
    size_t length = string_length(bytes, n), used = 0;
    if (length == 0 || size == 0)
        return -EPROTO;
    for (size_t i = 2; i + 1 < length && used + 1 < size; i += 2) {
        uint16_t c = le16(bytes + i);
        out[used++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    out[used] = '\0';
    return 0;
}
