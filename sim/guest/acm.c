// SPDX-License-Identifier: MIT
/* Section numbers are those of PSTN 1.2 where nothing else is said. */
#include <errno.h>
#include <stdlib.h>

#include "guest/acm.h"

#define LINE_BYTES        7u
#define NOTIFICATION_MAX  64u
#define NOTIFICATION_HEAD 8u
#define WRITE_PACKETS     20u /* Linux: writesize */
#define READ_PACKETS      2u  /* Linux: readsize */
#define FAILURES          10u
#define LINE_AT           0u /* in the buffer; then: */
#define NOTIFY_AT         64u

/* Control requests still to be sent; the lowest bit first. */
enum {
    WANT_CLEAR_NOTIFY = 1,
    WANT_CLEAR_IN = 2,
    WANT_CLEAR_OUT = 4,
    WANT_LINE = 8,
    WANT_SIGNALS = 16,
    WANT_BREAK = 32,
};

enum acm_phase { ACM_CLOSED, ACM_OPEN, ACM_CLOSING };

struct acm_write {
    struct guest_xfer xfer;
    uint8_t *bytes;
    uint32_t length, sent;
};

struct acm {
    struct guest_device *device;
    struct acm_listener listener;
    uint8_t interface;
    struct guest_endpoint notify_ep, in_ep, out_ep;
    uint8_t *buffer;
    size_t buffer_size;
    enum acm_phase phase;
    bool frozen; /* until acm_event() */
    bool dead;   /* gone, or given up */
    unsigned int wants, asked;
    unsigned int failures; /* since the last byte */
    struct acm_line line;
    uint16_t signals;
    uint16_t break_ms;
    struct guest_xfer control, notify;
    uint32_t notified; /* bytes of notification */
    struct guest_xfer reads[ACM_READS];
    uint8_t *read_bytes[ACM_READS];
    bool throttled;
    struct acm_write writes[ACM_WRITES]; /* a ring in the order of writing */
    unsigned int first, count;
    bool wants_room; /* somebody waits for writable() */
    struct acm_stats stats;
    uint8_t notification[NOTIFICATION_MAX]; /* last: AddressSanitizer knows where it ends */
};

static void pump(struct acm *acm);

static struct acm_write *write_at(struct acm *acm, unsigned int i)
{
    return &acm->writes[(acm->first + i) % ACM_WRITES];
}

static uint32_t read_size(const struct acm *acm)
{
    return acm->in_ep.packet * READ_PACKETS;
}

static uint32_t write_size(const struct acm *acm)
{
    return acm->out_ep.packet * WRITE_PACKETS;
}

bool acm_busy(const struct acm *acm)
{
    bool busy = acm->control.busy || acm->notify.busy;
    for (unsigned int i = 0; i < ACM_READS; i++)
        busy = busy || acm->reads[i].busy;
    for (unsigned int i = 0; i < ACM_WRITES; i++)
        busy = busy || acm->writes[i].xfer.busy;
    return busy;
}

/* ---- failures ---- */

/* Takes back the transfers of the endpoints whose bits are set; some may return from inside. */
static void take_back(struct acm *acm, unsigned int what)
{
    if (what & WANT_CLEAR_NOTIFY)
        guest_unlink(&acm->notify);
    for (unsigned int i = 0; what & WANT_CLEAR_IN && i < ACM_READS; i++)
        guest_unlink(&acm->reads[i]);
    /* The last one first: none of them may be sent after one that was taken back. */
    for (unsigned int i = acm->count; what & WANT_CLEAR_OUT && i > 0 && i <= acm->count; i--)
        guest_unlink(&write_at(acm, i - 1)->xfer);
}

static void take_back_all(struct acm *acm)
{
    take_back(acm, WANT_CLEAR_NOTIFY | WANT_CLEAR_IN | WANT_CLEAR_OUT);
}

static void give_up(struct acm *acm, int error)
{
    if (acm->dead)
        return;
    acm->dead = true;
    take_back_all(acm);
    if (acm->listener.failed)
        acm->listener.failed(acm->listener.context, acm, error);
}

