// SPDX-License-Identifier: MIT
/*
 * The same replay with QEMU's backend in the place of ours: our frontend and player are in this process, the
 * recorded devices in pvusb-usbfs, below QEMU's libusb.
 *
 * QEMU 7.2 aborts when two controllers have devices on ports of one number (rule CONN-20). So each controller of the
 * plan is played by itself, with a machine and a QEMU of its own; order between endpoints is not kept anyway.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "peer/peer.h"
#include "process/family.h"
#include "process/loop.h"
#include "replay/sides.h"

#define STALL_NS (12 * UINT64_C(1000000000)) /* QEMU gives a control transfer ten seconds (rule CTL-16) */

struct session {
    const struct plan *whole;
    struct plan plan; /* of one controller, which is its only one */
    const struct replay_options *options;
    struct replay_results *results;
    struct replay_results *notes; /* of the device side */
    int notes_fd;
    struct family family;
    struct xen_machine *machine;
    struct xen *dom0;
    struct peer *peer;
    struct guest_side guest;
    bool stalled;
    char *error; /* the family's line */
};

static int open_notes(struct session *s)
{
    size_t size = replay_results_size(s->whole->trace);
    s->notes_fd = memfd_create("notes", MFD_CLOEXEC);
    if (s->notes_fd < 0 || ftruncate(s->notes_fd, (off_t)size))
        return -errno;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->notes_fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    s->notes = memory; /* its pointers are the other process's */
    return 0;
}

static void take_notes(struct session *s)
{
    const struct trace *trace = s->whole->trace;
    const struct replay_results *notes = replay_results_at(s->notes, trace);
    s->results->strays = notes->strays;
    for (uint32_t u = 0; u < trace->nr_urbs; u++) {
        s->results->mark[u].seen = notes->mark[u].seen;
        if (notes->difference[u].device.fields)
            s->results->difference[u].device = notes->difference[u].device;
    }
}

/* The nodes only when QEMU runs: it does not survive ports that are filled before. */
static int begin(struct session *s)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), s->notes_fd);
    const struct peer_config config = {
        .dir = s->family.dir, .guest = REPLAY_GUEST, .trace = s->options->trace, .notes = path};
    int rc = fakexen_client_machine_create(s->family.dir, &s->machine);
    if (!rc)
        rc = s->machine->ops->domain_create(s->machine, REPLAY_GUEST);
    if (!rc)
        rc = s->machine->ops->open(s->machine, 0, &s->dom0);
    static_assert(PEER_ERROR_MAX <= FAMILY_ERROR_MAX && REPLAY_ERROR_MAX <= FAMILY_ERROR_MAX,
                  "all fill the family's line");
    if (!rc)
        rc = peer_qemu_start(&config, &s->peer, s->error);
    if (!rc)
        rc = replay_write_nodes(s->dom0, &s->plan);
    if (!rc)
        rc = guest_side_init(&s->guest, s->machine, &s->plan, s->options, s->results, s->error);
    return rc;
}

static int wait_for_more(struct session *s, uint64_t until_ns)
{
    struct loop loop;
    uint64_t due = guest_side_deadline(&s->guest);
    loop_clear(&loop);
    loop_add(&loop, peer_fd(s->peer));
    struct xen *xen = front_xen(s->guest.front[0]);
    loop_add(&loop, xen->ops->fd(xen));
    return loop_wait(&loop, due < until_ns ? due : until_ns);
}

/* Until the plan is done and the controllers are closed, or nothing has happened for long. */
static int play(struct session *s)
{
    uint64_t moved_ns = loop_now_ns();
    uint64_t seen = 0;
    bool closing = false;
    for (;;) {
        struct peer_death death;
        uint64_t now = loop_now_ns();
        int rc = guest_side_step(&s->guest, now);
        if (peer_poll_death(s->peer, &death)) {
            snprintf(s->error, REPLAY_ERROR_MAX, "%.400s (at step %u of %u)", death.text,
                     s->results->guest_step, s->plan.nr_steps);
            return -ECHILD;
        }
        if (rc || (closing && guest_side_closed(&s->guest)))
            return rc;
        struct front_stats stats = guest_side_stats(&s->guest);
        if (seen != stats.responses + s->results->guest_step) {
            seen = stats.responses + s->results->guest_step;
            moved_ns = now;
        }
        if (!closing && guest_side_finished(&s->guest)) {
            closing = true;
            moved_ns = now;
            guest_side_close(&s->guest);
            continue;
        }
        if (now - moved_ns >= STALL_NS) {
            s->stalled = true;
            player_stop(s->guest.player);
            return 0; /* the results tell; QEMU would not survive that its frontend closes now */
        }
        rc = wait_for_more(s, moved_ns + STALL_NS);
        if (rc)
            return rc;
    }
}

