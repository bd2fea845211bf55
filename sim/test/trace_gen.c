// SPDX-License-Identifier: MIT
/*
 * A little world of buses and devices in which URBs begin and end at random. Each seed switches some kinds of
 * trouble off and others up, so that rare ones meet.
 */
#include "trace_gen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUSES_MAX   4u
#define DEVICES_MAX 400u
#define FLIGHT_MAX  64u
#define PACKETS_MAX 128u

/* Kinds of trouble, as weights out of 256. */
enum trouble {
    UNLINK,
    ERROR,
    ODD_STATUS,
    SHORT,
    CUT, /* payloads */
    LOST_S,
    LOST_C,
    REFUSED,
    TOO_LONG,
    BEYOND,
    OVERTAKE,
    UNPLUG,
    AGAIN, /* re-enumeration */
    ROOT_HUB,
    STRANGE, /* contradictions */
    LARGE,
    ISO,
    TROUBLES
};

struct chunk {
    struct chunk *next;
    max_align_t bytes[];
};

struct dev {
    unsigned int bus;
    uint8_t address;
    bool here;
    uint8_t seed; /* what its endpoints are like */
};

struct world {
    struct trace_gen *out;
    const struct trace_gen_limits *limits;
    uint64_t random;
    unsigned int weight[TROUBLES];
    unsigned int buses;
    bool visible[BUSES_MAX]; /* SET_ADDRESS is recorded */
    uint16_t bus_id[BUSES_MAX];
    unsigned int next_address[BUSES_MAX];
    struct dev dev[DEVICES_MAX];
    unsigned int nr_dev;
    uint32_t flying[FLIGHT_MAX];
    unsigned int nr_flying;
    uint32_t frame;
    uint64_t time_ns;
};

static uint64_t draw(struct world *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static uint32_t below(struct world *w, uint32_t n)
{
    return n ? (uint32_t)(draw(w) % n) : 0;
}

static bool happens(struct world *w, enum trouble trouble)
{
    return below(w, 256) < w->weight[trouble];
}

static void *take(struct world *w, size_t size)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + size);
    if (!chunk)
        abort();
    chunk->next = w->out->memory;
    w->out->memory = chunk;
    memset(chunk->bytes, 0, size);
    return chunk->bytes;
}

static uint8_t *payload(struct world *w, uint32_t size)
{
    uint8_t *bytes = size ? take(w, size) : NULL;
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = i % 8 ? (uint8_t)(bytes[i - 1] + 37) : (uint8_t)draw(w);
    return bytes;
}

/* ---- events ---- */

static void event(struct world *w, uint32_t u, char what)
{
    struct trace *trace = &w->out->trace;
    struct trace_urb *urb = &trace->urbs[u];
    uint32_t *frame = what == 'S' ? &urb->frame_s : what == 'C' ? &urb->frame_c : &urb->frame_e;
    *frame = ++w->frame;
    w->time_ns += 1000 + below(w, 100) * UINT64_C(1000);
    *(what == 'S' ? &urb->time_s_ns : &urb->time_c_ns) = w->time_ns;
    trace->order[trace->nr_order++] = (struct trace_event){.urb = u, .what = what};
    trace->events++;
}

static struct trace_urb *new_urb(struct world *w, uint16_t bus, uint8_t device)
{
    struct trace *trace = &w->out->trace;
    struct trace_urb *urb = &trace->urbs[trace->nr_urbs++];
    *urb = (struct trace_urb){.id = UINT64_C(0xffff880000000000) + trace->nr_urbs * UINT64_C(0xc0),
                              .frame_s = TRACE_NONE,
                              .frame_c = TRACE_NONE,
                              .frame_e = TRACE_NONE,
                              .bus = bus,
                              .device = device,
                              .status = TRACE_IN_PROGRESS};
    return urb;
}

static uint32_t index_of(const struct world *w, const struct trace_urb *urb)
{
    return (uint32_t)(urb - w->out->trace.urbs);
}

/* ---- how an URB begins ---- */

static uint32_t random_length(struct world *w)
{
    static const uint32_t usual[] = {0, 1, 4, 8, 13, 18, 31, 64, 512, 513, 4096, 5000};
    static const uint32_t large[] = {16384, 61440, 61441, 65535, 65536};
    uint32_t length = happens(w, LARGE) ? large[below(w, 5)] : usual[below(w, 12)];
    return length > w->limits->length_max ? w->limits->length_max : length;
}

