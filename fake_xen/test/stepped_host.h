/* SPDX-License-Identifier: MIT */
/*
 * A host in the test's own process, which serves only when the test steps it: so a test can count
 * steps, and what happens in each. Its clients are sockets that never block.
 */
#ifndef FAKEXEN_TEST_STEPPED_HOST_H
#define FAKEXEN_TEST_STEPPED_HOST_H

#include <errno.h>

#include <fakexen/fakexen.h>
#include <xen/io/xs_wire.h>

struct stepped_host {
    char parent[32];
    char dir[64];
    struct fakexen_host *host;
    int control;
};

/* These abort the test program when they fail. */
void stepped_host_begin(struct stepped_host *h);
void stepped_host_finish(struct stepped_host *h);
/* Makes or ends a domain; returns what the host answers. */
int stepped_host_create(struct stepped_host *h, domid_t domid);
int stepped_host_destroy(struct stepped_host *h, domid_t domid);
/* Whether the host says that it has something to do. */
bool stepped_host_busy(struct stepped_host *h);
/* Steps until it has not; returns the number of steps. */
unsigned int stepped_host_settle(struct stepped_host *h);

/* The path of a domain's xenstore socket. */
void store_socket(const struct stepped_host *h, domid_t domid, char *path, size_t size);

/* A xenstore client that speaks bytes. */
struct raw_store {
    int fd;
    size_t have;
    uint8_t in[2 * (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)];
};

/* -errno. */
int raw_store_connect(struct raw_store *raw, const struct stepped_host *h, domid_t domid);
void raw_store_close(struct raw_store *raw);
/* Sends all or nothing; false when there is no room, or nobody. */
bool raw_store_send(struct raw_store *raw, const void *data, size_t size);
/* payload is length bytes. */
bool raw_store_ask(struct raw_store *raw, uint32_t type, uint32_t tx, const void *payload, size_t length);
/*
 * Takes a message; its payload, with a NUL behind it, is copied to payload, of XENSTORE_PAYLOAD_MAX + 1 bytes.
 * 1 when there was one, 0 when there is none yet, -1 when the connection has ended.
 */
int raw_store_take(struct raw_store *raw, struct xsd_sockmsg *header, char *payload);

#endif