/*
 * A transfer did not succeed. `clear` says whose halt is to be cleared, once, however many of its URBs it
 * takes with it.
 */
static void on_failure(struct acm *acm, int status, unsigned int clear)
{
    if (status == -EHOSTUNREACH) {
        acm->frozen = true;
    } else if (status == -ENODEV || status == -ESHUTDOWN) {
        acm->dead = true;
    } else if (status != -ECONNRESET && !((acm->wants | acm->asked) & clear)) {
        acm->wants |= clear;
        acm->stats.failures++;
        if (++acm->failures >= FAILURES)
            give_up(acm, status);
        else
            take_back(acm, clear);
    }
}

/* ---- notifications ---- */

static void take_notification(struct acm *acm)
{
    const uint8_t *n = acm->notification;
    /* Section 6.5.4 */
    if (n[0] != 0xa1 || n[1] != 0x20 || n[6] != 2 || n[7] != 0)
        return;
    if (acm->listener.signals && acm->phase == ACM_OPEN)
        acm->listener.signals(acm->listener.context, acm, (uint16_t)(n[8] | n[9] << 8));
}

/* A small endpoint splits notifications; where one ends, only its head says. */
static void add_notification(struct acm *acm, uint32_t n)
{
    const uint8_t *src = acm->buffer + NOTIFY_AT;
    uint32_t room = NOTIFICATION_MAX - acm->notified;
    memcpy(acm->notification + acm->notified, src, n < room ? n : room);
    acm->notified += n < room ? n : room;
    if (acm->notified < NOTIFICATION_HEAD)
        return;
    uint32_t length = NOTIFICATION_HEAD + (acm->notification[6] | (uint32_t)acm->notification[7] << 8);
    if (acm->notified < length && length <= NOTIFICATION_MAX)
        return;
    if (acm->notified >= length)
        take_notification(acm);
    acm->notified = 0;
}

static void on_notify(struct guest_xfer *xfer)
{
    struct acm *acm = xfer->context;
    if (xfer->status) {
        acm->notified = 0;
        on_failure(acm, xfer->status, WANT_CLEAR_NOTIFY);
    } else {
        add_notification(acm, xfer->actual);
    }
    pump(acm);
}

/* ---- data ---- */

static void on_read(struct guest_xfer *xfer)
{
    struct acm *acm = xfer->context;
    uint32_t n = xfer->actual;
    if (xfer->status)
        on_failure(acm, xfer->status, WANT_CLEAR_IN);
    /* Bytes have left the device for ever, even where the transfer failed afterwards. */
    if (n && acm->phase == ACM_OPEN) {
        acm->failures = xfer->status ? acm->failures : 0;
        acm->stats.received += n;
        acm->listener.received(acm->listener.context, acm, xfer->urb.buffer, n);
    }
    pump(acm);
}

static void drop_sent(struct acm *acm)
{
    while (acm->count && !write_at(acm, 0)->xfer.busy && write_at(acm, 0)->sent == write_at(acm, 0)->length) {
        acm->first = (acm->first + 1) % ACM_WRITES;
        acm->count--;
    }
    if (acm->wants_room && acm->count < ACM_WRITES && acm->phase == ACM_OPEN && !acm->dead) {
        acm->wants_room = false;
        if (acm->listener.writable)
            acm->listener.writable(acm->listener.context, acm);
    }
}

static void on_write(struct guest_xfer *xfer)
{
    struct acm *acm = xfer->context;
    struct acm_write *w = (struct acm_write *)xfer;
    w->sent += xfer->actual;
    acm->stats.sent += xfer->actual;
    if (xfer->status)
        on_failure(acm, xfer->status, WANT_CLEAR_OUT);
    else
        acm->failures = 0;
    drop_sent(acm);
    pump(acm);
}

/* ---- requests ---- */

static void on_control(struct guest_xfer *xfer)
{
    struct acm *acm = xfer->context;
    unsigned int asked = acm->asked;
    acm->asked = 0;
    if (xfer->status == -EHOSTUNREACH) {
        acm->frozen = true;
        acm->wants |= asked;
    } else if (xfer->status == -ENODEV || xfer->status == -ESHUTDOWN) {
        acm->dead = true;
    } else if (xfer->status && asked < WANT_LINE) {
        on_failure(acm, xfer->status, asked);
    }
    /* What the device says of its line settings is its own affair (section 6.3.10). */
    pump(acm);
}