static void make_setup(struct world *w, struct trace_urb *urb)
{
    static const uint8_t host_known[][8] = {
        {0x00, 9, 1}, {0x00, 9, 0}, {0x01, 11, 1, 0, 2}, {0x02, 1, 0, 0, 0x81}, {0x02, 1, 0, 0, 0x02},
    };
    urb->has_setup = true;
    urb->endpoint = 0;
    if (below(w, 3) == 0) {
        memcpy(urb->setup, host_known[below(w, 5)], 8);
        urb->in = false;
        urb->length = 0;
        if (happens(w, STRANGE)) {
            urb->setup[5] = (uint8_t)draw(w); /* an endpoint or interface that no byte can name */
            w->out->odd[index_of(w, urb)] = true;
        }
        return;
    }
    if (urb->length > UINT16_MAX)
        urb->length = UINT16_MAX;
    if (urb->length == 0)
        urb->in = false;
    const uint8_t setup[8] = {(uint8_t)((urb->in ? 0x80 : 0) | 0x40), (uint8_t)draw(w), (uint8_t)draw(w),
                              (uint8_t)draw(w), (uint8_t)draw(w), (uint8_t)draw(w), (uint8_t)urb->length,
                              (uint8_t)(urb->length >> 8)};
    memcpy(urb->setup, setup, 8);
    if (urb->length == 0 && below(w, 2) == 0)
        urb->setup[0] |= 0x80; /* Linux calls it OUT all the same */
    urb->has_setup = !happens(w, STRANGE);
    if (!urb->has_setup || happens(w, STRANGE)) {
        urb->setup[below(w, 2) * 6] ^= (uint8_t)(1u << below(w, 8));
        w->out->odd[index_of(w, urb)] = true;
    }
}

static void make_packets(struct world *w, struct trace_urb *urb)
{
    bool large = w->limits->length_max >= 65536;
    uint32_t n = 1 + below(w, large && below(w, 4) == 0 ? PACKETS_MAX : 10);
    uint32_t each = below(w, large ? 400 : w->limits->length_max / n);
    struct pvusb_iso_desc *packets = take(w, n * sizeof(*packets));
    urb->length = 0;
    for (uint32_t i = 0; i < n; i++) {
        packets[i].offset = urb->length;
        packets[i].length = below(w, 8) ? each : below(w, each + 1);
        urb->length += packets[i].length;
        if (below(w, 16) == 0)
            urb->length += below(w, 8); /* a hole */
    }
    if (happens(w, STRANGE)) {
        packets[below(w, n)].length += (uint32_t)draw(w);
        w->out->odd[index_of(w, urb)] = true;
    }
    urb->nr_packets = n;
    urb->iso_s = packets;
    urb->nr_iso_s = n;
    if (happens(w, CUT) && below(w, 2))
        urb->nr_iso_s = below(w, n);
    urb->start_frame = (uint32_t)draw(w);
    urb->interval = 1u << below(w, 8);
}

/* Endpoints 1..7 of a device have a type each, by the device's seed. */
static void make_pipe(struct world *w, struct trace_urb *urb, const struct dev *dev)
{
    unsigned int endpoint = below(w, 8);
    unsigned int kind = (dev->seed >> (endpoint % 4)) & 3;
    urb->in = below(w, 2);
    urb->length = random_length(w);
    urb->endpoint = (uint8_t)endpoint;
    urb->type = USBIF_PIPE_TYPE_BULK;
    if (endpoint == 0)
        urb->type = USBIF_PIPE_TYPE_CTRL;
    else if (kind == 1)
        urb->type = USBIF_PIPE_TYPE_INT;
    else if (kind == 2 && w->weight[ISO] > 0)
        urb->type = USBIF_PIPE_TYPE_ISOC;
    if (urb->type == USBIF_PIPE_TYPE_INT)
        urb->interval = 1u << below(w, 10);
    if (urb->type == USBIF_PIPE_TYPE_BULK && !urb->in && happens(w, ODD_STATUS))
        urb->flags |= 0x40;
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        make_setup(w, urb);
    if (urb->type == USBIF_PIPE_TYPE_ISOC)
        make_packets(w, urb);
    else if (w->limits->length_max >= 65536 && happens(w, TOO_LONG) && urb->type != USBIF_PIPE_TYPE_CTRL)
        urb->length = 65537 + below(w, 200000);
}

