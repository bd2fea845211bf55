// SPDX-License-Identifier: MIT
/*
 * QEMU's own USB controllers, driven over qtest by guest drivers of ours (bench/qtest). Behind them is either
 * our device, in a process of its own and through QEMU's usb-redir, or for comparison QEMU's own disk, which
 * costs no process and no copy of a store.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/devices.h"
#include "bench/paths/paths.h"
#include "process/loop.h"
#include "qtest/qtest.h"
#include "usbredir/redir.h"

#define DEVICES_MAX 6u
#define WORD_MAX    96u
#define NS_PER_S    UINT64_C(1000000000)

struct kind {
    enum qtest_controller controller;
    unsigned int ports;
    bool full_speed; /* the controller knows no other */
    bool own_disk;   /* QEMU's */
};

struct qemu_hc {
    struct bench_session session; /* first */
    struct qtest *qtest;
    pid_t devices;
};

/* ---- the process that has our devices ---- */

static int wait_for_peers(struct redir *const *redirs, unsigned int n, uint64_t due)
{
    struct pollfd fds[DEVICES_MAX];
    for (unsigned int i = 0; i < n; i++) {
        fds[i] = (struct pollfd){.fd = redir_fd(redirs[i]), .events = redir_events(redirs[i])};
        if (redir_due(redirs[i]))
            due = 0;
    }
    uint64_t now = loop_now_ns(), left = due > now ? due - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / NS_PER_S), .tv_nsec = (long)(left % NS_PER_S)};
    return ppoll(fds, n, due == UINT64_MAX ? NULL : &timeout, NULL);
}

static void run_devices(const struct bench_setup *setup, const int *fds)
{
    struct bench_devices *devices;
    struct redir *redirs[DEVICES_MAX];
    bench_become_device_side(setup);
    if (bench_devices_create(setup, &devices))
        return;
    struct usb_host *host = bench_devices_host(devices);
    for (unsigned int d = 0; d < setup->devices; d++) {
        char busid[32];
        bench_busid(0, d, busid, sizeof(busid));
        if (redir_create(host, busid, fds[d], NULL, NULL, &redirs[d]))
            return;
    }
    for (int rc = 0; !rc;) {
        for (unsigned int d = 0; d < setup->devices && !rc; d++)
            rc = redir_step(redirs[d]);
        host->ops->step(host, loop_now_ns());
        if (!rc && wait_for_peers(redirs, setup->devices, host->ops->deadline(host)) < 0 && errno != EINTR)
            rc = -errno;
    }
}

static int start_devices(struct qemu_hc *hc, const struct bench_setup *setup, int ours[DEVICES_MAX],
                         const int theirs[DEVICES_MAX])
{
    hc->devices = fork();
    if (hc->devices == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned int d = 0; d < setup->devices; d++)
            close(theirs[d]);
        run_devices(setup, ours);
        _exit(1);
    }
    return hc->devices < 0 ? -errno : 0;
}

/* ---- QEMU ---- */

struct command {
    const struct bench_setup *setup;
    int theirs[DEVICES_MAX]; /* -1 for none */
    char words[4 * DEVICES_MAX][WORD_MAX];
    const char *arguments[4 * DEVICES_MAX + 1];
};

static void before_exec(void *context)
{
    const struct command *command = context;
    bench_become_device_side(command->setup);
    for (unsigned int d = 0; d < DEVICES_MAX; d++) {
        if (command->theirs[d] >= 0)
            (void)fcntl(command->theirs[d], F_SETFD, 0);
    }
}

