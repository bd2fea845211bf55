// SPDX-License-Identifier: MIT
/*
 * Programs, on a machine that is a process, too: our halves as users run them, or one that the command line names, which
 * finds the machine by the drop-in libraries of `pvusb exec`.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wordexp.h>

#include "attach.h"
#include "driven.h"
#include "far_machine.h"
#include "process/self.h"
#include "program.h"
#include "quiet.h"
#include "toolstack/vusb.h"

#define GUEST     1u
#define WORDS_MAX 256u

struct process {
    struct peer peer;
    struct far_machine far;      /* a machine of its own, or */
    struct xen_machine *machine; /* one that was there, with a handle on it */
    struct xen *look;
    struct program program;
    struct driven *driven; /* a frontend's */
    char pvusb[PATH_MAX];
    wordexp_t words; /* of a command */
};

static struct process *of(struct peer *peer)
{
    return (struct process *)(void *)peer;
}

static const char *process_abilities(const struct peer_config *config)
{
    switch (config->role) {
    case CONFORM_BACKEND:
        return "device toolstack iso restart guests";
    case CONFORM_FRONTEND:
        return "guest iso speeds toolstack restart";
    case CONFORM_TOOLSTACK:
        return "toolstack";
    }
    return NULL;
}

/* What a program of somebody else can do is his to say: --without. */
static const char *command_abilities(const struct peer_config *config)
{
    return !config->command ? NULL : config->machine ? attach_abilities(config) : process_abilities(config);
}

/* pvusb in the folder PVUSB_BIN, else beside this program. */
static int find_program(struct process *p, char error[PEER_ERROR_MAX])
{
    char bin[PATH_MAX - 16];
    self_bin(bin, sizeof(bin));
    snprintf(p->pvusb, sizeof(p->pvusb), "%.4000s/pvusb", bin);
    if (access(p->pvusb, X_OK) == 0)
        return 0;
    snprintf(error, PEER_ERROR_MAX, "%.200s: pvusb is not there", bin);
    return -ENOENT;
}

static void process_close(struct peer *peer)
{
    peer->ops->kill(peer);
    program_close(&of(peer)->program);
    if (of(peer)->look)
        attach_machine_close(&peer->config, of(peer)->machine, of(peer)->look);
    else
        far_machine_close(&of(peer)->far);
    wordfree(&of(peer)->words);
    free(peer);
}

/* The words of the command, as a shell would make them: it is told of the machine by variables. */
static int split_command(struct process *p, char error[PEER_ERROR_MAX])
{
    const char *command = p->peer.config.command;
    const char *machine = p->peer.config.machine;
    char guest[16];
    snprintf(guest, sizeof(guest), "%u", p->peer.config.guest);
    int rc = setenv("PVUSB_GUEST", guest, 1);
    if (!machine || !attach_is_real(&p->peer.config))
        rc = rc || setenv("PVUSB_DIR", machine ? machine : p->far.family.dir, 1);
    if (rc || wordexp(command, &p->words, WRDE_NOCMD) || p->words.we_wordc == 0) {
        snprintf(error, PEER_ERROR_MAX, "--peer '%.150s' is no simple command; sh -c takes others", command);
        return -EINVAL;
    }
    if (program_found(p->words.we_wordv[0]))
        return 0;
    snprintf(error, PEER_ERROR_MAX, "%.150s: not found", p->words.we_wordv[0]);
    return -ENOENT;
}

static int open_machine(struct process *p, char error[PEER_ERROR_MAX])
{
    const struct peer_config *config = &p->peer.config;
    char line[FAMILY_ERROR_MAX] = "";
    int rc;
    if (config->machine)
        return attach_machine_open(config, &p->machine, &p->look, error);
    rc = far_machine_open(&p->far, line);
    if (rc)
        snprintf(error, PEER_ERROR_MAX, "%.*s", (int)PEER_ERROR_MAX - 1, line);
    else
        p->machine = p->far.machine;
    return rc;
}

