// SPDX-License-Identifier: MIT
/* Runs rounds of transfers and judges how they ended; zero_tests.c says what they are. */
#include <errno.h>
#include <stdlib.h>

#include "guest/zero_private.h"

#define SLOT_BYTES  (GUEST_ZERO_LENGTH_MAX + PVUSB_PAGE_SIZE)
#define PATTERN_MOD 63u
#define EXPIRE_NS   UINT64_C(1000000)
#define VENDOR      0x0525u /* what Linux's gadget zero calls itself */
#define PRODUCT     0xa4a0u

static void next_round(struct guest_zero *zero);

/* ---- data ---- */

static uint8_t data_byte(const struct zero_slot *slot, uint32_t at)
{
    const struct guest_zero *zero = slot->zero;
    uint32_t packet = slot->op.kind == ZERO_ISO ? zero->iso_pattern : zero->packet;
    if (slot->op.kind == ZERO_CONTROL)
        return (uint8_t)(slot->op.seed * 31u + at * 7u);
    return zero->params.pattern ? (uint8_t)(at % packet % PATTERN_MOD) : 0;
}

static bool is_in(const struct zero_op *op)
{
    return (op->kind == ZERO_CONTROL ? op->setup[0] : op->address) & 0x80u;
}

/* What is to be read is spoiled first, so that nothing passes that has not come. */
static void fill(struct zero_slot *slot)
{
    bool in = is_in(&slot->op);
    for (uint32_t i = 0; i < slot->op.length; i++)
        slot->buffer[i] = in ? 0xa5 : data_byte(slot, i);
}

static bool data_good(const struct zero_slot *slot)
{
    const struct zero_op *op = &slot->op;
    if (op->nr_want)
        return memcmp(slot->buffer, op->want, op->nr_want) == 0;
    if (!is_in(op) || (op->kind == ZERO_CONTROL && !op->seed))
        return true;
    for (uint32_t i = 0; i < slot->xfer.actual; i++) {
        if (slot->buffer[i] != data_byte(slot, i))
            return false;
    }
    return true;
}

/* ---- results ---- */

static int judge(struct zero_slot *slot)
{
    const struct zero_op *op = &slot->op;
    struct guest_zero_result *result = &slot->zero->result;
    int status = slot->xfer.status;
    result->transfers++;
    if ((op->unlink && status == -ECONNRESET) || (op->expires && status == -ETIMEDOUT)) {
        result->unlinked++;
        return 0;
    }
    if (status == -EPIPE && op->may_stall)
        return 0;
    if (status != op->status)
        return status ? status : -EL2HLT;
    if (status)
        return 0;
    result->bytes += slot->xfer.actual;
    if (op->kind == ZERO_ISO && slot->xfer.urb.error_count)
        return -EXDEV;
    if (slot->xfer.actual != op->actual)
        return -EREMOTEIO;
    return data_good(slot) ? 0 : -EBADMSG;
}

static void finish(struct guest_zero *zero)
{
    zero->test = NULL;
    zero->done(zero->context, zero);
}

static void round_over(struct guest_zero *zero)
{
    if (zero->result.status || !zero->test) {
        finish(zero);
        return;
    }
    if (zero->setting)
        zero->setting = false;
    else
        zero->round++;
    next_round(zero);
}

static void on_xfer(struct guest_xfer *xfer)
{
    struct zero_slot *slot = xfer->context;
    struct guest_zero *zero = slot->zero;
    int rc = judge(slot);
    if (rc && !zero->result.status) {
        zero->result.status = rc;
        zero->result.round = zero->round;
        zero->pending++; /* the others' ends are not the end yet */
        for (unsigned int i = 0; i < GUEST_ZERO_DEPTH_MAX; i++)
            guest_unlink(&zero->slots[i].xfer);
        zero->pending--;
    }
    if (--zero->pending == 0)
        round_over(zero);
}

/* ---- rounds ---- */

static int start(struct zero_slot *slot)
{
    struct guest_zero *zero = slot->zero;
    const struct zero_op *op = &slot->op;
    fill(slot);
    slot->xfer.done = on_xfer;
    slot->xfer.context = slot;
    slot->xfer.timeout_ns = op->expires ? EXPIRE_NS : 0;
    switch (op->kind) {
    case ZERO_CONTROL:
        return guest_control(&slot->xfer, zero->device, op->setup, slot->buffer);
    case ZERO_BULK:
        return guest_transfer(&slot->xfer, zero->device, op->address, slot->buffer, op->length, false);
    case ZERO_ISO:
        for (uint32_t i = 0; i < zero->iso_nr; i++)
            slot->packets[i] =
                (struct pvusb_iso_desc){.offset = i * zero->iso_packet, .length = zero->iso_packet};
        return guest_isochronous(&slot->xfer, zero->device, op->address, slot->buffer, op->length,
                                 slot->packets, zero->iso_nr);
    }
    return -EINVAL;
}

static unsigned int plan(struct guest_zero *zero, struct zero_op *ops)
{
    if (!zero->setting)
        return zero->test->plan(zero, zero->round, ops);
    ops[0] = (struct zero_op){.kind = ZERO_CONTROL};
    guest_setup(ops[0].setup, 0x01, 11, zero->params.alternate, zero->interface, 0);
    return 1;
}

