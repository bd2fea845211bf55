// SPDX-License-Identifier: MIT
/*
 * Goal: 16 slots serve everybody: idle receivers lock nobody out, and turns cost no data and no order
 * (RING-12).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "front_rig.h"

#define BULK USBIF_PIPE_TYPE_BULK
#define MS   UINT64_C(1000000)

static const uint8_t get_descriptor[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};

static unsigned int take_all(struct frig *frig, struct usbif_urb_request *request, unsigned int size)
{
    unsigned int n = 0;
    while (n < size && raw_back_take(&frig->back, &request[n]))
        n++;
    return n;
}

/* An idle receiver for each of count endpoints, from device 1 on. */
static void submit_in(struct frig *frig, struct hcd_urb *urb, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++) {
        urb[i] = frig_data(frig, BULK, 1, true, frig->buffer + 512 * i, 512);
        urb[i].device = (uint8_t)(i + 1);
        assert_int_equal(frig_submit(frig, &urb[i]), 0);
    }
}

static uint8_t device_of(const struct usbif_urb_request *request)
{
    return (uint8_t)(request->pipe >> 8 & 0x7f);
}

/* Rules RING-11, RING-12: what Linux cdc-acm does, and the port stays usable. */
static void test_front_slots_acm(void **state)
{
    struct frig frig;
    struct hcd_urb in[16];
    struct usbif_urb_request request[16];
    (void)state;
    frig_start(&frig, 2, 4);
    struct hcd_urb notify = frig_data(&frig, USBIF_PIPE_TYPE_INT, 3, true, frig.buffer, 16);
    assert_int_equal(frig_submit(&frig, &notify), 0);
    for (unsigned int i = 0; i < 16; i++) {
        in[i] = frig_data(&frig, BULK, 1, true, frig.buffer, 512);
        assert_int_equal(frig_submit(&frig, &in[i]), 0);
    }
    assert_int_equal(take_all(&frig, request, 16), 12);
    struct hcd_urb control = frig_control(&frig, get_descriptor, frig.buffer);
    struct hcd_urb out = frig_data(&frig, BULK, 2, false, frig.buffer, 64);
    for (unsigned int round = 0; round < 20; round++) {
        assert_int_equal(frig_submit(&frig, &control), 0);
        assert_int_equal(frig_submit(&frig, &out), 0);
        uint16_t of_control = frig_take(&frig).id;
        frig_answer(&frig, frig_take(&frig).id, 0, 64);
        frig_answer(&frig, of_control, 0, 18);
        assert_int_equal(frig.nr_done, 2 * (round + 1));
    }
    assert_int_equal(frig_unlink(&frig, &in[3], -ENOENT), 0);
    struct usbif_urb_request unlink = frig_take(&frig);
    assert_int_equal(unlink.u.unlink.unlink_id, request[4].id);
    frig_answer(&frig, request[4].id, -71, 0);
    frig_answer(&frig, unlink.id, 0, 0);
    assert_int_equal(take_all(&frig, request, 16), 1); /* the next of the queue */
    frig_dispose(&frig);
}

