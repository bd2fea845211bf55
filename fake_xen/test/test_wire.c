// SPDX-License-Identifier: MIT
/*
 * The wire protocol of xenstore, message by message: what each type answers to what it should not be sent, as
 * Xen's C xenstored 4.17 does (process_message() in xenstored_core.c and the functions it calls), and
 * that it does not matter how the bytes arrive.
 *
 * The rows of domain 0 were compared with the daemon of Debian 12 (4.17.7, its libraries to Xen replaced). It
 * differs where its error is that of whatever went wrong before: in ENOENT or ENOMEM for a payload that is
 * not the one path it should be. It knows the domains that there are, so that a permission for one that is
 * not is ENOENT; it has paths for domains with larger numbers; and it knows live-update.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Behind errno.h, as its table of errors is there only then; and behind what knows uint32_t. */
#include "../xenstore/wire.h"
#include <xen/io/xs_wire.h>

#define GUEST    5
#define OTHER    7
#define BAD_TX   77u
#define RESTRICT (XS_SET_TARGET + 1) /* has been removed */

/* A store with a connection of domain 0 and one of a guest. */
struct lab {
    struct store *store;
    struct wire dom0;
    struct wire guest;
    struct wire_out out;
};

static int setup(void **state)
{
    struct lab *lab = calloc(1, sizeof(*lab));
    assert_non_null(lab);
    assert_int_equal(store_create(&lab->store), 0);
    assert_int_equal(store_introduce(lab->store, GUEST), 0);
    assert_int_equal(store_introduce(lab->store, OTHER), 0);
    assert_int_equal(store_connect(lab->store, 0, &lab->dom0.conn), 0);
    assert_int_equal(store_connect(lab->store, GUEST, &lab->guest.conn), 0);
    lab->dom0.store = lab->guest.store = lab->store;
    *state = lab;
    return 0;
}

static int teardown(void **state)
{
    struct lab *lab = *state;
    wire_out_dispose(&lab->out);
    store_disconnect(lab->dom0.conn);
    store_disconnect(lab->guest.conn);
    store_destroy(lab->store);
    free(lab);
    return 0;
}

static void put(struct wire *wire, const void *data, size_t size)
{
    void *room;
    assert_true(wire_room(wire, &room) >= size);
    if (size)
        memcpy(room, data, size);
    wire->have += size;
}

static void put_message(struct wire *wire, uint32_t type, uint32_t tx, const char *payload, size_t length)
{
    struct xsd_sockmsg header = {.type = type, .req_id = type + 1000, .tx_id = tx, .len = (uint32_t)length};
    put(wire, &header, sizeof(header));
    put(wire, payload, length);
}

/* Takes one message from the front of what goes out; the payload has a NUL behind it. */
static struct xsd_sockmsg take(struct lab *lab, char *payload)
{
    struct xsd_sockmsg header;
    assert_true(lab->out.length >= sizeof(header));
    memcpy(&header, lab->out.data, sizeof(header));
    assert_true(header.len <= XENSTORE_PAYLOAD_MAX);
    assert_true(lab->out.length >= sizeof(header) + header.len);
    memcpy(payload, lab->out.data + sizeof(header), header.len);
    payload[header.len] = '\0';
    wire_out_consume(&lab->out, sizeof(header) + header.len);
    return header;
}

/* Asks, and takes the one answer; returns its length. Its numbers are those of the question. */
static size_t ask(struct lab *lab, struct wire *wire, uint32_t type, uint32_t tx, const char *payload,
                  size_t length, char *answer)
{
    put_message(wire, type, tx, payload, length);
    assert_true(wire_ready(wire));
    assert_int_equal(wire_step(wire, &lab->out), 1);
    struct xsd_sockmsg header = take(lab, answer);
    while (header.type == XS_WATCH_EVENT) {
        assert_int_equal(header.req_id, 0);
        assert_int_equal(header.tx_id, 0);
        header = take(lab, answer);
    }
    assert_int_equal(header.req_id, type + 1000);
    assert_int_equal(header.tx_id, tx);
    if (header.type != XS_ERROR)
        assert_int_equal(header.type, type);
    assert_int_equal(lab->out.length, 0);
    assert_int_equal(wire->have, 0);
    assert_false(wire_ready(wire));
    return header.len;
}

