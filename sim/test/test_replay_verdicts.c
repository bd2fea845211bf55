// SPDX-License-Identifier: MIT
/*
 * The checks can fail: guest and device are given recordings that differ in one field, and that
 * field, no other, is named; what is printed is compared as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/replay_cli.h"
#include "replay/sides.h"
#include "replay_support.h"
#include "trace_support.h"

/* ---- a recording of five URBs: control IN, bulk OUT, bulk IN, interrupt IN, isochronous IN ---- */

enum { CONTROL, OUT, IN, INTERRUPT, ISO, URBS };

struct recording {
    struct trace trace;
    struct trace_urb urbs[URBS];
    struct trace_event order[2 * URBS];
    struct pvusb_iso_desc iso_s[2];
    struct pvusb_iso_desc iso_c[2];
    uint8_t data[URBS][64];
};

static void fill_data(struct recording *r, unsigned int u)
{
    struct trace_urb *urb = &r->urbs[u];
    for (unsigned int i = 0; i < sizeof(r->data[u]); i++)
        r->data[u][i] = (uint8_t)(16 * u + i);
    urb->actual = urb->length;
    if (urb->in) {
        urb->in_data = r->data[u];
        urb->in_captured = urb->length;
    } else {
        urb->out = r->data[u];
        urb->out_captured = urb->length;
    }
}

static void make_recording(struct recording *r)
{
    *r = (struct recording){
        .urbs = {[CONTROL] = {.type = USBIF_PIPE_TYPE_CTRL,
                              .in = true,
                              .has_setup = true,
                              .setup = {0x80, 6, 0, 1, 0, 0, 18},
                              .length = 18},
                 [OUT] = {.type = USBIF_PIPE_TYPE_BULK, .endpoint = 2, .length = 31},
                 [IN] = {.type = USBIF_PIPE_TYPE_BULK, .endpoint = 1, .in = true, .length = 40},
                 [INTERRUPT] = {.type = USBIF_PIPE_TYPE_INT, .endpoint = 3, .in = true, .length = 8, .interval = 4},
                 [ISO] = {.type = USBIF_PIPE_TYPE_ISOC,
                          .endpoint = 4,
                          .in = true,
                          .length = 20,
                          .interval = 1,
                          .start_frame = 77,
                          .nr_packets = 2,
                          .nr_iso_s = 2,
                          .nr_iso_c = 2}},
        .iso_s = {{.offset = 0, .length = 10}, {.offset = 10, .length = 10}},
        .iso_c = {{.offset = 0, .length = 10, .actual_length = 10}, {.offset = 10, .length = 10, .actual_length = 10}},
    };
    for (unsigned int u = 0; u < URBS; u++) {
        r->urbs[u].bus = 3;
        r->urbs[u].device = 2;
        r->urbs[u].frame_s = 2 * u + 1;
        r->urbs[u].frame_c = 2 * u + 2;
        r->urbs[u].frame_e = TRACE_NONE;
        fill_data(r, u);
        r->order[2 * u] = (struct trace_event){u, 'S'};
        r->order[2 * u + 1] = (struct trace_event){u, 'C'};
    }
    r->urbs[ISO].iso_s = r->iso_s;
    r->urbs[ISO].iso_c = r->iso_c;
    r->trace = (struct trace){
        .urbs = r->urbs, .nr_urbs = URBS, .order = r->order, .nr_order = 2 * URBS, .events = 2 * URBS};
}

/* ---- a session whose sides follow two plans ---- */

static void run_sides(struct fakexen_local *local, struct guest_side *guest, struct device_side *device, bool (*end)(const struct guest_side *))
{
    uint64_t now_ns = 0;
    for (unsigned int idle = 0; !end(guest) && idle < 5;) {
        assert_int_equal(guest_side_step(guest, now_ns), 0);
        assert_int_equal(device_side_step(device, now_ns), 0);
        idle = fakexen_local_pending(local) ? 0 : idle + 1;
        now_ns += 1000000;
    }
}

