// SPDX-License-Identifier: MIT
#include <pvusb/verdict.h>

const char *pvusb_verdict_name(enum pvusb_verdict verdict)
{
    switch (verdict) {
    case PVUSB_OK:
        return "ok";
    case PVUSB_EMPTY:
        return "empty";
    case PVUSB_RING_OVERFLOW:
        return "ring-overflow";
    case PVUSB_RING_UNDERFLOW:
        return "ring-underflow";
    case PVUSB_TOO_MANY_SEGMENTS:
        return "too-many-segments";
    case PVUSB_SEGMENT_CROSSES_PAGE:
        return "segment-crosses-page";
    case PVUSB_LENGTH_MISMATCH:
        return "length-mismatch";
    case PVUSB_DIRECTION_MISMATCH:
        return "direction-mismatch";
    case PVUSB_CONTROL_DATA_MISSING:
        return "control-data-missing";
    case PVUSB_ISO_PACKET_COUNT:
        return "iso-packet-count";
    case PVUSB_ISO_DESCRIPTOR_LENGTH:
        return "iso-descriptor-length";
    case PVUSB_ISO_PACKET_BOUNDS:
        return "iso-packet-bounds";
    case PVUSB_RESPONSE_ID:
        return "response-id";
    case PVUSB_CONN_PORT:
        return "conn-port";
    case PVUSB_CONN_SPEED:
        return "conn-speed";
    case PVUSB_GRANT_IN_USE:
        return "grant-in-use";
    case PVUSB_VERDICTS:
        break;
    }
    return "unknown";
}
