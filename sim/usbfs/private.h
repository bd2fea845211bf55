/* SPDX-License-Identifier: MIT */
/* Between bus.c, client.c, ioctl.c and urb.c. */
#ifndef SIM_USBFS_PRIVATE_H
#define SIM_USBFS_PRIVATE_H

#include "usbfs/bus.h"
#include "usbfs/wire.h"

struct client;

/* What an ioctl's own transfer is for. */
enum urb_special { URB_PLAIN, URB_SET_CONFIGURATION, URB_SET_INTERFACE, URB_CLEAR_HALT };

/* A device that is plugged in, or was and is still open; and one for all hubs, which answer nothing. */
struct node {
    struct node *next;
    struct bus *bus;
    char busid[SIM_HOST_BUSID_SIZE];
    struct host_device *handle;
    struct usb_device *device; /* NULL once unplugged */
    struct testbed_device place;
    struct client *owner[DEVICE_INTERFACES_MAX]; /* of claimed interfaces */
};

/* A descriptor of a program's. */
struct client {
    struct client *next;
    struct node *node;
    int fd;                 /* -1: gone, to be freed */
    struct urb *held;       /* at the device */
    struct urb *done;       /* to be reaped, in the order of their completion */
    struct urb *waited_for; /* of an ioctl that has no answer yet */
    unsigned long reap_to;  /* where a waiting REAPURB wants its pointer; 0 for none */
};

/* struct usbdevfs_urb without its array. */
struct usbfs_urb {
    unsigned char type;
    unsigned char endpoint;
    int status;
    unsigned int flags;
    void *buffer;
    int buffer_length;
    int actual_length;
    int start_frame;
    int number_of_packets;
    int error_count;
    unsigned int signr;
    void *usercontext;
};
static_assert(sizeof(struct usbfs_urb) == sizeof(struct usbdevfs_urb), "linux/usbdevice_fs.h");
static_assert(offsetof(struct usbfs_urb, usercontext) == offsetof(struct usbdevfs_urb, usercontext),
              "the same");

/* A transfer of a program's, or of an ioctl that runs one. */
struct urb {
    struct host_urb host;
    struct urb *next;
    struct client *client;
    unsigned long address; /* the program's struct usbdevfs_urb; 0 for an ioctl's own */
    unsigned long data;    /* where IN data goes */
    struct usbfs_urb copy; /* what the program gave, and then the result */
    bool discarded;
    enum urb_special special;
    uint64_t deadline_ns; /* of an ioctl with a timeout */
    bool late;
    uint8_t *buffer;
    struct pvusb_iso_desc *packets;
};

struct bus {
    struct usb_host *host;
    struct sim_host *sim;      /* whose host that is, or */
    struct recorded *recorded; /* who else */
    struct usb_host_listener listener;
    struct testbed *testbed;
    struct node *nodes;
    struct node hubs;
    struct client *clients;
    struct bus_stats stats;
    uint64_t now_ns;
};

/* ---- client.c ---- */

void client_accept(struct node *node);
/* Serves one request. */
void client_serve(struct client *client);
/* The program has closed it or cannot be talked to. */
void client_drop(struct client *client);
/* Answers an ioctl: a result, or -errno. */
void client_answer(struct client *client, long result);
/* Frees those that are gone. */
void client_sweep(struct bus *bus);

/* ---- ioctl.c ---- */

/* Runs one. A result or -errno to be answered; IOCTL_LATER when client_answer() will be called. */
#define IOCTL_LATER INT64_MIN
int64_t ioctl_run(struct client *client, const struct wire_request *request);
/* 0 when the client has the interface, or can have it now. */
int ioctl_claim(struct client *client, unsigned int interface);
/* The interface of an endpoint in the current settings, -ENOENT for none. */
int ioctl_interface_of(const struct usb_device *device, uint8_t endpoint);

/* ---- urb.c ---- */

int64_t urb_submit(struct client *client, unsigned long address);
int64_t urb_reap(struct client *client, unsigned long to, bool wait);
int64_t urb_discard(struct client *client, unsigned long address);
/*
 * Runs a transfer of its own for an ioctl: setup for a control transfer, NULL for bulk. data is the program's
 * buffer.
 */
int64_t urb_run(struct client *client, const uint8_t *setup, unsigned int endpoint, unsigned long data,
                uint32_t length, unsigned int timeout_ms);
/* The host's three requests, with the same rules. */
int64_t urb_special(struct client *client, enum urb_special what, uint8_t value, uint8_t alternate);
/* Ends all that the client has at the device, without a result. */
void urb_drop_all(struct client *client);
/* The client gives an interface back. */
void urb_kill_interface(struct client *client, int interface);
/* Answers a REAPURB that waits: with a transfer, or because the device is gone. */
void urb_wake(struct client *client);
/* The device is reset: what is held will be -ENOENT whatever the device says. */
void urb_mark_all(struct client *client);
/* Ends what has waited too long. */
void urb_expire(struct client *client, uint64_t now_ns);
uint64_t urb_deadline(const struct client *client);
/* A control transfer of our own that must be over at once; its status. */
int urb_own(struct node *node, const uint8_t setup[8]);

#endif