static void put_line(struct acm *acm)
{
    uint8_t *b = acm->buffer + LINE_AT;
    for (unsigned int i = 0; i < 4; i++)
        b[i] = (uint8_t)(acm->line.baud >> (8 * i));
    b[4] = acm->line.stop;
    b[5] = acm->line.parity;
    b[6] = acm->line.bits;
}

static void ask(struct acm *acm, unsigned int what)
{
    uint8_t setup[8];
    acm->asked = what;
    acm->wants &= ~what;
    switch (what) {
    case WANT_CLEAR_NOTIFY:
        guest_setup(setup, 0x02, 1, 0, acm->notify_ep.address, 0);
        break;
    case WANT_CLEAR_IN:
        guest_setup(setup, 0x02, 1, 0, acm->in_ep.address, 0);
        break;
    case WANT_CLEAR_OUT:
        guest_setup(setup, 0x02, 1, 0, acm->out_ep.address, 0);
        break;
    case WANT_LINE:
        put_line(acm);
        guest_setup(setup, 0x21, 0x20, 0, acm->interface, LINE_BYTES);
        break;
    case WANT_SIGNALS:
        guest_setup(setup, 0x21, 0x22, acm->signals, acm->interface, 0);
        break;
    default:
        guest_setup(setup, 0x21, 0x23, acm->break_ms, acm->interface, 0);
        break;
    }
    acm->control.done = on_control;
    acm->control.context = acm;
    int rc = guest_control(&acm->control, acm->device, setup, acm->buffer + LINE_AT);
    if (!rc)
        return;
    acm->asked = 0;
    acm->wants |= what;
    if (rc == -EHOSTUNREACH)
        acm->frozen = true;
    else
        give_up(acm, rc);
}

/* A halt is cleared when the endpoint is quiet: what is still on its way back must not be taken for new. */
static bool quiet(const struct acm *acm, unsigned int want)
{
    bool busy = want == WANT_CLEAR_NOTIFY && acm->notify.busy;
    for (unsigned int i = 0; want == WANT_CLEAR_IN && i < ACM_READS; i++)
        busy = busy || acm->reads[i].busy;
    for (unsigned int i = 0; want == WANT_CLEAR_OUT && i < ACM_WRITES; i++)
        busy = busy || acm->writes[i].xfer.busy;
    return !busy;
}

static void ask_next(struct acm *acm)
{
    for (unsigned int want = 1; want <= WANT_BREAK && !acm->control.busy; want <<= 1) {
        if (acm->wants & want && quiet(acm, want))
            ask(acm, want);
    }
}

/* ---- what keeps all going ---- */

static bool running(const struct acm *acm)
{
    return !acm->frozen && !acm->dead;
}

/* Whether the endpoint may start transfers: nobody waits for its halt to be cleared. */
static bool clear(const struct acm *acm, unsigned int want)
{
    return running(acm) && acm->phase == ACM_OPEN && !((acm->wants | acm->asked) & want);
}

static void start(struct acm *acm, struct guest_xfer *xfer, const struct guest_endpoint *ep,
                  void (*done)(struct guest_xfer *), uint8_t *bytes, uint32_t n)
{
    xfer->done = done;
    xfer->context = acm;
    xfer->timeout_ns = GUEST_NO_TIMEOUT;
    int rc = guest_transfer(xfer, acm->device, ep->address, bytes, n, false);
    if (rc == -EHOSTUNREACH)
        acm->frozen = true;
    else if (rc)
        give_up(acm, rc);
}

static void start_writes(struct acm *acm)
{
    unsigned int most = acm->count < ACM_WRITES_PENDING ? acm->count : ACM_WRITES_PENDING;
    for (unsigned int i = 0; i < most && clear(acm, WANT_CLEAR_OUT); i++) {
        struct acm_write *w = write_at(acm, i);
        if (!w->xfer.busy && w->sent < w->length)
            start(acm, &w->xfer, &acm->out_ep, on_write, w->bytes + w->sent, w->length - w->sent);
    }
}