struct row {
    bool guest;
    uint32_t type;
    uint32_t tx;
    const char *payload;
    size_t length;
    const char *answer;
};

/* A literal with all its bytes but the last NUL, and with it. */
#define RAW(text)  text, sizeof(text) - 1
#define TEXT(text) text, sizeof(text)

static void run_rows(struct lab *lab, const struct row *rows, size_t count)
{
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        struct wire *wire = row->guest ? &lab->guest : &lab->dom0;
        ask(lab, wire, row->type, row->tx, row->payload, row->length, answer);
        if (strcmp(answer, row->answer) != 0)
            fail_msg("row %zu, type %u: '%s' instead of '%s'", i, row->type, answer, row->answer);
    }
}

#define RUN(rows) run_rows(*state, rows, sizeof(rows) / sizeof((rows)[0]))

/* Every type with nothing at all, with a bad transaction, and who may send it. */
static void test_wire_types(void **state)
{
    struct lab *lab = *state;
    const struct {
        uint32_t type;
        const char *empty;  /* from domain 0 */
        const char *bad_tx; /* the same in a transaction that is not */
        const char *guest;  /* from a guest */
    } types[] = {
        {XS_CONTROL, "EINVAL", "ENOENT", "EACCES"},
        {XS_DIRECTORY, "EINVAL", "ENOENT", "EINVAL"},
        {XS_READ, "EINVAL", "ENOENT", "EINVAL"},
        {XS_GET_PERMS, "EINVAL", "ENOENT", "EINVAL"},
        {XS_WATCH, "EINVAL", "EINVAL", "EINVAL"},
        {XS_UNWATCH, "EINVAL", "EINVAL", "EINVAL"},
        {XS_TRANSACTION_START, "1", "ENOENT", "1"},
        {XS_TRANSACTION_END, "EINVAL", "ENOENT", "EINVAL"},
        {XS_INTRODUCE, "EINVAL", "ENOENT", "EACCES"},
        {XS_RELEASE, "EINVAL", "ENOENT", "EACCES"},
        {XS_GET_DOMAIN_PATH, "EINVAL", "ENOENT", "EINVAL"},
        {XS_WRITE, "EINVAL", "ENOENT", "EINVAL"},
        {XS_MKDIR, "EINVAL", "ENOENT", "EINVAL"},
        {XS_RM, "EINVAL", "ENOENT", "EINVAL"},
        {XS_SET_PERMS, "EINVAL", "ENOENT", "EINVAL"},
        {XS_WATCH_EVENT, "ENOSYS", "ENOSYS", "ENOSYS"},
        {XS_ERROR, "ENOSYS", "ENOSYS", "ENOSYS"},
        {XS_IS_DOMAIN_INTRODUCED, "EINVAL", "ENOENT", "EACCES"},
        {XS_RESUME, "EINVAL", "ENOENT", "EACCES"},
        {XS_SET_TARGET, "EINVAL", "ENOENT", "EACCES"},
        {RESTRICT, "ENOSYS", "ENOSYS", "ENOSYS"},
        {XS_RESET_WATCHES, "OK", "ENOENT", "OK"},
        {XS_DIRECTORY_PART, "EINVAL", "ENOENT", "EINVAL"},
        {XS_TYPE_COUNT, "ENOSYS", "ENOSYS", "ENOSYS"},
        {XS_INVALID, "ENOSYS", "ENOSYS", "ENOSYS"},
        {UINT32_MAX, "ENOSYS", "ENOSYS", "ENOSYS"},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct row rows[] = {
            {false, types[i].type, 0, RAW(""), types[i].empty},
            {false, types[i].type, BAD_TX, RAW(""), types[i].bad_tx},
            {true, types[i].type, 0, RAW(""), types[i].guest},
        };
        run_rows(lab, rows, sizeof(rows) / sizeof(rows[0]));
    }
}

