// SPDX-License-Identifier: MIT
/*
 * Reading of files made here, where every field is known: both byte orders, both link types, pcap and pcapng;
 * the pairing of events; and what is said of files that are no trace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trace_support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN 0x80

static const struct pvusb_iso_desc asked[3] = {{0, 192, 0, -18}, {192, 192, 0, -18}, {384, 192, 0, -18}};
static const struct pvusb_iso_desc done[3] = {{0, 100, 0, 0}, {192, 0, 0, -18}, {384, 7, 0, -71}};
static uint8_t payload[576];

static void read_made(const struct trace_test_file *file, struct trace *trace)
{
    char error[TRACE_ERROR_MAX];
    if (trace_read_memory("made", file->data, file->size, trace, error))
        fail_msg("%s", error);
}

/* An isochronous IN URB, a control URB with data and an E record. */
static void make_all_kinds(struct trace_test_file *file)
{
    uint32_t unit = file->resolution == 9 ? 1000 : 1;
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 7 + 1);
    trace_test_begin(file);
    trace_test_event(file, &(struct trace_test_event){.id = 0xffff888001020304u,
                                                      .what = 'S',
                                                      .type = USBIF_PIPE_TYPE_ISOC,
                                                      .endpoint = IN | 3,
                                                      .device = 5,
                                                      .bus = 0x0102,
                                                      .setup_flag = '-',
                                                      .data_flag = '<',
                                                      .status = -115,
                                                      .length = 576,
                                                      .numdesc = 3,
                                                      .interval = 4,
                                                      .start_frame = 0x00010203,
                                                      .flags = 0x206,
                                                      .ndesc = 3,
                                                      .iso = asked,
                                                      .time = UINT64_C(1700000000123456) * unit});
    trace_test_event(file, &(struct trace_test_event){.id = 0x1122334455667788u,
                                                      .what = 'S',
                                                      .type = USBIF_PIPE_TYPE_CTRL,
                                                      .device = 6,
                                                      .bus = 2,
                                                      .status = -115,
                                                      .length = 5,
                                                      .setup = {0x21, 0x09, 0x01, 0x02, 0x03, 0x04, 5, 0},
                                                      .flags = 0x40,
                                                      .data = "hello",
                                                      .data_size = 5,
                                                      .time = UINT64_C(1700000000123457) * unit});
    trace_test_event(file, &(struct trace_test_event){.id = 0xffff888001020304u,
                                                      .what = 'C',
                                                      .type = USBIF_PIPE_TYPE_ISOC,
                                                      .endpoint = IN | 3,
                                                      .device = 5,
                                                      .bus = 0x0102,
                                                      .setup_flag = '-',
                                                      .status = 0,
                                                      .length = 107,
                                                      .error_count = 2,
                                                      .numdesc = 3,
                                                      .interval = 4,
                                                      .start_frame = 0x00010204,
                                                      .ndesc = 3,
                                                      .iso = done,
                                                      .data = payload,
                                                      .data_size = 391,
                                                      .time = UINT64_C(1700000001000001) * unit});
    trace_test_event(file, &(struct trace_test_event){.id = 0x1122334455667788u,
                                                      .what = 'E',
                                                      .type = USBIF_PIPE_TYPE_CTRL,
                                                      .device = 6,
                                                      .bus = 2,
                                                      .setup_flag = '-',
                                                      .data_flag = 'E',
                                                      .status = -19,
                                                      .time = UINT64_C(1700000002000000) * unit});
}

