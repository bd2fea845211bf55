// SPDX-License-Identifier: MIT
#include "stress_side.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolstack/vusb.h"

#define SECOND_NS UINT64_C(1000000000)
#define REST_NS   (5 * SECOND_NS)
#define TELL_URBS 250000u

/* ---- guest and frontend ---- */

int stress_front_side_init(struct stress_front_side *side, struct xen *xen)
{
    int rc = front_create(xen, 0, NULL, NULL, &side->front);
    if (rc)
        xen_close(xen);
    return rc;
}

void stress_front_side_dispose(struct stress_front_side *side)
{
    if (side->guest)
        side->guest->stopped = side->guest->closing = true; /* after a failure the controller ends in mid-traffic */
    front_destroy(side->front);
    stress_guest_destroy(side->guest);
    side->front = NULL;
    side->guest = NULL;
}

static void expect_equal(struct stress_report *report, const char *what, uint64_t guest, uint64_t device)
{
    if (guest != device)
        stress_fail(report->front_error, "%s: %llu at the guest, %llu at the devices", what,
                    (unsigned long long)guest, (unsigned long long)device);
}

/* All URBs are back, so both sides rest and must have counted the same. */
static void compare_sides(const struct stress_front_side *side)
{
    struct stress_report *report = side->report;
    report->front = front_stats(side->front);
    expect_equal(report, "bytes in", report->guest_in, report->device_in);
    expect_equal(report, "bytes out", report->guest_out, report->device_out);
    expect_equal(report, "requests", report->front.requests, report->back.requests);
    expect_equal(report, "responses", report->front.responses, report->back.responses);
    expect_equal(report, "requests and responses", report->front.requests, report->front.responses);
}

/* An unlink may be answered after its URB, and the backend writes its figures after it has answered. */
static bool at_rest(const struct stress_front_side *side)
{
    struct front_stats stats = front_stats(side->front);
    return stats.requests == stats.responses && side->report->back.responses == stats.responses;
}

static bool warm_enough(const struct stress_front_side *side, uint64_t elapsed_ns)
{
    const struct stress_options *options = side->options;
    if (options->urbs)
        return side->report->urbs >= options->urbs / 5;
    return elapsed_ns >= options->seconds * SECOND_NS / 10;
}

static bool long_enough(const struct stress_front_side *side, uint64_t elapsed_ns)
{
    const struct stress_options *options = side->options;
    return (options->urbs && side->report->urbs >= options->urbs) ||
           (options->seconds && elapsed_ns >= options->seconds * SECOND_NS);
}

/* For who waits for a long run. */
static void tell(struct stress_front_side *side, uint64_t elapsed_ns)
{
    if (side->report->urbs < side->told + TELL_URBS)
        return;
    side->told = side->report->urbs;
    printf("%" PRIu64 " URBs in %" PRIu64 " s\n", side->told, elapsed_ns / SECOND_NS);
    fflush(stdout);
}

static int run(struct stress_front_side *side, uint64_t now_ns)
{
    struct stress_report *report = side->report;
    uint64_t elapsed = now_ns - side->begun_ns;
    stress_guest_step(side->guest, now_ns);
    tell(side, elapsed);
    if (!side->warm && warm_enough(side, elapsed)) {
        side->warm = true;
        if (side->measure)
            side->measure(side->context, report->warm);
    }
    if (side->phase == SIDE_RUNNING && long_enough(side, elapsed)) {
        side->phase = SIDE_DRAINING;
        side->guest->stopped = true;
        report->elapsed_ns = elapsed;
    }
    if (side->phase != SIDE_DRAINING || !stress_guest_idle(side->guest) ||
        (!at_rest(side) && elapsed - report->elapsed_ns < REST_NS))
        return 0;
    compare_sides(side);
    if (side->measure)
        side->measure(side->context, report->end);
    stress_guest_last_batch(side->guest);
    front_close(side->front);
    side->phase = SIDE_CLOSING;
    side->closed_ns = now_ns;
    return 0;
}

static void wait_for(const struct stress_front_side *side, enum xenbus_state state, uint64_t since_ns, uint64_t now_ns)
{
    if (now_ns - since_ns > STRESS_LOST_NS)
        stress_fail(side->report->front_error, "the frontend came to state %d, not to %d", front_state(side->front),
                    state);
}

