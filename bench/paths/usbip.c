// SPDX-License-Identifier: MIT
/*
 * USB/IP over TCP on the loopback: the devices are in a server process, each with a connection of its own as
 * Linux has them, and each guest's controller is the clients of its devices. Both ends sleep until bytes
 * come; what is queued goes out with one system call.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/devices.h"
#include "bench/paths/paths.h"
#include "process/loop.h"
#include "usbip/client.h"
#include "usbip/server.h"
#include "usbip/vhci.h"

#define CLIENTS_MAX (BENCH_GUESTS_MAX * 31u)
#define NS_PER_S    UINT64_C(1000000000)

struct over_tcp {
    struct bench_session session; /* first */
    pid_t server;
    struct usbip_vhci *vhci[BENCH_GUESTS_MAX];
    struct usbip_client *client[CLIENTS_MAX];
    struct pollfd poll[CLIENTS_MAX];
    unsigned int nr_clients;
};

/* ---- the server's process ---- */

/* Until it ends; or, before there is a client, until all devices can be had, which with a bus takes its time. */
static void serve(struct usbip_server *server, bool until_ready)
{
    while (!until_ready || !usbip_server_ready(server)) {
        uint64_t now = loop_now_ns();
        if (usbip_server_step(server, now))
            return;
        uint64_t due = usbip_server_deadline(server);
        if (until_ready && due == UINT64_MAX)
            return; /* nothing comes any more: the client will be told */
        usbip_server_wait(server, due == UINT64_MAX ? due : due > now ? due - now : 0);
    }
}

static void run_server(const struct bench_setup *setup, int pipe)
{
    struct bench_devices *devices;
    struct usbip_server *server;
    uint16_t port;
    bench_become_device_side(setup);
    if (bench_devices_create(setup, &devices))
        return;
    const struct usbip_server_config config = {.host = bench_devices_host(devices)};
    if (usbip_server_create(&config, &server))
        return;
    for (unsigned int i = 0; i < setup->guests * setup->devices; i++) {
        char busid[32];
        bench_busid(i / setup->devices, i % setup->devices, busid, sizeof(busid));
        if (usbip_server_export(server, busid))
            return;
    }
    serve(server, true);
    if (usbip_server_listen(server, "127.0.0.1", 0, &port) ||
        write(pipe, &port, sizeof(port)) != sizeof(port))
        return;
    close(pipe);
    serve(server, false);
}

/* The port, when it listens. */
static int start_server(struct over_tcp *tcp, const struct bench_setup *setup, uint16_t *port)
{
    int fd[2];
    if (pipe(fd))
        return -errno;
    tcp->server = fork();
    if (tcp->server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fd[0]);
        run_server(setup, fd[1]);
        _exit(1);
    }
    int rc = tcp->server < 0 ? -errno : 0;
    close(fd[1]);
    if (!rc && read(fd[0], port, sizeof(*port)) != sizeof(*port))
        rc = -ECHILD;
    close(fd[0]);
    return rc;
}

/* ---- the guests' side ---- */

static int tcp_step(struct bench_session *session, uint64_t now_ns)
{
    struct over_tcp *tcp = (struct over_tcp *)session;
    for (unsigned int i = 0; i < tcp->nr_clients; i++) {
        struct usbip_client *client = tcp->client[i];
        if (!tcp->poll[i].revents && usbip_client_deadline(client) != 0)
            continue;
        tcp->poll[i].revents = 0;
        (void)usbip_client_step(client, now_ns);
        if (usbip_client_status(client))
            return usbip_client_status(client);
    }
    return 0;
}