/* Payloads with too few, too many or unended strings; get_strings() and onearg() of xenstored. */
static void test_wire_strings(void **state)
{
    const struct row rows[] = {
        {false, XS_READ, 0, RAW("domid"), "EINVAL"},
        {false, XS_READ, 0, TEXT("domid\0x"), "EINVAL"},
        {false, XS_READ, 0, RAW("domid\0x"), "EINVAL"},
        {false, XS_READ, 0, TEXT("domid"), "0"},
        {false, XS_DIRECTORY, 0, TEXT("/\0"), "EINVAL"},
        {false, XS_GET_PERMS, 0, RAW("domid"), "EINVAL"},
        {false, XS_GET_PERMS, 0, TEXT("domid\0domid"), "EINVAL"},
        {false, XS_MKDIR, 0, RAW("/x"), "EINVAL"},
        {false, XS_MKDIR, 0, TEXT("/x\0/y"), "EINVAL"},
        {false, XS_RM, 0, RAW("/x"), "EINVAL"},
        {false, XS_RM, 0, TEXT("/x\0"), "EINVAL"},
        {false, XS_WRITE, 0, RAW("/w"), "EINVAL"},
        {false, XS_WRITE, 0, TEXT("/w"), "OK"},
        {false, XS_READ, 0, TEXT("/w"), ""},
        {false, XS_WRITE, 0, RAW("/w\0v"), "OK"},
        {false, XS_READ, 0, TEXT("/w"), "v"},
        {false, XS_SET_PERMS, 0, TEXT("/w"), "EINVAL"},
        {false, XS_SET_PERMS, 0, RAW("/w\0r5"), "EINVAL"},
        {false, XS_SET_PERMS, 0, RAW("/w\0r5\0n"), "OK"},
        {false, XS_GET_PERMS, 0, TEXT("/w"), "r5"},
        {false, XS_SET_PERMS, 0, TEXT("/w\0r"), "EINVAL"},
        {false, XS_SET_PERMS, 0, TEXT("/w\0x5"), "EINVAL"},
        {false, XS_SET_PERMS, 0, TEXT("/w\0r99999"), "EINVAL"},
        {false, XS_SET_PERMS, 0, TEXT("/w\0r5x"), "EINVAL"},
        {false, XS_SET_PERMS, 0, TEXT("/w\0r5\0"), "EINVAL"},
        {false, XS_WATCH, 0, TEXT("/w"), "EINVAL"},
        {false, XS_WATCH, 0, RAW("/w\0t"), "EINVAL"},
        {false, XS_WATCH, 0, TEXT("/w\0t\0003"), "EINVAL"},
        {false, XS_WATCH, 0, TEXT("/w\0"), "OK"},
        {false, XS_WATCH, BAD_TX, TEXT("/w\0t"), "OK"},
        {false, XS_WATCH, 0, RAW("/w\0u\0junk"), "OK"},
        {false, XS_UNWATCH, 0, TEXT("/w\0t\0"), "EINVAL"},
        {false, XS_UNWATCH, BAD_TX, TEXT("/w\0t"), "OK"},
        {false, XS_UNWATCH, 0, TEXT("/w\0t"), "ENOENT"},
        {false, XS_UNWATCH, 0, TEXT("/w//\0t"), "ENOENT"},
        {false, XS_DIRECTORY_PART, 0, TEXT("/"), "EINVAL"},
        {false, XS_DIRECTORY_PART, 0, TEXT("/\0000\0"), "EINVAL"},
        {false, XS_TRANSACTION_END, 0, RAW("T"), "EINVAL"},
        {false, XS_TRANSACTION_END, 0, TEXT("X"), "EINVAL"},
        {false, XS_TRANSACTION_END, 0, TEXT("T"), "ENOENT"},
    };
    RUN(rows);
}

