/* SPDX-License-Identifier: MIT */
/* The inside of a client's handle, for the client*.c of this folder. */
#ifndef FAKEXEN_HOST_CLIENT_H
#define FAKEXEN_HOST_CLIENT_H

#include "../waitset/private.h"
#include "../xenstore/wire.h"
#include "protocol.h"

struct client_machine {
    struct xen_machine machine; /* first */
    char *dir;
};

/* Another handle's memory, as the host passed it. */
struct client_granter {
    struct client_granter *next;
    uint32_t id;
    bool writable;
    int fd;
};

/* What one grant_map() returned; the host knows it in chunks. */
struct client_map {
    struct client_map *next;
    void *addr;
    unsigned int count;
    unsigned int chunks;
    uint32_t ids[];
};

struct client_port {
    struct xen_source source; /* first */
    struct client *client;
    struct client_port *next;
    evtchn_port_t port;
    int receive;
    int notify;
    bool bound;      /* as the host said last */
    uint32_t closed; /* the table's counter before it said so */
    /* Of a handle in a set; else the kernel knows. */
    struct client_port *next_found;
    bool queued; /* has an event, and is among client->found */
    bool masked;
    bool again; /* an event came while it was masked */
};

/* Descriptors of a handle in a set. */
struct client_source {
    struct xen_source source; /* first */
    struct client *client;
};

struct client_event {
    struct client_event *next;
    char *path;
    char *token; /* both behind this struct */
};

struct client {
    struct xen xen; /* first */
    int control;
    int wait; /* epoll: the sockets, ports_wait and wake; -1 in a set */
    bool broken;

    struct control_table *table;
    struct arena *arena;
    struct grant_table *grants;

    struct client_granter *granters;
    struct client_map *maps;
    struct client_copy *copies;
    unsigned int mapped;
    unsigned int map_limit;

    struct client_port *ports;
    int ports_wait; /* epoll: the unmasked ports; -1 in a set */

    struct xen_waitset *set; /* that it has joined, or NULL; what follows is for such a handle */
    struct client_source control_source;
    struct client_source watch_source;
    struct client_port *found; /* ports with an event that was not taken */
    struct client_port **found_last;
    bool watch_found;
    uint32_t looks; /* the set's, when waiting() was asked last */

    int store;        /* -1 while it is not connected */
    char *store_path; /* what it is connected to at its first use; NULL if it was given with hello */
    uint32_t next_request;
    struct client_event *events;
    struct client_event **events_last;
    int wake; /* eventfd: readable while events is not empty */
    size_t have;
    uint8_t in[WIRE_MESSAGE_SIZE];
};

extern const struct xen_ops client_ops;

/* -EPIPE once the machine or the domain is known to be gone. No system call. */
int client_check(struct client *client);
/* Looks at the socket, too. */
int client_check_socket(struct client *client);
/* Marks the handle as having lost its machine; returns -EPIPE. */
int client_break(struct client *client);

/* Connects to the store if that is still to be done. */
int client_store_connect(struct client *client);

/* A fixed request; refs are added by their user. */
struct control_request client_request(enum control_type type, uint32_t domid, uint32_t value);
/* One round trip over a control socket. Returns the answer's rc or -EPIPE. */
int client_ask(int fd, const struct control_request *request, struct control_reply *reply, int *fds,
               unsigned int *fd_count);
/* The same over the handle's, and closes what the answer says is gone. */
int client_call(struct client *client, const struct control_request *request, struct control_reply *reply,
                int *fds, unsigned int *fd_count);

/*
 * Ends a handle that another process of ours uses on, after fork(): gives back memory and descriptors, and says
 * nothing to the host.
 */
void client_abandon(struct client *client);

/* client_notify.c: what the host does when a page is unmapped, also because we die. */
/*
 * For a map of one page, or pages_alloc()'s page: clears the byte at this offset in the page and notifies this port
 * of our domain; CONTROL_NONE for neither. -EINVAL for what is not there, or a byte of a read-only map.
 */
int client_map_notify(struct client *client, const void *addr, uint32_t offset, uint32_t port);
int client_share_notify(struct client *client, const void *page, uint32_t offset, uint32_t port);
/* The page is not shared any more. -EINVAL without a client_share_notify(). */
int client_share_end(struct client *client, const void *page);

/* As fakexen_client_machine_domains(). */
int client_domains(struct client *client, domid_t first, unsigned int max, domid_t out[]);

/* client_grant.c */
void client_unmap_all(struct client *client);
void client_granters_gone(struct client *client, const struct control_reply *reply);
void client_granters_close(struct client *client);
int client_pages_alloc(struct xen *xen, unsigned int count, void **out);
void client_pages_free(struct xen *xen, void *addr, unsigned int count);
int client_grant(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out);
int client_grant_end(struct xen *xen, grant_ref_t ref);
int client_grant_revoke(struct xen *xen, grant_ref_t ref);
int client_grant_map(struct xen *xen, domid_t from, unsigned int count, const grant_ref_t refs[],
                     bool writable, void **out);
/* The same with a domain for each page. */
int client_grant_map_from(struct client *client, unsigned int count, const domid_t from[],
                          const grant_ref_t refs[], bool writable, void **out);
int client_grant_unmap(struct xen *xen, void *addr, unsigned int count);
int client_grant_map_limit(struct xen *xen, unsigned int count);

/* client_copy.c */
void client_copies_close(struct client *client);
int client_grant_copy(struct xen *xen, domid_t with, bool to_grant, unsigned int count, struct xen_copy seg[]);

/* client_evtchn.c */
void client_port_free(struct client_port *port);
void client_ports_close(struct client *client);
int client_evtchn_alloc(struct xen *xen, domid_t remote, evtchn_port_t *out);
int client_evtchn_bind(struct xen *xen, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *out);
int client_evtchn_notify(struct xen *xen, evtchn_port_t port);
int client_evtchn_close(struct xen *xen, evtchn_port_t port);
int client_evtchn_pending(struct xen *xen, evtchn_port_t *out);
int client_evtchn_unmask(struct xen *xen, evtchn_port_t port);
int client_evtchn_status(struct xen *xen, evtchn_port_t port, bool *bound);

/* client_waitset.c: the same for a handle in a set */
int client_join(struct xen *xen, struct xen_waitset *set);
int client_join_store(struct client *client, int fd);
int client_join_port(struct client_port *port);
void client_leave_port(struct client_port *port);
void client_leave(struct client *client);
int client_joined_waiting(struct client *client);
int client_joined_pending(struct client *client, evtchn_port_t *out);
void client_joined_unmask(struct client_port *port);

/* client_xenstore.c */
void client_events_drop(struct client *client);
int client_xs_begin(struct xen *xen, xen_transaction *out);
int client_xs_end(struct xen *xen, xen_transaction t, bool abort);
ssize_t client_xs_read(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size);
int client_xs_write(struct xen *xen, xen_transaction t, const char *path, const char *value, size_t length);
int client_xs_mkdir(struct xen *xen, xen_transaction t, const char *path);
int client_xs_rm(struct xen *xen, xen_transaction t, const char *path);
ssize_t client_xs_directory(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size);
int client_xs_get_perms(struct xen *xen, xen_transaction t, const char *path, struct xen_xs_perm *perms,
                        unsigned int count);
int client_xs_set_perms(struct xen *xen, xen_transaction t, const char *path, const struct xen_xs_perm *perms,
                        unsigned int count);
int client_xs_watch(struct xen *xen, const char *path, const char *token);
int client_xs_unwatch(struct xen *xen, const char *path, const char *token);
int client_xs_watch_read(struct xen *xen, char *path, char *token);

#endif
