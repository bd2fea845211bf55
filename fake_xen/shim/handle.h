/* SPDX-License-Identifier: MIT */
/*
 * What the handles of all these libraries have in common: a connection to the host, made as the domain that
 * the environment names, a lock, and the process that they belong to.
 */
#ifndef FAKEXEN_SHIM_HANDLE_H
#define FAKEXEN_SHIM_HANDLE_H

#include <pthread.h>

#include "../host/client.h"

struct handle {
    pthread_mutex_t mutex;
    pid_t pid; /* who opened it */
    struct client *client;
};

/*
 * Connects to the machine in FAKEXEN_DIR as domain FAKEXEN_DOMID, both set by `pvusb exec`. 0, or -1 and
 * errno, as when the device node of the library is not there: ENOENT without these variables, ENODEV without
 * such a machine or domain; one line on stderr says so, once in a process for each library.
 */
int handle_open(struct handle *handle, const char *library);
/* Everything of the handle ends. In a child that inherited it only what the child has of it: the parent goes
 * on. */
void handle_close(struct handle *handle);

static inline void handle_lock(struct handle *handle)
{
    pthread_mutex_lock(&handle->mutex);
}

static inline void handle_unlock(struct handle *handle)
{
    pthread_mutex_unlock(&handle->mutex);
}

/* -1 with errno set to that of rc, which is negative, else rc. */
int handle_result(int rc);

#endif
