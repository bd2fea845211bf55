// SPDX-License-Identifier: MIT
#include "usbfs/describe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pvusb/urb.h>

enum { DT_DEVICE = 1, DT_CONFIGURATION = 2, DT_INTERFACE = 4, DT_ENDPOINT = 5 };
enum { INTERFACES = 16, ALTERNATES = 16, ADDRESSES = 32 };

/* What the recording does with a device. */
struct use {
    uint8_t attributes[ADDRESSES]; /* of endpoints 0 to 15 OUT, then IN; 0 for those not in use */
    unsigned int interfaces;
    uint8_t alternate[INTERFACES]; /* the highest that it chooses */
    uint8_t configuration;         /* that it chooses first, 0 for none */
    const struct trace_urb *device;
    const struct trace_urb *chosen; /* the answer that has the configuration in full */
};

static unsigned int place_of(uint8_t address)
{
    return (address & 15u) | (address & 0x80u ? 16u : 0u);
}

static void note_request(struct use *use, const uint8_t *setup)
{
    enum { RECIPIENT = 0x1f, INTERFACE = 1, ENDPOINT = 2 };
    const uint8_t index = setup[4];
    if ((setup[0] & RECIPIENT) == INTERFACE && index < INTERFACES && index >= use->interfaces)
        use->interfaces = index + 1u;
    if (setup[0] == 0x01 && setup[1] == 11 && index < INTERFACES && setup[2] < ALTERNATES &&
        setup[2] > use->alternate[index])
        use->alternate[index] = setup[2];
    if ((setup[0] & RECIPIENT) == ENDPOINT && (index & 15u) != 0 && use->attributes[place_of(index)] == 0)
        use->attributes[place_of(index)] = 2;
    if (setup[0] == 0 && setup[1] == 9 && !use->configuration)
        use->configuration = setup[2];
}

static bool whole(const struct trace_urb *urb, uint8_t type, uint32_t least)
{
    return urb->setup[0] == 0x80 && urb->setup[1] == 6 && urb->setup[3] == type && urb->status == 0 &&
           urb->actual >= least && urb->in_captured >= least && urb->in_data[1] == type;
}

static uint32_t total_of(const uint8_t *configuration)
{
    return configuration[2] | (uint32_t)configuration[3] << 8;
}

static void note_answer(struct use *use, const struct trace_urb *urb)
{
    if (!use->device && whole(urb, DT_DEVICE, 18))
        use->device = urb;
    if (!whole(urb, DT_CONFIGURATION, 9) || !whole(urb, DT_CONFIGURATION, total_of(urb->in_data)))
        return;
    if (!use->chosen || (use->configuration && use->chosen->in_data[5] != use->configuration &&
                         urb->in_data[5] == use->configuration))
        use->chosen = urb;
}

static void look(const struct plan *plan, uint32_t device, struct use *use)
{
    static const uint8_t attributes[4] = {
        [USBIF_PIPE_TYPE_ISOC] = 1, [USBIF_PIPE_TYPE_INT] = 3, [USBIF_PIPE_TYPE_BULK] = 2};
    *use = (struct use){.interfaces = 1};
    for (unsigned int pass = 0; pass < 2; pass++) { /* the configuration first, then what describes it */
        for (uint32_t u = 0; u < plan->trace->nr_urbs; u++) {
            const struct trace_urb *urb = &plan->trace->urbs[u];
            if (!plan->urb[u].replayed || plan->urb[u].device != device)
                continue;
            if (urb->type != USBIF_PIPE_TYPE_CTRL)
                use->attributes[(urb->endpoint & 15u) | (urb->in ? 16u : 0u)] = attributes[urb->type & 3u];
            else if (pass == 0)
                note_request(use, urb->setup);
            else
                note_answer(use, urb);
        }
    }
}

/* Whether it is well formed and has every endpoint that is in use, as it is used. */
static bool serves(const struct use *use, const uint8_t *configuration)
{
    uint32_t total = total_of(configuration);
    bool found[ADDRESSES] = {false};
    bool interface = false;
    uint32_t at = 0;
    for (; total - at >= 2; at += configuration[at]) {
        const uint8_t *d = configuration + at;
        if (d[0] < 2 || d[0] > total - at)
            return false;
        if (d[1] == DT_INTERFACE && d[0] >= 9)
            interface = true;
        if (d[1] == DT_ENDPOINT && d[0] >= 7 && interface && (d[3] & 3u) == use->attributes[place_of(d[2])])
            found[place_of(d[2])] = true;
    }
    for (unsigned int i = 0; i < ADDRESSES; i++) {
        if (use->attributes[i] && !found[i])
            return false;
    }
    return at == total && configuration[0] == 9 && interface;
}

/* One setting of an interface; the first interface has the endpoints, in whatever setting. */
static uint8_t *put_interface(const struct use *use, uint8_t *at, uint8_t number, uint8_t alternate)
{
    uint8_t *interface = at;
    memcpy(at, (const uint8_t[9]){9, DT_INTERFACE, number, alternate, 0, 0xff, 0, 0, 0}, 9);
    at += 9;
    for (unsigned int a = 0; number == 0 && a < ADDRESSES; a++) {
        uint8_t address = (uint8_t)((a & 15u) | (a & 16u ? 0x80u : 0u));
        if (!use->attributes[a] || (a & 15u) == 0)
            continue;
        memcpy(at, (const uint8_t[7]){7, DT_ENDPOINT, address, use->attributes[a], 0, 2, 1}, 7);
        at += 7;
        interface[4]++;
    }
    return at;
}

static uint8_t *make_up(const struct use *use)
{
    uint8_t *bytes = calloc(1, 9 + ALTERNATES * (INTERFACES * 9 + ADDRESSES * 7));
    if (!bytes)
        return NULL;
    uint8_t *at = bytes + 9;
    for (uint8_t i = 0; i < use->interfaces; i++) {
        for (uint8_t alternate = 0; alternate <= use->alternate[i]; alternate++)
            at = put_interface(use, at, i, alternate);
    }
    const uint32_t n = (uint32_t)(at - bytes);
    const uint8_t value = use->configuration ? use->configuration : 1;
    const uint8_t head[9] = {
        9, DT_CONFIGURATION, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)use->interfaces, value, 0, 0x80, 50};
    memcpy(bytes, head, sizeof(head));
    return bytes;
}

int describe_recorded(const struct plan *plan, uint32_t device, uint8_t bytes[18], uint8_t **configuration,
                      bool *made_up)
{
    /* pid.codes 0x1209, 0x0001 is for tests. */
    static const uint8_t nobody[18] = {18,   DT_DEVICE, 0, 2, 0, 0, 0, 64, 0x09,
                                       0x12, 0x01,      0, 0, 1, 0, 0, 0,  1};
    struct use use;
    look(plan, device, &use);
    memcpy(bytes, use.device ? use.device->in_data : nobody, 18);
    /* Nothing that a program would ask for by itself or refuse: no strings, no hub, no other speed or
     * setting. */
    memcpy(bytes, nobody, 8);
    memset(bytes + 14, 0, 3);
    bytes[17] = 1;
    *made_up = *made_up || !use.chosen || !serves(&use, use.chosen->in_data);
    if (*made_up) {
        *configuration = make_up(&use);
    } else {
        *configuration = malloc(total_of(use.chosen->in_data));
        if (*configuration)
            memcpy(*configuration, use.chosen->in_data, total_of(use.chosen->in_data));
    }
    return *configuration ? 0 : -ENOMEM;
}
