// SPDX-License-Identifier: MIT
/* What becomes of single packets, and what the hub's status change endpoint tells. */
#include "frontend_groups.h"
#include "frontend_support.h"

/* ---- packets ---- */

#define PACKETS 4u
#define EACH    64u

struct iso {
    int urb;
    struct usbif_urb_request request;
};

static struct iso start(struct conform *t)
{
    struct iso iso;
    iso.request = submit_take(t, make_iso(true, PACKETS, EACH), &iso.urb);
    return iso;
}

/* Puts actual_length and status into the descriptor of one packet. */
static void put_packet(struct conform *t, const struct iso *iso, unsigned int packet, uint32_t actual,
                       int32_t status)
{
    uint8_t *page;
    const unsigned int first = iso->request.nr_buffer_segs;
    const uint32_t at = iso->request.seg[first].offset + 16 * packet;
    conform_equal(t, "map of the descriptors", 0, back_hold(t, &iso->request, first, 1, true, &page));
    memcpy(page + at + 8, &actual, 4);
    memcpy(page + at + 12, &status, 4);
    back_release(t, page, 1);
}

static void finish(struct conform *t, const struct iso *iso)
{
    back_respond(t, iso->request.id, 0, (int32_t)(PACKETS * EACH));
    guest_expect(t, iso->urb, 0, PACKETS * EACH);
}

static void packet_is(struct conform *t, const struct iso *iso, unsigned int packet, uint32_t actual, int status)
{
    struct guest_packet result = guest_packet(t, iso->urb, packet);
    conform_equal(t, "packet.actual_length", actual, result.actual);
    conform_equal(t, "packet.status", status, result.status);
}

/* Packet 2 reports this, and is taken for that; its neighbours are as good as ever. */
static void one_packet(struct conform *t, uint32_t actual, int32_t status, uint32_t taken, int as)
{
    struct iso iso = start(t);
    for (unsigned int i = 0; i < PACKETS; i++)
        put_packet(t, &iso, i, i == 2 ? actual : EACH - i, i == 2 ? status : 0);
    finish(t, &iso);
    for (unsigned int i = 0; i < PACKETS; i++)
        packet_is(t, &iso, i, i == 2 ? taken : EACH - i, i == 2 ? as : 0);
    check_works(t);
}

#define RESULTS(X)                                                                                           \
    X(full, "length.full", "a full packet", 64, 0, 64, 0)                                                    \
    X(some, "length.short", "a short packet", 5, 0, 5, 0)                                                    \
    X(empty, "length.empty", "an empty packet", 0, 0, 0, 0)                                                  \
    X(over, "length.over", "a byte more than the packet has is not believed", 65, 0, 64, 0)                  \
    X(next, "length.next", "nor is the packet behind it", 128, 0, 64, 0)                                     \
    X(most, "length.max", "nor the largest number", UINT32_MAX, 0, 64, 0)                                    \
    X(failed, "status.failed", "a packet that failed says so", 0, -71, 0, -71)                               \
    X(cross, "status.xdev", "another error is passed on", 0, -18, 0, -18)                                    \
    X(positive, "status.positive", "a positive status is an error", 64, 1, 64, -EPROTO)                      \
    X(largest, "status.max", "so is the largest", 64, INT32_MAX, 64, -EPROTO)                                \
    X(smallest, "status.min", "and the smallest is not passed on", 64, INT32_MIN, 64, -EPROTO)

#define RESULT_RUN(name, id, title, actual, status, taken, as)                                               \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        one_packet(t, actual, status, taken, as);                                                            \
    }
#define RESULT_ROW(name, id, title, actual, status, taken, as)                                               \
    GUEST_CASE("frontend.iso.packet." id, "iso.status iso.descriptor", title, name),
RESULTS(RESULT_RUN)

/* Offsets and lengths that the backend changes are not read back: data and results stay where they were. */
static void own_layout(struct conform *t)
{
    uint8_t *page;
    struct iso iso = start(t);
    const unsigned int first = iso.request.nr_buffer_segs;
    conform_equal(t, "map of the descriptors", 0, back_hold(t, &iso.request, first, 1, true, &page));
    for (unsigned int i = 0; i < PACKETS; i++) {
        const uint32_t far[4] = {0x10000u * i, 0xffff, 1000, 0};
        memcpy(page + iso.request.seg[first].offset + 16 * i, far, sizeof(far));
    }
    back_release(t, page, 1);
    finish(t, &iso);
    for (unsigned int i = 0; i < PACKETS; i++)
        packet_is(t, &iso, i, EACH, 0);
}

