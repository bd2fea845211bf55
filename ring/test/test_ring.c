// SPDX-License-Identifier: MIT
/*
 * The rings, one rule at a time: where bytes lie, who may put and take, when the
 * other side is to be notified, and which indexes of a peer are impossible. The
 * page is looked at through plain bytes, never through ring.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pvusb/ring.h>

enum { REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12, SLOTS = 64, RING_BYTES = 4 * PVUSB_PAGE_SIZE };

/* The pages of a ring and the two ends of it. */
struct fixture {
    const struct pvusb_ring_kind *kind;
    _Alignas(64) uint8_t page[RING_BYTES];
    struct pvusb_ring_front front;
    struct pvusb_ring_back back;
};

static const struct pvusb_ring_kind *const kinds[] = {&pvusb_urb_ring[0], &pvusb_conn_ring, &pvusb_urb_ring[2]};
static const uint32_t starts[] = {0, 0xfffffff0u};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define CASES (2 * KINDS) /* each kind from each start */

static uint32_t word_get(const uint8_t *page, size_t offset)
{
    uint32_t value;
    memcpy(&value, page + offset, sizeof(value));
    return value;
}

static void word_set(uint8_t *page, size_t offset, uint32_t value)
{
    memcpy(page + offset, &value, sizeof(value));
}

static void fixture_init(struct fixture *f, const struct pvusb_ring_kind *kind, uint32_t start)
{
    f->kind = kind;
    memset(f->page, 0xa5, sizeof(f->page));
    pvusb_ring_front_init(&f->front, kind, f->page);
    pvusb_ring_back_init(&f->back, kind, f->page);
    if (start == 0)
        return;
    word_set(f->page, REQ_PROD, start);
    word_set(f->page, RSP_PROD, start);
    word_set(f->page, REQ_EVENT, start + 1);
    word_set(f->page, RSP_EVENT, start + 1);
    pvusb_ring_front_attach(&f->front, kind, f->page, start);
    pvusb_ring_back_attach(&f->back, kind, f->page, start);
}

/* Message number n, of which no two bytes in a row are alike. */
static void message(uint8_t bytes[148], uint32_t n)
{
    for (uint32_t i = 0; i < 148; i++)
        bytes[i] = (uint8_t)(n * 31 + i * 7 + 1);
}

/* `count` requests put and pushed; the answer of the push. */
static bool send_requests(struct fixture *f, uint32_t count)
{
    uint8_t bytes[148];
    for (uint32_t i = 0; i < count; i++) {
        message(bytes, i);
        assert_true(pvusb_ring_front_put(&f->front, bytes));
    }
    return pvusb_ring_front_push(&f->front);
}

static void take_requests(struct fixture *f, uint32_t count)
{
    uint8_t bytes[148];
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(pvusb_ring_back_take(&f->back, bytes), PVUSB_OK);
}

static bool send_responses(struct fixture *f, uint32_t count)
{
    uint8_t bytes[148];
    for (uint32_t i = 0; i < count; i++) {
        message(bytes, 100 + i);
        assert_true(pvusb_ring_back_put(&f->back, bytes));
    }
    return pvusb_ring_back_push(&f->back);
}

static void take_responses(struct fixture *f, uint32_t count)
{
    uint8_t bytes[148];
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(pvusb_ring_front_take(&f->front, bytes), PVUSB_OK);
}

/* RING-01 */
static void test_ring_geometry(void **state)
{
    (void)state;
    assert_int_equal(pvusb_urb_ring[0].slots, 16);
    assert_int_equal(pvusb_urb_ring[0].slot_size, 148);
    assert_int_equal(pvusb_urb_ring[0].request_size, 148);
    assert_int_equal(pvusb_urb_ring[0].response_size, 16);
    assert_int_equal(pvusb_conn_ring.pages, 1);
    assert_int_equal(pvusb_conn_ring.slots, 512);
    assert_int_equal(pvusb_conn_ring.slot_size, 4);
    assert_int_equal(pvusb_conn_ring.request_size, 2);
    assert_int_equal(pvusb_conn_ring.response_size, 4);
}

