// SPDX-License-Identifier: MIT
#include "wire.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind errno.h, as its table of errors is there only then. */
#include <xen/io/xs_wire.h>

#include "path.h"

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

static int parse_domid(const char *text, domid_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 5 || text[digits])
        return -EINVAL;
    unsigned long value = strtoul(text, NULL, 10);
    if (value >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    *out = (domid_t)value;
    return 0;
}

int wire_perm_parse(const char *text, struct xen_xs_perm *perm)
{
    const char *letter = text[0] ? memchr(perm_letters, text[0], sizeof(perm_letters)) : NULL;
    if (!letter)
        return -EINVAL;
    perm->access = (enum xen_xs_access)(letter - perm_letters);
    return parse_domid(text + 1, &perm->domid);
}

/* ---- requests ---- */

/* One request and the payload of its answer. */
struct exchange {
    struct wire *wire;
    uint32_t type;
    xen_transaction t;
    /* The first string of the payload, NULL if it has none, and what follows it. */
    const char *first;
    const char *rest;
    size_t rest_length;
    char *answer; /* XEN_XS_PAYLOAD_MAX + 1 bytes */
    size_t length;
};

static void exchange_split(struct exchange *x, const char *payload, size_t length)
{
    const char *end = length ? memchr(payload, '\0', length) : NULL;
    if (!end)
        return;
    x->first = payload;
    x->rest = end + 1;
    x->rest_length = length - (size_t)(x->rest - payload);
}

/* The second string, if the payload ends with it. */
static const char *second(const struct exchange *x)
{
    if (!x->rest_length || memchr(x->rest, '\0', x->rest_length) != x->rest + x->rest_length - 1)
        return NULL;
    return x->rest;
}

static int answer_text(struct exchange *x, const char *text)
{
    x->length = strlen(text) + 1;
    memcpy(x->answer, text, x->length);
    return 0;
}

static int answer_ok(struct exchange *x, int rc)
{
    return rc ? rc : answer_text(x, "OK");
}

static int answer_bytes(struct exchange *x, ssize_t rc)
{
    if (rc < 0)
        return (int)rc;
    x->length = (size_t)rc;
    return 0;
}

static int get_perms(struct exchange *x)
{
    struct xen_xs_perm perms[XEN_XS_PERMS_MAX];
    int count = store_get_perms(x->wire->conn, x->t, x->first, perms, XEN_XS_PERMS_MAX);
    for (int i = 0; i < count; i++)
        x->length += wire_perm_format(&perms[i], x->answer + x->length) + 1;
    return count < 0 ? count : 0;
}

static int set_perms(struct exchange *x)
{
    struct xen_xs_perm perms[XEN_XS_PERMS_MAX];
    unsigned int count = 0;
    if (!x->rest_length || x->rest[x->rest_length - 1])
        return -EINVAL;
    for (const char *at = x->rest; at < x->rest + x->rest_length; at += strlen(at) + 1) {
        if (count == XEN_XS_PERMS_MAX)
            return -ENOSPC;
        int rc = wire_perm_parse(at, &perms[count++]);
        if (rc)
            return rc;
    }
    return answer_ok(x, store_set_perms(x->wire->conn, x->t, x->first, perms, count));
}

static int watch(struct exchange *x)
{
    const char *token = second(x);
    if (!token)
        return -EINVAL;
    return answer_ok(x, x->type == XS_WATCH ? store_watch(x->wire->conn, x->first, token)
                                            : store_unwatch(x->wire->conn, x->first, token));
}

static int transaction_start(struct exchange *x)
{
    xen_transaction t;
    char text[16];
    /* They do not nest. */
    if (x->t != XEN_XBT_NIL)
        return -EBUSY;
    int rc = store_begin(x->wire->conn, &t);
    if (rc)
        return rc;
    snprintf(text, sizeof(text), "%u", t);
    return answer_text(x, text);
}

