// SPDX-License-Identifier: MIT
/* QEMU's backend, unmodified, with probe devices below it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "far_machine.h"
#include "peer.h"
#include "qemu_program.h"
#include "quiet.h"

#define GUEST 1u

struct qemu {
    struct peer peer;
    struct far_machine far;
    struct qemu_program *program; /* NULL while there is none */
};

static struct qemu *of(struct peer *peer)
{
    return (struct qemu *)(void *)peer;
}

static const char *qemu_abilities(const struct peer_config *config)
{
    return config->role == CONFORM_BACKEND ? "device toolstack restart" : NULL;
}

static void qemu_close(struct peer *peer)
{
    peer->ops->kill(peer);
    far_machine_close(&of(peer)->far);
    free(peer);
}

static int qemu_open(const struct peer_config *config, struct peer **out, char error[PEER_ERROR_MAX])
{
    char line[FAMILY_ERROR_MAX] = "out of memory";
    struct qemu *q = calloc(1, sizeof(*q));
    int rc = q ? far_machine_open(&q->far, line) : -ENOMEM;
    if (rc) {
        snprintf(error, PEER_ERROR_MAX, "%.*s", (int)PEER_ERROR_MAX - 1, line);
        free(q);
        return rc;
    }
    q->peer.ops = &peer_qemu;
    q->peer.config = *config;
    rc = q->far.machine->ops->domain_create(q->far.machine, GUEST);
    if (rc) {
        snprintf(error, PEER_ERROR_MAX, "guest %u: %s", GUEST, strerror(-rc));
        qemu_close(&q->peer);
    } else {
        *out = &q->peer;
    }
    return rc;
}

static int qemu_start(struct peer *peer, char error[PEER_ERROR_MAX])
{
    struct qemu *q = of(peer);
    return qemu_program_start(q->far.family.dir, GUEST, &q->program, error, PEER_ERROR_MAX);
}

static void qemu_kill(struct peer *peer)
{
    qemu_program_kill(of(peer)->program);
    of(peer)->program = NULL;
}

static bool qemu_died(struct peer *peer, char line[PEER_ERROR_MAX])
{
    return of(peer)->program && qemu_program_died(of(peer)->program, line, PEER_ERROR_MAX);
}

static bool qemu_turn(struct peer *peer, int fd, uint64_t until_ns, bool advance)
{
    (void)peer;
    (void)advance;
    return far_turn(fd, -1, until_ns);
}

static void qemu_rest(struct peer *peer)
{
    struct qemu *q = of(peer);
    pid_t pid = q->program ? qemu_program_pid(q->program) : 0;
    if (pid > 0)
        quiet_wait_family(pid, q->far.family.child[0].pid);
}

static uint64_t qemu_now(struct peer *peer)
{
    (void)peer;
    return far_now();
}

static struct xen_machine *qemu_machine(struct peer *peer)
{
    return of(peer)->far.machine;
}

const struct peer_ops peer_qemu = {
    .name = "qemu",
    .abilities_for = qemu_abilities,
    .open = qemu_open,
    .close = qemu_close,
    .start = qemu_start,
    .kill = qemu_kill,
    .died = qemu_died,
    .turn = qemu_turn,
    .settle = qemu_rest,
    .rest = qemu_rest,
    .now = qemu_now,
    .machine = qemu_machine,
};