static void send(struct world *w, struct trace_urb *urb)
{
    uint32_t u = index_of(w, urb);
    if (!urb->in) {
        urb->out_captured = happens(w, CUT) ? below(w, urb->length + 1) : urb->length;
        urb->out_missing = urb->out_captured < urb->length;
        urb->out = payload(w, urb->out_captured);
    }
    event(w, u, 'S');
    if (happens(w, REFUSED)) {
        urb->status = -EINVAL;
        event(w, u, 'E');
        return;
    }
    w->flying[w->nr_flying++] = u;
}

/* A completion whose submission was lost knows no more than this. */
static void lose_submission(struct world *w, struct trace_urb *urb)
{
    *urb = (struct trace_urb){.id = urb->id,
                              .frame_s = TRACE_NONE,
                              .frame_c = TRACE_NONE,
                              .frame_e = TRACE_NONE,
                              .bus = urb->bus,
                              .device = urb->device,
                              .endpoint = urb->endpoint,
                              .type = USBIF_PIPE_TYPE_BULK,
                              .status = below(w, 2) ? 0 : -ENOENT};
    event(w, index_of(w, urb), 'C');
}

static void submit(struct world *w, const struct dev *dev)
{
    uint8_t address = happens(w, STRANGE) ? (uint8_t)draw(w) : dev->address;
    struct trace_urb *urb = new_urb(w, w->bus_id[dev->bus], address);
    make_pipe(w, urb, dev);
    if (address == 0 || address > 127)
        w->out->odd[index_of(w, urb)] = true;
    if (happens(w, LOST_S))
        lose_submission(w, urb);
    else
        send(w, urb);
}

/* ---- how an URB ends ---- */

static int32_t random_status(struct world *w, const struct trace_urb *urb)
{
    static const int32_t known[] = {-EPIPE, -EPROTO, -EOVERFLOW, -ENODEV, -EINVAL, -ESHUTDOWN};
    static const int32_t odd[] = {-EILSEQ, -ETIME, -EXDEV, -EPERM, -EREMOTEIO, -ENOSR, 5, INT32_MIN};
    if (happens(w, UNLINK))
        return below(w, 2) ? -ENOENT : -ECONNRESET;
    if (happens(w, ERROR))
        return known[below(w, 6)];
    if (happens(w, ODD_STATUS))
        return odd[below(w, urb->in ? 8 : 4)];
    return 0;
}

static void end_packets(struct world *w, struct trace_urb *urb)
{
    struct pvusb_iso_desc *packets = take(w, urb->nr_packets * sizeof(*packets));
    memcpy(packets, urb->iso_s, urb->nr_iso_s * sizeof(*packets));
    urb->actual = 0;
    uint32_t end = 0;
    for (uint32_t i = 0; i < urb->nr_packets && i < urb->nr_iso_s; i++) {
        struct pvusb_iso_desc *packet = &packets[i];
        bool fits = packet->length <= urb->length && packet->offset <= urb->length - packet->length;
        packet->actual_length = !fits ? 0 : happens(w, SHORT) ? below(w, packet->length + 1) : packet->length;
        if (happens(w, ERROR)) {
            packet->status = below(w, 2) ? -EXDEV : -EILSEQ;
            packet->actual_length = below(w, 2) ? 0 : packet->actual_length;
            urb->error_count++;
        }
        if (happens(w, STRANGE) && below(w, 8) == 0) {
            *(below(w, 2) ? (uint32_t *)&packet->status : &packet->actual_length) ^= (uint32_t)draw(w);
            w->out->odd[index_of(w, urb)] = true;
        }
        urb->actual += packet->actual_length;
        if (packet->actual_length && packet->offset + packet->actual_length > end)
            end = packet->offset + packet->actual_length;
    }
    urb->iso_c = packets;
    urb->nr_iso_c = happens(w, CUT) ? below(w, urb->nr_iso_s + 1) : urb->nr_iso_s;
    if (happens(w, STRANGE) && below(w, 4) == 0) {
        urb->error_count = (uint32_t)draw(w);
        w->out->odd[index_of(w, urb)] = true;
    }
    if (urb->in && end <= 1u << 20) {
        urb->in_captured = happens(w, CUT) ? below(w, end + 1) : end;
        urb->in_data = payload(w, urb->in_captured);
    }
    urb->in_missing = urb->in && urb->in_captured < end;
}