static void play(const struct plan *guest_plan, const struct plan *device_plan, enum replay_match match,
                 struct replay_results *results)
{
    const struct replay_options options = {.processes = 1, .match = match};
    char error[REPLAY_ERROR_MAX] = "";
    struct fakexen_local *local;
    struct xen *dom0;
    struct guest_side guest;
    struct device_side device;
    assert_int_equal(fakexen_local_create(&local), 0);
    struct xen_machine *machine = fakexen_local_machine(local);
    assert_int_equal(machine->ops->domain_create(machine, REPLAY_GUEST), 0);
    assert_int_equal(machine->ops->open(machine, 0, &dom0), 0);
    assert_int_equal(replay_write_nodes(dom0, guest_plan), 0);
    xen_close(dom0);
    assert_int_equal(device_side_init(&device, machine, device_plan, &options, results), 0);
    assert_int_equal(guest_side_init(&guest, machine, guest_plan, &options, results, error), 0);
    run_sides(local, &guest, &device, guest_side_finished);
    guest_side_close(&guest);
    run_sides(local, &guest, &device, guest_side_closed);
    device_side_dispose(&device);
    assert_int_equal(guest_side_dispose(&guest, error), 0);
    struct fakexen_balance left = fakexen_local_balance(local);
    assert_int_equal(replay_check_balance(&left, error), 0);
    fakexen_local_destroy(local);
}

struct two_plans {
    struct recording guest_recording;
    struct recording device_recording;
    struct plan guest;
    struct plan device;
    struct replay_results *results;
};

/* Either change may be NULL; `late` is made to the guest's recording once its plan is there. */
static struct two_plans *play_changed(void (*guest)(struct recording *), void (*device)(struct recording *),
                                      void (*late)(struct recording *), enum replay_match match)
{
    struct two_plans *two = calloc(1, sizeof(*two));
    assert_non_null(two);
    make_recording(&two->guest_recording);
    make_recording(&two->device_recording);
    if (guest)
        guest(&two->guest_recording);
    if (device)
        device(&two->device_recording);
    assert_int_equal(plan_create(&two->guest_recording.trace, &two->guest), 0);
    assert_int_equal(plan_create(&two->device_recording.trace, &two->device), 0);
    if (late)
        late(&two->guest_recording);
    two->results = replay_results_create(&two->guest_recording.trace);
    assert_non_null(two->results);
    play(&two->guest, &two->device, match, two->results);
    return two;
}

static void dispose(struct two_plans *two)
{
    replay_results_destroy(two->results, &two->guest_recording.trace);
    plan_dispose(&two->guest);
    plan_dispose(&two->device);
    free(two);
}

/* ---- one change for each field ---- */

static void change_type(struct recording *r)
{
    r->urbs[IN].type = USBIF_PIPE_TYPE_INT;
}

static void change_direction(struct recording *r)
{
    r->urbs[CONTROL].in = false;
    r->urbs[CONTROL].setup[0] = 0;
    r->urbs[CONTROL].in_data = NULL;
    r->urbs[CONTROL].in_captured = 0;
}

static void change_setup(struct recording *r)
{
    r->urbs[CONTROL].setup[3] = 2;
}

static void change_length(struct recording *r)
{
    r->urbs[OUT].length = 30;
    r->urbs[OUT].out_captured = 30;
}

static void change_short_not_ok(struct recording *r)
{
    r->urbs[IN].flags = 1;
}

static void change_interval(struct recording *r)
{
    r->urbs[INTERRUPT].interval = 8;
}

static void change_iso_packets(struct recording *r)
{
    r->iso_s[1].length = 9;
}

static void change_iso_count(struct recording *r)
{
    r->urbs[ISO].nr_packets = r->urbs[ISO].nr_iso_s = r->urbs[ISO].nr_iso_c = 1;
}

static void change_out_data(struct recording *r)
{
    r->data[OUT][20] ^= 0xff;
    r->data[OUT][22] ^= 0x01;
}

static void change_status(struct recording *r)
{
    r->urbs[IN].status = -EPIPE;
}

static void change_actual(struct recording *r)
{
    r->urbs[OUT].actual = 30;
}

static void change_in_data(struct recording *r)
{
    r->data[IN][39] = 0;
}

static void change_iso_results(struct recording *r)
{
    r->iso_c[1].status = -EXDEV;
}