/* No type takes what is no path, nor tells of what the guest may not see. */
static void test_wire_paths(void **state)
{
    struct lab *lab = *state;
    const uint32_t types[] = {XS_DIRECTORY, XS_READ, XS_GET_PERMS, XS_MKDIR, XS_RM};
    const struct {
        const char *payload;
        size_t length;
    } paths[] = {{TEXT("")},         {TEXT("//")},     {TEXT("/a/")},    {TEXT("/a b")},
                 {TEXT("/\x80")},    {TEXT("/a/../")}, {TEXT("@event")}, {TEXT("@releaseDomain")},
                 {TEXT("/a\nERROR")}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        for (size_t j = 0; j < sizeof(paths) / sizeof(paths[0]); j++) {
            const struct row row = {false, types[i], 0, paths[j].payload, paths[j].length, "EINVAL"};
            run_rows(lab, &row, 1);
        }
        const struct row hidden[] = {
            {true, types[i], 0, TEXT("/local/domain/7/name"), "EACCES"},
            {true, types[i], 0, TEXT("/local/domain/7/nothing/here"), "EACCES"},
        };
        run_rows(lab, hidden, 2);
    }
    const struct row rows[] = {
        {true, XS_WRITE, 0, RAW("/local/domain/7/name\0x"), "EACCES"},
        {true, XS_WRITE, 0, RAW("/x\0x"), "EACCES"},
        {true, XS_SET_PERMS, 0, TEXT("/local/domain/7/name\0n5"), "EACCES"},
        {true, XS_DIRECTORY_PART, 0, TEXT("/local/domain/7\0000"), "EACCES"},
        {false, XS_WRITE, 0, RAW("/a//b\0x"), "EINVAL"},
        {false, XS_SET_PERMS, 0, TEXT("/a/\0n5"), "EINVAL"},
        {false, XS_WATCH, 0, TEXT("/a/\0t"), "EINVAL"},
        {false, XS_WATCH, 0, TEXT("@no such event\0t"), "OK"},
    };
    RUN(rows);
}

/* What a toolstack asks; do_introduce() and its neighbours in xenstored_domain.c. */
static void test_wire_domains(void **state)
{
    const struct row rows[] = {
        {false, XS_GET_DOMAIN_PATH, 0, TEXT("5"), "/local/domain/5"},
        {true, XS_GET_DOMAIN_PATH, 0, TEXT("32752"), "/local/domain/32752"},
        {false, XS_GET_DOMAIN_PATH, 0, TEXT("65536"), "/local/domain/65536"},
        {false, XS_GET_DOMAIN_PATH, 0, TEXT("-1"), "/local/domain/4294967295"},
        {false, XS_GET_DOMAIN_PATH, 0, RAW("5"), "EINVAL"},
        {false, XS_IS_DOMAIN_INTRODUCED, 0, TEXT("5"), "T"},
        {false, XS_IS_DOMAIN_INTRODUCED, 0, TEXT("0"), "T"},
        {false, XS_IS_DOMAIN_INTRODUCED, 0, TEXT("32752"), "T"}, /* DOMID_SELF */
        {false, XS_IS_DOMAIN_INTRODUCED, 0, TEXT("32753"), "F"},
        {false, XS_IS_DOMAIN_INTRODUCED, 0, TEXT("6"), "F"},
        {false, XS_INTRODUCE, 0, TEXT("5\0001"), "EINVAL"},
        {false, XS_INTRODUCE, 0, TEXT("5\0001\0000"), "EINVAL"},
        {false, XS_INTRODUCE, 0, TEXT("5\0001\0002"), "OK"},
        {false, XS_INTRODUCE, 0, TEXT("6\0001\0002"), "EINVAL"},
        {false, XS_INTRODUCE, 0, TEXT("40000\0001\0002"), "EINVAL"},
        {false, XS_WATCH, 0, TEXT("@releaseDomain\0out"), "OK"},
        {false, XS_RELEASE, 0, TEXT("0"), "EINVAL"},
        {false, XS_RELEASE, 0, TEXT("6"), "ENOENT"},
        {false, XS_RELEASE, 0, TEXT("5"), "OK"},
        {false, XS_IS_DOMAIN_INTRODUCED, 0, TEXT("5"), "F"},
        {false, XS_RELEASE, 0, TEXT("5"), "ENOENT"},
        {false, XS_RESUME, 0, TEXT("5"), "ENOENT"},
        {false, XS_SET_TARGET, 0, TEXT("5\0007"), "ENOENT"},
        {false, XS_INTRODUCE, 0, TEXT("5\0001\0002"), "OK"},
        {false, XS_IS_DOMAIN_INTRODUCED, 0, TEXT("5"), "T"},
        {false, XS_RESUME, 0, TEXT("5"), "OK"},
        {false, XS_RESUME, 0, TEXT("0"), "EINVAL"},
        {false, XS_SET_TARGET, 0, TEXT("5"), "EINVAL"},
        {false, XS_SET_TARGET, 0, TEXT("5\0006"), "ENOENT"},
        {true, XS_READ, 0, TEXT("/local/domain/7/name"), "EACCES"},
        {false, XS_SET_TARGET, 0, TEXT("5\0007"), "OK"},
        {true, XS_READ, 0, TEXT("/local/domain/7/name"), "Domain-7"},
        {true, XS_WRITE, 0, RAW("/local/domain/7/data/x\0y"), "OK"},
        {true, XS_WRITE, 0, RAW("/local/domain/7/name\0y"), "EACCES"},
        {false, XS_RELEASE, 0, TEXT("7"), "OK"},
        {true, XS_READ, 0, TEXT("/local/domain/7/name"), "EACCES"},
        {false, XS_CONTROL, 0, TEXT("check"), "OK"},
        {false, XS_CONTROL, 0, TEXT("log\0on"), "OK"},
        {false, XS_CONTROL, 0, TEXT("log\0maybe"), "EINVAL"},
        {false, XS_CONTROL, 0, TEXT("print\0hello"), "OK"},
        {false, XS_CONTROL, 0, TEXT("live-update\0-s"), "EINVAL"},
        {false, XS_CONTROL, 0, RAW("check"), "EINVAL"},
        {true, XS_CONTROL, 0, TEXT("check"), "EACCES"},
    };
    RUN(rows);
}

