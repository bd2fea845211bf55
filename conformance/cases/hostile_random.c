// SPDX-License-Identifier: MIT
/*
 * Rows of the matrix of malformed requests that need more than one request, and what nobody thought of:
 * random requests, responses and nodes. Nothing of it ends the half under test, and afterwards it works.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

static uint32_t below(struct conform *t, uint32_t n)
{
    return (uint32_t)(conform_random(t) % n);
}

/* ---- rows ---- */

static void control_in_without_segments(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 0x80, 6, 0x100, 0, 0, 0);
    request.u.ctrl[6] = 18;
    memset(front_data(f), 0xee, 4096);
    front_send(t, &request);
    struct usbif_urb_response rsp = front_response(f, request.id);
    conform_true(t, rsp.status == -75 || rsp.actual_length == 0, "without segments nothing arrives");
    for (unsigned int i = 0; i < 4096; i++)
        conform_equal(t, "byte of a page that was not named", 0xee, front_data(f)[i]);
    front_check_works(t);
}

/* GET_STATUS without a data stage, for the device to answer. */
static void setup_zero(struct conform *t)
{
    static const uint8_t zero[8];
    struct probe_entry log[1];
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 0, 0, 0, 0, 0, 0);
    front_send(t, &request);
    struct usbif_urb_response rsp = front_response(front_number(t, 0), request.id);
    conform_true(t, rsp.status == 0 || rsp.status == -32, "it is the device's to answer");
    conform_equal(t, "requests at the device", 1, probe_log(t, log, 1));
    conform_bytes(t, "setup packet at the device", zero, log[0].setup, 8);
}

/* A grant is withdrawn while a transfer waits: it may still end well, or not; later ones of that page do not.
 */
static void revoked_in_use(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct xen *xen = front_handle(f);
    grant_ref_t ref;
    front_need_grants(f);
    conform_equal(t, "grant", 0, xen->ops->grant(xen, 0, front_data(f), false, &ref));
    struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_INT, CONFORM_ADDRESS, 2, 1));
    request.u.intr.interval = 8;
    front_segment(&request, ref, 0, 8);
    front_send(t, &request);
    front_expect_none(t, request.id);
    conform_equal(t, "grant_revoke", 0, xen->ops->grant_revoke(xen, ref));
    probe_release(t, 0x82);
    struct usbif_urb_response rsp = front_response(f, request.id);
    conform_note(t, "with its grant withdrawn it ends with %d, %d bytes", rsp.status, rsp.actual_length);
    conform_true(t, rsp.status == 0 ? rsp.actual_length == 8 : rsp.actual_length == 0,
                 "all of it or nothing");
    conform_settle(t);
    conform_equal(t, "grant_end", 0, xen->ops->grant_end(xen, ref));
    front_check_works(t);
}

/* Its own words of the ring are the backend's to know: whatever stands there, the next response is the next
 * one. */
static void own_words(struct conform *t)
{
    static const uint32_t values[] = {0, 1, 17, 0x7fffffff, 0x80000000, 0xffffffff};
    struct front *f = front_number(t, 0);
    uint8_t *page = front_urb_page(f);
    front_knobs(f)->deaf = true;
    for (unsigned int i = 0; i < 6; i++) {
        struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_BULK, 99, 1, 1));
        uint32_t old = front_word(page, 8);
        uint16_t id;
        front_set_word(page, 8, values[i]);
        front_set_word(page, 12, values[5 - i]);
        front_put(f, &request);
        front_push(f);
        front_notify(f);
        front_expect_published(f, page, old + 1);
        memcpy(&id, front_urb_page(f) + 64 + (size_t)(old % 16) * 148, sizeof(id));
        conform_equal(t, "rsp.id", request.id, id);
        front_expect_no_plug(f);
    }
}

/* Each type at each kind of endpoint: answered, or cancelled when it waits. */
static void every_type(struct conform *t)
{
    static const uint8_t endpoints[] = {0x00, 0x80, 0x81, 0x01, 0x82, 0x02, 0x84, 0x0f};
    struct front *f = front_number(t, 0);
    for (unsigned int i = 0; i < 32; i++) {
        uint8_t endpoint = endpoints[i / 4];
        struct usbif_urb_request request = front_bulk(t, endpoint, 0, 8);
        memset(request.u.ctrl, 0, 8);
        request.pipe = FRONT_PIPE(i % 4, CONFORM_ADDRESS, endpoint & 15u, endpoint >> 7);
        front_send(t, &request);
        struct usbif_urb_request unlink = front_unlink(t, &request);
        front_send(t, &unlink);
        struct usbif_urb_response rsp = front_response(f, request.id);
        conform_note(t, "type %u at endpoint 0x%02x: %d", i % 4, endpoint, rsp.status);
        conform_equal(t, "rsp.status of the unlink", 0, front_response(f, unlink.id).status);
    }
    front_check_works(t);
}

