// SPDX-License-Identifier: MIT
/* What a frontend makes of responses: status, lengths, order, unlinks, isochronous results. */
#include "frontend_groups.h"
#include "frontend_support.h"

static void status(struct conform *t, int32_t status, int32_t actual, bool short_not_ok, int expected,
                   uint32_t expected_actual)
{
    int number;
    struct guest_urb urb = make_urb(URB_BULK, 1, true, 64);
    urb.short_not_ok = short_not_ok;
    struct usbif_urb_request request = submit_take(t, urb, &number);
    back_respond(t, request.id, status, actual);
    guest_expect(t, number, expected, expected_actual);
    check_works(t);
}

#define STATUS(X)                                                                                            \
    X(ok, "status.ok", "status.mapping", "0 is success", 0, 64, false, 0, 64)                                \
    X(nodev, "status.nodev", "status.mapping", "-19 is -ENODEV", -19, 0, false, -ENODEV, 0)                  \
    X(inval, "status.inval", "status.mapping", "-22 is -EINVAL", -22, 0, false, -EINVAL, 0)                  \
    X(stall, "status.stall", "status.mapping", "-32 is -EPIPE", -32, 0, false, -EPIPE, 0)                    \
    X(stall_partial, "status.stall-partial", "status.mapping", "what came before a stall counts", -32,       \
      7, false, -EPIPE, 7)                                                                                   \
    X(ioerror, "status.ioerror", "status.mapping", "-71 is -EPROTO", -71, 0, false, -EPROTO, 0)              \
    X(babble, "status.babble", "status.mapping", "-75 is -EOVERFLOW", -75, 64, false, -EOVERFLOW, 64)        \
    X(shutdown, "status.shutdown", "status.mapping", "-108 is -ESHUTDOWN", -108, 0, false, -ESHUTDOWN, 0)    \
    X(unknown_positive, "status.unknown-positive", "status.unknown", "5 is -ESHUTDOWN", 5, 0, false,         \
      -ESHUTDOWN, 0)                                                                                         \
    X(unknown_minus_1, "status.unknown-minus-1", "status.unknown", "-1 is -ESHUTDOWN", -1, 0, false,         \
      -ESHUTDOWN, 0)                                                                                         \
    X(unknown_reset, "status.unknown-connreset", "status.unknown", "-104 is -ESHUTDOWN", -104, 0, false,     \
      -ESHUTDOWN, 0)                                                                                         \
    X(unknown_progress, "status.unknown-inprogress", "status.unknown", "-115 is -ESHUTDOWN", -115, 0, false, \
      -ESHUTDOWN, 0)                                                                                         \
    X(unknown_max, "status.unknown-max", "status.unknown", "the largest number is -ESHUTDOWN", INT32_MAX, 0, \
      false, -ESHUTDOWN, 0)                                                                                  \
    X(unknown_min, "status.unknown-min", "status.unknown", "the smallest number is -ESHUTDOWN", INT32_MIN,   \
      0, false, -ESHUTDOWN, 0)                                                                               \
    X(short_ok, "length.short", "transfer.short", "a short transfer is a success", 0, 5, false, 0, 5)        \
    X(empty_ok, "length.empty", "transfer.short", "no bytes are a success", 0, 0, false, 0, 0)               \
    X(short_refused, "length.short-not-ok", "flags.short-not-ok.meaning", "is -EREMOTEIO", 0, 63, true,      \
      -EREMOTEIO, 63)                                                                                        \
    X(empty_refused, "length.empty-not-ok", "flags.short-not-ok.meaning", "no bytes are -EREMOTEIO", 0, 0,   \
      true, -EREMOTEIO, 0)                                                                                   \
    X(full_accepted, "length.full-not-ok", "flags.short-not-ok.meaning", "a full transfer is fine", 0, 64,   \
      true, 0, 64)                                                                                           \
    X(stall_not_ok, "length.stall-not-ok", "flags.short-not-ok.meaning", "another error stays", -32, 63,     \
      true, -EPIPE, 63)                                                                                      \
    X(kernel_remoteio, "length.remoteio", "flags.short-not-ok.meaning",                                      \
      "-121 of kernel backends is -EREMOTEIO", -121, 5, true, -EREMOTEIO, 5)                                 \
    X(negative, "length.minus-1", "status.actual-clamped", "-1 bytes are none", 0, -1, false, 0, 0)          \
    X(most_negative, "length.min", "status.actual-clamped", "the smallest number is none", 0, INT32_MIN,     \
      false, 0, 0)                                                                                           \
    X(one_over, "length.one-over", "status.actual-clamped", "a byte more than asked is not believed", 0, 65, \
      false, 0, 64)                                                                                          \
    X(largest, "length.max", "status.actual-clamped", "the largest number is not believed", 0, INT32_MAX,    \
      false, 0, 64)