/* Starts whatever can be started; the end of a closing port. */
static void pump(struct acm *acm)
{
    if (running(acm) && acm->wants)
        ask_next(acm);
    if (clear(acm, WANT_CLEAR_NOTIFY) && !acm->notify.busy)
        start(acm, &acm->notify, &acm->notify_ep, on_notify, acm->buffer + NOTIFY_AT, acm->notify_ep.packet);
    for (unsigned int i = 0; clear(acm, WANT_CLEAR_IN) && !acm->throttled && i < ACM_READS; i++) {
        if (!acm->reads[i].busy)
            start(acm, &acm->reads[i], &acm->in_ep, on_read, acm->read_bytes[i], read_size(acm));
    }
    start_writes(acm);
    if (acm->phase == ACM_CLOSING && (!acm->wants || !running(acm)) && !acm_busy(acm)) {
        acm->phase = ACM_CLOSED;
        acm->wants = 0;
        acm->first = acm->count = 0;
        if (acm->listener.closed)
            acm->listener.closed(acm->listener.context, acm);
    }
}

/* ---- binding ---- */

/* CDC 1.2 section 5.2.3.2: the union descriptor names the data interface; without one it is the next. */
static uint8_t data_interface(const struct guest_device *device, uint8_t comm)
{
    const uint8_t *raw = device->raw_configuration;
    bool ours = false;
    for (unsigned int at = 0; at < device->raw_configuration_length; at += raw[at]) {
        const uint8_t *d = raw + at;
        if (d[1] == 4)
            ours = d[2] == comm;
        if (ours && d[1] == 0x24 && d[0] >= 5 && d[2] == 0x06 && d[3] == comm)
            return d[4];
    }
    return (uint8_t)(comm + 1);
}

struct acm_parts {
    const struct guest_interface *comm, *data;
    const struct guest_endpoint *notify, *in, *out;
};

static bool find_parts(const struct guest_device *device, struct acm_parts *p)
{
    const struct guest_configuration *c = &device->configuration;
    *p = (struct acm_parts){.comm = guest_find_interface(device, 0x02, 0x02, -1)};
    uint8_t number = p->comm ? data_interface(device, p->comm->number) : 0;
    for (unsigned int i = 0; p->comm && i < c->nr_interfaces; i++) {
        const struct guest_interface *f = &c->interfaces[i];
        if (f->number == number && f->interface_class == 0x0a && f->alternate == 0 && !device->owners[i])
            p->data = f;
    }
    p->notify = guest_endpoint_of(p->comm, USBIF_PIPE_TYPE_INT, 0x80);
    p->in = guest_endpoint_of(p->data, USBIF_PIPE_TYPE_BULK, 0x80);
    p->out = guest_endpoint_of(p->data, USBIF_PIPE_TYPE_BULK, 0);
    return p->notify && p->in && p->out;
}

bool acm_matches(const struct guest_device *device)
{
    struct acm_parts parts;
    return find_parts(device, &parts);
}

/* The page of requests and notifications, then the writes, then the reads. */
static int alloc_buffer(struct acm *acm)
{
    size_t head = NOTIFY_AT + acm->notify_ep.packet;
    void *buffer;
    acm->buffer_size = head + ACM_WRITES * (size_t)write_size(acm) + ACM_READS * (size_t)read_size(acm);
    int rc = guest_buffer_alloc(acm->device->guest, acm->buffer_size, &buffer);
    if (rc)
        return rc;
    acm->buffer = buffer;
    uint8_t *at = acm->buffer + head;
    for (unsigned int i = 0; i < ACM_WRITES; i++, at += write_size(acm))
        acm->writes[i].bytes = at;
    for (unsigned int i = 0; i < ACM_READS; i++, at += read_size(acm))
        acm->read_bytes[i] = at;
    return 0;
}

