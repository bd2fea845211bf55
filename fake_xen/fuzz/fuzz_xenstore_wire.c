// SPDX-License-Identifier: MIT
/*
 * Bytes from a hostile xenstore client against a store that others use. The first byte says how
 * many bytes arrive at a time. Whatever comes, what goes out is whole messages of a legal size, domain 0
 * can still read, and a guest has not changed what is not its own.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../xenstore/wire.h"

#define GUEST 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_messages(const struct wire_out *out)
{
    size_t at = 0;
    while (at < out->length) {
        uint32_t header[4];
        require(out->length - at >= sizeof(header));
        memcpy(header, out->data + at, sizeof(header));
        require(header[3] <= XEN_XS_PAYLOAD_MAX && header[3] <= out->length - at - sizeof(header));
        at += sizeof(header) + header[3];
    }
}

/* Feeds some bytes; false when the conversation is over. */
static bool feed(struct wire *wire, struct wire_out *out, const uint8_t *data, size_t size)
{
    while (size) {
        void *room;
        size_t some = wire_room(wire, &room);
        require(some > 0);
        if (some > size)
            some = size;
        memcpy(room, data, some);
        wire->have += some;
        data += some;
        size -= some;
        int rc;
        do {
            rc = wire_step(wire, out);
        } while (rc > 0);
        check_messages(out);
        wire_out_consume(out, out->length);
        if (rc)
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store *store;
    struct store_conn *dom0;
    static struct wire wire;
    struct wire_out out = {0};
    char value[XEN_XS_PAYLOAD_MAX + 1];
    if (!size)
        return 0;
    size_t step = data[0] ? data[0] : size;
    memset(&wire, 0, sizeof(wire));
    require(!store_create(&store) && !store_introduce(store, GUEST));
    require(!store_connect(store, 0, &dom0) && !store_connect(store, GUEST, &wire.conn));
    require(!store_watch(dom0, "/", "all"));
    wire.store = store;
    for (size_t at = 1; at < size; at += step) {
        if (!feed(&wire, &out, data + at, size - at < step ? size - at : step))
            break;
    }
    require(store_read(dom0, XEN_XBT_NIL, "/local/domain/5/name", value, sizeof(value)) == 8);
    require(strcmp(value, "Domain-5") == 0);
    require(store_directory(dom0, XEN_XBT_NIL, "/", value, sizeof(value)) == 6);
    wire_out_dispose(&out);
    store_disconnect(wire.conn);
    store_disconnect(dom0);
    store_destroy(store);
    return 0;
}
