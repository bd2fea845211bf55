// SPDX-License-Identifier: MIT
/*
 * Many sockets of one domain over its one ring, as Linux's xenbus_dev_frontend.c and xenbus_xs.c do it: numbers of
 * requests are made anew, tokens of watches begin with whose they are, a transaction is used only
 * by who began it, and what a socket leaves behind when it closes is taken back.
 *
 * All is bounded: xenstored is asked MUX_REQUESTS_MAX questions at a time, each client in turn, and no more is read from
 * a client that has one waiting or that does not take its answers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "../xenstore/path.h"
#include "mux_private.h"

/* ---- beginning and end ---- */

int host_mux_open(struct host_ring *ring, struct host_mux **out)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return -ENOMEM;
    (*out)->ring = ring;
    return 0;
}

int host_mux_add(struct host_mux *mux, struct host_xenstore *xenstore)
{
    if (mux->broken)
        return -EPIPE;
    struct mux_client *client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;
    client->mux = mux;
    client->xenstore = xenstore;
    client->id = ++mux->next_client;
    client->next = mux->clients;
    mux->clients = client;
    xenstore->mux = client;
    return 0;
}

static void client_free(struct mux_client *client)
{
    struct mux_watch *next_watch;
    for (struct mux_watch *w = client->watches; w; w = next_watch) {
        next_watch = w->next;
        free(w);
    }
    struct mux_transaction *next_transaction;
    for (struct mux_transaction *t = client->transactions; t; t = next_transaction) {
        next_transaction = t->next;
        free(t);
    }
    free(client);
}

void mux_request_free(struct mux_request *request)
{
    free(request->watch);
    free(request);
}

void host_mux_close(struct host_mux *mux)
{
    if (!mux)
        return;
    struct mux_client *next;
    for (struct mux_client *c = mux->clients; c; c = next) {
        next = c->next;
        client_free(c);
    }
    struct mux_request *next_request;
    for (struct mux_request *r = mux->requests; r; r = next_request) {
        next_request = r->next;
        mux_request_free(r);
    }
    free(mux);
}

void host_mux_count(const struct host_mux *mux, struct fakexen_balance *balance)
{
    for (const struct mux_client *c = mux->clients; c; c = c->next) {
        for (const struct mux_watch *w = c->watches; w; w = w->next)
            balance->watches++;
        for (const struct mux_transaction *t = c->transactions; t; t = t->next)
            balance->transactions++;
    }
}

/* ---- asking ---- */

/* Puts one message for xenstored into the empty buffer. The watch is taken. */
static int ask(struct mux_client *client, const struct xsd_sockmsg *asked, const void *payload, size_t length,
               bool own, struct mux_watch *watch)
{
    struct host_mux *mux = client->mux;
    struct mux_request *request = calloc(1, sizeof(*request));
    if (!request) {
        free(watch);
        return -ENOMEM;
    }
    *request = (struct mux_request){.client = client, .id = ++mux->next_request, .own = own, .watch = watch};
    request->asked = *asked;
    request->next = mux->requests;
    mux->requests = request;
    mux->request_count++;
    client->outstanding++;
    struct xsd_sockmsg header = *asked;
    header.req_id = request->id;
    header.len = (uint32_t)length;
    memcpy(mux->out, &header, sizeof(header));
    memcpy(mux->out + sizeof(header), payload, length);
    mux->out_length = sizeof(header) + length;
    mux->out_sent = 0;
    return 0;
}

int mux_answer(struct mux_client *client, const struct xsd_sockmsg *asked, uint32_t type, const void *payload,
                  size_t length)
{
    struct xsd_sockmsg header = *asked;
    header.type = type;
    header.len = (uint32_t)length;
    return wire_out_add(&client->xenstore->out, &header, sizeof(header), payload, length);
}