static void change_iso_data(struct recording *r)
{
    r->data[ISO][12] = 0;
}

static void change_error_count(struct recording *r)
{
    r->urbs[ISO].error_count = 1;
}

static void change_start_frame(struct recording *r)
{
    r->urbs[ISO].start_frame = 78;
}

/* Only then does the device wait for an unlink that never comes. */
static void change_to_open(struct recording *r)
{
    r->urbs[INTERRUPT].status = -ENOENT;
}

static void change_to_too_long(struct recording *r)
{
    r->urbs[IN].length = 70000;
}

static const struct row {
    const char *name;
    void (*guest)(struct recording *);
    void (*device)(struct recording *);
    void (*late)(struct recording *);
    unsigned int urb;
    uint32_t fields; /* with those that cannot but differ as well */
    bool as_device;  /* what was expected is what the device's recording says */
    const char *printed;
} rows[] = {
    {"type", NULL, change_type, NULL, IN, FIELD_TYPE, true,
     "  mismatch: URB 2, frame 5, Ii:3:002:1\n"
     "    type: expected 1, got 3\n"},
    {"direction", NULL, change_direction, NULL, CONTROL,
     FIELD_DIRECTION | FIELD_SETUP | FIELD_IN_DATA, true,
     "  mismatch: URB 0, frame 1, Co:3:002:0\n"
     "    direction: expected 0, got 1\n"
     "    setup packet:\n"
     "      expected  00 06 00 01 00 00 12 00\n"
     "      got       80 06 00 01 00 00 12 00\n"},
    {"setup", NULL, change_setup, NULL, CONTROL, FIELD_SETUP, true,
     "  mismatch: URB 0, frame 1, Ci:3:002:0\n"
     "    setup packet:\n"
     "      expected  80 06 00 02 00 00 12 00\n"
     "      got       80 06 00 01 00 00 12 00\n"},
    {"length", NULL, change_length, NULL, OUT, FIELD_LENGTH | FIELD_ACTUAL, true,
     "  mismatch: URB 1, frame 3, Bo:3:002:2\n"
     "    length: expected 30, got 31\n"},
    {"short_not_ok", NULL, change_short_not_ok, NULL, IN, FIELD_SHORT_NOT_OK, true,
     "  mismatch: URB 2, frame 5, Bi:3:002:1\n"
     "    SHORT_NOT_OK: expected 1, got 0\n"},
    {"interval", NULL, change_interval, NULL, INTERRUPT, FIELD_INTERVAL, true,
     "  mismatch: URB 3, frame 7, Ii:3:002:3\n"
     "    interval: expected 8, got 4\n"},
    {"iso packets", NULL, change_iso_packets, NULL, ISO, FIELD_ISO_PACKETS, true,
     "  mismatch: URB 4, frame 9, Zi:3:002:4\n"
     "    iso packets: packet 1: expected 9 bytes at 10, got 10 at 10\n"},
    {"iso packet count", NULL, change_iso_count, NULL, ISO,
     FIELD_ISO_PACKETS | FIELD_STATUS | FIELD_ACTUAL | FIELD_IN_DATA | FIELD_ISO_RESULTS | FIELD_START_FRAME, true,
     NULL},
    {"OUT data", NULL, change_out_data, NULL, OUT, FIELD_OUT_DATA, true,
     "  mismatch: URB 1, frame 3, Bo:3:002:2\n"
     "    OUT data: from byte 20 on\n"
     "      expected  db 25 27 27 28 29 2a 2b 2c 2d 2e\n"
     "      got       24 25 26 27 28 29 2a 2b 2c 2d 2e\n"
     "                ^^    ^^\n"},
    {"status", NULL, change_status, NULL, IN, FIELD_STATUS, false,
     "  mismatch: URB 2, frame 5, Bi:3:002:1\n"
     "    status: expected 0, got -32\n"},
    {"actual", NULL, change_actual, NULL, OUT, FIELD_ACTUAL, false,
     "  mismatch: URB 1, frame 3, Bo:3:002:2\n"
     "    actual length: expected 31, got 30\n"},
    {"IN data", NULL, change_in_data, NULL, IN, FIELD_IN_DATA, false,
     "  mismatch: URB 2, frame 5, Bi:3:002:1\n"
     "    IN data: from byte 39 on\n"
     "      expected  47\n"
     "      got       00\n"
     "                ^^\n"},
    {"iso results", NULL, change_iso_results, NULL, ISO, FIELD_ISO_RESULTS, false,
     "  mismatch: URB 4, frame 9, Zi:3:002:4\n"
     "    iso packet results: packet 1: expected 10 bytes, status 0; got 10 bytes, status -18\n"},
    {"iso data", NULL, change_iso_data, NULL, ISO, FIELD_IN_DATA, false,
     "  mismatch: URB 4, frame 9, Zi:3:002:4\n"
     "    IN data: from byte 12 on\n"
     "      expected  4c 4d 4e 4f 50 51 52 53\n"
     "      got       00 4d 4e 4f 50 51 52 53\n"
     "                ^^\n"},
    {"error count", NULL, change_error_count, NULL, ISO, FIELD_ERROR_COUNT, false,
     "  mismatch: URB 4, frame 9, Zi:3:002:4\n"
     "    error count: expected 0, got 1\n"},
    {"start frame", NULL, change_start_frame, NULL, ISO, FIELD_START_FRAME, false,
     "  mismatch: URB 4, frame 9, Zi:3:002:4\n"
     "    start frame: expected 77, got 78\n"},
    {"refused", NULL, NULL, change_to_too_long, IN, FIELD_NOT_TAKEN | FIELD_NOT_SEEN, false,
     "  mismatch: URB 2, frame 5, Bi:3:002:1\n"
     "    never reached the device\n"
     "    refused by the frontend: error -90\n"},
};

