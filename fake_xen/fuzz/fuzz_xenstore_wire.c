// SPDX-License-Identifier: MIT
/*
 * Bytes from hostile xenstore clients, of two guests and perhaps of domain 0, against a store that others
 * use.
 *
 * The first byte says whether domain 0 is hostile, too (bit 0). Then come pieces: a byte whose lower two bits
 * say whose (two connections of a guest, one of another, one of domain 0 or, when that is not hostile, of the
 * other guest), whose next bit says whether they arrive byte by byte; two bytes, the length; the bytes.
 *
 * Whatever comes: every whole message has exactly one answer, with its numbers, and the messages for the
 * toolstack are refused to guests; what goes out is whole messages of a legal size; what the store counts is
 * what is there, and within the quotas; and a guest has not changed what is not its own.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../xenstore/store_private.h"
#include "../xenstore/wire.h"
#include <xen/io/xs_wire.h>

#define GUEST       5
#define OTHER       7
#define CONNECTIONS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The wires are large and cleared where it matters. */
static struct wire wires[CONNECTIONS];
static struct wire_out outs[CONNECTIONS];

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* ---- what goes out ---- */

static void check_event(const struct xsd_sockmsg *header, const char *payload)
{
    require(!header->req_id && !header->tx_id && header->len > 1);
    const char *end = memchr(payload, '\0', header->len);
    require(end && end + 1 < payload + header->len);
    require(memchr(end + 1, '\0', header->len) == payload + header->len - 1);
}

static bool privileged(uint32_t type)
{
    switch (type) {
    case XS_CONTROL:
    case XS_INTRODUCE:
    case XS_RELEASE:
    case XS_IS_DOMAIN_INTRODUCED:
    case XS_RESUME:
    case XS_SET_TARGET:
        return true;
    default:
        return false;
    }
}

static void check_answer(const struct wire *wire, const struct xsd_sockmsg *asked,
                         const struct xsd_sockmsg *header, const char *payload)
{
    require(header->req_id == asked->req_id && header->tx_id == asked->tx_id);
    require(header->type == asked->type || header->type == XS_ERROR);
    if (header->type == XS_ERROR)
        require(header->len > 2 && payload[0] == 'E' && !payload[header->len - 1]);
    if (privileged(asked->type) && store_conn_domid(wire->conn))
        require(header->type == XS_ERROR && strcmp(payload, "EACCES") == 0);
}

/* All that is to be sent: events, and one answer if something was asked. Takes it. */
static void check_out(const struct wire *wire, struct wire_out *out, const struct xsd_sockmsg *asked)
{
    unsigned int answers = 0;
    for (size_t at = 0; at < out->length;) {
        struct xsd_sockmsg header;
        require(out->length - at >= sizeof(header));
        memcpy(&header, out->data + at, sizeof(header));
        at += sizeof(header);
        require(header.len <= XEN_XS_PAYLOAD_MAX && header.len <= out->length - at);
        const char *payload = (const char *)out->data + at;
        at += header.len;
        if (header.type == XS_WATCH_EVENT) {
            check_event(&header, payload);
            continue;
        }
        require(asked && !answers++);
        check_answer(wire, asked, &header, payload);
    }
    require(answers == (asked ? 1 : 0));
    wire_out_consume(out, out->length);
}

/* ---- what comes in ---- */

static void end(unsigned int who)
{
    store_disconnect(wires[who].conn);
    wires[who].conn = NULL;
    wire_out_dispose(&outs[who]);
}

/* Serves one message if there is a whole one. False when there is none, or the conversation has ended. */
static bool step(unsigned int who)
{
    struct wire *wire = &wires[who];
    struct xsd_sockmsg asked;
    bool header = wire->have >= sizeof(asked);
    if (header)
        memcpy(&asked, wire->in, sizeof(asked));
    bool oversized = header && asked.len > XEN_XS_PAYLOAD_MAX;
    bool whole = header && !oversized && wire->have - sizeof(asked) >= asked.len;
    require(wire_ready(wire) == (whole || oversized));
    int rc = wire_step(wire, &outs[who]);
    if (rc == -EPIPE && wire->conn->overflow) {
        end(who);
        return false;
    }
    require(rc == (oversized ? -EPROTO : whole));
    check_out(wire, &outs[who], whole ? &asked : NULL);
    if (oversized)
        end(who);
    return whole;
}