static void fill_command(struct command *command, bool own_disk)
{
    unsigned int n = 0;
    for (unsigned int d = 0; d < command->setup->devices; d++) {
        char(*word)[WORD_MAX] = command->words + n;
        if (own_disk) {
            snprintf(word[0], WORD_MAX, "-blockdev");
            snprintf(word[1], WORD_MAX, "null-co,node-name=d%u,size=%llu,read-zeroes=on", d,
                     (unsigned long long)BENCH_DISK_BYTES);
            snprintf(word[3], WORD_MAX, "usb-storage,bus=hc.0,port=%u,drive=d%u", d + 1, d);
        } else {
            snprintf(word[0], WORD_MAX, "-chardev");
            snprintf(word[1], WORD_MAX, "socket,id=r%u,fd=%d", d, command->theirs[d]);
            snprintf(word[3], WORD_MAX, "usb-redir,bus=hc.0,port=%u,chardev=r%u", d + 1, d);
        }
        snprintf(word[2], WORD_MAX, "-device");
        n += 4;
    }
    for (unsigned int i = 0; i < n; i++)
        command->arguments[i] = command->words[i];
    command->arguments[n] = NULL;
}

/* ---- the session ---- */

static int hc_step(struct bench_session *session, uint64_t now_ns)
{
    struct qemu_hc *hc = (struct qemu_hc *)session;
    qtest_step(hc->qtest, now_ns);
    return qtest_alive(hc->qtest) ? 0 : -ECHILD;
}

static int hc_wait(struct bench_session *session, uint64_t until_ns)
{
    struct qemu_hc *hc = (struct qemu_hc *)session;
    struct loop loop;
    uint64_t due = qtest_deadline(hc->qtest);
    loop_clear(&loop);
    loop_add(&loop, qtest_fd(hc->qtest));
    return loop_wait(&loop, due < until_ns ? due : until_ns);
}

static void hc_counters(struct bench_session *session, struct bench_counters *out)
{
    struct qemu_hc *hc = (struct qemu_hc *)session;
    struct hc_bus_counters counters;
    qtest_counters(hc->qtest, &counters);
    *out = (struct bench_counters){.notifications = counters.interrupts,
                                   .registers = counters.reads + counters.writes};
}

static void hc_close(struct bench_session *session)
{
    struct qemu_hc *hc = (struct qemu_hc *)session;
    if (hc->qtest)
        qtest_destroy(hc->qtest);
    if (hc->devices > 0) {
        kill(hc->devices, SIGKILL);
        (void)waitpid(hc->devices, NULL, 0);
    }
    free(hc);
}

static const struct bench_session_ops hc_ops = {
    .step = hc_step,
    .wait = hc_wait,
    .counters = hc_counters,
    .close = hc_close,
};

