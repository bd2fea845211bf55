// SPDX-License-Identifier: MIT
/*
 * Bugs of the C xenstored of Xen 4.17, each shown on a machine of its own (pvusb host --xenstored genuine),
 * and for comparison at our own store.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fakexen/fakexen.h>
#include <xen/io/xs_wire.h>

#include "process/self.h"
#include "process/tree.h"

#define XENSTORED   "/usr/lib/xen-4.17/bin/xenstored"
#define PATIENCE_MS 5000
#define SILENCE_MS  300
enum { EXIT_SHOWN = 0, EXIT_NOT_SHOWN = 1, EXIT_USAGE = 2, EXIT_SKIPPED = 77 };

struct store {
    pid_t pid;  /* of the host */
    int output; /* what it says */
    char dir[80];
    struct xen_machine *machine;
    int socket; /* to the store, in domain 0 */
};

/* The next message; its payload gets a NUL behind it. False at the end of the connection. */
static bool receive(int fd, struct xsd_sockmsg *header, char *payload)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, PATIENCE_MS) <= 0 ||
        recv(fd, header, sizeof(*header), MSG_WAITALL) != sizeof(*header) ||
        header->len > XENSTORE_PAYLOAD_MAX)
        return false;
    payload[header->len] = '\0';
    return !header->len || recv(fd, payload, header->len, MSG_WAITALL) == (ssize_t)header->len;
}

/* Sends one message and gets the payload of its answer; false when there is none. */
static bool ask_in(const struct store *store, uint32_t transaction, uint32_t type, const void *payload,
                   size_t length, char *answer)
{
    struct xsd_sockmsg header = {.type = type, .tx_id = transaction, .len = (uint32_t)length};
    answer[0] = '\0';
    if (send(store->socket, &header, sizeof(header), MSG_NOSIGNAL) < 0 ||
        send(store->socket, payload, length, MSG_NOSIGNAL) < 0)
        return false;
    do {
        if (!receive(store->socket, &header, answer))
            return false;
    } while (header.type == XS_WATCH_EVENT);
    return true;
}

static bool ask(const struct store *store, uint32_t type, const void *payload, size_t length, char *answer)
{
    return ask_in(store, 0, type, payload, length, answer);
}

/* ---- the bugs ---- */

enum outcome {
    OTHER, /* no answer, or it did not come that far */
    RIGHT,
    WRONG,
};

static enum outcome read_nothing(struct store *store)
{
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    return !ask(store, XS_READ, "", 0, answer) ? OTHER : strcmp(answer, "EINVAL") == 0 ? RIGHT : WRONG;
}

static enum outcome read_watched(struct store *store)
{
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    return ask(store, XS_WATCH, "/\0token", 8, answer) ? read_nothing(store) : OTHER;
}

static enum outcome target_gone(struct store *store)
{
    const struct xen_machine_ops *ops = store->machine->ops;
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    if (ops->domain_create(store->machine, 1) || ops->domain_create(store->machine, 3) ||
        !ask(store, XS_SET_TARGET, "1\0003", 4, answer) || strcmp(answer, "OK") != 0 ||
        ops->domain_destroy(store->machine, 3) || ops->domain_create(store->machine, 3))
        return OTHER;
    return ask(store, XS_GET_DOMAIN_PATH, "3", 2, answer) ? RIGHT : OTHER;
}

/* A folder that the transaction has looked at, and its parent only when the folder has been removed. */
static enum outcome changed_remove(struct store *store)
{
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    char end[XENSTORE_PAYLOAD_MAX + 1];
    if (!ask(store, XS_WRITE, "/known/folder\0", 14, answer) ||
        !ask(store, XS_TRANSACTION_START, "", 1, answer))
        return OTHER;
    const uint32_t t = (uint32_t)strtoul(answer, NULL, 10);
    if (!t || !ask_in(store, t, XS_DIRECTORY, "/known/folder", 14, answer) || *answer ||
        !ask(store, XS_RM, "/known/folder", 14, answer) || strcmp(answer, "OK") != 0 ||
        !ask_in(store, t, XS_RM, "/known/folder", 14, answer) ||
        !ask_in(store, t, XS_TRANSACTION_END, "T", 2, end) || strcmp(end, "EAGAIN") != 0)
        return OTHER;
    return strcmp(answer, "OK") == 0 ? RIGHT : WRONG;
}

static const struct known {
    const char *id, *rule, *observed;
    bool dies;
    enum outcome (*steps)(struct store *store);
} all[] = {
    {"read-nothing", "XS_READ without a path is EINVAL.", "the error of what failed before", false,
     read_nothing},
    {"read-watched", "The same after a watch was set.", "no error to tell, and an assertion fails", true,
     read_watched},
    {"target-gone", "A domain that is another one's target may end and be made anew.", "SIGSEGV", true,
     target_gone},
    {"changed-remove", "Who is in whose way is said at the end of a transaction, by EAGAIN.",
     "EIO before that, in the midst of it", false, changed_remove},
};
#define COUNT (sizeof(all) / sizeof(all[0]))