static void check_iso(const struct trace_urb *urb, bool long_header)
{
    assert_int_equal(urb->id, 0xffff888001020304u);
    assert_int_equal(urb->frame_s, 1);
    assert_int_equal(urb->frame_c, 3);
    assert_int_equal(urb->frame_e, TRACE_NONE);
    assert_int_equal(urb->time_s_ns, UINT64_C(1700000000123456000));
    assert_int_equal(urb->time_c_ns, UINT64_C(1700000001000001000));
    assert_int_equal(urb->bus, 0x0102);
    assert_int_equal(urb->device, 5);
    assert_int_equal(urb->endpoint, 3);
    assert_int_equal(urb->type, USBIF_PIPE_TYPE_ISOC);
    assert_true(urb->in);
    assert_int_equal(urb->length, 576);
    assert_int_equal(urb->actual, 107);
    assert_int_equal(urb->error_count, 2);
    assert_int_equal(urb->flags, long_header ? 0x206 : 0);
    assert_int_equal(urb->interval, long_header ? 4 : 0);
    assert_int_equal(urb->start_frame, long_header ? 0x00010203 : 0);
    assert_int_equal(urb->nr_packets, 3);
    assert_int_equal(urb->nr_iso_s, 3);
    assert_int_equal(urb->nr_iso_c, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(urb->iso_s[i].status, -18);
        assert_int_equal(urb->iso_s[i].offset, 192 * i);
        assert_int_equal(urb->iso_s[i].length, 192);
        assert_int_equal(urb->iso_c[i].status, done[i].status);
        assert_int_equal(urb->iso_c[i].offset, 192 * i);
        assert_int_equal(urb->iso_c[i].length, 192);
        assert_int_equal(urb->iso_c[i].actual_length, done[i].length);
    }
    /* README 9: sparse; more bytes than actual_length, and the descriptors are not among them. */
    assert_int_equal(urb->in_captured, 391);
    assert_memory_equal(urb->in_data, payload, 391);
    assert_false(urb->in_missing);
    assert_int_equal(trace_classify(urb), 0);
}

static void check_refused(const struct trace_urb *urb, bool long_header)
{
    static const uint8_t setup[8] = {0x21, 0x09, 0x01, 0x02, 0x03, 0x04, 5, 0};
    assert_int_equal(urb->id, 0x1122334455667788u);
    assert_int_equal(urb->frame_s, 2);
    assert_int_equal(urb->frame_c, TRACE_NONE);
    assert_int_equal(urb->frame_e, 4);
    assert_int_equal(urb->status, -19);
    assert_true(urb->has_setup);
    assert_memory_equal(urb->setup, setup, 8);
    assert_int_equal(urb->out_captured, 5);
    assert_memory_equal(urb->out, "hello", 5);
    assert_false(urb->out_missing);
    assert_int_equal(trace_classify(urb), TRACE_REFUSED | (long_header ? TRACE_ZERO_PACKET : 0));
}

/* README 12 and 9: 189 and 220, E records, time resolution, and byte orders, which nobody records but files
 * may have. */
static void test_trace_read_every_layout(void **state)
{
    (void)state;
    for (unsigned int bits = 0; bits < 16; bits++) {
        struct trace_test_file file = {.foreign = bits & 1,
                                       .link_type = bits & 2 ? 220 : 189,
                                       .pcapng = bits & 4,
                                       .resolution = bits & 8 ? 9 : 0};
        struct trace trace;
        if (!file.pcapng && file.resolution)
            continue;
        print_message("foreign %d, link type %d, pcapng %d, resolution %d\n", file.foreign, file.link_type,
                      file.pcapng, file.resolution);
        make_all_kinds(&file);
        read_made(&file, &trace);
        assert_int_equal(trace.format, file.link_type == 220 ? TRACE_PCAP_220 : TRACE_PCAP_189);
        assert_int_equal(trace.events, 4);
        assert_int_equal(trace.nr_urbs, 2);
        assert_false(trace.truncated);
        check_iso(&trace.urbs[0], file.link_type == 220);
        check_refused(&trace.urbs[1], file.link_type == 220);
        trace_dispose(&trace);
        trace_dispose(&trace);
        trace_test_free(&file);
    }
}

static const struct trace_test_event submit = {.id = 1,
                                               .what = 'S',
                                               .type = USBIF_PIPE_TYPE_BULK,
                                               .endpoint = IN | 1,
                                               .device = 2,
                                               .bus = 1,
                                               .setup_flag = '-',
                                               .data_flag = '<',
                                               .status = -115,
                                               .length = 8};
