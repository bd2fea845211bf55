// SPDX-License-Identifier: MIT
/* Plans: reading them, and whose turn it is. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"

#define ITEM_MAX    64u
#define DELAY_POLLS 4u

/* EPIPE, the end of the machine or of the domain, is possible everywhere. */
const struct fakexen_faults_op fault_ops[FAULT_OPS] = {
    [OP_CLOSE] = {"close", {0}},
    [OP_FD] = {"fd", {0}},
    [OP_PAGES_ALLOC] = {"pages_alloc", {ENOMEM, EPIPE}},
    [OP_PAGES_FREE] = {"pages_free", {0}},
    [OP_GRANT] = {"grant", {ENOSPC, EPIPE}},
    [OP_GRANT_END] = {"grant_end", {EBUSY, EPIPE}},
    [OP_GRANT_REVOKE] = {"grant_revoke", {EPIPE}},
    [OP_GRANT_MAP] = {"grant_map", {ENOMEM, EACCES, ENOENT, ENOSPC, EPIPE}},
    [OP_GRANT_UNMAP] = {"grant_unmap", {EPIPE}},
    [OP_GRANT_COPY] = {"grant_copy", {ENOMEM, EPIPE}},
    [OP_GRANT_MAP_LIMIT] = {"grant_map_limit", {ENOMEM, EPIPE}},
    [OP_EVTCHN_ALLOC] = {"evtchn_alloc", {ENOMEM, ENOSPC, EPIPE}},
    [OP_EVTCHN_BIND] = {"evtchn_bind", {EINVAL, ENOMEM, ENOSPC, EPIPE}},
    [OP_EVTCHN_NOTIFY] = {"evtchn_notify", {EPIPE}},
    [OP_EVTCHN_CLOSE] = {"evtchn_close", {EPIPE}},
    [OP_EVTCHN_PENDING] = {"evtchn_pending", {EAGAIN, EPIPE}},
    [OP_EVTCHN_UNMASK] = {"evtchn_unmask", {EPIPE}},
    [OP_EVTCHN_STATUS] = {"evtchn_status", {EPIPE}},
    [OP_XS_BEGIN] = {"xs_begin", {ENOMEM, ENOSPC, EPIPE}},
    [OP_XS_END] = {"xs_end", {EAGAIN, ENOMEM, ENOSPC, EPIPE}},
    [OP_XS_READ] = {"xs_read", {ENOMEM, ENOENT, EACCES, EPIPE}},
    [OP_XS_WRITE] = {"xs_write", {ENOMEM, ENOSPC, EACCES, EPIPE}},
    [OP_XS_MKDIR] = {"xs_mkdir", {ENOMEM, ENOSPC, EACCES, EPIPE}},
    [OP_XS_RM] = {"xs_rm", {ENOMEM, ENOENT, EACCES, EPIPE}},
    [OP_XS_DIRECTORY] = {"xs_directory", {ENOMEM, ENOENT, EACCES, E2BIG, EPIPE}},
    [OP_XS_GET_PERMS] = {"xs_get_perms", {ENOMEM, ENOENT, EACCES, EPIPE}},
    [OP_XS_SET_PERMS] = {"xs_set_perms", {ENOMEM, EACCES, EPERM, EPIPE}},
    [OP_XS_WATCH] = {"xs_watch", {ENOMEM, ENOSPC, EEXIST, E2BIG, EPIPE}},
    [OP_XS_UNWATCH] = {"xs_unwatch", {ENOMEM, ENOENT, EPIPE}},
    [OP_XS_WATCH_READ] = {"xs_watch_read", {EAGAIN, ENOMEM, EPIPE}},
    [OP_OPEN] = {"open", {ENOMEM, ENXIO, EMFILE, EPIPE}},
    [OP_DOMAIN_CREATE] = {"domain_create", {ENOMEM, EEXIST, EPIPE}},
    [OP_DOMAIN_DESTROY] = {"domain_destroy", {ENOMEM, ENXIO, EPIPE}},
};

