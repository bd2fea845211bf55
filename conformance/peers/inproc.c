// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inproc_private.h"

static struct inproc *of(struct peer *peer)
{
    return (struct inproc *)(void *)peer;
}

static void inproc_close(struct peer *peer)
{
    struct inproc *p = of(peer);
    inproc_backend_close(p);
    fakexen_local_destroy(p->local);
    free(p);
}

static int inproc_open(const struct peer_config *config, struct peer **out, char error[PEER_ERROR_MAX])
{
    if (config->role == CONFORM_FRONTEND) {
        snprintf(error, PEER_ERROR_MAX, "peer inproc has no frontend to test");
        return -EOPNOTSUPP;
    }
    struct inproc *p = calloc(1, sizeof(*p));
    int rc = p ? fakexen_local_create(&p->local) : -ENOMEM;
    if (rc) {
        snprintf(error, PEER_ERROR_MAX, "cannot make a machine: %s", strerror(-rc));
        free(p);
        return rc;
    }
    p->peer.ops = &peer_inproc;
    p->peer.config = *config;
    rc = inproc_backend_open(p, error);
    if (rc)
        inproc_close(&p->peer);
    else
        *out = &p->peer;
    return rc;
}

static int inproc_start(struct peer *peer, char error[PEER_ERROR_MAX])
{
    return inproc_backend_start(of(peer), error);
}

static void inproc_kill(struct peer *peer)
{
    inproc_backend_kill(of(peer));
}

static bool inproc_died(struct peer *peer, char line[PEER_ERROR_MAX])
{
    const struct inproc *p = of(peer);
    if (p->rc)
        snprintf(line, PEER_ERROR_MAX, "it ended with %s", strerror(-p->rc));
    return p->rc != 0;
}

static bool inproc_turn(struct peer *peer, int fd, uint64_t until_ns, bool advance)
{
    struct inproc *p = of(peer);
    (void)fd;
    if (inproc_backend_step(p))
        return true;
    if (!advance)
        return false;
    uint64_t next = inproc_backend_deadline(p);
    if (next > until_ns) {
        p->now_ns = until_ns; /* nothing happens before */
        return false;
    }
    p->now_ns = next > p->now_ns ? next : p->now_ns;
    (void)inproc_backend_step(p);
    return true;
}

static uint64_t inproc_now(struct peer *peer)
{
    return of(peer)->now_ns;
}

static struct xen_machine *inproc_machine(struct peer *peer)
{
    return fakexen_local_machine(of(peer)->local);
}

static int inproc_plug(struct peer *peer, const char *busid, uint8_t speed)
{
    return inproc_backend_plug(of(peer), busid, speed);
}

static int inproc_unplug(struct peer *peer, const char *busid)
{
    return inproc_backend_unplug(of(peer), busid);
}

static struct fakexen_balance inproc_balance(struct peer *peer)
{
    return fakexen_local_balance(of(peer)->local);
}

const struct peer_ops peer_inproc = {
    .name = "inproc",
    .abilities = "inproc device replug speeds iso toolstack restart guests",
    .open = inproc_open,
    .close = inproc_close,
    .start = inproc_start,
    .kill = inproc_kill,
    .died = inproc_died,
    .turn = inproc_turn,
    .now = inproc_now,
    .machine = inproc_machine,
    .plug = inproc_plug,
    .unplug = inproc_unplug,
    .balance = inproc_balance,
};
