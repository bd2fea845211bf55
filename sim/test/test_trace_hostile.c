// SPDX-License-Identifier: MIT
/*
 * Damaged files: cut at every byte, with bits flipped, with counts that lie. What is read must keep the
 * contract (fuzz_trace.c checks it), and a file that is cut must give the events before the cut, neither more
 * nor less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz_trace.h"
#include "trace_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLIPS_PER_FILE 2000
#define EVENTS         4

static const struct pvusb_iso_desc packets[2] = {{0, 4, 0, -18}, {8, 4, 0, -18}};

static const struct trace_test_event events[EVENTS] = {
    {.id = 1,
     .what = 'S',
     .type = USBIF_PIPE_TYPE_ISOC,
     .endpoint = 0x83,
     .device = 5,
     .bus = 1,
     .setup_flag = '-',
     .data_flag = '<',
     .length = 16,
     .numdesc = 2,
     .ndesc = 2,
     .iso = packets,
     .time = 1},
    {.id = 2,
     .what = 'S',
     .type = USBIF_PIPE_TYPE_CTRL,
     .device = 5,
     .bus = 1,
     .length = 3,
     .setup = {0x21, 9, 1, 2, 3, 4, 3, 0},
     .data = "abc",
     .data_size = 3,
     .time = 2},
    {.id = 1,
     .what = 'C',
     .type = USBIF_PIPE_TYPE_ISOC,
     .endpoint = 0x83,
     .device = 5,
     .bus = 1,
     .setup_flag = '-',
     .length = 8,
     .numdesc = 2,
     .ndesc = 2,
     .iso = packets,
     .data = "abcdefghijkl",
     .data_size = 12,
     .time = 3},
    {.id = 2,
     .what = 'C',
     .type = USBIF_PIPE_TYPE_CTRL,
     .device = 5,
     .bus = 1,
     .setup_flag = '-',
     .data_flag = '>',
     .length = 3,
     .time = 4},
};

/* ends[i]: where the file has i events. */
static void make(struct trace_test_file *file, size_t ends[EVENTS + 1])
{
    trace_test_begin(file);
    ends[0] = file->size;
    for (size_t i = 0; i < EVENTS; i++) {
        trace_test_event(file, &events[i]);
        ends[i + 1] = file->size;
    }
}

