// SPDX-License-Identifier: MIT
/*
 * Which URBs need a decision before they can go through a PVUSB ring, and why.
 */
#include "trace/trace.h"

#include <errno.h>

#define LINUX_URB_SHORT_NOT_OK 0x1u
#define LINUX_URB_ZERO_PACKET  0x40u
#define SET_ADDRESS_TYPE       0x00 /* USB 2.0 section 9.4.6 */
#define SET_ADDRESS_REQUEST    0x05

/* The values of usbif.h; unlinked URBs have a class of their own. */
static bool status_fits(int32_t status)
{
    static const int32_t known[] = {
        USBIF_STATUS_OK,      USBIF_STATUS_NODEV,  USBIF_STATUS_INVAL,    USBIF_STATUS_STALL,
        USBIF_STATUS_IOERROR, USBIF_STATUS_BABBLE, USBIF_STATUS_SHUTDOWN, -ENOENT,
        -ECONNRESET,
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (status == known[i])
            return true;
    }
    return false;
}

static uint32_t classify_submission(const struct trace_urb *urb)
{
    uint32_t classes = 0;
    bool completed = urb->frame_c != TRACE_NONE;
    bool refused = urb->frame_e != TRACE_NONE;

    if (urb->frame_s == TRACE_NONE)
        classes |= TRACE_NO_SUBMISSION;
    if (refused)
        classes |= TRACE_REFUSED;
    if (!completed && !refused)
        classes |= TRACE_NEVER_COMPLETED;
    if (urb->has_setup && urb->setup[0] == SET_ADDRESS_TYPE && urb->setup[1] == SET_ADDRESS_REQUEST)
        classes |= TRACE_SET_ADDRESS;
    /* Page aligned this much fits exactly: 16 pages. */
    if (urb->length > PVUSB_URB_LENGTH_MAX)
        classes |= TRACE_TOO_LONG;
    if (urb->out_missing)
        classes |= TRACE_OUT_MISSING;
    if (urb->flags & LINUX_URB_SHORT_NOT_OK)
        classes |= TRACE_SHORT_NOT_OK;
    if (urb->flags & LINUX_URB_ZERO_PACKET)
        classes |= TRACE_ZERO_PACKET;
    if (urb->frame_s != TRACE_NONE && urb->nr_iso_s < urb->nr_packets)
        classes |= TRACE_ISO_CUT;
    return classes;
}

static uint32_t classify_completion(const struct trace_urb *urb)
{
    uint32_t classes = 0;

    if (urb->status == -ENOENT || urb->status == -ECONNRESET)
        classes |= TRACE_UNLINKED;
    else if (urb->status && urb->actual)
        classes |= TRACE_ERROR_WITH_DATA;
    if (!status_fits(urb->status))
        classes |= TRACE_STATUS_UNKNOWN;
    if (urb->in_missing)
        classes |= TRACE_IN_MISSING;
    if (urb->nr_iso_c < urb->nr_packets)
        classes |= TRACE_ISO_CUT;
    if (urb->frame_s == TRACE_NONE)
        return classes; /* the length is not known */
    if (urb->actual > urb->length)
        classes |= TRACE_ACTUAL_BEYOND_LENGTH;
    /* Isochronous packets are short as a rule; actual is only their sum. */
    if (urb->type != USBIF_PIPE_TYPE_ISOC && urb->in && !urb->status && urb->actual < urb->length)
        classes |= TRACE_SHORT;
    return classes;
}

uint32_t trace_classify(const struct trace_urb *urb)
{
    uint32_t classes = classify_submission(urb);
    if (urb->frame_c != TRACE_NONE)
        classes |= classify_completion(urb);
    if (urb->device == 0)
        classes |= TRACE_ADDR0;
    if (urb->device == 1)
        classes |= TRACE_ROOTHUB;
    return classes;
}

const char *trace_class_name(enum trace_class bit)
{
    switch (bit) {
    case TRACE_ROOTHUB:
        return "roothub";
    case TRACE_NO_SUBMISSION:
        return "no_submission";
    case TRACE_NEVER_COMPLETED:
        return "never_completed";
    case TRACE_ADDR0:
        return "addr0";
    case TRACE_SET_ADDRESS:
        return "set_address";
    case TRACE_TOO_LONG:
        return "pages>16";
    case TRACE_UNLINKED:
        return "unlinked";
    case TRACE_STATUS_UNKNOWN:
        return "status_not_in_usbif";
    case TRACE_OUT_MISSING:
        return "out_data_missing";
    case TRACE_IN_MISSING:
        return "in_data_missing";
    case TRACE_SHORT_NOT_OK:
        return "short_not_ok";
    case TRACE_ZERO_PACKET:
        return "zero_packet_flag";
    case TRACE_ERROR_WITH_DATA:
        return "error_with_data";
    case TRACE_ACTUAL_BEYOND_LENGTH:
        return "actual>length";
    case TRACE_REFUSED:
        return "refused";
    case TRACE_ISO_CUT:
        return "iso_cut";
    case TRACE_SHORT:
        return "short";
    }
    return "unknown";
}
