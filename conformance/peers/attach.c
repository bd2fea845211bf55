// SPDX-License-Identifier: MIT
/*
 * A machine that somebody else started, with the half under test running in it: a fake one in a folder, or the Xen that
 * we run on. Cases follow each other on it, so what each made there has to go with it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fakexen/real.h>

#include "attach.h"
#include "far_machine.h"

struct attach {
    struct peer peer;
    struct xen_machine *machine;
    struct xen *look; /* sees whether the machine is still there */
};

static struct attach *of(struct peer *peer)
{
    return (struct attach *)(void *)peer;
}

bool attach_is_real(const struct peer_config *config)
{
    return strcmp(config->machine, "real") == 0;
}

/*
 * A guest is no toolstack. On real Xen pages are granted writable only, and nobody makes or ends a guest. A frontend
 * that was there before has nobody above it who could be told what to do.
 */
const char *attach_abilities(const struct peer_config *config)
{
    bool real = attach_is_real(config), program = config->command != NULL;
    switch (config->role) {
    case CONFORM_BACKEND:
        if (real && config->guest != 0)
            return "device iso lasting gntalloc";
        if (real)
            return program ? "device toolstack iso restart lasting gntalloc" : "device toolstack iso lasting gntalloc";
        return program ? "device toolstack iso restart guests lasting" : "device toolstack iso guests lasting";
    case CONFORM_FRONTEND:
        return program ? "guest iso speeds toolstack restart lasting" : "toolstack lasting";
    case CONFORM_TOOLSTACK:
        return "lasting";
    }
    return NULL;
}

void attach_machine_close(const struct peer_config *config, struct xen_machine *machine, struct xen *look)
{
    xen_close(look);
    if (attach_is_real(config))
        xen_real_machine_destroy(machine);
    else
        fakexen_client_machine_destroy(machine);
}

int attach_machine_open(const struct peer_config *config, struct xen_machine **machine, struct xen **look,
                        char error[PEER_ERROR_MAX])
{
    bool real = attach_is_real(config);
    domid_t own = real && config->role == CONFORM_BACKEND ? config->guest : 0;
    *machine = NULL;
    *look = NULL;
    int rc = real ? xen_real_machine_create(0, machine) : fakexen_client_machine_create(config->machine, machine);
    if (!rc)
        rc = (*machine)->ops->open(*machine, own, look);
    if (!rc)
        return 0;
    attach_machine_close(config, *machine, NULL);
    *machine = NULL;
    if (real && rc == -ENXIO)
        snprintf(error, PEER_ERROR_MAX, "this is not domain %u; --guest says which it is", own);
    else
        snprintf(error, PEER_ERROR_MAX, "%.180s: %s", real ? "Xen" : config->machine, strerror(-rc));
    return rc;
}

bool attach_machine_gone(struct xen *look, char line[PEER_ERROR_MAX])
{
    char value[16];
    if (look->ops->xs_read(look, XEN_XBT_NIL, "domid", value, sizeof(value)) != -EPIPE)
        return false;
    snprintf(line, PEER_ERROR_MAX, "the machine is gone");
    return true;
}

static void attach_close(struct peer *peer)
{
    attach_machine_close(&peer->config, of(peer)->machine, of(peer)->look);
    free(peer);
}

static int attach_open(const struct peer_config *config, struct peer **out, char error[PEER_ERROR_MAX])
{
    struct attach *a = calloc(1, sizeof(*a));
    if (!a) {
        snprintf(error, PEER_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    a->peer.ops = &peer_attach;
    a->peer.config = *config;
    int rc = attach_machine_open(config, &a->machine, &a->look, error);
    if (rc)
        free(a);
    else
        *out = &a->peer;
    return rc;
}

/* It runs already, or a case waits for it in vain. */
static int attach_start(struct peer *peer, char error[PEER_ERROR_MAX])
{
    (void)peer;
    (void)error;
    return 0;
}

static void attach_kill(struct peer *peer)
{
    (void)peer;
}

static bool attach_died(struct peer *peer, char line[PEER_ERROR_MAX])
{
    return attach_machine_gone(of(peer)->look, line);
}

static bool attach_turn(struct peer *peer, int fd, uint64_t until_ns, bool advance)
{
    (void)peer;
    (void)advance;
    return far_turn(fd, -1, until_ns);
}

static uint64_t attach_now(struct peer *peer)
{
    (void)peer;
    return far_now();
}

static struct xen_machine *attach_machine(struct peer *peer)
{
    return of(peer)->machine;
}

const struct peer_ops peer_attach = {
    .name = "attach",
    .abilities_for = attach_abilities,
    .open = attach_open,
    .close = attach_close,
    .start = attach_start,
    .kill = attach_kill,
    .died = attach_died,
    .turn = attach_turn,
    .now = attach_now,
    .machine = attach_machine,
};
