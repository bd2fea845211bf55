/* SPDX-License-Identifier: MIT */
/*
 * The side of USB/IP that uses a device (Linux: vhci-hcd and usbip): imports one from a server, and is a host
 * controller with one root port that has it.
 *
 * The root port behaves like PVUSB's and vhci-hcd's: reset and address stop here and do not reach the device.
 * When the connection ends, for whatever reason, the port is empty for ever: every URB has come back with
 * -ENODEV.
 *
 * Threads: one. Nothing blocks but usbip_connect(). What is submitted is sent by the next
 * usbip_client_step(), all of it with one system call.
 *
 * Trusts no server: an answer that contradicts the protocol or what was asked ends the connection, with one
 * line in the log.
 */
#ifndef SIM_USBIP_CLIENT_H
#define SIM_USBIP_CLIENT_H

#include "guest/hcd.h"
#include "usbip/protocol.h"

#define USBIP_CLIENT_URBS 128u /* under way; more wait here */

struct usbip_client;

struct usbip_client_stats {
    uint64_t urbs, unlinks;
    uint64_t bytes_in, bytes_out;
    uint64_t calls; /* system calls that moved bytes */
};

/*
 * Connects, blocking, within the timeout. 0 and a socket; -ENOENT no such host; otherwise -errno.
 */
int usbip_connect(const char *host, uint16_t port, unsigned int timeout_ms, int *fd);

/* Asks for the device over a connected socket, which is taken, on failure too. log may be NULL. */
int usbip_client_create(int fd, const char *busid, void (*log)(void *context, const char *line),
                        void *log_context, struct usbip_client **out);
/* Ends the connection; goes on in step(), which gives the URBs back. */
void usbip_client_close(struct usbip_client *client);
/* No URB may be held. */
void usbip_client_destroy(struct usbip_client *client);

int usbip_client_step(struct usbip_client *client, uint64_t now_ns);
/* 0 when step() has something to send or to give back, else UINT64_MAX. */
uint64_t usbip_client_deadline(const struct usbip_client *client);
/* To be waited for, with what poll() is to be asked; -1 when the connection has ended. */
int usbip_client_fd(const struct usbip_client *client);
short usbip_client_events(const struct usbip_client *client);

struct hcd *usbip_client_hcd(struct usbip_client *client);
/* NULL until the import has succeeded. */
const struct usbip_device *usbip_client_device(const struct usbip_client *client);
/*
 * Why it has ended, 0 while it has not: -ENODEV not exported; -EBUSY somebody else has it; -EOPNOTSUPP faster
 * than high speed; -EPROTO the server broke the protocol; -EPIPE it closed; -ESHUTDOWN usbip_client_close();
 * another -errno.
 */
int usbip_client_status(const struct usbip_client *client);
unsigned int usbip_client_held(const struct usbip_client *client);
struct usbip_client_stats usbip_client_stats(const struct usbip_client *client);

#endif
