// SPDX-License-Identifier: MIT
/*
 * The genuine xenstored as a child process, and what a toolstack tells it of domains: one job after the other, each a
 * few requests sent at once. Nothing here waits.
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../xenstore/home.h"
#include "genuine.h"

/* Each is followed by the next, or was the last. */
enum job_kind { JOB_BEGIN, JOB_HOME, JOB_INTRODUCE, JOB_REMOVE, JOB_RELEASE };

/* One domain to be made or ended. */
struct job {
    struct job *next;
    struct host_client *client; /* who has the answer; NULL if nobody */
    struct host_domain *domain;
    enum job_kind kind;
    bool begun;
    unsigned int unanswered;
    unsigned int tries;
    xen_transaction t;
    int rc;
};

struct host_genuine {
    struct host_source child; /* a pidfd */
    pid_t pid;
    int status; /* as of waitpid(); -1 while it lives */
    bool ready;
    struct host_source tools; /* to xenstored's socket; -1 before it listens */
    struct job *jobs;
    struct wire_out out;
    size_t have;
    uint8_t in[WIRE_MESSAGE_SIZE];
};

/* ---- the child ---- */

/* The number of domain 0's port as xenstored reads it from /proc/xen/xsd_port. */
static int port_file(const struct host_ring *ring, int *out)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%u", ring->port->evtchn.port);
    int fd = memfd_create("fakexen-xsd-port", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, text, (size_t)length) != length) {
        close(fd);
        return -EIO;
    }
    *out = fd;
    return 0;
}