/* dom_release_perms of xenstored: domain 0 decides who else is told of domains. */
static void test_wire_special_perms(void **state)
{
    struct lab *lab = *state;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    const struct row rows[] = {
        {true, XS_WATCH, 0, TEXT("@releaseDomain\0out"), "OK"},
        {true, XS_SET_PERMS, 0, TEXT("@releaseDomain\0n5"), "EACCES"},
        {false, XS_SET_PERMS, 0, TEXT("@nothing\0n5"), "EINVAL"},
        {false, XS_RELEASE, 0, TEXT("7"), "OK"},
    };
    RUN(rows);
    assert_false(store_event_waiting(lab->guest.conn));
    const struct row more[] = {
        {false, XS_SET_PERMS, 0, TEXT("@releaseDomain\0n0\0r5"), "OK"},
        {false, XS_INTRODUCE, 0, TEXT("7\0001\0001"), "OK"},
        {false, XS_RELEASE, 0, TEXT("7"), "OK"},
    };
    RUN(more);
    assert_int_equal(wire_events(&lab->guest, &lab->out), 0);
    assert_int_equal(take(lab, payload).type, XS_WATCH_EVENT);
    assert_memory_equal(payload, "@releaseDomain\0out", 19);
    assert_int_equal(lab->out.length, 0);
}

/* Transactions do not nest, end but once, and go with XS_RESET_WATCHES. */
static void test_wire_transactions(void **state)
{
    const struct row rows[] = {
        {true, XS_TRANSACTION_START, 0, TEXT(""), "1"}, {true, XS_TRANSACTION_START, 1, TEXT(""), "EBUSY"},
        {false, XS_READ, 1, TEXT("domid"), "ENOENT"}, /* that of another connection */
        {true, XS_WRITE, 1, RAW("data/t\0v"), "OK"},    {true, XS_READ, 0, TEXT("data/t"), "ENOENT"},
        {true, XS_TRANSACTION_END, 1, TEXT("T"), "OK"}, {true, XS_TRANSACTION_END, 1, TEXT("T"), "ENOENT"},
        {true, XS_READ, 0, TEXT("data/t"), "v"},        {true, XS_TRANSACTION_START, 0, TEXT(""), "2"},
        {true, XS_RESET_WATCHES, 2, TEXT(""), "OK"},    {true, XS_TRANSACTION_END, 2, TEXT("F"), "ENOENT"},
    };
    RUN(rows);
}

