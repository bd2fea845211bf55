// SPDX-License-Identifier: MIT
/*
 * Goal: under random traffic every URB completes exactly once, in the order of its endpoint, and a stream of
 * bytes per endpoint arrives without a gap, whatever is taken back or unlinked meanwhile.
 *
 * Usage: test_front_stress [SEED [URBS]]. The seed is printed and reproduces the run.
 *
 * The model: each IN endpoint is an endless stream of counted bytes of which every answer carries the next;
 * each OUT and control URB carries its number. The backend answers an endpoint in order, endpoints at random.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "front_rig.h"

#define ENDPOINTS 40u /* 0..23 IN, 24..35 OUT, 36..39 control, each of a device of its own */
#define IN_ENDS   24u
#define OUT_ENDS  12u
#define URBS      96u
#define PACKET    64u
#define LENGTH    512u
#define MS        UINT64_C(1000000)

static uint64_t seed = 20261;
static uint32_t urbs_wanted = 100000;

struct work {
    struct hcd_urb urb;
    bool busy;
    bool unlinked;
    unsigned int endpoint;
    uint32_t number; /* within the endpoint, counted from 1 */
};

struct endpoint {
    uint32_t submitted;
    uint32_t seen;        /* guest: number of the last that came back by itself */
    uint8_t guest_byte;   /* guest: what the stream goes on with */
    uint8_t device_byte;  /* device: likewise */
    uint32_t device_seen; /* OUT and control: number of the last at the device */
    bool idle;            /* the device has nothing to say at present */
};

struct stress {
    struct frig frig;
    uint64_t random;
    struct work work[URBS];
    struct endpoint endpoint[ENDPOINTS];
    struct usbif_urb_request pending[16]; /* at the backend, in order of arrival */
    unsigned int nr_pending;
    uint32_t submitted;
    uint32_t completed;
};

static uint32_t below(struct stress *s, uint32_t limit)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (uint32_t)(s->random >> 20) % limit;
}

/* ---- the guest ---- */

static void check_stream(struct endpoint *end, const struct hcd_urb *urb)
{
    const uint8_t *data = urb->buffer;
    for (uint32_t i = 0; i < urb->actual; i++)
        assert_int_equal(data[i], end->guest_byte++);
}

static void completed(struct hcd_urb *urb)
{
    struct stress *s = urb->context;
    struct work *work = (struct work *)urb;
    struct endpoint *end = &s->endpoint[work->endpoint];
    assert_true(work->busy); /* never twice */
    work->busy = false;
    s->completed++;
    if (urb->in && urb->type != USBIF_PIPE_TYPE_CTRL)
        check_stream(end, urb);
    if (work->unlinked) {
        assert_true(urb->status == -ENOENT || urb->status == -ESHUTDOWN);
        return;
    }
    if (urb->status == -ESHUTDOWN)
        return; /* the end of the run */
    assert_int_equal(urb->status, 0);
    assert_true(work->number > end->seen);
    end->seen = work->number;
}

static void submit_one(struct stress *s)
{
    struct work *work = &s->work[below(s, URBS)];
    if (work->busy)
        return;
    unsigned int e = below(s, 8) ? below(s, IN_ENDS) : IN_ENDS + below(s, ENDPOINTS - IN_ENDS);
    struct endpoint *end = &s->endpoint[e];
    uint8_t *buffer = s->frig.buffer + (size_t)(work - s->work) * LENGTH;
    work->endpoint = e;
    work->number = ++end->submitted;
    work->unlinked = false;
    work->busy = true;
    if (e >= IN_ENDS + OUT_ENDS) {
        work->urb = frig_control(&s->frig, (const uint8_t[8]){0x40, 1}, NULL);
        memcpy(work->urb.setup + 2, &work->number, 4);
    } else {
        work->urb = frig_data(&s->frig, e % 3 ? USBIF_PIPE_TYPE_BULK : USBIF_PIPE_TYPE_INT, 1, e < IN_ENDS,
                              buffer, PACKET * (1 + below(s, LENGTH / PACKET)));
        if (e >= IN_ENDS)
            memcpy(buffer, &work->number, 4);
    }
    work->urb.device = (uint8_t)(e + 1);
    work->urb.complete = completed;
    work->urb.context = s;
    assert_int_equal(frig_submit(&s->frig, &work->urb), 0);
    s->submitted++;
}

static void unlink_one(struct stress *s)
{
    struct work *work = &s->work[below(s, URBS)];
    if (!work->busy || work->unlinked)
        return;
    work->unlinked = true;
    assert_int_equal(frig_unlink(&s->frig, &work->urb, -ENOENT), 0);
}

/* ---- the device side ---- */

static void forget(struct stress *s, unsigned int i)
{
    s->nr_pending--;
    memmove(&s->pending[i], &s->pending[i + 1], (s->nr_pending - i) * sizeof(s->pending[0]));
}

static unsigned int endpoint_of(const struct usbif_urb_request *request)
{
    return (request->pipe >> 8 & 0x7f) - 1;
}

/* Is request i the oldest of its endpoint? */
static bool is_head(const struct stress *s, unsigned int i)
{
    for (unsigned int j = 0; j < i; j++) {
        if (!(s->pending[j].pipe & 0x20) && endpoint_of(&s->pending[j]) == endpoint_of(&s->pending[i]))
            return false;
    }
    return true;
}

