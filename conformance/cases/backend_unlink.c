// SPDX-License-Identifier: MIT
/* Unlinks, in every order: each request is answered once, the target before its unlink. */
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

static struct usbif_urb_request held(struct conform *t, unsigned int page)
{
    struct usbif_urb_request request = front_int(t, 0x82, page * 4096, 8);
    front_send(t, &request);
    return request;
}

/* The two responses, in this order. */
static void expect_pair(struct conform *t, uint16_t target, int32_t status, uint16_t unlink)
{
    struct usbif_urb_response rsp = front_next(front_number(t, 0));
    conform_equal(t, "rsp.id of the first", target, rsp.id);
    conform_equal(t, "rsp.status of the target", status, rsp.status);
    rsp = front_next(front_number(t, 0));
    conform_equal(t, "rsp.id of the second", unlink, rsp.id);
    conform_equal(t, "rsp.status of the unlink", 0, rsp.status);
}

static void found(struct conform *t, uint32_t pipe)
{
    struct usbif_urb_request target = held(t, 0);
    front_expect_none(t, target.id);
    struct usbif_urb_request unlink = front_unlink(t, &target);
    unlink.pipe = pipe | FRONT_UNLINK;
    front_send(t, &unlink);
    expect_pair(t, target.id, -71, unlink.id);
}

static void same_pipe(struct conform *t)
{
    found(t, FRONT_PIPE(FRONT_INT, CONFORM_ADDRESS, 2, 1));
}

static void other_endpoint(struct conform *t)
{
    found(t, FRONT_PIPE(FRONT_BULK, CONFORM_ADDRESS, 9, 0) | 31);
}

static void by_port(struct conform *t)
{
    found(t, FRONT_PIPE(FRONT_CTRL, 0, 0, 0) | 1);
}

static void one_of_two(struct conform *t)
{
    struct usbif_urb_request first = held(t, 0);
    struct usbif_urb_request second = held(t, 1);
    struct usbif_urb_request unlink = front_unlink(t, &first);
    front_send(t, &unlink);
    expect_pair(t, first.id, -71, unlink.id);
    front_expect_none(t, second.id);
    probe_release(t, 0x82);
    front_expect(t, second.id, 0, 8);
}

static void queued(struct conform *t)
{
    struct usbif_urb_request first = held(t, 0);
    struct usbif_urb_request second = held(t, 1);
    struct usbif_urb_request unlink = front_unlink(t, &second);
    front_send(t, &unlink);
    expect_pair(t, second.id, -71, unlink.id);
    probe_release(t, 0x82);
    front_expect(t, first.id, 0, 8);
}

static void nothing(struct conform *t, uint32_t pipe, uint16_t id, int32_t status)
{
    struct usbif_urb_request target = held(t, 0);
    struct usbif_urb_request unlink = front_unlink(t, &target);
    unlink.pipe = pipe | FRONT_UNLINK;
    unlink.u.unlink.unlink_id = id;
    front_send(t, &unlink);
    front_expect(t, unlink.id, status, 0);
    front_expect_none(t, target.id);
    probe_release(t, 0x82);
    front_expect(t, target.id, 0, 8);
}

static void unknown_id(struct conform *t)
{
    nothing(t, FRONT_PIPE(FRONT_INT, CONFORM_ADDRESS, 2, 1), 0x4711, 0);
}

static void unmapped_device(struct conform *t)
{
    nothing(t, FRONT_PIPE(FRONT_INT, 77, 2, 1), 0x100, -19);
}

static void port_zero(struct conform *t)
{
    nothing(t, FRONT_PIPE(FRONT_CTRL, 0, 0, 0), 0x4711, -19);
}

static void port_beyond(struct conform *t)
{
    nothing(t, FRONT_PIPE(FRONT_CTRL, 0, 0, 0) | 31, 0x4711, -19);
}

static void empty_port(struct conform *t)
{
    nothing(t, FRONT_PIPE(FRONT_CTRL, 0, 0, 0) | 2, 0x4711, 0);
}

static void itself(struct conform *t)
{
    struct usbif_urb_request target = held(t, 0);
    struct usbif_urb_request unlink = front_unlink(t, &target);
    unlink.u.unlink.unlink_id = unlink.id;
    front_send(t, &unlink);
    front_expect(t, unlink.id, 0, 0);
    front_expect_none(t, target.id);
    probe_release(t, 0x82);
    front_expect(t, target.id, 0, 8);
}

static void after_complete(struct conform *t)
{
    struct usbif_urb_request target = front_bulk(t, 0x81, 0, 64);
    front_send(t, &target);
    front_expect(t, target.id, 0, 64);
    struct usbif_urb_request unlink = front_unlink(t, &target);
    front_send(t, &unlink);
    front_expect(t, unlink.id, 0, 0);
    front_expect_none(t, target.id);
}

static void twice(struct conform *t)
{
    struct usbif_urb_request target = held(t, 0);
    struct usbif_urb_request first = front_unlink(t, &target);
    struct usbif_urb_request second = front_unlink(t, &target);
    front_put(front_number(t, 0), &first);
    front_put(front_number(t, 0), &second);
    front_push(front_number(t, 0));
    front_expect(t, target.id, -71, 0);
    front_expect(t, first.id, 0, 0);
    front_expect(t, second.id, 0, 0);
}

static void one_push(struct conform *t)
{
    struct usbif_urb_request target = front_int(t, 0x82, 0, 8);
    struct usbif_urb_request unlink = front_unlink(t, &target);
    front_put(front_number(t, 0), &target);
    front_put(front_number(t, 0), &unlink);
    front_push(front_number(t, 0));
    expect_pair(t, target.id, -71, unlink.id);
}

