// SPDX-License-Identifier: MIT
#include "usbfs/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/kinds.h"
#include "cli/numbers.h"
#include "devices/keyboard.h"

const char control_help[] =
    "Commands on the control socket, one per line; the answer is a line \"ok\" or \"error REASON\":\n"
    "  plug BUSID KIND   plug a device in\n"
    "  unplug BUSID      pull it out\n"
    "  type BUSID TEXT   type on the keyboard there\n"
    "  halt BUSID EP     halt an endpoint, for example 0x81\n"
    "  stats             what programs have done: ok ioctls=N submitted=N reaped=N empty=N ...\n"
    "  pid               the process id of CMD: ok N\n"
    "  stop              end CMD with SIGTERM\n"
    "\n";

/* A peer that does not read its answers loses them. */
static void __attribute__((format(printf, 2, 3))) answer(int fd, const char *format, ...)
{
    char line[CONTROL_LINE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof(line) - 1 ? (size_t)n : sizeof(line) - 2;
    line[length++] = '\n';
    (void)send(fd, line, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void plug(struct control *control, int fd, char *busid, char *kind)
{
    char text[CONTROL_LINE_MAX + 2];
    char error[KIND_ERROR_MAX];
    snprintf(text, sizeof(text), "%s=%s", busid, kind);
    if (bus_plug(control->bus, text, error))
        answer(fd, "error %s", error);
    else
        answer(fd, "ok");
}

static void unplug(struct control *control, int fd, char *busid, char *rest)
{
    (void)rest;
    int rc = bus_unplug(control->bus, busid);
    if (rc)
        answer(fd, "error %s: %s", busid, strerror(-rc));
    else
        answer(fd, "ok");
}

static void type(struct control *control, int fd, char *busid, char *text)
{
    struct usb_device *device = bus_device(control->bus, busid);
    int rc = device ? keyboard_type(device, text) : -ENODEV;
    if (rc)
        answer(fd, "error %s: %s", busid, strerror(-rc));
    else
        answer(fd, "ok");
}

static void halt(struct control *control, int fd, char *busid, char *endpoint)
{
    struct usb_device *device = bus_device(control->bus, busid);
    unsigned int address;
    char end;
    if (!device) {
        answer(fd, "error %s: %s", busid, strerror(ENODEV));
    } else if (sscanf(endpoint, "%x%c", &address, &end) != 1 || address & ~0x8fu || (address & 0xfu) == 0) {
        answer(fd, "error '%s' is not the address of an endpoint", endpoint);
    } else {
        device_halt(device, (uint8_t)address);
        answer(fd, "ok");
    }
}

static void stats(struct control *control, int fd, char *busid, char *rest)
{
    struct bus_stats s = bus_stats(control->bus);
    (void)busid;
    (void)rest;
    answer(fd, "ok ioctls=%llu submitted=%llu reaped=%llu empty=%llu discarded=%llu clients=%llu open=%u",
           (unsigned long long)s.ioctls, (unsigned long long)s.submitted, (unsigned long long)s.reaped,
           (unsigned long long)s.empty, (unsigned long long)s.discarded, (unsigned long long)s.clients,
           s.open);
}

static void pid(struct control *control, int fd, char *busid, char *rest)
{
    (void)busid;
    (void)rest;
    answer(fd, "ok %d", (int)control->pid);
}

static void stop(struct control *control, int fd, char *busid, char *rest)
{
    (void)busid;
    (void)rest;
    control->stop = true;
    answer(fd, "ok");
}

static const struct {
    const char *name;
    unsigned int words; /* after the name; the last takes the rest of the line */
    void (*run)(struct control *control, int fd, char *busid, char *rest);
} commands[] = {
    {"plug", 2, plug},   {"unplug", 1, unplug}, {"type", 2, type}, {"halt", 2, halt},
    {"stats", 0, stats}, {"pid", 0, pid},       {"stop", 0, stop},
};

static char *next_word(char **rest)
{
    char *word = *rest;
    char *blank = strchr(word, ' ');
    if (blank)
        *blank++ = '\0';
    *rest = blank ? blank : word + strlen(word);
    return word;
}

static void obey(struct control *control, int fd, char *line)
{
    char *rest = line;
    char *name = next_word(&rest);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(name, commands[i].name) != 0)
            continue;
        char *busid = commands[i].words > 0 ? next_word(&rest) : rest;
        if (commands[i].words > 0 && (!*busid || (commands[i].words == 1) != !*rest))
            answer(fd, "error %s takes %u words", name, commands[i].words);
        else
            commands[i].run(control, fd, busid, rest);
        return;
    }
    answer(fd, "error there is no command '%s'", name);
}

/* ---- connections ---- */

static void add_peer(struct control *control, int fd)
{
    for (unsigned int i = 0; i < CONTROL_PEERS_MAX; i++) {
        if (control->peer[i].fd >= 0)
            continue;
        control->peer[i].fd = fd;
        control->peer[i].n = 0;
        return;
    }
    close(fd);
}

static void drop_peer(struct control_peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
}

static void serve(struct control *control, struct control_peer *peer)
{
    ssize_t got = recv(peer->fd, peer->line + peer->n, sizeof(peer->line) - peer->n, MSG_DONTWAIT);
    char *end;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        drop_peer(peer);
        return;
    }
    peer->n += (size_t)got;
    while ((end = memchr(peer->line, '\n', peer->n))) {
        size_t used = (size_t)(end - peer->line) + 1;
        *end = '\0';
        obey(control, peer->fd, peer->line);
        peer->n -= used;
        memmove(peer->line, peer->line + used, peer->n);
    }
    if (peer->n == sizeof(peer->line))
        drop_peer(peer);
}

static int listen_at(struct control *control, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (control->listener < 0)
        return -errno;
    if (bind(control->listener, (const struct sockaddr *)&address, sizeof(address)))
        return -errno;
    control->path = path;
    return listen(control->listener, 8) ? -errno : 0;
}

int control_open(struct control *control, struct bus *bus, const char *where)
{
    uint64_t fd;
    *control = (struct control){.bus = bus, .listener = -1};
    for (unsigned int i = 0; i < CONTROL_PEERS_MAX; i++)
        control->peer[i].fd = -1;
    if (!where)
        return 0;
    if (parse_number(where, 0, INT32_MAX, &fd)) {
        int rc = listen_at(control, where);
        if (rc)
            control_close(control);
        return rc;
    }
    if (fcntl((int)fd, F_SETFD, FD_CLOEXEC))
        return -errno;
    add_peer(control, (int)fd);
    return 0;
}

void control_close(struct control *control)
{
    for (unsigned int i = 0; i < CONTROL_PEERS_MAX; i++) {
        if (control->peer[i].fd >= 0)
            drop_peer(&control->peer[i]);
    }
    if (control->listener >= 0)
        close(control->listener);
    if (control->path)
        unlink(control->path);
    control->listener = -1;
    control->path = NULL;
}

void control_wait(const struct control *control, struct loop *loop)
{
    loop_add(loop, control->listener);
    for (unsigned int i = 0; i < CONTROL_PEERS_MAX; i++)
        loop_add(loop, control->peer[i].fd);
}

void control_step(struct control *control, const struct loop *loop)
{
    for (unsigned int i = 0; i < CONTROL_PEERS_MAX; i++) {
        if (control->peer[i].fd >= 0 && loop_ready(loop, control->peer[i].fd))
            serve(control, &control->peer[i]);
    }
    if (control->listener >= 0 && loop_ready(loop, control->listener)) {
        int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            add_peer(control, fd);
    }
}