/* A ring of more pages has as many slots as fit behind its header, rounded down to a power of two (ring.h). */
static void test_ring_geometry_of_more_pages(void **state)
{
    (void)state;
    for (unsigned int order = 0; order <= PVUSB_RING_ORDER_MAX; order++) {
        const struct pvusb_ring_kind *kind = &pvusb_urb_ring[order];
        unsigned int fit = ((PVUSB_PAGE_SIZE << order) - SLOTS) / 148;
        unsigned int slots = 1;
        while (2 * slots <= fit)
            slots *= 2;
        assert_int_equal(kind->pages, 1u << order);
        assert_int_equal(kind->slots, slots);
        assert_int_equal(kind->slot_size, 148);
        assert_int_equal(kind->request_size, 148);
        assert_int_equal(kind->response_size, 16);
    }
    assert_int_equal(pvusb_urb_ring[2].slots, 64);
    assert_int_equal(pvusb_urb_ring[PVUSB_RING_ORDER_MAX].slots, 256);
}

/* RING-02: whatever the page held, an initialised one holds nothing but the two events. */
static void test_ring_init_clears_a_stale_page(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct fixture f;
        fixture_init(&f, kinds[k], 0);
        for (size_t i = 0; i < RING_BYTES; i++) {
            bool ours = i < (size_t)kinds[k]->pages * PVUSB_PAGE_SIZE;
            assert_int_equal(f.page[i], !ours ? 0xa5 : i == REQ_EVENT || i == RSP_EVENT ? 1 : 0);
        }
        assert_int_equal(pvusb_ring_front_free(&f.front), kinds[k]->slots);
        assert_int_equal(pvusb_ring_back_owed(&f.back), 0);
    }
}

/* RING-02: a backend starts at 0 and takes what a page with req_prod 5 says is there. */
static void test_ring_back_init_believes_the_page(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t bytes[148];
    fixture_init(&f, &pvusb_urb_ring[0], 0);
    for (uint32_t i = 0; i < 5; i++)
        f.page[SLOTS + 148 * i] = (uint8_t)(i + 1);
    word_set(f.page, REQ_PROD, 5);
    word_set(f.page, RSP_PROD, 77);
    pvusb_ring_back_init(&f.back, &pvusb_urb_ring[0], f.page);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(pvusb_ring_back_take(&f.back, bytes), PVUSB_OK);
        assert_int_equal(bytes[0], i + 1);
    }
    assert_int_equal(pvusb_ring_back_take(&f.back, bytes), PVUSB_EMPTY);
    assert_int_equal(word_get(f.page, RSP_PROD), 77);
    assert_int_equal(pvusb_ring_back_owed(&f.back), 5);
}

/* RING-01, RING-17: message n lies in slot n mod slots, and a put or take touches nothing but its own bytes.
 */
