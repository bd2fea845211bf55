/* SPDX-License-Identifier: MIT */
/*
 * What client and host say to each other over DIR/xen.sock, a SOCK_SEQPACKET socket: one packet
 * asks, one answers, in turn. Both sides are of one build, so structs go as they are.
 *
 * A connection that has said CONTROL_HELLO is a handle; one that has not may make and end
 * domains. Its xenstore connection is a stream socket of its own, passed in the answer
 * to CONTROL_HELLO, that speaks xen/io/xs_wire.h. It is left out for domain 0 where that domain's socket
 * DIR/xenstored.socket is another program's.
 */
#ifndef FAKEXEN_HOST_PROTOCOL_H
#define FAKEXEN_HOST_PROTOCOL_H

#include <fakexen/fakexen.h>

#include "../grant/grant_table.h"

#define CONTROL_MAGIC   0x6e786b66u
#define CONTROL_VERSION 5u
#define CONTROL_SOCKET  "xen.sock"
#define CONTROL_LOCK    "lock"

#define CONTROL_REFS_MAX 64u
#define CONTROL_GONE_MAX 8u
#define CONTROL_FDS_MAX  CONTROL_REFS_MAX
/* CONTROL_NOTIFY without a byte to clear, or without a port to notify. */
#define CONTROL_NONE UINT32_MAX
#define CONTROL_DOMAINS_MAX 64u

enum control_type {
    CONTROL_HELLO = 1,      /* domid. Answer: value is the first reference; fds: table, pages, xenstore (see below) */
    CONTROL_DOMAIN_CREATE,  /* domid */
    CONTROL_DOMAIN_DESTROY, /* domid */
    CONTROL_BALANCE,        /* Answer: balance */
    CONTROL_MAP,   /* domid, flag: writable, refs. Answer: value names the map; pages, fds of new granters */
    CONTROL_UNMAP, /* value of the map */
    CONTROL_COPY, /* domid, value: a reference, flag: to copy into it. Answer: value is the granter's first reference;
                     fds: its table, to look at; its pages */
    CONTROL_EVTCHN_ALLOC, /* domid. Answer: value is the port; fds: to receive, to notify */
    CONTROL_EVTCHN_BIND,  /* domid, value: its port. Answer as before */
    CONTROL_EVTCHN_CLOSE, /* value: port */
    CONTROL_EVTCHN_STATUS, /* value: port. Answer: value is 1 when bound, 0 when not */
    CONTROL_NOTIFY, /* value: a map, with flag a frame of ours; refs: the byte in its page, the port; when it ends */
    CONTROL_SHARE_END, /* value: a frame of ours: what CONTROL_NOTIFY asked for it is done now */
    CONTROL_EVTCHN_VIRQ,   /* value: VIRQ. Answer as for CONTROL_EVTCHN_ALLOC */
    CONTROL_DOMAINS,       /* domid: the first that counts. Answer: value of them, in domains */
    CONTROL_BYE,          /* Answered when everything of the handle is gone */
};

/* A packet ends behind the last of its count references. */
struct control_request {
    uint32_t magic;
    uint32_t version;
    uint32_t type;
    uint32_t domid;
    uint32_t value;
    uint32_t flag;
    uint32_t count;
    uint32_t refs[CONTROL_REFS_MAX];
};

struct control_page {
    uint32_t granter; /* a number never used again */
    uint32_t frame;
};

struct control_reply {
    int32_t rc;
    uint32_t value;
    uint32_t gone_count;
    uint32_t gone[CONTROL_GONE_MAX]; /* granters whose descriptors the client may close */
    uint32_t new_count;
    uint32_t
        new_granters[CONTROL_REFS_MAX]; /* whose descriptors for this access come with the packet, in order */
    struct control_page pages[CONTROL_REFS_MAX];
    struct fakexen_balance balance;
    uint32_t domains[CONTROL_DOMAINS_MAX]; /* that live, ascending */
};

/* The shared memory of a handle that is not its pages. */
struct control_table {
    uint64_t maps; /* counts maps that have a page of this handle first, and their ends; by the host, before the answer */
    uint32_t dead;  /* set by the host when the domain ends, or the handle */
    uint32_t pages; /* allocated, as the client says; for the balance only */
    uint32_t closed; /* counts ports of this handle whose other end closed; by the host, before the event */
    uint8_t pad[XEN_PAGE_SIZE_BYTES - 20];
    grant_entry_v1_t entries[GRANT_ENTRIES];
};

/*
 * Sends one packet without blocking and without SIGPIPE, with descriptors, which stay the
 * caller's. -EAGAIN, -EPIPE.
 */
int control_send(int fd, const void *data, size_t size, const int *fds, unsigned int fd_count);
/*
 * Receives one packet of at most size bytes; returns its length, 0 at the end. At most *fd_count
 * descriptors are taken and *fd_count set; NULL takes none. flags as for recvmsg().
 */
ssize_t control_receive(int fd, void *data, size_t size, int *fds, unsigned int *fd_count, int flags);
/* Fills the address of the socket in dir. -ENAMETOOLONG. */
struct sockaddr_un;
int control_address(const char *dir, struct sockaddr_un *address);

#endif
