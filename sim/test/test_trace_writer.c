// SPDX-License-Identifier: MIT
/*
 * What is written is what usbmon would have recorded: the recordings come back byte for byte, our reader sees
 * the same URBs.
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
#include <unistd.h>

static char folder[] = "/tmp/test_trace_writer.XXXXXX";
static char written[64];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(written, sizeof(written), "%s/written.pcap", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(written);
    return rmdir(folder);
}

static void same_bytes(const void *a, uint32_t nr_a, const void *b, uint32_t nr_b, size_t size)
{
    assert_int_equal(nr_a, nr_b);
    if (nr_a)
        assert_memory_equal(a, b, nr_a * size);
}

static void same_urb(struct trace_urb a, struct trace_urb b)
{
    same_bytes(a.out, a.out_captured, b.out, b.out_captured, 1);
    same_bytes(a.in_data, a.in_captured, b.in_data, b.in_captured, 1);
    same_bytes(a.iso_s, a.nr_iso_s, b.iso_s, b.nr_iso_s, sizeof(*a.iso_s));
    same_bytes(a.iso_c, a.nr_iso_c, b.iso_c, b.nr_iso_c, sizeof(*a.iso_c));
    a.out = b.out;
    a.in_data = b.in_data;
    a.iso_s = b.iso_s;
    a.iso_c = b.iso_c;
    assert_memory_equal(&a, &b, sizeof(a));
}

/* README 8 and 9: payload with the event that has it, descriptors before it, both formats in and 220 out. */
static void test_trace_writer_round_trip(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(PVUSB_TRACE_DIR "/*", 0, NULL, &found), 0);
    uint32_t files = 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct trace first;
        struct trace second;
        if (strstr(found.gl_pathv[i], "/expected"))
            continue;
        trace_test_read(found.gl_pathv[i], &first);
        assert_int_equal(trace_test_write(written, &first), 0);
        trace_test_read(written, &second);
        print_message("%s\n", found.gl_pathv[i]);
        assert_int_equal(second.format, TRACE_PCAP_220);
        assert_int_equal(second.nr_urbs, first.nr_urbs);
        assert_int_equal(second.nr_order, first.nr_order);
        assert_memory_equal(second.order, first.order, first.nr_order * sizeof(*first.order));
        for (uint32_t j = 0; j < first.nr_urbs && first.format != TRACE_TEXT; j++)
            same_urb(first.urbs[j], second.urbs[j]);
        files++;
        trace_dispose(&first);
        trace_dispose(&second);
    }
    globfree(&found);
    assert_true(files >= 30);
}

/* Not only for our own reader: the file is the one that the kernel and tcpdump made. */
static void test_trace_writer_byte_for_byte(void **state)
{
    (void)state;
    static const char *const names[] = {"dummy-test-enum", "hs-uas", "uhci-enum", "xhci-hid", "xhci-serial"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[4096];
        struct trace trace;
        size_t sizes[2];
        snprintf(path, sizeof(path), "%s/%s.pcap", PVUSB_TRACE_DIR, names[i]);
        trace_test_read(path, &trace);
        assert_int_equal(trace_test_write(written, &trace), 0);
        uint8_t *recorded = trace_test_load(path, &sizes[0]);
        uint8_t *ours = trace_test_load(written, &sizes[1]);
        assert_int_equal(sizes[0], sizes[1]);
        /* Not the file's header: the recorder asked for another snaplen. */
        for (size_t j = 24; j < sizes[0]; j++) {
            if (recorded[j] != ours[j])
                fail_msg("%s: byte %zu is 0x%02x, not 0x%02x", names[i], j, ours[j], recorded[j]);
        }
        free(recorded);
        free(ours);
        trace_dispose(&trace);
    }
}

/* An E record is the end of a submission that was refused. */
static void test_trace_writer_refused(void **state)
{
    (void)state;
    char error[TRACE_ERROR_MAX];
    struct trace trace;
    struct trace_writer *writer;
    struct trace_urb urb = {.id = 7,
                            .bus = 1,
                            .device = 2,
                            .endpoint = 1,
                            .type = USBIF_PIPE_TYPE_BULK,
                            .length = 3,
                            .status = -19};
    assert_int_equal(trace_writer_create(written, &writer, error), 0);
    assert_int_equal(trace_writer_event(writer, &urb, 'S', 1000, "abc", 3), 0);
    assert_int_equal(trace_writer_event(writer, &urb, 'E', 2999, NULL, 0), 0);
    assert_int_equal(trace_writer_event(writer, &urb, 'X', 3000, NULL, 0), -EINVAL);
    assert_int_equal(trace_writer_destroy(writer), 0);
    trace_test_read(written, &trace);
    assert_int_equal(trace.nr_urbs, 1);
    assert_int_equal(trace.urbs[0].frame_e, 2);
    assert_int_equal(trace.urbs[0].status, -19);
    assert_int_equal(trace.urbs[0].time_c_ns, 2000); /* whole microseconds */
    assert_int_equal(trace.urbs[0].out_captured, 3);
    trace_dispose(&trace);
}

/* A payload larger than a packet may be is cut and known to be cut. */
static void test_trace_writer_snaplen(void **state)
{
    (void)state;
    char error[TRACE_ERROR_MAX];
    struct trace trace;
    struct trace_writer *writer;
    uint8_t *data = calloc(1, 300000);
    struct trace_urb urb = {
        .id = 7, .bus = 1, .device = 2, .endpoint = 1, .type = USBIF_PIPE_TYPE_BULK, .length = 300000};
    assert_non_null(data);
    assert_int_equal(trace_writer_create(written, &writer, error), 0);
    assert_int_equal(trace_writer_event(writer, &urb, 'S', 0, data, 300000), 0);
    assert_int_equal(trace_writer_destroy(writer), 0);
    trace_test_read(written, &trace);
    assert_int_equal(trace.urbs[0].length, 300000);
    assert_int_equal(trace.urbs[0].out_captured, 262144 - 64);
    assert_true(trace.urbs[0].out_missing);
    trace_dispose(&trace);
    free(data);
}

/* A disk that is full shows at the latest when the file is closed. */
static void test_trace_writer_errors(void **state)
{
    (void)state;
    char error[TRACE_ERROR_MAX];
    char path[96];
    struct trace trace;
    struct trace_writer *writer;
    snprintf(path, sizeof(path), "%s/no/such/folder", folder);
    assert_int_equal(trace_writer_create(path, &writer, error), -ENOENT);
    assert_non_null(strstr(error, "No such file"));
    assert_int_equal(trace_writer_destroy(NULL), 0);
    if (access("/dev/full", W_OK))
        skip();
    trace_test_read(PVUSB_TRACE_DIR "/xhci-hid.pcap", &trace);
    assert_true(trace_test_write("/dev/full", &trace) < 0);
    trace_dispose(&trace);
    trace_test_read(PVUSB_TRACE_DIR "/hs-uas.pcap", &trace);
    assert_true(trace_test_write("/dev/full", &trace) < 0);
    trace_dispose(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_writer_round_trip), cmocka_unit_test(test_trace_writer_byte_for_byte),
        cmocka_unit_test(test_trace_writer_refused),    cmocka_unit_test(test_trace_writer_snaplen),
        cmocka_unit_test(test_trace_writer_errors),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
