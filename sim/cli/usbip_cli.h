/* SPDX-License-Identifier: MIT */
/* Between usbip_cli.c (arguments, server, list) and usbip_import.c. */
#ifndef SIM_CLI_USBIP_CLI_H
#define SIM_CLI_USBIP_CLI_H

#include <stdint.h>

struct usbip_options {
    const char *host, *busid; /* of a server */
    const char *address;      /* to listen at */
    const char *device[31];
    unsigned int nr_devices;
    uint64_t port;
    uint64_t read;
    uint64_t timeout_s;
};

/* Takes a connected socket. Returns the exit code. */
int usbip_import(const struct usbip_options *options, int fd);

#endif