static char *printed(const struct two_plans *two, bool as_device)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    replay_print_mismatches(out, as_device ? &two->device : &two->guest, two->results, 5);
    fclose(out);
    return text;
}

/* Only the fields of the device side, or of the guest's, are printed as that side expected them. */
static void hide_other_side(struct two_plans *two, const struct row *row)
{
    struct replay_difference *difference = &two->results->difference[row->urb];
    (row->as_device ? &difference->guest : &difference->device)->fields = 0;
}

static void test_replay_verdicts_each_field(void **state)
{
    (void)state;
    uint32_t met = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct two_plans *two = play_changed(row->guest, row->device, row->late, REPLAY_ENDPOINT);
        for (unsigned int u = 0; u < URBS; u++) {
            const struct replay_difference *difference = &two->results->difference[u];
            uint32_t fields = difference->guest.fields | difference->device.fields;
            enum replay_verdict expected = u == row->urb ? VERDICT_MISMATCHED : VERDICT_MATCHED;
            uint32_t noted = row->fields & ~(uint32_t)FIELD_NOT_SEEN; /* which the report concludes */
            if (replay_verdict(&two->guest, two->results, u) != expected ||
                (u == row->urb ? (fields & ~row->fields) != 0 || (fields & noted) != noted : fields != 0))
                fail_msg("%s: URB %u differs in %x", row->name, u, fields);
        }
        met |= row->fields;
        hide_other_side(two, row);
        char *text = printed(two, row->as_device);
        if (row->printed)
            assert_string_equal(text, row->printed);
        free(text);
        dispose(two);
    }
    /* The two that are missing are in the next test. */
    assert_int_equal(met | FIELD_NO_ANSWER | FIELD_NOT_SEEN, (1u << REPLAY_FIELDS) - 1);
}

/* The guest waits for ever: what it waits for has no answer, what comes later was never seen. */
static void test_replay_verdicts_standstill(void **state)
{
    (void)state;
    struct two_plans *two = play_changed(NULL, change_to_open, NULL, REPLAY_STRICT);
    struct replay_summary summary;
    replay_summarise(&two->guest, two->results, &summary);
    assert_int_equal(summary.matched, 3);
    assert_int_equal(summary.mismatched, 2);
    assert_int_equal(summary.nr_steps, two->guest.nr_steps);
    assert_true(summary.guest_step < summary.nr_steps);
    char *text = printed(two, false);
    assert_string_equal(text, "  mismatch: URB 3, frame 7, Ii:3:002:3\n"
                              "    no answer\n"
                              "  mismatch: URB 4, frame 9, Zi:3:002:4\n"
                              "    no answer\n"
                              "    never reached the device\n");
    free(text);
    dispose(two);
}

