// SPDX-License-Identifier: MIT
/*
 * usbmon's text: line by line as Documentation/usb/usbmon.rst has it, and against the binary recordings of
 * the same runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trace_support.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_text(const char *text, struct trace *trace, char error[TRACE_ERROR_MAX])
{
    return trace_read_memory("text", text, strlen(text), trace, error);
}

/* Every form of a line: setup, status words of 1 to 4 fields, isochronous packets, flags, E, setup not there.
 */
static void test_trace_text_lines(void **state)
{
    (void)state;
    static const char text[] =
        "\n"
        "ffff88eca4d10e40 11195935 S Ci:1:002:0 s a3 00 0102 0304 0004 4 <\n"
        "ffff88eca4d10e40 11202681 C Ci:1:002:0 0 4 = 01010100\n"
        "ffff8f0f52ce1600 42735842 S Zo:3:002:1 -115:1:7 12 -18:0:192 -18:192:192 -18:384:192 -18:576:192 "
        "-18:768:192 2304 = 01080f16 1d242b32 3940474e 555c636a 71787f86 8d949ba2 a9b0b7be c5ccd3da\n"
        "ffff8f0f52ce1600 42748308 C Zo:3:002:1 0:1:30330:2 12 0:0:192 -18:192:0 0:384:192 0:576:192 "
        "0:768:192 "
        "2304 >\n"
        "ffff88eca5768180 42748309 S Ii:1:003:15 -115:2048 4 <\n"
        "ffff88eca5768180 42748310 C Ii:1:003:15 -2:2048 0\n"
        "1 42748311 S Bo:1:003:2 -115 3 D\n"
        "1 42748312 E Bo:1:003:2 -19 0\n"
        "2 42748313 S Co:1:003:0 Z __ __ ____ ____ ____ 0\n";
    struct trace trace;
    char error[TRACE_ERROR_MAX];
    static const uint8_t setup[8] = {0xa3, 0, 2, 1, 4, 3, 4, 0};
    if (read_text(text, &trace, error))
        fail_msg("%s", error);
    assert_int_equal(trace.format, TRACE_TEXT);
    assert_int_equal(trace.events, 9);
    assert_int_equal(trace.nr_urbs, 5);
    const struct trace_urb *urb = trace.urbs;
    assert_int_equal(urb->id, 0xffff88eca4d10e40u);
    assert_int_equal(urb->frame_s, 2); /* the line, counted with the empty one */
    assert_int_equal(urb->time_s_ns, 11195935000u);
    assert_memory_equal(urb->setup, setup, 8);
    assert_int_equal(urb->in_captured, 4);
    assert_memory_equal(urb->in_data, "\1\1\1\0", 4);
    assert_int_equal(trace_classify(urb), 0);
    urb++;
    assert_int_equal(urb->nr_packets, 12);
    assert_int_equal(urb->nr_iso_s, 5);
    assert_int_equal(urb->start_frame, 7);
    assert_int_equal(urb->error_count, 2);
    assert_int_equal(urb->iso_c[1].status, -18);
    assert_int_equal(urb->iso_c[1].actual_length, 0);
    assert_int_equal(urb->iso_c[1].length, 192);
    assert_int_equal(urb->actual, 192 * 4); /* of the packets shown; the line's 2304 is the buffer */
    assert_int_equal(urb->out_captured, 32);
    assert_int_equal(urb->out[31], 0xda);
    assert_int_equal(trace_classify(urb), TRACE_ISO_CUT | TRACE_OUT_MISSING);
    urb++;
    assert_int_equal(urb->endpoint, 15);
    assert_int_equal(urb->interval, 2048);
    assert_int_equal(trace_classify(urb), TRACE_UNLINKED);
    urb++;
    assert_int_equal(urb->frame_e, 9);
    assert_int_equal(trace_classify(urb), TRACE_REFUSED | TRACE_OUT_MISSING);
    urb++;
    assert_false(urb->has_setup);
    trace_dispose(&trace);
}

/* A line that is nearly an event is refused and named: guessing would misread. */
static void test_trace_text_bad_lines(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "1 2 S Ci:1:002:0 s a3 00 0102 0304 4 <",
        "1 2 S Ci:1:002:0 s a3 00 0102 0304 00004 4 <",
        "1 2 S Bi:1:002:0 s a3 00 0102 0304 0004 4 <",
        "1 2 C Bi:1:002:1 0 4 = 010203040506",
        "1 2 C Bi:1:002:1 0 4 = 0102030",
        "1 2 C Bi:1:002:1 0 4 =",
        "1 2 S Bi:1:002:1 -115 4 = 01020304",
        "1 2 C Bi:1:002:1 0 99 = 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00",
        "1 2 C Bi:1:002:1 0 4 < 00",
        "1 2 C Bi:1:002:1 0:1:2:3:4 4 <",
        "1 2 C Bi:1:002:1 99999999999 4 <",
        "1 2 C Bi:1:002:1 0 -1 <",
        "1 2 C Bi:1:128:1 0 4 <",
        "1 2 C Bi:1:002:16 0 4 <",
        "1 2 C Bi:65536:002:1 0 4 <",
        "1 2 C Bi:1:002:1:1 0 4 <",
        "1 2 C Bx:1:002:1 0 4 <",
        "1 2 C Xi:1:002:1 0 4 <",
        "1 2 Q Bi:1:002:1 0 4 <",
        "1 2 C Zi:1:002:1 0:1:0:0 2 0:0:192 192 <",
        "1 2 C Zi:1:002:1 0:1:0:0 4294967295 0:0:192 192 <",
        "1ffffffffffffffff 2 C Bi:1:002:1 0 4 <",
        "1 -2 C Bi:1:002:1 0 4 <",
        "1 2 C",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[512];
        char error[TRACE_ERROR_MAX];
        struct trace trace;
        snprintf(text, sizeof(text), "1 1 S Bi:1:002:1 -115 4 <\n%s\n", bad[i]);
        if (!read_text(text, &trace, error))
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(error, "text: line 2 is not an event of usbmon text (1u)");
    }
}

