// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "devices/ticker.h"

struct ticker {
    struct usb_device device;
    uint64_t period_ns;
    uint64_t due_ns; /* of the next report; 0: nobody has listened yet */
    uint64_t number;
    uint64_t random;
};

/* xorshift64 */
static uint64_t interval(struct ticker *ticker)
{
    ticker->random ^= ticker->random << 13;
    ticker->random ^= ticker->random >> 7;
    ticker->random ^= ticker->random << 17;
    return ticker->period_ns / 2 + ticker->random % ticker->period_ns;
}

static void put64(uint8_t *at, uint64_t value)
{
    for (unsigned int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static int ticker_in(struct usb_device *device, struct device_endpoint *ep)
{
    struct ticker *ticker = (struct ticker *)device;
    uint8_t report[TICKER_REPORT_BYTES];
    if (ticker->due_ns == 0)
        ticker->due_ns = device->now_ns + ticker->period_ns;
    if (device->now_ns < ticker->due_ns)
        return DEVICE_WAIT;
    put64(report, ticker->due_ns);
    put64(report + 8, ticker->number);
    device_in_copy(ep, report, sizeof(report));
    ticker->due_ns += interval(ticker);
    ticker->number++;
    return DEVICE_DONE;
}

static void ticker_configured(struct usb_device *device)
{
    struct ticker *ticker = (struct ticker *)device;
    ticker->due_ns = 0;
    ticker->number = 0;
    ticker->random = 1;
}

static void ticker_step(struct usb_device *device, uint64_t now_ns)
{
    const struct ticker *ticker = (struct ticker *)device;
    if (ticker->due_ns && now_ns >= ticker->due_ns)
        device_kick(device, TICKER_EP);
}

/* Nothing is due while nobody listens: a host that does not poll is not woken. */
static uint64_t ticker_deadline(const struct usb_device *device)
{
    const struct ticker *ticker = (const struct ticker *)device;
    return ticker->due_ns && device->in[TICKER_EP & 15u].head ? ticker->due_ns : UINT64_MAX;
}

static void ticker_destroy(struct usb_device *device)
{
    free(device);
}

static const struct usb_device_ops ticker_ops = {
    .in = ticker_in,
    .reset = ticker_configured,
    .configured = ticker_configured,
    .step = ticker_step,
    .deadline = ticker_deadline,
    .destroy = ticker_destroy,
};

/* bInterval 1: every millisecond at full speed, every 125 us at high speed. */
/* clang-format off */
static const uint8_t config_desc[25] = {9, 2, 25, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 1, 0xff, 0, 0, 0,
                                        7, 5, TICKER_EP, 3, TICKER_REPORT_BYTES, 0, 1};
/* clang-format on */
static const uint8_t device_desc[18] = {18,   1,    0x00, 2, 0, 0, 0, 64, 0x09,
                                        0x12, 0x04, 0x01, 0, 1, 1, 2, 0, 1};
static const uint8_t *const configs[] = {config_desc};
static const char *const strings[] = {"PVUSB", "Simulated ticker"};

int ticker_create(const struct ticker_config *config, struct usb_device **out)
{
    bool full = config->speed == USBIF_SPEED_FULL;
    if (config->period_us > 10000000 || (!full && config->speed != 0 && config->speed != USBIF_SPEED_HIGH))
        return -EINVAL;
    struct ticker *ticker = calloc(1, sizeof(*ticker));
    if (!ticker)
        return -ENOMEM;
    ticker->period_ns = (config->period_us ? config->period_us : 1000) * UINT64_C(1000);
    ticker->random = 1;
    struct usb_descriptors descriptors = {
        .device = device_desc,
        .configurations = configs,
        .strings = strings,
        .nr_strings = 2,
        .speed = full ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH,
    };
    int rc = device_init(&ticker->device, &ticker_ops, &descriptors);
    if (rc) {
        free(ticker);
        return rc;
    }
    *out = &ticker->device;
    return 0;
}
