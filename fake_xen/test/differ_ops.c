// SPDX-License-Identifier: MIT
/* What is asked: everything of the protocol, mostly with sense, in a small world where clients meet. */
#include <stdio.h>
#include <string.h>

#include "differ.h"

static uint32_t pick(struct differ_plan *plan, uint32_t n)
{
    return storm_random(&plan->random, n);
}

#define PICK(plan, table) ((table)[pick((plan), sizeof(table) / sizeof((table)[0]))])

static void add_bytes(struct differ_message *m, const void *data, size_t size)
{
    if (size > XENSTORE_PAYLOAD_MAX - m->length)
        size = XENSTORE_PAYLOAD_MAX - m->length;
    memcpy(m->payload + m->length, data, size);
    m->length += (uint32_t)size;
}

static void add(struct differ_message *m, const char *text)
{
    add_bytes(m, text, strlen(text) + 1);
}

/* ---- parts of payloads ---- */

/* A path of up to 4 levels below one of few folders. */
static void add_usual_path(struct differ_plan *plan, struct differ_message *m)
{
    static const char *const bases[] = {
        "data", "data", "data", "/local/domain/1/data", "/local/domain/2/data", "/local/domain/3/data", "/play", "/shared",
    };
    char path[256];
    int used = snprintf(path, sizeof(path), "%s", PICK(plan, bases));
    for (uint32_t levels = pick(plan, 4); levels; levels--)
        used += snprintf(path + used, sizeof(path) - (size_t)used, "/%c%u", 'a' + (char)pick(plan, 3),
                         pick(plan, plan->names));
    add(m, path);
}

/* Long ones: around each limit of xs_wire.h. */
static void add_long_path(struct differ_plan *plan, struct differ_message *m)
{
    static const char *const bases[] = {"", "/", "data/", "/local/domain/1/", "/local/domain/99999/", "/local/domain/123456/"};
    static const size_t lengths[] = {2040, XENSTORE_REL_PATH_MAX, 3060, XENSTORE_ABS_PATH_MAX, 3090, 4000};
    char path[XENSTORE_PAYLOAD_MAX];
    size_t used = (size_t)snprintf(path, sizeof(path), "%s", PICK(plan, bases));
    size_t length = PICK(plan, lengths) - 20 + pick(plan, 40);
    memset(path + used, 'x', length - used);
    path[length] = '\0';
    /* Deep, or one name. */
    for (size_t i = used + 1; pick(plan, 2) && i + 1 < length; i += 2 + pick(plan, 100))
        path[i] = '/';
    for (size_t i = 1; i < length; i++) {
        if (path[i] == '/' && path[i - 1] == '/')
            path[i] = 'y';
    }
    if (path[length - 1] == '/')
        path[length - 1] = 'z';
    add(m, path);
}

static void add_path(struct differ_plan *plan, struct differ_message *m)
{
    static const char *const fixed[] = {
        "/",       "name",  "domid", "/local", "/local/domain", "/local/domain/1", "/local/domain/2/name", "/tool", "device",
        "data",    "error", "/none", "/none/of/it", "/local/domain/0", "/local/domain/0/name", "/local/domain/9", "attr/x",
        "/shared", "/play", "/local/domain/1/data", "drivers", "/tool/xenstored", "/tool/xenstored/x",
    };
    static const char *const wrong[] = {"", "//", "/a/", "/a b", "data/", "\xff", "/a//b", "@", "/\x01", "@releaseDomain",
                                        "@introduceDomain", "@none", "data//x", "/local/domain/1/", "a/@b", "/@", ".", "a.b"};
    uint32_t what = pick(plan, 40);
    if (what == 0)
        add_long_path(plan, m);
    else if (what < 3)
        add(m, PICK(plan, wrong));
    else if (what < 10)
        add(m, PICK(plan, fixed));
    else
        add_usual_path(plan, m);
}

static void add_value(struct differ_plan *plan, struct differ_message *m)
{
    char value[XENSTORE_PAYLOAD_MAX];
    size_t size = pick(plan, 30) ? pick(plan, 12) : 1900 + pick(plan, 200);
    if (!pick(plan, 300))
        size = sizeof(value);
    memset(value, 'a' + (char)pick(plan, 26), size);
    if (size && !pick(plan, 10))
        value[pick(plan, (uint32_t)size)] = (char)pick(plan, 256);
    add_bytes(m, value, size);
}

static void add_perms(struct differ_plan *plan, struct differ_message *m, domid_t domid)
{
    static const char *const perms[] = {"n0", "r0", "w0", "b0", "n1", "r1", "w1", "b1", "r2", "b2", "w2", "n2", "r3", "b3"};
    static const char *const odd[] = {"", "n", "x1", "r4", "b9", "r 1", "rr1", "r1x", "r32752", "n0x2", "r03", "r"};
    char own[16];
    uint32_t count = pick(plan, 60) ? 1 + pick(plan, 3) : pick(plan, 12);
    for (uint32_t i = 0; i < count; i++) {
        if (!i && pick(plan, 8)) {
            snprintf(own, sizeof(own), "%c%u", "nrwb"[pick(plan, 4)], domid ? (unsigned int)domid : pick(plan, 4));
            add(m, own);
        } else {
            add(m, pick(plan, 30) ? PICK(plan, perms) : PICK(plan, odd));
        }
    }
}

