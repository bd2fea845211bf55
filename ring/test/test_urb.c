// SPDX-License-Identifier: MIT
/*
 * What requests, pipes and plug events mean, and which of them are refused: the rows
 * of the malformed-request matrix that need nothing but the request itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pvusb/urb.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum { ISO = 0, INT = 1, CTRL = 2, BULK = 3 };

/* A pipe word by plain shifts; bit 7 is IN, bit 5 unlink. */
#define PIPE(type, device, endpoint, flags)                                                                  \
    ((uint32_t)(type) << 30 | (uint32_t)(endpoint) << 15 | (uint32_t)(device) << 8 | (flags))
#define IN     0x80u
#define OUT    0u
#define UNLINK 0x20u

struct segment {
    uint16_t offset, length;
};

/* A request in words, and what becomes of it. Segments beyond the given ones are stale memory (rule SEG-10).
 */
struct urb_case {
    const char *rule;
    uint32_t pipe;
    uint16_t nr_segs, flags, buffer_length;
    uint8_t setup[8];
    struct {
        uint16_t packets, desc_segs;
    } iso;
    struct segment segs[4];
    uint16_t full_segs; /* this many segments of a whole page instead of segs */
    enum pvusb_verdict verdict;
    uint32_t length;
};

static const struct urb_case cases[] = {
    {"MAL-01 17 segments", PIPE(BULK, 3, 1, IN), .nr_segs = 17, .verdict = PVUSB_TOO_MANY_SEGMENTS},
    {"MAL-01 65535 segments", PIPE(BULK, 3, 1, IN), .nr_segs = 65535, .verdict = PVUSB_TOO_MANY_SEGMENTS},
    {"MAL-01 17 segments, control", PIPE(CTRL, 3, 0, IN), .nr_segs = 17, .verdict = PVUSB_TOO_MANY_SEGMENTS},
    {"SEG-01 16 segments", PIPE(BULK, 3, 1, IN), .nr_segs = 16, .full_segs = 15, .buffer_length = 61440,
     .length = 61440},
    {"SEG-14 no data", PIPE(BULK, 3, 1, OUT), .length = 0},
    {"MAL-02 buffer_length without segments, OUT", PIPE(BULK, 3, 1, OUT), .buffer_length = 64,
     .verdict = PVUSB_LENGTH_MISMATCH},
    {"MAL-03 buffer_length without segments, IN", PIPE(BULK, 3, 1, IN), .buffer_length = 64,
     .verdict = PVUSB_LENGTH_MISMATCH},
    {"MAL-04 control IN of 18, no segments", PIPE(CTRL, 3, 0, IN), .setup = {0x80, 6, 0, 1, 0, 0, 18, 0}},
    {"MAL-05 control OUT of 8, no segments", PIPE(CTRL, 3, 0, OUT), .setup = {0x00, 7, 0, 0, 0, 0, 8, 0},
     .verdict = PVUSB_CONTROL_DATA_MISSING},
    {"MAL-05 control OUT of 8, 7 bytes", PIPE(CTRL, 3, 0, OUT), .setup = {0x00, 7, 0, 0, 0, 0, 8, 0},
     .nr_segs = 1, .segs = {{0, 7}}, .buffer_length = 7, .verdict = PVUSB_CONTROL_DATA_MISSING},
    {"CTL-14 control OUT of 8, 8 bytes", PIPE(CTRL, 3, 0, OUT), .setup = {0x00, 7, 0, 0, 0, 0, 8, 0},
     .nr_segs = 1, .segs = {{0, 8}}, .buffer_length = 8, .length = 8},
    {"MAL-06 sum 4096, buffer_length 8", PIPE(BULK, 3, 1, OUT), .nr_segs = 1, .segs = {{0, 4096}},
     .buffer_length = 8, .verdict = PVUSB_LENGTH_MISMATCH},
    {"MAL-07 sum 8, buffer_length 4096", PIPE(BULK, 3, 1, OUT), .nr_segs = 1, .segs = {{0, 8}},
     .buffer_length = 4096, .verdict = PVUSB_LENGTH_MISMATCH},
    {"MAL-08 16 full segments, buffer_length 0", PIPE(BULK, 3, 1, IN), .nr_segs = 16, .full_segs = 16,
     .length = 65536},
    {"SEG-09 16 full segments, buffer_length 65535", PIPE(BULK, 3, 1, IN), .nr_segs = 16, .full_segs = 16,
     .buffer_length = 65535, .verdict = PVUSB_LENGTH_MISMATCH},
    {"MAL-09 offset 4000 length 200", PIPE(BULK, 3, 1, IN), .nr_segs = 1, .segs = {{4000, 200}},
     .buffer_length = 200, .verdict = PVUSB_SEGMENT_CROSSES_PAGE},
    {"SEG-06 offset 4000 length 97", PIPE(BULK, 3, 1, IN), .nr_segs = 1, .segs = {{4000, 97}},
     .buffer_length = 97, .verdict = PVUSB_SEGMENT_CROSSES_PAGE},
    {"SEG-06 offset 4000 length 96", PIPE(BULK, 3, 1, IN), .nr_segs = 1, .segs = {{4000, 96}},
     .buffer_length = 96, .length = 96},
    {"SEG-06 second segment crosses", PIPE(BULK, 3, 1, IN), .nr_segs = 2, .segs = {{0, 8}, {4096, 1}},
     .buffer_length = 9, .verdict = PVUSB_SEGMENT_CROSSES_PAGE},
    {"MAL-10 offset 4096 length 0", PIPE(BULK, 3, 1, IN), .nr_segs = 1, .segs = {{4096, 0}}},
    {"SEG-07 offset 4097 length 0", PIPE(BULK, 3, 1, IN), .nr_segs = 1, .segs = {{4097, 0}},
     .verdict = PVUSB_SEGMENT_CROSSES_PAGE},
    {"MAL-11 offset 65535 length 65535", PIPE(BULK, 3, 1, IN), .nr_segs = 1, .segs = {{65535, 65535}},
     .buffer_length = 65535, .verdict = PVUSB_SEGMENT_CROSSES_PAGE},
    {"SEG-02 5000 bytes at offset 100", PIPE(BULK, 3, 1, IN), .nr_segs = 2, .segs = {{100, 3996}, {0, 1004}},
     .buffer_length = 5000, .length = 5000},
    {"MAL-15 iso", PIPE(ISO, 3, 1, IN), .nr_segs = 1, .segs = {{0, 100}, {64, 128}}, .buffer_length = 100,
     .iso = {8, 1}, .length = 100},
    {"MAL-16 iso, 16 data and 1 descriptor segment", PIPE(ISO, 3, 1, IN), .nr_segs = 16, .full_segs = 16,
     .iso = {1, 1}, .verdict = PVUSB_TOO_MANY_SEGMENTS},
    {"MAL-16 iso, 65535 and 65535", PIPE(ISO, 3, 1, IN), .nr_segs = 65535, .iso = {1, 65535},
     .verdict = PVUSB_TOO_MANY_SEGMENTS},
    {"MAL-16 iso, no data and 17 descriptor segments", PIPE(ISO, 3, 1, IN), .iso = {1, 17},
     .verdict = PVUSB_TOO_MANY_SEGMENTS},
    {"ISO-01 iso, 15 data and 1 descriptor segment", PIPE(ISO, 3, 1, IN), .nr_segs = 15, .full_segs = 16,
     .buffer_length = 61440, .iso = {256, 1}, .length = 61440},
    {"MAL-17 65535 packets", PIPE(ISO, 3, 1, IN), .nr_segs = 1, .segs = {{0, 8}, {0, 16}}, .buffer_length = 8,
     .iso = {65535, 1}, .verdict = PVUSB_ISO_PACKET_COUNT},
    {"ISO-08 0 packets", PIPE(ISO, 3, 1, IN), .nr_segs = 1, .segs = {{0, 8}, {0, 16}}, .buffer_length = 8,
     .iso = {0, 1}, .verdict = PVUSB_ISO_PACKET_COUNT},
    {"ISO-08 1 packet", PIPE(ISO, 3, 1, IN), .nr_segs = 1, .segs = {{0, 8}, {0, 16}}, .buffer_length = 8,
     .iso = {1, 1}, .length = 8},
    {"ISO-08 256 packets", PIPE(ISO, 3, 1, IN), .nr_segs = 1, .segs = {{0, 8}, {0, 4096}}, .buffer_length = 8,
     .iso = {256, 1}, .length = 8},
    {"ISO-08 257 packets", PIPE(ISO, 3, 1, IN), .nr_segs = 1, .segs = {{0, 8}, {0, 4096}, {0, 16}},
     .buffer_length = 8, .iso = {257, 2}, .verdict = PVUSB_ISO_PACKET_COUNT},
    {"MAL-18 1 packet, a page of descriptors", PIPE(ISO, 3, 1, IN), .nr_segs = 1, .segs = {{0, 8}, {0, 4096}},
     .buffer_length = 8, .iso = {1, 1}, .verdict = PVUSB_ISO_DESCRIPTOR_LENGTH},
    {"ISO-07 8 packets, 127 bytes of descriptors", PIPE(ISO, 3, 1, IN), .nr_segs = 1,
     .segs = {{0, 8}, {0, 127}}, .buffer_length = 8, .iso = {8, 1}, .verdict = PVUSB_ISO_DESCRIPTOR_LENGTH},
    {"ISO-07 descriptors cross a page", PIPE(ISO, 3, 1, IN), .nr_segs = 1, .segs = {{0, 8}, {4090, 16}},
     .buffer_length = 8, .iso = {1, 1}, .verdict = PVUSB_SEGMENT_CROSSES_PAGE},
    {"ISO-02 descriptors in two segments", PIPE(ISO, 3, 1, IN), .nr_segs = 1,
     .segs = {{0, 8}, {4056, 40}, {0, 24}}, .buffer_length = 8, .iso = {4, 2}, .length = 8},
    {"ISO-09 no data, no descriptors, 8 packets", PIPE(ISO, 3, 1, IN), .iso = {8, 0}},
    {"ISO-10 data but no descriptors", PIPE(ISO, 3, 1, IN), .nr_segs = 1, .segs = {{0, 8}},
     .buffer_length = 8, .iso = {8, 0}, .verdict = PVUSB_ISO_DESCRIPTOR_LENGTH},
    {"SEG-10 bulk with stale isochronous fields", PIPE(BULK, 3, 1, IN), .iso = {65535, 65535}},
    {"SEG-10 interrupt with stale isochronous fields", PIPE(INT, 3, 1, IN), .iso = {65535, 65535}},
    {"MAL-31 undefined pipe bits", PIPE(BULK, 3, 1, IN) | 0x1ff80040u, .nr_segs = 1, .segs = {{0, 8}},
     .buffer_length = 8, .length = 8},
    {"MAL-32 undefined flag bits", PIPE(BULK, 3, 1, IN), .flags = 0xfffe, .nr_segs = 1, .segs = {{0, 8}},
     .buffer_length = 8, .length = 8},
    {"SNO-01 the flag", PIPE(BULK, 3, 1, IN), .flags = 0x0001},
    {"MAL-34 IN pipe, OUT setup", PIPE(CTRL, 3, 0, IN), .setup = {0x00, 9, 0, 0, 0, 0, 8, 0}, .nr_segs = 1,
     .segs = {{0, 8}}, .buffer_length = 8, .verdict = PVUSB_DIRECTION_MISMATCH},
    {"MAL-34 OUT pipe, IN setup", PIPE(CTRL, 3, 0, OUT), .setup = {0x80, 6, 0, 1, 0, 0, 18, 0}, .nr_segs = 1,
     .segs = {{0, 18}}, .buffer_length = 18, .verdict = PVUSB_DIRECTION_MISMATCH},
    {"CTL-01 no data stage, direction means nothing", PIPE(CTRL, 3, 0, OUT),
     .setup = {0xc0, 5, 0, 0, 0, 0, 0, 0}},
    {"MAL-35 all-zero setup", PIPE(CTRL, 3, 0, OUT), .length = 0},
    {"MAL-36 control IN of 4097", PIPE(CTRL, 3, 0, IN), .setup = {0xc0, 1, 0, 0, 0, 0, 0x01, 0x10},
     .nr_segs = 2, .segs = {{0, 4096}, {0, 1}}, .buffer_length = 4097, .length = 4097},
    {"MAL-36 control OUT of 65535", PIPE(CTRL, 3, 0, OUT), .setup = {0x40, 1, 0, 0, 0, 0, 0xff, 0xff},
     .nr_segs = 16, .full_segs = 16, .length = 65536},
    {"UNL-03 unlink, 65535 segments", PIPE(BULK, 3, 1, UNLINK), .nr_segs = 65535, .buffer_length = 77,
     .segs = {{65535, 65535}}},
    {"UNL-03 unlink of iso, everything wrong", PIPE(ISO, 3, 1, UNLINK | IN), .nr_segs = 17,
     .iso = {0, 65535}},
    {"UNL-03 unlink of control, everything wrong", PIPE(CTRL, 0, 0, UNLINK),
     .setup = {0x80, 6, 0, 0, 0, 0, 255, 255}},
};