/* Its name begins with that of one that the child is given anew. */
static bool replaced(const char *variable)
{
    static const char *const names[] = {"LD_LIBRARY_PATH=", "LD_PRELOAD=", "XENSTORED_", "FAKEXEN_"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

#define SET_MAX 8u
/* A home is made in a transaction, in whose way other clients of domain 0 may be. */
#define TRIES_MAX 100u

/* In a group of its own, as Ctrl-C is for the host, and without the signals blocked that the host blocks. */
static int spawn_with(struct host_genuine *genuine, const char *program, char *const argv[], char *environment[],
                      const int inherited[2])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    int rc = -posix_spawn_file_actions_init(&actions);
    if (rc)
        return rc;
    rc = -posix_spawnattr_init(&attributes);
    if (!rc) {
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
        /* To itself: it stays open in the child. */
        for (int i = 0; !rc && i < 2; i++)
            rc = -posix_spawn_file_actions_adddup2(&actions, inherited[i], inherited[i]);
        if (!rc)
            rc = -posix_spawn(&genuine->pid, program, &actions, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int spawn(struct host_genuine *genuine, const struct fakexen_xenstored *program, char *set[],
                 const int inherited[2])
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **environment = calloc(count + SET_MAX + 1, sizeof(char *));
    if (!environment)
        return -ENOMEM;
    char **at = environment;
    for (size_t i = 0; i < count; i++) {
        if (!replaced(environ[i]))
            *at++ = environ[i];
    }
    while (*set)
        *at++ = *set++;
    char name[] = "xenstored";
    char foreground[] = "-N";
    char internal[] = "--internal-db=on";
    char *const argv[] = {name, foreground, internal, NULL};
    int rc = spawn_with(genuine, program->program, argv, environment, inherited);
    free(environment);
    return rc;
}

/* The variables of the child that are not ours; to be freed one by one. -ENOMEM. */
static int make_variables(const struct fakexen_host *host, const struct fakexen_xenstored *program,
                          const int inherited[2], char *set[SET_MAX + 1])
{
    int made = asprintf(&set[0], "LD_LIBRARY_PATH=%s", program->libraries);
    made = made < 0 ? made : asprintf(&set[1], "LD_PRELOAD=%s", program->preload);
    made = made < 0 ? made : asprintf(&set[2], "XENSTORED_RUNDIR=%s", host->dir);
    made = made < 0 ? made : asprintf(&set[3], "XENSTORED_PATH=%s/xenstored.socket", host->dir);
    made = made < 0 ? made : asprintf(&set[4], "FAKEXEN_XSD_PORT=/proc/self/fd/%d", inherited[0]);
    made = made < 0 ? made : asprintf(&set[5], "FAKEXEN_XSD_KVA=/proc/self/fd/%d", inherited[1]);
    made = made < 0 ? made : asprintf(&set[6], "FAKEXEN_DIR=%s", host->dir);
    made = made < 0 ? made : asprintf(&set[7], "FAKEXEN_DOMID=0");
    return made < 0 ? -ENOMEM : 0;
}

static int start_child(struct fakexen_host *host, const struct fakexen_xenstored *program,
                       const struct host_ring *ring)
{
    char *set[SET_MAX + 1] = {NULL};
    int port = -1;
    int rc = port_file(ring, &port);
    if (rc)
        return rc;
    const int inherited[2] = {port, ring->granter->granter.fd};
    rc = make_variables(host, program, inherited, set);
    if (!rc)
        rc = spawn(host->genuine, program, set, inherited);
    for (unsigned int i = 0; i < SET_MAX; i++)
        free(set[i]);
    close(port);
    if (rc)
        return rc;
    host->genuine->child = (struct host_source){.kind = HOST_CHILD, .fd = pidfd_open(host->genuine->pid, 0)};
    return host->genuine->child.fd < 0 ? -errno : host_watch_source(host, &host->genuine->child);
}

int host_genuine_start(struct fakexen_host *host, const struct fakexen_xenstored *program)
{
    struct host_domain *domain0 = host_domain_find(host, 0);
    host->genuine = calloc(1, sizeof(*host->genuine));
    if (!host->genuine)
        return -ENOMEM;
    host->genuine->status = -1;
    host->genuine->child.fd = host->genuine->tools.fd = -1;
    int rc = host_ring_open(host, domain0, &domain0->ring);
    return rc ? rc : start_child(host, program, domain0->ring);
}

static int child_ended(struct host_genuine *genuine)
{
    if (genuine->pid > 0 && waitpid(genuine->pid, &genuine->status, WNOHANG) == genuine->pid)
        genuine->pid = 0;
    return -ECHILD;
}

void host_genuine_stop(struct fakexen_host *host)
{
    struct host_genuine *genuine = host->genuine;
    struct sockaddr_un address;
    if (!genuine)
        return;
    if (genuine->pid > 0) {
        /* It has nothing to put in order, and is gone at once. */
        kill(genuine->pid, SIGKILL);
        while (waitpid(genuine->pid, &genuine->status, 0) < 0 && errno == EINTR)
            ;
    }
    if (!host_xenstored_address(host, 0, &address))
        unlink(address.sun_path);
    if (genuine->child.fd >= 0)
        close(genuine->child.fd);
    if (genuine->tools.fd >= 0)
        close(genuine->tools.fd);
    while (genuine->jobs) {
        struct job *job = genuine->jobs;
        genuine->jobs = job->next;
        free(job);
    }
    wire_out_dispose(&genuine->out);
    free(genuine);
    host->genuine = NULL;
}

int fakexen_host_ready(const struct fakexen_host *host)
{
    if (!host->genuine)
        return 1;
    return host->genuine->pid > 0 ? host->genuine->ready : -ECHILD;
}

int fakexen_host_xenstored_status(const struct fakexen_host *host)
{
    return host->genuine ? host->genuine->status : -1;
}

bool host_genuine_is(const struct fakexen_host *host, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return host->genuine && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
           peer.pid == host->genuine->pid;
}

/* ---- requests ---- */

static int order(struct host_genuine *genuine, struct job *job, uint32_t type, const void *payload, size_t length)
{
    struct xsd_sockmsg header = {.type = type, .tx_id = job->t, .len = (uint32_t)length};
    int rc = wire_out_add(&genuine->out, &header, sizeof(header), payload, length);
    if (!rc)
        job->unanswered++;
    return rc;
}

/* The strings of a request, each with its NUL. */
struct text {
    size_t length;
    char data[256];
};

static void add(struct text *text, const char *string)
{
    size_t size = strlen(string) + 1;
    memcpy(text->data + text->length, string, size);
    text->length += size;
}

static int order_home_node(struct host_genuine *genuine, struct job *job, const struct xs_home_node *node)
{
    struct text make = {0};
    struct text perms = {0};
    add(&make, node->path);
    if (!node->folder)
        add(&make, node->value);
    /* A value has no NUL. */
    int rc = order(genuine, job, node->folder ? XS_MKDIR : XS_WRITE, make.data,
                   node->folder ? make.length : make.length - 1);
    if (rc || !node->perm_count)
        return rc;
    add(&perms, node->path);
    for (unsigned int i = 0; i < node->perm_count; i++) {
        char perm[WIRE_PERM_SIZE];
        wire_perm_format(&node->perms[i], perm);
        add(&perms, perm);
    }
    return order(genuine, job, XS_SET_PERMS, perms.data, perms.length);
}

static int order_home(struct host_genuine *genuine, struct job *job)
{
    struct xs_home_node nodes[XS_HOME_NODES];
    unsigned int count = xs_home_nodes(job->domain->domid, nodes);
    int rc = 0;
    for (unsigned int i = 0; !rc && i < count; i++)
        rc = order_home_node(genuine, job, &nodes[i]);
    return rc ? rc : order(genuine, job, XS_TRANSACTION_END, "T", 2);
}

static int order_introduce(struct host_genuine *genuine, struct job *job)
{
    struct text text = {0};
    char number[16];
    snprintf(number, sizeof(number), "%u", (unsigned int)job->domain->domid);
    add(&text, number);
    add(&text, "0");
    snprintf(number, sizeof(number), "%u", job->domain->ring->port->evtchn.port);
    add(&text, number);
    return order(genuine, job, XS_INTRODUCE, text.data, text.length);
}

static int order_named(struct host_genuine *genuine, struct job *job, uint32_t type, const char *prefix)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "%s%u", prefix, (unsigned int)job->domain->domid);
    return order(genuine, job, type, text, (size_t)length + 1);
}

static int send_orders(struct fakexen_host *host)
{
    struct host_genuine *genuine = host->genuine;
    while (genuine->out.length) {
        ssize_t sent = send(genuine->tools.fd, genuine->out.data, genuine->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        /* Its end is told by its descriptor. */
        if (sent < 0)
            break;
        wire_out_consume(&genuine->out, (size_t)sent);
    }
    struct epoll_event event = {.events = genuine->out.length ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                .data.ptr = &genuine->tools};
    return epoll_ctl(host->epoll, EPOLL_CTL_MOD, genuine->tools.fd, &event) ? -errno : 0;
}

/* ---- jobs ---- */

/* The hypervisor's part of a domain's end. xenstored learns of it by the VIRQ. */
static int release(struct fakexen_host *host, struct job *job)
{
    job->domain->there = false;
    host_evtchn_raise(host, VIRQ_DOM_EXC);
    /* Answered, with an error most likely, when it has learnt. */
    return order_named(host->genuine, job, XS_RELEASE, "");
}

static int begin(struct fakexen_host *host, struct job *job)
{
    struct host_genuine *genuine = host->genuine;
    int rc = -ENOSYS;
    job->begun = true;
    switch (job->kind) {
    case JOB_BEGIN:
        job->tries++;
        job->rc = 0;
        return order(genuine, job, XS_TRANSACTION_START, "", 1);
    case JOB_HOME:
        return order_home(genuine, job);
    case JOB_INTRODUCE:
        return order_introduce(genuine, job);
    case JOB_REMOVE:
        return order_named(genuine, job, XS_RM, "/local/domain/");
    case JOB_RELEASE:
        return release(host, job);
    }
    return rc;
}

static void drop_ring(struct fakexen_host *host, struct host_domain *domain)
{
    host_mux_close(domain->mux);
    domain->mux = NULL;
    host_ring_close(host, domain->ring);
    domain->ring = NULL;
}

/* The home is made, or is not. */
static bool finish_home(struct fakexen_host *host, struct job *job)
{
    job->t = XEN_XBT_NIL;
    if (job->rc == -EAGAIN && job->tries < TRIES_MAX)
        job->kind = JOB_BEGIN;
    else if (job->rc)
        job->kind = JOB_REMOVE;
    else
        job->kind = JOB_INTRODUCE;
    if (job->domain->domid || job->kind == JOB_BEGIN)
        return true;
    /* Domain 0 has been introduced by xenstored itself, and what it knows of its home is for the eye. */
    host->genuine->ready = true;
    return false;
}

/* All is answered. True when the job has something more to do. */
static bool finish(struct fakexen_host *host, struct job *job)
{
    struct host_domain *domain = job->domain;
    switch (job->kind) {
    case JOB_BEGIN:
        job->kind = JOB_HOME;
        return true;
    case JOB_HOME:
        return finish_home(host, job);
    case JOB_INTRODUCE:
        if (!job->rc)
            job->rc = host_xenstored_open(host, domain);
        domain->alive = !job->rc;
        job->kind = JOB_REMOVE;
        return job->rc;
    case JOB_REMOVE:
        job->kind = JOB_RELEASE;
        return true;
    case JOB_RELEASE:
        drop_ring(host, domain);
        return false;
    }
    return false;
}

/* Does what can be done of the jobs, and sends it. */
static int work(struct fakexen_host *host)
{
    struct host_genuine *genuine = host->genuine;
    while (genuine->jobs) {
        struct job *job = genuine->jobs;
        if (!job->begun) {
            int rc = begin(host, job);
            if (rc)
                return rc;
        }
        if (job->unanswered)
            break;
        if (finish(host, job)) {
            job->begun = false;
            continue;
        }
        if (job->client)
            host_client_answer(host, job->client, job->rc);
        genuine->jobs = job->next;
        free(job);
    }
    return send_orders(host);
}

static int job_add(struct fakexen_host *host, struct host_client *client, struct host_domain *domain,
                   enum job_kind kind)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return -ENOMEM;
    *job = (struct job){.client = client, .domain = domain, .kind = kind};
    struct job **last = &host->genuine->jobs;
    while (*last)
        last = &(*last)->next;
    *last = job;
    /* The first is begun at once; its answers begin the others. */
    if (host->genuine->jobs != job || host->genuine->tools.fd < 0)
        return HOST_LATER;
    int rc = work(host);
    if (rc)
        job->client = NULL;
    return rc ? rc : HOST_LATER;
}

int host_genuine_create(struct fakexen_host *host, struct host_client *client, struct host_domain *domain)
{
    int rc = host_ring_open(host, domain, &domain->ring);
    if (!rc)
        rc = host_mux_open(domain->ring, &domain->mux);
    if (rc) {
        drop_ring(host, domain);
        return rc;
    }
    domain->there = true;
    return job_add(host, client, domain, JOB_BEGIN);
}

int host_genuine_destroy(struct fakexen_host *host, struct host_client *client, struct host_domain *domain)
{
    return job_add(host, client, domain, JOB_REMOVE);
}

void host_genuine_forget(struct fakexen_host *host, const struct host_client *client)
{
    for (struct job *job = host->genuine ? host->genuine->jobs : NULL; job; job = job->next) {
        if (job->client == client)
            job->client = NULL;
    }
}

/* ---- what xenstored says ---- */

/* xenstored has introduced domain 0, and so listens. */
static int connect_tools(struct fakexen_host *host)
{
    struct host_genuine *genuine = host->genuine;
    struct sockaddr_un address;
    int rc = host_xenstored_address(host, 0, &address);
    if (rc)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
        rc = -errno;
        close(fd);
        return rc;
    }
    genuine->tools = (struct host_source){.kind = HOST_TOOLS, .fd = fd};
    rc = host_watch_source(host, &genuine->tools);
    if (rc)
        return rc;
    rc = job_add(host, NULL, host_domain_find(host, 0), JOB_BEGIN);
    return rc < 0 ? rc : 0;
}