static int tcp_wait(struct bench_session *session, uint64_t until_ns)
{
    struct over_tcp *tcp = (struct over_tcp *)session;
    for (unsigned int i = 0; i < tcp->nr_clients; i++) {
        if (usbip_client_deadline(tcp->client[i]) == 0)
            return 0;
        tcp->poll[i].fd = usbip_client_fd(tcp->client[i]);
        tcp->poll[i].events = usbip_client_events(tcp->client[i]);
    }
    uint64_t now = until_ns == UINT64_MAX ? 0 : loop_now_ns();
    uint64_t left = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / NS_PER_S), .tv_nsec = (long)(left % NS_PER_S)};
    if (ppoll(tcp->poll, tcp->nr_clients, until_ns == UINT64_MAX ? NULL : &timeout, NULL) < 0 &&
        errno != EINTR)
        return -errno;
    return 0;
}

/* Each byte is copied by the device, into the kernel and out of it. Each command and each answer is a
 * message. */
static void tcp_counters(struct bench_session *session, struct bench_counters *out)
{
    struct over_tcp *tcp = (struct over_tcp *)session;
    *out = (struct bench_counters){0};
    for (unsigned int i = 0; i < tcp->nr_clients; i++) {
        struct usbip_client_stats stats = usbip_client_stats(tcp->client[i]);
        uint64_t messages = 2 * (stats.urbs + stats.unlinks);
        uint64_t bytes = stats.bytes_in + stats.bytes_out, heads = messages * USBIP_HEADER_SIZE;
        out->notifications += messages;
        out->copied += bytes > heads ? 3 * (bytes - heads) : 0;
    }
}

static void tcp_close(struct bench_session *session)
{
    struct over_tcp *tcp = (struct over_tcp *)session;
    for (unsigned int g = 0; g < BENCH_GUESTS_MAX; g++)
        usbip_vhci_destroy(tcp->vhci[g]);
    for (unsigned int i = 0; i < tcp->nr_clients; i++) {
        usbip_client_close(tcp->client[i]);
        (void)usbip_client_step(tcp->client[i], loop_now_ns());
        usbip_client_destroy(tcp->client[i]);
    }
    if (tcp->server > 0) {
        kill(tcp->server, SIGKILL);
        (void)waitpid(tcp->server, NULL, 0);
    }
    free(tcp);
}

static const struct bench_session_ops tcp_ops = {
    .step = tcp_step,
    .wait = tcp_wait,
    .counters = tcp_counters,
    .close = tcp_close,
};

static int connect_guest(struct over_tcp *tcp, const struct bench_setup *setup, unsigned int guest,
                         uint16_t port)
{
    struct usbip_client **clients = tcp->client + tcp->nr_clients;
    for (unsigned int d = 0; d < setup->devices; d++) {
        char busid[32];
        int fd;
        bench_busid(guest, d, busid, sizeof(busid));
        int rc = usbip_connect("127.0.0.1", port, 5000, &fd);
        if (!rc)
            rc = usbip_client_create(fd, busid, NULL, NULL, &clients[d]);
        if (rc)
            return rc;
        tcp->nr_clients++;
    }
    int rc = usbip_vhci_create(clients, setup->devices, &tcp->vhci[guest]);
    if (!rc)
        tcp->session.hcd[guest] = usbip_vhci_hcd(tcp->vhci[guest]);
    return rc;
}

static int tcp_open(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    uint16_t port = 0;
    struct over_tcp *tcp = calloc(1, sizeof(*tcp));
    int rc = tcp ? start_server(tcp, setup, &port) : -ENOMEM;
    for (unsigned int g = 0; !rc && g < setup->guests; g++)
        rc = connect_guest(tcp, setup, g, port);
    if (rc) {
        snprintf(why, BENCH_WHY_MAX, "the server: %s", strerror(-rc));
        if (tcp)
            tcp_close(&tcp->session);
        return rc;
    }
    tcp->session.ops = &tcp_ops;
    tcp->session.queue = 16;
    tcp->session.process[0] = tcp->server;
    tcp->session.nr_processes = 1;
    *out = &tcp->session;
    return 0;
}

const struct bench_path bench_usbip = {
    .name = "usbip-tcp",
    .what = "USB/IP over TCP on the loopback, its server in a process of its own",
    .scales = true,
    .open = tcp_open,
};
