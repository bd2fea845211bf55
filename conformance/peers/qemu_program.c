// SPDX-License-Identifier: MIT
#include "qemu_program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../sim/peer/peer.h"

#define PROBES 4u

static struct peer *of(struct qemu_program *program)
{
    return (struct peer *)(void *)program;
}

int qemu_program_start(const char *dir, unsigned int guest, struct qemu_program **out, char *error, size_t size)
{
    static const char *const devices[PROBES] = {"1-1=probe", "1-2=probe", "1-3=probe", "1-4=probe"};
    const struct peer_config config = {
        .dir = dir, .guest = (domid_t)guest, .devices = devices, .nr_devices = PROBES};
    char line[PEER_ERROR_MAX] = "";
    struct peer *peer = NULL;
    int rc = peer_qemu_start(&config, &peer, line);
    *out = (struct qemu_program *)(void *)peer;
    if (rc)
        snprintf(error, size, "%s", line);
    return rc;
}

pid_t qemu_program_pid(const struct qemu_program *program)
{
    return peer_pid((const struct peer *)(const void *)program);
}

bool qemu_program_died(struct qemu_program *program, char *line, size_t size)
{
    struct peer_death death;
    if (!peer_poll_death(of(program), &death))
        return false;
    snprintf(line, size, "%s", death.text);
    return true;
}

void qemu_program_kill(struct qemu_program *program)
{
    struct peer_death death;
    if (!program)
        return;
    pid_t pid = peer_poll_death(of(program), &death) ? 0 : peer_qemu_pid(of(program));
    if (pid > 0)
        kill(pid, SIGKILL); /* pvusb-usbfs, around it, ends in order */
    (void)peer_stop(of(program));
}
