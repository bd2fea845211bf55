// SPDX-License-Identifier: MIT
/*
 * pvusb replay as a user meets it: what it prints and where, its exit codes, the files it writes, and that it
 * leaves nothing behind. The program is argv[1].
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "trace_gen.h"
#include "trace_support.h"

#define ARGS_MAX 16
#define TEXT_MAX 65536

static const char *program;
static char folder[] = "/tmp/test_replay_cli.XXXXXX";
static char scratch[64]; /* where the program may put what it needs: empty after every run */

struct result {
    int code;
    char out[TEXT_MAX];
    char err[TEXT_MAX];
};

static struct result result;

/* ---- running the program ---- */

static const char *in_folder(const char *name)
{
    static char paths[4][256];
    static unsigned int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static pid_t start(const char *const args[], const char *out, const char *err)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    const char *argv[ARGS_MAX + 3] = {program, "replay"};
    for (int i = 0; args[i]; i++)
        argv[i + 2] = args[i];
    int null = open("/dev/null", O_RDONLY);
    int fd1 = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int fd2 = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (null < 0 || fd1 < 0 || fd2 < 0 || dup2(null, 0) < 0 || dup2(fd1, 1) < 0 || dup2(fd2, 2) < 0)
        _exit(99);
    setenv("TMPDIR", scratch, 1);
    execv(program, (char *const *)argv);
    _exit(98);
}

static void load_text(const char *path, char text[TEXT_MAX])
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, TEXT_MAX - 1, file)] = '\0';
    fclose(file);
}

/* Children that lost their parent become ours, as we are their subreaper. */
static void nothing_left(void)
{
    DIR *dir = opendir(scratch);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fail_msg("%s was left behind", entry->d_name);
    }
    closedir(dir);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void finish(pid_t pid, const char *out)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result.out[0] = '\0';
    if (strncmp(out, "/dev/", 5) != 0)
        load_text(out, result.out);
    load_text(in_folder("err"), result.err);
    nothing_left();
}

static int run_to(const char *out, const char *const args[])
{
    finish(start(args, out, in_folder("err")), out);
    return result.code;
}

#define RUN(...) run_to(in_folder("out"), (const char *const[]){__VA_ARGS__, NULL})

