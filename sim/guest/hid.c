// SPDX-License-Identifier: MIT
/* Section numbers are those of HID 1.11. */
#include <errno.h>
#include <stdlib.h>

#include "guest/hid.h"

#define PAGE_BYTES   4096u
#define LEDS_AT      4088u
#define REPORT_BYTES 8u
#define KEYS_AT      2u
#define FIRST_KEY    4u /* below are 0 for none, and error codes */
#define ROLL_OVER    1u /* in every place: more keys are down than can be told */
#define FAILURES     10u

/* Control requests still to be sent; the lowest bit first. */
enum { WANT_PROTOCOL = 1, WANT_IDLE = 2, WANT_CLEAR = 4, WANT_LEDS = 8 };

struct hid {
    struct guest_device *device;
    struct hid_listener listener;
    uint8_t interface;
    uint8_t endpoint;
    uint16_t packet;
    uint8_t *page; /* report at 0 */
    struct guest_xfer control, report;
    unsigned int wants, asked; /* asked: of the control request under way */
    unsigned int failures;     /* since the last report */
    bool started;
    bool frozen;  /* until hid_event() */
    bool stopped; /* for good */
    uint8_t leds;
    uint8_t last[REPORT_BYTES];
    struct hid_stats stats;
};

static void pump(struct hid *hid);

static const struct guest_interface *find_interface(const struct guest_device *device)
{
    return guest_find_interface(device, 0x03, 0x01, 0x01);
}

static const struct guest_endpoint *find_endpoint(const struct guest_interface *interface)
{
    const struct guest_endpoint *ep = guest_endpoint_of(interface, USBIF_PIPE_TYPE_INT, 0x80);
    return ep && ep->packet >= REPORT_BYTES ? ep : NULL;
}

bool hid_matches(const struct guest_device *device)
{
    return find_endpoint(find_interface(device)) != NULL;
}

/* ---- reports ---- */

static bool has_key(const uint8_t *report, uint8_t usage)
{
    return memchr(report + KEYS_AT, usage, REPORT_BYTES - KEYS_AT) != NULL;
}

static void tell(struct hid *hid, uint8_t usage, bool down)
{
    hid->listener.key(hid->listener.context, hid, usage, down);
}

/* Keys of one that are not in the other. */
static void tell_difference(struct hid *hid, const uint8_t *of, const uint8_t *not_in, bool down)
{
    for (unsigned int i = KEYS_AT; i < REPORT_BYTES; i++) {
        bool again = memchr(of + KEYS_AT, of[i], i - KEYS_AT) != NULL; /* the same key twice is one */
        if (of[i] >= FIRST_KEY && !again && !has_key(not_in, of[i]))
            tell(hid, of[i], down);
    }
}

static void show(struct hid *hid, const uint8_t report[REPORT_BYTES])
{
    uint8_t old[REPORT_BYTES];
    memcpy(old, hid->last, REPORT_BYTES);
    memcpy(hid->last, report, REPORT_BYTES);
    for (unsigned int bit = 0; bit < 8; bit++) {
        if ((old[0] ^ report[0]) & 1u << bit)
            tell(hid, (uint8_t)(HID_MODIFIERS + bit), (report[0] & 1u << bit) != 0);
    }
    tell_difference(hid, old, report, false);
    tell_difference(hid, report, old, true);
}

static void take_report(struct hid *hid, uint32_t n)
{
    uint8_t report[REPORT_BYTES];
    memcpy(report, hid->page, REPORT_BYTES); /* the page is the device's too: one look */
    hid->failures = 0;
    hid->stats.reports++;
    /* Appendix C: on roll over, the modifiers are still good; Linux ignores them all the same. */
    if (n < REPORT_BYTES || report[KEYS_AT] == ROLL_OVER)
        hid->stats.ignored++;
    else
        show(hid, report);
}

/* ---- transfers ---- */

static void give_up(struct hid *hid, int status)
{
    hid->stopped = true;
    guest_unlink(&hid->control);
    guest_unlink(&hid->report);
    if (hid->listener.status)
        hid->listener.status(hid->listener.context, hid, status);
}

/* What ends all, or all for now; false for what is worth another try. */
static bool is_end(struct hid *hid, int status)
{
    if (status == -EHOSTUNREACH)
        hid->frozen = true;
    else if (status == -ENODEV || status == -ESHUTDOWN || status == -ECONNRESET)
        hid->stopped = true; /* gone, or hid_stop() */
    else
        return false;
    return true;
}

static void count_failure(struct hid *hid, int status)
{
    hid->stats.failures++;
    if (++hid->failures >= FAILURES)
        give_up(hid, status);
}

static void on_report(struct guest_xfer *xfer)
{
    struct hid *hid = xfer->context;
    if (xfer->status == 0) {
        take_report(hid, xfer->actual);
    } else if (!is_end(hid, xfer->status)) {
        hid->wants |= WANT_CLEAR;
        count_failure(hid, xfer->status);
    }
    pump(hid);
}

static void on_control(struct guest_xfer *xfer)
{
    struct hid *hid = xfer->context;
    unsigned int asked = hid->asked;
    hid->asked = 0;
    if (xfer->status && is_end(hid, xfer->status)) {
        hid->wants |= asked; /* again, when it can be */
    } else if (xfer->status && asked == WANT_PROTOCOL) {
        give_up(hid, xfer->status); /* its reports could mean anything */
    } else if (xfer->status && asked == WANT_CLEAR) {
        hid->wants |= WANT_CLEAR;
        count_failure(hid, xfer->status);
    }
    /* Section 7.2.4: SET_IDLE may be unknown to a device; LEDs may be missing. */
    pump(hid);
}