static int transaction_end(struct exchange *x)
{
    if (strcmp(x->first, "T") != 0 && strcmp(x->first, "F") != 0)
        return -EINVAL;
    return answer_ok(x, store_end(x->wire->conn, x->t, x->first[0] == 'F'));
}

static int domain_question(struct exchange *x)
{
    domid_t domid;
    char home[XS_HOME_SIZE];
    int rc = parse_domid(x->first, &domid);
    if (rc)
        return rc;
    if (x->type == XS_IS_DOMAIN_INTRODUCED)
        return answer_text(x, store_introduced(x->wire->store, domid) ? "T" : "F");
    xs_path_home(domid, home);
    return answer_text(x, home);
}

static int serve(struct exchange *x)
{
    struct store_conn *conn = x->wire->conn;
    switch (x->type) {
    case XS_RESET_WATCHES:
        store_reset_watches(conn);
        return answer_ok(x, 0);
    case XS_TRANSACTION_START:
        return transaction_start(x);
    default:
        break;
    }
    if (!x->first)
        return -EINVAL;
    switch (x->type) {
    case XS_DIRECTORY:
        return answer_bytes(x, store_directory(conn, x->t, x->first, x->answer, XEN_XS_PAYLOAD_MAX));
    case XS_READ:
        return answer_bytes(x, store_read(conn, x->t, x->first, x->answer, XEN_XS_PAYLOAD_MAX + 1));
    case XS_GET_PERMS:
        return get_perms(x);
    case XS_WRITE:
        return answer_ok(x, store_write(conn, x->t, x->first, x->rest, x->rest_length));
    case XS_MKDIR:
        return answer_ok(x, store_mkdir(conn, x->t, x->first));
    case XS_RM:
        return answer_ok(x, store_rm(conn, x->t, x->first));
    case XS_SET_PERMS:
        return set_perms(x);
    case XS_WATCH:
    case XS_UNWATCH:
        return watch(x);
    case XS_TRANSACTION_END:
        return transaction_end(x);
    case XS_GET_DOMAIN_PATH:
    case XS_IS_DOMAIN_INTRODUCED:
        return domain_question(x);
    default:
        return -ENOSYS;
    }
}

static const char *error_name(int error)
{
    for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++) {
        if (xsd_errors[i].errnum == error)
            return xsd_errors[i].errstring;
    }
    return "EINVAL";
}

/* ---- the conversation ---- */

size_t wire_room(struct wire *wire, void **at)
{
    *at = wire->in + wire->have;
    return sizeof(wire->in) - wire->have;
}

int wire_step(struct wire *wire, struct wire_out *out)
{
    struct xsd_sockmsg header;
    char answer[XEN_XS_PAYLOAD_MAX + 1];
    if (wire->have < sizeof(header))
        return 0;
    memcpy(&header, wire->in, sizeof(header));
    if (header.len > XENSTORE_PAYLOAD_MAX)
        return -EPROTO;
    size_t whole = sizeof(header) + header.len;
    if (wire->have < whole)
        return 0;
    struct exchange x = {.wire = wire, .type = header.type, .t = header.tx_id, .answer = answer};
    exchange_split(&x, (const char *)wire->in + sizeof(header), header.len);
    int rc = serve(&x);
    if (rc) {
        header.type = XS_ERROR;
        answer_text(&x, error_name(-rc));
    }
    header.len = (uint32_t)x.length;
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
    while (!store_event_take(wire->conn, payload, token)) {
        size_t path_size = strlen(payload) + 1;
        size_t token_size = strlen(token) + 1;
        memcpy(payload + path_size, token, token_size);
        struct xsd_sockmsg header = {.type = XS_WATCH_EVENT, .len = (uint32_t)(path_size + token_size)};
        int rc = wire_out_add(out, &header, sizeof(header), payload, header.len);
        if (rc)
            return rc;
    }
    return 0;
}