static void test_ring_byte_positions(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASES; c++) {
        const struct pvusb_ring_kind *kind = kinds[c % KINDS];
        uint32_t start = starts[c / KINDS];
        struct fixture f;
        uint8_t model[RING_BYTES], sent[148], got[148];
        fixture_init(&f, kind, start);
        memcpy(model, f.page, sizeof(model));
        for (uint32_t n = 0; n < 3u * kind->slots; n++) {
            size_t at = SLOTS + (size_t)((start + n) % kind->slots) * kind->slot_size;
            message(sent, n);
            assert_true(pvusb_ring_front_put(&f.front, sent));
            memcpy(model + at, sent, kind->request_size);
            assert_memory_equal(f.page, model, sizeof(model));
            pvusb_ring_front_push(&f.front);
            word_set(model, REQ_PROD, start + n + 1);
            assert_memory_equal(f.page, model, sizeof(model));
            memset(got, 0xee, sizeof(got));
            assert_int_equal(pvusb_ring_back_take(&f.back, got), PVUSB_OK);
            assert_memory_equal(got, sent, kind->request_size);
            for (size_t i = kind->request_size; i < sizeof(got); i++)
                assert_int_equal(got[i], 0xee);

            message(sent, n + 1000);
            assert_true(pvusb_ring_back_put(&f.back, sent));
            memcpy(model + at, sent, kind->response_size);
            assert_memory_equal(f.page, model, sizeof(model));
            pvusb_ring_back_push(&f.back);
            word_set(model, RSP_PROD, start + n + 1);
            memset(got, 0xee, sizeof(got));
            assert_int_equal(pvusb_ring_front_take(&f.front, got), PVUSB_OK);
            assert_memory_equal(got, sent, kind->response_size);
            for (size_t i = kind->response_size; i < sizeof(got); i++)
                assert_int_equal(got[i], 0xee);
            assert_memory_equal(f.page, model, sizeof(model));
        }
    }
}

/* RING-14: the other 132 bytes of an answered URB slot keep the request. */
static void test_ring_response_leaves_the_rest_of_its_slot(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t request[148], response[148];
    fixture_init(&f, &pvusb_urb_ring[0], 0);
    message(request, 1);
    message(response, 2);
    assert_true(pvusb_ring_front_put(&f.front, request));
    pvusb_ring_front_push(&f.front);
    take_requests(&f, 1);
    assert_true(pvusb_ring_back_put(&f.back, response));
    assert_memory_equal(f.page + SLOTS, response, 16);
    assert_memory_equal(f.page + SLOTS + 16, request + 16, 132);
}

/* RING-01, RING-11: the 17th (513th, 65th) request finds no slot until a response was taken; then it lies in the
 * first. */
static void test_ring_front_put_is_refused_when_full(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASES; c++) {
        const struct pvusb_ring_kind *kind = kinds[c % KINDS];
        struct fixture f;
        uint8_t bytes[148], before[RING_BYTES];
        size_t first = SLOTS + (size_t)(starts[c / KINDS] % kind->slots) * kind->slot_size;
        fixture_init(&f, kind, starts[c / KINDS]);
        for (uint32_t i = 0; i < kind->slots; i++) {
            assert_int_equal(pvusb_ring_front_free(&f.front), kind->slots - i);
            message(bytes, i);
            assert_true(pvusb_ring_front_put(&f.front, bytes));
        }
        memcpy(before, f.page, sizeof(before));
        message(bytes, 99);
        assert_int_equal(pvusb_ring_front_free(&f.front), 0);
        assert_false(pvusb_ring_front_put(&f.front, bytes));
        pvusb_ring_front_push(&f.front);
        assert_false(pvusb_ring_front_put(&f.front, bytes));
        take_requests(&f, 1);
        assert_false(pvusb_ring_front_put(&f.front, bytes));
        send_responses(&f, 1);
        assert_false(pvusb_ring_front_put(&f.front, bytes)); /* answered, but not yet taken */
        memcpy(before, f.page, SLOTS);
        memcpy(before + first, f.page + first, kind->response_size);
        assert_memory_equal(f.page, before, sizeof(before));
        take_responses(&f, 1);
        assert_int_equal(pvusb_ring_front_free(&f.front), 1);
        assert_true(pvusb_ring_front_put(&f.front, bytes));
        assert_memory_equal(f.page + first, bytes, kind->request_size);
        assert_false(pvusb_ring_front_put(&f.front, bytes));
    }
}