static void ask(struct hid *hid)
{
    uint8_t setup[8];
    hid->asked = hid->wants & ~(hid->wants - 1);
    hid->wants &= ~hid->asked;
    switch (hid->asked) {
    case WANT_PROTOCOL:
        guest_setup(setup, 0x21, 11, 0, hid->interface, 0);
        break;
    case WANT_IDLE: /* reports on changes only */
        guest_setup(setup, 0x21, 10, 0, hid->interface, 0);
        break;
    case WANT_CLEAR:
        guest_setup(setup, 0x02, 1, 0, hid->endpoint, 0);
        break;
    default:
        guest_setup(setup, 0x21, 9, 0x0200, hid->interface, 1);
        hid->page[LEDS_AT] = hid->leds;
        break;
    }
    hid->control.done = on_control;
    hid->control.context = hid;
    int rc = guest_control(&hid->control, hid->device, setup, hid->page + LEDS_AT);
    if (!rc)
        return;
    hid->wants |= hid->asked;
    hid->asked = 0;
    if (!is_end(hid, rc))
        give_up(hid, rc);
}

static void listen(struct hid *hid)
{
    hid->report.done = on_report;
    hid->report.context = hid;
    hid->report.timeout_ns = GUEST_NO_TIMEOUT;
    int rc = guest_transfer(&hid->report, hid->device, hid->endpoint, hid->page, hid->packet, false);
    if (rc && !is_end(hid, rc)) {
        give_up(hid, rc);
        return;
    }
    if (rc || hid->started)
        return;
    hid->started = true;
    if (hid->listener.status)
        hid->listener.status(hid->listener.context, hid, 0);
}

/* Starts what can be started. */
static void pump(struct hid *hid)
{
    if (hid->wants && !hid->control.busy && !hid->frozen && !hid->stopped)
        ask(hid);
    unsigned int before = WANT_PROTOCOL | WANT_IDLE | WANT_CLEAR;
    if (!((hid->wants | hid->asked) & before) && !hid->report.busy && !hid->frozen && !hid->stopped)
        listen(hid);
}

/* ---- for the guest ---- */

int hid_create(struct guest_device *device, const struct hid_listener *listener, struct hid **out)
{
    const struct guest_interface *interface = find_interface(device);
    const struct guest_endpoint *ep = find_endpoint(interface);
    struct hid *hid = NULL;
    void *page = NULL;
    int rc;

    if (!ep)
        return -ENODEV;
    hid = calloc(1, sizeof(*hid));
    if (!hid)
        return -ENOMEM;
    rc = guest_buffer_alloc(device->guest, PAGE_BYTES, &page);
    if (rc)
        goto out;
    rc = guest_claim(device, interface->number, hid);
    if (rc)
        goto out;
    hid->device = device;
    hid->listener = *listener;
    hid->interface = interface->number;
    hid->endpoint = ep->address;
    hid->packet = ep->packet;
    hid->page = page;
    hid->wants = WANT_PROTOCOL | WANT_IDLE;
    *out = hid;
    pump(hid);
    return 0;
out:
    if (page)
        guest_buffer_free(device->guest, page, PAGE_BYTES);
    free(hid);
    return rc;
}

void hid_event(struct hid *hid, enum guest_event event)
{
    static const uint8_t nothing[REPORT_BYTES] = {0};
    if (event == GUEST_SUSPENDED)
        return;
    hid->frozen = false;
    if (event == GUEST_RESET) {
        show(hid, nothing);
        hid->wants = WANT_PROTOCOL | WANT_IDLE | (hid->leds ? WANT_LEDS : 0);
    }
    pump(hid);
}

void hid_stop(struct hid *hid)
{
    hid->stopped = true;
    guest_unlink(&hid->control);
    guest_unlink(&hid->report);
}

bool hid_busy(const struct hid *hid)
{
    return hid->control.busy || hid->report.busy;
}

void hid_destroy(struct hid *hid)
{
    if (!hid)
        return;
    assert(!hid_busy(hid));
    guest_release(hid->device, hid);
    guest_buffer_free(hid->device->guest, hid->page, PAGE_BYTES);
    free(hid);
}

void hid_set_leds(struct hid *hid, uint8_t leds)
{
    hid->leds = leds;
    hid->wants |= WANT_LEDS;
    pump(hid);
}

uint8_t hid_modifiers(const struct hid *hid)
{
    return hid->last[0];
}

struct hid_stats hid_stats(const struct hid *hid)
{
    return hid->stats;
}

char hid_ascii(uint8_t usage, uint8_t modifiers)
{
    /* HID Usage Tables section 10, keys 0x04 to 0x38. 0x32 is the "#" beside Return of other layouts. */
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz1234567890\n\x1b\b\t -=[]\\#;'`,./";
    static const char shifted[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$%^&*()\n\x1b\b\t _+{}|~:\"~<>?";
    bool shift = (modifiers & 0x22u) != 0;
    if (usage < FIRST_KEY || usage - FIRST_KEY >= sizeof(plain) - 1)
        return 0;
    return shift ? shifted[usage - FIRST_KEY] : plain[usage - FIRST_KEY];
}