static void add_token(struct differ_plan *plan, struct differ_message *m)
{
    char token[3200];
    int used = snprintf(token, sizeof(token), "t%u", pick(plan, plan->tokens));
    if (!pick(plan, 100)) {
        size_t size = pick(plan, 3000);
        memset(token + used, '.', size);
        token[(size_t)used + size] = '\0';
    }
    add(m, pick(plan, 100) ? token : "");
}

/* ---- requests ---- */

enum what {
    READ, WRITE, MKDIR, RM, DIRECTORY, DIRECTORY_PART, GET_PERMS, SET_PERMS, BEGIN, END, WATCH, UNWATCH, RESET, HOME,
    INTRODUCED, MALFORMED, UNKNOWN, SPECIAL_PERMS, PRIVILEGED, TARGET, WHATS
};

static const struct {
    uint32_t type;
    unsigned int weight;
} usual[WHATS] = {
    [READ] = {XS_READ, 12},
    [WRITE] = {XS_WRITE, 24},
    [MKDIR] = {XS_MKDIR, 6},
    [RM] = {XS_RM, 5},
    [DIRECTORY] = {XS_DIRECTORY, 6},
    [DIRECTORY_PART] = {XS_DIRECTORY_PART, 2},
    [GET_PERMS] = {XS_GET_PERMS, 5},
    [SET_PERMS] = {XS_SET_PERMS, 8},
    [BEGIN] = {XS_TRANSACTION_START, 5},
    [END] = {XS_TRANSACTION_END, 6},
    [WATCH] = {XS_WATCH, 6},
    [UNWATCH] = {XS_UNWATCH, 4},
    [RESET] = {XS_RESET_WATCHES, 1},
    [HOME] = {XS_GET_DOMAIN_PATH, 1},
    [INTRODUCED] = {XS_IS_DOMAIN_INTRODUCED, 1},
    [MALFORMED] = {XS_READ, 2},
    [UNKNOWN] = {XS_ERROR, 1},
    [SPECIAL_PERMS] = {XS_SET_PERMS, 1},
    [PRIVILEGED] = {XS_RESUME, 1},
    [TARGET] = {XS_SET_TARGET, 1},
};

void differ_replan(struct differ_plan *plan)
{
    static const unsigned int names[] = {2, 3, 3, 5, 40, 400};
    static const unsigned int tokens[] = {2, 4, 10, 400};
    for (unsigned int i = 0; i < WHATS; i++) {
        uint32_t how = pick(plan, 8);
        plan->weights[i] = usual[i].weight * (how == 0 ? 0 : how == 1 ? 12 : 4);
    }
    plan->names = PICK(plan, names);
    plan->tokens = PICK(plan, tokens);
}

static enum what pick_what(struct differ_plan *plan)
{
    uint32_t sum = 0;
    for (unsigned int i = 0; i < WHATS; i++)
        sum += plan->weights[i];
    uint32_t at = sum ? pick(plan, sum) : 0;
    for (unsigned int i = 0; i < WHATS; i++) {
        if (at < plan->weights[i])
            return (enum what)i;
        at -= plan->weights[i];
    }
    return READ;
}

/* Bytes that are no proper payload of any type. */
static void add_malformed(struct differ_plan *plan, struct differ_message *m)
{
    static const uint32_t types[] = {XS_READ,  XS_WRITE, XS_MKDIR, XS_RM,        XS_DIRECTORY,         XS_DIRECTORY_PART,
                                     XS_WATCH, XS_UNWATCH, XS_GET_PERMS, XS_SET_PERMS, XS_TRANSACTION_START, XS_TRANSACTION_END,
                                     XS_GET_DOMAIN_PATH, XS_IS_DOMAIN_INTRODUCED};
    m->type = PICK(plan, types);
    for (uint32_t parts = pick(plan, 4); parts; parts--) {
        if (pick(plan, 2))
            add_path(plan, m);
        else
            add(m, PICK(plan, ((const char *const[]){"x", "", "t1", "n0", "0", "T"})));
    }
    if (m->length && pick(plan, 2))
        m->length--;
}

static void add_number(struct differ_plan *plan, struct differ_message *m)
{
    static const char *const numbers[] = {"0", "1", "2", "3", "4", "9", "32752", "32751", "007", "65535"};
    add(m, PICK(plan, numbers));
}

