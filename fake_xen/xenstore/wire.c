// SPDX-License-Identifier: MIT
#include "wire.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind errno.h, as its table of errors is there only then. */
#include <xen/io/xs_wire.h>

#include "wire_private.h"

static_assert(sizeof(struct xsd_sockmsg) == WIRE_HEADER_SIZE, "the header is 16 bytes");
static_assert(XENSTORE_PAYLOAD_MAX == XEN_XS_PAYLOAD_MAX, "limits are those of the wire");

/* ---- bytes out ---- */

int wire_out_add(struct wire_out *out, const void *data, size_t length, const void *more, size_t more_length)
{
    size_t need = out->length + length + more_length;
    if (need > out->room) {
        size_t room = need * 2;
        uint8_t *grown = realloc(out->data, room);
        if (!grown)
            return -ENOMEM;
        out->data = grown;
        out->room = room;
    }
    memcpy(out->data + out->length, data, length);
    if (more_length)
        memcpy(out->data + out->length + length, more, more_length);
    out->length = need;
    return 0;
}

void wire_out_consume(struct wire_out *out, size_t length)
{
    if (length)
        memmove(out->data, out->data + length, out->length - length);
    out->length -= length;
}

void wire_out_dispose(struct wire_out *out)
{
    free(out->data);
    *out = (struct wire_out){0};
}

/* ---- permissions as text ---- */

static const char perm_letters[] = {
    [XEN_XS_NONE] = 'n', [XEN_XS_READ] = 'r', [XEN_XS_WRITE] = 'w', [XEN_XS_BOTH] = 'b'};

size_t wire_perm_format(const struct xen_xs_perm *perm, char *buf)
{
    return (size_t)snprintf(buf, WIRE_PERM_SIZE, "%c%u", perm_letters[perm->access],
                            (unsigned int)perm->domid);
}

int wire_perm_parse(const char *text, struct xen_xs_perm *perm)
{
    char *end;
    const char *letter = text[0] ? memchr(perm_letters, text[0], sizeof(perm_letters)) : NULL;
    if (!letter || !text[1])
        return -EINVAL;
    /* Blanks, signs, octal and hexadecimal numbers and all, as xs_strings_to_perms() of Xen. */
    long domid = strtol(text + 1, &end, 0);
    if (*end || domid < 0 || domid > UINT16_MAX)
        return -EINVAL;
    perm->access = (enum xen_xs_access)(letter - perm_letters);
    perm->domid = (domid_t)domid;
    return 0;
}

/* ---- the conversation ---- */

size_t wire_room(struct wire *wire, void **at)
{
    *at = wire->in + wire->have;
    return sizeof(wire->in) - wire->have;
}

bool wire_ready(const struct wire *wire)
{
    struct xsd_sockmsg header;
    if (wire->have < sizeof(header))
        return false;
    memcpy(&header, wire->in, sizeof(header));
    return header.len > XENSTORE_PAYLOAD_MAX || wire->have - sizeof(header) >= header.len;
}

static const char *error_name(int error)
{
    for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++) {
        if (xsd_errors[i].errnum == error)
            return xsd_errors[i].errstring;
    }
    return "EINVAL";
}

int wire_step(struct wire *wire, struct wire_out *out)
{
    struct xsd_sockmsg header;
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    if (!wire_ready(wire))
        return 0;
    memcpy(&header, wire->in, sizeof(header));
    if (header.len > XENSTORE_PAYLOAD_MAX)
        return -EPROTO;
    struct wire_request request = {
        .store = wire->store,
        .conn = wire->conn,
        .type = header.type,
        .t = header.tx_id,
        .payload = (const char *)wire->in + sizeof(header),
        .length = header.len,
        .answer = answer,
    };
    size_t whole = sizeof(header) + header.len;
    int rc = wire_serve(&request);
    if (rc) {
        header.type = XS_ERROR;
        request.answer_length = strlen(error_name(-rc)) + 1;
        memcpy(answer, error_name(-rc), request.answer_length);
    }
    header.len = (uint32_t)request.answer_length;
    memmove(wire->in, wire->in + whole, wire->have - whole);
    wire->have -= whole;
    /* Events first: whoever has the answer has also been told. */
    rc = wire_events(wire, out);
    if (!rc)
        rc = wire_out_add(out, &header, sizeof(header), answer, header.len);
    return rc ? rc : 1;
}

int wire_events(struct wire *wire, struct wire_out *out)
{
    char payload[XEN_XS_PATH_MAX + 1 + XEN_XS_TOKEN_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    int taken;
    while (!(taken = store_event_take(wire->conn, payload, token))) {
        size_t path_size = strlen(payload) + 1;
        size_t token_size = strlen(token) + 1;
        memcpy(payload + path_size, token, token_size);
        /* Nobody could receive it: send_event() of xenstored drops it, too. */
        if (path_size + token_size > XENSTORE_PAYLOAD_MAX)
            continue;
        struct xsd_sockmsg header = {.type = XS_WATCH_EVENT, .len = (uint32_t)(path_size + token_size)};
        int rc = wire_out_add(out, &header, sizeof(header), payload, header.len);
        if (rc)
            return rc;
    }
    return taken == -EAGAIN ? 0 : taken;
}