/* A message that is too long ends the conversation as soon as its header is there. */
static void test_wire_oversized(void **state)
{
    struct lab *lab = *state;
    const uint32_t lengths[] = {XENSTORE_PAYLOAD_MAX + 1, 0x10000, INT32_MAX, 0x80000000u, UINT32_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct xsd_sockmsg header = {.type = XS_READ, .len = lengths[i]};
        lab->guest.have = 0;
        put(&lab->guest, &header, sizeof(header) - 1);
        assert_int_equal(wire_step(&lab->guest, &lab->out), 0);
        put(&lab->guest, (const char *)&header + sizeof(header) - 1, 1);
        assert_true(wire_ready(&lab->guest));
        assert_int_equal(wire_step(&lab->guest, &lab->out), -EPROTO);
        assert_int_equal(lab->out.length, 0);
    }
    lab->guest.have = 0;
}

/* The longest message is allowed, to the byte. */
static void test_wire_longest(void **state)
{
    struct lab *lab = *state;
    char payload[XENSTORE_PAYLOAD_MAX];
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    memset(payload, 'v', sizeof(payload));
    memcpy(payload, "/l", 3);
    ask(lab, &lab->dom0, XS_WRITE, 0, payload, sizeof(payload), answer);
    assert_string_equal(answer, "OK");
    assert_int_equal(ask(lab, &lab->dom0, XS_READ, 0, TEXT("/l"), answer), sizeof(payload) - 3);
    assert_memory_equal(answer, payload + 3, sizeof(payload) - 3);
    /* All of it one string that is no path, or without its end. */
    memset(payload, 'p', sizeof(payload));
    ask(lab, &lab->dom0, XS_READ, 0, payload, sizeof(payload), answer);
    assert_string_equal(answer, "EINVAL");
    payload[sizeof(payload) - 1] = '\0';
    ask(lab, &lab->dom0, XS_READ, 0, payload, sizeof(payload), answer);
    assert_string_equal(answer, "EINVAL");
    memset(payload, 0, sizeof(payload));
    ask(lab, &lab->dom0, XS_SET_PERMS, 0, payload, sizeof(payload), answer);
    assert_string_equal(answer, "ENOSPC");
}

/* Three messages cut in two at every byte, and byte by byte: the answers are the same. */
static void test_wire_cut_anywhere(void **state)
{
    struct lab *lab = *state;
    struct wire whole = {.store = lab->store, .conn = lab->dom0.conn};
    put_message(&whole, XS_WRITE, 0, RAW("/cut/here\0value"));
    put_message(&whole, XS_READ, 0, TEXT("/cut/here"));
    put_message(&whole, XS_DIRECTORY, BAD_TX, TEXT("/cut"));
    for (size_t cut = 0; cut <= whole.have; cut++) {
        size_t at = 0;
        char answer[XENSTORE_PAYLOAD_MAX + 1];
        unsigned int answers = 0;
        assert_int_equal(store_rm(lab->dom0.conn, 0, "/cut"), 0);
        while (at < whole.have) {
            /* The last round is that of single bytes. */
            size_t some = cut == whole.have ? 1 : at < cut ? cut - at : whole.have - at;
            put(&lab->dom0, whole.in + at, some);
            at += some;
            while (wire_step(&lab->dom0, &lab->out) == 1)
                answers++;
        }
        assert_int_equal(answers, 3);
        assert_int_equal(take(lab, answer).type, XS_WRITE);
        assert_string_equal(answer, "OK");
        assert_int_equal(take(lab, answer).type, XS_READ);
        assert_string_equal(answer, "value");
        struct xsd_sockmsg header = take(lab, answer);
        assert_int_equal(header.type, XS_ERROR);
        assert_int_equal(header.tx_id, BAD_TX);
        assert_string_equal(answer, "ENOENT");
        assert_int_equal(lab->out.length, 0);
    }
}