static int error_number(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++) {
        if (length == strlen(xsd_errors[i].errstring) + 1 && memcmp(name, xsd_errors[i].errstring, length) == 0)
            return -xsd_errors[i].errnum;
    }
    return -EIO;
}

/* The first error stays the job's, except that what is to be taken back may be gone already. */
static void answer(struct job *job, const struct xsd_sockmsg *header, const char *payload)
{
    char text[16] = "";
    job->unanswered--;
    if (header->type == XS_TRANSACTION_START) {
        memcpy(text, payload, header->len < sizeof(text) ? header->len : sizeof(text) - 1);
        job->t = (xen_transaction)strtoul(text, NULL, 10);
    }
    if (header->type == XS_ERROR && !job->rc && job->kind < JOB_REMOVE)
        job->rc = error_number(payload, header->len);
}

static int hear(struct fakexen_host *host)
{
    struct host_genuine *genuine = host->genuine;
    struct xsd_sockmsg header;
    ssize_t got = recv(genuine->tools.fd, genuine->in + genuine->have, sizeof(genuine->in) - genuine->have,
                       MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return send_orders(host);
    if (got <= 0) {
        /* It is ending, and how is known when it has. */
        host_unwatch_source(host, &genuine->tools);
        kill(genuine->pid, SIGKILL);
        return 0;
    }
    genuine->have += (size_t)got;
    size_t at = 0;
    while (genuine->have - at >= sizeof(header)) {
        memcpy(&header, genuine->in + at, sizeof(header));
        if (header.len > XENSTORE_PAYLOAD_MAX || !genuine->jobs || !genuine->jobs->unanswered)
            return -EPROTO;
        if (genuine->have - at - sizeof(header) < header.len)
            break;
        answer(genuine->jobs, &header, (const char *)genuine->in + at + sizeof(header));
        at += sizeof(header) + header.len;
    }
    memmove(genuine->in, genuine->in + at, genuine->have - at);
    genuine->have -= at;
    return work(host);
}

int host_genuine_event(struct fakexen_host *host, const struct host_source *source)
{
    eventfd_t value;
    if (source->kind == HOST_CHILD)
        return child_ended(host->genuine);
    if (source->kind == HOST_TOOLS)
        return hear(host);
    const struct host_ring *ring = (const struct host_ring *)source;
    (void)!eventfd_read(source->fd, &value);
    if (ring->domain->mux)
        host_mux_event(host, ring->domain->mux);
    else if (host->genuine->tools.fd < 0)
        return connect_tools(host);
    return 0;
}
