// SPDX-License-Identifier: MIT
#include "cli/story.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/story_more.h"
#include "cli/story_others.h"
#include "guest/storage.h"

#define OTHERS_LIMIT_NS (20 * UINT64_C(1000000000))

enum chapter { CONNECTING, WAITING, STARTING, WRITING, READING, WITH_OTHERS, WITH_MORE, PULLING, CLOSING, ENDED };

struct story {
    struct front *front;
    struct guest *guest;
    struct storage *storage;
    struct guest_device *disk;
    enum chapter chapter;
    uint64_t seed;
    void (*cue)(void *context, enum story_cue cue);
    void *context;
    struct others others;
    struct more more;
    uint64_t chapter_since_ns; /* of the two chapters with those; 0: not begun */
    struct story_result *result;
    uint8_t *buffer; /* STORY_READ_BYTES */
    uint64_t written_sum;
    struct storage_request request;
    bool pulled;
    bool request_ended;
    bool device_gone;
    int error;
};

__attribute__((format(printf, 2, 3))) static void say(const char *what, const char *format, ...)
{
    va_list args;
    printf("  %-10s", what);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* xorshift64*: the same bytes for the same seed. */
static void fill(uint8_t *buffer, uint64_t bytes, uint64_t seed)
{
    uint64_t x = seed * 2685821657736338717u + 1;
    for (uint64_t i = 0; i < bytes; i++) {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        buffer[i] = (uint8_t)(x >> 32);
    }
}

/* FNV-1a, 64 bits. */
static uint64_t checksum(const uint8_t *bytes, uint64_t n)
{
    uint64_t sum = 14695981039346656037u;
    for (uint64_t i = 0; i < n; i++)
        sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

static void fail(struct story *story, const char *what, int error)
{
    say("failed", "%s: %s", what, strerror(-error));
    story->error = -EIO;
}

/* ---- chapters ---- */

static void request_done(struct storage_request *request);

static void ask(struct story *story, uint64_t lba, uint64_t bytes, bool write)
{
    uint32_t block = storage_info(story->storage)->block_size;
    story->request = (struct storage_request){.lba = lba,
                                              .blocks = (uint32_t)(bytes / block),
                                              .write = write,
                                              .buffer = story->buffer,
                                              .done = request_done,
                                              .context = story};
    int rc = storage_submit(story->storage, &story->request);
    if (rc)
        fail(story, "the disk takes no request", rc);
}

static void begin_write(struct story *story)
{
    fill(story->buffer, STORY_WRITE_BYTES, story->seed);
    story->written_sum = checksum(story->buffer, STORY_WRITE_BYTES);
    story->chapter = WRITING;
    ask(story, 2048, STORY_WRITE_BYTES, true);
}

static void begin_read(struct story *story)
{
    say("write", "%" PRIu64 " KiB of random bytes (seed %" PRIu64 "), checksum %016" PRIx64, STORY_WRITE_BYTES >> 10,
        story->seed, story->written_sum);
    memset(story->buffer, 0, STORY_WRITE_BYTES);
    story->chapter = READING;
    ask(story, 2048, STORY_WRITE_BYTES, false);
}

static void compare(struct story *story)
{
    uint64_t sum = checksum(story->buffer, STORY_WRITE_BYTES);
    say("read", "%" PRIu64 " KiB back, checksum %016" PRIx64 ": %s", STORY_WRITE_BYTES >> 10, sum,
        sum == story->written_sum ? "the same" : "NOT the same");
    if (sum == story->written_sum)
        story->result->bytes_same = STORY_WRITE_BYTES;
    story->chapter = WITH_OTHERS;
}

static void request_done(struct storage_request *request)
{
    struct story *story = request->context;
    if (story->chapter == PULLING) {
        story->request_ended = true;
        return;
    }
    if (request->status) {
        fail(story, story->chapter == WRITING ? "write" : "read", request->status);
        return;
    }
    if (story->chapter == WRITING)
        begin_read(story);
    else
        compare(story);
}

static void started(void *context, struct storage *storage, int status)
{
    struct story *story = context;
    if (status) {
        fail(story, "the disk does not start", status);
        return;
    }
    const struct storage_info *info = storage_info(storage);
    say("disk", "%s %s, %" PRIu64 " blocks of %u bytes", info->vendor, info->product, info->blocks, info->block_size);
    story->result->enumerated = true;
    begin_write(story);
}

static void ready(void *context, struct guest_device *device)
{
    struct story *story = context;
    static const char *const speeds[] = {"no", "low", "full", "high"};
    say("plug", "port %u: %s speed, address %u, %04x:%04x \"%s\"", device->port, speeds[device->speed & 3],
        device->address, device->descriptor.vendor, device->descriptor.product, device->strings[1]);
    if (more_ready(&story->more, device, story->disk != NULL) || others_ready(&story->others, device) ||
        story->chapter != WAITING || !storage_matches(device))
        return;
    story->disk = device;
    story->chapter = STARTING;
    int rc = storage_create(device, started, story, &story->storage);
    if (rc)
        fail(story, "no driver for the disk", rc);
}

static void gone(void *context, struct guest_device *device)
{
    struct story *story = context;
    others_gone(&story->others, device);
    more_gone(&story->more, device);
    if (device != story->disk)
        return;
    story->device_gone = true;
    storage_destroy(story->storage);
    story->storage = NULL;
}

static void event(void *context, struct guest_device *device, enum guest_event what)
{
    struct story *story = context;
    others_event(&story->others, device, what);
    more_event(&story->more, device, what);
}

static void failed(void *context, unsigned int port, int error)
{
    (void)port;
    fail(context, "a device could not be enumerated", error);
}

/* ---- steps ---- */

static void connected(struct story *story)
{
    const struct guest_listener listener = {
        .ready = ready, .gone = gone, .event = event, .failed = failed, .context = story};
    struct hcd *hcd = front_hcd(story->front);
    say("connect", "usbfront and usbback Connected, %u ports", hcd->ops->num_ports(hcd));
    story->result->connected = true;
    story->chapter = WAITING;
    int rc = guest_create(hcd, &listener, &story->guest);
    if (!rc)
        rc = guest_buffer_alloc(story->guest, STORY_READ_BYTES, (void **)&story->buffer);
    if (rc)
        fail(story, "the guest has no memory", rc);
}

static void tell_others(const struct others *others)
{
    say("keyboard", "typed \"%s\"", others->typed);
    say("serial", "%u KiB around a loopback plug, %u bytes wrong", others->received >> 10, others->wrong);
    say("sound", "%" PRIu64 " ms out and %" PRIu64 " ms in at once: %" PRIu64 " samples lost, %" PRIu64
        " packets doubled", others->played.samples / 48, others->recorded.samples / 48, others->recorded.lost,
        others->recorded.doubled);
}

static bool too_late(struct story *story, uint64_t now_ns)
{
    if (story->chapter_since_ns == 0)
        story->chapter_since_ns = now_ns + 1;
    return now_ns > story->chapter_since_ns + OTHERS_LIMIT_NS;
}

static void work_with_others(struct story *story, uint64_t now_ns)
{
    struct others *others = &story->others;
    bool started = others->started;
    others_step(others);
    if (!started && others->started)
        story->cue(story->context, STORY_TYPE);
    if (too_late(story, now_ns) && !others_done(others))
        others->error = -ETIMEDOUT;
    if (!others_done(others))
        return;
    if (others->error) {
        fail(story, "keyboard, serial port and sound card", others->error);
        return;
    }
    tell_others(others);
    story->result->others_same = others_good(others, story->result->real_time);
    acm_close(others->serial);
    story->chapter = WITH_MORE;
    story->chapter_since_ns = 0;
}

static void tell_more(const struct more *more)
{
    const struct storage_stats *stats = &more->disk[1].stats;
    say("zero", "%u cases of Linux's usbtest: bulk, control, unlink, halt", more->zero_passed);
    say("composite", "a keyboard typed \"%s\" while its serial port moved %u bytes", more->typed, more->received);
    say("super", "a super-speed disk, shown at high speed as usbif can: %u KiB read", MORE_DISK_BYTES >> 10);
    say("faulty", "a disk that stalls and errs: %u KiB read all the same, %" PRIu64 " halts cleared, %" PRIu64
        " recoveries", MORE_DISK_BYTES >> 10, stats->stalls, stats->recoveries);
}

static void work_with_more(struct story *story, uint64_t now_ns)
{
    struct more *more = &story->more;
    bool started = more->started;
    more->buffer = story->buffer;
    more_step(more);
    if (!started && more->started)
        story->cue(story->context, STORY_TYPE_MORE);
    if (too_late(story, now_ns) && !more_done(more))
        more->error = -ETIMEDOUT;
    if (!more_done(more))
        return;
    if (more->error) {
        fail(story, "zero, composite, super-speed and faulty devices", more->error);
        return;
    }
    tell_more(more);
    story->result->more_good = more->wrong == 0 && strcmp(more->typed, MORE_TEXT) == 0 &&
                               more->disk[1].stats.stalls + more->disk[1].stats.recoveries > 0;
    story->chapter = PULLING;
    ask(story, 0, STORY_READ_BYTES, false);
}

/* In the middle: the first part has arrived, the rest is on its way. */
static void pull_when_reading(struct story *story)
{
    struct story_result *result = story->result;
    if (!story->pulled && story->request.blocks_done > 0) {
        story->pulled = true;
        story->cue(story->context, STORY_PULL);
    }
    if (!story->request_ended || !story->device_gone)
        return;
    result->bytes_before = (uint64_t)story->request.blocks_done * 512;
    result->pulled_cleanly = story->request.status == -ENODEV;
    say("unplug", "in mid-read, after %" PRIu64 " of %" PRIu64 " KiB: %s", result->bytes_before >> 10,
        STORY_READ_BYTES >> 10, story->request.status ? strerror(-story->request.status) : "no error");
    story->chapter = CLOSING;
    guest_close(story->guest);
}

static void close_all(struct story *story)
{
    if (story->guest && !guest_busy(story->guest)) {
        guest_buffer_free(story->guest, story->buffer, STORY_READ_BYTES);
        guest_destroy(story->guest);
        story->guest = NULL;
        story->result->stats = front_stats(story->front);
        front_close(story->front);
    }
    if (!story->guest && front_state(story->front) == XenbusStateClosed) {
        story->result->closed = true;
        story->chapter = ENDED;
    }
}

int story_step(struct story *story, uint64_t now_ns)
{
    int rc = front_step(story->front, now_ns);
    if (rc)
        return rc;
    if (story->chapter == CONNECTING && front_state(story->front) == XenbusStateConnected)
        connected(story);
    if (story->guest)
        guest_step(story->guest, now_ns);
    if (story->chapter == WITH_OTHERS)
        work_with_others(story, now_ns);
    if (story->chapter == WITH_MORE)
        work_with_more(story, now_ns);
    if (story->chapter == PULLING)
        pull_when_reading(story);
    if (story->chapter == CLOSING)
        close_all(story);
    return story->error;
}

uint64_t story_deadline(const struct story *story)
{
    uint64_t due = front_deadline(story->front);
    uint64_t guest = story->guest ? guest_deadline(story->guest) : UINT64_MAX;
    return guest < due ? guest : due;
}

bool story_finished(const struct story *story)
{
    return story->chapter == ENDED;
}

struct xen *story_xen(struct story *story)
{
    return front_xen(story->front);
}

int story_create(struct xen *xen, uint64_t seed, void (*cue)(void *context, enum story_cue cue), void *context,
                 struct story_result *result, struct story **out)
{
    struct story *story = calloc(1, sizeof(*story));
    if (!story)
        return -ENOMEM;
    *story = (struct story){.seed = seed, .cue = cue, .context = context, .result = result};
    int rc = front_create(xen, 0, NULL, NULL, &story->front);
    if (rc)
        free(story);
    else
        *out = story;
    return rc;
}

/* Given up half way: the controller returns what is in flight, at its deadline if nobody answers any more. */
static void abandon(struct story *story)
{
    uint64_t now_ns = UINT64_MAX / 2;
    guest_close(story->guest);
    front_close(story->front);
    for (int i = 0; guest_busy(story->guest) && i < 100; i++) {
        front_step(story->front, now_ns);
        guest_step(story->guest, now_ns);
        now_ns += UINT64_C(10000000000);
    }
    if (story->buffer)
        guest_buffer_free(story->guest, story->buffer, STORY_READ_BYTES);
    guest_destroy(story->guest);
}

void story_destroy(struct story *story)
{
    if (!story)
        return;
    if (story->guest)
        abandon(story);
    front_destroy(story->front);
    free(story);
}
