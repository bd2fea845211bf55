// SPDX-License-Identifier: MIT
#include "usbip/protocol.h"

#include <string.h>

#define ERRNO_MAX 4095 /* Linux: MAX_ERRNO */

static void put32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

static void put16(uint8_t *out, uint16_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

uint32_t usbip_get32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint16_t get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* ---- finding and importing devices ---- */

void usbip_put_op(uint8_t out[USBIP_OP_SIZE], uint16_t code, uint32_t status)
{
    put16(out, USBIP_VERSION);
    put16(out + 2, code);
    put32(out + 4, status);
}

const char *usbip_get_op(const uint8_t bytes[USBIP_OP_SIZE], uint16_t *code, uint32_t *status)
{
    *code = get16(bytes + 2);
    *status = usbip_get32(bytes + 4);
    return get16(bytes) == USBIP_VERSION ? NULL : "not version 1.1.1 of USB/IP";
}

/* Terminated within its field, and nothing that a terminal would obey. */
static bool get_text(const uint8_t *bytes, size_t size, char *out)
{
    size_t n = strnlen((const char *)bytes, size);
    if (n == size)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] < 0x20 || bytes[i] > 0x7e)
            return false;
    }
    memset(out, 0, size);
    memcpy(out, bytes, n);
    return true;
}

const char *usbip_get_busid(const uint8_t bytes[USBIP_BUSID_SIZE], char out[USBIP_BUSID_SIZE])
{
    return get_text(bytes, USBIP_BUSID_SIZE, out) ? NULL : "a bus id that is not text";
}

void usbip_put_device(uint8_t out[USBIP_DEVICE_SIZE], const struct usbip_device *device)
{
    memcpy(out, device->path, sizeof(device->path));
    memcpy(out + 256, device->busid, sizeof(device->busid));
    put32(out + 288, device->busnum);
    put32(out + 292, device->devnum);
    put32(out + 296, device->speed);
    put16(out + 300, device->vendor);
    put16(out + 302, device->product);
    put16(out + 304, device->release);
    out[306] = device->device_class;
    out[307] = device->subclass;
    out[308] = device->protocol;
    out[309] = device->configuration;
    out[310] = device->nr_configurations;
    out[311] = device->nr_interfaces;
}

const char *usbip_get_device(const uint8_t bytes[USBIP_DEVICE_SIZE], struct usbip_device *device)
{
    if (!get_text(bytes, sizeof(device->path), device->path))
        return "a path that is not text";
    if (!get_text(bytes + 256, USBIP_BUSID_SIZE, device->busid))
        return "a bus id that is not text";
    device->busnum = usbip_get32(bytes + 288);
    device->devnum = usbip_get32(bytes + 292);
    device->speed = usbip_get32(bytes + 296);
    device->vendor = get16(bytes + 300);
    device->product = get16(bytes + 302);
    device->release = get16(bytes + 304);
    device->device_class = bytes[306];
    device->subclass = bytes[307];
    device->protocol = bytes[308];
    device->configuration = bytes[309];
    device->nr_configurations = bytes[310];
    device->nr_interfaces = bytes[311];
    return device->speed < USBIP_SPEED_LOW ? "a device without speed" : NULL;
}

/* ---- transfers ---- */

void usbip_put_header(uint8_t out[USBIP_HEADER_SIZE], const struct usbip_header *header)
{
    memset(out, 0, USBIP_HEADER_SIZE);
    put32(out, header->command);
    put32(out + 4, header->seqnum);
    put32(out + 8, header->devid);
    put32(out + 12, header->in);
    put32(out + 16, header->endpoint);
    switch (header->command) {
    case USBIP_CMD_SUBMIT:
        put32(out + 20, header->flags);
        put32(out + 24, header->length);
        put32(out + 28, header->start_frame);
        put32(out + 32, header->nr_packets);
        put32(out + 36, header->interval);
        memcpy(out + 40, header->setup, 8);
        break;
    case USBIP_RET_SUBMIT:
        put32(out + 20, (uint32_t)header->status);
        put32(out + 24, header->length);
        put32(out + 28, header->start_frame);
        put32(out + 32, header->nr_packets);
        put32(out + 36, header->error_count);
        break;
    case USBIP_CMD_UNLINK:
        put32(out + 20, header->unlink_seqnum);
        break;
    default:
        put32(out + 20, (uint32_t)header->status);
        break;
    }
}

static void get_basic(const uint8_t *bytes, struct usbip_header *header)
{
    memset(header, 0, sizeof(*header));
    header->command = usbip_get32(bytes);
    header->seqnum = usbip_get32(bytes + 4);
    header->devid = usbip_get32(bytes + 8);
}

const char *usbip_get_command(const uint8_t bytes[USBIP_HEADER_SIZE], struct usbip_header *header)
{
    get_basic(bytes, header);
    if (header->command == USBIP_CMD_UNLINK) {
        header->unlink_seqnum = usbip_get32(bytes + 20);
        return NULL;
    }
    if (header->command != USBIP_CMD_SUBMIT)
        return "a command that is neither submit nor unlink";
    if (usbip_get32(bytes + 12) > 1)
        return "a direction that is neither in nor out";
    if (usbip_get32(bytes + 16) > 15)
        return "an endpoint above 15";
    header->in = bytes[15] != 0;
    header->endpoint = bytes[19];
    header->flags = usbip_get32(bytes + 20);
    header->length = usbip_get32(bytes + 24);
    header->start_frame = usbip_get32(bytes + 28);
    header->nr_packets = usbip_get32(bytes + 32);
    header->interval = usbip_get32(bytes + 36);
    memcpy(header->setup, bytes + 40, 8);
    return header->length > USBIP_LENGTH_MAX ? "a transfer of more than 1 MiB" : NULL;
}

const char *usbip_get_return(const uint8_t bytes[USBIP_HEADER_SIZE], struct usbip_header *header)
{
    get_basic(bytes, header);
    if (header->command != USBIP_RET_SUBMIT && header->command != USBIP_RET_UNLINK)
        return "a reply to neither submit nor unlink";
    header->status = (int32_t)usbip_get32(bytes + 20);
    if (header->status > 0 || header->status < -ERRNO_MAX)
        return "a status that is no errno";
    if (header->command == USBIP_RET_UNLINK)
        return NULL;
    header->length = usbip_get32(bytes + 24);
    header->start_frame = usbip_get32(bytes + 28);
    header->nr_packets = usbip_get32(bytes + 32);
    header->error_count = usbip_get32(bytes + 36);
    return header->length > USBIP_LENGTH_MAX ? "more data than any transfer has" : NULL;
}

void usbip_put_packet(uint8_t out[USBIP_ISO_SIZE], const struct pvusb_iso_desc *packet)
{
    put32(out, packet->offset);
    put32(out + 4, packet->length);
    put32(out + 8, packet->actual_length);
    put32(out + 12, (uint32_t)packet->status);
}

void usbip_get_packet(const uint8_t bytes[USBIP_ISO_SIZE], struct pvusb_iso_desc *packet)
{
    packet->offset = usbip_get32(bytes);
    packet->length = usbip_get32(bytes + 4);
    packet->actual_length = usbip_get32(bytes + 8);
    packet->status = (int32_t)usbip_get32(bytes + 12);
}
