// SPDX-License-Identifier: MIT
/*
 * Our rings beside the macros of xen/io/ring.h: the same random operations on two
 * pages, one handled by us, one by the macros. After every operation the pages must be equal
 * byte for byte, and both must have given the same answer. Usage: test_ring_macros [SEED]
 */
#include <stdio.h>
#include <stdlib.h>

#include <pvusb/ring.h>

enum { OPERATIONS = 150000, MESSAGE_MAX = 148, RING_BYTES = 4 * PVUSB_PAGE_SIZE };

/* A ring in the macros' hands. The answers are those of the functions of ring.h that we hold against them. */
struct genuine {
    union {
        struct usbif_urb_front_ring urb;
        struct usbif_conn_front_ring conn;
    } front;
    union {
        struct usbif_urb_back_ring urb;
        struct usbif_conn_back_ring conn;
    } back;
};

struct genuine_ops {
    void (*start)(struct genuine *g, void *page, uint32_t index, unsigned int bytes);
    uint32_t (*front_free)(struct genuine *g);
    bool (*front_put)(struct genuine *g, const void *message);
    bool (*front_push)(struct genuine *g);
    bool (*front_take)(struct genuine *g, void *message);
    bool (*front_final_check)(struct genuine *g);
    bool (*back_take)(struct genuine *g, void *message);
    bool (*back_put)(struct genuine *g, const void *message);
    bool (*back_push)(struct genuine *g);
    bool (*back_final_check)(struct genuine *g);
};

/* The macros need to know the types, so each ring gets its own copy of the operations. */
#define DEFINE_GENUINE(tag, req_t, rsp_t)                                                                    \
    static void tag##_start(struct genuine *g, void *page, uint32_t index, unsigned int bytes)               \
    {                                                                                                        \
        struct usbif_##tag##_sring *sring = page;                                                            \
        if (index == 0) {                                                                                    \
            XEN_FRONT_RING_INIT(&g->front.tag, sring, bytes);                                                \
            BACK_RING_INIT(&g->back.tag, sring, bytes);                                                      \
            return;                                                                                          \
        }                                                                                                    \
        FRONT_RING_ATTACH(&g->front.tag, sring, index, bytes);                                               \
        BACK_RING_ATTACH(&g->back.tag, sring, index, bytes);                                                 \
    }                                                                                                        \
    static uint32_t tag##_front_free(struct genuine *g)                                                      \
    {                                                                                                        \
        return RING_FREE_REQUESTS(&g->front.tag);                                                            \
    }                                                                                                        \
    static bool tag##_front_put(struct genuine *g, const void *message)                                      \
    {                                                                                                        \
        if (RING_FULL(&g->front.tag))                                                                        \
            return false;                                                                                    \
        memcpy(RING_GET_REQUEST(&g->front.tag, g->front.tag.req_prod_pvt), message, sizeof(req_t));          \
        g->front.tag.req_prod_pvt++;                                                                         \
        return true;                                                                                         \
    }                                                                                                        \
    static bool tag##_front_push(struct genuine *g)                                                          \
    {                                                                                                        \
        bool notify;                                                                                         \
        RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&g->front.tag, notify);                                          \
        return notify;                                                                                       \
    }                                                                                                        \
    static bool tag##_front_take(struct genuine *g, void *message)                                           \
    {                                                                                                        \
        if (!XEN_RING_NR_UNCONSUMED_RESPONSES(&g->front.tag))                                                \
            return false;                                                                                    \
        rsp_t copy;                                                                                          \
        RING_COPY_RESPONSE(&g->front.tag, g->front.tag.rsp_cons, &copy);                                     \
        g->front.tag.rsp_cons++;                                                                             \
        memcpy(message, &copy, sizeof(copy));                                                                \
        return true;                                                                                         \
    }                                                                                                        \
    static bool tag##_front_final_check(struct genuine *g)                                                   \
    {                                                                                                        \
        bool work;                                                                                           \
        RING_FINAL_CHECK_FOR_RESPONSES(&g->front.tag, work);                                                 \
        return work;                                                                                         \
    }                                                                                                        \
    static bool tag##_back_take(struct genuine *g, void *message)                                            \
    {                                                                                                        \
        if (!XEN_RING_NR_UNCONSUMED_REQUESTS(&g->back.tag))                                                  \
            return false;                                                                                    \
        req_t copy;                                                                                          \
        RING_COPY_REQUEST(&g->back.tag, g->back.tag.req_cons, &copy);                                        \
        g->back.tag.req_cons++;                                                                              \
        memcpy(message, &copy, sizeof(copy));                                                                \
        return true;                                                                                         \
    }                                                                                                        \
    static bool tag##_back_put(struct genuine *g, const void *message)                                       \
    {                                                                                                        \
        if (g->back.tag.req_cons == g->back.tag.rsp_prod_pvt)                                                \
            return false;                                                                                    \
        memcpy(RING_GET_RESPONSE(&g->back.tag, g->back.tag.rsp_prod_pvt), message, sizeof(rsp_t));           \
        g->back.tag.rsp_prod_pvt++;                                                                          \
        return true;                                                                                         \
    }                                                                                                        \
    static bool tag##_back_push(struct genuine *g)                                                           \
    {                                                                                                        \
        bool notify;                                                                                         \
        RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&g->back.tag, notify);                                          \
        return notify;                                                                                       \
    }                                                                                                        \
    static bool tag##_back_final_check(struct genuine *g)                                                    \
    {                                                                                                        \
        bool work;                                                                                           \
        RING_FINAL_CHECK_FOR_REQUESTS(&g->back.tag, work);                                                   \
        return work;                                                                                         \
    }                                                                                                        \
    static const struct genuine_ops genuine_##tag = {                                                        \
        tag##_start,      tag##_front_free,        tag##_front_put, tag##_front_push,                        \
        tag##_front_take, tag##_front_final_check, tag##_back_take, tag##_back_put,                          \
        tag##_back_push,  tag##_back_final_check,                                                            \
    };

