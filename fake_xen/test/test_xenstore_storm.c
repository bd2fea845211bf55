// SPDX-License-Identifier: MIT
/*
 * Sixteen clients send random and hostile messages to a host's xenstore sockets: every message of a legal
 * length has one answer, in order and with its numbers; who breaks the protocol or never reads is dropped and
 * nobody else; a client that behaves has its answer within a few steps; and what is not a guest's
 * own stays as it is. Usage: test_xenstore_storm MESSAGES [SEED]
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stepped_host.h"
#include "storm_message.h"

#define CLIENTS     16u
#define EXPECTED    8192u
#define PROBE_EVERY 50u
/* Sixteen sources are served in one step; with the probe's there are seventeen, and those who connect. */
#define PROBE_STEPS 4u
/* Clients that never read begin with watches whose events are large. */
#define DEAF_WATCHES 20u
#define DEAF_TOKEN   2500u

enum mood {
    PROMPT, /* takes its answers at once */
    LATE,   /* now and then */
    DEAF,   /* never */
};

struct client {
    struct raw_store raw;
    struct storm_sender sender;
    enum mood mood;
    bool ending;   /* the host is going to end it */
    bool hangs_up; /* it ends itself when all is sent */
    uint32_t next_req;
    unsigned int sent;
    uint8_t out[STORM_MESSAGE_MAX];
    size_t out_have;
    size_t out_sent;
    struct xsd_sockmsg expected[EXPECTED];
    unsigned int first;
    unsigned int waiting;
};

struct storm {
    struct stepped_host host;
    struct storm_random random;
    struct client clients[CLIENTS];
    struct raw_store probe;
    unsigned long messages;
    unsigned long answers;
    unsigned long errors;
    unsigned long quotas;
    unsigned long events;
    unsigned long oversized;
    unsigned long deaf;   /* clients that were dropped because they never read */
    unsigned int slowest; /* steps until the probe had its answer */
    uint64_t seed;
};

static struct storm storm;

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            fail(__LINE__, #condition);                                                                      \
    } while (0)

static void fail(int line, const char *what)
{
    printf("line %d: not so: %s; seed %" PRIu64 ", after %lu messages\n", line, what, storm.seed,
           storm.messages);
    fflush(stdout);
    abort();
}

/* ---- clients ---- */

static void join(struct client *c, unsigned int index)
{
    const domid_t domids[] = {5, 7, 5, 0};
    c->sender = (struct storm_sender){.random = &storm.random, .domid = domids[index % 4]};
    uint32_t mood = storm_random(&storm.random, 8);
    c->mood = mood == 0 ? DEAF : mood == 1 ? LATE : PROMPT;
    /* Domain 0 watches all and may not be deaf: nothing limits the events that wait for it. */
    if (!c->sender.domid)
        c->mood = PROMPT;
    c->sender.token = storm_random(&storm.random, 20);
    c->sent = 0;
    c->ending = c->hangs_up = false;
    c->next_req = storm_random(&storm.random, UINT32_MAX);
    c->out_have = c->out_sent = 0;
    c->first = c->waiting = 0;
    CHECK(!raw_store_connect(&c->raw, &storm.host, c->sender.domid));
}

static void leave(struct client *c)
{
    raw_store_close(&c->raw);
}

static void check_event(const struct xsd_sockmsg *header, const char *payload)
{
    size_t path = strlen(payload) + 1;
    storm.events++;
    CHECK(!header->req_id && !header->tx_id);
    CHECK(path < header->len);
    CHECK(path + strlen(payload + path) + 1 == header->len);
}

static void check_answer(struct client *c, const struct xsd_sockmsg *header, const char *payload)
{
    CHECK(c->waiting);
    const struct xsd_sockmsg *asked = &c->expected[c->first];
    c->first = (c->first + 1) % EXPECTED;
    c->waiting--;
    storm.answers++;
    CHECK(header->req_id == asked->req_id && header->tx_id == asked->tx_id);
    if (header->type == XS_ERROR) {
        storm.errors++;
        storm.quotas += strcmp(payload, "ENOSPC") == 0 || strcmp(payload, "E2BIG") == 0;
        CHECK(payload[0] == 'E' && strlen(payload) + 1 == header->len);
        /* What was too large in a transaction makes it fail. */
        CHECK(strcmp(payload, "ENOMEM") != 0 || asked->type == XS_TRANSACTION_END);
        CHECK(strcmp(payload, "EIO") != 0);
        return;
    }
    CHECK(header->type == asked->type && header->type < XS_TYPE_COUNT);
    if (header->type == XS_TRANSACTION_START)
        c->sender.transaction = (uint32_t)strtoul(payload, NULL, 10);
    else if (header->type == XS_TRANSACTION_END || header->type == XS_RESET_WATCHES)
        c->sender.transaction = 0;
}