/* What the others are told of it. */
static void tell_others(void)
{
    for (unsigned int i = 0; i < CONNECTIONS; i++) {
        if (!wires[i].conn)
            continue;
        int rc = wire_events(&wires[i], &outs[i]);
        require(!rc || (rc == -EPIPE && wires[i].conn->overflow));
        if (rc)
            end(i);
        else
            check_out(&wires[i], &outs[i], NULL);
    }
}

static void feed(unsigned int who, const uint8_t *data, size_t size, bool bytewise)
{
    while (size && wires[who].conn) {
        void *room;
        size_t some = wire_room(&wires[who], &room);
        require(some > 0);
        if (some > size)
            some = size;
        if (bytewise)
            some = 1;
        memcpy(room, data, some);
        wires[who].have += some;
        data += some;
        size -= some;
        while (step(who))
            tell_others();
    }
}

static void feed_pieces(const uint8_t *data, size_t size)
{
    while (size >= 3) {
        uint8_t how = data[0];
        size_t length = (size_t)(data[1] | data[2] << 8);
        data += 3;
        size -= 3;
        if (length > size)
            length = size;
        feed(how & 3, data, length, how & 4);
        data += length;
        size -= length;
    }
}

/* ---- what must hold ---- */

static long owned(const struct xs_node *node, domid_t domid)
{
    long count = node->perms[0].domid == domid;
    for (unsigned int i = 0; i < node->child_count; i++)
        count += owned(node->children[i], domid);
    return count;
}

static void check_quotas(const struct store *store, domid_t domid)
{
    unsigned int watches = 0;
    unsigned int transactions = 0;
    for (unsigned int i = 0; i < CONNECTIONS; i++) {
        if (!wires[i].conn || store_conn_domid(wires[i].conn) != domid)
            continue;
        watches += store_watch_count(wires[i].conn);
        transactions += store_transaction_count(wires[i].conn);
        require(wires[i].conn->event_bytes <= STORE_EVENTS_MAX);
    }
    require(watches <= STORE_WATCHES_MAX + 1 && transactions <= STORE_TRANSACTIONS_MAX + 1);
    require(store->domains[domid].entries <= STORE_ENTRIES_MAX);
}

static void check_untouched(struct store_conn *dom0)
{
    char value[XEN_XS_PAYLOAD_MAX + 1];
    require(store_read(dom0, XEN_XBT_NIL, "/local/domain/5/name", value, sizeof(value)) == 8);
    require(strcmp(value, "Domain-5") == 0);
    require(store_read(dom0, XEN_XBT_NIL, "/canary", value, sizeof(value)) == 5);
    require(strcmp(value, "sings") == 0);
    require(store_directory(dom0, XEN_XBT_NIL, "/canary", value, sizeof(value)) == 0);
    require(store_directory(dom0, XEN_XBT_NIL, "/", value, sizeof(value)) == 18);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store *store;
    struct store_conn *dom0;
    if (!size)
        return 0;
    bool hostile_dom0 = data[0] & 1;
    const domid_t domids[CONNECTIONS] = {GUEST, GUEST, OTHER, hostile_dom0 ? 0 : OTHER};
    memset(wires, 0, sizeof(wires));
    require(!store_create(&store) && !store_introduce(store, GUEST) && !store_introduce(store, OTHER));
    require(!store_connect(store, 0, &dom0) && !store_write(dom0, XEN_XBT_NIL, "/canary", "sings", 5));
    require(!store_watch(dom0, "/", "all"));
    for (unsigned int i = 0; i < CONNECTIONS; i++) {
        wires[i].store = store;
        require(!store_connect(store, domids[i], &wires[i].conn));
    }
    feed_pieces(data + 1, size - 1);
    for (domid_t domid = 0; domid < 10; domid++)
        require((long)store->domains[domid].entries == owned(store->root, domid));
    if (!hostile_dom0) {
        check_quotas(store, GUEST);
        check_quotas(store, OTHER);
        check_untouched(dom0);
    }
    for (unsigned int i = 0; i < CONNECTIONS; i++)
        end(i);
    store_disconnect(dom0);
    store_destroy(store);
    return 0;
}