static void next_round(struct guest_zero *zero)
{
    struct zero_op ops[GUEST_ZERO_DEPTH_MAX];
    unsigned int n = plan(zero, ops);
    if (n == 0) {
        zero->result.round = zero->round;
        finish(zero);
        return;
    }
    zero->pending = 1; /* our own, until all are started */
    for (unsigned int i = 0; i < n && !zero->result.status; i++) {
        zero->slots[i].op = ops[i];
        int rc = start(&zero->slots[i]);
        if (rc)
            zero->result.status = rc;
        else
            zero->pending++;
    }
    for (unsigned int i = 0; i < n; i++) {
        if (ops[i].unlink || zero->result.status)
            guest_unlink(&zero->slots[i].xfer);
    }
    if (--zero->pending == 0)
        round_over(zero);
}

/* ---- from outside ---- */

bool guest_zero_matches(const struct guest_device *device)
{
    return device->descriptor.vendor == VENDOR && device->descriptor.product == PRODUCT;
}

static uint8_t find(const struct guest_device *device, uint8_t type, bool in, uint8_t *interface)
{
    const struct guest_configuration *config = &device->configuration;
    for (unsigned int i = 0; i < config->nr_interfaces; i++) {
        const struct guest_interface *setting = &config->interfaces[i];
        for (unsigned int e = 0; e < setting->nr_endpoints; e++) {
            uint8_t address = setting->endpoints[e].address;
            if (setting->endpoints[e].type != type || ((address & 0x80u) != 0) != in)
                continue;
            *interface = setting->number;
            return address;
        }
    }
    return 0;
}

static void measure(struct guest_zero *zero, const struct guest_endpoint *ep)
{
    zero->iso_pattern = ep->packet;
    zero->iso_packet = (uint16_t)(ep->packet * ep->transactions);
    uint32_t most = ep->packet ? GUEST_ZERO_LENGTH_MAX / zero->iso_packet : 0;
    zero->iso_nr = (uint16_t)(most < ZERO_PACKETS ? most : ZERO_PACKETS);
}

int guest_zero_create(struct guest_device *device, struct guest_zero **out)
{
    if (!guest_zero_matches(device))
        return -ENODEV;
    struct guest_zero *zero = calloc(1, sizeof(*zero));
    if (!zero)
        return -ENOMEM;
    zero->device = device;
    zero->iso_in = find(device, USBIF_PIPE_TYPE_ISOC, true, &zero->interface);
    zero->iso_out = find(device, USBIF_PIPE_TYPE_ISOC, false, &zero->interface);
    zero->bulk_in = find(device, USBIF_PIPE_TYPE_BULK, true, &zero->interface);
    zero->bulk_out = find(device, USBIF_PIPE_TYPE_BULK, false, &zero->interface);
    int rc = -ENODEV;
    if (!zero->bulk_in || !zero->bulk_out)
        goto out;
    zero->packet = guest_find_endpoint(device, zero->bulk_in)->packet;
    if (zero->iso_in)
        measure(zero, guest_find_endpoint(device, zero->iso_in));
    rc = guest_buffer_alloc(device->guest, (size_t)SLOT_BYTES * GUEST_ZERO_DEPTH_MAX, &zero->memory);
    if (rc)
        goto out;
    *out = zero;
    return 0;
out:
    free(zero);
    return rc;
}

void guest_zero_destroy(struct guest_zero *zero)
{
    if (!zero)
        return;
    assert(!guest_zero_busy(zero));
    guest_buffer_free(zero->device->guest, zero->memory, (size_t)SLOT_BYTES * GUEST_ZERO_DEPTH_MAX);
    free(zero);
}

static bool params_good(const struct guest_zero *zero, const struct zero_test *test,
                        const struct guest_zero_params *p)
{
    bool iso = test->number == 15 || test->number == 16;
    if (iso && (!zero->iso_in || !zero->iso_out || !zero->iso_nr))
        return false;
    if (p->depth > GUEST_ZERO_DEPTH_MAX || p->length > GUEST_ZERO_LENGTH_MAX || p->vary > p->length)
        return false;
    /* The gadget sends full packets only. */
    return !test->in || (p->length % zero->packet == 0 && (!test->vary || p->vary % zero->packet == 0));
}

int guest_zero_run(struct guest_zero *zero, const struct guest_zero_params *params,
                   void (*done)(void *context, struct guest_zero *zero), void *context)
{
    const struct zero_test *test = zero_find_test(params->test);
    struct guest_zero_params p = *params;
    if (zero->test)
        return -EBUSY;
    if (!test)
        return -EOPNOTSUPP;
    p.iterations = p.iterations ? p.iterations : 1000;
    p.length = p.length ? p.length : 1024;
    p.vary = p.vary ? p.vary : 512;
    p.depth = p.depth ? p.depth : 8;
    if (test->number == 15 || test->number == 16)
        p.alternate = 1;
    if (!params_good(zero, test, &p))
        return -EINVAL;
    zero->params = p;
    zero->test = test;
    zero->done = done;
    zero->context = context;
    zero->round = 0;
    zero->setting = true;
    zero->vary_length = p.length;
    zero->result = (struct guest_zero_result){0};
    for (unsigned int i = 0; i < GUEST_ZERO_DEPTH_MAX; i++) {
        struct zero_slot *slot = &zero->slots[i];
        slot->zero = zero;
        slot->buffer = (uint8_t *)zero->memory + (size_t)i * SLOT_BYTES + (test->odd ? 1 : 0);
    }
    next_round(zero);
    return 0;
}

bool guest_zero_busy(const struct guest_zero *zero)
{
    return zero->pending > 0;
}

struct guest_zero_result guest_zero_result(const struct guest_zero *zero)
{
    return zero->result;
}
