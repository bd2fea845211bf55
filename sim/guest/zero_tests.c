// SPDX-License-Identifier: MIT
/* The cases of usbtest.c (Linux 6.1), each as rounds of transfers with the outcome they must have. */
#include <errno.h>

#include "guest/zero_private.h"

static struct zero_op control(uint8_t type, uint8_t request, uint16_t value, uint16_t index, uint16_t length)
{
    struct zero_op op = {.kind = ZERO_CONTROL, .length = length, .actual = length};
    guest_setup(op.setup, type, request, value, index, length);
    return op;
}

static struct zero_op expecting(struct zero_op op, uint8_t first, uint8_t second)
{
    op.want[0] = first;
    op.want[1] = second;
    op.nr_want = op.length < 2 ? (uint8_t)op.length : 2;
    return op;
}

static struct zero_op failing(struct zero_op op, int status)
{
    op.status = status;
    return op;
}

static struct zero_op bulk(uint8_t address, uint32_t length)
{
    return (struct zero_op){.kind = ZERO_BULK, .address = address, .length = length, .actual = length};
}

/* As simple_io(): grows by vary, and starts over beyond the length. */
static uint32_t next_length(struct guest_zero *zero)
{
    const struct guest_zero_params *p = &zero->params;
    uint32_t length = zero->vary_length;
    if (!zero->test->vary)
        return p->length;
    zero->vary_length = (length + p->vary) % p->length;
    if (zero->vary_length == 0)
        zero->vary_length = p->vary < p->length ? p->vary : p->length;
    return length;
}

/* 1 to 8, 17 to 20 */
static unsigned int plan_bulk(struct guest_zero *zero, unsigned int round, struct zero_op *ops)
{
    unsigned int n = zero->test->queued ? zero->params.depth : 1;
    if (round == zero->params.iterations)
        return 0;
    for (unsigned int i = 0; i < n; i++)
        ops[i] = bulk(zero->test->in ? zero->bulk_in : zero->bulk_out, next_length(zero));
    return n;
}

/* 15, 16 */
static unsigned int plan_iso(struct guest_zero *zero, unsigned int round, struct zero_op *ops)
{
    uint32_t length = (uint32_t)zero->iso_packet * zero->iso_nr;
    if (round == zero->params.iterations)
        return 0;
    for (unsigned int i = 0; i < zero->params.depth; i++)
        ops[i] = (struct zero_op){.kind = ZERO_ISO,
                                  .address = zero->test->in ? zero->iso_in : zero->iso_out,
                                  .length = length,
                                  .actual = length};
    return zero->params.depth;
}

/* 9: one request after the other, as ch9_postconfig() */
static unsigned int plan_chapter9(struct guest_zero *zero, unsigned int round, struct zero_op *ops)
{
    const struct guest_device *device = zero->device;
    uint8_t alternate = zero->params.alternate, interface = zero->interface;
    const uint8_t *raw = device->raw_configuration;
    unsigned int step = round % 10;
    if (round == zero->params.iterations * 10)
        return 0;
    switch (step) {
    case 0:
        ops[0] = control(0x01, 11, alternate, interface, 0);
        break;
    case 1:
        ops[0] = expecting(control(0x81, 10, 0, interface, 1), alternate, 0);
        break;
    case 2:
        ops[0] = expecting(control(0x80, 8, 0, 0, 1), device->configuration.value, 0);
        break;
    case 3:
        ops[0] = expecting(control(0x80, 6, 0x0100, 0, 18), 18, 1);
        break;
    case 4:
        ops[0] = expecting(control(0x80, 6, 0x0200, 0, device->raw_configuration_length), raw[0], raw[1]);
        break;
    case 5:
        ops[0] = expecting(control(0x80, 6, 0x0600, 0, 10), 10, 6);
        ops[0].may_stall = true; /* a device that is not high-speed capable */
        break;
    case 6:
        ops[0] = expecting(control(0x80, 0, 0, 0, 2), device->configuration.attributes >> 6 & 1, 0);
        break;
    case 7:
        ops[0] = expecting(control(0x81, 0, 0, interface, 2), 0, 0);
        break;
    case 8:
        ops[0] = expecting(control(0x82, 0, 0, zero->bulk_in, 2), 0, 0);
        break;
    default:
        ops[0] = expecting(control(0x82, 0, 0, zero->bulk_out, 2), 0, 0);
        break;
    }
    return 1;
}