static void end_data(struct world *w, struct trace_urb *urb)
{
    bool whole = urb->status == 0 ? !happens(w, SHORT) : below(w, 4) == 0;
    urb->actual = whole ? urb->length : below(w, 2) ? 0 : below(w, urb->length + 1);
    if (happens(w, BEYOND))
        urb->actual = urb->length + 1 + below(w, 100);
    bool is_short = urb->in && urb->actual < urb->length;
    if (is_short && urb->status == 0 && happens(w, SHORT)) {
        urb->flags |= 1;
        urb->status = -EREMOTEIO;
        if (happens(w, STRANGE))
            urb->status = 0; /* a controller that knows better */
    } else if (!is_short && urb->in && urb->type != USBIF_PIPE_TYPE_CTRL && happens(w, SHORT)) {
        urb->flags |= 1;
    }
    if (!urb->in)
        return;
    urb->in_captured = happens(w, CUT) ? below(w, urb->actual + 1) : urb->actual;
    urb->in_missing = urb->in_captured < urb->actual;
    urb->in_data = payload(w, urb->in_captured);
}

static void end(struct world *w, unsigned int place, int32_t status)
{
    uint32_t u = w->flying[place];
    struct trace_urb *urb = &w->out->trace.urbs[u];
    memmove(&w->flying[place], &w->flying[place + 1], (w->nr_flying - place - 1) * sizeof(w->flying[0]));
    w->nr_flying--;
    if (happens(w, LOST_C))
        return;
    urb->status = status;
    if (urb->type == USBIF_PIPE_TYPE_ISOC)
        end_packets(w, urb);
    else
        end_data(w, urb);
    event(w, u, 'C');
}

static void end_one(struct world *w)
{
    if (w->nr_flying == 0)
        return;
    unsigned int place = happens(w, OVERTAKE) ? below(w, w->nr_flying) : 0;
    end(w, place, random_status(w, &w->out->trace.urbs[w->flying[place]]));
}

/* ---- devices ---- */

static bool has_space(const struct world *w, uint32_t urbs)
{
    return w->nr_flying + urbs <= w->limits->in_flight &&
           w->out->trace.nr_urbs + urbs <= w->limits->urbs;
}

/* Control transfers of enumeration, each complete before the next. */
static void ask(struct world *w, uint16_t bus, uint8_t address, const uint8_t setup[8], bool in, uint32_t length)
{
    struct trace_urb *urb = new_urb(w, bus, address);
    urb->type = USBIF_PIPE_TYPE_CTRL;
    urb->has_setup = true;
    memcpy(urb->setup, setup, 8);
    urb->in = in;
    urb->length = length;
    event(w, index_of(w, urb), 'S');
    urb->status = happens(w, STRANGE) ? -EPIPE : 0;
    urb->actual = length;
    urb->in_captured = in ? length : 0;
    urb->in_data = payload(w, urb->in_captured);
    event(w, index_of(w, urb), 'C');
}

static void enumerate(struct world *w, struct dev *dev)
{
    static const uint8_t get_descriptor[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};
    const uint8_t set_address[8] = {0x00, 5, dev->address};
    uint16_t bus = w->bus_id[dev->bus];
    if (!has_space(w, 4))
        return;
    if (below(w, 2))
        ask(w, bus, 0, get_descriptor, true, 18);
    if (happens(w, STRANGE)) {
        const uint8_t to_nowhere[8] = {0x00, 5, (uint8_t)draw(w), below(w, 4) == 0};
        ask(w, bus, below(w, 2) ? 0 : dev->address, to_nowhere, false, 0);
    }
    if (w->visible[dev->bus])
        ask(w, bus, 0, set_address, false, 0);
    if (below(w, 2))
        ask(w, bus, dev->address, get_descriptor, true, 18);
}

static struct dev *plug(struct world *w)
{
    unsigned int bus = below(w, w->buses);
    if (w->nr_dev == w->limits->devices || w->next_address[bus] > 127)
        return NULL;
    struct dev *dev = &w->dev[w->nr_dev++];
    *dev = (struct dev){
        .bus = bus, .address = (uint8_t)w->next_address[bus]++, .here = true, .seed = (uint8_t)draw(w)};
    enumerate(w, dev);
    return dev;
}