static void add_stats(struct front_stats *sum, struct front_stats one)
{
    sum->urbs += one.urbs;
    sum->requests += one.requests;
    sum->responses += one.responses;
    sum->unlinks += one.unlinks;
    sum->notifications += one.notifications;
    sum->plug_events += one.plug_events;
}

static int finish(struct session *s, struct replay_totals *totals, int rc)
{
    if (s->guest.player) {
        add_stats(&totals->front, guest_side_stats(&s->guest));
        player_stop(s->guest.player);
    }
    int closed = s->guest.plan ? guest_side_dispose(&s->guest, s->error) : 0;
    rc = rc ? rc : closed;
    int stopped = peer_stop(s->peer);
    if (!rc && stopped && !s->stalled) {
        snprintf(s->error, REPLAY_ERROR_MAX, "QEMU did not end as it was told to: %s", strerror(-stopped));
        rc = -ECHILD;
    }
    xen_close(s->dom0);
    fakexen_client_machine_destroy(s->machine);
    return !rc && !s->stalled ? replay_check_machine(s->family.dir, s->error) : rc;
}

/* ---- controller by controller ---- */

static uint32_t device_of(const struct plan *plan, const struct plan_step *step)
{
    bool of_device = step->what == PLAN_PLUG || step->what == PLAN_UNPLUG || step->what == PLAN_ADDRESS;
    return of_device ? step->index : plan->urb[step->index].device;
}

/* The plan with nothing but that controller, as number 0. Its URBs are those of the whole. */
static int take_part(const struct plan *whole, unsigned int controller, struct plan *part)
{
    *part = *whole;
    part->step = malloc((whole->nr_steps + 1) * sizeof(*part->step));
    part->device = malloc((whole->nr_devices + 1) * sizeof(*part->device));
    part->nr_steps = 0;
    part->controller[0] = whole->controller[controller];
    part->nr_controllers = 1;
    if (!part->step || !part->device)
        return -ENOMEM;
    for (uint32_t i = 0; i < whole->nr_devices; i++) {
        part->device[i] = whole->device[i];
        part->device[i].controller = 0;
    }
    for (uint32_t i = 0; i < whole->nr_steps; i++) {
        if (whole->device[device_of(whole, &whole->step[i])].controller == controller)
            part->step[part->nr_steps++] = whole->step[i];
    }
    return 0;
}

static int play_part(struct session *s, unsigned int controller, struct replay_totals *totals, char *error)
{
    int rc = take_part(s->whole, controller, &s->plan);
    if (!rc)
        rc = family_open(&s->family, error);
    if (!rc) {
        s->error = s->family.error;
        s->results->guest_step = 0;
        s->guest = (struct guest_side){0};
        s->stalled = false;
        s->machine = NULL;
        s->dom0 = NULL;
        s->peer = NULL;
        rc = begin(s);
        if (!rc)
            rc = play(s);
        rc = finish(s, totals, rc);
        rc = family_close(&s->family, rc, error);
    }
    free(s->plan.step);
    free(s->plan.device);
    return rc;
}

int replay_run_peer(const struct plan *plan, const struct replay_options *options,
                    struct replay_results *results, struct replay_totals *totals,
                    char error[REPLAY_ERROR_MAX])
{
    struct session s = {.whole = plan, .options = options, .results = results, .notes_fd = -1};
    uint32_t steps = 0;
    if (options->pcap && plan->nr_controllers > 1) {
        snprintf(error, REPLAY_ERROR_MAX, "with QEMU, --pcap takes a recording of one bus, not %u",
                 plan->nr_controllers);
        return -EINVAL;
    }
    int rc = open_notes(&s);
    for (unsigned int c = 0; !rc && c < plan->nr_controllers; c++) {
        rc = play_part(&s, c, totals, error);
        steps += results->guest_step;
    }
    results->guest_step = steps;
    if (s.notes) {
        take_notes(&s);
        munmap(s.notes, replay_results_size(plan->trace));
    }
    if (s.notes_fd >= 0)
        close(s.notes_fd);
    return rc;
}