static void must_contain(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

/* Exit code 2, nothing on stdout, and one line on stderr that has this in it. */
static void one_line(const char *part)
{
    if (result.code != 2 || result.out[0] || strncmp(result.err, "pvusb replay: ", 14) != 0)
        fail_msg("exit code %d, stdout \"%s\", stderr \"%s\"", result.code, result.out, result.err);
    assert_ptr_equal(strchr(result.err, '\n'), result.err + strlen(result.err) - 1);
    must_contain(result.err, part);
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

/* ---- help and usage ---- */

static void test_replay_cli_help(void **state)
{
    (void)state;
    static const char *const words[] = {
        "--processes", "--match", "--json FILE", "--pcap FILE", "--verbose", "--help", "Exit codes:", "\n  0  ",
        "\n  1  ",     "\n  2  ", "\n  3  ",     "matched",     "mismatched", "not checked"};
    assert_int_equal(RUN("--help"), 0);
    assert_string_equal(result.err, "");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        must_contain(result.out, words[i]);
}

static void test_replay_cli_usage(void **state)
{
    (void)state;
    static const char trace[] = PVUSB_TRACE_DIR "/xhci-hid.pcap";
    static const struct {
        const char *const args[4];
        const char *part;
    } rows[] = {
        {{NULL}, "no recording given"},
        {{"--json", NULL}, "'--json' is not an option or lacks its value"},
        {{"--fast", trace, NULL}, "'--fast'"},
        {{"--processes", "3", trace, NULL}, "takes 1 or 2, not '3'"},
        {{"--processes=", trace, NULL}, "takes 1 or 2, not ''"},
        {{"--match", "loose", trace, NULL}, "not 'loose'"},
        {{"--pcap=x", trace, trace, NULL}, "--pcap takes one recording, not 2"},
        {{"--processes", "2", NULL}, "no recording given"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        run_to(in_folder("out"), rows[i].args);
        one_line(rows[i].part);
    }
}

/* ---- bad input ---- */

static void test_replay_cli_bad_files(void **state)
{
    (void)state;
    static const char junk[] = "once upon a time\n";
    static const uint8_t usbpcap[24] = {0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, [16] = 0, 0, 4, 0, 249};
    char loop[256];
    char empty[256];
    char text[256];
    char windows[256];
    snprintf(loop, sizeof(loop), "%s", in_folder("loop"));
    snprintf(empty, sizeof(empty), "%s", in_folder("empty"));
    snprintf(text, sizeof(text), "%s", in_folder("text"));
    snprintf(windows, sizeof(windows), "%s", in_folder("windows"));
    assert_int_equal(symlink("loop", loop), 0);
    write_file(empty, "", 0);
    write_file(text, junk, sizeof(junk) - 1);
    write_file(windows, usbpcap, sizeof(usbpcap));
    const struct {
        const char *file;
        const char *part;
    } rows[] = {
        {"/nonexistent", "/nonexistent: No such file or directory"},
        {folder, ": Is a directory"},
        {loop, "/loop: "},
        {"/proc/self/mem", "/proc/self/mem: "},
        {empty, "/empty: is empty"},
        {text, "/text: "},
        {windows, "link type 249 (USBPCAP)"},
        {"/dev/null", "/dev/null: is empty"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        RUN(rows[i].file);
        one_line(rows[i].part);
        RUN("--processes", "2", rows[i].file);
        one_line(rows[i].part);
    }
}

/* The file is readable to its owner only, and we are somebody else. */
static void test_replay_cli_unreadable(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof(path), "%s", in_folder("unreadable"));
    write_file(path, "x", 1);
    assert_int_equal(chmod(path, 0), 0);
    if (access(path, R_OK) == 0) {
        print_message("root reads everything\n");
        skip();
    }
    RUN(path);
    one_line("/unreadable: Permission denied");
}

static void test_replay_cli_only_completions(void **state)
{
    (void)state;
    struct trace_test_file file = {.link_type = 220};
    const struct trace_test_event event = {
        .id = 1, .what = 'C', .type = USBIF_PIPE_TYPE_BULK, .endpoint = 0x81, .device = 2, .bus = 1, .setup_flag = '-'};
    char path[256];
    snprintf(path, sizeof(path), "%s", in_folder("completions"));
    trace_test_begin(&file);
    trace_test_event(&file, &event);
    write_file(path, file.data, file.size);
    trace_test_free(&file);
    RUN(path);
    one_line("/completions: holds no URB");
}

/* What is there is played and judged; that it is not all is one line and an error. */
static void test_replay_cli_truncated(void **state)
{
    (void)state;
    size_t size;
    char path[256];
    uint8_t *data = trace_test_load(PVUSB_TRACE_DIR "/xhci-stall.pcap", &size);
    snprintf(path, sizeof(path), "%s", in_folder("truncated"));
    for (size_t cut = 24; cut < size; cut += 1 + size / 37) {
        struct trace trace;
        char error[TRACE_ERROR_MAX];
        bool readable = !trace_read_memory("", data, cut, &trace, error);
        bool whole = readable && !trace.truncated;
        trace_dispose(&trace);
        write_file(path, data, cut);
        RUN(path);
        if (!readable) {
            one_line("/truncated: ");
            continue;
        }
        must_contain(result.out, "\ntruncated ");
        assert_int_equal(result.code, whole ? 0 : 2);
        if (!whole)
            must_contain(result.err, "/truncated: ends in the middle of a record; the ");
        if (!whole)
            assert_ptr_equal(strchr(result.err, '\n'), result.err + strlen(result.err) - 1);
    }
    free(data);
}

static void test_replay_cli_unwritable(void **state)
{
    (void)state;
    static const char trace[] = PVUSB_TRACE_DIR "/xhci-hid.pcap";
    RUN("--json", "/nonexistent/x", trace);
    one_line("/nonexistent/x: No such file or directory");
    RUN("--pcap", "/nonexistent/x", trace);
    one_line("/nonexistent/x: No such file or directory");
    RUN("--processes", "2", "--pcap", "/nonexistent/x", trace);
    one_line("/nonexistent/x: No such file or directory");
    RUN("--json", trace, trace);
    one_line("xhci-hid.pcap would be overwritten");
    RUN("--pcap", trace, trace);
    one_line("xhci-hid.pcap would be overwritten");
    if (access("/dev/full", W_OK))
        skip();
    RUN("--pcap", "/dev/full", trace);
    one_line("/dev/full: ");
    RUN("--processes", "2", "--pcap", "/dev/full", trace);
    one_line("/dev/full: ");
    assert_int_equal(RUN("--json", "/dev/full", trace), 2);
    assert_string_equal(result.err, "pvusb replay: /dev/full: cannot be written\n");
    assert_int_equal(run_to("/dev/full", (const char *const[]){trace, NULL}), 2);
    assert_string_equal(result.err, "pvusb replay: standard output: No space left on device\n");
}

/* ---- reports ---- */

static int64_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("%s is no number", key);
    return json_integer_value(value);
}

static void check_sums(const json_t *file)
{
    const char *reason;
    json_t *count;
    int64_t reasons = 0;
    json_object_foreach(json_object_get(file, "reasons"), reason, count)
        reasons += json_integer_value(count);
    assert_int_equal(number(file, "matched") + number(file, "mismatched") + number(file, "not_checked"),
                     number(file, "urbs"));
    assert_int_equal(reasons, number(file, "not_checked"));
    assert_true(number(file, "replayed") <= number(file, "urbs"));
    assert_int_equal(number(file, "mismatched"), 0);
}

static json_t *load_report(void)
{
    json_t *report = json_load_file(in_folder("report"), 0, NULL);
    assert_non_null(report);
    assert_string_equal(json_string_value(json_object_get(report, "schema")), "pvusb-replay/1");
    return report;
}

/* One bad file among good ones: those are played, and it has its line. */
static void test_replay_cli_report(void **state)
{
    (void)state;
    static const char first[] = PVUSB_TRACE_DIR "/uhci-enum.pcap";
    static const char last[] = PVUSB_TRACE_DIR "/hs-uas.pcap";
    char named[256];
    snprintf(named, sizeof(named), "%s", in_folder("a \"name\" \xff"));
    assert_int_equal(symlink(last, named), 0);
    RUN("--json", in_folder("report"), first, "/nonexistent", named);
    assert_int_equal(result.code, 2);
    assert_string_equal(result.err, "pvusb replay: /nonexistent: No such file or directory\n");
    must_contain(result.out, "uhci-enum.pcap                          423       216      204           0          219\n");
    must_contain(result.out, "\nall                                     583       376      364           0          219\n");
    must_contain(result.out, " not checked: root hub");
    json_t *report = load_report();
    const json_t *files = json_object_get(report, "files");
    assert_int_equal(json_array_size(files), 2);
    for (size_t i = 0; i < 2; i++)
        check_sums(json_array_get(files, i));
    assert_string_equal(json_string_value(json_object_get(json_array_get(files, 0), "file")), first);
    must_contain(json_string_value(json_object_get(json_array_get(files, 1), "file")), "a \"name\" \\xff");
    assert_int_equal(number(json_array_get(files, 0), "urbs"), 423);
    const json_t *errors = json_object_get(report, "errors");
    assert_int_equal(json_array_size(errors), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(errors, 0), "file")), "/nonexistent");
    json_decref(report);
}