static int start(struct qemu_hc *hc, const struct kind *kind, const struct bench_setup *setup, char *why)
{
    struct command command = {.setup = setup};
    int ours[DEVICES_MAX], rc = 0;
    for (unsigned int d = 0; d < DEVICES_MAX; d++)
        ours[d] = command.theirs[d] = -1;
    for (unsigned int d = 0; !kind->own_disk && !rc && d < setup->devices; d++) {
        int fd[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
            rc = -errno;
        else
            ours[d] = fd[0], command.theirs[d] = fd[1];
    }
    if (!rc && !kind->own_disk)
        rc = start_devices(hc, setup, ours, command.theirs);
    if (rc) {
        snprintf(why, BENCH_WHY_MAX, "the devices: %s", strerror(-rc));
    } else {
        fill_command(&command, kind->own_disk);
        const struct qtest_config config = {.controller = kind->controller,
                                            .clock = QTEST_REAL,
                                            .arguments = command.arguments,
                                            .before_exec = before_exec,
                                            .context = &command};
        rc = qtest_create(&config, &hc->qtest, why, BENCH_WHY_MAX);
    }
    for (unsigned int d = 0; d < DEVICES_MAX; d++) {
        if (ours[d] >= 0)
            close(ours[d]);
        if (command.theirs[d] >= 0)
            close(command.theirs[d]);
    }
    return rc;
}

/*
 * As QEMU 7.2 and libusbredirparser 0.13 are written. Through usb-redir: by the device, into a packet to send, into
 * the socket and out of it, into a packet received, into the guest's memory; control data are once more in a buffer of
 * QEMU's USB core. QEMU's own disk makes its zeroes, and what a device says of itself, in the buffer that is copied
 * to the guest. UHCI has one more between each of its packets and the guest's memory.
 */
static unsigned int copies_of(const struct kind *kind)
{
    return (kind->own_disk ? 1u : 6u) + (kind->controller == QTEST_UHCI ? 1u : 0u);
}

static int open_kind(const struct kind *kind, const struct bench_setup *asked, struct bench_session **out,
                     char *why)
{
    struct bench_setup setup = *asked;
    const char *reason;
    setup.full_speed = setup.full_speed || kind->full_speed;
    if (setup.guests > 1 || setup.devices > kind->ports) {
        snprintf(why, BENCH_WHY_MAX, "one guest with at most %u devices", kind->ports);
        return -ENOTSUP;
    }
    if (kind->own_disk && (setup.device != BENCH_DISK || setup.wire)) {
        snprintf(why, BENCH_WHY_MAX, "only QEMU's disk, and without a wire");
        return -ENOTSUP;
    }
    if (kind->controller == QTEST_EHCI && setup.wire == BENCH_WIRE_FULL) {
        snprintf(why, BENCH_WHY_MAX, "QEMU's EHCI takes high-speed devices only");
        return -ENOTSUP;
    }
    if (!qtest_program(QTEST_REAL, &reason)) {
        snprintf(why, BENCH_WHY_MAX, "%s", reason);
        return -ENOPKG;
    }
    struct qemu_hc *hc = calloc(1, sizeof(*hc));
    if (!hc)
        return -ENOMEM;
    int rc = start(hc, kind, &setup, why);
    if (rc) {
        hc_close(&hc->session);
        return rc;
    }
    hc->session = (struct bench_session){.ops = &hc_ops,
                                         .queue = 16,
                                         .copies = copies_of(kind),
                                         .control_copies = kind->own_disk ? 0 : 1,
                                         .foreign_disk = kind->own_disk};
    hc->session.hcd[0] = qtest_hcd(hc->qtest);
    hc->session.process[hc->session.nr_processes++] = qtest_pid(hc->qtest);
    if (hc->devices > 0)
        hc->session.process[hc->session.nr_processes++] = hc->devices;
    *out = &hc->session;
    return 0;
}

/* ---- the paths ---- */

static int open_uhci(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return open_kind(&(struct kind){QTEST_UHCI, 2, true, false}, setup, out, why);
}

static int open_uhci_disk(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return open_kind(&(struct kind){QTEST_UHCI, 2, true, true}, setup, out, why);
}

static int open_ehci(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return open_kind(&(struct kind){QTEST_EHCI, 6, false, false}, setup, out, why);
}

static int open_ehci_disk(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return open_kind(&(struct kind){QTEST_EHCI, 6, false, true}, setup, out, why);
}

static int open_redir(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return open_kind(&(struct kind){QTEST_XHCI, 4, false, false}, setup, out, why);
}

static int open_xhci(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return open_kind(&(struct kind){QTEST_XHCI, 4, false, setup->device == BENCH_DISK}, setup, out, why);
}

const struct bench_path bench_qemu_uhci = {
    .name = "qemu-uhci",
    .what = "QEMU's UHCI, our device behind it through usb-redir",
    .open = open_uhci,
};

const struct bench_path bench_qemu_uhci_disk = {
    .name = "qemu-uhci-disk",
    .what = "QEMU's UHCI with QEMU's own disk, which costs nothing itself",
    .open = open_uhci_disk,
};

const struct bench_path bench_qemu_ehci = {
    .name = "qemu-ehci",
    .what = "QEMU's EHCI, our device behind it through usb-redir",
    .open = open_ehci,
};

const struct bench_path bench_qemu_ehci_disk = {
    .name = "qemu-ehci-disk",
    .what = "QEMU's EHCI with QEMU's own disk, which costs nothing itself",
    .open = open_ehci_disk,
};

const struct bench_path bench_qemu_xhci = {
    .name = "qemu-xhci",
    .what = "QEMU's xHCI with QEMU's own disk; other devices are ours, through usb-redir",
    .open = open_xhci,
};

const struct bench_path bench_usbredir = {
    .name = "usbredir",
    .what = "QEMU's xHCI, our device behind it through usb-redir",
    .open = open_redir,
};