#define STATUS_RUN(name, id, requirement, title, code, actual, sno, expected, expected_actual)               \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        status(t, code, actual, sno, expected, expected_actual);                                             \
    }
#define STATUS_ROW(name, id, requirement, title, code, actual, sno, expected, expected_actual)               \
    GUEST_CASE("frontend." id, requirement, title, name),
STATUS(STATUS_RUN)

static void out_short_not_ok(struct conform *t)
{
    int number;
    struct guest_urb urb = make_urb(URB_BULK, 1, false, 64);
    urb.short_not_ok = true;
    struct usbif_urb_request request = submit_take(t, urb, &number);
    back_respond(t, request.id, 0, 63);
    guest_expect(t, number, 0, 63);
}

/* ---- order ---- */

static void reverse_order(struct conform *t)
{
    struct usbif_urb_request request[6];
    int urb[6];
    for (uint8_t i = 0; i < 6; i++)
        request[i] = submit_take(t, make_urb(URB_BULK, 1 + i, true, 64), &urb[i]);
    for (int32_t i = 5; i >= 0; i--) {
        back_respond(t, request[i].id, 0, i);
        guest_expect(t, urb[i], 0, (uint32_t)i);
    }
}

static void batch(struct conform *t)
{
    struct usbif_urb_request request[6];
    int urb[6];
    for (uint8_t i = 0; i < 6; i++)
        request[i] = submit_take(t, make_urb(URB_BULK, 1 + i, true, 64), &urb[i]);
    for (int32_t i = 0; i < 6; i++) {
        struct usbif_urb_response response;
        memset(&response, 0, sizeof(response));
        response.id = request[i].id;
        response.actual_length = i;
        back_put(t, &response);
    }
    back_push(t);
    for (uint32_t i = 0; i < 6; i++)
        guest_expect(t, urb[i], 0, i);
}

static void silence(struct conform *t)
{
    int urb;
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), &urb);
    conform_pass(t, 60000 * MS);
    guest_expect_none(t, urb);
    back_respond(t, request.id, 0, 64);
    guest_expect(t, urb, 0, 64);
}

static void early(struct conform *t)
{
    /* The first id is learned from an URB that is answered; the next is answered before it is read. */
    int urb;
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), &urb);
    back_respond(t, request.id, 0, 64);
    guest_expect(t, urb, 0, 64);
    urb = submit(t, make_urb(URB_BULK, 1, true, 64));
    conform_settle(t);
    memcpy(&request, back_urb_page(t) + 64 + 148 * (back_requests(t) % 16), sizeof(request));
    back_respond(t, request.id, 0, 9);
    guest_expect(t, urb, 0, 9);
}

static void wrap(struct conform *t)
{
    for (int32_t i = 0; i < 100; i++) {
        int urb;
        struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), &urb);
        back_respond(t, request.id, 0, i % 65);
        guest_expect(t, urb, 0, (uint32_t)i % 65);
    }
}

/* ---- unlinks ---- */

struct unlinked {
    int urb;
    struct usbif_urb_request target;
    struct usbif_urb_request unlink;
};

static struct unlinked start_unlink(struct conform *t, int reason)
{
    struct unlinked u;
    u.target = submit_take(t, make_urb(URB_BULK, 1, true, 64), &u.urb);
    conform_equal(t, "unlink", 0, guest_unlink(t, u.urb, reason));
    u.unlink = back_take(t);
    return u;
}

static void unlink_target_first(struct conform *t)
{
    struct unlinked u = start_unlink(t, -ECONNRESET);
    back_respond(t, u.target.id, -71, 0);
    back_respond(t, u.unlink.id, 0, 0);
    guest_expect(t, u.urb, -ECONNRESET, 0);
    check_works(t);
}

static void unlink_answer_first(struct conform *t)
{
    struct unlinked u = start_unlink(t, -ECONNRESET);
    back_respond(t, u.unlink.id, 0, 0);
    back_respond(t, u.target.id, -71, 0);
    guest_expect(t, u.urb, -ECONNRESET, 0);
    check_works(t);
}

static void unlink_reason(struct conform *t)
{
    struct unlinked u = start_unlink(t, -ENOENT);
    back_respond(t, u.target.id, -71, 0);
    back_respond(t, u.unlink.id, 0, 0);
    guest_expect(t, u.urb, -ENOENT, 0);
}

static void unlink_any_status(struct conform *t)
{
    struct unlinked u = start_unlink(t, -ECONNRESET);
    back_respond(t, u.unlink.id, -22, 0);
    back_respond(t, u.target.id, -71, 0);
    guest_expect(t, u.urb, -ECONNRESET, 0);
    check_works(t);
}

