// SPDX-License-Identifier: MIT
#include "storm_message.h"

#include <stdio.h>
#include <string.h>

uint32_t storm_random(struct storm_random *random, uint32_t n)
{
    /* splitmix64 */
    uint64_t z = (random->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 16) % n;
}

#define PICK(random, table) ((table)[storm_random((random), sizeof(table) / sizeof((table)[0]))])

/* Appends text and its NUL, as far as there is room. */
static void add(char *payload, size_t *length, const char *text)
{
    size_t size = strlen(text) + 1;
    if (size > XENSTORE_PAYLOAD_MAX - *length)
        size = XENSTORE_PAYLOAD_MAX - *length;
    memcpy(payload + *length, text, size);
    *length += size;
}

/* Domain 0 plays in a corner of its own, so that what it does not touch must stay as it is. */
static void add_path(const struct storm_sender *s, char *payload, size_t *length)
{
    /* Not "data" itself: a guest that removes it cannot make it again, and could do no more. */
    static const char *const fixed[] = {
        "/",         "name",          "data/x",  "/local/domain/5", "/local/domain/7/data", "/canary",
        "@nonsense", "/none",         "error/x", "/local/domain",   "/local/domain/0/name", "device",
        "/tool/x/y", "/canary/below",
    };
    static const char *const wrong[] = {"", "//", "/a/", "/a b", "data/", "\xff", "/a//b", "@", "/\x01"};
    char path[128];
    uint32_t what = storm_random(s->random, 16);
    if (what == 0) {
        add(payload, length, PICK(s->random, wrong));
    } else if (what < 4 && s->domid) {
        add(payload, length, PICK(s->random, fixed));
    } else if (what == 4) {
        char deep[512];
        size_t levels = 1 + storm_random(s->random, 200);
        memcpy(deep, "play", 4);
        for (size_t i = 0; i < levels; i++)
            memcpy(deep + 4 + 2 * i, "/d", 2);
        deep[4 + 2 * levels] = '\0';
        memcpy(deep, s->domid ? "data" : "play", 4);
        add(payload, length, deep);
    } else {
        snprintf(path, sizeof(path), "%s/%u/%u", s->domid ? "data" : "/play", storm_random(s->random, 40),
                 storm_random(s->random, 40));
        if (what == 5)
            *strrchr(path, '/') = '\0';
        add(payload, length, path);
    }
}

static void add_value(const struct storm_sender *s, char *payload, size_t *length)
{
    size_t size = storm_random(s->random, 20) ? storm_random(s->random, 40) : storm_random(s->random, 2200);
    if (size > XENSTORE_PAYLOAD_MAX - *length)
        size = XENSTORE_PAYLOAD_MAX - *length;
    memset(payload + *length, (int)storm_random(s->random, 256), size);
    *length += size;
}

static void add_perms(const struct storm_sender *s, char *payload, size_t *length)
{
    static const char *const perms[] = {"n5", "r5", "b7", "w0", "n0", "r7", "n", "x5", "r99999", ""};
    uint32_t count = 1 + storm_random(s->random, storm_random(s->random, 8) ? 3 : 20);
    /* Mostly of the sender, as others it may not make the owner. */
    if (storm_random(s->random, 4))
        add(payload, length, s->domid == 5 ? "n5" : s->domid ? "n7" : "n0");
    for (uint32_t i = 0; i < count; i++) {
        /* What domain 0 gives away would count as the guest's. */
        add(payload, length, s->domid || i ? PICK(s->random, perms) : "r0");
    }
}

static void add_token(const struct storm_sender *s, char *payload, size_t *length)
{
    char token[XEN_XS_TOKEN_MAX + 2];
    int used = snprintf(token, sizeof(token), "t%u", storm_random(s->random, 200));
    size_t size = (size_t)used;
    if (s->token > size) {
        memset(token + size, '.', s->token - size);
        size = s->token;
    }
    token[size] = '\0';
    add(payload, length, token);
}

static void add_number(const struct storm_sender *s, char *payload, size_t *length)
{
    static const char *const numbers[] = {"0", "5", "7", "9", "32752", "65536", "-1", "x", "", "4000000000"};
    add(payload, length, PICK(s->random, numbers));
}