/* Rules RING-11, RING-12: how many of each class fit beside each other. */
static void test_front_slots_shares(void **state)
{
    static const struct {
        unsigned int in;
        unsigned int out;
        unsigned int control;
        unsigned int on_ring[3];
    } row[] = {
        {20, 0, 0, {12, 0, 0}},   {0, 20, 0, {0, 10, 0}},  {0, 0, 20, {0, 0, 15}},  {20, 20, 0, {12, 2, 0}},
        {20, 20, 20, {12, 2, 1}}, {0, 20, 20, {0, 10, 5}}, {20, 0, 20, {12, 0, 3}}, {5, 20, 20, {5, 9, 1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct frig frig;
        struct hcd_urb urb[60];
        struct usbif_urb_request request[17];
        unsigned int n = 0;
        unsigned int found[3] = {0};
        frig_start(&frig, 2, 4);
        for (unsigned int j = 0; j < row[i].in + row[i].out; j++, n++) {
            urb[n] = frig_data(&frig, BULK, 1, j < row[i].in, frig.buffer, 64);
            assert_int_equal(frig_submit(&frig, &urb[n]), 0);
        }
        for (unsigned int j = 0; j < row[i].control; j++, n++) {
            urb[n] = frig_control(&frig, get_descriptor, frig.buffer);
            assert_int_equal(frig_submit(&frig, &urb[n]), 0);
        }
        frig_run(&frig);
        unsigned int taken = take_all(&frig, request, 17);
        for (unsigned int j = 0; j < taken; j++) {
            bool control = request[j].pipe >> 30 == 2;
            found[control ? 2 : request[j].pipe & 0x80 ? 0 : 1]++;
        }
        assert_memory_equal(found, row[i].on_ring, sizeof(found));
        for (unsigned int j = 0; j < taken; j++)
            frig_answer(&frig, request[j].id, 0, 0);
        unsigned int more;
        while ((more = take_all(&frig, request, 17)) > 0) {
            for (unsigned int j = 0; j < more; j++)
                frig_answer(&frig, request[j].id, 0, 0);
        }
        assert_int_equal(frig.nr_done, n);
        for (unsigned int j = 0, last[3] = {0}; j < n; j++) { /* each class in its own order */
            unsigned int class = frig.done[j]->type == USBIF_PIPE_TYPE_CTRL ? 2 : frig.done[j]->in;
            unsigned int at = (unsigned int)(frig.done[j] - urb) + 1;
            assert_true(at > last[class]);
            last[class] = at;
        }
        frig_dispose(&frig);
    }
}

/* ---- turns ---- */

static unsigned int tapped[2];

static void count_submitted(void *context, const struct hcd_urb *urb)
{
    (void)context;
    (void)urb;
    tapped[0]++;
}

static void count_returned(void *context, const struct hcd_urb *urb)
{
    (void)context;
    (void)urb;
    tapped[1]++;
}

/*
 * Rule RING-12: 31 endpoints that say nothing; each gets to the ring, in 100 ms turns, again and again. A
 * recorder sees nothing of that.
 */
static void test_front_slots_turns(void **state)
{
    enum { N = 31 };
    struct frig frig;
    struct hcd_urb urb[N];
    unsigned int turns[N + 1] = {0};
    uint16_t id_of[N + 1];
    struct usbif_urb_request request;
    (void)state;
    const struct front_tap tap = {.submitted = count_submitted, .returned = count_returned};
    frig_start(&frig, 2, 4);
    tapped[0] = tapped[1] = 0;
    front_set_tap(frig.rig.front, &tap);
    submit_in(&frig, urb, N);
    assert_true(front_deadline(frig.rig.front) <=
                frig.rig.now_ns); /* a runner that only waits must come back */
    frig_run(&frig);
    for (unsigned int tick = 0; tick < 200; tick++) {
        assert_int_equal(front_deadline(frig.rig.front), frig.rig.now_ns + 100 * MS);
        frig_advance(&frig, 100 * MS - 1);
        unsigned int fresh = 0;
        while (raw_back_take(&frig.back, &request)) {
            assert_int_equal(request.pipe & 0x20, 0);
            turns[device_of(&request)]++;
            id_of[device_of(&request)] = request.id;
            fresh++;
        }
        assert_int_equal(fresh, tick ? 1 : 12);
        frig_advance(&frig, 1);
        request = frig_take(&frig);
        assert_int_not_equal(request.pipe & 0x20, 0);
        assert_int_equal(device_of(&request), tick % N + 1); /* whoever has had its slot longest */
        assert_int_equal(request.u.unlink.unlink_id, id_of[device_of(&request)]);
        frig_answer(&frig, id_of[device_of(&request)], -71, 0);
        frig_answer(&frig, request.id, 0, 0);
    }
    for (unsigned int i = 1; i <= N; i++)
        assert_true(turns[i] >= 6);
    assert_int_equal(frig.nr_done, 0);
    frig_dispose(&frig);
    assert_int_equal(frig.nr_done, N);
    assert_int_equal(tapped[0], N);
    assert_int_equal(tapped[1], N);
}

/* frontend.h: nobody is disturbed while the endpoints that wait have a slot, or are not there. */
static void test_front_slots_no_turn(void **state)
{
    struct frig frig;
    struct hcd_urb urb[20];
    struct usbif_urb_request request[16];
    (void)state;
    for (unsigned int own = 0; own < 2; own++) {
        frig_start(&frig, 2, 4);
        submit_in(&frig, urb, own ? 12 : 11);
        if (own)
            for (unsigned int i = 12; i < 20; i++) {
                urb[i] = urb[i - 12];
                assert_int_equal(frig_submit(&frig, &urb[i]), 0);
            }
        assert_int_equal(take_all(&frig, request, 16), own ? 12 : 11);
        frig_run(&frig);
        for (unsigned int i = 0; i < 100; i++)
            frig_advance(&frig, 100 * MS);
        frig_expect_no_request(&frig);
        assert_int_equal(front_deadline(frig.rig.front), UINT64_MAX);
        frig_dispose(&frig);
    }
}

/*
 * Rule RING-12: what makes an endpoint another one, and that an OUT that is stuck does not end the turns of
 * the INs.
 */
static void test_front_slots_who_starves(void **state)
{
    static const struct {
        uint8_t port;
        uint8_t device;
        uint8_t endpoint;
        uint8_t outs; /* stuck, of the same device and endpoint number */
        bool turn;
    } row[] = {
        {1, 5, 1, 0, false}, {2, 5, 1, 0, true}, {1, 6, 1, 0, true}, {1, 5, 2, 0, true},
        {1, 6, 1, 1, true},  {1, 6, 1, 2, true}, {1, 6, 1, 9, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct frig frig;
        struct hcd_urb out[9];
        struct hcd_urb in[12];
        struct usbif_urb_request request[16];
        frig_start(&frig, 2, 4);
        struct hcd_urb last = frig_data(&frig, BULK, row[i].endpoint, true, frig.buffer, 64);
        last.port = row[i].port;
        last.device = row[i].device;
        for (unsigned int j = 0; j < row[i].outs; j++) {
            out[j] = last;
            out[j].in = false;
            assert_int_equal(frig_submit(&frig, &out[j]), 0);
        }
        for (unsigned int j = 0; j < 12; j++) {
            in[j] = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
            assert_int_equal(frig_submit(&frig, &in[j]), 0);
        }
        assert_int_equal(frig_submit(&frig, &last), 0);
        take_all(&frig, request, 16);
        frig_run(&frig);
        frig_advance(&frig, 99 * MS);
        frig_expect_no_request(&frig);
        frig_advance(&frig, MS);
        assert_int_equal(take_all(&frig, request, 16), row[i].turn);
        frig_dispose(&frig);
    }
}

/*
 * An endpoint (device 9) with all slots and more waiting, and another (device 7) that starves: a turn is due.
 */
struct hog {
    struct frig frig;
    struct hcd_urb many[15];
    struct hcd_urb other;
    struct usbif_urb_request on_ring[12];
    struct usbif_urb_request unlink;
};

static void hog_start(struct hog *hog, uint32_t length)
{
    frig_start(&hog->frig, 2, 4);
    for (unsigned int i = 0; i < 15; i++) {
        hog->many[i] = frig_data(&hog->frig, BULK, 1, true, hog->frig.buffer + 8192 * i, length);
        hog->many[i].device = 9;
        assert_int_equal(frig_submit(&hog->frig, &hog->many[i]), 0);
    }
    hog->other = frig_data(&hog->frig, BULK, 1, true, hog->frig.buffer, 64);
    hog->other.device = 7;
    assert_int_equal(frig_submit(&hog->frig, &hog->other), 0);
    assert_int_equal(take_all(&hog->frig, hog->on_ring, 12), 12);
    frig_run(&hog->frig);
    frig_advance(&hog->frig, 100 * MS);
    hog->unlink = frig_take(&hog->frig);
    assert_int_equal(hog->unlink.u.unlink.unlink_id, hog->on_ring[11].id); /* the newest */
}

/* Rule RING-12: the order within an endpoint, while and after it gives up a slot. */
static void test_front_slots_order_of_hog(void **state)
{
    struct hog hog;
    struct usbif_urb_request request;
    (void)state;
    hog_start(&hog, 512);
    struct frig *frig = &hog.frig;
    frig_answer(frig, hog.on_ring[0].id, 0, 512);
    request = frig_take(frig);
    assert_int_equal(device_of(&request), 7); /* not the next of device 9, which must not overtake */
    frig_answer(frig, request.id, 0, 64);
    frig_expect_no_request(frig);
    assert_int_equal(frig_submit(frig, &hog.other), 0);
    frig_answer(frig, frig_take(frig).id, 0, 64);
    frig_answer(frig, hog.on_ring[11].id, -71, 0);
    frig_answer(frig, hog.unlink.id, 0, 0);
    hog.on_ring[11] = frig_take(frig); /* again, and then those behind it */
    for (unsigned int i = 1; i < 12; i++)
        frig_answer(frig, hog.on_ring[i].id, 0, 512);
    while (raw_back_take(&frig->back, &request))
        frig_answer(frig, request.id, 0, 512);
    assert_int_equal(frig->nr_done, 17);
    for (unsigned int i = 0, last = 0; i < 17; i++) {
        if (frig->done[i] == &hog.other)
            continue;
        assert_ptr_equal(frig->done[i], &hog.many[last]);
        last++;
    }
    frig_dispose(frig);
}

/*
 * Rule RING-12: a backend that does not answer the take-back loses no order either; one per endpoint is
 * asked.
 */
static void test_front_slots_silent_backend(void **state)
{
    struct hog hog;
    (void)state;
    hog_start(&hog, 512);
    for (unsigned int i = 0; i < 600; i++)
        frig_advance(&hog.frig, 100 * MS);
    frig_expect_no_request(&hog.frig);
    frig_answer(&hog.frig, hog.unlink.id, 0, 0);
    frig_advance(&hog.frig, 100 * MS);
    frig_expect_no_request(&hog.frig);
    frig_answer(&hog.frig, hog.on_ring[11].id, -71, 0);
    struct usbif_urb_request request = frig_take(&hog.frig);
    assert_int_equal(device_of(&request), 7);
    frig_dispose(&hog.frig);
}

/* Rule RING-12: turns go on past an endpoint that the backend cannot cancel, by the deadlines alone. */
static void test_front_slots_silent_turns(void **state)
{
    struct frig frig;
    struct hcd_urb urb[20];
    struct usbif_urb_request request[16];
    (void)state;
    frig_start(&frig, 2, 4);
    submit_in(&frig, urb, 20);
    assert_int_equal(take_all(&frig, request, 16), 12);
    for (unsigned int turn = 0; turn < 10; turn++) {
        front_step(frig.rig.front, frig.rig.now_ns);
        assert_int_equal(front_deadline(frig.rig.front), frig.rig.now_ns + 100 * MS);
        frig.rig.now_ns = front_deadline(frig.rig.front);
    }
    assert_int_equal(take_all(&frig, request, 16), 4); /* all slots are in use then */
    for (unsigned int i = 0; i < 4; i++)
        assert_int_equal(device_of(&request[i]), i + 1);
    frig_dispose(&frig);
}

/* How an answer to a request that is taken back ends. */
struct ending {
    int32_t status;
    int32_t actual;
    bool short_not_ok;
    bool goes_on; /* with what is missing */
    int expected; /* when it does not */
};

static const struct ending endings[] = {
    {-71, 0, false, true, 0},        {-108, 0, false, true, 0},         {-104, 0, false, true, 0},
    {-115, -1, false, true, 0},      {-71, 4608, false, true, 0},       {-71, 4608, true, true, 0},
    {-71, 5000, false, false, 0},    {-71, INT32_MAX, false, false, 0}, {0, 5000, false, false, 0},
    {0, 100, false, false, 0},       {0, 0, false, false, 0},           {0, 100, true, false, -EREMOTEIO},
    {-32, 0, false, false, -EPIPE},  {-32, 512, false, false, -EPIPE},  {-75, 512, false, false, -EOVERFLOW},
    {-19, 0, false, false, -ENODEV}, {-22, 0, false, false, -EINVAL},
};

/* Rules RING-12, UNL-04: data that arrives during a take-back is not lost, and no error is hidden. */
static void test_front_slots_take_back_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        const struct ending *end = &endings[i];
        struct hog hog;
        struct usbif_urb_request request;
        static uint8_t data[5000];
        hog_start(&hog, 5000);
        struct frig *frig = &hog.frig;
        struct hcd_urb *urb = &hog.many[11];
        urb->short_not_ok = end->short_not_ok;
        memset(data, 0xa5, sizeof(data));
        raw_back_copy(&frig->back, &hog.on_ring[11], true, data, 5000);
        frig_answer(frig, hog.on_ring[11].id, end->status, end->actual);
        assert_int_equal(frig->nr_done, !end->goes_on);
        request = frig_take(frig);
        assert_int_equal(device_of(&request), end->goes_on ? 7 : 9); /* whoever waits longest now */
        frig_answer(frig, hog.unlink.id, 0, 0);
        if (!end->goes_on) {
            assert_ptr_equal(frig->done[0], urb);
            assert_int_equal(urb->status, end->expected);
            assert_int_equal(urb->actual, end->actual > 5000 ? 5000 : end->actual);
            frig_dispose(frig);
            continue;
        }
        uint32_t had = end->actual < 0 ? 0 : (uint32_t)end->actual;
        frig_answer(frig, request.id, 0, 0);
        request = frig_take(frig);
        assert_int_equal(device_of(&request), 9);
        assert_int_equal(request.buffer_length, 5000 - had);
        assert_int_equal(request.seg[0].offset, had % RAW_PAGE);
        assert_int_equal(request.transfer_flags, end->short_not_ok);
        memset(data, 0x3c, sizeof(data));
        assert_int_equal(raw_back_copy(&frig->back, &request, true, data, 5000), 5000 - had);
        frig_answer(frig, request.id, 0, INT32_MAX); /* clamped to what was asked for (rule STA-03) */
        assert_int_equal(urb->status, 0);
        assert_int_equal(urb->actual, 5000);
        for (uint32_t at = 0; at < 5000; at++)
            assert_int_equal(((uint8_t *)urb->buffer)[at], at < had ? 0xa5 : 0x3c);
        frig_dispose(frig);
    }
}

/* Rule RING-12: a read for no bytes waits for a packet like any other. */
static void test_front_slots_take_back_empty(void **state)
{
    struct hog hog;
    (void)state;
    hog_start(&hog, 0);
    frig_answer(&hog.frig, hog.on_ring[11].id, -71, 0);
    assert_int_equal(hog.frig.nr_done, 0);
    frig_dispose(&hog.frig);
}

/* Rules UNL-09, UNL-11, STA-07: the guest wants back what we are taking back, at each point. */
static void test_front_slots_take_back_unlinked(void **state)
{
    (void)state;
    for (unsigned int when = 0; when < 3; when++) {
        struct hog hog;
        hog_start(&hog, 512);
        struct frig *frig = &hog.frig;
        struct hcd_urb *urb = &hog.many[11];
        if (when == 0) {
            assert_int_equal(frig_unlink(frig, urb, -ENOENT), 0);
            assert_int_equal(frig_unlink(frig, urb, -ENOENT), -EBUSY);
            frig_expect_no_request(frig); /* one is on its way */
        }
        frig_answer(frig, hog.on_ring[11].id, -71, when == 1 ? 64 : 0);
        if (when > 0) {
            assert_int_equal(frig->nr_done, 0);
            assert_int_equal(frig_unlink(frig, urb, -ENOENT), 0); /* it waits: local */
        }
        assert_int_equal(frig_count_done(frig, urb), 1);
        assert_int_equal(urb->status, -ENOENT);
        assert_int_equal(urb->actual, when == 1 ? 64 : 0);
        frig_answer(frig, hog.unlink.id, 0, 0);
        frig_answer(frig, hog.on_ring[0].id, 0, 512);
        struct usbif_urb_request request;
        while (raw_back_take(&frig->back, &request))
            frig_answer(frig, request.id, 0, 512);
        frig->nr_done = 0;
        assert_int_equal(frig_submit(frig, urb), 0); /* from its beginning */
        assert_int_equal(frig_take(frig).buffer_length, 512);
        frig_dispose(frig);
    }
}

/* frontend.h: what the guest has asked back already, and isochronous requests, are not taken back. */
static void test_front_slots_not_taken_back(void **state)
{
    struct frig frig;
    struct hcd_urb urb[15];
    struct usbif_urb_request request[16];
    struct pvusb_iso_desc packet = {.length = 64};
    (void)state;
    frig_start(&frig, 2, 4);
    for (unsigned int i = 0; i < 15; i++) {
        urb[i] = frig_data(&frig, i < 8 ? USBIF_PIPE_TYPE_ISOC : BULK, 1, true, frig.buffer, 64);
        urb[i].device = (uint8_t)(i + 1);
        urb[i].packets = &packet;
        urb[i].nr_packets = 1;
        assert_int_equal(frig_submit(&frig, &urb[i]), 0);
    }
    assert_int_equal(take_all(&frig, request, 16), 14);
    for (unsigned int i = 8; i < 14; i++) {
        assert_int_equal(frig_unlink(&frig, &urb[i], -ENOENT), 0);
        frig_answer(&frig, frig_take(&frig).id, 0, 0);
    }
    for (unsigned int i = 0; i < 100; i++)
        frig_advance(&frig, 100 * MS);
    frig_expect_no_request(&frig);
    frig_dispose(&frig);
}

/* frontend.h: a stream does not wait for turns; receivers make room at once, and what they wait for comes back to them. */
static void test_front_slots_streams(void **state)
{
    struct frig frig;
    struct hcd_urb in[16];
    struct hcd_urb iso[3];
    struct usbif_urb_request request[16];
    struct pvusb_iso_desc packet = {.length = 64};
    (void)state;
    frig_start(&frig, 2, 4);
    for (unsigned int i = 0; i < 16; i++) {
        in[i] = frig_data(&frig, BULK, 1, true, frig.buffer, 512);
        assert_int_equal(frig_submit(&frig, &in[i]), 0);
    }
    assert_int_equal(take_all(&frig, request, 16), 12);
    for (unsigned int i = 0; i < 3; i++) {
        iso[i] = frig_data(&frig, USBIF_PIPE_TYPE_ISOC, 2, true, frig.buffer, 64);
        iso[i].packets = &packet;
        iso[i].nr_packets = 1;
        assert_int_equal(frig_submit(&frig, &iso[i]), 0);
    }
    assert_int_equal(frig_take(&frig).pipe >> 30, USBIF_PIPE_TYPE_ISOC); /* two fit beside the receivers */
    assert_int_equal(frig_take(&frig).pipe >> 30, USBIF_PIPE_TYPE_ISOC);
    frig_run(&frig); /* no time passes */
    struct usbif_urb_request unlink = frig_take(&frig);
    assert_true(usbif_pipeunlink(unlink.pipe) != 0);
    assert_int_equal(unlink.u.unlink.unlink_id, request[11].id); /* the newest */
    frig_answer(&frig, request[11].id, -71, 0);
    frig_answer(&frig, unlink.id, 0, 0);
    assert_int_equal(frig_take(&frig).pipe >> 30, USBIF_PIPE_TYPE_ISOC);
    assert_int_equal(frig.nr_done, 0); /* the receiver waits again, and its driver has seen nothing */
    frig_dispose(&frig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_slots_acm),
        cmocka_unit_test(test_front_slots_shares),
        cmocka_unit_test(test_front_slots_turns),
        cmocka_unit_test(test_front_slots_no_turn),
        cmocka_unit_test(test_front_slots_who_starves),
        cmocka_unit_test(test_front_slots_order_of_hog),
        cmocka_unit_test(test_front_slots_silent_backend),
        cmocka_unit_test(test_front_slots_silent_turns),
        cmocka_unit_test(test_front_slots_take_back_ends),
        cmocka_unit_test(test_front_slots_take_back_empty),
        cmocka_unit_test(test_front_slots_take_back_unlinked),
        cmocka_unit_test(test_front_slots_not_taken_back),
        cmocka_unit_test(test_front_slots_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
