// SPDX-License-Identifier: MIT
/*
 * Descriptors from a hostile device (USB 2.0 section 9.6). The first byte chooses the parser; what one
 * accepts must keep the promises of descriptor.h: sizes within limits, endpoints unique, strings terminated
 * and printable.
 */
#include <stdbool.h>
#include <stdlib.h>

#include <pvusb/abi.h>

#include "guest/descriptor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void fuzz_configuration(const uint8_t *data, size_t size)
{
    static struct guest_configuration config;
    uint16_t total;
    if (guest_parse_configuration(data, size, &config))
        return;
    check(guest_parse_total(data, size, &total) == 0 && total == size);
    check(config.value && config.nr_interfaces && config.nr_interfaces <= GUEST_INTERFACES_MAX);
    for (unsigned int i = 0; i < config.nr_interfaces; i++) {
        const struct guest_interface *f = &config.interfaces[i];
        uint32_t seen = 0;
        check(f->nr_endpoints <= GUEST_ENDPOINTS_MAX);
        for (unsigned int e = 0; e < f->nr_endpoints; e++) {
            const struct guest_endpoint *ep = &f->endpoints[e];
            uint32_t bit = UINT32_C(1) << ((ep->address & 15u) + (ep->address & 0x80u ? 16u : 0u));
            check((ep->address & 15u) && !(ep->address & 0x70u) && !(seen & bit));
            check(ep->packet || ep->type == USBIF_PIPE_TYPE_ISOC);
            seen |= bit;
        }
    }
}

static void fuzz_string(const uint8_t *data, size_t size)
{
    char text[16];
    if (guest_parse_string(data, size, text, sizeof(text)))
        return;
    size_t n = strnlen(text, sizeof(text));
    check(n < sizeof(text));
    for (size_t i = 0; i < n; i++)
        check(text[i] >= 0x20 && text[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest_device_descriptor device;
    uint16_t language;
    uint8_t packet0;
    if (size < 1)
        return 0;
    const uint8_t *bytes = data + 1;
    size_t n = size - 1;
    switch (data[0] % 5) {
    case 0:
        fuzz_configuration(bytes, n);
        break;
    case 1:
        if (guest_parse_device(bytes, n, &device) == 0)
            check(device.nr_configurations != 0);
        break;
    case 2:
        fuzz_string(bytes, n);
        break;
    case 3:
        (void)guest_parse_language(bytes, n, &language);
        break;
    case 4:
        if (n && guest_parse_packet0(bytes + 1, n - 1, bytes[0], &packet0) == 0)
            check(packet0 >= 8 && packet0 <= 64);
        break;
    }
    return 0;
}