static void put_stream(struct stress *s, const struct usbif_urb_request *request, uint32_t length)
{
    uint8_t data[LENGTH];
    struct endpoint *end = &s->endpoint[endpoint_of(request)];
    for (uint32_t i = 0; i < length; i++)
        data[i] = end->device_byte++;
    assert_int_equal(raw_back_copy(&s->frig.back, request, true, data, length), length);
}

static void respond(struct stress *s, uint16_t id, int32_t status, uint32_t actual)
{
    raw_back_put(&s->frig.back,
                 (struct usbif_urb_response){.id = id, .status = status, .actual_length = (int32_t)actual});
}

static void check_number(struct stress *s, const struct usbif_urb_request *request)
{
    uint32_t number = 0;
    struct endpoint *end = &s->endpoint[endpoint_of(request)];
    if (request->pipe >> 30 == USBIF_PIPE_TYPE_CTRL)
        memcpy(&number, request->u.ctrl + 2, 4);
    else
        raw_back_copy(&s->frig.back, request, false, &number, 4);
    assert_true(number > end->device_seen);
    end->device_seen = number;
}

/* Answers a transfer with what the device has. */
static void finish(struct stress *s, unsigned int i)
{
    struct usbif_urb_request request = s->pending[i];
    bool in = endpoint_of(&request) < IN_ENDS;
    uint32_t length = request.buffer_length;
    if (in && below(s, 3) == 0)
        length = below(s, length + 1);
    if (in)
        put_stream(s, &request, length);
    else
        check_number(s, &request);
    respond(s, request.id, 0, length);
    forget(s, i);
}

/* An unlink: its target, if there, may have got whole packets by then; any order of the two answers. */
static void cancel(struct stress *s, unsigned int i)
{
    struct usbif_urb_request unlink = s->pending[i];
    bool first = below(s, 2);
    forget(s, i);
    if (first)
        respond(s, unlink.id, 0, 0);
    for (unsigned int t = 0; t < i; t++) { /* what came after it may have the same id, but is not meant */
        struct usbif_urb_request target = s->pending[t];
        if (target.pipe & 0x20 || target.id != unlink.u.unlink.unlink_id)
            continue;
        uint32_t length = 0;
        if (is_head(s, t) && endpoint_of(&target) < IN_ENDS && below(s, 2))
            length = PACKET * below(s, target.buffer_length / PACKET);
        if (length > 0)
            put_stream(s, &target, length);
        respond(s, target.id, below(s, 2) ? -71 : -104, length);
        forget(s, t);
        break;
    }
    if (!first)
        respond(s, unlink.id, 0, 0);
}

static void device_moves(struct stress *s, unsigned int count)
{
    while (s->nr_pending < 16 && raw_back_take(&s->frig.back, &s->pending[s->nr_pending]))
        s->nr_pending++;
    while (count-- > 0 && s->nr_pending > 0) {
        unsigned int i = below(s, s->nr_pending);
        if (s->pending[i].pipe & 0x20)
            cancel(s, i);
        else if (is_head(s, i) && !s->endpoint[endpoint_of(&s->pending[i])].idle)
            finish(s, i);
    }
    raw_back_publish(&s->frig.back);
}

static void test_front_stress(void **state)
{
    static struct stress s;
    (void)state;
    printf("seed %" PRIu64 ", %" PRIu32 " URBs\n", seed, urbs_wanted);
    fflush(stdout);
    s.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    frig_start(&s.frig, 2, 4);
    while (s.submitted < urbs_wanted) {
        for (unsigned int n = below(&s, 12); n > 0; n--)
            submit_one(&s);
        if (below(&s, 4) == 0)
            unlink_one(&s);
        if (below(&s, 16) == 0)
            s.endpoint[below(&s, ENDPOINTS)].idle ^= 1;
        device_moves(&s, below(&s, 12));
        s.frig.rig.now_ns += below(&s, 40) * MS;
        front_step(s.frig.rig.front, s.frig.rig.now_ns);
        raw_back_drain(&s.frig.back);
        assert_int_equal(front_verdict(s.frig.rig.front), PVUSB_OK);
    }
    /* Everybody has something to say: all of it comes back by itself, in bounded time. */
    for (unsigned int e = 0; e < ENDPOINTS; e++)
        s.endpoint[e].idle = false;
    for (unsigned int i = 0; i < 2000 && s.completed < s.submitted; i++) {
        device_moves(&s, 64);
        s.frig.rig.now_ns += 10 * MS;
        front_step(s.frig.rig.front, s.frig.rig.now_ns);
        raw_back_drain(&s.frig.back);
    }
    assert_int_equal(s.completed, s.submitted);
    struct front_stats stats = front_stats(s.frig.rig.front);
    assert_int_equal(stats.urbs, s.submitted);
    assert_true(stats.unlinks > s.submitted / 100);
    device_moves(&s, 64);
    frig_dispose(&s.frig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_front_stress)};
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    if (argc > 2)
        urbs_wanted = (uint32_t)strtoul(argv[2], NULL, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
