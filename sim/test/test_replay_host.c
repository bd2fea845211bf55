// SPDX-License-Identifier: MIT
/*
 * The recorded devices alone, without drivers: whatever order transfers arrive in, they complete as
 * recorded, and not before what came first in the recording has arrived.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay_support.h"

#define URBS_MAX 16u

struct bench {
    struct trace trace;
    struct trace_urb urbs[URBS_MAX];
    struct trace_event order[2 * URBS_MAX];
    struct plan plan;
    struct replay_results *results;
    struct replay_host *host;
    struct usb_host *usb;
    struct host_device *device;
    struct host_urb transfer[URBS_MAX];
    unsigned int done[URBS_MAX]; /* in which order, from 1 */
    unsigned int nr_done;
};

static void add(struct bench *b, uint8_t endpoint, bool in)
{
    b->urbs[b->trace.nr_urbs] = (struct trace_urb){.bus = 1,
                                                   .device = 2,
                                                   .endpoint = endpoint,
                                                   .in = in,
                                                   .type = USBIF_PIPE_TYPE_BULK,
                                                   .frame_s = 1,
                                                   .frame_c = 2,
                                                   .frame_e = TRACE_NONE};
    b->order[b->trace.nr_order++] = (struct trace_event){b->trace.nr_urbs++, 'S'};
}

static void end(struct bench *b, uint32_t u, int32_t status)
{
    b->urbs[u].status = status;
    b->order[b->trace.nr_order++] = (struct trace_event){u, 'C'};
}

static struct bench *begin(void)
{
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    b->trace.urbs = b->urbs;
    b->trace.order = b->order;
    return b;
}

static void open_device(struct bench *b, enum replay_match match)
{
    assert_int_equal(plan_create(&b->trace, &b->plan), 0);
    b->results = replay_results_create(&b->trace);
    assert_non_null(b->results);
    assert_int_equal(replay_host_create(&b->plan, match, b->results, &b->host), 0);
    b->usb = replay_host_usb(b->host);
    assert_int_equal(b->usb->ops->open(b->usb, "1-1", &b->device), -ENODEV);
    b->usb->ops->step(b->usb, 0);
    assert_int_equal(b->usb->ops->open(b->usb, "1-1", &b->device), 0);
    assert_int_equal(b->usb->ops->open(b->usb, "1-1", &b->device), -EBUSY);
}

static void dispose(struct bench *b)
{
    b->usb->ops->close(b->usb, b->device);
    replay_host_destroy(b->host);
    replay_results_destroy(b->results, &b->trace);
    plan_dispose(&b->plan);
    free(b);
}

static void completed(struct host_urb *urb)
{
    struct bench *b = urb->context;
    b->done[urb - b->transfer] = ++b->nr_done;
}

static void submit(struct bench *b, uint32_t u)
{
    b->transfer[u] = (struct host_urb){.endpoint = b->urbs[u].endpoint,
                                       .type = b->urbs[u].type,
                                       .in = b->urbs[u].in,
                                       .complete = completed,
                                       .context = b};
    b->done[u] = 0;
    b->usb->ops->submit(b->usb, b->device, &b->transfer[u]);
    b->usb->ops->step(b->usb, 0);
}

static void cancel(struct bench *b, uint32_t u)
{
    b->usb->ops->cancel(b->usb, b->device, &b->transfer[u]);
    b->usb->ops->step(b->usb, 0);
}

/* An answer is not given before the question that was recorded before it; with endpoint match it is. */
static void test_replay_host_waits_for_other_endpoints(void **state)
{
    (void)state;
    for (unsigned int match = REPLAY_STRICT; match <= REPLAY_ENDPOINT; match++) {
        struct bench *b = begin();
        add(b, 1, true);
        add(b, 2, false);
        end(b, 1, 0);
        end(b, 0, -EPIPE);
        open_device(b, (enum replay_match)match);
        submit(b, 0);
        assert_int_equal(b->nr_done, match == REPLAY_STRICT ? 0 : 1);
        submit(b, 1);
        assert_int_equal(b->done[0], match == REPLAY_STRICT ? 2 : 1);
        assert_int_equal(b->done[1], match == REPLAY_STRICT ? 1 : 2);
        assert_int_equal(b->transfer[0].status, -EPIPE);
        assert_int_equal(b->transfer[1].status, 0);
        dispose(b);
    }
}