/* A backend cannot answer what it did not take. */
static void test_ring_back_put_is_refused_when_nothing_is_owed(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASES; c++) {
        struct fixture f;
        uint8_t bytes[148] = {1}, before[RING_BYTES];
        fixture_init(&f, kinds[c % KINDS], starts[c / KINDS]);
        assert_false(pvusb_ring_back_put(&f.back, bytes));
        send_requests(&f, 3);
        memcpy(before, f.page, sizeof(before));
        assert_false(pvusb_ring_back_put(&f.back, bytes)); /* there, but not taken */
        assert_memory_equal(f.page, before, sizeof(before));
        take_requests(&f, 2);
        assert_int_equal(pvusb_ring_back_owed(&f.back), 2);
        assert_true(pvusb_ring_back_put(&f.back, bytes));
        assert_true(pvusb_ring_back_put(&f.back, bytes));
        assert_int_equal(pvusb_ring_back_owed(&f.back), 0);
        assert_false(pvusb_ring_back_put(&f.back, bytes));
    }
}

/* What was put is invisible until it is pushed, and a push without a put changes nothing and asks for
 * nothing. */
static void test_ring_push_publishes(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t bytes[148] = {1};
    fixture_init(&f, &pvusb_urb_ring[0], 0);
    assert_false(pvusb_ring_front_push(&f.front));
    assert_true(pvusb_ring_front_put(&f.front, bytes));
    assert_int_equal(word_get(f.page, REQ_PROD), 0);
    assert_int_equal(pvusb_ring_back_take(&f.back, bytes), PVUSB_EMPTY);
    assert_true(pvusb_ring_front_push(&f.front));
    assert_int_equal(word_get(f.page, REQ_PROD), 1);
    assert_false(pvusb_ring_front_push(&f.front));
    assert_int_equal(pvusb_ring_back_take(&f.back, bytes), PVUSB_OK);
    assert_true(pvusb_ring_back_put(&f.back, bytes));
    assert_int_equal(word_get(f.page, RSP_PROD), 0);
    assert_int_equal(pvusb_ring_front_take(&f.front, bytes), PVUSB_EMPTY);
    assert_true(pvusb_ring_back_push(&f.back));
    assert_false(pvusb_ring_back_push(&f.back));
    assert_int_equal(pvusb_ring_front_take(&f.front, bytes), PVUSB_OK);
}

/* RING-05, the three examples, on requests and on responses. */
static void test_ring_notify_examples(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASES; c++) {
        struct fixture f;
        uint32_t start = starts[c / KINDS];
        fixture_init(&f, kinds[c % KINDS], start);
        assert_true(send_requests(&f, 1));
        assert_false(send_requests(&f, 1));
        take_requests(&f, 2);
        assert_false(pvusb_ring_back_final_check(&f.back));
        assert_int_equal(word_get(f.page, REQ_EVENT), start + 3);
        assert_true(send_requests(&f, 1));
        take_requests(&f, 1);

        assert_true(send_responses(&f, 1));
        assert_false(send_responses(&f, 1));
        take_responses(&f, 2);
        assert_false(pvusb_ring_front_final_check(&f.front));
        assert_int_equal(word_get(f.page, RSP_EVENT), start + 3);
        assert_true(send_responses(&f, 1));
        take_responses(&f, 1);
    }
}

/* RING-05: for a push of requests 10..13 (indexes 11..14 published), who is told, by event index. */
static void test_ring_notify_by_event_index(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASES; c++) {
        uint32_t start = starts[c / KINDS];
        for (int32_t event = -20; event <= 40; event++) {
            struct fixture f;
            fixture_init(&f, kinds[c % KINDS], start);
            send_requests(&f, 10);
            word_set(f.page, REQ_EVENT, start + (uint32_t)event);
            assert_int_equal(send_requests(&f, 4), event >= 11 && event <= 14);
            take_requests(&f, 14);
            send_responses(&f, 10);
            word_set(f.page, RSP_EVENT, start + (uint32_t)event);
            assert_int_equal(send_responses(&f, 4), event >= 11 && event <= 14);
        }
    }
}

