/* SPDX-License-Identifier: MIT */
/*
 * A case to copy; CONTRIBUTING.md, "Add a case", says where to. It is built and run by a test, so it works as
 * it stands. Here a backend is under test and the case is the frontend, front.h; for a frontend under test it
 * is the backend, back.h.
 */
#include "front.h"

static void short_in(struct conform *t)
{
    /* The kit has connected, and the probe device is plugged in: its next transfer there has 100 bytes only. */
    probe_script(t, 0x81, PROBE_SHORT, 100);

    /* Ask for 512 bytes at the start of the buffer. Any field can be changed before it is sent: request.id = 7. */
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 512);
    front_send(t, &request);

    /* Wait for the response, bounded, and check it. What is wrong ends the case here. */
    front_expect(t, request.id, USBIF_STATUS_OK, 100);

    /* The data, against what the device sends. Say fields by their names in usbif.h; bytes by what they are. */
    uint8_t expected[100];
    probe_pattern(0x81, 0, expected, sizeof(expected));
    conform_bytes(t, "IN data", expected, front_data(front_number(t, 0)), sizeof(expected));
}

/* One row for each case, with ids of REQUIREMENTS.md, and in `needs` what not every peer can: conform_has(). */
const struct conform_case template_cases[] = {
    {.id = "backend.template.short", .requirements = "transfer.short segment.beyond-actual", .needs = "device",
     .title = "a short transfer has the bytes that arrived", .run = short_in, .role = CONFORM_BACKEND},
    {0}};