/* ---- what went over the ring ---- */

static const char *const replayed[] = {"dummy-test-enum.pcap", "xhci-stall.pcap", "uhci-audio-odd.pcap",
                                       "xhci-unlink.pcap",     "hs-enum.pcap",    "dummy-usbtest-ctrlq.pcap",
                                       "uhci-enum.pcap",       "raw48-lt189.pcap"};

/* Replays a bundled file; returns how many URBs were on the ring. */
static int64_t write_ring(const char *name, const char *processes)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", PVUSB_TRACE_DIR, name);
    assert_int_equal(RUN("--processes", processes, "--pcap", in_folder("ring"), "--json", in_folder("report"), path), 0);
    json_t *report = load_report();
    int64_t urbs = number(json_array_get(json_object_get(report, "files"), 0), "ring_urbs");
    json_decref(report);
    return urbs;
}

/* Played again it matches whole: nothing is in it that could not be sent or compared. */
static void test_replay_cli_pcap_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(replayed) / sizeof(replayed[0]); i++) {
        for (int processes = 1; processes <= 2; processes++) {
            int64_t urbs = write_ring(replayed[i], processes == 1 ? "1" : "2");
            struct trace trace;
            trace_test_read(in_folder("ring"), &trace);
            assert_int_equal(trace.format, TRACE_PCAP_220);
            assert_int_equal(trace.nr_urbs, urbs);
            assert_int_equal(trace.events, 2 * urbs);
            for (uint32_t u = 0; u < trace.nr_urbs; u++) {
                assert_true(trace.urbs[u].time_s_ns < trace.urbs[u].time_c_ns);
                assert_true(trace.urbs[u].status != -EREMOTEIO || (trace.urbs[u].flags & 1)); /* SHORT_NOT_OK */
            }
            trace_dispose(&trace);
            assert_int_equal(RUN("--json", in_folder("report"), in_folder("ring")), 0);
            json_t *report = load_report();
            const json_t *file = json_array_get(json_object_get(report, "files"), 0);
            assert_int_equal(number(file, "urbs"), urbs);
            if (number(file, "matched") != urbs)
                fail_msg("%s: played again, of %ld URBs only %ld match:\n%s", replayed[i], (long)urbs,
                         (long)number(file, "matched"), result.out);
            json_decref(report);
        }
    }
}