static struct usbif_urb_request build(const struct urb_case *c)
{
    struct usbif_urb_request request;
    memset(&request, 0xff, sizeof(request)); /* unused bytes of a slot are old, not zero */
    request.id = 0x1234;
    request.nr_buffer_segs = c->nr_segs;
    request.pipe = c->pipe;
    request.transfer_flags = c->flags;
    request.buffer_length = c->buffer_length;
    if (c->pipe >> 30 == CTRL) {
        memcpy(request.u.ctrl, c->setup, sizeof(c->setup));
    } else {
        request.u.isoc.interval = 7;
        request.u.isoc.start_frame = 99;
        request.u.isoc.number_of_packets = c->iso.packets;
        request.u.isoc.nr_frame_desc_segs = c->iso.desc_segs;
    }
    for (size_t i = 0; i < ARRAY_SIZE(c->segs) && c->full_segs == 0; i++) {
        if (i < c->nr_segs || c->iso.desc_segs) {
            request.seg[i].offset = c->segs[i].offset;
            request.seg[i].length = c->segs[i].length;
        }
    }
    for (size_t i = 0; i < PVUSB_SEGMENTS_MAX && c->full_segs; i++) {
        request.seg[i].offset = 0;
        request.seg[i].length = i < c->full_segs ? 4096 : 0;
    }
    return request;
}

