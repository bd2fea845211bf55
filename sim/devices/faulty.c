// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "devices/faulty_private.h"

#define ANSWER_MAX         4096u
#define REQ_GET_DESCRIPTOR 6u

enum { DT_DEVICE = 1, DT_CONFIGURATION = 2, DT_STRING = 3 };

struct faulty {
    struct usb_device_ops ops; /* the device's from now on */
    const struct usb_device_ops *honest;
    struct sim_host *host;
    char busid[SIM_HOST_BUSID_SIZE];
    struct fault_rule rules[FAULTY_RULES_MAX];
    unsigned int nr_rules;
    unsigned int fired;
    bool pull;
    uint8_t answer[ANSWER_MAX];
};

/* The operations lie in our struct, which is how a device leads to it. */
static struct faulty *faulty_of(const struct usb_device *device)
{
    return (struct faulty *)((uintptr_t)device->ops - offsetof(struct faulty, ops));
}

static bool is_descriptor_request(const struct usb_setup *setup)
{
    return setup && setup->type == 0x80 && setup->request == REQ_GET_DESCRIPTOR;
}

/* The rule that spoils this transfer, NULL for none. Every rule of the endpoint counts it. */
static const struct fault_rule *choose(struct faulty *faulty, uint8_t address, const struct usb_setup *setup)
{
    struct fault_rule *chosen = NULL;
    for (unsigned int i = 0; i < faulty->nr_rules; i++) {
        struct fault_rule *rule = &faulty->rules[i];
        bool mine = rule->descriptor ? is_descriptor_request(setup) && setup->value >> 8 == rule->descriptor
                                     : rule->address == address;
        if (!mine || rule->times == 0)
            continue;
        if (rule->after > 0) {
            rule->after--;
        } else if (!chosen) {
            chosen = rule;
            if (rule->times != UINT32_MAX)
                rule->times--;
        }
    }
    if (chosen)
        faulty->fired++;
    return chosen;
}

/*
 * The same for a transfer that may be looked at again and again: what was chosen at the first look is kept in
 * the URB, where it is the host's to keep what it likes. The faulty itself means none.
 */
static const struct fault_rule *chosen_for(struct faulty *faulty, struct device_endpoint *ep,
                                           const struct usb_setup *setup)
{
    struct host_urb *urb = ep->head;
    if (!urb->host_private) {
        const struct fault_rule *rule = choose(faulty, ep->address, setup);
        urb->host_private = rule ? (void *)(uintptr_t)rule : (void *)faulty;
    }
    return urb->host_private == faulty ? NULL : urb->host_private;
}

/* ---- data ---- */

static void pull(struct faulty *faulty, struct device_endpoint *ep)
{
    if (!faulty->pull && ep->type != USBIF_PIPE_TYPE_CTRL && ep->head->length > ep->packet)
        ep->moved = ep->packet;
    faulty->pull = true; /* and no answer until the next step */
}

static void lengthen(struct device_endpoint *ep, uint32_t more)
{
    uint32_t room = ep->head->length - ep->moved;
    if (more > room) {
        more = room;
        ep->status = -EOVERFLOW;
    }
    ep->moved += more;
    ep->ended = true;
}

/* Lets the device send, and cuts or stretches what it has sent when its transfer ends. */
static int resize(struct usb_device *device, struct device_endpoint *ep, const struct fault_rule *rule)
{
    int rc = faulty_of(device)->honest->in(device, ep);
    if (rc != DEVICE_DONE)
        return rc;
    if (rule->fault == FAULT_SHORT && ep->moved >= rule->number[0]) {
        ep->moved = rule->number[0];
        ep->status = 0;
        ep->ended = true;
    } else if (rule->fault == FAULT_LONG && ep->ended) {
        lengthen(ep, rule->number[0]);
    }
    return rc;
}

