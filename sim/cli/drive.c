// SPDX-License-Identifier: MIT
#include "cli/drive.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/numbers.h"
#include "guest/told.h"
#include "process/loop.h"

#define LINE_MAX_BYTES 16384u
#define DATA_MAX       4096u /* of one read or write */
#define SYNC_ROUNDS    1000u /* a backend that never stops must not keep the answer back */

struct drive {
    struct front *front;
    struct hcd *hcd;
    struct told *told;
    char line[LINE_MAX_BYTES];
    size_t have;
    bool ended;
};

/* ---- answers ---- */

static void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void answer(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

static void answer_rc(int rc)
{
    if (rc < 0)
        answer("error %d", rc);
    else
        answer("ok");
}

static void answer_hex(const uint8_t *data, size_t size)
{
    fputs("ok ", stdout);
    for (size_t i = 0; i < size; i++)
        printf("%02x", data[i]);
    answer("%s", "");
}

static void done(void *context, unsigned int number)
{
    const struct drive *drive = context;
    unsigned int times;
    const struct hcd_urb *urb = told_urb(drive->told, number, &times);
    printf("done %u %d %" PRIu32 " %" PRIu32, number, urb->status, urb->actual, urb->error_count);
    for (unsigned int i = 0; i < urb->nr_packets; i++)
        printf(" %d:%u", urb->packets[i].status, urb->packets[i].actual_length);
    answer("%s", "");
}

/* ---- words ---- */

static bool get_number(const char *text, uint64_t max, uint64_t *out)
{
    return text && parse_number(text, 0, max, out) == 0;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Pairs of lower case digits; the bytes, or -1. */
static int get_hex(const char *text, uint8_t *out, size_t max)
{
    size_t n = 0;
    for (; text && text[2 * n]; n++) {
        int high = digit(text[2 * n]);
        int low = high < 0 ? -1 : digit(text[2 * n + 1]);
        if (low < 0 || n == max)
            return -1;
        out[n] = (uint8_t)(high << 4 | low);
    }
    return text ? (int)n : -1;
}

/* ---- commands ---- */

struct submit {
    struct hcd_urb urb;
    uint64_t offset, packet_length;
};

static bool set_name(struct submit *submit, const char *word)
{
    static const struct {
        const char *word;
        int type;
    } types[] = {{"type=iso", USBIF_PIPE_TYPE_ISOC},
                 {"type=int", USBIF_PIPE_TYPE_INT},
                 {"type=control", USBIF_PIPE_TYPE_CTRL},
                 {"type=bulk", USBIF_PIPE_TYPE_BULK}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (!strcmp(word, types[i].word)) {
            submit->urb.type = (uint8_t)types[i].type;
            return true;
        }
    }
    if (!strcmp(word, "short-not-ok"))
        return submit->urb.short_not_ok = true;
    submit->urb.in = !strcmp(word, "dir=in");
    return submit->urb.in || !strcmp(word, "dir=out");
}

static bool set_value(struct submit *submit, const char *word)
{
    struct hcd_urb *urb = &submit->urb;
    const char *value = strchr(word, '=');
    size_t length = value ? (size_t)(value++ - word) : 0;
    uint64_t n;
    if (length == 5 && !strncmp(word, "setup", length))
        return get_hex(value, urb->setup, sizeof(urb->setup)) == sizeof(urb->setup);
    if (!get_number(value, UINT32_MAX, &n))
        return set_name(submit, word);
#define IS(name) (length == sizeof(name) - 1 && !strncmp(word, name, length))
    if (IS("port") && n <= UINT8_MAX)
        urb->port = (uint8_t)n;
    else if (IS("device") && n <= UINT8_MAX)
        urb->device = (uint8_t)n;
    else if (IS("endpoint") && n <= UINT8_MAX)
        urb->endpoint = (uint8_t)n;
    else if (IS("interval") && n <= UINT16_MAX)
        urb->interval = (uint16_t)n;
    else if (IS("packets") && n <= UINT16_MAX)
        urb->nr_packets = (uint16_t)n;
    else if (IS("packet-length") && n <= UINT16_MAX)
        submit->packet_length = n;
    else if (IS("length"))
        urb->length = (uint32_t)n;
    else if (IS("offset"))
        submit->offset = n;
    else
        return false;
#undef IS
    return true;
}

static void do_submit(struct drive *drive, char *words)
{
    struct submit submit = {.urb = {.type = USBIF_PIPE_TYPE_BULK}};
    uint64_t number;
    char *rest = words;
    const char *word = strtok_r(words, " ", &rest);
    if (!get_number(word, TOLD_URBS - 1, &number)) {
        answer("error %d no such number", -EINVAL);
        return;
    }
    while ((word = strtok_r(NULL, " ", &rest))) {
        if (!set_value(&submit, word)) {
            answer("error %d %s", -EINVAL, word);
            return;
        }
    }
    answer_rc(told_submit(drive->told, (unsigned int)number, &submit.urb, (uint32_t)submit.offset,
                          (uint16_t)submit.packet_length));
}

static void do_unlink(struct drive *drive, char *words)
{
    char *rest = words;
    uint64_t number, reason;
    const char *first = strtok_r(words, " ", &rest);
    const char *second = strtok_r(NULL, " ", &rest);
    if (!get_number(first, TOLD_URBS - 1, &number) || !second || *second != '-' ||
        !get_number(second + 1, 4095, &reason))
        answer_rc(-EINVAL);
    else
        answer_rc(told_unlink(drive->told, (unsigned int)number, -(int)reason));
}

static void do_write(struct drive *drive, char *words)
{
    uint8_t data[DATA_MAX];
    char *rest = words;
    uint64_t offset;
    const char *first = strtok_r(words, " ", &rest);
    int n = get_number(first, UINT32_MAX, &offset) ? get_hex(strtok_r(NULL, " ", &rest), data, sizeof(data)) : -1;
    answer_rc(n < 0 ? -EINVAL : told_write(drive->told, (uint32_t)offset, data, (uint32_t)n));
}

static void do_read(struct drive *drive, char *words)
{
    uint8_t data[DATA_MAX];
    char *rest = words;
    uint64_t offset, size;
    const char *first = strtok_r(words, " ", &rest);
    bool good = get_number(first, UINT32_MAX, &offset) && get_number(strtok_r(NULL, " ", &rest), DATA_MAX, &size);
    int rc = good ? told_read(drive->told, (uint32_t)offset, data, (uint32_t)size) : -EINVAL;
    if (rc)
        answer_rc(rc);
    else
        answer_hex(data, (size_t)size);
}

static void do_hub(struct drive *drive, char *words)
{
    uint8_t setup[8], data[DATA_MAX];
    char *rest = words;
    uint64_t size;
    bool good = get_hex(strtok_r(words, " ", &rest), setup, sizeof(setup)) == sizeof(setup);
    if (!good || !get_number(strtok_r(NULL, " ", &rest), DATA_MAX, &size)) {
        answer_rc(-EINVAL);
        return;
    }
    int n = drive->hcd->ops->hub_control(drive->hcd, setup, data, (size_t)size, loop_now_ns());
    if (n < 0)
        answer_rc(n);
    else
        answer_hex(data, (size_t)n);
}

static void do_changes(struct drive *drive, char *words)
{
    uint8_t b[4] = {0};
    (void)words;
    (void)drive->hcd->ops->hub_status(drive->hcd, b, sizeof(b));
    answer("ok %" PRIu32, (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24);
}

static void do_close(struct drive *drive, char *words)
{
    (void)words;
    front_close(drive->front);
    answer_rc(0);
}

static void do_reconnect(struct drive *drive, char *words)
{
    (void)words;
    answer_rc(front_reconnect(drive->front));
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/*
 * What others wrote into xenstore before they asked is told by it before it answers a question of ours, so
 * that after one round nothing of theirs is on its way; and what we make of that is done here, too.
 */
static void do_sync(struct drive *drive, char *words)
{
    struct xen *xen = front_xen(drive->front);
    int rc = 0;
    (void)words;
    for (unsigned int i = 0; !rc && i < SYNC_ROUNDS && (i == 0 || readable(xen->ops->fd(xen))); i++) {
        char value[16];
        ssize_t n = xen->ops->xs_read(xen, XEN_XBT_NIL, "domid", value, sizeof(value));
        rc = n == -EPIPE ? -EPIPE : front_step(drive->front, loop_now_ns());
    }
    answer_rc(rc);
}

static void command(struct drive *drive, char *line)
{
    static const struct {
        const char *verb;
        void (*run)(struct drive *drive, char *words);
    } verbs[] = {{"submit", do_submit}, {"unlink", do_unlink},   {"write", do_write}, {"read", do_read},
                 {"hub", do_hub},       {"changes", do_changes}, {"close", do_close}, {"reconnect", do_reconnect},
                 {"sync", do_sync}};
    size_t length = strcspn(line, " ");
    char *words = line + length + (line[length] ? 1 : 0);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strlen(verbs[i].verb) == length && !strncmp(verbs[i].verb, line, length)) {
            verbs[i].run(drive, words);
            return;
        }
    }
    answer("error %d no such command", -EOPNOTSUPP);
}

/* ---- stdin ---- */

/* Whole lines of what there is now. */
static int take_lines(struct drive *drive)
{
    ssize_t n = read(STDIN_FILENO, drive->line + drive->have, sizeof(drive->line) - drive->have);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    drive->ended = n == 0;
    drive->have += (size_t)n;
    char *at = drive->line, *end;
    while ((end = memchr(at, '\n', drive->have - (size_t)(at - drive->line)))) {
        *end = '\0';
        command(drive, at);
        at = end + 1;
    }
    drive->have -= (size_t)(at - drive->line);
    memmove(drive->line, at, drive->have);
    return drive->have == sizeof(drive->line) ? -EPROTO : 0;
}

static int serve(struct drive *drive, int signals)
{
    struct xen *xen = front_xen(drive->front);
    while (!drive->ended) {
        struct loop loop;
        int rc = front_step(drive->front, loop_now_ns());
        if (rc)
            return rc;
        loop_clear(&loop);
        loop_add(&loop, STDIN_FILENO);
        loop_add(&loop, signals);
        loop_add(&loop, xen->ops->fd(xen));
        rc = loop_wait(&loop, front_deadline(drive->front));
        if (rc || loop_ready(&loop, signals))
            return rc;
        /* First what the ring has: who asks now asks about what is there now. */
        rc = front_step(drive->front, loop_now_ns());
        if (!rc && loop_ready(&loop, STDIN_FILENO))
            rc = take_lines(drive);
        if (rc)
            return rc;
    }
    return 0;
}

int drive_frontend(struct front *front, int signals)
{
    struct drive *drive = calloc(1, sizeof(*drive));
    int rc = drive ? 0 : -ENOMEM;
    signal(SIGPIPE, SIG_IGN); /* who drives may leave first */
    if (!rc) {
        drive->front = front;
        drive->hcd = front_hcd(front);
        rc = told_create(drive->hcd, done, drive, &drive->told);
    }
    if (!rc) {
        answer("drive 1");
        rc = serve(drive, signals);
    }
    front_destroy(front); /* gives back what is out, through told */
    if (drive)
        told_destroy(drive->told);
    free(drive);
    return rc;
}