static void check_decoded(const struct urb_case *c, const struct usbif_urb_request *request,
                          const struct pvusb_urb *urb)
{
    bool unlink = (c->pipe & UNLINK) != 0;
    bool iso = c->pipe >> 30 == ISO && !unlink;
    if (urb->length != c->length)
        fail_msg("%s: length %u, expected %u", c->rule, urb->length, c->length);
    assert_int_equal(urb->nr_segs, unlink ? 0 : c->nr_segs);
    assert_int_equal(urb->nr_desc_segs, iso ? c->iso.desc_segs : 0);
    assert_int_equal(urb->short_not_ok, !unlink && (c->flags & 1));
    assert_int_equal(urb->unlink_id, unlink ? request->u.unlink.unlink_id : 0);
    if (iso) {
        assert_int_equal(urb->nr_packets, c->iso.desc_segs ? c->iso.packets : 0);
        assert_int_equal(urb->start_frame, 99);
    } else {
        assert_int_equal(urb->nr_packets, 0);
        assert_int_equal(urb->start_frame, 0);
    }
    assert_int_equal(urb->interval, iso || (c->pipe >> 30 == INT && !unlink) ? 7 : 0);
    static const uint8_t zero[8];
    assert_memory_equal(urb->setup, c->pipe >> 30 == CTRL && !unlink ? c->setup : zero, 8);
}