static void remove_one(struct recording *r)
{
    r->trace.nr_urbs = ISO;
    r->trace.nr_order = 2 * ISO;
}

/* A transfer that the recording does not have is stalled and counted. */
static void test_replay_verdicts_stray(void **state)
{
    (void)state;
    struct two_plans *two = play_changed(NULL, remove_one, NULL, REPLAY_STRICT);
    assert_int_equal(two->results->strays, 1);
    assert_int_equal(replay_verdict(&two->guest, two->results, ISO), VERDICT_MISMATCHED);
    dispose(two);
}

static void test_replay_verdicts_nothing_changed(void **state)
{
    (void)state;
    for (unsigned int match = REPLAY_STRICT; match <= REPLAY_ENDPOINT; match++) {
        struct two_plans *two = play_changed(NULL, NULL, NULL, (enum replay_match)match);
        struct replay_summary summary;
        replay_summarise(&two->guest, two->results, &summary);
        assert_int_equal(summary.matched, URBS);
        assert_int_equal(summary.strays, 0);
        assert_int_equal(summary.guest_step, summary.nr_steps);
        dispose(two);
    }
}

static void test_replay_verdicts_left_open(void **state)
{
    (void)state;
    char error[REPLAY_ERROR_MAX] = "";
    struct fakexen_balance left = {0};
    assert_int_equal(replay_check_balance(&left, error), 0);
    assert_string_equal(error, "");
    left.grants = 3;
    assert_int_equal(replay_check_balance(&left, error), -EBUSY);
    assert_string_equal(error,
                        "left open at the end: 0 handles, 0 pages, 3 grants, 0 maps, 0 ports, 0 watches");
}

/* ---- what the program makes of it ---- */

static enum { NOTHING, DIFFERENCE, STRAY, STANDSTILL } wrong;

static int run_wrong(const struct plan *plan, const struct replay_options *options, struct replay_results *results,
                     struct replay_totals *totals, char error[REPLAY_ERROR_MAX])
{
    int rc = replay_run(plan, options, results, totals, error);
    if (wrong == DIFFERENCE)
        replay_differ(&results->difference[4].guest, FIELD_STATUS, -71);
    else if (wrong == STRAY)
        results->strays = 2;
    else if (wrong == STANDSTILL)
        results->guest_step--;
    return rc;
}

/* Runs the program's replay inside this one and returns what it wrote to stdout. */
static char *run_cli(int *code)
{
    char *argv[] = {(char *)"replay", (char *)(PVUSB_TRACE_DIR "/xhci-stall.pcap"), NULL};
    static char text[8192];
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    assert_true(saved >= 0 && dup2(fileno(file), STDOUT_FILENO) >= 0);
    *code = replay_cli_with(2, argv, run_wrong);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void test_replay_verdicts_exit_codes(void **state)
{
    (void)state;
    static const char *const lines[] = {
        [NOTHING] = "    53        0",
        [DIFFERENCE] = "\n  mismatch: URB 4, frame 9, Co:2:002:0\n    status: expected -32, got -71\n",
        [STRAY] = "\n  2 transfers reached the device that are not in the recording\n",
        [STANDSTILL] = "\n  came to a stand at step ",
    };
    for (unsigned int i = NOTHING; i <= STANDSTILL; i++) {
        int code;
        wrong = i;
        char *text = run_cli(&code);
        assert_int_equal(code, i == NOTHING ? EXIT_AS_EXPECTED : EXIT_CHECK_FAILED);
        if (i != NOTHING && !strstr(text, lines[i]))
            fail_msg("\"%s\" is not in:\n%s", lines[i], text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_verdicts_each_field), cmocka_unit_test(test_replay_verdicts_standstill),
        cmocka_unit_test(test_replay_verdicts_stray),      cmocka_unit_test(test_replay_verdicts_nothing_changed),
        cmocka_unit_test(test_replay_verdicts_left_open),  cmocka_unit_test(test_replay_verdicts_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
