// SPDX-License-Identifier: MIT
#include "peer/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "process/loop.h"
#include "process/self.h"
#include "process/tree.h"

#define WORDS_MAX    (2u * PEER_DEVICES_MAX + 32u)
#define NS_PER_MS    UINT64_C(1000000)
#define EXIT_SKIPPED 77

struct peer {
    pid_t pid; /* 0 when reaped */
    pid_t group;
    int alive; /* end of file when the whole group has ended */
    int control;
    int said;   /* memfd: all that the programs printed */
    int status; /* when reaped */
    domid_t guest;
    char dir[64]; /* their TMPDIR */
    char usbfs[PATH_MAX];
    char pvusb[PATH_MAX];
    char command[PEER_COMMAND_MAX];
};

static int __attribute__((format(printf, 3, 4))) fail(char *error, int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, PEER_ERROR_MAX, format, args);
    va_end(args);
    return rc;
}

/* ---- the command line ---- */

struct words {
    const char *word[WORDS_MAX];
    unsigned int n;
};

static void add(struct words *words, const char *word)
{
    if (words->n < WORDS_MAX - 1)
        words->word[words->n++] = word;
}

static int find_programs(struct peer *peer, const struct peer_config *config, char *error)
{
    char own[PATH_MAX - 16];
    const char *bin = config->bin ? config->bin : own;
    self_bin(own, sizeof(own));
    snprintf(peer->usbfs, sizeof(peer->usbfs), "%.4000s/pvusb-usbfs", bin);
    snprintf(peer->pvusb, sizeof(peer->pvusb), "%.4000s/pvusb", bin);
    if (access(peer->usbfs, X_OK) || access(peer->pvusb, X_OK))
        return fail(error, -ENOENT, "%.200s: pvusb and pvusb-usbfs are not there", bin);
    return 0;
}

static const char *qemu_of(const struct peer_config *config)
{
    const char *qemu = config->qemu ? config->qemu : getenv("PVUSB_QEMU");
    return qemu ? qemu : PEER_QEMU;
}

static void add_qemu(struct words *words, const struct peer_config *config, const char *domid)
{
    static const char *const rest[] = {"-nodefaults", "-no-user-config", "-nographic", "-monitor", "none"};
    add(words, qemu_of(config));
    add(words, "-M");
    add(words, "xenpv");
    add(words, "-xen-attach");
    add(words, "-xen-domid");
    add(words, domid);
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
        add(words, rest[i]);
}

static void make_words(const struct peer *peer, const struct peer_config *config, const char *control,
                       const char *domid, struct words *words)
{
    *words = (struct words){0};
    add(words, peer->usbfs);
    if (control) {
        add(words, "--control");
        add(words, control);
    }
    for (unsigned int i = 0; i < config->nr_devices && i < PEER_DEVICES_MAX; i++) {
        add(words, "--device");
        add(words, config->devices[i]);
    }
    if (config->trace) {
        add(words, "--trace");
        add(words, config->trace);
    }
    if (config->trace && config->notes && control) {
        add(words, "--notes");
        add(words, config->notes);
    }
    add(words, "--");
    add(words, peer->pvusb);
    add(words, "exec");
    add(words, "--dir");
    add(words, config->dir);
    add(words, "--domid");
    add(words, "0");
    add(words, "--");
    add_qemu(words, config, domid);
}

/* For a person to type, so without the control socket that only we have. */
static void write_down(struct peer *peer, const struct peer_config *config, const char *domid)
{
    struct words words;
    size_t n = 0;
    make_words(peer, config, NULL, domid, &words);
    for (unsigned int i = 0; i < words.n && n < sizeof(peer->command); i++) {
        const char *quote = strpbrk(words.word[i], " !;") ? "'" : "";
        n += (size_t)snprintf(peer->command + n, sizeof(peer->command) - n, "%s%s%s%s", i ? " " : "", quote,
                              words.word[i], quote);
    }
}

/* ---- starting ---- */

static void run(const struct peer *peer, const struct words *words, int control, int alive, pid_t parent)
{
    sigset_t none;
    int nothing = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(nothing, STDIN_FILENO);
    dup2(peer->said, STDOUT_FILENO);
    dup2(peer->said, STDERR_FILENO);
    fcntl(control, F_SETFD, 0);
    fcntl(alive, F_SETFD, 0);
    setenv("TMPDIR", peer->dir, 1);
    /* The preload library comes before a sanitizer in our own programs. */
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
    execv(words->word[0], (char *const *)(uintptr_t)words->word);
    _exit(127);
}