static void before_its_target(struct conform *t)
{
    struct usbif_urb_request target = front_int(t, 0x82, 0, 8);
    struct usbif_urb_request unlink = front_unlink(t, &target);
    front_put(front_number(t, 0), &unlink);
    front_put(front_number(t, 0), &target);
    front_push(front_number(t, 0));
    front_expect(t, unlink.id, 0, 0);
    front_expect_none(t, target.id);
    probe_release(t, 0x82);
    front_expect(t, target.id, 0, 8);
}

static void device_hears(struct conform *t)
{
    struct probe_entry log;
    same_pipe(t);
    conform_equal(t, "transfers at the device", 1, probe_log(t, &log, 1));
    conform_equal(t, "end at the device", PROBE_CANCELLED, log.end);
}

static void control(struct conform *t)
{
    struct usbif_urb_request target = front_control(t, CONFORM_ADDRESS, 0x40, PROBE_DO_HOLD, 0, 0, 0, 0);
    front_send(t, &target);
    front_expect_none(t, target.id);
    struct usbif_urb_request unlink = front_unlink(t, &target);
    front_send(t, &unlink);
    expect_pair(t, target.id, -71, unlink.id);
    front_check_works(t);
}

static void full_ring(struct conform *t)
{
    struct usbif_urb_request target[8], unlink[8];
    struct front *f = front_number(t, 0);
    for (unsigned int i = 0; i < 8; i++) {
        target[i] = front_int(t, 0x82, i * 4096, 8);
        front_put(f, &target[i]);
    }
    for (unsigned int i = 0; i < 8; i++) {
        unlink[i] = front_unlink(t, &target[i]);
        front_put(f, &unlink[i]);
    }
    front_push(f);
    for (unsigned int i = 0; i < 8; i++) {
        front_expect(t, target[i].id, -71, 0);
        front_expect(t, unlink[i].id, 0, 0);
    }
    front_check_works(t);
}

static void grant_free(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct xen *xen = front_handle(f);
    grant_ref_t ref;
    front_need_grants(f);
    conform_equal(t, "grant", 0, xen->ops->grant(xen, 0, front_data(f), false, &ref));
    struct usbif_urb_request target = front_request(t, FRONT_PIPE(FRONT_INT, CONFORM_ADDRESS, 2, 1));
    target.u.intr.interval = 8;
    front_segment(&target, ref, 0, 8);
    memset(front_data(f), 0xee, 4096);
    front_send(t, &target);
    struct usbif_urb_request unlink = front_unlink(t, &target);
    front_send(t, &unlink);
    expect_pair(t, target.id, -71, unlink.id);
    conform_equal(t, "grant_end right after the response", 0, xen->ops->grant_end(xen, ref));
    probe_release(t, 0x82);
    for (unsigned int i = 0; i < 4096; i++)
        conform_equal(t, "byte of the page", 0xee, front_data(f)[i]);
}

static void many(struct conform *t)
{
    for (unsigned int i = 0; i < 100; i++)
        same_pipe(t);
    front_check_works(t);
}

#define CASE(id, requirements, title, run) {"backend.unlink." id, requirements, title, run, .needs = "device"}

const struct conform_case backend_unlink_cases[] = {
    CASE("order", "urb.unlink.order", "the target is answered with -71, then the unlink with 0", same_pipe),
    CASE("pipe", "urb.unlink.pipe urb.unlink.fields-ignored", "endpoint, type and direction do not matter",
         other_endpoint),
    CASE("device-0", "urb.unlink.pipe", "device 0 at its port is the same device", by_port),
    CASE("first-of-two", "transfer.unlink-followers", "the follower of an unlinked transfer goes on", one_of_two),
    CASE("queued", "urb.unlink.answer transfer.unlink-followers", "a transfer behind another can be unlinked", queued),
    CASE("unknown-id", "urb.unlink.unknown-id", "an unlink of nothing is answered with 0", unknown_id),
    CASE("unmapped-device", "urb.unlink.unmapped-device", "an unlink for no device is -19", unmapped_device),
    CASE("port-0", "urb.unlink.port-0", "an unlink for device 0 at port 0 is -19", port_zero),
    CASE("port-31", "urb.unlink.port-0", "an unlink for a port beyond the last is -19", port_beyond),
    CASE("empty-port", "urb.unlink.empty-port", "an unlink at an empty port is answered with 0", empty_port),
    CASE("itself", "urb.unlink.itself", "an unlink cannot unlink itself", itself),
    CASE("after-complete", "urb.unlink.after-complete", "a finished transfer is not answered again", after_complete),
    CASE("twice", "urb.unlink.answer urb.unlink.after-complete", "two unlinks of one target are both answered", twice),
    CASE("one-push", "urb.unlink.order", "target and unlink in one push", one_push),
    CASE("before-target", "urb.unlink.unknown-id", "an unlink does not wait for its target", before_its_target),
    CASE("device-hears", "urb.unlink.answer", "the device sees its transfer cancelled", device_hears),
    CASE("control", "urb.unlink.answer", "a control request can be unlinked", control),
    CASE("full-ring", "urb.unlink.answer ring.backend.full", "eight targets and eight unlinks fill the ring", full_ring),
    CASE("memory", "urb.unlink.memory urb.unlink.no-late-write", "an unlinked transfer's page is free", grant_free),
    CASE("many", "status.one-response", "100 unlinks", many),
    {0},
};
