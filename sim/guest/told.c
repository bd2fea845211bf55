// SPDX-License-Identifier: MIT
#include "guest/told.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    struct told *told;
    struct hcd_urb urb;
    unsigned int times;
    bool used;
};

struct told {
    struct hcd *hcd;
    void (*done)(void *context, unsigned int number);
    void *context;
    uint8_t *buffer; /* NULL until the first use */
    struct slot slot[TOLD_URBS];
};

int told_create(struct hcd *hcd, void (*done)(void *context, unsigned int number), void *context, struct told **out)
{
    struct told *told = calloc(1, sizeof(*told));
    if (!told)
        return -ENOMEM;
    told->hcd = hcd;
    told->done = done;
    told->context = context;
    for (unsigned int i = 0; i < TOLD_URBS; i++)
        told->slot[i].told = told;
    *out = told;
    return 0;
}

void told_destroy(struct told *told)
{
    if (!told)
        return;
    for (unsigned int i = 0; i < TOLD_URBS; i++)
        free(told->slot[i].urb.packets);
    free(told);
}

static int need_buffer(struct told *told)
{
    return told->buffer ? 0 : told->hcd->ops->buffer_alloc(told->hcd, TOLD_BUFFER, (void **)&told->buffer);
}

static int reach(struct told *told, uint32_t offset, uint32_t size)
{
    return offset > TOLD_BUFFER || size > TOLD_BUFFER - offset ? -EINVAL : need_buffer(told);
}

static void complete(struct hcd_urb *urb)
{
    struct slot *slot = urb->context;
    slot->times++;
    if (slot->told->done)
        slot->told->done(slot->told->context, (unsigned int)(slot - slot->told->slot));
}

static int make_packets(struct hcd_urb *urb, uint16_t length)
{
    urb->packets = calloc(urb->nr_packets, sizeof(*urb->packets));
    if (!urb->packets)
        return -ENOMEM;
    for (uint32_t i = 0; i < urb->nr_packets; i++) {
        urb->packets[i].offset = i * length;
        urb->packets[i].length = length;
    }
    return 0;
}

int told_submit(struct told *told, unsigned int number, const struct hcd_urb *like, uint32_t offset,
                uint16_t packet_length)
{
    if (number >= TOLD_URBS || (told->slot[number].used && !told->slot[number].times))
        return -EINVAL;
    int rc = reach(told, offset, like->length);
    if (rc)
        return rc;
    struct slot *slot = &told->slot[number];
    free(slot->urb.packets);
    *slot = (struct slot){.told = told,
                          .used = true,
                          .urb = {.port = like->port,
                                  .device = like->device,
                                  .endpoint = like->endpoint,
                                  .type = like->type,
                                  .in = like->in,
                                  .short_not_ok = like->short_not_ok,
                                  .interval = like->interval,
                                  .nr_packets = like->nr_packets,
                                  .length = like->length,
                                  .buffer = like->length > 0 ? told->buffer + offset : NULL,
                                  .complete = complete,
                                  .context = slot}};
    memcpy(slot->urb.setup, like->setup, sizeof(like->setup));
    rc = like->nr_packets > 0 ? make_packets(&slot->urb, packet_length) : 0;
    if (!rc)
        rc = told->hcd->ops->submit(told->hcd, &slot->urb);
    if (rc)
        slot->used = false;
    return rc;
}

int told_unlink(struct told *told, unsigned int number, int reason)
{
    if (number >= TOLD_URBS || !told->slot[number].used)
        return -EINVAL;
    return told->hcd->ops->unlink(told->hcd, &told->slot[number].urb, reason);
}

const struct hcd_urb *told_urb(const struct told *told, unsigned int number, unsigned int *times)
{
    if (number >= TOLD_URBS || !told->slot[number].used)
        return NULL;
    *times = told->slot[number].times;
    return &told->slot[number].urb;
}

int told_write(struct told *told, uint32_t offset, const void *data, uint32_t size)
{
    int rc = reach(told, offset, size);
    if (!rc)
        memcpy(told->buffer + offset, data, size);
    return rc;
}

int told_read(struct told *told, uint32_t offset, void *data, uint32_t size)
{
    int rc = reach(told, offset, size);
    if (!rc)
        memcpy(data, told->buffer + offset, size);
    return rc;
}