static const struct knob {
    const char *name;
    enum fault_kind kind;
} knobs[] = {
    {"xs-conflict", FAULT_CONFLICT},  {"memory", FAULT_MEMORY},         {"event-delay", FAULT_EVENT_DELAY},
    {"event-drop", FAULT_EVENT_DROP}, {"event-lose", FAULT_EVENT_LOSE}, {"watch-delay", FAULT_WATCH_DELAY},
    {"revoke", FAULT_REVOKE},         {"freeze", FAULT_FREEZE},         {"thaw", FAULT_THAW},
};

/* ---- whose turn ---- */

static void sow(struct fault_plan *plan, uint64_t seed)
{
    plan->seed = seed;
    plan->random =
        (seed + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u | 1; /* neighbours must not resemble each other */
}

void fault_plan_init(struct fault_plan *plan)
{
    plan->count = 0;
    sow(plan, 1);
}

/* xorshift64*. */
static uint32_t draw(struct fault_plan *plan)
{
    plan->random ^= plan->random >> 12;
    plan->random ^= plan->random << 25;
    plan->random ^= plan->random >> 27;
    return (uint32_t)((plan->random * 2685821657736338717u) >> 32);
}

static bool hits(struct fault_plan *plan, struct fault_item *item)
{
    item->seen++;
    switch (item->when) {
    case WHEN_NTH:
        return item->seen == item->n;
    case WHEN_FROM:
        return item->seen >= item->n;
    case WHEN_CHANCE:
        return draw(plan) < item->chance;
    }
    return false;
}

const struct fault_item *fault_plan_ask(struct fault_plan *plan, enum fault_kind kind, enum fault_op op,
                                        domid_t domid)
{
    const struct fault_item *chosen = NULL;
    for (unsigned int i = 0; i < plan->count; i++) {
        struct fault_item *item = &plan->item[i];
        if (item->kind != kind || (kind == FAULT_CALL && item->op != OP_ANY && item->op != op) ||
            (item->domid != DOMID_ALL && item->domid != domid))
            continue;
        if (hits(plan, item) && !chosen) /* the others count on */
            chosen = item;
    }
    return chosen;
}

/* ---- reading ---- */

__attribute__((format(printf, 2, 3))) static int complain(char *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (error)
        vsnprintf(error, FAKEXEN_FAULTS_ERROR_MAX, format, args);
    va_end(args);
    return -EINVAL;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*end || errno || value > max)
        return false;
    *out = value;
    return true;
}

static bool parse_chance(const char *text, uint64_t *out)
{
    char *end;
    double p = strtod(text, &end);
    if (end == text || *end || !(p >= 0 && p <= 1))
        return false;
    *out = (uint64_t)(p * 4294967296.0);
    return true;
}

static int parse_errno(const char *name)
{
    uint64_t number;
    if (parse_number(name, 4095, &number))
        return (int)number;
    for (int e = 1; e < 256; e++) {
        const char *known = strerrorname_np(e);
        if (known && strcmp(known, name) == 0)
            return e;
    }
    return 0;
}

static bool parse_when(struct fault_item *item, const char *text)
{
    if (strcmp(text, "every") == 0) {
        item->when = WHEN_FROM;
        item->n = 1;
        return true;
    }
    if (strncmp(text, "p=", 2) == 0) {
        item->when = WHEN_CHANCE;
        return parse_chance(text + 2, &item->chance);
    }
    item->when = strncmp(text, "from=", 5) == 0 ? WHEN_FROM : WHEN_NTH;
    if (item->when == WHEN_FROM)
        text += 5;
    else if (strncmp(text, "nth=", 4) == 0)
        text += 4;
    return parse_number(text, UINT64_MAX, &item->n) && item->n > 0;
}

/* Cuts text at the last such character; what follows, or NULL. */
static char *cut(char *text, char at)
{
    char *found = strrchr(text, at);
    if (found)
        *found++ = '\0';
    return found;
}