/* A last line without its end may have lost digits: "18" would be "1". */
static void test_trace_text_cut_line(void **state)
{
    (void)state;
    struct trace trace;
    char error[TRACE_ERROR_MAX];
    assert_int_equal(read_text("1 2 S Bi:1:002:1 -115 18 <\n1 3 C Bi:1:002:1 0 1", &trace, error), 0);
    assert_true(trace.truncated);
    assert_int_equal(trace.events, 1);
    trace_dispose(&trace);
    assert_int_equal(read_text("1 3 C Bi:1:002:1 0 1", &trace, error), -EINVAL);
    assert_string_equal(error, "text: ends in the middle of its first event");
}

/* The clock of the text format begins again after 4096 seconds. */
static void test_trace_text_clock_wraps(void **state)
{
    (void)state;
    struct trace trace;
    char error[TRACE_ERROR_MAX];
    static const char text[] = "1 4095999999 S Bi:1:002:1 -115 1 <\n2 4095999998 S Bi:1:002:2 -115 1 <\n"
                               "1 5 C Bi:1:002:1 -2 0\n";
    assert_int_equal(read_text(text, &trace, error), 0);
    assert_int_equal(trace.urbs[1].time_s_ns, UINT64_C(4095999998000)); /* a little back is no new turn */
    assert_int_equal(trace.urbs[0].time_c_ns, UINT64_C(4096000005000));
    trace_dispose(&trace);
}

static uint32_t at_most(uint32_t value, uint32_t limit)
{
    return value < limit ? value : limit;
}

static void same_packets(const struct pvusb_iso_desc *text, uint32_t nr_text,
                         const struct pvusb_iso_desc *binary, uint32_t nr_binary)
{
    assert_int_equal(nr_text, at_most(nr_binary, 5));
    for (uint32_t i = 0; i < nr_text; i++)
        assert_memory_equal(&text[i], &binary[i], sizeof(*text));
}

static void same_urb(const struct trace_urb *text, const struct trace_urb *binary)
{
    bool timed = binary->type == USBIF_PIPE_TYPE_ISOC || binary->type == USBIF_PIPE_TYPE_INT;
    assert_int_equal(text->id, binary->id);
    assert_int_equal(text->frame_s, binary->frame_s);
    assert_int_equal(text->frame_c, binary->frame_c);
    assert_int_equal(text->bus, binary->bus);
    assert_int_equal(text->device, binary->device);
    assert_int_equal(text->endpoint, binary->endpoint);
    assert_int_equal(text->type, binary->type);
    assert_int_equal(text->in, binary->in);
    assert_int_equal(text->has_setup, binary->has_setup);
    assert_memory_equal(text->setup, binary->setup, 8);
    assert_int_equal(text->length, binary->length);
    assert_int_equal(text->status, binary->status);
    if (binary->nr_packets <= 5)
        assert_int_equal(text->actual, binary->actual);
    assert_int_equal(text->error_count, binary->error_count);
    assert_int_equal(text->nr_packets, binary->nr_packets);
    if (timed)
        assert_int_equal(text->interval, binary->interval);
    if (binary->type == USBIF_PIPE_TYPE_ISOC)
        assert_int_equal(text->start_frame, binary->start_frame);
    assert_int_equal(text->out_captured, at_most(binary->out_captured, 32));
    if (text->out_captured)
        assert_memory_equal(text->out, binary->out, text->out_captured);
    if (binary->type != USBIF_PIPE_TYPE_ISOC) {
        assert_int_equal(text->in_captured, at_most(binary->in_captured, 32));
        if (text->in_captured)
            assert_memory_equal(text->in_data, binary->in_data, text->in_captured);
    }
    same_packets(text->iso_s, text->nr_iso_s, binary->iso_s, binary->nr_iso_s);
    same_packets(text->iso_c, text->nr_iso_c, binary->iso_c, binary->nr_iso_c);
}

/*
 * README 8 and 9: the text of a run says the same as its binary recording, as far as it goes. Where the text
 * lost lines (its buffer in the kernel is small) nothing says which ones, and the pair is left out.
 */
static void test_trace_text_same_as_binary(void **state)
{
    (void)state;
    glob_t found;
    uint32_t files = 0;
    assert_int_equal(glob(PVUSB_TRACE_DIR "/*.mon.txt", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char path[4096];
        char error[TRACE_ERROR_MAX];
        struct trace text;
        struct trace binary;
        snprintf(path, sizeof(path), "%.*s.pcap", (int)(strlen(found.gl_pathv[i]) - 8), found.gl_pathv[i]);
        if (trace_read(found.gl_pathv[i], &text, error) || trace_read(path, &binary, error))
            fail_msg("%s", error);
        print_message("%s: %u lines, %u frames\n", found.gl_pathv[i], text.events, binary.events);
        bool whole = text.events == binary.events;
        for (uint32_t j = 0; whole && j < text.nr_urbs; j++)
            same_urb(&text.urbs[j], &binary.urbs[j]);
        files += whole;
        trace_dispose(&text);
        trace_dispose(&binary);
    }
    globfree(&found);
    assert_true(files >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_text_lines),          cmocka_unit_test(test_trace_text_bad_lines),
        cmocka_unit_test(test_trace_text_cut_line),       cmocka_unit_test(test_trace_text_clock_wraps),
        cmocka_unit_test(test_trace_text_same_as_binary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