/* Takes at most count messages. False when the connection has ended. */
static bool listen_to(struct client *c, unsigned int count)
{
    struct xsd_sockmsg header;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    while (count--) {
        int rc = raw_store_take(&c->raw, &header, payload);
        if (rc < 0)
            return false;
        if (!rc)
            return true;
        if (header.type == XS_WATCH_EVENT)
            check_event(&header, payload);
        else
            check_answer(c, &header, payload);
    }
    return true;
}

static void compose(struct client *c)
{
    char payload[XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header;
    enum storm_kind kind = storm_message(&c->sender, &header, payload, &c->out_have);
    if (c->mood == DEAF && c->sent++ < DEAF_WATCHES) {
        kind = STORM_WHOLE;
        header = (struct xsd_sockmsg){.type = XS_WATCH, .len = sizeof("data") + DEAF_TOKEN + 1};
        memset(payload, 't', header.len);
        snprintf(payload, sizeof("data") + 8, "data%c%07u", '\0', c->sent);
        payload[sizeof("data") + 7] = 't';
        payload[header.len - 1] = '\0';
        c->out_have = sizeof(header) + header.len;
    }
    header.req_id = c->next_req++;
    memcpy(c->out, &header, sizeof(header));
    memcpy(c->out + sizeof(header), payload, c->out_have > sizeof(header) ? c->out_have - sizeof(header) : 0);
    c->out_sent = 0;
    c->ending = kind == STORM_OVERSIZED;
    c->hangs_up = kind == STORM_CUT;
    storm.messages++;
    storm.oversized += kind == STORM_OVERSIZED;
    if (kind == STORM_WHOLE) {
        CHECK(c->waiting < EXPECTED);
        c->expected[(c->first + c->waiting++) % EXPECTED] = header;
    }
}

/* Sends all, or a piece of any size. */
static void push(struct client *c)
{
    size_t left = c->out_have - c->out_sent;
    size_t some = storm_random(&storm.random, 4) ? left : 1 + storm_random(&storm.random, (uint32_t)left);
    if (raw_store_send(&c->raw, c->out + c->out_sent, some))
        c->out_sent += some;
}

/* The host has ended the connection. Only for a reason, and not before it has answered. */
static void check_end(struct client *c)
{
    CHECK(c->ending);
    CHECK(c->mood != PROMPT || !c->waiting);
    leave(c);
}

/* Without reading. */
static bool has_ended(const struct client *c)
{
    struct pollfd fd = {.fd = c->raw.fd};
    return poll(&fd, 1, 0) > 0 && fd.revents & POLLHUP;
}

static void act(struct client *c, unsigned int index)
{
    if (c->raw.fd < 0)
        join(c, index);
    if (c->out_sent == c->out_have && c->hangs_up) {
        leave(c);
        return;
    }
    if (c->out_sent == c->out_have && !c->ending && c->waiting < EXPECTED)
        compose(c);
    if (c->out_sent < c->out_have)
        push(c);
    if (c->mood == DEAF) {
        bool ended = has_ended(c);
        storm.deaf += ended && !c->ending;
        /* Else all would be deaf in the end. */
        if (ended || !storm_random(&storm.random, 500))
            leave(c);
    } else if (c->mood == PROMPT || storm_random(&storm.random, 64) == 0) {
        if (!listen_to(c, UINT32_MAX))
            check_end(c);
    }
}

/* ---- what must hold ---- */

/* Asks as somebody who behaves. Returns the number of steps until the answer. */
static unsigned int probe(uint32_t type, const char *path, char *answer)
{
    struct xsd_sockmsg header;
    unsigned int steps = 0;
    CHECK(raw_store_ask(&storm.probe, type, 0, path, strlen(path) + 1));
    do {
        CHECK(!fakexen_host_step(storm.host.host));
        steps++;
        CHECK(steps <= PROBE_STEPS);
    } while (!raw_store_take(&storm.probe, &header, answer));
    if (steps > storm.slowest)
        storm.slowest = steps;
    CHECK(header.type == type);
    return header.len;
}

static void check_untouched(void)
{
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    static const char *const kept[][2] = {{"/canary", "sings"},
                                          {"/canary/below", ""},
                                          {"/local/domain/5/name", "Domain-5"},
                                          {"/local/domain/7/domid", "7"},
                                          {"/local/domain/0/name", "Domain-0"}};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        probe(XS_READ, kept[i][0], answer);
        CHECK(strcmp(answer, kept[i][1]) == 0);
    }
    unsigned int length = probe(XS_DIRECTORY, "/canary", answer);
    CHECK(length == 6 && strcmp(answer, "below") == 0);
    probe(XS_GET_PERMS, "/canary", answer);
    CHECK(strcmp(answer, "n0") == 0);
}

