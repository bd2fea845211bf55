/* SPDX-License-Identifier: MIT */
/*
 * The side of USB/IP that has the devices (Linux: usbip-host and usbipd): exports devices of a usb_host to
 * who connects.
 *
 * Threads: one. Nothing blocks but usbip_server_wait(). Memory is bounded per connection: 256 transfers and
 * 16 MiB of buffers; what is more is answered with -ENOMEM, and a peer that does not read its answers is not
 * read from.
 *
 * Trusts no peer: a message that contradicts the protocol closes its connection, with one line in the log;
 * the others go on. A request to list or import must be complete within 5 seconds.
 *
 * An exported device is open, so nobody else has it. Between two imports it is reset. When it is unplugged
 * its connection is closed; when something is plugged in at its name again, that is exported.
 *
 * Not modelled: encryption and access control (there is none in USB/IP, whoever reaches the port has the
 * devices), configurations beyond the first four, super speed.
 */
#ifndef SIM_USBIP_SERVER_H
#define SIM_USBIP_SERVER_H

#include "hosts/usb_host.h"
#include "usbip/protocol.h"

struct usbip_server;

struct usbip_server_config {
    struct usb_host *host;
    void (*log)(void *context, const char *line); /* may be NULL */
    void *log_context;
};

struct usbip_server_stats {
    uint64_t imports, transfers, unlinks, refused, violations;
    uint64_t bytes_in, bytes_out; /* of the connections that are there */
    unsigned int connections;
};

int usbip_server_create(const struct usbip_server_config *config, struct usbip_server **out);
/* Closes all connections and gives all devices back. */
void usbip_server_destroy(struct usbip_server *server);
/*
 * -EINVAL for a name longer than 31 bytes; -ENOSPC more than 256; -EEXIST; otherwise what open() of the host
 * says, and the name is not exported. It can be listed when its descriptors have been read, which for most is
 * at once.
 */
int usbip_server_export(struct usbip_server *server, const char *busid);
/* Whether that is so of all that are exported: until then step() goes on reading, and who asks for one is refused. */
bool usbip_server_ready(const struct usbip_server *server);
/* Listens at an IPv4 address ("127.0.0.1"); port 0 takes any. *bound, if not NULL, gets the port. 0 or
 * -errno. */
int usbip_server_listen(struct usbip_server *server, const char *address, uint16_t port, uint16_t *bound);
/* Serves a socket that is connected already; takes it, on failure too. */
int usbip_server_adopt(struct usbip_server *server, int fd);
/* Does all that can be done at now_ns, the host's step() too. 0, or -errno when the server itself cannot go
 * on. */
int usbip_server_step(struct usbip_server *server, uint64_t now_ns);
/* When step() is due without news from a descriptor: the host's deadline is part of it. */
uint64_t usbip_server_deadline(const struct usbip_server *server);
/* Readable when step() has something to do. */
int usbip_server_fd(const struct usbip_server *server);
/*
 * For who waits for nothing else: sleeps until there is something to do, at most that long. Spares step() a
 * system call.
 */
void usbip_server_wait(struct usbip_server *server, uint64_t timeout_ns);
struct usbip_server_stats usbip_server_stats(const struct usbip_server *server);

#endif