/* On one endpoint the recorded order holds in both ways. */
static void test_replay_host_keeps_order_of_endpoint(void **state)
{
    (void)state;
    for (unsigned int match = REPLAY_STRICT; match <= REPLAY_ENDPOINT; match++) {
        struct bench *b = begin();
        for (unsigned int u = 0; u < 3; u++)
            add(b, 1, true);
        end(b, 2, 0);
        end(b, 0, 0);
        end(b, 1, 0);
        open_device(b, (enum replay_match)match);
        submit(b, 0);
        submit(b, 1);
        assert_int_equal(b->nr_done, 0);
        submit(b, 2);
        assert_int_equal(b->done[2], 1);
        assert_int_equal(b->done[0], 2);
        assert_int_equal(b->done[1], 3);
        dispose(b);
    }
}

/* What is unlinked waits for that, and gives back what it has. */
static void test_replay_host_unlinked(void **state)
{
    (void)state;
    for (unsigned int match = REPLAY_STRICT; match <= REPLAY_ENDPOINT; match++) {
        struct bench *b = begin();
        add(b, 1, true);
        end(b, 0, -ENOENT);
        open_device(b, (enum replay_match)match);
        submit(b, 0);
        assert_int_equal(b->nr_done, 0);
        cancel(b, 0);
        assert_int_equal(b->done[0], 1);
        assert_int_equal(b->transfer[0].status, -ECONNRESET);
        dispose(b);
    }
}

/* 13 receivers, the last of which completes first: the first is taken back for it and must be there again. */
static void test_replay_host_parked(void **state)
{
    (void)state;
    for (unsigned int match = REPLAY_STRICT; match <= REPLAY_ENDPOINT; match++) {
        struct bench *b = begin();
        for (unsigned int u = 0; u < 13; u++)
            add(b, 1, true);
        for (unsigned int u = 13; u-- > 0;)
            end(b, u, 0);
        open_device(b, (enum replay_match)match);
        for (unsigned int u = 0; u < 12; u++)
            submit(b, u);
        assert_int_equal(b->nr_done, 0);
        cancel(b, 0);
        assert_int_equal(b->done[0], 1);
        assert_int_equal(b->transfer[0].status, -ECONNRESET);
        submit(b, 12);
        assert_int_equal(b->done[12], 2);
        if (match == REPLAY_STRICT)
            assert_int_equal(b->nr_done, 2);
        submit(b, 0);
        for (unsigned int u = 0; u < 12; u++)
            assert_int_equal(b->done[u], 14 - u);
        assert_int_equal(b->results->strays, 0);
        dispose(b);
    }
}

/* A cancellation that is not planned is somebody making room: the transfer may come again. */
static void test_replay_host_cancelled_unplanned(void **state)
{
    (void)state;
    struct bench *b = begin();
    add(b, 1, true);
    add(b, 2, true);
    end(b, 1, 0);
    end(b, 0, 0);
    open_device(b, REPLAY_STRICT);
    submit(b, 0);
    cancel(b, 0);
    assert_int_equal(b->transfer[0].status, -ECONNRESET);
    submit(b, 0);
    submit(b, 1);
    assert_int_equal(b->done[1], 2);
    assert_int_equal(b->done[0], 3);
    assert_int_equal(b->transfer[0].status, 0);
    assert_int_equal(b->results->strays, 0);
    dispose(b);
}

/* What is still there when the device is given back is completed; what nobody recorded is stalled. */
static void test_replay_host_close_and_stray(void **state)
{
    (void)state;
    struct bench *b = begin();
    add(b, 1, true);
    add(b, 1, true);
    end(b, 1, 0);
    end(b, 0, 0);
    add(b, 2, true);
    end(b, 2, 0);
    b->trace.nr_urbs = 2; /* the third is not in the recording */
    b->trace.nr_order -= 2;
    open_device(b, REPLAY_STRICT);
    submit(b, 0);
    submit(b, 2);
    assert_int_equal(b->transfer[2].status, -EPIPE);
    assert_int_equal(b->results->strays, 1);
    b->usb->ops->close(b->usb, b->device);
    assert_int_equal(b->done[0], 2);
    assert_int_equal(b->transfer[0].status, -ECONNRESET);
    dispose(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_host_waits_for_other_endpoints),
        cmocka_unit_test(test_replay_host_keeps_order_of_endpoint),
        cmocka_unit_test(test_replay_host_unlinked),
        cmocka_unit_test(test_replay_host_parked),
        cmocka_unit_test(test_replay_host_cancelled_unplanned),
        cmocka_unit_test(test_replay_host_close_and_stray),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