/* Nodes of the tree below path that the domain owns. */
static unsigned int owned(const char *path, const char *owner)
{
    char names[XENSTORE_PAYLOAD_MAX + 1];
    char perms[XENSTORE_PAYLOAD_MAX + 1];
    char child[XENSTORE_ABS_PATH_MAX + 1];
    unsigned int length = probe(XS_DIRECTORY, path, names);
    probe(XS_GET_PERMS, path, perms);
    unsigned int count = strcmp(perms + 1, owner) == 0;
    for (unsigned int at = 0; at < length; at += (unsigned int)strlen(names + at) + 1) {
        snprintf(child, sizeof(child), "%s%s%s", path, path[1] ? "/" : "", names + at);
        count += owned(child, owner);
    }
    return count;
}

/* ---- the run ---- */

static void begin(void)
{
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    stepped_host_begin(&storm.host);
    CHECK(!stepped_host_create(&storm.host, 5) && !stepped_host_create(&storm.host, 7));
    CHECK(!raw_store_connect(&storm.probe, &storm.host, 0));
    stepped_host_settle(&storm.host);
    probe(XS_MKDIR, "/canary/below", answer);
    probe(XS_MKDIR, "/play", answer);
    CHECK(raw_store_ask(&storm.probe, XS_WRITE, 0, "/canary\0sings", 13));
    stepped_host_settle(&storm.host);
    struct xsd_sockmsg header;
    CHECK(raw_store_take(&storm.probe, &header, answer) == 1 && header.type == XS_WRITE);
    for (unsigned int i = 0; i < CLIENTS; i++)
        join(&storm.clients[i], i);
}

static void rage(unsigned long messages)
{
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    unsigned long told = 0;
    for (unsigned long probed = 0; storm.messages < messages;) {
        for (unsigned int i = storm_random(&storm.random, 2 * CLIENTS); i; i--) {
            unsigned int index = storm_random(&storm.random, CLIENTS);
            act(&storm.clients[index], index);
        }
        CHECK(!fakexen_host_step(storm.host.host));
        if (storm.messages >= probed + PROBE_EVERY) {
            probed = storm.messages;
            probe(XS_READ, "/canary", answer);
        }
        if (storm.messages >= told + 10000) {
            told += 10000;
            check_untouched();
            if (told % 100000 == 0)
                printf("%lu messages, %lu answers\n", storm.messages, storm.answers);
            fflush(stdout);
        }
    }
}

/* All that was asked is answered when the clients read. */
static void calm(void)
{
    for (unsigned int i = 0; i < CLIENTS; i++) {
        struct client *c = &storm.clients[i];
        if (c->raw.fd < 0)
            continue;
        if (c->mood == DEAF || c->ending || c->hangs_up) {
            leave(c);
            continue;
        }
        for (unsigned int rounds = 0; c->out_sent < c->out_have || c->waiting; rounds++) {
            CHECK(rounds < 100000);
            if (c->out_sent < c->out_have)
                push(c);
            stepped_host_settle(&storm.host);
            CHECK(listen_to(c, UINT32_MAX));
        }
    }
    stepped_host_settle(&storm.host);
}

static void finish(void)
{
    calm();
    check_untouched();
    CHECK(owned("/", "5") <= 1000 && owned("/", "7") <= 1000);
    for (unsigned int i = 0; i < CLIENTS; i++)
        leave(&storm.clients[i]);
    raw_store_close(&storm.probe);
    stepped_host_settle(&storm.host);
    struct fakexen_balance balance = fakexen_host_balance(storm.host.host);
    CHECK(!balance.watches && !balance.transactions);
    stepped_host_finish(&storm.host);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    storm.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
    storm.random.state = storm.seed;
    printf("seed %" PRIu64 "\n", storm.seed);
    fflush(stdout);
    begin();
    rage(strtoul(argv[1], NULL, 10));
    finish();
    printf("%lu messages, %lu answers, %lu of them errors, %lu over a quota; %lu events; %lu oversized, %lu "
           "deaf clients dropped; at most %u steps to an answer\n",
           storm.messages, storm.answers, storm.errors, storm.quotas, storm.events, storm.oversized,
           storm.deaf, storm.slowest);
    /* A storm that was none. */
    CHECK(storm.errors && storm.quotas && storm.events && storm.oversized);
    CHECK(storm.deaf || storm.messages < 100000);
    return 0;
}