static int process_open(const struct peer_config *config, struct peer **out, char error[PEER_ERROR_MAX])
{
    struct process *p = calloc(1, sizeof(*p));
    int rc = p ? find_program(p, error) : -ENOMEM;
    if (rc) {
        free(p);
        return rc;
    }
    p->peer.ops = config->command ? &peer_program : &peer_process;
    p->peer.config = *config;
    rc = open_machine(p, error);
    if (rc) {
        free(p);
        return rc;
    }
    program_init(&p->program);
    signal(SIGPIPE, SIG_IGN); /* a program that dies is found by its death */
    if (config->role != CONFORM_BACKEND && !config->machine)
        rc = p->far.machine->ops->domain_create(p->far.machine, GUEST);
    if (rc)
        snprintf(error, PEER_ERROR_MAX, "guest %u: %s", GUEST, strerror(-rc));
    else if (config->command)
        rc = split_command(p, error);
    if (rc)
        process_close(&p->peer);
    else
        *out = &p->peer;
    return rc;
}

static int start_backend(struct process *p, const char *xen, char error[PEER_ERROR_MAX])
{
    const char *const argv[] = {p->pvusb,    "backend",   "--xen",     xen,         "--device",  "1-1=probe",
                                "--device",  "1-2=probe", "--device",  "1-3=probe", "--device",  "1-4=probe",
                                NULL};
    int rc = program_start(&p->program, argv, false, error);
    return rc ? rc : program_wait(&p->program, "pvusb backend", error);
}

static int start_frontend(struct process *p, const char *xen, char error[PEER_ERROR_MAX])
{
    const char *const argv[] = {p->pvusb, "frontend", "--xen", xen, "--domid", "1", "--drive", NULL};
    int rc = program_start(&p->program, argv, true, error);
    return rc ? rc : driven_open(&p->peer, &p->program, &p->driven, error);
}

/* Our toolstack is no program that stays: its code, and the machine's xenstore in another process. */
static int run_toolstack(struct process *p, char error[PEER_ERROR_MAX])
{
    const struct vusb_controller controller = {.kind = "qusb", .frontend = GUEST, .usb_ver = 2, .num_ports = 4};
    struct xen *xen;
    int rc = p->far.machine->ops->open(p->far.machine, 0, &xen);
    if (!rc) {
        rc = vusb_create(xen, &controller);
        xen_close(xen);
    }
    if (rc)
        snprintf(error, PEER_ERROR_MAX, "the toolstack: %s", strerror(-rc));
    return rc;
}

static int process_start(struct peer *peer, char error[PEER_ERROR_MAX])
{
    struct process *p = of(peer);
    char xen[sizeof(p->far.family.dir) + 8];
    snprintf(xen, sizeof(xen), "fake:%s", p->far.family.dir);
    switch (peer->config.role) {
    case CONFORM_BACKEND:
        return start_backend(p, xen, error);
    case CONFORM_FRONTEND:
        return start_frontend(p, xen, error);
    case CONFORM_TOOLSTACK:
        return run_toolstack(p, error);
    }
    return -EINVAL;
}

static int command_start(struct peer *peer, char error[PEER_ERROR_MAX])
{
    struct process *p = of(peer);
    const char *argv[WORDS_MAX + 8] = {p->pvusb, "exec", "--dir", p->far.family.dir, "--domid",
                                       peer->config.role == CONFORM_FRONTEND ? "1" : "0", "--"};
    size_t n = peer->config.machine ? 0 : 7; /* how to come there is known to who named the machine */
    for (size_t i = 0; i < WORDS_MAX; i++)
        argv[n++] = i < p->words.we_wordc ? p->words.we_wordv[i] : NULL;
    int rc = program_start(&p->program, argv, peer->config.role == CONFORM_FRONTEND, error);
    if (!rc && peer->config.role == CONFORM_FRONTEND)
        rc = driven_open(peer, &p->program, &p->driven, error);
    if (!rc && peer->config.role == CONFORM_TOOLSTACK)
        rc = program_finish(&p->program, peer->config.timeout_ns, error);
    return rc;
}