static int move(struct usb_device *device, struct device_endpoint *ep,
                int (*honest)(struct usb_device *device, struct device_endpoint *ep))
{
    struct faulty *faulty = faulty_of(device);
    const struct fault_rule *rule = chosen_for(faulty, ep, NULL);
    if (!rule)
        return honest ? honest(device, ep) : DEVICE_WAIT;
    switch (rule->fault) {
    case FAULT_STALL:
        return -EPIPE;
    case FAULT_ERROR:
        return -EPROTO;
    case FAULT_BABBLE:
        ep->moved = ep->head->length;
        return -EOVERFLOW;
    case FAULT_SHORT:
    case FAULT_LONG:
        return honest ? resize(device, ep, rule) : DEVICE_WAIT;
    case FAULT_DISCONNECT:
        pull(faulty, ep);
        return DEVICE_WAIT;
    case FAULT_NAK:
    case FAULT_TRUNCATED:
    case FAULT_TOO_LONG:
    case FAULT_TOTAL:
    case FAULT_LENGTH:
    case FAULT_BYTE:
        break;
    }
    return DEVICE_WAIT;
}

static int faulty_in(struct usb_device *device, struct device_endpoint *ep)
{
    return move(device, ep, faulty_of(device)->honest->in);
}

static int faulty_out(struct usb_device *device, struct device_endpoint *ep)
{
    return move(device, ep, faulty_of(device)->honest->out);
}

/* A packet always takes its frame, and what the device did with it is lost. */
static void faulty_iso(struct usb_device *device, struct device_endpoint *ep, struct pvusb_iso_desc *packet)
{
    struct faulty *faulty = faulty_of(device);
    const struct fault_rule *rule = choose(faulty, ep->address, NULL);
    if (!rule || ep->head->in)
        faulty->honest->iso(device, ep, packet);
    if (!rule || packet->status)
        return;
    uint32_t n = packet->actual_length;
    packet->actual_length = 0;
    if (rule->fault == FAULT_STALL)
        packet->status = -EPIPE;
    else if (rule->fault == FAULT_ERROR)
        packet->status = -EPROTO;
    else if (rule->fault == FAULT_SHORT)
        packet->actual_length = n < rule->number[0] ? n : rule->number[0];
    else if (rule->fault == FAULT_BABBLE || rule->number[0] > packet->length - n)
        packet->status = -EOVERFLOW;
    else if (rule->fault == FAULT_LONG)
        packet->actual_length = n + rule->number[0];
    if (rule->fault == FAULT_DISCONNECT)
        faulty->pull = true;
}

/* ---- control ---- */

static uint32_t honest_descriptor(struct usb_device *device, const struct usb_setup *setup, uint8_t *out)
{
    const struct usb_descriptors *d = &device->descriptors;
    uint8_t index = (uint8_t)setup->value;
    uint32_t n;
    switch (setup->value >> 8) {
    case DT_DEVICE:
        memcpy(out, d->device, 18);
        return 18;
    case DT_CONFIGURATION:
        if (index >= d->device[17])
            return 0;
        n = d->configurations[index][2] | (uint32_t)d->configurations[index][3] << 8;
        n = n < ANSWER_MAX / 2 ? n : ANSWER_MAX / 2;
        memcpy(out, d->configurations[index], n);
        return n;
    default:
        memcpy(out, (const uint8_t[]){4, DT_STRING, 0x09, 0x04}, 4); /* the languages, or a string of one */
        return 4;
    }
}

static int lie(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup,
               const struct fault_rule *rule)
{
    uint8_t *bytes = faulty_of(device)->answer;
    memset(bytes, 0, ANSWER_MAX);
    uint32_t n = honest_descriptor(device, setup, bytes);
    uint32_t number = rule->number[0];
    if (n == 0)
        return -EPIPE;
    if (rule->fault == FAULT_TRUNCATED)
        n = number < n ? number : n;
    else if (rule->fault == FAULT_LENGTH)
        bytes[0] = (uint8_t)number;
    else if (rule->fault == FAULT_BYTE)
        bytes[number < n ? number : n - 1] = (uint8_t)rule->number[1];
    if (rule->fault == FAULT_TOTAL) {
        bytes[2] = (uint8_t)number;
        bytes[3] = (uint8_t)(number >> 8);
    }
    int rc = device_control_in(ep, setup, bytes, n);
    if (rule->fault == FAULT_TOO_LONG)
        lengthen(ep, number);
    return rc;
}

