// SPDX-License-Identifier: MIT
/*
 * Input: the 148 bytes of a request, then isochronous descriptors. The verdict
 * on both is worked out a second time here, from the bytes and in the plainest way, and must be the same.
 */
#include <stdlib.h>

#include <pvusb/urb.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUEST = 148, PACKETS_MAX = 32 };

static uint32_t u16_at(const uint8_t *bytes)
{
    return (uint32_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t u32_at(const uint8_t *bytes)
{
    return u16_at(bytes) | u16_at(bytes + 2) << 16;
}

/* Bytes in segments first..first+count-1; -1 when one leaves its page. */
static int64_t segment_bytes(const uint8_t *request, uint32_t first, uint32_t count)
{
    int64_t sum = 0;
    for (uint32_t i = first; i < first + count; i++) {
        const uint8_t *seg = request + 20 + 8 * i;
        if (u16_at(seg + 4) + u16_at(seg + 6) > 4096)
            return -1;
        sum += u16_at(seg + 6);
    }
    return sum;
}

static enum pvusb_verdict expected_verdict(const uint8_t *request)
{
    uint32_t pipe = u32_at(request + 4), type = pipe >> 30;
    uint32_t segs = u16_at(request + 2), desc_segs = type == 0 ? u16_at(request + 18) : 0;
    if (pipe & 0x20)
        return PVUSB_OK;
    if (segs + desc_segs > 16)
        return PVUSB_TOO_MANY_SEGMENTS;
    int64_t length = segment_bytes(request, 0, segs);
    if (length < 0)
        return PVUSB_SEGMENT_CROSSES_PAGE;
    if (length % 65536 != u16_at(request + 10))
        return PVUSB_LENGTH_MISMATCH;
    if (type == 2) {
        uint32_t wlength = u16_at(request + 18);
        bool in = (pipe & 0x80) != 0;
        if (wlength != 0 && in != (request[12] >= 0x80))
            return PVUSB_DIRECTION_MISMATCH;
        if (wlength > length && !in)
            return PVUSB_CONTROL_DATA_MISSING;
    }
    if (type == 0 && (desc_segs != 0 || length != 0)) {
        uint32_t packets = u16_at(request + 16);
        if (packets < 1 || packets > 256)
            return PVUSB_ISO_PACKET_COUNT;
        int64_t bytes = segment_bytes(request, segs, desc_segs);
        if (bytes < 0)
            return PVUSB_SEGMENT_CROSSES_PAGE;
        if (bytes != 16 * (int64_t)packets)
            return PVUSB_ISO_DESCRIPTOR_LENGTH;
    }
    return PVUSB_OK;
}

static void check_packets(const uint8_t *bytes, size_t size, uint32_t length)
{
    struct pvusb_iso_desc packets[PACKETS_MAX];
    unsigned int count = (unsigned int)(size / sizeof(packets[0]));
    enum pvusb_verdict expected = PVUSB_OK;
    if (count > PACKETS_MAX)
        count = PACKETS_MAX;
    for (unsigned int i = 0; i < count; i++) {
        memcpy(&packets[i], bytes + i * sizeof(packets[0]), sizeof(packets[0]));
        if ((uint64_t)packets[i].offset + packets[i].length > length)
            expected = PVUSB_ISO_PACKET_BOUNDS;
    }
    assert(pvusb_iso_check(packets, count, length) == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[REQUEST] = {0};
    struct usbif_urb_request request;
    memcpy(bytes, data, size < REQUEST ? size : REQUEST);
    memcpy(&request, bytes, sizeof(request));

    struct pvusb_urb urb;
    memset(&urb, 0xaa, sizeof(urb));
    enum pvusb_verdict verdict = pvusb_urb_decode(&request, &urb);
    assert(verdict == expected_verdict(bytes));
    assert(memcmp(&request, bytes, sizeof(bytes)) == 0);

    uint32_t pipe = u32_at(bytes + 4);
    assert(urb.id == u16_at(bytes));
    assert(pvusb_pipe_encode(urb.pipe) == (pipe & 0xc007ffbfu));
    assert(urb.nr_segs + urb.nr_desc_segs <= 16);
    assert(urb.length <= 65536);
    if (verdict == PVUSB_OK && !urb.pipe.unlink) {
        assert(urb.nr_segs == u16_at(bytes + 2));
        assert((urb.length & 0xffff) == u16_at(bytes + 10));
        assert(urb.nr_packets <= 256);
        assert(urb.pipe.type == USBIF_PIPE_TYPE_ISOC || (urb.nr_packets == 0 && urb.nr_desc_segs == 0));
        assert(urb.short_not_ok == (bytes[8] & 1));
        assert(urb.pipe.type != USBIF_PIPE_TYPE_CTRL || memcmp(urb.setup, bytes + 12, 8) == 0);
    }
    if (urb.pipe.unlink)
        assert(urb.unlink_id == u16_at(bytes + 12) && urb.nr_segs == 0 && urb.length == 0);
    if (size > REQUEST)
        check_packets(data + REQUEST, size - REQUEST, urb.length);

    struct usbif_conn_response event = {.portnum = bytes[0], .speed = bytes[1]};
    unsigned int ports = 1 + bytes[2] % 31u;
    bool legal = bytes[0] >= 1 && bytes[0] <= ports && bytes[1] <= 3;
    assert((pvusb_conn_check(&event, ports) == PVUSB_OK) == legal);
    return 0;
}
