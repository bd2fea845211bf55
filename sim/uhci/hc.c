// SPDX-License-Identifier: MIT
/* See hc.h. */
#include "uhci/hc.h"

#include <assert.h>
#include <errno.h>

static struct hc *hc_of(struct hcd *hcd)
{
    return (struct hc *)hcd;
}

int hc_open(struct hc *hc, const struct hcd_ops *ops, struct hc_bus *bus)
{
    hc->hcd.ops = ops;
    hc->bus = bus;
    return hc_pages_open(&hc->pages, bus);
}

void hc_close(struct hc *hc)
{
    assert(!hc->pages.used || hc_pages_used(&hc->pages) == 0);
    hc_pages_close(&hc->pages);
}

int hc_hub_control(struct hcd *hcd, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns)
{
    return root_hub_control(&hc_of(hcd)->hub, setup, data, size, now_ns);
}

size_t hc_hub_status(struct hcd *hcd, uint8_t *bitmap, size_t size)
{
    return root_hub_status(&hc_of(hcd)->hub, bitmap, size);
}

unsigned int hc_num_ports(struct hcd *hcd)
{
    return hc_of(hcd)->hub.nr_ports;
}

int hc_buffer_alloc(struct hcd *hcd, size_t size, void **out)
{
    *out = hc_pages_alloc(&hc_of(hcd)->pages, size);
    return *out ? 0 : -ENOMEM;
}

void hc_buffer_free(struct hcd *hcd, void *buffer, size_t size)
{
    if (buffer)
        hc_pages_free(&hc_of(hcd)->pages, buffer, size);
}
