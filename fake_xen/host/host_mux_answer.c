// SPDX-License-Identifier: MIT
/* What xenstored says over a ring: whom it is for, and what it means for what xenstored has of that client. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mux_private.h"

static void watch_made(struct mux_request *request)
{
    request->watch->next = request->client->watches;
    request->client->watches = request->watch;
    request->watch = NULL;
}

static void watch_ended(const struct mux_request *request)
{
    struct mux_watch **at = &request->client->watches;
    while (*at &&
           (strcmp((*at)->path, request->watch->path) != 0 || strcmp((*at)->token, request->watch->token) != 0))
        at = &(*at)->next;
    struct mux_watch *watch = *at;
    if (!watch)
        return;
    *at = watch->next;
    free(watch);
}

static int transaction_begun(struct mux_client *client, const char *payload, size_t length)
{
    char text[16] = "";
    struct mux_transaction *transaction = malloc(sizeof(*transaction));
    if (!transaction)
        return -ENOMEM;
    memcpy(text, payload, length < sizeof(text) ? length : sizeof(text) - 1);
    transaction->id = (xen_transaction)strtoul(text, NULL, 10);
    transaction->next = client->transactions;
    client->transactions = transaction;
    return 0;
}

static void transaction_ended(struct mux_client *client, xen_transaction id)
{
    struct mux_transaction **at = mux_transaction_find(client, id);
    struct mux_transaction *transaction = *at;
    if (!transaction)
        return;
    *at = transaction->next;
    free(transaction);
}

/* What the answer means for what xenstored has of the client. */
static int learn(struct mux_request *request, const struct xsd_sockmsg *header, const char *payload)
{
    bool failed = header->type == XS_ERROR;
    switch (request->asked.type) {
    case XS_WATCH:
        if (!failed && request->watch)
            watch_made(request);
        return 0;
    case XS_UNWATCH:
        if (!failed && request->watch)
            watch_ended(request);
        return 0;
    case XS_TRANSACTION_START:
        return failed ? 0 : transaction_begun(request->client, payload, header->len);
    case XS_TRANSACTION_END:
        /* Over also when it failed, unless it was no proper question. */
        if (!failed || header->len != sizeof("EINVAL") || memcmp(payload, "EINVAL", header->len) != 0)
            transaction_ended(request->client, request->asked.tx_id);
        return 0;
    default:
        return 0;
    }
}

static int answered(struct host_mux *mux, const struct xsd_sockmsg *header, const char *payload)
{
    struct mux_request **at = &mux->requests;
    while (*at && (*at)->id != header->req_id)
        at = &(*at)->next;
    struct mux_request *request = *at;
    if (!request)
        return -EPROTO;
    *at = request->next;
    mux->request_count--;
    struct mux_client *client = request->client;
    client->outstanding--;
    int rc = learn(request, header, payload);
    if (!rc && client->xenstore && !request->own)
        rc = mux_answer(client, &request->asked, header->type, payload, header->len);
    mux_request_free(request);
    return rc;
}

static int told(struct host_mux *mux, const struct xsd_sockmsg *header, const char *payload)
{
    unsigned int id;
    const char *end = payload + header->len;
    const char *path_end = memchr(payload, '\0', header->len);
    const char *token = path_end ? path_end + 1 : end;
    if ((size_t)(end - token) < MUX_PREFIX_SIZE || end[-1] || sscanf(token, "%8x:", &id) != 1)
        return -EPROTO;
    struct mux_client *client = mux->clients;
    while (client && client->id != id)
        client = client->next;
    if (!client || !client->xenstore)
        return 0;
    char text[XENSTORE_PAYLOAD_MAX];
    size_t path_size = (size_t)(token - payload);
    size_t rest = (size_t)(end - token) - (MUX_PREFIX_SIZE - 1);
    memcpy(text, payload, path_size);
    memcpy(text + path_size, token + MUX_PREFIX_SIZE - 1, rest);
    const struct xsd_sockmsg none = {0};
    return mux_answer(client, &none, XS_WATCH_EVENT, text, path_size + rest);
}

int mux_hear(struct host_mux *mux)
{
    struct xsd_sockmsg header;
    ssize_t got = host_ring_read(mux->ring, mux->in + mux->have, sizeof(mux->in) - mux->have);
    if (got < 0)
        return (int)got;
    mux->have += (size_t)got;
    if (mux->have < sizeof(header))
        return 0;
    memcpy(&header, mux->in, sizeof(header));
    if (header.len > XENSTORE_PAYLOAD_MAX)
        return -EPROTO;
    size_t whole = sizeof(header) + header.len;
    if (mux->have < whole)
        return got > 0;
    const char *payload = (const char *)mux->in + sizeof(header);
    int rc = header.type == XS_WATCH_EVENT ? told(mux, &header, payload) : answered(mux, &header, payload);
    memmove(mux->in, mux->in + whole, mux->have - whole);
    mux->have -= whole;
    return rc ? rc : 1;
}