/* ring.h computes the size of a ring in signed, and its index in unsigned long. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wpedantic" /* and uses statement expressions */
DEFINE_GENUINE(urb, struct usbif_urb_request, struct usbif_urb_response)
DEFINE_GENUINE(conn, struct usbif_conn_request, struct usbif_conn_response)
#pragma GCC diagnostic pop

enum operation {
    FRONT_PUT,
    FRONT_PUSH,
    FRONT_TAKE,
    FRONT_FINAL_CHECK,
    BACK_TAKE,
    BACK_PUT,
    BACK_PUSH,
    BACK_FINAL_CHECK,
    EVENTS, /* somebody asks for a notification elsewhere than at the next index, to batch */
    NR_OPERATIONS,
};

static const char *const operation_names[NR_OPERATIONS] = {
    "front put", "front push",       "front take", "front final check", "back take", "back put",
    "back push", "back final check", "events",
};

struct pair {
    const struct pvusb_ring_kind *kind;
    const struct genuine_ops *ops;
    struct pvusb_ring_front front;
    struct pvusb_ring_back back;
    struct genuine genuine;
    _Alignas(64) uint8_t ours[RING_BYTES];
    _Alignas(64) uint8_t theirs[RING_BYTES];
    unsigned long done[NR_OPERATIONS], said_yes[NR_OPERATIONS];
};

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) % limit);
}

static void pair_start(struct pair *p, uint32_t index)
{
    uint32_t words[4] = {index, index + 1, index, index + 1};
    pvusb_ring_front_init(&p->front, p->kind, p->ours);
    pvusb_ring_back_init(&p->back, p->kind, p->ours);
    if (index != 0) {
        memcpy(p->ours, words, sizeof(words));
        memcpy(p->theirs, words, sizeof(words));
        pvusb_ring_front_attach(&p->front, p->kind, p->ours, index);
        pvusb_ring_back_attach(&p->back, p->kind, p->ours, index);
    }
    p->ops->start(&p->genuine, p->theirs, index, p->kind->pages * PVUSB_PAGE_SIZE);
}

/* Writes the same event index into both pages, near where the producer is. */
static void move_event(struct pair *p)
{
    bool requests = random_below(2) != 0;
    size_t offset = requests ? 4 : 12;
    uint32_t near = requests ? p->front.req_prod : p->back.rsp_prod;
    uint32_t event = near + random_below(12) - 4;
    memcpy(p->ours + offset, &event, sizeof(event));
    memcpy(p->theirs + offset, &event, sizeof(event));
}