/* ---- the host ---- */

static void run_host(const struct store *store, const char *program, bool own, int output)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execl(program, program, "host", "--dir", store->dir, "--xenstored", own ? "own" : "genuine",
          (char *)NULL);
    _exit(127);
}

/* What it says until `pattern`, or its end, or time is up. True for the pattern. */
static bool hear(const struct store *store, const char *pattern, char *text, size_t size, int ms)
{
    struct pollfd fd = {.fd = store->output, .events = POLLIN};
    size_t length = 0;
    text[0] = '\0';
    while (!strstr(text, pattern) && length + 1 < size && poll(&fd, 1, ms) > 0) {
        ssize_t n = read(store->output, text + length, size - 1 - length);
        if (n <= 0)
            break;
        length += (size_t)n;
        text[length] = '\0';
    }
    return strstr(text, pattern);
}

static bool start(struct store *store, const char *bin, const char *tmp, bool own, char *text, size_t size)
{
    char program[512];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int ends[2];
    snprintf(program, sizeof(program), "%s/pvusb", bin);
    snprintf(store->dir, sizeof(store->dir), "%s/m", tmp);
    if (pipe(ends))
        return false;
    fflush(NULL);
    store->pid = fork();
    if (store->pid == 0)
        run_host(store, program, own, ends[1]);
    close(ends[1]);
    store->output = ends[0];
    if (store->pid < 0 || !hear(store, "machine ready", text, size, PATIENCE_MS))
        return false;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/xenstored.socket", store->dir);
    store->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(store->socket, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
           fakexen_client_machine_create(store->dir, &store->machine) == 0;
}

static void stop(struct store *store)
{
    if (store->machine)
        fakexen_client_machine_destroy(store->machine);
    if (store->socket >= 0)
        close(store->socket);
    if (store->pid > 0) {
        kill(store->pid, SIGTERM);
        waitpid(store->pid, NULL, 0);
        close(store->output);
    }
}

static bool show(const struct known *known, const char *bin, const char *tmp, bool own)
{
    struct store store = {.socket = -1, .output = -1};
    char text[1024] = "";
    bool as_wanted = false;
    if (!start(&store, bin, tmp, own, text, sizeof(text))) {
        printf("%-14s the host did not begin: %s\n", known->id, text);
    } else {
        enum outcome outcome = known->steps(&store);
        bool died = hear(&store, "xenstored was killed", text, sizeof(text), SILENCE_MS);
        bool shows = known->dies ? died : outcome == WRONG && !died;
        as_wanted = own ? outcome == RIGHT && !died : shows;
        printf("%-14s %s%s%s\n    %s xenstored: %s\n", known->id,
               shows ? "shows"
               : own ? "does not show"
                     : "does not show: fixed?",
               died ? ": " : "", died ? strtok(text, "\n") : "", known->rule, known->observed);
    }
    stop(&store);
    return as_wanted;
}

int main(int argc, char **argv)
{
    static const char usage[] =
        "Usage: known-xenstored-4.17 [--list | --own] [BUG]\n\n"
        "Shows bugs of the C xenstored of Xen 4.17, all or one; with --own that our store has none of them.\n"
        "Exit code: 0 as recorded, 1 not, 2 usage, 77 package xen-utils-4.17 is missing\n";
    bool own = argc > 1 && strcmp(argv[1], "--own") == 0;
    const char *only = argc > 1 + own ? argv[1 + own] : NULL;
    bool help = only && strcmp(only, "--help") == 0;
    char self[400];
    char tmp[64];
    unsigned int ran = 0;
    int code = EXIT_SHOWN;
    if (only && strcmp(only, "--list") == 0) {
        for (size_t i = 0; i < COUNT; i++)
            printf("%-14s %s xenstored: %s\n", all[i].id, all[i].rule, all[i].observed);
        return 0;
    }
    self_folder(self, sizeof(self));
    if (!own && access(XENSTORED, X_OK)) {
        puts("skip: package xen-utils-4.17 is missing");
        return EXIT_SKIPPED;
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (only && strcmp(only, all[i].id) != 0)
            continue;
        ran++;
        if (tree_create(tmp, sizeof(tmp), "known"))
            return EXIT_NOT_SHOWN;
        if (!show(&all[i], self, tmp, own))
            code = EXIT_NOT_SHOWN;
        tree_remove(tmp);
    }
    if (!ran)
        fputs(usage, help ? stdout : stderr);
    return ran || help ? code : EXIT_USAGE;
}
