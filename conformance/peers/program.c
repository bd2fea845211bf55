// SPDX-License-Identifier: MIT
#include "program.h"

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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/loop.h"

#define READY_MS 10000

void program_init(struct program *program)
{
    *program = (struct program){.in = -1, .out = -1, .said = memfd_create("peer", MFD_CLOEXEC)};
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static _Noreturn void run(const struct program *program, const char *const argv[], int in, int out, pid_t parent)
{
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    if (program->said >= 0)
        dup2(program->said, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static int start(struct program *program, const char *const argv[], const int in[2], const int out[2])
{
    pid_t parent = getpid();
    fflush(NULL);
    program->pid = fork();
    if (program->pid == 0)
        run(program, argv, in[0], out[1], parent);
    if (program->pid < 0) {
        program->pid = 0;
        return -EAGAIN;
    }
    program->in = in[1] < 0 ? -1 : fcntl(in[1], F_DUPFD_CLOEXEC, 0);
    program->out = fcntl(out[0], F_DUPFD_CLOEXEC, 0);
    return 0;
}

int program_start(struct program *program, const char *const argv[], bool talk, char error[PEER_ERROR_MAX])
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    int rc = pipe2(out, O_CLOEXEC) || (talk && pipe2(in, O_CLOEXEC)) ? -errno : 0;
    if (!rc && !talk)
        in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!rc)
        rc = start(program, argv, in, out);
    for (unsigned int i = 0; i < 2; i++) {
        close_fd(&in[i]);
        close_fd(&out[i]);
    }
    if (rc)
        snprintf(error, PEER_ERROR_MAX, "%.100s cannot be started: %s", argv[0], strerror(-rc));
    return rc;
}

int program_wait(struct program *program, const char *what, char error[PEER_ERROR_MAX])
{
    struct pollfd out = {.fd = program->out, .events = POLLIN};
    if (poll(&out, 1, READY_MS) == 1 && out.revents & POLLIN)
        return 0;
    /* The end of its stdout may be seen before its own. */
    (void)program_finish(program, UINT64_C(100000000), error);
    if (program->pid)
        snprintf(error, PEER_ERROR_MAX, "%s does not say that it is ready", what);
    program_kill(program);
    return -ECHILD;
}

int program_finish(struct program *program, uint64_t timeout_ns, char error[PEER_ERROR_MAX])
{
    int ended = (int)syscall(SYS_pidfd_open, program->pid, 0);
    struct loop loop;
    loop_clear(&loop);
    loop_add(&loop, ended);
    (void)loop_wait(&loop, loop_now_ns() + timeout_ns);
    close_fd(&ended);
    if (!program_died(program, error)) {
        snprintf(error, PEER_ERROR_MAX, "it does not end");
        return -ETIMEDOUT;
    }
    return strncmp(error, "exit 0;", 7) == 0 ? 0 : -ECHILD;
}

void program_kill(struct program *program)
{
    if (program->pid > 0) {
        kill(program->pid, SIGKILL);
        while (waitpid(program->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    program->pid = 0;
    close_fd(&program->in);
    close_fd(&program->out);
}

/* The last line of what it said. */
static void last_words(const struct program *program, char line[PEER_ERROR_MAX / 2])
{
    char text[PEER_ERROR_MAX / 2] = "";
    off_t size = lseek(program->said, 0, SEEK_END);
    off_t from = size > (off_t)sizeof(text) - 1 ? size - (off_t)sizeof(text) + 1 : 0;
    ssize_t n = size > 0 ? pread(program->said, text, sizeof(text) - 1, from) : 0;
    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n > 0 ? n : 0] = '\0';
    const char *last = strrchr(text, '\n');
    snprintf(line, PEER_ERROR_MAX / 2, "%s", last ? last + 1 : text);
}

bool program_died(struct program *program, char line[PEER_ERROR_MAX])
{
    char words[PEER_ERROR_MAX / 2];
    int status;
    if (program->pid <= 0 || waitpid(program->pid, &status, WNOHANG) != program->pid)
        return false;
    program->pid = 0;
    last_words(program, words);
    if (WIFSIGNALED(status))
        snprintf(line, PEER_ERROR_MAX, "signal %d, %s; %s", WTERMSIG(status), strsignal(WTERMSIG(status)), words);
    else
        snprintf(line, PEER_ERROR_MAX, "exit %d; %s", WEXITSTATUS(status), words);
    return true;
}

void program_close(struct program *program)
{
    program_kill(program);
    close_fd(&program->said);
}

bool program_found(const char *name)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/'))
        return access(name, X_OK) == 0;
    for (const char *p = path ? path : ""; *p; p += strcspn(p, ":"), p += *p == ':') {
        char file[PATH_MAX];
        snprintf(file, sizeof(file), "%.*s/%.255s", (int)strcspn(p, ":"), p, name);
        if (access(file, X_OK) == 0)
            return true;
    }
    return false;
}
