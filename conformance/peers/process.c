// SPDX-License-Identifier: MIT
/* Our backend as the program that users run, on a machine that is a process, too. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "far_machine.h"
#include "peer.h"

#define READY_MS 10000

struct process {
    struct peer peer;
    struct far_machine far;
    char program[PATH_MAX];
    pid_t pid; /* 0 while there is none */
    int out;   /* its stdout */
    int said;  /* memfd: its stderr */
};

static struct process *of(struct peer *peer)
{
    return (struct process *)(void *)peer;
}

static const char *process_abilities(enum conform_role role)
{
    return role == CONFORM_BACKEND ? "device toolstack iso restart guests" : NULL;
}

/* pvusb in the folder PVUSB_BIN, else beside this program. */
static int find_program(struct process *p, char error[PEER_ERROR_MAX])
{
    char self[PATH_MAX - 16];
    const char *bin = getenv("PVUSB_BIN");
    if (!bin) {
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        self[n < 0 ? 0 : n] = '\0';
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
        bin = self;
    }
    snprintf(p->program, sizeof(p->program), "%.4000s/pvusb", bin);
    if (access(p->program, X_OK) == 0)
        return 0;
    snprintf(error, PEER_ERROR_MAX, "%.200s: pvusb is not there", bin);
    return -ENOENT;
}

static void process_close(struct peer *peer)
{
    peer->ops->kill(peer);
    if (of(peer)->said >= 0)
        close(of(peer)->said);
    far_machine_close(&of(peer)->far);
    free(peer);
}

static int process_open(const struct peer_config *config, struct peer **out, char error[PEER_ERROR_MAX])
{
    char line[FAMILY_ERROR_MAX] = "out of memory";
    struct process *p = calloc(1, sizeof(*p));
    int rc = p ? find_program(p, error) : -ENOMEM;
    if (rc) {
        free(p);
        return rc;
    }
    rc = far_machine_open(&p->far, line);
    if (rc) {
        snprintf(error, PEER_ERROR_MAX, "%.*s", (int)PEER_ERROR_MAX - 1, line);
        free(p);
        return rc;
    }
    p->peer.ops = &peer_process;
    p->peer.config = *config;
    p->out = -1;
    p->said = memfd_create("peer", MFD_CLOEXEC);
    *out = &p->peer;
    return 0;
}

static _Noreturn void run(const struct process *p, int out, pid_t parent)
{
    char xen[sizeof(p->far.family.dir) + 8];
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(out, STDOUT_FILENO);
    if (p->said >= 0)
        dup2(p->said, STDERR_FILENO);
    snprintf(xen, sizeof(xen), "fake:%s", p->far.family.dir);
    execl(p->program, "pvusb", "backend", "--xen", xen, "--device", "1-1=probe", "--device", "1-2=probe", "--device",
          "1-3=probe", "--device", "1-4=probe", (char *)NULL);
    _exit(127);
}

/* Its first line says that it is ready. */
static bool is_ready(const struct process *p)
{
    struct pollfd out = {.fd = p->out, .events = POLLIN};
    char line[64];
    return poll(&out, 1, READY_MS) == 1 && read(p->out, line, sizeof(line)) > 0;
}

static int process_start(struct peer *peer, char error[PEER_ERROR_MAX])
{
    struct process *p = of(peer);
    pid_t parent = getpid();
    int out[2];
    if (pipe2(out, O_CLOEXEC)) {
        snprintf(error, PEER_ERROR_MAX, "a pipe: %s", strerror(errno));
        return -errno;
    }
    fflush(NULL);
    p->pid = fork();
    if (p->pid == 0)
        run(p, out[1], parent);
    close(out[1]);
    p->out = out[0];
    if (p->pid > 0 && is_ready(p))
        return 0;
    if (p->pid <= 0 || !peer->ops->died(peer, error))
        snprintf(error, PEER_ERROR_MAX, "pvusb backend does not say that it is ready");
    peer->ops->kill(peer);
    return -ECHILD;
}

static void process_kill(struct peer *peer)
{
    struct process *p = of(peer);
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    p->pid = 0;
    if (p->out >= 0)
        close(p->out);
    p->out = -1;
}

/* The last line of what it said. */
static void last_words(const struct process *p, char line[PEER_ERROR_MAX / 2])
{
    char text[PEER_ERROR_MAX / 2] = "";
    off_t size = lseek(p->said, 0, SEEK_END);
    off_t from = size > (off_t)sizeof(text) - 1 ? size - (off_t)sizeof(text) + 1 : 0;
    ssize_t n = size > 0 ? pread(p->said, text, sizeof(text) - 1, from) : 0;
    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n > 0 ? n : 0] = '\0';
    const char *last = strrchr(text, '\n');
    snprintf(line, PEER_ERROR_MAX / 2, "%s", last ? last + 1 : text);
}

static bool process_died(struct peer *peer, char line[PEER_ERROR_MAX])
{
    struct process *p = of(peer);
    char words[PEER_ERROR_MAX / 2];
    int status;
    if (p->pid <= 0 || waitpid(p->pid, &status, WNOHANG) != p->pid)
        return false;
    p->pid = 0;
    last_words(p, words);
    if (WIFSIGNALED(status))
        snprintf(line, PEER_ERROR_MAX, "signal %d, %s; %s", WTERMSIG(status), strsignal(WTERMSIG(status)), words);
    else
        snprintf(line, PEER_ERROR_MAX, "exit %d; %s", WEXITSTATUS(status), words);
    return true;
}

static bool process_turn(struct peer *peer, int fd, uint64_t until_ns, bool advance)
{
    (void)peer;
    (void)advance;
    return far_turn(fd, until_ns);
}

static uint64_t process_now(struct peer *peer)
{
    (void)peer;
    return far_now();
}

static struct xen_machine *process_machine(struct peer *peer)
{
    return of(peer)->far.machine;
}

const struct peer_ops peer_process = {
    .name = "process",
    .abilities_for = process_abilities,
    .open = process_open,
    .close = process_close,
    .start = process_start,
    .kill = process_kill,
    .died = process_died,
    .turn = process_turn,
    .now = process_now,
    .machine = process_machine,
};