/* A payload as the type has it. */
static void sensible(const struct storm_sender *s, uint32_t type, char *payload, size_t *length)
{
    switch (type) {
    case XS_WATCH:
    case XS_UNWATCH:
        add_path(s, payload, length);
        add_token(s, payload, length);
        break;
    case XS_WRITE:
        add_path(s, payload, length);
        add_value(s, payload, length);
        break;
    case XS_SET_PERMS:
        add_path(s, payload, length);
        add_perms(s, payload, length);
        break;
    case XS_DIRECTORY_PART:
        add_path(s, payload, length);
        add_number(s, payload, length);
        break;
    case XS_TRANSACTION_START:
        add(payload, length, "");
        break;
    case XS_TRANSACTION_END:
        add(payload, length, storm_random(s->random, 4) ? "T" : "F");
        break;
    case XS_INTRODUCE:
        add_number(s, payload, length);
        add_number(s, payload, length);
        add_number(s, payload, length);
        break;
    case XS_RELEASE:
    case XS_RESUME:
    case XS_GET_DOMAIN_PATH:
    case XS_IS_DOMAIN_INTRODUCED:
        add_number(s, payload, length);
        break;
    default:
        add_path(s, payload, length);
        break;
    }
}

/* Spoils a payload: other bytes, cut off, with more behind it, or anything. */
static void spoil(const struct storm_sender *s, char *payload, size_t *length)
{
    switch (storm_random(s->random, 5)) {
    case 0:
        for (uint32_t i = storm_random(s->random, 4); *length && i < 4; i++)
            payload[storm_random(s->random, (uint32_t)*length)] = (char)storm_random(s->random, 256);
        break;
    case 1:
        *length = storm_random(s->random, (uint32_t)*length + 1);
        break;
    case 2:
        add(payload, length, "more");
        break;
    case 3:
        *length = storm_random(s->random, 4) ? storm_random(s->random, 32) : XENSTORE_PAYLOAD_MAX;
        for (size_t i = 0; i < *length; i++)
            payload[i] = (char)storm_random(s->random, 256);
        break;
    default:
        *length = 0;
        break;
    }
}

static uint32_t pick_type(const struct storm_sender *s)
{
    static const uint32_t common[] = {
        XS_WRITE,     XS_WRITE, XS_READ,    XS_DIRECTORY,         XS_MKDIR,          XS_RM,
        XS_GET_PERMS, XS_WATCH, XS_UNWATCH, XS_TRANSACTION_START, XS_TRANSACTION_END};
    uint32_t what = storm_random(s->random, 64);
    if (what == 0)
        return storm_random(s->random, UINT32_MAX);
    if (what < 12)
        return storm_random(s->random, XS_TYPE_COUNT + 2);
    return PICK(s->random, common);
}

enum storm_kind storm_message(const struct storm_sender *s, struct xsd_sockmsg *header,
                              char payload[XENSTORE_PAYLOAD_MAX], size_t *size)
{
    size_t length = 0;
    uint32_t tx = storm_random(s->random, 16);
    *header = (struct xsd_sockmsg){.type = pick_type(s)};
    /* Whoever may all would give the canary away. */
    if (header->type == XS_SET_TARGET && !s->domid)
        header->type = XS_CONTROL;
    sensible(s, header->type, payload, &length);
    /* Domain 0 does not spoil a payload, which could then name anything. */
    if (s->domid && storm_random(s->random, 8) == 0)
        spoil(s, payload, &length);
    if (header->type == XS_TRANSACTION_START)
        tx = tx ? 15 : 0;
    header->tx_id = tx == 0 ? storm_random(s->random, 30) : tx < 8 ? s->transaction : 0;
    header->len = (uint32_t)length;
    *size = sizeof(*header) + length;
    switch (storm_random(s->random, 400)) {
    case 0:
        header->len =
            XENSTORE_PAYLOAD_MAX + 1 + storm_random(s->random, UINT32_MAX - XENSTORE_PAYLOAD_MAX - 1);
        return STORM_OVERSIZED;
    case 1:
        *size = storm_random(s->random, (uint32_t)*size);
        return STORM_CUT;
    default:
        return STORM_WHOLE;
    }
}
