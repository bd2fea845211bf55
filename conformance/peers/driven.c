// SPDX-License-Identifier: MIT
#include "driven.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/loop.h"

#define LINE_BYTES  16384u
#define DATA_MAX    4096u /* of one read or write */
#define PACKETS_MAX 256u

struct urb {
    struct guest_result result;
    unsigned int nr_packets;
    struct guest_packet packet[PACKETS_MAX];
};

struct driven {
    struct peer *peer;
    struct program *program;
    char line[LINE_BYTES];
    size_t have;
    char reply[LINE_BYTES]; /* behind "ok", or "error" and its number */
    int rc;
    bool replied;
    char wrong[PEER_ERROR_MAX];
    unsigned int nr_urbs;
    struct urb urb[GUEST_URBS_MAX];
};

static void wrong(struct driven *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(struct driven *d, const char *format, ...)
{
    va_list args;
    if (d->wrong[0])
        return;
    va_start(args, format);
    vsnprintf(d->wrong, sizeof(d->wrong), format, args);
    va_end(args);
}

const char *driven_wrong(const struct driven *d)
{
    return d->wrong[0] ? d->wrong : NULL;
}

/* ---- what it says ---- */

static void take_done(struct driven *d, const char *text)
{
    unsigned int number, actual, errors;
    int status, used = 0;
    if (sscanf(text, "%u %d %u %u%n", &number, &status, &actual, &errors, &used) != 4 || number >= d->nr_urbs) {
        wrong(d, "DRIVE.md: 'done %.60s' is not of an URB that was submitted", text);
        return;
    }
    struct urb *urb = &d->urb[number];
    urb->result = (struct guest_result){
        .status = status, .actual = actual, .error_count = errors, .times = urb->result.times + 1};
    urb->nr_packets = 0;
    for (text += used; urb->nr_packets < PACKETS_MAX && sscanf(text, " %d:%u%n", &status, &actual, &used) == 2;
         text += used)
        urb->packet[urb->nr_packets++] = (struct guest_packet){.status = status, .actual = actual};
}

static void take_line(struct driven *d, const char *line)
{
    char *end;
    if (!strncmp(line, "done ", 5)) {
        take_done(d, line + 5);
    } else if (!strcmp(line, "ok") || !strncmp(line, "ok ", 3) || !strncmp(line, "error -", 7)) {
        if (d->replied)
            wrong(d, "DRIVE.md: two answers to one line: '%.60s'", line);
        d->replied = true;
        d->rc = *line == 'e' ? (int)strtol(line + 6, &end, 10) : 0;
        snprintf(d->reply, sizeof(d->reply), "%s", *line == 'o' && line[2] ? line + 3 : "");
    } else if (*line && *line != '#') {
        wrong(d, "DRIVE.md: '%.60s' is no answer", line);
    }
}

/* Waits for something, takes whole lines. False when nothing came, or it has ended. */
static bool listen_until(struct driven *d, uint64_t until_ns)
{
    struct loop loop;
    loop_clear(&loop);
    loop_add(&loop, d->program->out);
    if (loop_wait(&loop, until_ns) || !loop_ready(&loop, d->program->out))
        return false;
    ssize_t n = read(d->program->out, d->line + d->have, sizeof(d->line) - d->have);
    if (n <= 0)
        return false;
    d->have += (size_t)n;
    char *at = d->line, *end;
    while ((end = memchr(at, '\n', d->have - (size_t)(at - d->line)))) {
        *end = '\0';
        take_line(d, at);
        at = end + 1;
    }
    d->have -= (size_t)(at - d->line);
    memmove(d->line, at, d->have);
    if (d->have == sizeof(d->line)) {
        wrong(d, "DRIVE.md: a line of more than %u bytes", LINE_BYTES);
        d->have = 0;
    }
    return true;
}

void driven_listen(struct driven *d)
{
    while (d->program->out >= 0 && listen_until(d, 0))
        ;
}

/* One line to it, and its answer: 0 with the reply, or the -errno that it said; -EIO when there is none. */
static int ask(struct driven *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int ask(struct driven *d, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (d->program->in < 0 || d->wrong[0])
        return -EIO;
    line[n++] = '\n';
    d->replied = false;
    if (write(d->program->in, line, (size_t)n) != n)
        return -EIO; /* it has died, which is found elsewhere */
    uint64_t end = loop_now_ns() + d->peer->config.timeout_ns;
    while (!d->replied && loop_now_ns() < end && listen_until(d, end))
        ;
    if (!d->replied && loop_now_ns() >= end) { /* it may be slow */
        d->peer->ops->rest(d->peer);
        driven_listen(d);
    }
    if (!d->replied && loop_now_ns() >= end)
        wrong(d, "DRIVE.md: no answer to '%.*s'", n < 60 ? n - 1 : 60, line);
    return d->replied ? d->rc : -EIO;
}

int driven_open(struct peer *peer, struct program *program, struct driven **out, char error[PEER_ERROR_MAX])
{
    int rc = program_wait(program, "the frontend's program", error);
    if (rc)
        return rc;
    struct driven *d = calloc(1, sizeof(*d));
    char first[64] = "";
    ssize_t n = d ? read(program->out, first, sizeof(first) - 1) : -1;
    if (n > 0 && !strcmp(first, "drive 1\n")) {
        d->peer = peer;
        d->program = program;
        *out = d;
        return 0;
    }
    first[strcspn(first, "\n")] = '\0';
    snprintf(error, PEER_ERROR_MAX, "the first line of a frontend's program is 'drive 1' (DRIVE.md), not '%s'", first);
    free(d);
    program_kill(program);
    return -EPROTO;
}

void driven_close(struct driven *d)
{
    free(d);
}

void driven_sync(struct driven *d)
{
    (void)ask(d, "sync");
}

/* ---- the guest ---- */

static void put_hex(const uint8_t *data, size_t size, char *out)
{
    for (size_t i = 0; i < size; i++)
        sprintf(out + 2 * i, "%02x", data[i]);
    out[2 * size] = '\0';
}

/* The reply's bytes, at most size; how many, or -EPROTO. */
static int get_hex(struct driven *d, uint8_t *data, size_t size)
{
    size_t n = 0;
    for (const char *p = d->reply; *p; p += 2, n++) {
        unsigned int byte;
        if (n == size || sscanf(p, "%2x", &byte) != 1 || !p[1]) {
            wrong(d, "DRIVE.md: '%.60s' is not at most %zu bytes", d->reply, size);
            return -EPROTO;
        }
        data[n] = (uint8_t)byte;
    }
    return (int)n;
}

int driven_submit(struct driven *d, const struct guest_urb *urb)
{
    static const char *const types[] = {"iso", "int", "control", "bulk"};
    char setup[32] = "", packets[64] = "";
    if (d->nr_urbs == GUEST_URBS_MAX)
        return -ENOSPC;
    if (urb->type == 2) {
        memcpy(setup, " setup=", 8);
        put_hex(urb->setup, 8, setup + 7);
    }
    if (urb->nr_packets)
        snprintf(packets, sizeof(packets), " packets=%u packet-length=%" PRIu32, urb->nr_packets, urb->packet_length);
    /* Before the question: it may be done before it is answered. */
    d->urb[d->nr_urbs++] = (struct urb){.nr_packets = 0};
    int rc = ask(d, "submit %u port=%u device=%u endpoint=%u type=%s dir=%s length=%" PRIu32 " offset=%" PRIu32
                 " interval=%u%s%s%s", d->nr_urbs - 1, urb->port, urb->device, urb->endpoint, types[urb->type & 3],
                 urb->in ? "in" : "out", urb->length, urb->offset, urb->interval, setup, packets,
                 urb->short_not_ok ? " short-not-ok" : "");
    if (rc < 0)
        d->nr_urbs--;
    return rc < 0 ? rc : (int)d->nr_urbs - 1;
}

int driven_unlink(struct driven *d, int urb, int reason)
{
    return ask(d, "unlink %d %d", urb, reason);
}

struct guest_result driven_result(struct driven *d, int urb)
{
    driven_listen(d);
    if (urb < 0 || (unsigned int)urb >= d->nr_urbs)
        return (struct guest_result){.status = -EINVAL};
    return d->urb[urb].result;
}

struct guest_packet driven_packet(struct driven *d, int urb, unsigned int packet)
{
    if (urb < 0 || (unsigned int)urb >= d->nr_urbs || packet >= d->urb[urb].nr_packets)
        return (struct guest_packet){.status = -EINVAL};
    return d->urb[urb].packet[packet];
}

int driven_write(struct driven *d, uint32_t offset, const void *data, uint32_t size)
{
    char hex[2 * DATA_MAX + 1];
    int rc = 0;
    for (uint32_t at = 0, n; !rc && at < size; at += n) {
        n = size - at < DATA_MAX ? size - at : DATA_MAX;
        put_hex((const uint8_t *)data + at, n, hex);
        rc = ask(d, "write %" PRIu32 " %s", offset + at, hex);
    }
    return rc;
}

int driven_read(struct driven *d, uint32_t offset, void *data, uint32_t size)
{
    int rc = 0;
    for (uint32_t at = 0, n; rc >= 0 && at < size; at += n) {
        n = size - at < DATA_MAX ? size - at : DATA_MAX;
        rc = ask(d, "read %" PRIu32 " %" PRIu32, offset + at, n);
        rc = rc ? rc : get_hex(d, (uint8_t *)data + at, n);
        if (rc >= 0 && (uint32_t)rc != n)
            rc = -EPROTO;
    }
    return rc < 0 ? rc : 0;
}

int driven_hub(struct driven *d, const uint8_t setup[8], void *data, uint16_t size)
{
    char hex[17];
    put_hex(setup, 8, hex);
    int rc = ask(d, "hub %s %u", hex, size);
    return rc ? rc : get_hex(d, data, size);
}

uint32_t driven_hub_changes(struct driven *d)
{
    return ask(d, "changes") ? 0 : (uint32_t)strtoul(d->reply, NULL, 10);
}

int driven_end(struct driven *d)
{
    return ask(d, "close");
}

int driven_reconnect(struct driven *d)
{
    return ask(d, "reconnect");
}