/* Children of a directory that does not fit into one message, of names of all lengths. */
static void make_many(struct lab *lab, const char *folder, unsigned int count)
{
    char path[128];
    for (unsigned int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%.*s%05u", folder, (int)(i % 60),
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", i);
        assert_int_equal(store_mkdir(lab->dom0.conn, 0, path), 0);
    }
}

/* How libxenstore reads a large directory: XS_DIRECTORY says E2BIG, XS_DIRECTORY_PART has it in parts. */
static void test_wire_large_directory(void **state)
{
    struct lab *lab = *state;
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    char question[64];
    char generation[24];
    size_t offset = 0;
    unsigned int names = 0;
    unsigned int parts = 0;
    make_many(lab, "/many", 1000);
    ask(lab, &lab->dom0, XS_DIRECTORY, 0, TEXT("/many"), answer);
    assert_string_equal(answer, "E2BIG");
    for (bool last = false; !last; parts++) {
        int length = snprintf(question, sizeof(question), "/many%c%zu", '\0', offset);
        size_t got = ask(lab, &lab->dom0, XS_DIRECTORY_PART, 0, question, (size_t)length + 1, answer);
        size_t at = strlen(answer) + 1;
        assert_true(at < sizeof(generation));
        if (parts)
            assert_string_equal(answer, generation);
        strcpy(generation, answer);
        while (at < got && answer[at]) {
            assert_int_equal(strtoul(answer + at + names % 60, NULL, 10), names);
            names++;
            offset += strlen(answer + at) + 1;
            at += strlen(answer + at) + 1;
        }
        last = at < got;
        assert_true(last ? at + 1 == got : at == got);
    }
    assert_int_equal(names, 1000);
    /* 36 KiB of names in parts of 4. */
    assert_true(parts >= 9 && parts <= 10);
    /* Behind the end there is nothing; a change changes the generation. */
    size_t got = ask(lab, &lab->dom0, XS_DIRECTORY_PART, 0, TEXT("/many\0009999999"), answer);
    assert_string_equal(answer, generation);
    assert_int_equal(got, strlen(generation) + 2);
    assert_int_equal(store_mkdir(lab->dom0.conn, 0, "/many/more"), 0);
    ask(lab, &lab->dom0, XS_DIRECTORY_PART, 0, TEXT("/many\0000"), answer);
    assert_string_not_equal(answer, generation);
}

/* The parts of small and empty directories, and from the middle of a name. */
static void test_wire_small_directory_part(void **state)
{
    struct lab *lab = *state;
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    assert_int_equal(store_mkdir(lab->dom0.conn, 0, "/s/abc"), 0);
    assert_int_equal(store_mkdir(lab->dom0.conn, 0, "/s/de"), 0);
    size_t got = ask(lab, &lab->dom0, XS_DIRECTORY_PART, 0, TEXT("/s\0000"), answer);
    size_t at = strlen(answer) + 1;
    assert_int_equal(got, at + 8);
    assert_memory_equal(answer + at, "abc\0de\0", 8);
    got = ask(lab, &lab->dom0, XS_DIRECTORY_PART, 0, TEXT("/s\0001"), answer);
    assert_int_equal(got, at + 7);
    assert_memory_equal(answer + at, "bc\0de\0", 7);
    got = ask(lab, &lab->dom0, XS_DIRECTORY_PART, 0, TEXT("/s/de\0000"), answer);
    assert_int_equal(got, strlen(answer) + 2);
    ask(lab, &lab->dom0, XS_DIRECTORY_PART, 0, TEXT("/none\0000"), answer);
    assert_string_equal(answer, "ENOENT");
    /* Where the names would fit but not their end, the last one is for the next part. */
    uint64_t generation;
    memset(answer, 'x', 9);
    assert_int_equal(store_directory_part(lab->dom0.conn, 0, "/s", 0, answer, at + 7, &generation), 4);
    assert_memory_equal(answer, "abc\0xxxxx", 9);
    assert_int_equal(store_directory_part(lab->dom0.conn, 0, "/s", 4, answer, at + 7, &generation), 4);
    assert_memory_equal(answer, "de\0\0xxxxx", 9);
    assert_int_equal(store_directory_part(lab->dom0.conn, 0, "/s", 0, answer, at + 8, &generation), 8);
}

