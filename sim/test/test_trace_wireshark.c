// SPDX-License-Identifier: MIT
/*
 * Another program's decoder reads what we write. Skipped where tshark is not installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trace_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/test_trace_wireshark.XXXXXX";
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

/* Each line is a frame. Above usbmon Wireshark guesses: of a recorded HID report too it says malformed. */
static void check_with_tshark(const struct trace *trace)
{
    char command[512];
    char line[256];
    uint32_t frames = 0;
    snprintf(command, sizeof(command),
             "tshark -r %s --disable-protocol usbhid -T fields -E occurrence=f -e usb.urb_type -e usb.bus_id "
             "-e usb.device_address -e "
             "usb.endpoint_address "
             "-e usb.urb_id -e _ws.malformed 2>/dev/null",
             written);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    while (fgets(line, sizeof(line), pipe)) {
        char expected[256];
        assert_true(frames < trace->nr_order);
        const struct trace_event *event = &trace->order[frames++];
        const struct trace_urb *urb = &trace->urbs[event->urb];
        snprintf(expected, sizeof(expected), "'%c'\t%u\t%u\t0x%02x\t0x%016llx\t\n", event->what, urb->bus,
                 urb->device, urb->endpoint | (urb->in ? 0x80u : 0u), (unsigned long long)urb->id);
        assert_string_equal(line, expected);
    }
    assert_int_equal(pclose(pipe), 0);
    assert_int_equal(frames, trace->nr_order);
}

/* Another program's decoder: the same frames, endpoints, ids and nothing malformed; isochronous packets as
 * well. */
static void test_trace_wireshark_decodes(void **state)
{
    (void)state;
    static const char *const names[] = {"dummy-test-enum.pcap", "uhci-audio-odd.pcap", "raw48-lt189.pcap",
                                        "xhci-stall.pcap", "xhci-hid.mon.txt"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[4096];
        struct trace trace;
        snprintf(path, sizeof(path), "%s/%s", PVUSB_TRACE_DIR, names[i]);
        trace_test_read(path, &trace);
        assert_int_equal(trace_test_write(written, &trace), 0);
        check_with_tshark(&trace);
        trace_dispose(&trace);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_wireshark_decodes),
    };
    if (system("tshark --version >/dev/null 2>&1")) {
        printf("skipped: tshark is not installed\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