/* RING-06: work that is there already is reported, and then no notification is asked for. */
static void test_ring_final_check_sees_work(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, &pvusb_urb_ring[0], 0);
    send_requests(&f, 2);
    assert_true(pvusb_ring_back_final_check(&f.back));
    assert_int_equal(word_get(f.page, REQ_EVENT), 1);
    take_requests(&f, 1);
    assert_true(pvusb_ring_back_final_check(&f.back));
    take_requests(&f, 1);
    assert_false(pvusb_ring_back_final_check(&f.back));
    assert_int_equal(word_get(f.page, REQ_EVENT), 3);

    send_responses(&f, 2);
    assert_true(pvusb_ring_front_final_check(&f.front));
    assert_int_equal(word_get(f.page, RSP_EVENT), 1);
    take_responses(&f, 2);
    assert_false(pvusb_ring_front_final_check(&f.front));
    assert_int_equal(word_get(f.page, RSP_EVENT), 3);
}

/* One impossible, or just possible, producer index. `ahead` is relative to our consumer. */
struct bound_case {
    const char *rule;
    uint32_t in_flight; /* front: requests sent; back: requests taken and not answered */
    uint32_t ahead;
    enum pvusb_verdict verdict;
};

static const struct bound_case urb_back_cases[] = {
    {"RING-18", 0, 0, PVUSB_EMPTY},
    {"RING-09", 0, 1, PVUSB_OK},
    {"RING-09", 0, 16, PVUSB_OK},
    {"MAL-37", 0, 17, PVUSB_RING_OVERFLOW},
    {"MAL-37", 0, 100, PVUSB_RING_OVERFLOW},
    {"MAL-37", 0, 0x7fffffffu, PVUSB_RING_OVERFLOW},
    {"MAL-38", 0, 0x80000000u, PVUSB_RING_UNDERFLOW},
    {"MAL-38", 0, 0xffffffffu, PVUSB_RING_UNDERFLOW},
    {"RING-09", 10, 6, PVUSB_OK},
    {"MAL-37", 10, 7, PVUSB_RING_OVERFLOW},
    {"MAL-38", 10, 0xffffffffu, PVUSB_RING_UNDERFLOW},
    {"RING-18", 16, 0, PVUSB_EMPTY},
    {"MAL-37", 16, 1, PVUSB_RING_OVERFLOW},
    {"MAL-38", 16, 0xfffffff0u, PVUSB_RING_UNDERFLOW},
};

static const struct bound_case four_pages_back_cases[] = {
    {"RING-09", 0, 17, PVUSB_OK},
    {"RING-09", 0, 64, PVUSB_OK},
    {"MAL-37", 0, 65, PVUSB_RING_OVERFLOW},
    {"MAL-38", 0, 0xffffffffu, PVUSB_RING_UNDERFLOW},
    {"RING-09", 40, 24, PVUSB_OK},
    {"MAL-37", 40, 25, PVUSB_RING_OVERFLOW},
    {"MAL-37", 64, 1, PVUSB_RING_OVERFLOW},
    {"MAL-38", 64, 0xffffffc0u, PVUSB_RING_UNDERFLOW},
};

static const struct bound_case four_pages_front_cases[] = {
    {"RING-08", 64, 64, PVUSB_OK},
    {"MAL-63", 64, 65, PVUSB_RING_OVERFLOW},
    {"RING-08", 17, 18, PVUSB_RING_OVERFLOW},
    {"MAL-64", 64, 0xffffffffu, PVUSB_RING_UNDERFLOW},
};

static const struct bound_case urb_front_cases[] = {
    {"RING-08", 0, 0, PVUSB_EMPTY},
    {"MAL-72", 0, 1, PVUSB_RING_OVERFLOW}, /* a response that nobody asked for */
    {"RING-08", 1, 1, PVUSB_OK},
    {"RING-08", 1, 2, PVUSB_RING_OVERFLOW},
    {"RING-08", 16, 16, PVUSB_OK},
    {"MAL-63", 16, 17, PVUSB_RING_OVERFLOW},
    {"MAL-63", 0, 17, PVUSB_RING_OVERFLOW},
    {"MAL-63", 0, 0x7fffffffu, PVUSB_RING_OVERFLOW},
    {"MAL-64", 0, 0x80000000u, PVUSB_RING_UNDERFLOW},
    {"MAL-64", 16, 0xffffffffu, PVUSB_RING_UNDERFLOW},
};

