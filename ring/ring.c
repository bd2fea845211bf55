// SPDX-License-Identifier: MIT
/*
 * The arithmetic of xen/io/ring.h with every access to the shared page written
 * out: an index is one atomic load or store, a slot one pass of volatile copies.
 * test_ring.c holds it against the macros of the header itself.
 */
#include <pvusb/ring.h>

/* As many slots as fit, rounded down to a power of two, as ring.h does it: twice the pages, twice the slots. */
#define URB_RING(order)                                                                                      \
    [order] = {.pages = 1u << (order),                                                                       \
               .slots = PVUSB_URB_RING_SLOTS << (order),                                                     \
               .slot_size = sizeof(union usbif_urb_sring_entry),                                             \
               .request_size = sizeof(struct usbif_urb_request),                                             \
               .response_size = sizeof(struct usbif_urb_response)}

const struct pvusb_ring_kind pvusb_urb_ring[] = {URB_RING(0), URB_RING(1), URB_RING(2), URB_RING(3), URB_RING(4)};

static_assert(sizeof(pvusb_urb_ring) / sizeof(pvusb_urb_ring[0]) == PVUSB_RING_ORDER_MAX + 1, "one for each order");

const struct pvusb_ring_kind pvusb_conn_ring = {
    .pages = 1,
    .slots = PVUSB_CONN_RING_SLOTS,
    .slot_size = sizeof(union usbif_conn_sring_entry),
    .request_size = sizeof(struct usbif_conn_request),
    .response_size = sizeof(struct usbif_conn_response),
};

/* ---- the shared page ---- */

enum ring_word {
    REQ_PROD = offsetof(struct usbif_urb_sring, req_prod),
    REQ_EVENT = offsetof(struct usbif_urb_sring, req_event),
    RSP_PROD = offsetof(struct usbif_urb_sring, rsp_prod),
    RSP_EVENT = offsetof(struct usbif_urb_sring, rsp_event),
};

#define URB_HEAD offsetof(struct usbif_urb_request, seg)
#define RING_SLOTS_OFFSET offsetof(struct usbif_urb_sring, ring)

static uint32_t word_load(const uint8_t *page, enum ring_word word)
{
    return __atomic_load_n((const uint32_t *)(const void *)(page + word), __ATOMIC_ACQUIRE);
}

static void word_store(uint8_t *page, enum ring_word word, uint32_t value)
{
    __atomic_store_n((uint32_t *)(void *)(page + word), value, __ATOMIC_RELEASE);
}

static uint8_t *slot(uint8_t *page, const struct pvusb_ring_kind *kind, uint32_t index)
{
    return page + RING_SLOTS_OFFSET + (size_t)(index & (kind->slots - 1u)) * kind->slot_size;
}

/*
 * A compiler may elide a plain copy out of shared memory and read it again later;
 * it may not do so with these. Slots are 4-byte aligned; sizes are multiples of 4, or 2.
 */
static void copy_from_shared(void *dst, const uint8_t *src, size_t size)
{
    uint8_t *to = dst;
    size_t i = 0;
    for (; i + 4 <= size; i += 4) {
        uint32_t word = *(const volatile uint32_t *)(const volatile void *)(src + i);
        memcpy(to + i, &word, sizeof(word));
    }
    for (; i < size; i += 2) {
        uint16_t half = *(const volatile uint16_t *)(const volatile void *)(src + i);
        memcpy(to + i, &half, sizeof(half));
    }
}

static void copy_to_shared(uint8_t *dst, const void *src, size_t size)
{
    const uint8_t *from = src;
    size_t i = 0;
    for (; i + 4 <= size; i += 4) {
        uint32_t word;
        memcpy(&word, from + i, sizeof(word));
        *(volatile uint32_t *)(volatile void *)(dst + i) = word;
    }
    for (; i < size; i += 2) {
        uint16_t half;
        memcpy(&half, from + i, sizeof(half));
        *(volatile uint16_t *)(volatile void *)(dst + i) = half;
    }
}

/* ring.h RING_PUSH_*_AND_CHECK_NOTIFY: did the step from old to new pass the index that the other side waits for? */
static bool passes(uint32_t old, uint32_t new, uint32_t event)
{
    return new - event < new - old;
}

/* How far the other side's producer is ahead of our consumer, if that is possible at all. */
static enum pvusb_verdict bound(uint32_t prod, uint32_t cons, uint32_t limit)
{
    uint32_t ahead = prod - cons;
    if (ahead == 0)
        return PVUSB_EMPTY;
    if (ahead <= limit)
        return PVUSB_OK;
    return ahead > INT32_MAX ? PVUSB_RING_UNDERFLOW : PVUSB_RING_OVERFLOW;
}

/* ---- frontend ---- */

void pvusb_ring_front_init(struct pvusb_ring_front *front, const struct pvusb_ring_kind *kind, void *page)
{
    memset(page, 0, (size_t)kind->pages * PVUSB_PAGE_SIZE);
    word_store(page, REQ_EVENT, 1);
    word_store(page, RSP_EVENT, 1);
    pvusb_ring_front_attach(front, kind, page, 0);
}

void pvusb_ring_front_attach(struct pvusb_ring_front *front, const struct pvusb_ring_kind *kind, void *page,
                             uint32_t index)
{
    *front = (struct pvusb_ring_front){
        .kind = kind, .page = page, .req_prod = index, .req_published = index, .rsp_cons = index};
}

uint32_t pvusb_ring_front_free(const struct pvusb_ring_front *front)
{
    return front->kind->slots - (front->req_prod - front->rsp_cons);
}

static bool put_request(struct pvusb_ring_front *front, const void *request, size_t size)
{
    if (pvusb_ring_front_free(front) == 0)
        return false;
    copy_to_shared(slot(front->page, front->kind, front->req_prod), request, size);
    front->req_prod++;
    return true;
}