/* What is in flight ends in reverse order, as host controllers that go through their schedule do. */
static void unplug(struct world *w, struct dev *dev)
{
    int32_t status = below(w, 3) ? -ESHUTDOWN : -ENOENT;
    for (unsigned int i = w->nr_flying; i-- > 0;) {
        const struct trace_urb *urb = &w->out->trace.urbs[w->flying[i]];
        if (urb->bus == w->bus_id[dev->bus] && urb->device == dev->address)
            end(w, i, status);
    }
    dev->here = false;
}

static void root_hub(struct world *w)
{
    struct dev hub = {.bus = below(w, w->buses), .address = 1, .seed = 0x55};
    submit(w, &hub);
}

static void live(struct world *w)
{
    struct dev *dev = w->nr_dev ? &w->dev[below(w, w->nr_dev)] : NULL;
    if (!dev || (below(w, 10) == 0 && w->nr_dev < w->limits->devices))
        dev = plug(w);
    if (!dev || !dev->here)
        return;
    if (happens(w, UNPLUG) && below(w, 4) == 0)
        unplug(w, dev);
    else if (happens(w, AGAIN) && below(w, 4) == 0)
        enumerate(w, dev);
    else if (happens(w, ROOT_HUB) && has_space(w, 1))
        root_hub(w);
    else if (has_space(w, 1) && below(w, 5) < 3)
        submit(w, dev);
    else
        end_one(w);
}

/* ---- */

struct trace_gen_limits trace_gen_limits(uint64_t seed)
{
    struct world w = {.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 77};
    draw(&w);
    return (struct trace_gen_limits){
        .urbs = 20 + below(&w, 300),
        .in_flight = below(&w, 2) ? 33 : 1 + below(&w, 33),
        .devices = below(&w, 8) == 0 ? 120 : 1 + below(&w, 40),
        .plain = below(&w, 6) == 0,
        .length_max = 65536,
    };
}

static void choose_trouble(struct world *w)
{
    for (unsigned int i = 0; i < TROUBLES; i++)
        w->weight[i] = below(w, 3) ? below(w, below(w, 4) ? 40 : 160) : 0;
    static const enum trouble not_plain[] = {UNLINK, ODD_STATUS, CUT, LOST_S, LOST_C, REFUSED, TOO_LONG,
                                             BEYOND, ROOT_HUB, STRANGE};
    for (unsigned int i = 0; w->limits->plain && i < sizeof(not_plain) / sizeof(not_plain[0]); i++)
        w->weight[not_plain[i]] = 0;
    w->buses = 1 + below(w, BUSES_MAX);
    for (unsigned int i = 0; i < w->buses; i++) {
        w->visible[i] = below(w, 2);
        w->bus_id[i] = (uint16_t)(1 + i * (1 + below(w, 3)));
        w->next_address[i] = 2 + below(w, 5);
    }
}

void trace_gen(uint64_t seed, const struct trace_gen_limits *limits, struct trace_gen *out)
{
    struct world *w = calloc(1, sizeof(*w));
    *out = (struct trace_gen){.trace = {.format = TRACE_PCAP_220}};
    out->trace.urbs = calloc(limits->urbs + 1, sizeof(*out->trace.urbs));
    out->trace.order = calloc(2 * limits->urbs + 2, sizeof(*out->trace.order));
    out->odd = calloc(limits->urbs + 1, sizeof(*out->odd));
    if (!w || !out->trace.urbs || !out->trace.order || !out->odd)
        abort();
    w->out = out;
    w->limits = limits;
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    draw(w);
    choose_trouble(w);
    for (uint32_t rounds = 0; out->trace.nr_urbs < limits->urbs && rounds < 20 * limits->urbs; rounds++)
        live(w);
    bool all = limits->plain || below(w, 2);
    while (w->nr_flying > 0 && (all || below(w, 8)))
        end_one(w);
    free(w);
}

void trace_gen_dispose(struct trace_gen *gen)
{
    for (struct chunk *chunk = gen->memory, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(gen->trace.urbs);
    free(gen->trace.order);
    free(gen->odd);
    *gen = (struct trace_gen){0};
}