/* A guest's watch of its data whose token is of some length. Its first event is taken. */
static void watch_data(struct lab *lab, size_t token)
{
    char payload[XENSTORE_PAYLOAD_MAX];
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    memset(payload, 't', sizeof(payload));
    memcpy(payload, "data", 5);
    payload[5 + token] = '\0';
    ask(lab, &lab->guest, XS_WATCH, 0, payload, 5 + token + 1, answer);
    assert_string_equal(answer, "OK");
    assert_int_equal(lab->out.length, 0);
}

/* send_event() of xenstored: what does not fit into a message is not told; what just fits is. */
static void test_wire_event_too_long(void **state)
{
    struct lab *lab = *state;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    char path[XENSTORE_PAYLOAD_MAX];
    size_t home = strlen("/local/domain/5/");
    watch_data(lab, XEN_XS_TOKEN_MAX);
    memset(path, 'p', sizeof(path));
    memcpy(path, "/local/domain/5/data/", home + 5);
    path[home + XENSTORE_PAYLOAD_MAX - XEN_XS_TOKEN_MAX - 1] = '\0';
    assert_int_equal(store_mkdir(lab->dom0.conn, 0, path), 0);
    assert_int_equal(wire_events(&lab->guest, &lab->out), 0);
    assert_int_equal(lab->out.length, 0);
    path[home + XENSTORE_PAYLOAD_MAX - XEN_XS_TOKEN_MAX - 2] = '\0';
    assert_int_equal(store_mkdir(lab->dom0.conn, 0, path), 0);
    assert_int_equal(wire_events(&lab->guest, &lab->out), 0);
    assert_int_equal(take(lab, payload).len, XENSTORE_PAYLOAD_MAX);
    assert_string_equal(payload, path + home);
}

/* store.h STORE_EVENTS_MAX: a guest that does not take its events loses them all, and with them the
 * connection. */
static void test_wire_events_lost(void **state)
{
    struct lab *lab = *state;
    unsigned int i = 0;
    watch_data(lab, 1000);
    assert_int_equal(store_watch(lab->dom0.conn, "/", "all"), 0);
    for (; i < STORE_EVENTS_MAX / 1000 - 100; i++)
        assert_int_equal(store_write(lab->dom0.conn, 0, "/local/domain/5/data/x", "1", 1), 0);
    assert_int_equal(wire_events(&lab->guest, &lab->out), 0);
    wire_out_consume(&lab->out, lab->out.length);
    /* Those that were taken count no more. */
    for (i = 0; i < STORE_EVENTS_MAX / 1000 - 100; i++)
        assert_int_equal(store_write(lab->dom0.conn, 0, "/local/domain/5/data/x", "1", 1), 0);
    assert_int_equal(wire_events(&lab->guest, &lab->out), 0);
    wire_out_consume(&lab->out, lab->out.length);
    for (i = 0; i < STORE_EVENTS_MAX / 1000; i++)
        assert_int_equal(store_write(lab->dom0.conn, 0, "/local/domain/5/data/x", "1", 1), 0);
    assert_true(store_event_waiting(lab->guest.conn));
    assert_int_equal(wire_events(&lab->guest, &lab->out), -EPIPE);
    assert_int_equal(lab->out.length, 0);
    /* Domain 0 has no such limit. */
    assert_int_equal(wire_events(&lab->dom0, &lab->out), 0);
    assert_true(lab->out.length > 3 * i);
}

int main(void)
{
#define WIRE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_wire_types),
        WIRE_TEST(test_wire_strings),
        WIRE_TEST(test_wire_paths),
        WIRE_TEST(test_wire_domains),
        WIRE_TEST(test_wire_special_perms),
        WIRE_TEST(test_wire_transactions),
        WIRE_TEST(test_wire_oversized),
        WIRE_TEST(test_wire_longest),
        WIRE_TEST(test_wire_cut_anywhere),
        WIRE_TEST(test_wire_large_directory),
        WIRE_TEST(test_wire_small_directory_part),
        WIRE_TEST(test_wire_event_too_long),
        WIRE_TEST(test_wire_events_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