static const struct trace_test_event complete = {.id = 1,
                                                 .what = 'C',
                                                 .type = USBIF_PIPE_TYPE_BULK,
                                                 .endpoint = IN | 1,
                                                 .device = 2,
                                                 .bus = 1,
                                                 .setup_flag = '-',
                                                 .length = 8,
                                                 .data = "abcdefgh",
                                                 .data_size = 8};

static void add(struct trace_test_file *file, struct trace_test_event event, uint64_t id, uint16_t bus,
                uint8_t endpoint)
{
    event.id = id;
    event.bus = bus;
    event.endpoint = endpoint;
    trace_test_event(file, &event);
}

/* README 1: S,S,C with one id, C without S, S without C, an id on two buses, and an id reused on another
 * pipe. */
static void test_trace_read_pairing(void **state)
{
    (void)state;
    struct trace_test_file file = {.link_type = 220};
    struct trace trace;
    static const struct {
        uint32_t s, c, classes;
    } urbs[] = {
        {TRACE_NONE, 1, TRACE_NO_SUBMISSION},
        {2, TRACE_NONE, TRACE_NEVER_COMPLETED}, /* its C was lost */
        {3, 5, 0},
        {4, 6, 0}, /* the same id on another bus */
        {7, TRACE_NONE, TRACE_NEVER_COMPLETED},
        {TRACE_NONE, 8, TRACE_NO_SUBMISSION}, /* another endpoint: not the completion of 7 */
        {TRACE_NONE, 9, TRACE_NO_SUBMISSION}, /* 7 ended when its id came back */
    };
    static const uint32_t order[] = {0, 1, 2, 3, 2, 3, 4, 5, 6};
    trace_test_begin(&file);
    add(&file, complete, 1, 1, IN | 1);
    add(&file, submit, 1, 1, IN | 1);
    add(&file, submit, 1, 1, IN | 1);
    add(&file, submit, 1, 2, IN | 1);
    add(&file, complete, 1, 1, IN | 1);
    add(&file, complete, 1, 2, IN | 1);
    add(&file, submit, 9, 1, IN | 1);
    add(&file, complete, 9, 1, IN | 2);
    add(&file, complete, 9, 1, IN | 1);
    read_made(&file, &trace);
    assert_int_equal(trace.nr_urbs, 7);
    for (uint32_t i = 0; i < trace.nr_urbs; i++) {
        assert_int_equal(trace.urbs[i].frame_s, urbs[i].s);
        assert_int_equal(trace.urbs[i].frame_c, urbs[i].c);
        assert_int_equal(trace_classify(&trace.urbs[i]), urbs[i].classes);
        assert_int_equal(trace.urbs[i].status, urbs[i].c == TRACE_NONE ? TRACE_IN_PROGRESS : 0);
    }
    assert_int_equal(trace.nr_order, 9);
    for (uint32_t i = 0; i < 9; i++) {
        assert_int_equal(trace.order[i].urb, order[i]);
        assert_int_equal(trace.order[i].what, urbs[order[i]].s == i + 1 ? 'S' : 'C');
    }
    trace_dispose(&trace);
    trace_test_free(&file);
}

