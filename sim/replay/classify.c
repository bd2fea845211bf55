// SPDX-License-Identifier: MIT
/* What of a recorded URB can be sent, what can be compared, and what each side must see. */
#include <errno.h>

#include <pvusb/urb.h>

#include "replay/private.h"

static const char *const texts[REPLAY_REASONS] = {
    [REPLAY_CHECKED] = "checked",
    [REPLAY_ROOT_HUB] = "root hub: never on a ring",
    [REPLAY_NO_SUBMISSION] = "submission not in the file",
    [REPLAY_NEVER_COMPLETED] = "completion not in the file",
    [REPLAY_REFUSED] = "refused by the host controller when it was recorded",
    [REPLAY_TOO_LONG] = "too long: a request carries 65536 bytes in 16 pages",
    [REPLAY_ISO_CUT] = "isochronous descriptors not in the file",
    [REPLAY_OUT_MISSING] = "OUT payload not in the file",
    [REPLAY_IN_MISSING] = "IN payload not in the file",
    [REPLAY_STATUS_UNKNOWN] = "status without a usbif code",
    [REPLAY_BEYOND_LENGTH] = "recorded actual length beyond the buffer",
    [REPLAY_ADDRESS_ZERO] = "address 0: only GET_DESCRIPTOR and SET_ADDRESS pass",
    [REPLAY_ADDRESS_FAILED] = "SET_ADDRESS that failed or moved: answered by the backend, not the device",
    [REPLAY_NO_PORT] = "no free port: more devices at once than 32 controllers have ports",
    [REPLAY_NO_SETUP] = "setup packet not in the file",
    [REPLAY_CONTROL_LENGTH] = "control transfer that contradicts its setup packet: refused by the backend",
    [REPLAY_NUMBER] = "interface or endpoint number beyond a byte: stalled by the backend",
    [REPLAY_SHORT_TOLERATED] = "short in spite of SHORT_NOT_OK: an error at the frontend",
    [REPLAY_ISO_RESULT] = "isochronous results beyond what was asked for: cut by the frontend",
    [REPLAY_ISO_BOUNDS] = "isochronous packets outside their buffer: refused by the frontend",
    [REPLAY_ADDRESS_RANGE] = "address beyond 127: not in a pipe word",
    [REPLAY_QEMU_ISO] = "QEMU: isochronous transfers are refused (ISO-04)",
    [REPLAY_QEMU_HOST_REQUEST] = "QEMU: done by calls of its own, unseen by the device (CTL-09, CTL-10, CTL-11)",
    [REPLAY_QEMU_REQUEST_5] = "QEMU: a request numbered 5, taken for SET_ADDRESS (CTL-08)",
    [REPLAY_QEMU_CONTROL_LENGTH] = "QEMU: control transfers beyond 4096 bytes stall (CTL-13)",
    [REPLAY_QEMU_ZERO_SETUP] = "QEMU: a setup packet of zeros is misread (CTL-15)",
    [REPLAY_QEMU_WAKEUP] = "QEMU: the remote-wakeup bit of the configuration is cleared (CTL-17)",
    [REPLAY_QEMU_GONE] = "QEMU: gives the device up, which was gone at this transfer (HOT-04)",
    [REPLAY_QEMU_STATUS] = "QEMU: has no such status (STA-09)",
    [REPLAY_QEMU_OUT_ACTUAL] = "QEMU: an OUT transfer that fails counts as sent in full (XFR-03)",
    [REPLAY_QEMU_FAILED_DATA] = "QEMU: a control transfer that fails comes back without its data (XFR-03)",
    [REPLAY_QEMU_UNLINKED_DATA] = "QEMU: an unlinked transfer comes back without what it had moved (UNL-04)",
    [REPLAY_QEMU_QUEUED] = "QEMU: ends while it waits for another to be started (XFR-06)",
    [REPLAY_QEMU_BEHIND_ERROR] = "QEMU: may die of what is queued behind an error or short read (XFR-08)",
    [REPLAY_QEMU_BEHIND_UNLINK] = "QEMU: does not start what is queued behind an unlinked transfer (XFR-09)",
};

const char *replay_reason_text(enum replay_reason reason)
{
    return reason < REPLAY_REASONS ? texts[reason] : "unknown";
}

static bool is_set_address(const struct trace_urb *urb)
{
    return urb->type == USBIF_PIPE_TYPE_CTRL && urb->has_setup && urb->setup[0] == 0 && urb->setup[1] == 5;
}

/* What pvusb_urb_decode() refuses: recorded from drivers that got it wrong. */
static bool contradicts_setup(const struct trace_urb *urb)
{
    uint16_t wlength = pvusb_setup_length(urb->setup);
    bool to_host = (urb->setup[0] & 0x80) != 0;
    return wlength > 0 && (to_host != urb->in || (!to_host && urb->length < wlength));
}

/* What the backend stalls by itself, because its host has one byte for these numbers. */
static bool names_nothing(const struct trace_urb *urb)
{
    const uint8_t *setup = urb->setup;
    if (setup[0] == 0x01 && setup[1] == 11) /* SET_INTERFACE */
        return setup[3] != 0 || setup[5] != 0;
    return setup[0] == 0x02 && setup[1] == 1 && pvusb_setup_value(setup) == 0 && setup[5] != 0; /* CLEAR_HALT */
}