static int parse_call(struct fault_item *item, const char *name, char *rest, char *error)
{
    char *domid = cut(rest, '@');
    char *what = cut(rest, '=');
    uint64_t number;
    if (domid && !parse_number(domid, DOMID_FIRST_RESERVED - 1, &number))
        return complain(error, "%s: no domain: %s", name, domid);
    if (domid)
        item->domid = (uint32_t)number;
    item->error = what ? parse_errno(what) : 0;
    if (item->error == 0)
        return complain(error, "%s: no errno: %s", name, what ? what : "");
    if (!parse_when(item, rest))
        return complain(error, "%s: no number, every, from=N or p=X: %s", name, rest);
    if (item->op != OP_ANY && fault_ops[item->op].errors[0] == 0)
        return complain(error, "%s cannot fail", name);
    return 0;
}

static int parse_knob(struct fault_item *item, const char *name, char *rest, char *error)
{
    uint64_t number;
    bool freezing = item->kind == FAULT_FREEZE || item->kind == FAULT_THAW;
    bool polls = item->kind == FAULT_EVENT_DELAY || item->kind == FAULT_WATCH_DELAY;
    char *at = freezing || polls ? cut(rest, '@') : NULL;
    if (item->kind == FAULT_MEMORY)
        return parse_number(rest, UINT32_MAX, &item->n)
                   ? 0
                   : complain(error, "memory: no number of pages: %s", rest);
    if (freezing) {
        if (strncmp(rest, "domid=", 6) != 0 || !parse_number(rest + 6, DOMID_FIRST_RESERVED - 1, &number) ||
            !parse_number(at, UINT64_MAX, &item->n))
            return complain(error, "%s: not domid=DOMID@CALL", name);
        item->domid = (uint32_t)number;
        return 0;
    }
    item->polls = DELAY_POLLS;
    if (at) {
        if (!parse_number(at, 1000000, &number))
            return complain(error, "%s: no number of polls: %s", name, at);
        item->polls = (unsigned int)number;
    }
    if (!parse_when(item, rest))
        return complain(error, "%s: no number, every, from=N or p=X: %s", name, rest);
    return 0;
}

static int parse_item(struct fault_plan *plan, char *text, char *error)
{
    struct fault_item item = {.op = OP_ANY, .domid = DOMID_ALL};
    uint64_t seed;
    int rc = 1;
    if (strncmp(text, "seed=", 5) == 0) {
        if (!parse_number(text + 5, UINT64_MAX, &seed))
            return complain(error, "seed: no number: %s", text + 5);
        sow(plan, seed);
        return 0;
    }
    char *rest = strchr(text, ':');
    if (!rest)
        return complain(error, "%s: neither NAME:WHEN nor seed=N", text);
    *rest++ = '\0';
    for (size_t i = 0; rc > 0 && i < sizeof(knobs) / sizeof(knobs[0]); i++) {
        if (strcmp(text, knobs[i].name) == 0) {
            item.kind = knobs[i].kind;
            rc = parse_knob(&item, text, rest, error);
        }
    }
    for (enum fault_op op = 0; rc > 0 && op <= OP_ANY; op++) {
        if (strcmp(text, op == OP_ANY ? "any" : fault_ops[op].name) == 0) {
            item.kind = FAULT_CALL;
            item.op = op;
            rc = parse_call(&item, text, rest, error);
        }
    }
    if (rc > 0)
        return complain(error, "%s: no such call or knob", text);
    if (rc)
        return rc;
    if (plan->count == FAKEXEN_FAULTS_ITEMS_MAX) {
        complain(error, "more than %u items", FAKEXEN_FAULTS_ITEMS_MAX);
        return -ENOSPC;
    }
    plan->item[plan->count++] = item;
    return 0;
}

int fault_plan_parse(struct fault_plan *plan, const char *text, char error[FAKEXEN_FAULTS_ERROR_MAX])
{
    struct fault_plan grown = *plan;
    while (*text) {
        char item[ITEM_MAX];
        size_t n = strcspn(text, ",");
        if (n == 0 || n >= sizeof(item) || (text[n] == ',' && text[n + 1] == '\0'))
            return complain(error, "an item is empty or longer than %u bytes", ITEM_MAX - 1);
        memcpy(item, text, n);
        item[n] = '\0';
        int rc = parse_item(&grown, item, error);
        if (rc)
            return rc;
        text += n + (text[n] == ',');
    }
    *plan = grown;
    return 0;
}
