/* SPDX-License-Identifier: MIT */
/* The inside of the host, for the files of this folder. One thread; nothing blocks on a client. */
#ifndef FAKEXEN_HOST_HOST_H
#define FAKEXEN_HOST_HOST_H

#include "../evtchn/evtchn.h"
#include "../grant/granter.h"
#include "../xenstore/wire.h"
#include "protocol.h"

/* A client that has more than this unread is dropped. */
#define HOST_QUEUE_MAX (1024u * 1024u)
/* Pages one handle may have mapped, whatever its own limit is. */
#define HOST_MAPPED_MAX  65536u
#define HOST_CLIENTS_MAX 1024u
/* Requests of one xenstore client in one step: then the others have their turn. */
#define HOST_REQUESTS_MAX 16u
/* Connections to the xenstore socket of one domain. */
#define HOST_XENSTORES_DOM0_MAX  512u
#define HOST_XENSTORES_GUEST_MAX 32u

/* What epoll knows: the first member of all that has a descriptor. */
struct host_source {
    enum { HOST_LISTENER, HOST_CONTROL, HOST_XENSTORED, HOST_XENSTORE, HOST_RING, HOST_CHILD, HOST_TOOLS } kind;
    int fd;
    bool gone; /* to be freed at the end of the step */
};

/* The socket that a domain's xenstore is served on. fd is -1 while there is none. */
struct host_xenstored {
    struct host_source source; /* first */
    struct host_domain *domain;
};

struct host_domain {
    struct host_domain *next;
    domid_t domid;
    bool alive;
    bool there; /* for the hypervisor: before it is alive, and until it is not */
    uint32_t ranges;
    struct host_granter *granters;
    struct evtchn_space ports;
    struct host_xenstored xenstored;
    struct host_ring *ring; /* these two only with a genuine xenstored */
    struct host_mux *mux;
};

struct host_granter {
    struct granter granter; /* first */
    struct host_granter *next;
    struct host_domain *domain;
    uint32_t id;
    int readonly; /* the same memory by a descriptor that cannot write */
    int table_fd;
    int table_readonly; /* the same by a descriptor that cannot write; -1 until it is asked for */
    struct control_table *table;
};

struct host_port {
    struct evtchn evtchn; /* first */
    struct host_port *next;
    int receive; /* eventfds: what the owner waits on */
    int notify;  /* and what it writes to, which the other end waits on */
    bool virtual; /* a VIRQ: no other end */
    uint32_t virq;
};

/* What is done when a page is unmapped; see CONTROL_NOTIFY. */
struct host_notify {
    uint32_t offset; /* of the byte to clear, or CONTROL_NONE */
    int event;       /* what to notify, or -1; ours */
};
#define HOST_NOTIFY_NONE ((struct host_notify){.offset = CONTROL_NONE, .event = -1})

/* A page that a client shares, with what is done when it ends that. */
struct host_share {
    struct host_share *next;
    uint32_t frame;
    struct host_notify notify;
};

struct host_map {
    struct host_map *next;
    uint32_t id;
    struct host_notify notify;
    unsigned int count;
    bool writable;
    struct host_mapped {
        struct host_granter *granter;
        grant_ref_t ref;
    } pages[];
};

/* A descriptor this client has been given. */
struct host_sent {
    struct host_sent *next;
    uint32_t granter;
    bool writable;
    bool gone; /* the granter is: the client is to be told */
};

struct host_client {
    struct host_source source; /* first */
    bool own;     /* it is our xenstored */
    bool waiting; /* for an answer: it is not served meanwhile */
    struct host_client *next;
    struct host_domain *domain; /* NULL before CONTROL_HELLO */
    struct host_granter *granter;
    struct host_xenstore *xenstore;
    struct host_map *maps;
    uint32_t next_map;
    unsigned int mapped;
    struct host_port *ports;
    struct host_sent *sent;
    struct host_share *shares;
};

struct host_xenstore {
    struct host_source source; /* first */
    struct host_xenstore *next;
    domid_t domid;
    struct mux_client *mux; /* NULL if it speaks with our own store: by the wire's connection */
    struct wire wire;
    struct wire_out out;
    uint32_t events; /* what epoll is asked for */
};

struct fakexen_host {
    struct host_source listener; /* first */
    int epoll;
    int lock;
    int spare; /* given up to refuse a client when there is no descriptor left */
    char *dir;
    bool made_dir;
    struct store *store;          /* one of these two */
    struct host_genuine *genuine;
    struct host_domain *domains;
    struct host_client *clients;
    unsigned int client_count;
    struct host_xenstore *xenstores;
    uint32_t next_granter;
};

/* One request under way: its answer and the descriptors to go with it, which are borrowed. */
struct host_answer {
    struct control_reply reply;
    int fds[CONTROL_FDS_MAX];
    unsigned int fd_count;
};

/* What a request's rc is while its answer has to wait: none is sent now. */
#define HOST_LATER 1