static const struct bound_case conn_front_cases[] = {
    {"RING-08", 512, 1, PVUSB_OK},
    {"RING-08", 512, 512, PVUSB_OK},
    {"MAL-69", 512, 513, PVUSB_RING_OVERFLOW},
    {"MAL-69", 511, 512, PVUSB_RING_OVERFLOW},
    {"MAL-64", 512, 0xffffffffu, PVUSB_RING_UNDERFLOW},
};

static const struct bound_case conn_back_cases[] = {
    {"CONN-01", 0, 512, PVUSB_OK},
    {"MAL-37", 0, 513, PVUSB_RING_OVERFLOW},
    {"MAL-37", 512, 1, PVUSB_RING_OVERFLOW},
    {"MAL-38", 0, 0xfffffe00u, PVUSB_RING_UNDERFLOW},
};

/* A violation takes nothing, changes nothing, and is still one the next time. */
static void check_bound(const struct bound_case *c, const struct pvusb_ring_kind *kind, uint32_t start,
                        bool back)
{
    struct fixture f;
    uint8_t bytes[148], untouched[148];
    memset(bytes, 0xee, sizeof(bytes));
    memset(untouched, 0xee, sizeof(untouched));
    fixture_init(&f, kind, start);
    send_requests(&f, c->in_flight);
    if (back) {
        take_requests(&f, c->in_flight);
        word_set(f.page, REQ_PROD, start + c->in_flight + c->ahead);
    } else {
        word_set(f.page, RSP_PROD, start + c->ahead);
    }
    struct pvusb_ring_back back_before = f.back;
    struct pvusb_ring_front front_before = f.front;
    for (int again = 0; again < 2; again++) {
        enum pvusb_verdict verdict =
            back ? pvusb_ring_back_take(&f.back, bytes) : pvusb_ring_front_take(&f.front, bytes);
        if (verdict != c->verdict)
            fail_msg("%s: in flight %u, ahead %u: expected %s, got %s", c->rule, c->in_flight, c->ahead,
                     pvusb_verdict_name(c->verdict), pvusb_verdict_name(verdict));
        if (verdict == PVUSB_OK)
            return;
        assert_memory_equal(bytes, untouched, sizeof(bytes));
        assert_int_equal(f.back.req_cons, back_before.req_cons);
        assert_int_equal(f.front.rsp_cons, front_before.rsp_cons);
    }
}

static void test_ring_impossible_indexes(void **state)
{
    (void)state;
    static const struct {
        const struct bound_case *cases;
        size_t count;
        const struct pvusb_ring_kind *kind;
        bool back;
    } tables[] = {
        {urb_back_cases, sizeof(urb_back_cases) / sizeof(urb_back_cases[0]), &pvusb_urb_ring[0], true},
        {urb_front_cases, sizeof(urb_front_cases) / sizeof(urb_front_cases[0]), &pvusb_urb_ring[0], false},
        {four_pages_back_cases, sizeof(four_pages_back_cases) / sizeof(four_pages_back_cases[0]), &pvusb_urb_ring[2],
         true},
        {four_pages_front_cases, sizeof(four_pages_front_cases) / sizeof(four_pages_front_cases[0]),
         &pvusb_urb_ring[2], false},
        {conn_back_cases, sizeof(conn_back_cases) / sizeof(conn_back_cases[0]), &pvusb_conn_ring, true},
        {conn_front_cases, sizeof(conn_front_cases) / sizeof(conn_front_cases[0]), &pvusb_conn_ring, false},
    };
    for (size_t s = 0; s < 2; s++) {
        for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
            for (size_t i = 0; i < tables[t].count; i++)
                check_bound(&tables[t].cases[i], tables[t].kind, starts[s], tables[t].back);
        }
    }
}