/* Does one operation on both sides. False when the answers differ. */
static bool operate(struct pair *p, enum operation operation)
{
    uint8_t sent[MESSAGE_MAX], ours[MESSAGE_MAX] = {0}, theirs[MESSAGE_MAX] = {0};
    bool we = false, they = false;
    if (operation >= NR_OPERATIONS)
        return false;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (uint8_t)random_below(256);

    switch (operation) {
    case FRONT_PUT:
        we = pvusb_ring_front_put(&p->front, sent);
        they = p->ops->front_put(&p->genuine, sent);
        break;
    case FRONT_PUSH:
        we = pvusb_ring_front_push(&p->front);
        they = p->ops->front_push(&p->genuine);
        break;
    case FRONT_TAKE:
        we = pvusb_ring_front_take(&p->front, ours) == PVUSB_OK;
        they = p->ops->front_take(&p->genuine, theirs);
        break;
    case FRONT_FINAL_CHECK:
        we = pvusb_ring_front_final_check(&p->front);
        they = p->ops->front_final_check(&p->genuine);
        break;
    case BACK_TAKE:
        we = pvusb_ring_back_take(&p->back, ours) == PVUSB_OK;
        they = p->ops->back_take(&p->genuine, theirs);
        break;
    case BACK_PUT:
        we = pvusb_ring_back_put(&p->back, sent);
        they = p->ops->back_put(&p->genuine, sent);
        break;
    case BACK_PUSH:
        we = pvusb_ring_back_push(&p->back);
        they = p->ops->back_push(&p->genuine);
        break;
    case BACK_FINAL_CHECK:
        we = pvusb_ring_back_final_check(&p->back);
        they = p->ops->back_final_check(&p->genuine);
        break;
    case EVENTS:
        move_event(p);
        break;
    case NR_OPERATIONS:
        return false;
    }
    p->done[operation]++;
    p->said_yes[operation] += we;
    return we == they && memcmp(ours, theirs, sizeof(ours)) == 0 &&
           memcmp(p->ours, p->theirs, (size_t)p->kind->pages * PVUSB_PAGE_SIZE) == 0 &&
           pvusb_ring_front_free(&p->front) == p->ops->front_free(&p->genuine);
}

static enum operation choose(const uint32_t weights[NR_OPERATIONS])
{
    uint32_t sum = 0;
    for (size_t i = 0; i < NR_OPERATIONS; i++)
        sum += weights[i];
    uint32_t pick = random_below(sum);
    size_t i = 0;
    while (i < NR_OPERATIONS - 1 && pick >= weights[i])
        pick -= weights[i++];
    return (enum operation)i;
}

/* New weights after some turns of the ring, so that it runs full and dry and does not only hover half full. */
static int run(struct pair *p, const char *name, uint32_t index)
{
    uint32_t weights[NR_OPERATIONS] = {1};
    pair_start(p, index);
    unsigned long operations = OPERATIONS / p->kind->pages; /* each compares all pages */
    for (unsigned long n = 0; n < operations; n++) {
        if (n % (4u * p->kind->slots) == 0) {
            for (size_t i = 0; i < NR_OPERATIONS; i++)
                weights[i] = 1 + random_below(2) * random_below(60);
        }
        enum operation operation = choose(weights);
        if (operate(p, operation))
            continue;
        printf("%s from %#x: operation %lu (%s) differs from the macros\n", name, index, n,
               operation_names[operation]);
        return 1;
    }
    printf("%s from %#x: %lu operations agree, req_prod ends at %#x;", name, index, operations, p->front.req_prod);
    for (size_t i = 0; i < NR_OPERATIONS; i++) {
        printf(" %s %lu/%lu", operation_names[i], p->said_yes[i], p->done[i]);
        /* An answer never given was never compared. */
        if (i != EVENTS && (p->said_yes[i] == 0 || p->said_yes[i] == p->done[i])) {
            printf(": always the same answer\n");
            return 1;
        }
    }
    printf("\n");
    return 0;
}

int main(int argc, char **argv)
{
    static struct pair pair;
    unsigned long long seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20240601;
    printf("seed %llu\n", seed);
    random_state = seed * 0x9e3779b97f4a7c15u + 1;
    static const uint32_t starts[] = {0, 0xfffffff0u};
    for (size_t i = 0; i < 2; i++) {
        pair = (struct pair){.kind = &pvusb_urb_ring[0], .ops = &genuine_urb};
        if (run(&pair, "URB ring", starts[i]))
            return 1;
        pair = (struct pair){.kind = &pvusb_urb_ring[2], .ops = &genuine_urb};
        if (run(&pair, "URB ring of four pages", starts[i]))
            return 1;
        pair = (struct pair){.kind = &pvusb_conn_ring, .ops = &genuine_conn};
        if (run(&pair, "connection ring", starts[i]))
            return 1;
    }
    return 0;
}