static int spoil_control(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup,
                         const struct fault_rule *rule)
{
    struct faulty *faulty = faulty_of(device);
    switch (rule->fault) {
    case FAULT_STALL:
        return -EPIPE;
    case FAULT_ERROR:
        return -EPROTO;
    case FAULT_BABBLE:
        ep->moved = ep->head->in ? ep->head->length : 0;
        return -EOVERFLOW;
    case FAULT_SHORT:
    case FAULT_LONG:
        if (!ep->head->in)
            return -EPROTO; /* a data stage the other way has no length of its own */
        memset(faulty->answer, 0, ANSWER_MAX);
        device_control_in(ep, setup, faulty->answer,
                          rule->fault == FAULT_LONG ? ANSWER_MAX : rule->number[0] % ANSWER_MAX);
        if (rule->fault == FAULT_LONG)
            lengthen(ep, rule->number[0]);
        return DEVICE_DONE;
    case FAULT_DISCONNECT:
        pull(faulty, ep);
        return DEVICE_WAIT;
    case FAULT_NAK:
        return DEVICE_WAIT;
    case FAULT_TRUNCATED:
    case FAULT_TOO_LONG:
    case FAULT_TOTAL:
    case FAULT_LENGTH:
    case FAULT_BYTE:
        return lie(device, ep, setup, rule);
    }
    return -EPIPE;
}

static int faulty_intercept(struct usb_device *device, struct device_endpoint *ep,
                            const struct usb_setup *setup)
{
    struct faulty *faulty = faulty_of(device);
    const struct fault_rule *rule = chosen_for(faulty, ep, setup);
    if (rule)
        return spoil_control(device, ep, setup, rule);
    return faulty->honest->intercept ? faulty->honest->intercept(device, ep, setup) : DEVICE_PASS;
}

/* ---- the rest of a device ---- */

static void faulty_step(struct usb_device *device, uint64_t now_ns)
{
    struct faulty *faulty = faulty_of(device);
    if (faulty->honest->step)
        faulty->honest->step(device, now_ns);
    if (!faulty->pull)
        return;
    faulty->pull = false;
    /* Whoever stepped us keeps the device until we are back. */
    (void)sim_host_unplug(faulty->host, faulty->busid);
}

static uint64_t faulty_deadline(const struct usb_device *device)
{
    const struct faulty *faulty = faulty_of(device);
    if (faulty->pull)
        return device->now_ns;
    return faulty->honest->deadline ? faulty->honest->deadline(device) : UINT64_MAX;
}

static void faulty_destroy(struct usb_device *device)
{
    struct faulty *faulty = faulty_of(device);
    device->ops = faulty->honest;
    device->ops->destroy(device);
    free(faulty);
}

int faulty_wrap(struct usb_device *device, const struct faulty_config *config)
{
    struct faulty *faulty = calloc(1, sizeof(*faulty));
    if (!faulty)
        return -ENOMEM;
    int rc = faulty_parse(config->script, faulty->rules, &faulty->nr_rules);
    for (unsigned int i = 0; i < faulty->nr_rules && !rc; i++) {
        if (faulty->rules[i].fault == FAULT_DISCONNECT && (!config->host || !config->busid))
            rc = -EINVAL;
    }
    if (rc) {
        free(faulty);
        return rc;
    }
    faulty->host = config->host;
    if (config->busid)
        strncat(faulty->busid, config->busid, sizeof(faulty->busid) - 1);
    faulty->honest = device->ops;
    faulty->ops = *device->ops;
    faulty->ops.intercept = faulty_intercept;
    faulty->ops.in = faulty_in;
    faulty->ops.out = faulty_out;
    faulty->ops.iso = device->ops->iso ? faulty_iso : NULL;
    faulty->ops.step = faulty_step;
    faulty->ops.deadline = faulty_deadline;
    faulty->ops.destroy = faulty_destroy;
    device->ops = &faulty->ops;
    if (config->host && config->busid)
        sim_host_ops_changed(config->host, config->busid);
    return 0;
}

unsigned int faulty_fired(const struct usb_device *device)
{
    return faulty_of(device)->fired;
}