/* After its response a request's results are the guest's: what the backend still could write is too late. */
static void once(struct conform *t)
{
    uint8_t *page;
    struct iso iso = start(t);
    put_packet(t, &iso, 0, 7, 0);
    finish(t, &iso);
    conform_true(t, back_hold(t, &iso.request, iso.request.nr_buffer_segs, 1, true, &page) < 0,
                 "the grant of the descriptors has ended with the response");
    packet_is(t, &iso, 0, 7, 0);
}

/* ---- the hub's status change endpoint ---- */

static void port_feature(struct conform *t, uint8_t port, uint8_t request, uint8_t what)
{
    const uint8_t setup[8] = {0x23, request, what, 0, port, 0, 0, 0};
    conform_equal(t, "hub request", 0, guest_hub(t, setup, NULL, 0));
}

static void power_all(struct conform *t, uint8_t ports)
{
    for (uint8_t i = 1; i <= ports; i++)
        port_feature(t, i, 3, 8);
    conform_settle(t);
    conform_equal(t, "changes before any event", 0, guest_hub_changes(t));
}

static void changes_each(struct conform *t)
{
    power_all(t, 4);
    for (uint8_t i = 1; i <= 4; i++) {
        back_plug(t, i, USBIF_SPEED_FULL);
        conform_settle(t);
        conform_equal(t, "status change bitmap", 1u << i, guest_hub_changes(t));
        port_feature(t, i, 1, 16);
        conform_equal(t, "status change bitmap with all cleared", 0, guest_hub_changes(t));
    }
}

static void changes_together(struct conform *t)
{
    power_all(t, 4);
    back_plug(t, 1, USBIF_SPEED_LOW);
    back_plug(t, 3, USBIF_SPEED_HIGH);
    conform_settle(t);
    conform_equal(t, "status change bitmap", 0x0a, guest_hub_changes(t));
    port_feature(t, 3, 1, 16);
    conform_equal(t, "status change bitmap", 0x02, guest_hub_changes(t));
}

static void changes_last(struct conform *t)
{
    power_all(t, 31);
    for (uint8_t i = 7; i <= 31; i = (uint8_t)(i + 8))
        back_plug(t, i, USBIF_SPEED_FULL);
    conform_settle(t);
    conform_equal(t, "status change bitmap", 0x80808080u, guest_hub_changes(t));
}

static void changes_reset(struct conform *t)
{
    power_all(t, 4);
    back_plug(t, 2, USBIF_SPEED_HIGH);
    conform_settle(t);
    port_feature(t, 2, 1, 16);
    port_feature(t, 2, 3, 4);
    conform_pass(t, 30 * MS);
    conform_equal(t, "status change bitmap after a reset", 0x04, guest_hub_changes(t));
    port_feature(t, 2, 1, 20);
    conform_equal(t, "status change bitmap", 0, guest_hub_changes(t));
}

#define CHANGES_CASE(id, title, run, ports)                                                                  \
    {                                                                                                        \
        "frontend.hub.changes." id, "hub.status-change", title, run, CONFORM_FRONTEND, CONFORM_CONNECTED,    \
            ports, 0, "guest"                                                                                \
    }

const struct conform_case cases_frontend_results[] = {
    RESULTS(RESULT_ROW)
        GUEST_CASE("frontend.iso.packet.own-layout", "iso.descriptor hostile.backend",
                   "offsets and lengths are not read back", own_layout),
    GUEST_CASE("frontend.iso.packet.grant", "iso.descriptor segment.still-mapped",
               "the descriptors' grant ends with the response", once),
    CHANGES_CASE("each", "bit p stands for port p", changes_each, 0),
    CHANGES_CASE("together", "two ports with changes are two bits", changes_together, 0),
    CHANGES_CASE("last", "ports of every byte of the bitmap", changes_last, 31),
    CHANGES_CASE("reset", "the end of a reset is a change", changes_reset, 0),
    {0},
};