/* With isochronous transfers or without them. */
static void iso_answered(struct conform *t)
{
    for (unsigned int packets = 1; packets <= 256; packets *= 4) {
        struct usbif_urb_request request = front_iso(t, 0x84, 0, packets, 64);
        front_send(t, &request);
        struct usbif_urb_response rsp = front_response(front_number(t, 0), request.id);
        conform_note(t, "%u packets: status %d, %d bytes", packets, rsp.status, rsp.actual_length);
        conform_true(t, rsp.status == 0 || rsp.actual_length == 0, "carried out, or an error");
    }
    front_check_works(t);
}

/* ---- random requests ---- */

static const uint16_t odd_values[] = {0,   1,   2,    8,    15,   16,     17,     127,   128,
                                      255, 256, 4095, 4096, 4097, 0x7fff, 0x8000, 0xffff};

static uint16_t odd(struct conform *t)
{
    return odd_values[below(t, sizeof(odd_values) / sizeof(odd_values[0]))];
}

static struct usbif_urb_request sensible(struct conform *t, uint32_t page)
{
    switch (below(t, 8)) {
    case 0:
        return front_bulk(t, 0x81, page * 4096, 1 + below(t, 4096));
    case 1:
        return front_bulk(t, 0x03, page * 4096, 1 + below(t, 4096));
    case 2:
        return front_int(t, 0x82, page * 4096, 8);
    case 3:
        return front_int(t, 0x02, page * 4096, below(t, 64));
    case 4:
        return front_control(t, CONFORM_ADDRESS, 0x80, 6, 0x100, 0, page * 4096, 18);
    case 5:
        return front_control(t, CONFORM_ADDRESS, 0x40, PROBE_SET_BYTES, 0, 0, page * 4096,
                             (uint16_t)below(t, 64));
    case 6:
        return front_iso(t, 0x84, page * 4096, 1 + below(t, 4), 64);
    default:
        return front_control(t, CONFORM_ADDRESS, 2, 1, 0, (uint16_t)(0x81 + below(t, 3)), 0, 0);
    }
}

/* One field or two are not what they should be; or, one time of eight, none is. */
static void spoil(struct conform *t, struct usbif_urb_request *request)
{
    for (uint32_t n = below(t, 3); n > 0; n--) {
        uint32_t i = below(t, 4);
        switch (below(t, 9)) {
        case 0:
            request->nr_buffer_segs = odd(t);
            break;
        case 1:
            request->buffer_length = odd(t);
            break;
        case 2:
            request->transfer_flags = odd(t);
            break;
        case 3:
            request->seg[i].gref = below(t, 2) ? odd(t) : 0xffffffff - odd(t);
            break;
        case 4:
            request->seg[i].offset = odd(t);
            break;
        case 5:
            request->seg[i].length = odd(t);
            break;
        case 6:
            request->u.isoc.number_of_packets = odd(t); /* or wIndex */
            break;
        case 7:
            request->u.isoc.nr_frame_desc_segs = odd(t); /* or wLength */
            break;
        default:
            request->pipe ^= 1u << below(t, 32);
            break;
        }
    }
}