static void unlink_waits(struct conform *t)
{
    struct unlinked u = start_unlink(t, -ECONNRESET);
    back_respond(t, u.unlink.id, 0, 0);
    guest_expect_none(t, u.urb);
    back_respond(t, u.target.id, -71, 0);
    guest_expect(t, u.urb, -ECONNRESET, 0);
}

static void unlink_grants(struct conform *t)
{
    uint8_t *page;
    struct unlinked u = start_unlink(t, -ECONNRESET);
    back_respond(t, u.unlink.id, 0, 0);
    conform_settle(t);
    conform_equal(t, "map of the target's page before its response", 0,
                  back_hold(t, &u.target, 0, 1, true, &page));
    back_release(t, page, 1);
    back_respond(t, u.target.id, -71, 0);
    guest_expect(t, u.urb, -ECONNRESET, 0);
}

static void unlink_twice(struct conform *t)
{
    struct unlinked u = start_unlink(t, -ECONNRESET);
    conform_equal(t, "second unlink", -EBUSY, guest_unlink(t, u.urb, -ENOENT));
    back_expect_no_request(t);
}

static void unlink_many(struct conform *t)
{
    struct unlinked u[5];
    for (unsigned int i = 0; i < 5; i++)
        u[i] = start_unlink(t, -ECONNRESET);
    for (unsigned int i = 5; i-- > 0;) {
        back_respond(t, u[i].target.id, -71, 0);
        back_respond(t, u[i].unlink.id, 0, 0);
    }
    for (unsigned int i = 0; i < 5; i++)
        guest_expect(t, u[i].urb, -ECONNRESET, 0);
    check_works(t);
}

/* ---- isochronous results ---- */

static void iso_result(struct conform *t, int32_t error_count, uint32_t expected)
{
    int urb;
    struct usbif_urb_response response;
    struct usbif_urb_request request = submit_take(t, make_iso(true, 8, 64), &urb);
    memset(&response, 0, sizeof(response));
    response.id = request.id;
    response.actual_length = 77;
    response.error_count = error_count;
    back_respond_raw(t, &response);
    guest_expect(t, urb, 0, 77);
    conform_equal(t, "urb.error_count", expected, guest_result(t, urb).error_count);
}

static void iso_errors(struct conform *t)
{
    iso_result(t, 3, 3);
}

static void iso_errors_clamped(struct conform *t)
{
    iso_result(t, 1000, 8);
}

static void iso_unsupported(struct conform *t)
{
    int urb;
    struct usbif_urb_request request = submit_take(t, make_iso(true, 8, 64), &urb);
    back_respond(t, request.id, -108, 0);
    guest_expect(t, urb, -ESHUTDOWN, 0);
    check_works(t);
}

const struct conform_case cases_frontend_answers[] = {
    STATUS(STATUS_ROW) GUEST_CASE("frontend.length.out-not-ok", "flags.short-not-ok.meaning",
                                  "means nothing for OUT", out_short_not_ok),
    GUEST_CASE("frontend.order.reverse", "ring.response.order", "responses may come in any order", reverse_order),
    GUEST_CASE("frontend.order.batch", "ring.response.order", "six responses published at once", batch),
    GUEST_CASE("frontend.order.silence", "life.backend-crash", "an URB without answer is waited for", silence),
    GUEST_CASE("frontend.order.early", "ring.response.order", "an answer before the read is one", early),
    GUEST_CASE("frontend.ring.wrap", "ring.urb.depth", "a hundred URBs go round the ring", wrap),
    GUEST_CASE("frontend.unlink.target-first", "urb.unlink.any-order", "target, then unlink",
               unlink_target_first),
    GUEST_CASE("frontend.unlink.answer-first", "urb.unlink.any-order", "unlink, then target",
               unlink_answer_first),
    GUEST_CASE("frontend.unlink.reason", "urb.unlink.give-back status.unlinked", "the URB returns with the reason",
               unlink_reason),
    GUEST_CASE("frontend.unlink.any-status", "urb.unlink.any-order status.unlinked",
               "an unlink's status says nothing", unlink_any_status),
    GUEST_CASE("frontend.unlink.waits", "urb.unlink.give-back", "the URB waits for its own response",
               unlink_waits),
    GUEST_CASE("frontend.unlink.grants", "urb.unlink.give-back", "its pages stay granted until then",
               unlink_grants),
    GUEST_CASE("frontend.unlink.twice", "urb.unlink.twice", "an URB is unlinked once", unlink_twice),
    GUEST_CASE("frontend.unlink.many", "urb.unlink.any-order", "five unlinks answered in reverse", unlink_many),
    GUEST_CASE("frontend.iso.errors", "iso.status", "error_count is passed on", iso_errors),
    GUEST_CASE("frontend.iso.errors-clamped", "iso.status", "at most one per packet", iso_errors_clamped),
    GUEST_CASE("frontend.iso.unsupported", "status.mapping", "a backend without them", iso_unsupported),
    {0},
};
