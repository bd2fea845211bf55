// SPDX-License-Identifier: MIT
/*
 * A hostile peer at the other end of a ring. The first byte chooses the ring (the URB ring in one page or four), our end
 * and where the indexes start; each further action is an operation of ours or a
 * scribble of the peer anywhere in the page. Beside our end runs a model that knows nothing but counts.
 * The pages are an allocation of their own size, so that a sanitizer sees an access outside.
 */
#include <stdlib.h>

#include <pvusb/ring.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12, SLOTS = 64, RING_BYTES = 4 * PVUSB_PAGE_SIZE };

struct model {
    bool back;
    const struct pvusb_ring_kind *kind;
    uint32_t start;
    /* Counts since the start. Frontend: requests put and published, responses taken; backend: the reverse. */
    uint32_t put, published, taken;
    struct pvusb_ring_front f;
    struct pvusb_ring_back b;
    uint8_t *page;
};

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t next(struct input *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

static uint32_t word_get(const uint8_t *page, size_t offset)
{
    uint32_t value;
    memcpy(&value, page + offset, sizeof(value));
    return value;
}

static size_t bytes_of(const struct model *m)
{
    return (size_t)m->kind->pages * PVUSB_PAGE_SIZE;
}

static uint8_t *slot_at(const struct model *m, uint32_t count)
{
    return m->page + SLOTS + (size_t)((m->start + count) % m->kind->slots) * m->kind->slot_size;
}

/* What the peer may have published for us to take: not more than it was asked for, or than a ring holds. */
static uint32_t takeable(const struct model *m)
{
    return m->back ? m->kind->slots - (m->taken - m->published) : m->published - m->taken;
}

static void do_take(struct model *m)
{
    uint8_t *got = malloc(m->back ? m->kind->request_size : m->kind->response_size);
    size_t size = m->back ? m->kind->request_size : m->kind->response_size;
    uint32_t ahead = word_get(m->page, m->back ? REQ_PROD : RSP_PROD) - (m->start + m->taken);
    if (!got)
        return;
    enum pvusb_verdict verdict =
        m->back ? pvusb_ring_back_take(&m->b, got) : pvusb_ring_front_take(&m->f, got);
    if (ahead == 0) {
        assert(verdict == PVUSB_EMPTY);
    } else if (ahead <= takeable(m)) {
        assert(verdict == PVUSB_OK);
        assert(memcmp(got, slot_at(m, m->taken), size) == 0);
        m->taken++;
    } else {
        assert(verdict == ((int32_t)ahead < 0 ? PVUSB_RING_UNDERFLOW : PVUSB_RING_OVERFLOW));
    }
    free(got);
}

static void do_put(struct model *m, uint8_t fill)
{
    uint8_t message[148], before[RING_BYTES];
    size_t size = m->back ? m->kind->response_size : m->kind->request_size;
    bool room = m->back ? m->taken > m->put : m->put - m->taken < m->kind->slots;
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (uint8_t)(fill + i);
    memcpy(before, m->page, bytes_of(m));
    bool done = m->back ? pvusb_ring_back_put(&m->b, message) : pvusb_ring_front_put(&m->f, message);
    assert(done == room);
    if (done)
        memcpy(before + (slot_at(m, m->put++) - m->page), message, size);
    assert(memcmp(before, m->page, bytes_of(m)) == 0);
}

static void do_push(struct model *m)
{
    size_t prod = m->back ? RSP_PROD : REQ_PROD;
    uint32_t event = word_get(m->page, m->back ? RSP_EVENT : REQ_EVENT);
    uint8_t before[RING_BYTES];
    bool wanted = false;
    for (uint32_t n = m->published + 1; n <= m->put; n++)
        wanted |= event == m->start + n;
    memcpy(before, m->page, bytes_of(m));
    bool notify = m->back ? pvusb_ring_back_push(&m->b) : pvusb_ring_front_push(&m->f);
    assert(notify == wanted);
    m->published = m->put;
    uint32_t index = m->start + m->put;
    memcpy(before + prod, &index, sizeof(index));
    assert(memcmp(before, m->page, bytes_of(m)) == 0);
}

static void do_final_check(struct model *m)
{
    size_t prod = m->back ? REQ_PROD : RSP_PROD, event = m->back ? REQ_EVENT : RSP_EVENT;
    uint32_t cons = m->start + m->taken;
    uint8_t before[RING_BYTES];
    memcpy(before, m->page, bytes_of(m));
    bool work = m->back ? pvusb_ring_back_final_check(&m->b) : pvusb_ring_front_final_check(&m->f);
    assert(work == (word_get(m->page, prod) != cons));
    if (!work) {
        cons++;
        memcpy(before + event, &cons, sizeof(cons));
    }
    assert(memcmp(before, m->page, bytes_of(m)) == 0);
}

/* The peer writes a word, a plausible index, or bytes of a slot. */
static void scribble(struct model *m, struct input *in, uint8_t action)
{
    uint32_t value = 0;
    size_t offset = (size_t)(next(in) & 3) * 4;
    switch (action & 3) {
    case 0:
        for (int i = 0; i < 4; i++)
            value = value << 8 | next(in);
        memcpy(m->page + offset, &value, sizeof(value));
        break;
    case 1: /* near what we consumed */
        value = m->start + m->taken + next(in) - 4u;
        memcpy(m->page + offset, &value, sizeof(value));
        break;
    case 2: /* as far as is just legal, and around it */
        value = m->start + m->taken + takeable(m) + (next(in) & 3) - 1u;
        memcpy(m->page + (m->back ? REQ_PROD : RSP_PROD), &value, sizeof(value));
        break;
    default:
        offset = ((size_t)next(in) << 8 | next(in)) % bytes_of(m);
        m->page[offset] = next(in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint8_t setup = next(&in);
    struct model m = {
        .back = (setup & 1) != 0,
        .kind = setup & 2 ? &pvusb_conn_ring : &pvusb_urb_ring[setup & 8 ? 2 : 0],
        .start = setup & 4 ? 0xfffffff0u : 0,
    };
    m.page = aligned_alloc(64, bytes_of(&m));
    if (!m.page)
        return 0;
    pvusb_ring_front_init(&m.f, m.kind, m.page);
    pvusb_ring_back_init(&m.b, m.kind, m.page);
    if (m.start != 0) {
        uint32_t words[4] = {m.start, m.start + 1, m.start, m.start + 1};
        memcpy(m.page, words, sizeof(words));
        pvusb_ring_front_attach(&m.f, m.kind, m.page, m.start);
        pvusb_ring_back_attach(&m.b, m.kind, m.page, m.start);
    }
    while (in.size > 0) {
        uint8_t action = next(&in);
        unsigned int times = 1 + (action >> 4) * (m.kind->slots / 16u);
        for (; times > 0 && (action & 7) < 2; times--) {
            if (action & 1)
                do_take(&m);
            else
                do_put(&m, action);
        }
        if ((action & 7) == 2)
            do_push(&m);
        else if ((action & 7) == 3)
            do_final_check(&m);
        else if ((action & 7) >= 4)
            scribble(&m, &in, action);
        assert(m.back ? pvusb_ring_back_owed(&m.b) == m.taken - m.put
                      : pvusb_ring_front_free(&m.f) == m.kind->slots - (m.put - m.taken));
    }
    free(m.page);
    return 0;
}