/* A response put but not pushed frees nothing: the frontend cannot know of it. One to a request not pushed is
 * none. */
static void test_ring_bounds_count_only_what_is_published(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t bytes[148] = {1};
    fixture_init(&f, &pvusb_urb_ring[0], 0);
    send_requests(&f, 16);
    take_requests(&f, 16);
    assert_true(pvusb_ring_back_put(&f.back, bytes));
    word_set(f.page, REQ_PROD, 17);
    assert_int_equal(pvusb_ring_back_take(&f.back, bytes), PVUSB_RING_OVERFLOW);
    pvusb_ring_back_push(&f.back);
    assert_int_equal(pvusb_ring_back_take(&f.back, bytes), PVUSB_OK);

    fixture_init(&f, &pvusb_urb_ring[0], 0);
    assert_true(pvusb_ring_front_put(&f.front, bytes));
    word_set(f.page, RSP_PROD, 1);
    assert_int_equal(pvusb_ring_front_take(&f.front, bytes), PVUSB_RING_OVERFLOW);
    pvusb_ring_front_push(&f.front);
    assert_int_equal(pvusb_ring_front_take(&f.front, bytes), PVUSB_OK);
}

/* RING-06: an impossible index counts as work, so that nobody sleeps on a broken ring. */
static void test_ring_final_check_wakes_for_a_violation(void **state)
{
    (void)state;
    static const uint32_t bad[] = {17, 0x80000000u, 0xffffffffu};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fixture f;
        fixture_init(&f, &pvusb_urb_ring[0], 0);
        word_set(f.page, REQ_PROD, bad[i]);
        word_set(f.page, RSP_PROD, bad[i]);
        assert_true(pvusb_ring_back_final_check(&f.back));
        assert_true(pvusb_ring_front_final_check(&f.front));
    }
}

/* MAL-40: what a peer does to our own producer, or to the events, changes only whom we notify. */
static void test_ring_own_words_are_never_believed(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t bytes[148] = {1};
    fixture_init(&f, &pvusb_urb_ring[0], 0);
    send_requests(&f, 2);
    word_set(f.page, RSP_PROD, 0xdeadbeefu);
    word_set(f.page, RSP_EVENT, 0xdeadbeefu);
    word_set(f.page, REQ_EVENT, 0xdeadbeefu);
    take_requests(&f, 2);
    assert_true(pvusb_ring_back_put(&f.back, bytes));
    assert_false(pvusb_ring_back_push(&f.back));
    assert_int_equal(word_get(f.page, RSP_PROD), 1);
    take_responses(&f, 1);
    word_set(f.page, REQ_PROD, 0xdeadbeefu);
    assert_false(send_requests(&f, 1));
    assert_int_equal(word_get(f.page, REQ_PROD), 3);
    take_requests(&f, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_geometry),
        cmocka_unit_test(test_ring_geometry_of_more_pages),
        cmocka_unit_test(test_ring_init_clears_a_stale_page),
        cmocka_unit_test(test_ring_back_init_believes_the_page),
        cmocka_unit_test(test_ring_byte_positions),
        cmocka_unit_test(test_ring_response_leaves_the_rest_of_its_slot),
        cmocka_unit_test(test_ring_front_put_is_refused_when_full),
        cmocka_unit_test(test_ring_back_put_is_refused_when_nothing_is_owed),
        cmocka_unit_test(test_ring_push_publishes),
        cmocka_unit_test(test_ring_notify_examples),
        cmocka_unit_test(test_ring_notify_by_event_index),
        cmocka_unit_test(test_ring_final_check_sees_work),
        cmocka_unit_test(test_ring_impossible_indexes),
        cmocka_unit_test(test_ring_bounds_count_only_what_is_published),
        cmocka_unit_test(test_ring_final_check_wakes_for_a_violation),
        cmocka_unit_test(test_ring_own_words_are_never_believed),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
