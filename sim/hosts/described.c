// SPDX-License-Identifier: MIT
#include "hosts/described.h"

#include <errno.h>

#define REQ_GET_DESCRIPTOR    6
#define REQ_SET_CONFIGURATION 9
#define REQ_SET_INTERFACE     11

enum { DT_DEVICE = 1, DT_CONFIGURATION = 2 };

static void ask(struct described *described, uint8_t type, uint8_t index, uint16_t length);

/* ---- reading ---- */

static void ask_configuration(struct described *described)
{
    described->whole = false;
    if (described->asked < described->raw_device[17] && described->asked < DESCRIBED_CONFIGURATIONS_MAX)
        ask(described, DT_CONFIGURATION, (uint8_t)described->asked, 9);
    else
        described->ready(described->context, 0);
}

/* A configuration that lies is left out: its endpoints are then not there. */
static void got_configuration(struct described *described)
{
    uint16_t total;
    uint32_t n = described->urb.actual;
    bool good = guest_parse_total(described->buffer, n, &total) == 0 && total <= DESCRIBED_CONFIGURATION_SIZE;
    if (good && !described->whole) {
        described->whole = true;
        ask(described, DT_CONFIGURATION, (uint8_t)described->asked, total);
        return;
    }
    struct guest_configuration *out = &described->configurations[described->nr_configurations];
    if (good && guest_parse_configuration(described->buffer, n, out) == 0)
        described->nr_configurations++;
    described->asked++;
    ask_configuration(described);
}

static void asked(struct host_urb *urb)
{
    struct described *described = urb->context;
    bool device = urb->setup[3] == DT_DEVICE;
    if (described->ended)
        return;
    if (urb->status || (device && urb->actual != sizeof(described->raw_device))) {
        described->ready(described->context, -EPROTO);
        return;
    }
    if (device)
        memcpy(described->raw_device, described->buffer, sizeof(described->raw_device));
    if (device)
        ask_configuration(described);
    else
        got_configuration(described);
}

static void ask(struct described *described, uint8_t type, uint8_t index, uint16_t length)
{
    described->urb = (struct host_urb){
        .type = USBIF_PIPE_TYPE_CTRL,
        .in = true,
        .setup = {0x80, REQ_GET_DESCRIPTOR, index, type, 0, 0, (uint8_t)length, (uint8_t)(length >> 8)},
        .length = length,
        .nr_segs = 1,
        .seg = {{described->buffer, length}},
        .complete = asked,
        .context = described};
    described->host->ops->submit(described->host, described->device, &described->urb);
}

void described_begin(struct described *described)
{
    described->ended = false;
    described->asked = described->nr_configurations = 0;
    described_reset(described);
    ask(described, DT_DEVICE, 0, 18);
}

void described_end(struct described *described)
{
    described->ended = true;
}

/* ---- what it is set to ---- */

void described_reset(struct described *described)
{
    described->current = NULL;
    memset(described->alternate, 0, sizeof(described->alternate));
}

void described_follow(struct described *described, const uint8_t setup[8])
{
    if (setup[0] == 0x00 && setup[1] == REQ_SET_CONFIGURATION) {
        described_reset(described);
        for (unsigned int i = 0; i < described->nr_configurations; i++) {
            if (described->configurations[i].value == setup[2])
                described->current = &described->configurations[i];
        }
    } else if (setup[0] == 0x01 && setup[1] == REQ_SET_INTERFACE && setup[4] < GUEST_INTERFACES_MAX) {
        described->alternate[setup[4]] = setup[2];
    }
}

bool described_chosen(const struct described *described, const struct guest_interface *interface)
{
    return interface->number < GUEST_INTERFACES_MAX &&
           described->alternate[interface->number] == interface->alternate;
}

const struct guest_endpoint *described_endpoint(const struct described *described, uint8_t address)
{
    const struct guest_configuration *config = described->current;
    for (unsigned int i = 0; config && i < config->nr_interfaces; i++) {
        const struct guest_interface *interface = &config->interfaces[i];
        for (unsigned int e = 0; described_chosen(described, interface) && e < interface->nr_endpoints; e++) {
            if (interface->endpoints[e].address == address)
                return &interface->endpoints[e];
        }
    }
    return NULL;
}