static void test_urb_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct urb_case *c = &cases[i];
        struct usbif_urb_request request = build(c), before = request;
        struct pvusb_urb urb;
        memset(&urb, 0xaa, sizeof(urb));
        enum pvusb_verdict verdict = pvusb_urb_decode(&request, &urb);
        if (verdict != c->verdict)
            fail_msg("%s: expected %s, got %s", c->rule, pvusb_verdict_name(c->verdict),
                     pvusb_verdict_name(verdict));
        assert_memory_equal(&request, &before, sizeof(request));
        /* The answer to a refused request needs these. */
        assert_int_equal(urb.id, 0x1234);
        assert_int_equal(urb.pipe.device, c->pipe >> 8 & 127);
        assert_int_equal(urb.pipe.endpoint, c->pipe >> 15 & 15);
        assert_int_equal(urb.pipe.type, c->pipe >> 30);
        assert_int_equal(urb.pipe.in, (c->pipe & IN) != 0);
        assert_int_equal(urb.pipe.unlink, (c->pipe & UNLINK) != 0);
        if (verdict == PVUSB_OK)
            check_decoded(c, &request, &urb);
    }
}

/* UNL-01: the id to unlink is the first of the eight bytes. */
static void test_urb_unlink_id(void **state)
{
    (void)state;
    struct usbif_urb_request request = {.id = 2, .pipe = PIPE(CTRL, 3, 0, UNLINK)};
    struct pvusb_urb urb;
    request.u.ctrl[0] = 0x34;
    request.u.ctrl[1] = 0x12;
    assert_int_equal(pvusb_urb_decode(&request, &urb), PVUSB_OK);
    assert_int_equal(urb.unlink_id, 0x1234);
}