/* README 8: cut by a snaplen, flagged absent, or shorter than its length says: missing, never zero bytes. */
static void test_trace_read_missing_data(void **state)
{
    (void)state;
    struct trace_test_file file = {.link_type = 220};
    struct trace trace;
    struct trace_test_event event;
    trace_test_begin(&file);
    add(&file, submit, 1, 1, IN | 1);
    event = complete;
    event.cut = 5;
    trace_test_event(&file, &event);
    event = submit;
    event.data_flag = 'D';
    add(&file, event, 2, 1, 1);
    event = submit;
    event.data_flag = 0;
    event.data = "abcd";
    event.data_size = 4;
    add(&file, event, 3, 1, 1);
    event.length = 2; /* data_len beyond the length: what the URB did not send is not taken */
    add(&file, event, 4, 1, 1);
    event = submit;
    event.data_flag = 0;
    event.data = "abcdefgh";
    event.data_size = 8;
    event.uncounted = 6; /* bytes behind what data_len counts are padding */
    add(&file, event, 5, 1, 1);
    event.uncounted = 0;
    event.data_flag = 'Z'; /* the flag says absent, whatever lies there */
    add(&file, event, 6, 1, 1);
    event.type = USBIF_PIPE_TYPE_CTRL;
    event.setup_flag = 'Z';
    memset(event.setup, 0xaa, 8);
    add(&file, event, 7, 1, 0);
    read_made(&file, &trace);
    assert_int_equal(trace.urbs[0].in_captured, 3);
    assert_true(trace.urbs[0].in_missing);
    assert_int_equal(trace_classify(&trace.urbs[0]), TRACE_IN_MISSING);
    assert_true(trace.urbs[1].out_missing);
    assert_int_equal(trace.urbs[1].out_captured, 0);
    assert_true(trace.urbs[2].out_missing);
    assert_int_equal(trace.urbs[2].out_captured, 4);
    assert_int_equal(trace_classify(&trace.urbs[2]), TRACE_OUT_MISSING | TRACE_NEVER_COMPLETED);
    assert_false(trace.urbs[3].out_missing);
    assert_int_equal(trace.urbs[3].out_captured, 2);
    assert_int_equal(trace.urbs[4].out_captured, 2);
    assert_true(trace.urbs[4].out_missing);
    assert_int_equal(trace.urbs[5].out_captured, 0);
    assert_true(trace.urbs[5].out_missing);
    assert_false(trace.urbs[6].has_setup);
    trace_dispose(&trace);
    trace_test_free(&file);
}

/* README 9: the descriptors are cut first, and then there is no payload; records of no known kind are
 * counted. */
static void test_trace_read_cut_packets(void **state)
{
    (void)state;
    for (int link_type = 189; link_type <= 220; link_type += 31) {
        struct trace_test_file file = {.link_type = link_type};
        struct trace trace;
        struct trace_test_event event = {.id = 1,
                                         .what = 'S',
                                         .type = USBIF_PIPE_TYPE_ISOC,
                                         .endpoint = 1,
                                         .device = 2,
                                         .bus = 1,
                                         .length = 576,
                                         .numdesc = 3,
                                         .ndesc = 3,
                                         .iso = asked,
                                         .data = payload,
                                         .data_size = 576,
                                         .cut = 576 + 4};
        trace_test_begin(&file);
        trace_test_event(&file, &event);
        event.what = 'X';
        trace_test_event(&file, &event);
        event.what = 'S';
        event.type = 4;
        trace_test_event(&file, &event);
        read_made(&file, &trace);
        assert_int_equal(trace.nr_urbs, 1);
        assert_int_equal(trace.other, 2);
        assert_int_equal(trace.urbs[0].nr_packets, 3);
        assert_int_equal(trace.urbs[0].nr_iso_s, 2);
        assert_int_equal(trace.urbs[0].out_captured, 0);
        assert_int_equal(trace_classify(&trace.urbs[0]),
                         TRACE_ISO_CUT | TRACE_OUT_MISSING | TRACE_NEVER_COMPLETED);
        trace_dispose(&trace);
        trace_test_free(&file);
    }
}

static void must_refuse(const char *what, const void *data, size_t size, const char *reason)
{
    char error[TRACE_ERROR_MAX];
    struct trace trace;
    print_message("%s\n", what);
    assert_int_equal(trace_read_memory("some/file", data, size, &trace, error), -EINVAL);
    if (strncmp(error, "some/file: ", 11) || !strstr(error, reason) || strchr(error, '\n'))
        fail_msg("said \"%s\", not \"%s\"", error, reason);
    assert_null(trace.urbs);
    trace_dispose(&trace);
}

