// SPDX-License-Identifier: MIT
/* Writes what went over the ring, as usbmon in the guest would have recorded it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/sides.h"

struct controller_tap {
    struct front_tap tap;
    struct recorder *recorder;
    uint16_t bus;
};

struct recorder {
    struct trace_writer *writer;
    uint64_t time_ns;
    int error; /* the first one */
    struct controller_tap *taps; /* one for each controller */
};

static void write_event(struct controller_tap *tap, const struct hcd_urb *urb, char what)
{
    struct recorder *recorder = tap->recorder;
    bool submission = what == 'S';
    struct trace_urb event = {
        .id = (uint64_t)(uintptr_t)urb,
        .frame_s = 1,
        .frame_c = 2,
        .frame_e = TRACE_NONE,
        .bus = tap->bus,
        .device = urb->device,
        .endpoint = urb->endpoint,
        .type = urb->type,
        .in = urb->in,
        .has_setup = urb->type == USBIF_PIPE_TYPE_CTRL,
        .length = urb->length,
        .flags = urb->short_not_ok ? 1u : 0u,
        .interval = urb->interval,
        .start_frame = urb->start_frame,
        .status = submission ? TRACE_IN_PROGRESS : urb->status,
        .actual = urb->actual,
        .error_count = urb->error_count,
        .nr_packets = urb->nr_packets,
        .iso_s = urb->packets,
        .iso_c = urb->packets,
        .nr_iso_s = urb->nr_packets,
        .nr_iso_c = urb->nr_packets,
    };
    memcpy(event.setup, urb->setup, sizeof(event.setup));
    uint32_t length = submission || urb->type == USBIF_PIPE_TYPE_ISOC ? urb->length : urb->actual;
    recorder->time_ns += 1000; /* order, not time: a replay has none of its own */
    int rc = trace_writer_event(recorder->writer, &event, what, recorder->time_ns, urb->buffer, length);
    if (rc && !recorder->error)
        recorder->error = rc;
}

static void submitted(void *context, const struct hcd_urb *urb)
{
    write_event(context, urb, 'S');
}

static void returned(void *context, const struct hcd_urb *urb)
{
    write_event(context, urb, 'C');
}

int recorder_create(const char *path, unsigned int controllers, struct recorder **out, char error[REPLAY_ERROR_MAX])
{
    static_assert(REPLAY_ERROR_MAX >= TRACE_ERROR_MAX, "the writer fills this");
    struct recorder *recorder = calloc(1, sizeof(*recorder));
    if (!recorder)
        return -ENOMEM;
    recorder->taps = calloc(controllers ? controllers : 1, sizeof(*recorder->taps));
    int rc = recorder->taps ? trace_writer_create(path, &recorder->writer, error) : -ENOMEM;
    if (rc) {
        free(recorder->taps);
        free(recorder);
        return rc;
    }
    *out = recorder;
    return 0;
}

const struct front_tap *recorder_tap(struct recorder *recorder, unsigned int controller, uint16_t bus)
{
    struct controller_tap *tap = &recorder->taps[controller];
    *tap = (struct controller_tap){.tap = {.submitted = submitted, .returned = returned, .context = tap},
                                   .recorder = recorder,
                                   .bus = bus};
    return &tap->tap;
}

int recorder_destroy(struct recorder *recorder)
{
    if (!recorder)
        return 0;
    int rc = trace_writer_destroy(recorder->writer);
    if (recorder->error)
        rc = recorder->error;
    free(recorder->taps);
    free(recorder);
    return rc;
}