/* SEG-09: of all 65536 values of buffer_length, one fits. */
static void test_urb_length_is_the_sum_mod_65536(void **state)
{
    (void)state;
    static const uint32_t sums[] = {0, 1, 4096, 61440, 65535, 65536};
    for (size_t s = 0; s < ARRAY_SIZE(sums); s++) {
        struct usbif_urb_request request = {.pipe = PIPE(BULK, 3, 1, IN), .nr_buffer_segs = 16};
        for (uint32_t i = 0, left = sums[s]; i < 16; i++) {
            request.seg[i].length = (uint16_t)(left > 4096 ? 4096 : left);
            left -= request.seg[i].length;
        }
        for (uint32_t length = 0; length < 65536; length++) {
            struct pvusb_urb urb;
            request.buffer_length = (uint16_t)length;
            enum pvusb_verdict verdict = pvusb_urb_decode(&request, &urb);
            assert_int_equal(verdict, length == sums[s] % 65536 ? PVUSB_OK : PVUSB_LENGTH_MISMATCH);
        }
    }
}

/* PIPE-01: every combination of the defined bits, each with other undefined bits. */
static void test_pipe_round_trip(void **state)
{
    (void)state;
    const uint32_t defined = 0xc007ffbfu;
    uint32_t junk = 1;
    for (uint32_t n = 0; n < 1u << 20; n++) {
        uint32_t port = n & 31, unlink = n >> 5 & 1, in = n >> 6 & 1, device = n >> 7 & 127,
                 endpoint = n >> 14 & 15, type = n >> 18;
        uint32_t word = port | unlink << 5 | in << 7 | device << 8 | endpoint << 15 | type << 30;
        junk = junk * 1664525u + 1013904223u;
        struct pvusb_pipe pipe = pvusb_pipe_decode(word | ((junk >> 3) & ~defined));
        if (pipe.port != port || pipe.unlink != (bool)unlink || pipe.in != (bool)in ||
            pipe.device != device || pipe.endpoint != endpoint || pipe.type != type ||
            pvusb_pipe_encode(pipe) != word)
            fail_msg("pipe %#010x", word);
    }
    for (uint32_t n = 0; n < 1u << 13; n++) { /* every undefined bit, alone and with the others */
        uint32_t undefined = (n & 1) << 6 | (n >> 1) << 19;
        assert_int_equal(pvusb_pipe_encode(pvusb_pipe_decode(undefined & ~defined)), 0);
        assert_int_equal(pvusb_pipe_encode(pvusb_pipe_decode(undefined | defined)), defined);
    }
}

/* A field too large for its place must not spill into the next. */
static void test_pipe_encode_masks(void **state)
{
    (void)state;
    assert_int_equal(pvusb_pipe_encode((struct pvusb_pipe){.port = 0xff}), 0x1f);
    assert_int_equal(pvusb_pipe_encode((struct pvusb_pipe){.device = 0xff}), 0x7f00);
    assert_int_equal(pvusb_pipe_encode((struct pvusb_pipe){.endpoint = 0xff}), 0x78000);
    assert_int_equal(pvusb_pipe_encode((struct pvusb_pipe){.type = 0xff}), 0xc0000000u);
}