int host_watch_source(struct fakexen_host *host, struct host_source *source);
void host_unwatch_source(struct fakexen_host *host, const struct host_source *source);
/* -EAGAIN when nobody is there, or was but cannot be served. */
int host_accept(struct fakexen_host *host, const struct host_source *listener);
struct host_domain *host_domain_find(struct fakexen_host *host, domid_t domid);
/* HOST_LATER: the client has its answer when it is done. */
int host_domain_create(struct fakexen_host *host, struct host_client *client, uint32_t domid);
int host_domain_destroy(struct fakexen_host *host, struct host_client *client, uint32_t domid);
void host_domains(struct fakexen_host *host, uint32_t first, struct host_answer *answer);

/* host_client.c */
int host_client_accept(struct fakexen_host *host, int fd);
void host_client_serve(struct fakexen_host *host, struct host_client *client);
/* The answer it was waiting for. */
void host_client_answer(struct fakexen_host *host, struct host_client *client, int rc);
/* Gives back all that the handle has; the connection stays for its last answer. Idempotent. */
void host_client_release(struct fakexen_host *host, struct host_client *client);

/* host_grant.c */
int host_granter_create(struct fakexen_host *host, struct host_domain *domain, int *pages_fd,
                        struct host_granter **out);
/* Grants the first page of new memory by a reserved entry, which no handle can use. */
int host_granter_reserved(struct fakexen_host *host, struct host_domain *domain, grant_ref_t ref, domid_t to,
                          struct host_granter **out);
/* The handle is gone. */
void host_granter_close(struct fakexen_host *host, struct host_granter *granter);
int host_map(struct fakexen_host *host, struct host_client *client, const struct control_request *request,
             struct host_answer *answer);
int host_unmap(struct host_client *client, uint32_t id);
int host_copy(struct fakexen_host *host, struct host_client *client, const struct control_request *request,
              struct host_answer *answer);
void host_unmap_all(struct host_client *client);
void host_sent_report(struct host_client *client, struct control_reply *reply);
void host_sent_drop(struct host_client *client);

/* host_notify.c */
/* The byte first, then, when the page is unmapped, the event, which is for once. */
void host_notify_clear(const struct host_notify *notify, const struct host_granter *granter, uint32_t frame);
void host_notify_send(struct host_notify *notify);
int host_notify_set(struct host_client *client, const struct control_request *request);
int host_share_end(struct host_client *client, uint32_t frame);
void host_share_end_all(struct host_client *client);

/* host_evtchn.c */
void host_evtchn_raise_fd(int fd);
int host_evtchn_alloc(struct host_client *client, uint32_t remote, struct host_answer *answer);
int host_evtchn_bind(struct fakexen_host *host, struct host_client *client, uint32_t remote, uint32_t port,
                     struct host_answer *answer);
/* A port of the domain that is the host's own, without a handle, for `remote` to bind. */
int host_evtchn_own(struct host_domain *domain, domid_t remote, struct host_port **out);
void host_evtchn_own_close(struct host_domain *domain, struct host_port *port);
int host_evtchn_virq(struct host_client *client, uint32_t virq, struct host_answer *answer);
/* Whoever of domain 0 has bound the VIRQ gets an event. */
void host_evtchn_raise(struct fakexen_host *host, uint32_t virq);
int host_evtchn_close(struct host_client *client, uint32_t port);
int host_evtchn_status(struct host_client *client, uint32_t port, struct host_answer *answer);
void host_evtchn_close_all(struct host_client *client);

/* host_xenstore.c */
/* Gives the client's end in *peer, which is the caller's. */
int host_xenstore_open(struct fakexen_host *host, domid_t domid, int *peer, struct host_xenstore **out);
/* Takes fd, also when it fails. */
int host_xenstore_add(struct fakexen_host *host, domid_t domid, int fd, struct host_xenstore **out);
void host_xenstore_serve(struct fakexen_host *host, struct host_xenstore *xenstore);
/* What can be sent now; and asks epoll for what is to come. */
void host_xenstore_send(struct fakexen_host *host, struct host_xenstore *xenstore);
/* -EPIPE at the end. */
int host_xenstore_receive(struct host_xenstore *xenstore);
void host_xenstore_close(struct host_xenstore *xenstore);
/* Sends what watches have to tell, to all but `except`, which is sent its answers last. */
void host_xenstore_flush(struct fakexen_host *host, struct host_xenstore *except);

/* host_xenstored.c */
/* Whether the names of all sockets fit into a socket's address: -ENAMETOOLONG. */
int host_xenstored_check(const struct fakexen_host *host);
struct sockaddr_un;
int host_xenstored_address(const struct fakexen_host *host, domid_t domid, struct sockaddr_un *address);
int host_xenstored_open(struct fakexen_host *host, struct host_domain *domain);
/* Ends the domain's connections, too. Idempotent. */
void host_xenstored_close(struct fakexen_host *host, struct host_domain *domain);
void host_xenstored_accept(struct fakexen_host *host, struct host_xenstored *xenstored);
/* What a host that died has left. */
void host_xenstored_clear(const struct fakexen_host *host);

#endif