int acm_create(struct guest_device *device, const struct acm_listener *listener, struct acm **out)
{
    struct acm_parts parts;
    if (!find_parts(device, &parts))
        return -ENODEV;
    struct acm *acm = calloc(1, sizeof(*acm));
    if (!acm)
        return -ENOMEM;
    acm->device = device;
    acm->listener = *listener;
    acm->interface = parts.comm->number;
    acm->notify_ep = *parts.notify;
    acm->in_ep = *parts.in;
    acm->out_ep = *parts.out;
    acm->line = (struct acm_line){.baud = 9600, .bits = 8};
    int rc = alloc_buffer(acm);
    if (!rc)
        rc = guest_claim(device, parts.comm->number, acm);
    if (!rc)
        rc = guest_claim(device, parts.data->number, acm);
    if (rc)
        acm_destroy(acm);
    else
        *out = acm;
    return rc;
}

void acm_destroy(struct acm *acm)
{
    if (!acm)
        return;
    assert(!acm_busy(acm));
    guest_release(acm->device, acm);
    if (acm->buffer)
        guest_buffer_free(acm->device->guest, acm->buffer, acm->buffer_size);
    free(acm);
}

void acm_event(struct acm *acm, enum guest_event event)
{
    if (event == GUEST_SUSPENDED)
        return;
    acm->frozen = false;
    acm->notified = 0;
    if (event == GUEST_RESET)
        acm->wants = acm->phase == ACM_OPEN ? WANT_LINE | WANT_SIGNALS : 0;
    pump(acm);
}

/* ---- for the guest ---- */

int acm_open(struct acm *acm)
{
    if (acm->device->gone)
        return -ENODEV;
    if (acm->phase != ACM_CLOSED || acm_busy(acm))
        return -EBUSY;
    acm->phase = ACM_OPEN;
    acm->dead = acm->throttled = acm->wants_room = false;
    acm->failures = 0;
    acm->notified = 0;
    acm->signals = ACM_DTR | ACM_RTS;
    acm->wants = WANT_LINE | WANT_SIGNALS;
    pump(acm);
    return 0;
}

void acm_close(struct acm *acm)
{
    if (acm->phase != ACM_OPEN)
        return;
    acm->phase = ACM_CLOSING;
    acm->signals = 0;
    /* A halt that is to be cleared still is: the next open is to find the endpoints usable. */
    acm->wants = (acm->wants & (WANT_LINE - 1u)) | WANT_SIGNALS;
    take_back_all(acm);
    pump(acm);
}

bool acm_is_open(const struct acm *acm)
{
    return acm->phase == ACM_OPEN;
}

uint32_t acm_write(struct acm *acm, const void *bytes, uint32_t n)
{
    uint32_t done = 0;
    if (acm->phase != ACM_OPEN || acm->dead)
        return 0;
    while (done < n && acm->count < ACM_WRITES) {
        struct acm_write *w = write_at(acm, acm->count++);
        uint32_t rest = n - done;
        w->length = rest < write_size(acm) ? rest : write_size(acm);
        w->sent = 0;
        memcpy(w->bytes, (const uint8_t *)bytes + done, w->length);
        done += w->length;
    }
    acm->wants_room = done < n;
    pump(acm);
    return done;
}

uint32_t acm_unsent(const struct acm *acm)
{
    uint32_t n = 0;
    for (unsigned int i = 0; i < acm->count; i++) {
        const struct acm_write *w = &acm->writes[(acm->first + i) % ACM_WRITES];
        n += w->length - w->sent;
    }
    return n;
}

void acm_throttle(struct acm *acm, bool on)
{
    acm->throttled = on;
    pump(acm);
}

static void want(struct acm *acm, unsigned int what)
{
    if (acm->phase == ACM_OPEN)
        acm->wants |= what;
    pump(acm);
}

void acm_set_line(struct acm *acm, const struct acm_line *line)
{
    acm->line = *line;
    want(acm, WANT_LINE);
}

void acm_set_signals(struct acm *acm, uint16_t signals)
{
    acm->signals = acm->phase == ACM_OPEN ? signals : 0;
    want(acm, WANT_SIGNALS);
}

void acm_send_break(struct acm *acm, uint16_t ms)
{
    acm->break_ms = ms;
    want(acm, WANT_BREAK);
}

struct acm_stats acm_stats(const struct acm *acm)
{
    return acm->stats;
}