/* README 12: 249, 266 and 288 are named; so is everything else that is no trace. */
static void test_trace_read_refusals(void **state)
{
    (void)state;
    static const struct {
        int type;
        const char *reason;
    } types[] = {
        {249, "link type 249 (USBPCAP) is not usbmon; Windows' USBPcap"},
        {266, "link type 266 (USB_DARWIN) is not usbmon; macOS"},
        {288, "link type 288 (USB_2_0) is not usbmon; it holds the packets of the bus"},
        {1, "link type 1 (EN10MB) is not usbmon"},
        {999, "link type 999 (unknown) is not usbmon"},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct trace_test_file file = {.link_type = types[i].type};
        trace_test_begin(&file);
        must_refuse("link type", file.data, file.size, types[i].reason);
        trace_test_free(&file);
    }
    must_refuse("nothing", "", 0, "is empty");
    must_refuse("prose", "Dear reader,\n", 13, "neither pcap, pcapng nor usbmon text");
    must_refuse("blank lines", "\n \n\n", 4, "holds no USB event");
    must_refuse("zeroes", "\0\0\0\0\0\0\0\0", 8, "neither pcap, pcapng nor usbmon text");
    must_refuse("gzip", "\x1f\x8b\x08\x00", 4, "compressed with gzip");
    must_refuse("the start of a pcap file", "\xd4\xc3\xb2\xa1\x02\x00", 6, "truncated");
    must_refuse("the older text format", "d5ea89a0 3575914555 S Ci:001:00 s a3 00 0000 0003 0004 4 <\n", 59,
                "neither pcap, pcapng nor usbmon text (1u)");
}

static void test_trace_read_empty_and_small_snaplen(void **state)
{
    (void)state;
    struct trace_test_file file = {.link_type = 220};
    struct trace_test_event event = submit;
    trace_test_begin(&file);
    must_refuse("no record", file.data, file.size, "holds no USB event");
    event.what = 'X';
    trace_test_event(&file, &event);
    must_refuse("no event", file.data, file.size, "holds no USB event");
    event.cut = 1;
    trace_test_event(&file, &event);
    must_refuse("header cut", file.data, file.size, "frame 2 has 63 bytes, less than its header of 64");
    trace_test_free(&file);
}

/* README 12: a pcapng file may hold another interface; libpcap does not go on, and neither may we. */
static void test_trace_read_two_interfaces(void **state)
{
    (void)state;
    struct trace_test_file file = {.link_type = 220, .pcapng = true};
    struct trace trace;
    trace_test_begin(&file);
    trace_test_event(&file, &submit);
    trace_test_interface(&file, 220, 9);
    trace_test_event(&file, &complete);
    read_made(&file, &trace);
    assert_int_equal(trace.nr_urbs, 1);
    trace_dispose(&trace);
    trace_test_interface(&file, 1, 0);
    must_refuse("Ethernet too", file.data, file.size,
                "of the first interface; all must be usbmon's and alike");
    trace_test_free(&file);
}

static void test_trace_read_no_file(void **state)
{
    (void)state;
    char error[TRACE_ERROR_MAX];
    char folder[] = "/tmp/test_trace_read.XXXXXX";
    char path[64];
    struct trace trace;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/missing", folder);
    assert_int_equal(trace_read(path, &trace, error), -ENOENT);
    assert_non_null(strstr(error, "missing: No such file"));
    assert_int_equal(trace_read(folder, &trace, error), -EISDIR);
    assert_non_null(strstr(error, "Is a directory"));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(trace_read(path, &trace, error), -EINVAL);
    assert_non_null(strstr(error, "is empty"));
    if (geteuid()) {
        chmod(path, 0);
        assert_int_equal(trace_read(path, &trace, error), -EACCES);
        assert_non_null(strstr(error, "Permission denied"));
    }
    unlink(path);
    rmdir(folder);
    /* A path longer than the message: the reason must still be in it. */
    char name[5000];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(trace_read(name, &trace, error), -ENAMETOOLONG);
    assert_non_null(strstr(error, "File name too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_read_every_layout),
        cmocka_unit_test(test_trace_read_pairing),
        cmocka_unit_test(test_trace_read_missing_data),
        cmocka_unit_test(test_trace_read_cut_packets),
        cmocka_unit_test(test_trace_read_refusals),
        cmocka_unit_test(test_trace_read_empty_and_small_snaplen),
        cmocka_unit_test(test_trace_read_two_interfaces),
        cmocka_unit_test(test_trace_read_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
