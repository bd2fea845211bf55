/* SPDX-License-Identifier: MIT */
/* Between server.c (connections), export.c (devices) and session.c (transfers). */
#ifndef SIM_USBIP_SERVER_PRIVATE_H
#define SIM_USBIP_SERVER_PRIVATE_H

#include <sys/epoll.h>

#include "hosts/described.h"
#include "usbip/server.h"
#include "usbip/stream.h"

#define EVENTS_MAX 64u

struct session;
struct connection;

/* A device that can be imported. */
struct export
{
    struct usbip_server *server;
    char busid[USBIP_BUSID_SIZE];
    uint32_t number;
    struct host_device *device; /* NULL: not there */
    bool ready;                 /* its descriptors are known */
    struct session *session;    /* who has imported it */
    struct usbip_device shown;
    struct described described;
    struct export *next;
};

enum connection_state {
    REQUESTING, /* to list or to import */
    IMPORTED,
    ENDING, /* answered; waits for the peer to close */
    DEAD,
};

struct connection {
    struct usbip_server *server;
    struct stream stream;
    enum connection_state state;
    uint16_t request; /* of which the rest is not here yet, 0 for none */
    uint64_t limit_ns;
    bool touched; /* in the list of those that step() has to look after */
    uint32_t interest;
    struct session *session;
    struct stream_message answer;
    uint8_t *answer_bytes;
    struct connection *next, *next_touched;
};

struct usbip_server {
    struct usbip_server_config config;
    struct usb_host_listener listener;
    int poll_fd, listen_fd;
    struct export *exports;
    unsigned int nr_exports, nr_connections;
    uint32_t last_number;
    struct connection *connections;
    struct connection *touched;
    uint64_t now_ns;
    struct epoll_event events[EVENTS_MAX];
    int nr_events;
    bool waited; /* the events are of usbip_server_wait() */
    struct usbip_server_stats stats;
};

/* ---- server.c ---- */

void server_log(struct usbip_server *server, const char *busid, const char *what);
/* Something is to be sent, or to be cleaned up. */
void connection_touch(struct connection *connection);

/* ---- export.c ---- */

struct export *export_find(struct usbip_server *server, const char *busid);
/* Opens the device and begins to read its descriptors. */
int export_open(struct export *export);
void export_close(struct export *export);
/* Its importer is gone: every transfer ends, the device is reset. */
void export_release(struct export *export);
void export_listen(struct usbip_server *server);
/* USBIF_PIPE_TYPE_* of an endpoint as the device is set now, or -1. */
int export_endpoint_type(const struct export *export, uint8_t address);
/* A control request has succeeded. */
void export_follow(struct export *export, const uint8_t setup[8]);

/* ---- session.c ---- */

/* The device is imported by the connection. -ENOMEM. */
int session_create(struct connection *connection, struct export *export);
/* Takes what the stream has; what is wrong with it, or NULL. */
const char *session_run(struct session *session);
/* Whether it would take more. */
bool session_reads(const struct session *session);
/* The device is gone or the connection is. The device's transfers end. */
void session_destroy(struct session *session);
void session_device_gone(struct session *session);
bool session_has_device(const struct session *session);
const char *session_busid(const struct session *session);

#endif