/* 10: as test_ctrl_queue(): good, short and stalled ones, all queued */
static unsigned int plan_queue(struct guest_zero *zero, unsigned int round, struct zero_op *ops)
{
    uint16_t total = zero->device->raw_configuration_length;
    unsigned int n = 0;
    if (round == zero->params.iterations)
        return 0;
    ops[n++] = expecting(control(0x80, 6, 0x0100, 0, 18), 18, 1);
    ops[n++] = expecting(control(0x80, 6, 0x0200, 0, 9), 9, 2);
    ops[n++] = expecting(control(0x81, 10, 0, zero->interface, 1), zero->params.alternate, 0);
    ops[n++] = expecting(control(0x81, 0, 0, zero->interface, 2), 0, 0);
    ops[n++] = failing(control(0x00, 1, 0, 0, 0), -EPIPE);      /* CLEAR_FEATURE of no feature */
    ops[n++] = failing(control(0x80, 6, 0x0a00, 0, 4), -EPIPE); /* the debug descriptor */
    ops[n++] = expecting(control(0x82, 0, 0, zero->bulk_in, 2), 0, 0);
    ops[n++] = failing(control(0x02, 1, 0, 0x8f, 0), -EPIPE); /* halt of an endpoint that is not there */
    ops[n] = expecting(control(0x80, 6, 0x0100, 0, 1024), 18, 1);
    ops[n++].actual = 18;
    ops[n] = expecting(control(0x80, 6, 0x0200, 0, 1024), 9, 2);
    ops[n++].actual = total;
    ops[n] = expecting(control(0x80, 6, 0x0300, 0, 255), 4, 3);
    ops[n++].actual = 4;
    ops[n++] = failing(control(0x81, 10, 0, 9, 1), -EPIPE); /* interface 9 */
    ops[n++] = failing(control(0x80, 6, 0x03ee, 0x0409, 255), -EPIPE);
    ops[n++] = control(0x02, 1, 0, zero->bulk_in, 0); /* clears a halt that is none */
    ops[n++] = expecting(control(0x80, 8, 0, 0, 1), zero->device->configuration.value, 0);
    return n < zero->params.depth ? n : zero->params.depth;
}

/* 14, 21: as ctrl_out(): lengths vary from 1 on; what was written is read back */
static unsigned int plan_control_out(struct guest_zero *zero, unsigned int round, struct zero_op *ops)
{
    bool write = round % 2 == 0;
    if (round == 2 * zero->params.iterations)
        return 0;
    if (round == 0)
        zero->vary_length = 1;
    if (write && round > 0)
        zero->vary_length = zero->vary_length % zero->params.length + zero->params.vary;
    if (zero->vary_length > zero->params.length)
        zero->vary_length = zero->params.length;
    ops[0] = control(write ? 0x40 : 0xc0, write ? 0x5b : 0x5c, 0, 0, (uint16_t)zero->vary_length);
    ops[0].seed = (uint8_t)(round / 2 + 1);
    ops[0].seed = ops[0].seed ? ops[0].seed : 1;
    return 1;
}

/*
 * 11, 12; and one that is left alone behind it: what is unlinked must not take it along. At once it may not
 * even have left the guest, so every other one is given time.
 */
static unsigned int plan_unlink(struct guest_zero *zero, unsigned int round, struct zero_op *ops)
{
    if (round == zero->params.iterations)
        return 0;
    for (unsigned int i = 0; i < 2; i++)
        ops[i] = bulk(zero->test->in ? zero->bulk_in : zero->bulk_out, zero->params.length);
    ops[0].unlink = round % 2 == 1;
    ops[0].expires = round % 2 == 0;
    return 2;
}

/* 24: as unlink_queued(): the fourth and the second before the last */
static unsigned int plan_unlink_queued(struct guest_zero *zero, unsigned int round, struct zero_op *ops)
{
    unsigned int n = zero->params.depth;
    if (round == zero->params.iterations)
        return 0;
    if (n < 5)
        n = 5;
    for (unsigned int i = 0; i < n; i++)
        ops[i] = bulk(zero->bulk_out, zero->params.length);
    ops[n - 4].unlink = true;
    ops[n - 2].unlink = true;
    return n;
}

/* 13: as halt_simple() */
static unsigned int plan_halt(struct guest_zero *zero, unsigned int round, struct zero_op *ops)
{
    uint8_t address = round / 8 % 2 ? zero->bulk_out : zero->bulk_in;
    if (round == 16 * zero->params.iterations)
        return 0;
    switch (round % 8) {
    case 1:
        ops[0] = control(0x02, 3, 0, address, 0);
        break;
    case 0:
    case 2:
    case 6:
        ops[0] = expecting(control(0x82, 0, 0, address, 2), round % 8 == 2, 0);
        break;
    case 3:
    case 4:
        ops[0] = failing(bulk(address, zero->params.length), -EPIPE);
        break;
    case 5:
        ops[0] = control(0x02, 1, 0, address, 0);
        break;
    default:
        ops[0] = bulk(address, zero->params.length);
        break;
    }
    return 1;
}

static const struct zero_test tests[] = {
    {1, plan_bulk, false, false, false, false},       {2, plan_bulk, true, false, false, false},
    {3, plan_bulk, false, true, false, false},        {4, plan_bulk, true, true, false, false},
    {5, plan_bulk, false, false, true, false},        {6, plan_bulk, true, false, true, false},
    {7, plan_bulk, false, true, true, false},         {8, plan_bulk, true, true, true, false},
    {9, plan_chapter9, false, false, false, false},   {10, plan_queue, false, false, false, false},
    {11, plan_unlink, true, false, false, false},     {12, plan_unlink, false, false, false, false},
    {13, plan_halt, false, false, false, false},      {14, plan_control_out, false, true, false, false},
    {15, plan_iso, false, false, true, false},        {16, plan_iso, true, false, true, false},
    {17, plan_bulk, false, false, false, true},       {18, plan_bulk, true, false, false, true},
    {19, plan_bulk, false, false, false, true},       {20, plan_bulk, true, false, false, true},
    {21, plan_control_out, false, true, false, true}, {24, plan_unlink_queued, false, false, true, false},
};

const struct zero_test *zero_find_test(unsigned int number)
{
    for (unsigned int i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        if (tests[i].number == number)
            return &tests[i];
    }
    return NULL;
}