struct mux_transaction **mux_transaction_find(struct mux_client *client, xen_transaction id)
{
    struct mux_transaction **at = &client->transactions;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

/* Types for which xenstored looks at the number of a transaction, after nothing else could have been wrong. */
static bool wants_transaction(uint32_t type)
{
    switch (type) {
    case XS_DIRECTORY:
    case XS_DIRECTORY_PART:
    case XS_READ:
    case XS_GET_PERMS:
    case XS_TRANSACTION_START:
    case XS_TRANSACTION_END:
    case XS_GET_DOMAIN_PATH:
    case XS_WRITE:
    case XS_MKDIR:
    case XS_RM:
    case XS_SET_PERMS:
    case XS_RESET_WATCHES:
        return true;
    default:
        return false;
    }
}

static struct mux_watch *watch_new(const struct mux_client *client, const char *path, const char *token)
{
    char home[XS_HOME_SIZE + 1] = "";
    if (path[0] != '/' && path[0] != '@')
        strcat(home + xs_path_home(client->xenstore->domid, home), "/");
    size_t path_size = strlen(home) + strlen(path) + 1;
    size_t token_size = MUX_PREFIX_SIZE + strlen(token);
    struct mux_watch *watch = malloc(sizeof(*watch) + path_size + token_size);
    if (!watch)
        return NULL;
    watch->next = NULL;
    watch->path = (char *)(watch + 1);
    watch->token = watch->path + path_size;
    snprintf(watch->path, path_size, "%s%s", home, path);
    snprintf(watch->token, token_size, "%08x:%s", (unsigned int)client->id, token);
    return watch;
}

/* XS_WATCH and XS_UNWATCH: the token is given its prefix. */
static int ask_watch(struct mux_client *client, const struct xsd_sockmsg *asked, const char *payload)
{
    char text[XENSTORE_PAYLOAD_MAX];
    const char *end = payload + asked->len;
    const char *path_end = memchr(payload, '\0', asked->len);
    const char *token = path_end ? path_end + 1 : end;
    const char *token_end = memchr(token, '\0', (size_t)(end - token));
    /* Not two strings: xenstored shall say what is wrong. */
    if (!token_end || memchr(token_end + 1, '\0', (size_t)(end - token_end - 1)))
        return ask(client, asked, payload, asked->len, false, NULL);
    size_t length = (size_t)(token_end + 1 - payload) + MUX_PREFIX_SIZE - 1;
    if (length > sizeof(text)) {
        /* So nobody can have set it either. */
        const char *error = asked->type == XS_UNWATCH ? "ENOENT" : "E2BIG";
        return mux_answer(client, asked, XS_ERROR, error, strlen(error) + 1);
    }
    struct mux_watch *watch = watch_new(client, payload, token);
    if (!watch)
        return -ENOMEM;
    size_t path_size = (size_t)(token - payload);
    memcpy(text, payload, path_size);
    memcpy(text + path_size, watch->token, length - path_size);
    return ask(client, asked, text, length, false, watch);
}

/* Takes the message that waits at the client's socket. */
static int take(struct mux_client *client)
{
    struct wire *wire = &client->xenstore->wire;
    struct xsd_sockmsg asked;
    int rc;
    memcpy(&asked, wire->in, sizeof(asked));
    if (asked.len > XENSTORE_PAYLOAD_MAX) {
        /* It has the answers to what it asked before. */
        client->ended = true;
        wire->have = 0;
        return 0;
    }
    const char *payload = (const char *)wire->in + sizeof(asked);
    if (wants_transaction(asked.type) && asked.tx_id && !*mux_transaction_find(client, asked.tx_id)) {
        rc = mux_answer(client, &asked, XS_ERROR, "ENOENT", sizeof("ENOENT"));
    } else if (asked.type == XS_RESET_WATCHES) {
        client->resetting = true;
        client->reset = asked;
        rc = 0;
    } else if (asked.type == XS_WATCH || asked.type == XS_UNWATCH) {
        rc = ask_watch(client, &asked, payload);
    } else {
        rc = ask(client, &asked, payload, asked.len, false, NULL);
    }
    size_t whole = sizeof(asked) + asked.len;
    memmove(wire->in, wire->in + whole, wire->have - whole);
    wire->have -= whole;
    return rc;
}

/* Asks xenstored to take one thing back. False when there is nothing. */
static bool take_back(struct mux_client *client)
{
    struct xsd_sockmsg asked = {0};
    struct mux_watch *watch = client->watches;
    struct mux_transaction *transaction = client->transactions;
    if (watch) {
        char text[XENSTORE_PAYLOAD_MAX];
        size_t path_size = strlen(watch->path) + 1;
        size_t token_size = strlen(watch->token) + 1;
        client->watches = watch->next;
        asked.type = XS_UNWATCH;
        /* The absolute form of a very long path may not fit. It is left to xenstored, with events for nobody. */
        if (path_size + token_size > sizeof(text)) {
            free(watch);
            return true;
        }
        memcpy(text, watch->path, path_size);
        memcpy(text + path_size, watch->token, token_size);
        free(watch);
        if (ask(client, &asked, text, path_size + token_size, true, NULL))
            client->mux->broken = true;
        return true;
    }
    if (!transaction)
        return false;
    client->transactions = transaction->next;
    asked.type = XS_TRANSACTION_END;
    asked.tx_id = transaction->id;
    free(transaction);
    if (ask(client, &asked, "F", 2, true, NULL))
        client->mux->broken = true;
    return true;
}

/* Whether the client had something to say. */
static bool turn(struct mux_client *client)
{
    struct host_xenstore *x = client->xenstore;
    if (!x)
        return take_back(client);
    if (client->resetting) {
        /* What it asked before may yet make a watch. */
        if (client->outstanding || take_back(client))
            return client->mux->out_length;
        client->resetting = false;
        if (mux_answer(client, &client->reset, XS_RESET_WATCHES, "OK", sizeof("OK")))
            host_xenstore_close(x);
        return true;
    }
    if (x->out.length || !wire_ready(&x->wire))
        return false;
    if (take(client))
        host_xenstore_close(x);
    return true;
}

/* ---- the ring ---- */

/* False when the ring is full, or broken. */
static bool push(struct host_mux *mux)
{
    if (mux->out_sent < mux->out_length) {
        ssize_t sent = host_ring_write(mux->ring, mux->out + mux->out_sent, mux->out_length - mux->out_sent);
        if (sent < 0)
            mux->broken = true;
        else
            mux->out_sent += (size_t)sent;
    }
    if (mux->broken || mux->out_sent < mux->out_length)
        return false;
    mux->out_sent = mux->out_length = 0;
    return true;
}

/* The first of the clients that has something to say goes to the end of the list. */
static bool next_turn(struct host_mux *mux)
{
    for (struct mux_client **at = &mux->clients; *at; at = &(*at)->next) {
        struct mux_client *client = *at;
        if (!turn(client))
            continue;
        struct mux_client **last = at;
        *at = client->next;
        client->next = NULL;
        while (*last)
            last = &(*last)->next;
        *last = client;
        return true;
    }
    return false;
}

static bool is_over(const struct mux_client *client)
{
    return !client->outstanding && !client->watches && !client->transactions && !client->resetting;
}

static void send_answers(struct fakexen_host *host, const struct host_mux *mux)
{
    for (const struct mux_client *client = mux->clients; client; client = client->next) {
        if (client->xenstore)
            host_xenstore_send(host, client->xenstore);
    }
}

/* Whether anybody had something to say. Whoever has answers to take has no turn before they are sent. */
static bool take_turns(struct fakexen_host *host, struct host_mux *mux)
{
    bool any = false;
    send_answers(host, mux);
    while (push(mux) && mux->request_count < MUX_REQUESTS_MAX && next_turn(mux))
        any = true;
    return any;
}

/* After whatever happened: asks what can be asked, sends what can be sent, and lets go who is done. */
static void settle(struct fakexen_host *host, struct host_mux *mux)
{
    while (take_turns(host, mux))
        ;
    for (struct mux_client **at = &mux->clients; *at;) {
        struct mux_client *client = *at;
        struct host_xenstore *x = client->xenstore;
        if (x && !x->source.gone &&
            (mux->broken || (client->ended && !client->outstanding && !client->resetting && !x->out.length &&
                             !wire_ready(&x->wire))))
            host_xenstore_close(x);
        if (!client->xenstore && (mux->broken ? !client->outstanding : is_over(client))) {
            *at = client->next;
            client_free(client);
        } else {
            at = &client->next;
        }
    }
}

/* ---- events ---- */

void host_mux_event(struct fakexen_host *host, struct host_mux *mux)
{
    unsigned int left = MUX_ANSWERS_MAX;
    int rc = 1;
    while (!mux->broken && left && (rc = mux_hear(mux)) > 0)
        left--;
    if (rc < 0 || mux->ring->page->error)
        mux->broken = true;
    /* There is more. */
    if (!left)
        (void)!eventfd_write(mux->ring->port->receive, 1);
    settle(host, mux);
}

/* ---- sockets ---- */

void host_mux_remove(struct host_xenstore *xenstore)
{
    xenstore->mux->mux->dirty = true;
    xenstore->mux->xenstore = NULL;
    xenstore->mux->resetting = false;
    xenstore->mux = NULL;
}

bool host_mux_wants(const struct host_xenstore *xenstore)
{
    return !xenstore->mux->ended && !xenstore->mux->resetting && !wire_ready(&xenstore->wire);
}

void host_mux_serve(struct fakexen_host *host, struct host_xenstore *xenstore, uint32_t events)
{
    struct mux_client *client = xenstore->mux;
    struct host_mux *mux = client->mux;
    if (events & (EPOLLHUP | EPOLLERR))
        host_xenstore_close(xenstore);
    else if (!xenstore->out.length && host_mux_wants(xenstore) && host_xenstore_receive(xenstore))
        client->ended = true;
    settle(host, mux);
}

void host_mux_clean(struct fakexen_host *host, struct host_mux *mux)
{
    while (mux->dirty) {
        mux->dirty = false;
        settle(host, mux);
    }
}