static void process_kill(struct peer *peer)
{
    program_kill(&of(peer)->program);
    driven_close(of(peer)->driven);
    of(peer)->driven = NULL;
}

static bool process_died(struct peer *peer, char line[PEER_ERROR_MAX])
{
    struct process *p = of(peer);
    if (program_died(&p->program, line) || (p->look && attach_machine_gone(p->look, line)))
        return true;
    const char *wrong = p->driven ? driven_wrong(p->driven) : NULL;
    if (wrong)
        snprintf(line, PEER_ERROR_MAX, "%s", wrong);
    return wrong;
}

static bool process_turn(struct peer *peer, int fd, uint64_t until_ns, bool advance)
{
    (void)advance;
    bool any = far_turn(fd, of(peer)->driven ? of(peer)->program.out : -1, until_ns);
    if (of(peer)->driven)
        driven_listen(of(peer)->driven);
    return any;
}

static void process_rest(struct peer *peer)
{
    struct process *p = of(peer);
    const pid_t pids[] = {p->far.family.child[0].pid, p->program.pid};
    if (p->program.pid > 0)
        quiet_wait(pids, 2);
}

static void command_rest(struct peer *peer)
{
    struct process *p = of(peer);
    if (p->program.pid > 0)
        quiet_wait_family(p->program.pid, p->far.family.child[0].pid);
}

static void process_settle(struct peer *peer)
{
    if (of(peer)->driven)
        driven_sync(of(peer)->driven);
    else
        peer->ops->rest(peer);
}

static uint64_t process_now(struct peer *peer)
{
    (void)peer;
    return far_now();
}

static struct xen_machine *process_machine(struct peer *peer)
{
    return of(peer)->machine;
}

/* ---- the guest ---- */

static int submit(struct peer *peer, const struct guest_urb *urb)
{
    return driven_submit(of(peer)->driven, urb);
}

static int unlink_urb(struct peer *peer, int urb, int reason)
{
    return driven_unlink(of(peer)->driven, urb, reason);
}

static struct guest_result result(struct peer *peer, int urb)
{
    return driven_result(of(peer)->driven, urb);
}

static int write_buffer(struct peer *peer, uint32_t offset, const void *data, uint32_t size)
{
    return driven_write(of(peer)->driven, offset, data, size);
}

static int read_buffer(struct peer *peer, uint32_t offset, void *data, uint32_t size)
{
    return driven_read(of(peer)->driven, offset, data, size);
}

static int hub(struct peer *peer, const uint8_t setup[8], void *data, uint16_t size)
{
    return driven_hub(of(peer)->driven, setup, data, size);
}

static int close_guest(struct peer *peer)
{
    return driven_end(of(peer)->driven);
}

static int reconnect(struct peer *peer)
{
    return driven_reconnect(of(peer)->driven);
}

static struct guest_packet packet(struct peer *peer, int urb, unsigned int number)
{
    return driven_packet(of(peer)->driven, urb, number);
}

static uint32_t hub_changes(struct peer *peer)
{
    return driven_hub_changes(of(peer)->driven);
}

static const struct peer_guest_ops guest_ops = {
    submit, unlink_urb, result, write_buffer, read_buffer, hub, close_guest, reconnect, packet, hub_changes,
};

const struct peer_ops peer_process = {
    .name = "process",
    .abilities_for = process_abilities,
    .open = process_open,
    .close = process_close,
    .start = process_start,
    .kill = process_kill,
    .died = process_died,
    .turn = process_turn,
    .settle = process_settle,
    .rest = process_rest,
    .now = process_now,
    .machine = process_machine,
    .guest = &guest_ops,
};

const struct peer_ops peer_program = {
    .name = "command",
    .abilities_for = command_abilities,
    .open = process_open,
    .close = process_close,
    .start = command_start,
    .kill = process_kill,
    .died = process_died,
    .turn = process_turn,
    .settle = process_settle,
    .rest = command_rest,
    .now = process_now,
    .machine = process_machine,
    .guest = &guest_ops,
};