bool pvusb_ring_front_put(struct pvusb_ring_front *front, const void *request)
{
    return put_request(front, request, front->kind->request_size);
}

/* How much of a request means something, which its first bytes say. */
static size_t used_bytes(const struct usbif_urb_request *request)
{
    uint32_t segs = request->nr_buffer_segs;
    if (usbif_pipeunlink(request->pipe))
        segs = 0;
    else if (usbif_pipetype(request->pipe) == USBIF_PIPE_TYPE_ISOC)
        segs += request->u.isoc.nr_frame_desc_segs;
    return URB_HEAD + (segs < PVUSB_SEGMENTS_MAX ? segs : PVUSB_SEGMENTS_MAX) * sizeof(request->seg[0]);
}

bool pvusb_ring_front_put_urb(struct pvusb_ring_front *front, const struct usbif_urb_request *request)
{
    return put_request(front, request, used_bytes(request));
}

bool pvusb_ring_front_push(struct pvusb_ring_front *front)
{
    uint32_t old = front->req_published;
    front->req_published = front->req_prod;
    word_store(front->page, REQ_PROD, front->req_prod);
    xen_mb(); /* the new producer is visible before we look whether the backend waits for it */
    return passes(old, front->req_prod, word_load(front->page, REQ_EVENT));
}

enum pvusb_verdict pvusb_ring_front_take(struct pvusb_ring_front *front, void *response)
{
    uint32_t owed = front->req_published - front->rsp_cons;
    enum pvusb_verdict verdict = bound(word_load(front->page, RSP_PROD), front->rsp_cons, owed);
    if (verdict != PVUSB_OK)
        return verdict;
    copy_from_shared(response, slot(front->page, front->kind, front->rsp_cons), front->kind->response_size);
    front->rsp_cons++;
    return PVUSB_OK;
}

bool pvusb_ring_front_final_check(struct pvusb_ring_front *front)
{
    if (word_load(front->page, RSP_PROD) != front->rsp_cons)
        return true;
    word_store(front->page, RSP_EVENT, front->rsp_cons + 1);
    xen_mb(); /* the wish is visible before the last look */
    return word_load(front->page, RSP_PROD) != front->rsp_cons;
}

bool pvusb_ring_front_pending(const struct pvusb_ring_front *front)
{
    return word_load(front->page, RSP_PROD) != front->rsp_cons;
}

/* ---- backend ---- */

void pvusb_ring_back_init(struct pvusb_ring_back *back, const struct pvusb_ring_kind *kind, void *page)
{
    pvusb_ring_back_attach(back, kind, page, 0);
}

void pvusb_ring_back_attach(struct pvusb_ring_back *back, const struct pvusb_ring_kind *kind, void *page,
                            uint32_t index)
{
    *back = (struct pvusb_ring_back){
        .kind = kind, .page = page, .req_cons = index, .rsp_prod = index, .rsp_published = index};
}

uint32_t pvusb_ring_back_owed(const struct pvusb_ring_back *back)
{
    return back->req_cons - back->rsp_prod;
}

static enum pvusb_verdict back_look(const struct pvusb_ring_back *back)
{
    /* A frontend can have at most a ring of requests without an answer; ours not yet pushed count as owed. */
    uint32_t room = back->kind->slots - (back->req_cons - back->rsp_published);
    enum pvusb_verdict verdict = bound(word_load(back->page, REQ_PROD), back->req_cons, room);
    return verdict;
}

enum pvusb_verdict pvusb_ring_back_take(struct pvusb_ring_back *back, void *request)
{
    enum pvusb_verdict verdict = back_look(back);
    if (verdict != PVUSB_OK)
        return verdict;
    copy_from_shared(request, slot(back->page, back->kind, back->req_cons), back->kind->request_size);
    back->req_cons++;
    return PVUSB_OK;
}

enum pvusb_verdict pvusb_ring_back_take_urb(struct pvusb_ring_back *back, struct usbif_urb_request *request)
{
    enum pvusb_verdict verdict = back_look(back);
    if (verdict != PVUSB_OK)
        return verdict;
    const uint8_t *from = slot(back->page, back->kind, back->req_cons);
    copy_from_shared(request, from, URB_HEAD);
    copy_from_shared(request->seg, from + URB_HEAD, used_bytes(request) - URB_HEAD);
    back->req_cons++;
    return PVUSB_OK;
}

bool pvusb_ring_back_put(struct pvusb_ring_back *back, const void *response)
{
    if (pvusb_ring_back_owed(back) == 0)
        return false;
    copy_to_shared(slot(back->page, back->kind, back->rsp_prod), response, back->kind->response_size);
    back->rsp_prod++;
    return true;
}

bool pvusb_ring_back_push(struct pvusb_ring_back *back)
{
    uint32_t old = back->rsp_published;
    back->rsp_published = back->rsp_prod;
    word_store(back->page, RSP_PROD, back->rsp_prod);
    xen_mb(); /* as in pvusb_ring_front_push() */
    return passes(old, back->rsp_prod, word_load(back->page, RSP_EVENT));
}

bool pvusb_ring_back_final_check(struct pvusb_ring_back *back)
{
    if (word_load(back->page, REQ_PROD) != back->req_cons)
        return true;
    word_store(back->page, REQ_EVENT, back->req_cons + 1);
    xen_mb(); /* as in pvusb_ring_front_final_check() */
    return word_load(back->page, REQ_PROD) != back->req_cons;
}

bool pvusb_ring_back_pending(const struct pvusb_ring_back *back)
{
    return word_load(back->page, REQ_PROD) != back->req_cons;
}
