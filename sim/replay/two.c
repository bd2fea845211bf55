// SPDX-License-Identifier: MIT
/* The same replay with the machine, the backend (domain 0) and the frontend (domain 1) as processes of their own. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <fakexen/fakexen.h>

#include "process/family.h"
#include "process/loop.h"
#include "replay/sides.h"

#define STALL_NS (10 * UINT64_C(1000000000)) /* without a step by either side: something is lost */

struct two {
    const struct plan *plan;
    const struct replay_options *options;
    struct replay_results *results;
    struct replay_totals *totals; /* shared */
};

/* ---- backend ---- */

static int back_loop(struct family *family, struct device_side *device)
{
    for (;;) {
        struct loop loop;
        int fds[LOOP_FDS_MAX];
        int rc = device_side_step(device, loop_now_ns());
        if (rc)
            return rc;
        loop_clear(&loop);
        loop_add(&loop, family->lifeline[0]);
        unsigned int n = back_driver_fds(device->driver, fds, LOOP_FDS_MAX);
        for (unsigned int i = 0; i < n && i < LOOP_FDS_MAX; i++)
            loop_add(&loop, fds[i]);
        rc = loop_wait(&loop, back_driver_busy(device->driver) ? 0 : UINT64_MAX);
        if (rc || loop_ready(&loop, family->lifeline[0]))
            return rc;
    }
}

static int back_main(struct family *family, void *context)
{
    struct two *two = context;
    struct xen_machine *machine = NULL;
    struct device_side device = {0};
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (!rc)
        rc = device_side_init(&device, machine, two->plan, two->options, two->results);
    if (!rc)
        rc = back_loop(family, &device);
    device_side_dispose(&device);
    fakexen_client_machine_destroy(machine);
    return rc == 0 || rc == -EPIPE ? 0 : 1; /* -EPIPE: the machine ended first */
}

/* ---- frontend ---- */

static int front_wait(struct family *family, const struct two *two, struct guest_side *guest, uint64_t until_ns)
{
    struct loop loop;
    loop_clear(&loop);
    loop_add(&loop, family->lifeline[0]);
    for (unsigned int i = 0; i < two->plan->nr_controllers; i++) {
        struct xen *xen = front_xen(guest->front[i]);
        loop_add(&loop, xen->ops->fd(xen));
    }
    int rc = loop_wait(&loop, until_ns);
    return rc || !loop_ready(&loop, family->lifeline[0]) ? rc : -EPIPE;
}

/* Until the plan is done, or nobody has made a step for long. */
static int front_play(struct family *family, struct two *two, struct guest_side *guest)
{
    uint64_t moved_ns = loop_now_ns();
    uint32_t seen[2] = {0};
    bool closing = false;
    for (;;) {
        uint64_t now = loop_now_ns();
        int rc = guest_side_step(guest, now);
        if (rc || (closing && guest_side_closed(guest)))
            return rc;
        if (seen[0] != two->results->guest_step || seen[1] != two->results->device_step) {
            seen[0] = two->results->guest_step;
            seen[1] = two->results->device_step;
            moved_ns = now;
        }
        if (!closing && (guest_side_finished(guest) || now - moved_ns >= STALL_NS)) {
            closing = true;
            guest_side_close(guest);
            continue;
        }
        uint64_t until = guest_side_deadline(guest);
        if (!closing && moved_ns + STALL_NS < until)
            until = moved_ns + STALL_NS;
        rc = front_wait(family, two, guest, until);
        if (rc)
            return rc;
    }
}

static int front_main(struct family *family, void *context)
{
    struct two *two = context;
    struct xen_machine *machine = NULL;
    struct guest_side guest = {0};
    static_assert(REPLAY_ERROR_MAX <= FAMILY_ERROR_MAX, "the sides fill the family's line");
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (!rc) {
        rc = guest_side_init(&guest, machine, two->plan, two->options, two->results, family->error);
        *family->rc = rc;
    }
    if (!rc)
        rc = front_play(family, two, &guest);
    if (guest.player)
        two->totals->front = guest_side_stats(&guest);
    int closed = guest.plan ? guest_side_dispose(&guest, family->error) : 0;
    if (!rc && closed)
        rc = *family->rc = closed;
    fakexen_client_machine_destroy(machine);
    if (rc && !family->error[0])
        snprintf(family->error, FAMILY_ERROR_MAX, "frontend: %s", strerror(-rc));
    return rc ? 1 : 0;
}

/* ---- the parent ---- */

static int prepare_machine(struct family *family, const struct plan *plan)
{
    struct xen_machine *machine = NULL;
    struct xen *dom0 = NULL;
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (!rc)
        rc = machine->ops->domain_create(machine, REPLAY_GUEST);
    if (!rc)
        rc = machine->ops->open(machine, 0, &dom0);
    if (!rc)
        rc = replay_write_nodes(dom0, plan);
    xen_close(dom0);
    fakexen_client_machine_destroy(machine);
    return rc;
}

/* What is open now has been left behind. */
int replay_check_machine(const char *dir, char error[REPLAY_ERROR_MAX])
{
    struct xen_machine *machine = NULL;
    struct fakexen_balance left;
    int rc = fakexen_client_machine_create(dir, &machine);
    if (!rc)
        rc = fakexen_client_machine_balance(machine, &left);
    fakexen_client_machine_destroy(machine);
    return rc ? rc : replay_check_balance(&left, error);
}

int replay_run_two(const struct plan *plan, const struct replay_options *options, struct replay_results *results,
                   struct replay_totals *totals, char error[REPLAY_ERROR_MAX])
{
    struct family family;
    struct two two = {.plan = plan, .options = options, .results = results};
    two.totals = mmap(NULL, sizeof(*two.totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (two.totals == MAP_FAILED)
        return -errno;
    int rc = family_open(&family, error);
    if (!rc) {
        rc = prepare_machine(&family, plan);
        if (!rc)
            rc = family_start(&family, "backend", back_main, &two);
        if (rc >= 0)
            rc = family_start(&family, "frontend", front_main, &two);
        if (rc >= 0)
            rc = family_wait(&family, rc);
        if (!rc)
            rc = family_end_children(&family);
        if (!rc)
            rc = replay_check_machine(family.dir, family.error);
        rc = family_close(&family, rc, error);
    }
    *totals = *two.totals;
    munmap(two.totals, sizeof(*two.totals));
    return rc;
}