/* Each is unlinked as well, in case it waits: whatever it is, it and its unlink are answered once. */
static void random_round(struct conform *t, bool raw)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request request[7], unlink[7];
    uint32_t n = 1 + below(t, 7);
    for (uint32_t i = 0; i < n; i++) {
        request[i] = sensible(t, i);
        uint16_t id = request[i].id;
        if (raw)
            for (unsigned int b = 0; b < sizeof(request[i]); b++)
                ((uint8_t *)&request[i])[b] = (uint8_t)conform_random(t);
        else
            spoil(t, &request[i]);
        request[i].id = id;
        front_put(f, &request[i]);
    }
    front_push(f);
    if (below(t, 2))
        conform_settle(t);
    for (uint32_t i = 0; i < n; i++) {
        unlink[i] = front_unlink(t, &request[i]);
        front_send(t, &unlink[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        (void)front_response(f, request[i].id);
        (void)front_response(f, unlink[i].id);
    }
}

/* Random requests may have moved the device, or taken its configuration. */
static void works_anew(struct conform *t)
{
    struct usbif_urb_request request = front_control(t, 0, 0, 5, CONFORM_ADDRESS, 0, 0, 0);
    request.pipe |= 1;
    front_send(t, &request);
    front_expect(t, request.id, 0, 0);
    request = front_control(t, CONFORM_ADDRESS, 0, 9, 1, 0, 0, 0);
    front_send(t, &request);
    front_expect(t, request.id, 0, 0);
    probe_clear(t);
    front_check_works(t);
}

static unsigned int rounds(const struct conform *t, unsigned int n)
{
    return conform_has(t, "inproc") ? n : n / 10;
}

static void random_fields(struct conform *t)
{
    for (unsigned int i = 0; i < rounds(t, 300); i++)
        random_round(t, false);
    works_anew(t);
}

static void random_bytes(struct conform *t)
{
    for (unsigned int i = 0; i < rounds(t, 300); i++)
        random_round(t, true);
    works_anew(t);
}

/* The device comes and goes meanwhile, by hand and by its port node. */
static void random_plugs(struct conform *t)
{
    struct front *f = front_number(t, 0);
    bool there = true;
    for (unsigned int i = 0; i < rounds(t, 200); i++) {
        random_round(t, false);
        switch (below(t, 4)) {
        case 0:
            if (there)
                probe_pull(t, "1-1");
            else
                probe_plug(t, "1-1", USBIF_SPEED_HIGH);
            there = !there;
            break;
        case 1:
            front_port(f, 1, below(t, 2) ? "1-1" : "");
            break;
        case 2:
            front_port(f, 2, below(t, 2) ? "1-1" : "1-2");
            break;
        default:
            break;
        }
        front_drain_plugs(f);
    }
    if (!there)
        probe_plug(t, "1-1", USBIF_SPEED_HIGH);
    front_port(f, 2, "");
    front_port(f, 1, "");
    front_port(f, 1, "1-1");
    front_drain_plugs(f);
    works_anew(t);
}

static void random_nodes(struct conform *t)
{
    static const char *const nodes[] = {"state", "urb-ring-ref", "conn-ring-ref", "event-channel",
                                        "protocol"};
    static const char *const texts[] = {
        "",    "x",   "-1", "0", "4", "5", "4294967295", "4294967296", "18446744073709551616",
        "1 2", "0x1", "6",  "1", "3"};
    struct front *f = front_number(t, 0);
    for (unsigned int i = 0; i < rounds(t, 400); i++) {
        front_set_node(f, nodes[below(t, 5)], below(t, 12) ? texts[below(t, 14)] : NULL);
        if (below(t, 3) == 0)
            conform_settle(t);
    }
    front_set_state(f, XenbusStateClosing);
    conform_settle(t);
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    front_unmake(f);
    front_set_state(f, XenbusStateInitialising);
    front_drain_plugs(f);
    front_connect(f);
    front_drain_plugs(f);
    works_anew(t);
}

#define CASE(id, requirements, title, run, needs_)                                                           \
    {                                                                                                        \
        "hostile.backend." id, requirements, title, run, .needs = "device" needs_                            \
    }

const struct conform_case hostile_random_cases[] = {
    CASE("request.control-in-without-segs", "control.in-too-long", "control IN data without segments",
         control_in_without_segments, ""),
    CASE("request.setup-zero.addressed", "control.setup-zero", "a setup packet of zeros is the device's",
         setup_zero, ""),
    CASE("grant.revoked.in-use", "segment.revoked", "a grant withdrawn under a transfer", revoked_in_use, ""),
    CASE("ring.own-words", "ring.peer-fields ring.init.private",
         "what stands in rsp_prod and rsp_event is not believed", own_words, ""),
    CASE("types", "pipe.type-mismatch status.one-response", "every type at every endpoint is answered",
         every_type, ""),
    CASE("iso.answered", "iso.answered", "isochronous requests are carried out or refused", iso_answered, ""),
    CASE("random.fields", "hostile.assert status.one-response", "requests with random mistakes",
         random_fields, ""),
    CASE("random.bytes", "hostile.assert status.one-response", "requests of random bytes", random_bytes, ""),
    CASE("random.plugs", "hostile.assert status.one-response",
         "random requests while the device comes and goes", random_plugs, " replug toolstack"),
    CASE("random.nodes", "hostile.assert state.backend.reconnect", "random nodes and states", random_nodes,
         ""),
    {0},
};