static void fill(struct differ_plan *plan, enum what what, domid_t domid, struct differ_message *m)
{
    char text[16];
    switch (what) {
    case WRITE:
        add_path(plan, m);
        add_value(plan, m);
        break;
    case DIRECTORY_PART:
        add_path(plan, m);
        snprintf(text, sizeof(text), "%u", pick(plan, 3) ? 0 : pick(plan, 100));
        add(m, text);
        break;
    case SET_PERMS:
        add_path(plan, m);
        add_perms(plan, m, domid);
        break;
    case SPECIAL_PERMS:
        add(m, pick(plan, 2) ? "@releaseDomain" : "@introduceDomain");
        add_perms(plan, m, 0);
        break;
    case BEGIN:
        add(m, "");
        break;
    case END:
        add(m, pick(plan, 4) ? "T" : "F");
        break;
    case WATCH:
    case UNWATCH:
        add_path(plan, m);
        add_token(plan, m);
        break;
    case RESET:
        add(m, "");
        break;
    case HOME:
    case INTRODUCED:
        add_number(plan, m);
        break;
    case MALFORMED:
        add_malformed(plan, m);
        break;
    case UNKNOWN:
        m->type = PICK(plan, ((const uint32_t[]){XS_WATCH_EVENT, XS_ERROR, 10, 30, 1000, UINT32_MAX, XS_TYPE_COUNT}));
        add_path(plan, m);
        break;
    case PRIVILEGED:
        /* For domain 0 these would do something that is not to be done here. */
        m->type = domid ? PICK(plan, ((const uint32_t[]){XS_RESUME, XS_RELEASE, XS_INTRODUCE, XS_CONTROL})) : XS_RESUME;
        add_number(plan, m);
        break;
    case TARGET:
        /* Not 3: when that domain comes anew, xenstored still has its old connection, and crashes. */
        add_number(plan, m);
        add(m, PICK(plan, ((const char *const[]){"1", "2", "4", "9", "x", "32752"})));
        break;
    case READ:
    case MKDIR:
    case RM:
    case DIRECTORY:
    case GET_PERMS:
    case WHATS:
        add_path(plan, m);
        break;
    }
}

/* A transaction of the client, most of the time; the one to end mostly exists. */
static int pick_transaction(struct differ_plan *plan, const struct differ_client *client, enum what what)
{
    if (what != END && pick(plan, 2))
        return -1;
    if (!pick(plan, 100))
        return -2;
    unsigned int first = pick(plan, DIFFER_TRANSACTIONS);
    for (unsigned int i = 0; i < DIFFER_TRANSACTIONS; i++) {
        unsigned int slot = (first + i) % DIFFER_TRANSACTIONS;
        if (!client->transactions[slot][OURS])
            continue;
        if (client->stale[slot] && what != END)
            differ_known[DIFFER_STALE].hits++;
        else
            return what == BEGIN && pick(plan, 20) ? -1 : (int)slot;
    }
    return -1;
}

void differ_begun(struct differ_plan *plan, unsigned int client, unsigned int slot)
{
    plan->busy_client = client;
    plan->busy_slot = slot;
    plan->busy_left = pick(plan, 12);
}

void differ_next(struct differ_plan *plan, const struct differ_lab *lab, struct differ_op *op)
{
    enum what what = pick_what(plan);
    bool busy = plan->busy_left && lab->clients[plan->busy_client].transactions[plan->busy_slot][OURS];
    if (plan->busy_left)
        plan->busy_left--;
    op->client = busy ? plan->busy_client : pick(plan, DIFFER_CLIENTS);
    const struct differ_client *client = &lab->clients[op->client];
    if (what == TARGET && !plan->late)
        what = INTRODUCED;
    op->ask.type = usual[what].type;
    op->ask.length = 0;
    fill(plan, what, client->domid, &op->ask);
    op->ask.payload[op->ask.length] = '\0';
    const struct differ_known *known = differ_find_known(&op->ask, client->domid);
    op->ours_only = known && known->ask_ours;
    if (known && !known->ask_ours)
        op->ask = (struct differ_message){.type = XS_GET_DOMAIN_PATH, .length = 2, .payload = "1"};
    op->transaction = busy && what != BEGIN && !client->stale[plan->busy_slot]
                          ? (int)plan->busy_slot
                          : pick_transaction(plan, client, what);
}

const char *differ_type_name(uint32_t type)
{
    static const char *const names[XS_TYPE_COUNT] = {
        [XS_READ] = "READ", [XS_WRITE] = "WRITE", [XS_MKDIR] = "MKDIR", [XS_RM] = "RM", [XS_DIRECTORY] = "DIRECTORY",
        [XS_DIRECTORY_PART] = "DIRECTORY_PART", [XS_GET_PERMS] = "GET_PERMS", [XS_SET_PERMS] = "SET_PERMS",
        [XS_TRANSACTION_START] = "TRANSACTION_START", [XS_TRANSACTION_END] = "TRANSACTION_END", [XS_WATCH] = "WATCH",
        [XS_UNWATCH] = "UNWATCH", [XS_RESET_WATCHES] = "RESET_WATCHES", [XS_GET_DOMAIN_PATH] = "GET_DOMAIN_PATH",
        [XS_IS_DOMAIN_INTRODUCED] = "IS_DOMAIN_INTRODUCED", [XS_ERROR] = "ERROR", [XS_SET_TARGET] = "SET_TARGET",
        [XS_RESUME] = "RESUME", [XS_RELEASE] = "RELEASE", [XS_INTRODUCE] = "INTRODUCE", [XS_CONTROL] = "CONTROL",
    };
    return type < XS_TYPE_COUNT && names[type] ? names[type] : "?";
}