/* An allocation of exactly that size: a sanitizer sees a byte too far. */
static uint8_t *copy_of(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

static void check_cut(const uint8_t *data, size_t size, const size_t *ends)
{
    uint8_t *copy = copy_of(data, size);
    uint32_t whole = 0;
    while (whole < EVENTS && ends[whole + 1] <= size)
        whole++;
    if (fuzz_trace(copy, size) != whole)
        fail_msg("cut at %zu: not %u events", size, whole);
    if (whole) {
        struct trace trace;
        char error[TRACE_ERROR_MAX];
        assert_int_equal(trace_read_memory("cut", copy, size, &trace, error), 0);
        if (trace.truncated != (size != ends[whole]))
            fail_msg("cut at %zu: truncated is %d", size, trace.truncated);
        trace_dispose(&trace);
    }
    free(copy);
}

static void make_kind(unsigned int kind, struct trace_test_file *file, size_t ends[EVENTS + 1])
{
    *file = (struct trace_test_file){.foreign = kind & 1,
                                     .pcapng = kind & 2,
                                     .link_type = kind & 4 ? 220 : 189,
                                     .resolution = kind & 2 ? 9 : 0};
    make(file, ends);
}

/* A file that ends in the middle of an event is kept up to there, wherever that is. */
static void test_trace_hostile_cut_anywhere(void **state)
{
    (void)state;
    for (unsigned int kind = 0; kind < 8; kind++) {
        struct trace_test_file file;
        size_t ends[EVENTS + 1];
        make_kind(kind, &file, ends);
        for (size_t size = 0; size <= file.size; size++)
            check_cut(file.data, size, ends);
        trace_test_free(&file);
    }
}

static const char text[] = "1 1 S Ci:1:002:0 s a3 00 0102 0304 0004 4 <\n"
                           "1 2 C Ci:1:002:0 0 4 = 01010100\n"
                           "2 3 S Zo:3:002:1 -115:1:7 2 -18:0:4 -18:4:4 8 = 01080f16 1d242b32\n"
                           "2 4 C Zo:3:002:1 0:1:30330:2 2 0:0:4 -18:4:0 8 >\n";

static void test_trace_hostile_cut_text(void **state)
{
    (void)state;
    size_t ends[EVENTS + 1] = {0};
    size_t nr = 0;
    for (size_t i = 0; text[i]; i++) {
        if (text[i] == '\n')
            ends[++nr] = i + 1;
    }
    assert_int_equal(nr, EVENTS);
    for (size_t size = 0; size < sizeof(text); size++)
        check_cut((const uint8_t *)text, size, ends);
}

/* xorshift64*: the seed makes the run. */
static uint64_t next_random(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return *random * UINT64_C(0x2545f4914f6cdd1d);
}

static void flip_bits(const uint8_t *data, size_t size, uint64_t *random)
{
    for (size_t round = 0; round < FLIPS_PER_FILE; round++) {
        uint8_t *copy = copy_of(data, size);
        size_t flips = 1 + next_random(random) % 4;
        for (size_t i = 0; i < flips; i++) {
            uint64_t where = next_random(random);
            copy[(where >> 8) % size] ^= (uint8_t)(1u << (where & 7));
        }
        fuzz_trace(copy, size);
        free(copy);
    }
}

/* Any bit may be wrong: whatever is made of it keeps the contract. */
static void test_trace_hostile_flipped_bits(void **state)
{
    (void)state;
    const char *given = getenv("PVUSB_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 20240229;
    uint64_t random = seed ? seed : 1;
    print_message("seed %llu (PVUSB_SEED)\n", (unsigned long long)seed);
    for (unsigned int kind = 0; kind < 8; kind++) {
        struct trace_test_file file;
        size_t ends[EVENTS + 1];
        make_kind(kind, &file, ends);
        flip_bits(file.data, file.size, &random);
        trace_test_free(&file);
    }
    flip_bits((const uint8_t *)text, sizeof(text) - 1, &random);
}

static const uint32_t lies[] = {1,     2,     3,          127,        128,        129,        255,
                                65535, 65536, 0x10000001, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff};

/* README 9: the number of packets is in two places, and neither is to be believed. */
static void test_trace_hostile_packet_counts(void **state)
{
    (void)state;
    for (int link_type = 189; link_type <= 220; link_type += 31) {
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
            struct trace_test_file file = {.link_type = link_type};
            struct trace_test_event event = events[2];
            struct trace trace;
            char error[TRACE_ERROR_MAX];
            trace_test_begin(&file);
            event.numdesc = (int32_t)lies[i];
            trace_test_event(&file, &event);
            assert_int_equal(fuzz_trace(file.data, file.size), 1);
            assert_int_equal(trace_read_memory("lie", file.data, file.size, &trace, error), 0);
            const struct trace_urb *urb = trace.urbs;
            bool negative = event.numdesc < 0;
            assert_int_equal(urb->nr_packets, negative ? 0 : lies[i]);
            /* There are bytes of two descriptors; the 12 behind them are no third. */
            uint32_t most = negative ? 0 : lies[i] < 2 ? lies[i] : 2;
            assert_int_equal(urb->nr_iso_c, most);
            trace_dispose(&trace);
            trace_test_free(&file);
        }
    }
}

/* Every 32-bit field of a file, one at a time, is every one of these numbers. */
static void test_trace_hostile_every_field(void **state)
{
    (void)state;
    for (unsigned int kind = 0; kind < 8; kind++) {
        struct trace_test_file file;
        size_t ends[EVENTS + 1];
        make_kind(kind, &file, ends);
        for (size_t at = 0; at + 4 <= file.size; at += 4) {
            for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
                uint8_t *copy = copy_of(file.data, file.size);
                uint32_t lie = file.foreign ? __builtin_bswap32(lies[i]) : lies[i];
                memcpy(copy + at, &lie, 4);
                fuzz_trace(copy, file.size);
                free(copy);
            }
        }
        trace_test_free(&file);
    }
}

/* Damage in the middle is not the end of a file: what follows would be a guess, so nothing is kept. */
static void test_trace_hostile_damage_is_no_truncation(void **state)
{
    (void)state;
    struct trace_test_file file = {.link_type = 220};
    struct trace trace;
    char error[TRACE_ERROR_MAX];
    size_t ends[EVENTS + 1];
    make(&file, ends);
    memset(file.data + ends[1] + 8, 0x7f, 4); /* the captured length of the second */
    assert_true(trace_read_memory("damaged", file.data, file.size, &trace, error) < 0);
    assert_non_null(strstr(error, "damaged: after 1 frames: "));
    trace_test_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_hostile_cut_anywhere),
        cmocka_unit_test(test_trace_hostile_cut_text),
        cmocka_unit_test(test_trace_hostile_flipped_bits),
        cmocka_unit_test(test_trace_hostile_packet_counts),
        cmocka_unit_test(test_trace_hostile_every_field),
        cmocka_unit_test(test_trace_hostile_damage_is_no_truncation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
