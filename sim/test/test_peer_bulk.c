// SPDX-License-Identifier: MIT
/*
 * 100,000 bulk URBs through QEMU's backend, every byte checked: gadget zero's loopback gives back what it
 * takes, in transfers of random length, several in flight in both directions. usage: test_peer_bulk [URBS
 * [SEED]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peer_bed.h"

#define PAIRS     4u
#define BYTES_MAX 4096u

static uint64_t urbs = 100000;
static uint32_t seed = 1;

/* A write, and the read that must return it. */
struct pair {
    struct guest_xfer out, in;
    uint8_t *sent;
    uint8_t *back;
    uint32_t length;
    unsigned int under_way;
    struct traffic *traffic;
};

struct traffic {
    struct guest_device *device;
    uint64_t started, ended; /* URBs */
    uint64_t mark;
    uint64_t bytes;
    uint32_t random;
    uint64_t wrong; /* URBs with a bad status, length or byte */
    struct pair pair[PAIRS];
};

static uint32_t next_random(struct traffic *traffic)
{
    traffic->random = traffic->random * 1664525u + 1013904223u;
    return traffic->random >> 8;
}

static void start(struct pair *pair)
{
    struct traffic *traffic = pair->traffic;
    if (traffic->started >= urbs)
        return;
    /* Never a multiple of a packet: a short packet ends each transfer. */
    pair->length = 1 + next_random(traffic) % (BYTES_MAX - 1);
    pair->length -= pair->length % 512 == 0;
    uint32_t first = next_random(traffic);
    for (uint32_t i = 0; i < pair->length; i++)
        pair->sent[i] = (uint8_t)((first + i) * 2654435761u >> 24);
    memset(pair->back, 0, pair->length);
    pair->under_way = 2;
    traffic->started += 2;
    assert_int_equal(guest_transfer(&pair->out, traffic->device, 0x01, pair->sent, pair->length, false), 0);
    assert_int_equal(guest_transfer(&pair->in, traffic->device, 0x81, pair->back, BYTES_MAX, false), 0);
}

static void done(struct guest_xfer *xfer)
{
    struct pair *pair = xfer->context;
    struct traffic *traffic = pair->traffic;
    traffic->ended++;
    traffic->bytes += xfer->actual;
    if (xfer->status || xfer->actual != pair->length)
        traffic->wrong++;
    if (xfer == &pair->in && memcmp(pair->sent, pair->back, pair->length) != 0)
        traffic->wrong++;
    if (--pair->under_way == 0)
        start(pair);
}

static bool all_done(void *context)
{
    const struct traffic *traffic = context;
    return traffic->wrong || (traffic->started >= urbs && traffic->ended == traffic->started);
}

/* The bed's patience is for a part of it. */
static bool some_done(void *context)
{
    const struct traffic *traffic = context;
    return all_done(context) || traffic->ended >= traffic->mark;
}

static void test_peer_bulk_every_byte(void **state)
{
    static const char *const devices[] = {"1-1=zero:loopback"};
    static struct traffic traffic;
    struct bed *bed = *state;
    print_message("seed %u\n", seed);
    bed_begin(bed, devices, 1);
    traffic = (struct traffic){.device = bed_device(bed, 1), .random = seed};
    for (unsigned int i = 0; i < PAIRS; i++) {
        struct pair *pair = &traffic.pair[i];
        *pair = (struct pair){.out = {.done = done, .context = pair}, .in = {.done = done, .context = pair}};
        pair->traffic = &traffic;
        assert_int_equal(guest_buffer_alloc(bed->guest, BYTES_MAX, (void **)&pair->sent), 0);
        assert_int_equal(guest_buffer_alloc(bed->guest, BYTES_MAX, (void **)&pair->back), 0);
        start(pair);
    }
    while (!all_done(&traffic)) {
        traffic.mark = traffic.ended + 1000;
        bed_until(bed, some_done, &traffic, "1000 bulk URBs");
    }
    print_message("%llu URBs, %llu bytes, %llu wrong\n", (unsigned long long)traffic.ended,
                  (unsigned long long)traffic.bytes, (unsigned long long)traffic.wrong);
    assert_int_equal(traffic.wrong, 0);
    for (unsigned int i = 0; i < PAIRS; i++) {
        guest_buffer_free(bed->guest, traffic.pair[i].sent, BYTES_MAX);
        guest_buffer_free(bed->guest, traffic.pair[i].back, BYTES_MAX);
    }
    bed_end(bed);
}

static int open_bed(void **state)
{
    static struct bed bed;
    bed_open(&bed);
    *state = &bed;
    return 0;
}

static int close_bed(void **state)
{
    bed_close(*state);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_peer_bulk_every_byte, open_bed, close_bed),
    };
    if (argc > 1)
        urbs = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seed = (uint32_t)strtoul(argv[2], NULL, 10);
    if (!bed_possible())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
