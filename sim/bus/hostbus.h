/* SPDX-License-Identifier: MIT */
/*
 * The physical USB of a machine: which simulated device is plugged in where. State of the machine's
 * directory, not of any process: DIR/bus has one file per device, named by its place ("1-2", "2-4.3.3"), so
 * that devices stay plugged in when a backend ends and the next one starts, and also without any.
 *
 * A change is one rename or unlink, under a lock that all writers take; readers need none, and see a device
 * whole or not at all. What a file says is checked; one that is no device is left out.
 *
 * As on Linux: a bus has addresses 1 to 127, 1 is its root hub, and a device gets a new one at each plug.
 * Plugging 2-4.3.3 needs hubs at 2-4 and 2-4.3; where nothing is they are plugged in with it. Unplugging a
 * hub unplugs all behind it. A hub is of kind "hub" and is nobody's to have.
 *
 * A disk of a size (disk:16M, or "disk", which has 16 MiB) keeps its blocks in a file beside, from plug to
 * unplug, however often it is moved.
 *
 * Threads: any number of processes may use one directory at once. Errors: 0 or -errno; with an error argument
 * (HOSTBUS_ERROR_MAX bytes) also a line without newline.
 */
#ifndef SIM_BUS_HOSTBUS_H
#define SIM_BUS_HOSTBUS_H

#include "devices/sim_host.h"

#define HOSTBUS_KIND_MAX    512u
#define HOSTBUS_STRING_MAX  128u
#define HOSTBUS_ERROR_MAX   512u
#define HOSTBUS_DEVICES_MAX 1024u

struct hostbus_device {
    char path[SIM_HOST_BUSID_SIZE];
    char kind[HOSTBUS_KIND_MAX]; /* as kinds_help says, or "hub"; printable */
    char file[32];               /* beside it: the disk's blocks; "" for none */
    uint64_t serial;             /* of the plug: never the same twice */
    unsigned int bus;
    unsigned int address; /* 2..127 */
    uint8_t speed;        /* USBIF_SPEED_* or DEVICE_SPEED_SUPER */
    uint8_t device_class; /* DEVICE_HUB_CLASS for a hub */
    uint16_t vendor;
    uint16_t product;
    char name[HOSTBUS_STRING_MAX]; /* manufacturer and product as lsusb shows them */
};

/*
 * Plugs in. -EINVAL a bad place or kind, -EEXIST something is there, -ENOTDIR what is in the hub's place is
 * no hub, -ENOSPC 126 devices are on the bus, -ENOENT no such dir. out may be NULL.
 */
int hostbus_plug(const char *dir, const char *path, const char *kind, struct hostbus_device *out,
                 char *error);
/* -ENODEV nothing is there. */
int hostbus_unplug(const char *dir, const char *path, char *error);
/* Pulls it out and plugs it in elsewhere, or in the same place again; not a hub. As the two above. */
int hostbus_move(const char *dir, const char *from, const char *to, char *error);
/* All devices in the order of their places; free() them. None is no error, nor that DIR/bus is not there. */
int hostbus_list(const char *dir, struct hostbus_device **out, unsigned int *count);
/* -ENODEV. */
int hostbus_find(const char *dir, const char *path, struct hostbus_device *out);
int hostbus_find_address(const char *dir, unsigned int bus, unsigned int address, struct hostbus_device *out);
/* The order of places: numbers compare as numbers. */
int hostbus_compare(const char *a, const char *b);

/* ---- the devices themselves, for who has them ---- */

struct hostbus_follow;

struct hostbus_follow_config {
    const char *dir;
    struct sim_host *host;                         /* gets the devices; outlives the follower */
    /* Which of them; NULL: all. Asked at each look. */
    bool (*mine)(void *context, const struct hostbus_device *device);
    void (*log)(void *context, const char *line);
    void *context;
};

/* Makes DIR/bus if it is not there, and plugs in what is there. */
int hostbus_follow_create(const struct hostbus_follow_config *config, struct hostbus_follow **out);
/* Leaves the devices plugged in. NULL is allowed. */
void hostbus_follow_destroy(struct hostbus_follow *follow);
/* Readable when something has changed. */
int hostbus_follow_fd(const struct hostbus_follow *follow);
/*
 * Makes the host have what the directory has: first what is gone or was replugged goes, then what is new
 * comes. A device that cannot be made is said once and left out. -errno only for want of memory or
 * descriptors.
 */
int hostbus_follow_step(struct hostbus_follow *follow);
/* Looks although nothing changed: mine() has another opinion. */
int hostbus_follow_look(struct hostbus_follow *follow);

/* ---- between the files of this folder ---- */

int hostbus_read(const char *dir, const char *path, struct hostbus_device *out);

#endif