int stress_front_side_step(struct stress_front_side *side, uint64_t now_ns)
{
    struct stress_report *report = side->report;
    int rc = front_step(side->front, now_ns);
    if (rc)
        return rc;
    if (side->created_ns == 0)
        side->created_ns = now_ns;
    if (side->phase != SIDE_CLOSING && front_verdict(side->front) != PVUSB_OK)
        stress_fail(report->front_error, "the frontend gave up: %s", pvusb_verdict_name(front_verdict(side->front)));
    switch (side->phase) {
    case SIDE_CONNECTING:
        if (front_state(side->front) != XenbusStateConnected) {
            wait_for(side, XenbusStateConnected, side->created_ns, now_ns);
            break;
        }
        rc = stress_guest_create(front_hcd(side->front), side->options->seed, report, &side->guest);
        side->begun_ns = now_ns;
        side->phase = SIDE_RUNNING;
        break;
    case SIDE_RUNNING:
    case SIDE_DRAINING:
        rc = run(side, now_ns);
        break;
    case SIDE_CLOSING:
        if (front_state(side->front) != XenbusStateClosed) {
            wait_for(side, XenbusStateClosed, side->closed_ns, now_ns);
            break;
        }
        if (!stress_guest_idle(side->guest))
            stress_fail(report->front_error, "%u URBs did not come back when the controller closed",
                        side->guest->in_flight);
        else
            stress_guest_release(side->guest);
        side->phase = SIDE_CLOSED;
        break;
    case SIDE_CLOSED:
        break;
    }
    return rc ? rc : report->front_error[0] || report->back_error[0] ? -EPROTO : 0;
}

/* Never for long: what does not come is to be noticed. */
uint64_t stress_front_side_deadline(const struct stress_front_side *side)
{
    uint64_t due = front_deadline(side->front);
    uint64_t guest = side->guest ? stress_guest_deadline(side->guest) : side->created_ns + 2 * STRESS_LOST_NS;
    return guest < due ? guest : due;
}

/* ---- backend and devices ---- */

int stress_back_side_init(struct stress_back_side *side, struct xen_machine *machine,
                          const struct stress_options *options, struct stress_report *report)
{
    *side = (struct stress_back_side){.report = report};
    side->host = malloc(sizeof(*side->host));
    if (!side->host)
        return -ENOMEM;
    int rc = machine->ops->open(machine, 0, &side->toolstack);
    if (rc)
        return rc;
    stress_host_init(side->host, options, side->toolstack, report);
    return back_driver_create(machine, 0, &(struct back_config){.host = &side->host->host}, &side->driver);
}

void stress_back_side_dispose(struct stress_back_side *side)
{
    back_driver_destroy(side->driver);
    xen_close(side->toolstack);
    free(side->host);
    *side = (struct stress_back_side){0};
}

int stress_back_side_step(struct stress_back_side *side, uint64_t now_ns)
{
    side->host->now_ns = now_ns;
    int rc = back_driver_step(side->driver, now_ns);
    if (rc)
        return rc;
    side->host->host.ops->step(&side->host->host, now_ns);
    struct back *back = back_driver_connector(side->driver, 0);
    if (!back)
        return 0;
    side->report->back = back_stats(back);
    if (back_verdict(back) != PVUSB_OK)
        stress_fail(side->report->back_error, "the backend gave up: %s", pvusb_verdict_name(back_verdict(back)));
    return 0;
}

uint64_t stress_back_side_deadline(const struct stress_back_side *side)
{
    return back_driver_busy(side->driver) ? 0 : side->host->host.ops->deadline(&side->host->host);
}

/* ---- the machine ---- */

int stress_make_machine(struct xen_machine *machine)
{
    struct xen *dom0;
    int rc = machine->ops->domain_create(machine, STRESS_GUEST);
    if (!rc)
        rc = machine->ops->open(machine, 0, &dom0);
    if (rc)
        return rc;
    rc = vusb_create(dom0, stress_controller());
    for (unsigned int port = 1; !rc && port <= STRESS_PORTS; port++) {
        char busid[16];
        stress_busid(port, busid);
        rc = vusb_set_port(dom0, stress_controller(), port, busid);
    }
    xen_close(dom0);
    return rc;
}