/* Reasons that keep an URB off the ring. */
static enum replay_reason cannot_send(const struct trace_urb *urb)
{
    bool iso = urb->type == USBIF_PIPE_TYPE_ISOC;
    uint32_t classes = trace_classify(urb);
    if (classes & TRACE_NO_SUBMISSION)
        return REPLAY_NO_SUBMISSION;
    if (classes & TRACE_ROOTHUB)
        return REPLAY_ROOT_HUB;
    if (classes & TRACE_REFUSED)
        return REPLAY_REFUSED;
    if (urb->length > (iso ? (PVUSB_SEGMENTS_MAX - 1) * PVUSB_PAGE_SIZE : PVUSB_URB_LENGTH_MAX) ||
        (iso && urb->nr_packets > PVUSB_ISO_PACKETS_MAX))
        return REPLAY_TOO_LONG;
    if (urb->device > PVUSB_ADDRESS_MAX)
        return REPLAY_ADDRESS_RANGE;
    if (iso && (urb->nr_packets == 0 || urb->nr_iso_s < urb->nr_packets))
        return REPLAY_ISO_CUT;
    if (iso && pvusb_iso_check(urb->iso_s, urb->nr_packets, urb->length) != PVUSB_OK)
        return REPLAY_ISO_BOUNDS;
    if (urb->type == USBIF_PIPE_TYPE_CTRL && !urb->has_setup)
        return REPLAY_NO_SETUP;
    if (urb->type == USBIF_PIPE_TYPE_CTRL && contradicts_setup(urb))
        return REPLAY_CONTROL_LENGTH;
    if (is_set_address(urb) && (urb->device != 0 || urb->status != 0 || pvusb_setup_value(urb->setup) == 0 ||
                                pvusb_setup_value(urb->setup) > PVUSB_ADDRESS_MAX))
        return REPLAY_ADDRESS_FAILED;
    if (urb->device == 0 && !is_set_address(urb) &&
        (urb->type != USBIF_PIPE_TYPE_CTRL || urb->setup[1] != 6))
        return REPLAY_ADDRESS_ZERO;
    return urb->type == USBIF_PIPE_TYPE_CTRL && names_nothing(urb) ? REPLAY_NUMBER : REPLAY_CHECKED;
}

/* What a frontend does not believe of its backend, and so cannot give back as recorded (rules ISO-06 and STA-03). */
static bool iso_beyond(const struct trace_urb *urb)
{
    if (urb->error_count > urb->nr_packets)
        return true;
    for (uint32_t i = 0; i < urb->nr_iso_c && i < urb->nr_iso_s; i++) {
        const struct pvusb_iso_desc *packet = &urb->iso_c[i];
        if (packet->actual_length > urb->iso_s[i].length || packet->status > 0 || packet->status < -4095)
            return true;
    }
    return false;
}

/* Reasons that leave part of the result without anything to compare it with. */
static enum replay_reason cannot_compare(const struct trace_urb *urb, const struct plan_urb *plan)
{
    uint32_t classes = trace_classify(urb);
    if (plan->left_open)
        return REPLAY_NEVER_COMPLETED;
    if (urb->type == USBIF_PIPE_TYPE_ISOC && urb->nr_iso_c < urb->nr_packets)
        return REPLAY_ISO_CUT;
    if (classes & TRACE_ACTUAL_BEYOND_LENGTH)
        return REPLAY_BEYOND_LENGTH;
    if (plan->packets_cut)
        return REPLAY_ISO_RESULT;
    if (plan->status == -EREMOTEIO && urb->status == 0)
        return REPLAY_SHORT_TOLERATED;
    if (plan->status != urb->status)
        return REPLAY_STATUS_UNKNOWN;
    if (classes & TRACE_OUT_MISSING)
        return REPLAY_OUT_MISSING;
    if (classes & TRACE_IN_MISSING)
        return REPLAY_IN_MISSING;
    return REPLAY_CHECKED;
}

/*
 * The seven values of usbif.h come back as they are. A short read that was an error is sent as one (SHORT_NOT_OK) and
 * is one again at the guest; an unlink returns its reason; anything else changes on the way.
 */
static void expect_status(const struct trace_urb *urb, struct plan_urb *plan)
{
    plan->status = urb->status;
    plan->device_status = urb->status;
    bool short_error = plan->short_not_ok && urb->in && urb->actual < urb->length &&
                       urb->type != USBIF_PIPE_TYPE_ISOC;
    switch (urb->status) {
    case 0:
        plan->status = short_error ? -EREMOTEIO : 0;
        return;
    case -ENODEV:
    case -EINVAL:
    case -EPIPE:
    case -EPROTO:
    case -EOVERFLOW:
    case -ESHUTDOWN:
        return;
    case -EREMOTEIO:
        if (urb->in && urb->actual < urb->length && urb->type != USBIF_PIPE_TYPE_ISOC) {
            plan->short_not_ok = true;
            plan->device_status = 0;
            return;
        }
        break;
    case -ENOENT:
    case -ECONNRESET:
        plan->device_status = -ECONNRESET;
        return;
    case TRACE_IN_PROGRESS:
        plan->left_open = true;
        plan->status = -ENOENT;
        plan->device_status = -ECONNRESET;
        return;
    default:
        break;
    }
    plan->status = 1; /* none that could be recorded: it is not compared */
}

void plan_classify(const struct trace_urb *urb, struct plan_urb *plan)
{
    plan->reason = cannot_send(urb);
    if (plan->reason != REPLAY_CHECKED)
        return;
    plan->replayed = true;
    plan->unseen = is_set_address(urb);
    plan->short_not_ok = (urb->flags & 1) != 0;
    plan->actual = urb->actual > urb->length ? urb->length : urb->actual;
    plan->packets_cut = urb->type == USBIF_PIPE_TYPE_ISOC && iso_beyond(urb);
    expect_status(urb, plan);
    plan->reason = cannot_compare(urb, plan);
}
