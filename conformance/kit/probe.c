// SPDX-License-Identifier: MIT
#include "../probe.h"

#include <string.h>

#include "../front.h"
#include "kit.h"

#define AT     ((FRONT_PAGES - 2) * 4096u) /* where in the buffer these requests have their data */
#define ROOM   4096u

static struct usbif_urb_request vendor(struct conform *t, uint8_t type, uint8_t number, uint16_t value, uint16_t index,
                                       uint16_t length)
{
    return front_control(t, CONFORM_ADDRESS, type, number, value, index, AT, length);
}

static void set(struct conform *t, uint8_t number, uint16_t value, uint16_t index, const void *data, uint16_t length)
{
    struct usbif_urb_request request = vendor(t, 0x40, number, value, index, length);
    if (length > 0)
        memcpy(front_data(front_number(t, 0)) + AT, data, length);
    front_send(t, &request);
    struct usbif_urb_response rsp = front_response(front_number(t, 0), request.id);
    if (rsp.status)
        conform_fail(t, "request %u to the probe device: expected status 0, it is %d", number, rsp.status);
}

void probe_script(struct conform *t, uint8_t endpoint, enum probe_action action, uint32_t n)
{
    const struct probe_step step = {.action = (uint8_t)action, .n = n};
    set(t, PROBE_SET_SCRIPT, 0, endpoint, &step, sizeof(step));
}

void probe_default(struct conform *t, uint8_t endpoint, enum probe_action action, uint32_t n)
{
    const struct probe_step step = {.action = (uint8_t)action, .n = n};
    set(t, PROBE_SET_SCRIPT, 1, endpoint, &step, sizeof(step));
}

void probe_release(struct conform *t, uint8_t endpoint)
{
    set(t, PROBE_SET_RELEASE, 0, endpoint, NULL, 0);
}

void probe_clear(struct conform *t)
{
    set(t, PROBE_SET_CLEAR, 0, 0, NULL, 0);
}

void probe_unplug(struct conform *t, uint16_t after_ms)
{
    set(t, PROBE_SET_UNPLUG, after_ms, 0, NULL, 0);
}

unsigned int probe_log(struct conform *t, struct probe_entry *entries, unsigned int max)
{
    unsigned int n = 0;
    unsigned int got;
    do {
        unsigned int ask = max - n < ROOM / sizeof(*entries) ? max - n : (unsigned int)(ROOM / sizeof(*entries));
        struct usbif_urb_request request =
            vendor(t, 0xc0, PROBE_GET_LOG, 0, (uint16_t)n, (uint16_t)(ask * sizeof(*entries)));
        front_send(t, &request);
        struct usbif_urb_response rsp = front_response(front_number(t, 0), request.id);
        if (rsp.status || rsp.actual_length < 0 || rsp.actual_length > (int32_t)(ask * sizeof(*entries)))
            conform_fail(t, "log of the probe device: expected status 0, it is %d with %d bytes", rsp.status,
                         rsp.actual_length);
        got = (unsigned int)rsp.actual_length / (unsigned int)sizeof(*entries);
        if (got > 0)
            memcpy(entries + n, front_data(front_number(t, 0)) + AT, got * sizeof(*entries));
        n += got;
    } while (got > 0 && n < max);
    return n;
}

void probe_pattern(uint8_t endpoint, uint32_t position, void *data, uint32_t size)
{
    uint8_t *bytes = data;
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = PROBE_BYTE(endpoint, position + i);
}

static void need(struct conform *t, int rc, const char *call, const char *busid)
{
    if (rc)
        conform_fail(t, "%s of the probe device at %s: %s", call, busid, strerror(-rc));
}

void probe_plug(struct conform *t, const char *busid, uint8_t speed)
{
    if (!t->peer->ops->plug)
        conform_skip(t, "nobody can plug in a device at peer %s", t->peer->ops->name);
    need(t, t->peer->ops->plug(t->peer, busid, speed), "plug", busid);
}

void probe_plug_hub(struct conform *t, const char *busid)
{
    probe_plug(t, busid, PEER_HUB);
}

void probe_pull(struct conform *t, const char *busid)
{
    if (!t->peer->ops->unplug)
        conform_skip(t, "nobody can unplug a device at peer %s", t->peer->ops->name);
    need(t, t->peer->ops->unplug(t->peer, busid), "unplug", busid);
}