static void check_frame(const struct trace *trace, uint32_t frame, const char *line)
{
    char expected[256];
    const struct trace_event *event = &trace->order[frame];
    const struct trace_urb *urb = &trace->urbs[event->urb];
    bool submission = event->what == 'S';
    snprintf(expected, sizeof(expected), "'%c'\t%u\t%u\t0x%02x\t%d\t%u\t\n", event->what, urb->bus, urb->device,
             urb->endpoint | (urb->in ? 0x80u : 0u), submission ? TRACE_IN_PROGRESS : urb->status,
             submission ? urb->length : urb->actual);
    assert_string_equal(line, expected);
}

/*
 * Another program's decoder sees the same frames, statuses and lengths, and nothing malformed. Above
 * usbmon it guesses, wrongly of the recorded files too.
 */
static void test_replay_cli_pcap_wireshark(void **state)
{
    (void)state;
    if (system("tshark --version >/dev/null 2>&1")) {
        print_message("tshark is not installed\n");
        skip();
    }
    for (size_t i = 0; i < sizeof(replayed) / sizeof(replayed[0]); i++) {
        char command[512];
        char line[256];
        struct trace trace;
        uint32_t frames = 0;
        int64_t urbs = write_ring(replayed[i], "1");
        trace_test_read(in_folder("ring"), &trace);
        snprintf(command, sizeof(command),
                 "tshark -r %s --disable-protocol usbhid --disable-protocol uasp -T fields -E occurrence=f -e usb.urb_type -e usb.bus_id "
                 "-e usb.device_address -e usb.endpoint_address -e usb.urb_status -e usb.urb_len -e _ws.malformed "
                 "2>/dev/null",
                 in_folder("ring"));
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        while (fgets(line, sizeof(line), pipe)) {
            assert_true(frames < trace.nr_order);
            check_frame(&trace, frames++, line);
        }
        assert_int_equal(pclose(pipe), 0);
        assert_int_equal(frames, 2 * urbs);
        trace_dispose(&trace);
    }
}