static int spawn(struct peer *peer, const struct peer_config *config, char *error)
{
    struct words words;
    char number[16];
    char domid[16];
    int ends[2];
    int alive[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return fail(error, -errno, "a socket: %s", strerror(errno));
    peer->control = ends[0];
    if (pipe2(alive, O_CLOEXEC)) {
        close(ends[1]);
        return fail(error, -errno, "a pipe: %s", strerror(errno));
    }
    peer->alive = alive[0];
    snprintf(number, sizeof(number), "%d", ends[1]);
    snprintf(domid, sizeof(domid), "%u", (unsigned int)config->guest);
    make_words(peer, config, number, domid, &words);
    write_down(peer, config, domid);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run(peer, &words, ends[1], alive[1], parent);
    close(ends[1]);
    close(alive[1]);
    if (pid < 0)
        return fail(error, -EAGAIN, "a process: %s", strerror(errno));
    peer->pid = pid;
    peer->group = pid;
    setpgid(pid, pid); /* both do, so that it is done when either goes on */
    return 0;
}

/* What an earlier QEMU of this guest has said is not what this one says. */
static int forget(struct xen *xen, domid_t guest)
{
    char path[64];
    snprintf(path, sizeof(path), "/local/domain/0/device-model/%u", (unsigned int)guest);
    int rc = xen->ops->xs_rm(xen, XEN_XBT_NIL, path);
    return rc == -ENOENT ? 0 : rc;
}

static bool is_running(struct xen *xen, const char *path)
{
    char state[32];
    return xen->ops->xs_read(xen, XEN_XBT_NIL, path, state, sizeof(state)) > 0 &&
           strcmp(state, "running") == 0;
}

static int wait_until_running(struct peer *peer, struct xen *xen)
{
    static char event[XEN_XS_PATH_MAX + 1];
    static char token[XEN_XS_TOKEN_MAX + 1];
    char path[64];
    uint64_t end = loop_now_ns() + PEER_PATIENCE_MS * NS_PER_MS;
    struct loop loop;
    snprintf(path, sizeof(path), "/local/domain/0/device-model/%u/state", (unsigned int)peer->guest);
    int rc = xen->ops->xs_watch(xen, path, "peer");
    while (!rc && !is_running(xen, path)) {
        loop_clear(&loop);
        loop_add(&loop, xen->ops->fd(xen));
        loop_add(&loop, peer->alive);
        rc = loop_wait(&loop, end);
        if (!rc && loop_ready(&loop, peer->alive))
            rc = -ECHILD;
        if (!rc && loop_now_ns() >= end)
            rc = -ETIMEDOUT;
        while (xen->ops->xs_watch_read(xen, event, token) == 0)
            ;
    }
    return rc;
}

static int start(struct peer *peer, const struct peer_config *config, struct xen *xen, char *error)
{
    struct peer_death death;
    int rc = forget(xen, config->guest);
    if (rc)
        return fail(error, rc, "xenstore: %s", strerror(-rc));
    rc = spawn(peer, config, error);
    if (rc)
        return rc;
    rc = wait_until_running(peer, xen);
    if (rc == -ECHILD && peer_poll_death(peer, &death))
        return fail(error, !death.signal && death.code == EXIT_SKIPPED ? -ENOPKG : rc, "%s", death.text);
    return rc ? fail(error, rc, "QEMU did not say that it runs: %s", strerror(-rc)) : 0;
}

int peer_qemu_start(const struct peer_config *config, struct peer **out, char *error)
{
    struct xen_machine *machine = NULL;
    struct xen *xen = NULL;
    if (access(qemu_of(config), X_OK))
        return fail(error, -ENOPKG, "%.300s is not there; install package qemu-system-xen", qemu_of(config));
    struct peer *peer = calloc(1, sizeof(*peer));
    if (!peer)
        return fail(error, -ENOMEM, "out of memory");
    *peer = (struct peer){.alive = -1, .control = -1, .said = -1, .guest = config->guest};
    int rc = find_programs(peer, config, error);
    if (!rc && (rc = tree_create(peer->dir, sizeof(peer->dir), "peer")) != 0) {
        peer->dir[0] = '\0';
        fail(error, rc, "a folder: %s; TMPDIR names another place", strerror(-rc));
    }
    if (!rc && (peer->said = memfd_create("peer", MFD_CLOEXEC)) < 0)
        rc = fail(error, -errno, "a file in memory: %s", strerror(errno));
    if (!rc && ((rc = fakexen_client_machine_create(config->dir, &machine)) != 0 ||
                (rc = machine->ops->open(machine, 0, &xen)) != 0))
        fail(error, rc, "%.300s: %s", config->dir, strerror(-rc));
    if (!rc)
        rc = start(peer, config, xen, error);
    xen_close(xen);
    if (machine)
        fakexen_client_machine_destroy(machine);
    if (rc)
        (void)peer_stop(peer);
    else
        *out = peer;
    return rc;
}

/* ---- while it runs ---- */

int peer_fd(const struct peer *peer)
{
    return peer->alive;
}

pid_t peer_pid(const struct peer *peer)
{
    return peer->group;
}

const char *peer_command_line(const struct peer *peer)
{
    return peer->command;
}

static int receive_line(struct peer *peer, char *line, size_t size)
{
    uint64_t end = loop_now_ns() + PEER_PATIENCE_MS * NS_PER_MS;
    size_t n = 0;
    while (n == 0 || line[n - 1] != '\n') {
        struct pollfd fd = {.fd = peer->control, .events = POLLIN};
        uint64_t now = loop_now_ns();
        if (now >= end || poll(&fd, 1, (int)((end - now) / NS_PER_MS) + 1) == 0)
            return -ETIMEDOUT;
        ssize_t got = n + 1 < size ? recv(peer->control, line + n, 1, 0) : 0;
        if (got <= 0)
            return -EPIPE;
        n += (size_t)got;
    }
    line[n - 1] = '\0';
    return 0;
}

int peer_command(struct peer *peer, const char *command, char *answer)
{
    char line[PEER_ERROR_MAX];
    char *text = answer ? answer : line;
    text[0] = '\0';
    if (dprintf(peer->control, "%s\n", command) < 0)
        return -EPIPE;
    int rc = receive_line(peer, text, PEER_ERROR_MAX);
    return rc ? rc : strncmp(text, "ok", 2) == 0 ? 0 : -EINVAL;
}

pid_t peer_qemu_pid(struct peer *peer)
{
    char answer[PEER_ERROR_MAX];
    int pid;
    return peer_command(peer, "pid", answer) || sscanf(answer, "ok %d", &pid) != 1 ? 0 : pid;
}

/* ---- how it ended ---- */

static bool reap(struct peer *peer)
{
    struct pollfd fd = {.fd = peer->alive, .events = POLLIN};
    if (peer->pid == 0)
        return true;
    if (poll(&fd, 1, 0) <= 0)
        return false;
    /* It has closed all it had, and so is all but gone. */
    while (waitpid(peer->pid, &peer->status, 0) < 0 && errno == EINTR)
        ;
    peer->pid = 0;
    return true;
}

/* The last line that is not ours, and whether ours is there, which says that QEMU it was. */
static bool last_words(const struct peer *peer, char *out, size_t size)
{
    static const char ours[] = " was ended by signal ";
    char text[4096];
    off_t length = lseek(peer->said, 0, SEEK_END);
    off_t from = length > (off_t)sizeof(text) - 1 ? length - (off_t)sizeof(text) + 1 : 0;
    ssize_t n = pread(peer->said, text, sizeof(text) - 1, from);
    char *next = text;
    bool found = false;
    text[n < 0 ? 0 : n] = '\0';
    out[0] = '\0';
    for (char *line = text; (line = strsep(&next, "\n"));) {
        if (strstr(line, ours))
            found = true;
        else if (*line)
            snprintf(out, size, "%s", line);
    }
    return found;
}

bool peer_poll_death(struct peer *peer, struct peer_death *death)
{
    char words[256];
    if (!reap(peer))
        return false;
    *death = (struct peer_death){.qemu = last_words(peer, words, sizeof(words))};
    if (WIFSIGNALED(peer->status))
        death->signal = WTERMSIG(peer->status);
    else
        death->code = WEXITSTATUS(peer->status);
    death->qemu = death->qemu || !death->signal;
    const char *who = death->qemu ? "QEMU" : "pvusb-usbfs";
    if (death->signal)
        snprintf(death->text, sizeof(death->text), "%s was ended by signal %d (%s)%s%s", who, death->signal,
                 strsignal(death->signal), *words ? "; it said: " : "", words);
    else
        snprintf(death->text, sizeof(death->text), "%s ended with exit code %d%s%s", who, death->code,
                 *words ? "; it said: " : "", words);
    return true;
}

/* ---- the end ---- */

static bool wait_for_end(struct peer *peer)
{
    uint64_t end = loop_now_ns() + PEER_PATIENCE_MS * NS_PER_MS;
    struct loop loop;
    while (!reap(peer)) {
        loop_clear(&loop);
        loop_add(&loop, peer->alive);
        if (loop_wait(&loop, end) || loop_now_ns() >= end)
            return reap(peer);
    }
    return true;
}

/* What a leader that was killed has left behind dies with it; not at once. */
static void wait_for_group(const struct peer *peer)
{
    uint64_t end = loop_now_ns() + PEER_PATIENCE_MS * NS_PER_MS;
    while (kill(-peer->group, SIGKILL) == 0 && loop_now_ns() < end)
        (void)poll(NULL, 0, 1);
}

static int end(struct peer *peer)
{
    int rc = 0;
    if (reap(peer))
        return -ECHILD;
    kill(peer->pid, SIGTERM);
    if (!wait_for_end(peer)) {
        rc = -ETIMEDOUT;
        kill(-peer->group, SIGKILL);
        while (waitpid(peer->pid, &peer->status, 0) < 0 && errno == EINTR)
            ;
        peer->pid = 0;
    }
    return rc;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

int peer_stop(struct peer *peer)
{
    if (!peer)
        return 0;
    int rc = peer->group ? end(peer) : 0;
    if (peer->group)
        wait_for_group(peer);
    close_fd(peer->alive);
    close_fd(peer->control);
    close_fd(peer->said);
    if (peer->dir[0])
        tree_remove(peer->dir);
    free(peer);
    return rc;
}