/* MAL-19, ISO-07 */
static void test_iso_packet_bounds(void **state)
{
    (void)state;
    static const struct {
        uint32_t offset, length, data;
        bool ok;
    } rows[] = {
        {0, 0, 0, true},
        {0, 100, 100, true},
        {0, 101, 100, false},
        {100, 0, 100, true},
        {101, 0, 100, false},
        {60, 40, 100, true},
        {60, 41, 100, false},
        {0xffffffffu, 1, 100, false}, /* the sum wraps to 0 */
        {0xffffffffu, 101, 100, false},
        {1, 0xffffffffu, 100, false},
        {0, 0xffffffffu, 65536, false},
        {0, 65536, 65536, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pvusb_iso_desc packets[3] = {{0}, {.offset = rows[i].offset, .length = rows[i].length}, {0}};
        enum pvusb_verdict expected = rows[i].ok ? PVUSB_OK : PVUSB_ISO_PACKET_BOUNDS;
        assert_int_equal(pvusb_iso_check(packets, 3, rows[i].data), expected);
        assert_int_equal(pvusb_iso_check(packets + 1, 1, rows[i].data), expected);
        assert_int_equal(pvusb_iso_check(packets, 1, rows[i].data), PVUSB_OK);
    }
    assert_int_equal(pvusb_iso_check(NULL, 0, 0), PVUSB_OK);
}

/* CONN-07, CONN-08, MAL-68 */
static void test_conn_sweep(void **state)
{
    (void)state;
    static const unsigned int num_ports[] = {1, 4, 31};
    for (size_t n = 0; n < ARRAY_SIZE(num_ports); n++) {
        for (unsigned int port = 0; port < 256; port++) {
            for (unsigned int speed = 0; speed < 256; speed++) {
                struct usbif_conn_response event = {
                    .id = 0xffff, .portnum = (uint8_t)port, .speed = (uint8_t)speed};
                enum pvusb_verdict verdict = pvusb_conn_check(&event, num_ports[n]);
                enum pvusb_verdict expected = port < 1 || port > num_ports[n] ? PVUSB_CONN_PORT
                                              : speed > 3                     ? PVUSB_CONN_SPEED
                                                                              : PVUSB_OK;
                if (verdict != expected)
                    fail_msg("%u ports: port %u speed %u: %s", num_ports[n], port, speed,
                             pvusb_verdict_name(verdict));
            }
        }
    }
}

static void test_setup_words_are_little_endian(void **state)
{
    (void)state;
    static const uint8_t setup[8] = {0x80, 6, 0x01, 0x02, 0x03, 0x84, 0x05, 0xff};
    assert_int_equal(pvusb_setup_value(setup), 0x0201);
    assert_int_equal(pvusb_setup_index(setup), 0x8403);
    assert_int_equal(pvusb_setup_length(setup), 0xff05);
}

static void test_verdict_names_are_unique(void **state)
{
    (void)state;
    for (int a = 0; a <= PVUSB_VERDICTS; a++) {
        const char *name = pvusb_verdict_name((enum pvusb_verdict)a);
        assert_non_null(name);
        assert_true(strlen(name) > 1);
        for (int b = 0; b < a; b++)
            assert_string_not_equal(name, pvusb_verdict_name((enum pvusb_verdict)b));
    }
    assert_string_equal(pvusb_verdict_name((enum pvusb_verdict)12345), "unknown");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urb_cases),
        cmocka_unit_test(test_urb_unlink_id),
        cmocka_unit_test(test_urb_length_is_the_sum_mod_65536),
        cmocka_unit_test(test_pipe_round_trip),
        cmocka_unit_test(test_pipe_encode_masks),
        cmocka_unit_test(test_iso_packet_bounds),
        cmocka_unit_test(test_conn_sweep),
        cmocka_unit_test(test_setup_words_are_little_endian),
        cmocka_unit_test(test_verdict_names_are_unique),
    };
    return cmocka_run_group_tests_name("urb", tests, NULL, NULL);
}
