// SPDX-License-Identifier: MIT
/*
 * pvusb trace info as a user meets it: what it prints, where, and with which exit code. The program is
 * argv[1].
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
#include <sys/wait.h>
#include <unistd.h>

static const char *program;

/* Runs the program; returns its exit code and what it wrote, stderr too. */
static int run(const char *arguments, char *output, size_t size)
{
    char command[8192];
    snprintf(command, sizeof(command), "'%s' 2>&1 %s", program, arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(output, 1, size - 1, pipe);
    output[got] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void must_contain(const char *output, const char *const lines[])
{
    for (size_t i = 0; lines[i]; i++) {
        if (!strstr(output, lines[i]))
            fail_msg("\"%s\" is not in:\n%s", lines[i], output);
    }
}

/* The numbers of xhci-hid are counted by hand from its text: it begins with a C and ends with open S (README
 * 1). */
static void test_trace_cli_info(void **state)
{
    (void)state;
    char output[16384];
    static const char *const lines[] = {
        "traces/xhci-hid.pcap\n",
        "format     usbmon binary, link type 220 (USB_LINUX_MMAPPED)\n",
        "bytes      4936\n",
        "events     59\n",
        "unpaired   4 submissions, 1 completions\n",
        "truncated  no\n",
        "URBs       32\n",
        "plain      27, which",
        "classes\n",
        "\n  never_completed ",
        "still open at the end",
        "\ndevices (bus:address)\n",
        "  1:7  ",
        "1 int in",
        NULL,
    };
    assert_int_equal(run("info " PVUSB_TRACE_DIR "/xhci-hid.pcap", output, sizeof(output)), 0);
    must_contain(output, lines);
}

/* README 9 and 12: what 189 and text do not have is said. */
static void test_trace_cli_formats(void **state)
{
    (void)state;
    char output[16384];
    static const char *const lines[] = {
        "format     usbmon binary, link type 189 (USB_LINUX): no URB flags, no intervals\n",
        "format     usbmon text: no URB flags",
        "iso_cut",
        NULL,
    };
    assert_int_equal(run("info " PVUSB_TRACE_DIR "/raw48-lt189.pcap " PVUSB_TRACE_DIR "/uhci-audio.mon.txt",
                         output, sizeof(output)),
                     0);
    must_contain(output, lines);
}

/* One line for each bad file; the good one is shown all the same. */
static void test_trace_cli_bad_files(void **state)
{
    (void)state;
    char output[16384];
    static const char *const lines[] = {
        "pvusb trace: /nonexistent: No such file or directory\n",
        "pvusb trace: /: Is a directory\n",
        "events     45\n",
        NULL,
    };
    assert_int_equal(
        run("info /nonexistent " PVUSB_TRACE_DIR "/dummy-test-enum.pcap /", output, sizeof(output)), 2);
    must_contain(output, lines);
}

static void test_trace_cli_usage(void **state)
{
    (void)state;
    char output[16384];
    static const char *const bad[] = {"", "info", "show", "info --all x", "info --"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(run(bad[i], output, sizeof(output)), 2);
        assert_non_null(strstr(output, "see pvusb trace --help\n"));
        assert_ptr_equal(strchr(output, '\n'), output + strlen(output) - 1);
    }
    static const char *const lines[] = {"Usage: pvusb trace info FILE...\n", "Exit codes:\n", NULL};
    assert_int_equal(run("--help", output, sizeof(output)), 0);
    must_contain(output, lines);
    assert_int_equal(run("info --help", output, sizeof(output)), 0);
    must_contain(output, lines);
}

/* Output that cannot be written is not success. */
static void test_trace_cli_full_disk(void **state)
{
    (void)state;
    char output[16384];
    static const char *const lines[] = {"pvusb trace: standard output: No space left on device\n", NULL};
    if (access("/dev/full", W_OK))
        skip();
    assert_int_equal(run("info " PVUSB_TRACE_DIR "/xhci-hid.pcap >/dev/full", output, sizeof(output)), 2);
    must_contain(output, lines);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_cli_info),      cmocka_unit_test(test_trace_cli_formats),
        cmocka_unit_test(test_trace_cli_bad_files), cmocka_unit_test(test_trace_cli_usage),
        cmocka_unit_test(test_trace_cli_full_disk),
    };
    if (argc != 2)
        return 1;
    program = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