/* ---- a process that dies ---- */

/* The children of a process, oldest first. */
static unsigned int children_of(pid_t pid, pid_t list[4])
{
    char path[64];
    char text[256] = "";
    unsigned int n = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (char *at = text, *end; n < 4 && (list[n] = (pid_t)strtol(at, &end, 10)) > 0; at = end)
        n++;
    return n;
}

/* Until the program runs all its processes; the recording keeps it busy for much longer than that. */
static void await_children(pid_t pid, pid_t list[4])
{
    while (children_of(pid, list) < 3) {
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        sched_yield();
    }
}

static const char *long_recording(void)
{
    static const struct trace_gen_limits limits = {
        .urbs = 60000, .in_flight = 20, .devices = 10, .plain = true, .length_max = 64};
    static char path[256];
    struct trace_gen gen;
    if (path[0])
        return path;
    snprintf(path, sizeof(path), "%s", in_folder("long"));
    trace_gen(1, &limits, &gen);
    assert_int_equal(trace_test_write(path, &gen.trace), 0);
    trace_gen_dispose(&gen);
    return path;
}

/* At once: left alone, the drivers would wait for ten seconds. */
static void test_replay_cli_killed_child(void **state)
{
    (void)state;
    static const char *const lines[] = {"the host process died: Killed", "the backend process died: Killed",
                                        "the frontend process died: Killed"};
    const char *const args[] = {"--processes", "2", long_recording(), NULL};
    for (unsigned int i = 0; i < 3; i++) {
        pid_t children[4];
        pid_t pid = start(args, in_folder("out"), in_folder("err"));
        await_children(pid, children);
        time_t killed = time(NULL);
        assert_int_equal(kill(children[i], SIGKILL), 0);
        finish(pid, in_folder("out"));
        assert_true(time(NULL) - killed < 9);
        assert_int_equal(result.code, 3);
        assert_string_equal(result.out, "");
        must_contain(result.err, lines[i]);
        assert_ptr_equal(strchr(result.err, '\n'), result.err + strlen(result.err) - 1);
    }
}

/* Killed or interrupted itself, its children end and clear away the folder. */
static void test_replay_cli_killed_parent(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM, SIGKILL};
    const char *const args[] = {"--processes", "2", long_recording(), NULL};
    for (unsigned int i = 0; i < 3; i++) {
        pid_t children[4];
        int status;
        pid_t pid = start(args, in_folder("out"), in_folder("err"));
        await_children(pid, children);
        assert_int_equal(kill(pid, signals[i]), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        for (unsigned int c = 0; c < 3; c++)
            assert_int_equal(waitpid(-1, NULL, 0) > 0, 1); /* we are the subreaper */
        nothing_left();
    }
}

/* ---- */

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || prctl(PR_SET_CHILD_SUBREAPER, 1))
        return -1;
    snprintf(scratch, sizeof(scratch), "%s/scratch", folder);
    return mkdir(scratch, 0700);
}

static int tear_down(void **state)
{
    (void)state;
    char command[256];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_cli_help),          cmocka_unit_test(test_replay_cli_usage),
        cmocka_unit_test(test_replay_cli_bad_files),     cmocka_unit_test(test_replay_cli_unreadable),
        cmocka_unit_test(test_replay_cli_only_completions), cmocka_unit_test(test_replay_cli_truncated),
        cmocka_unit_test(test_replay_cli_unwritable),    cmocka_unit_test(test_replay_cli_report),
        cmocka_unit_test(test_replay_cli_pcap_again),    cmocka_unit_test(test_replay_cli_pcap_wireshark),
        cmocka_unit_test(test_replay_cli_killed_child),  cmocka_unit_test(test_replay_cli_killed_parent),
    };
    if (argc != 2)
        return 1;
    program = argv[1];
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
