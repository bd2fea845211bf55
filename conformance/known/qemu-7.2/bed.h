/* SPDX-License-Identifier: MIT */
/*
 * What a reproducer stands on: a machine of its own, a guest with one controller of four ports, a frontend
 * that says what it is told to byte by byte (raw_front.h), and a backend in a process of its own: QEMU, or
 * for comparison ours. Everything the frontend waits for has a limit and ends when the backend does. What
 * was sent and what came is written down, for the report.
 */
#ifndef KNOWN_BED_H
#define KNOWN_BED_H

#include "peer/peer.h"
#include "process/family.h"
#include "raw_front.h"
#include "toolstack/vusb.h"

#define BED_GUEST     1u
#define BED_PORTS     4u
#define BED_STORY_MAX 2048u
#define BED_PATIENCE  6000u /* ms, for what should come: QEMU looks for devices every 2 s */
#define BED_SILENCE   300u  /* ms, for what should not */
#define BED_NO_ANSWER 1     /* in place of a status, which is 0 or negative */

enum outcome {
    OTHER, /* neither right nor wrong in the way recorded */
    RIGHT,
    WRONG,
    DIED,
};

struct bed;

/* A bug: one file each. */
struct known {
    const char *id;         /* of the rule, in small letters, and what more is needed to tell two apart */
    const char *rule;       /* in one sentence */
    const char *expected;   /* what a correct backend does */
    const char *observed;   /* what QEMU 7.2 does */
    const char *devices[3]; /* BUSID=KIND, on ports 1, 2, ... */
    int signal;             /* of which it dies; 0: it lives, and is wrong */
    bool cold;              /* the ports are assigned before the backend runs */
    bool empty;             /* the ports are not assigned */
    bool unconnected;       /* the steps connect */
    enum outcome (*steps)(struct bed *bed);
};

struct bed {
    const struct known *known;
    struct family family;
    struct xen_machine *machine;
    struct xen *dom0;
    struct vusb_controller controller;
    struct raw_front front;
    struct peer *peer; /* QEMU, or */
    int reference;     /* our backend: a socket for commands */
    int child;         /* which of the family it is */
    pid_t pid;         /* of the backend */
    bool hasty;        /* nothing is expected to come: waits are short, at our own backend still long */
    bool hold;         /* requests wait for bed_push() */
    bool died;
    struct peer_death death;
    size_t length;
    char story[BED_STORY_MAX]; /* lines: what was done, and what came */
};

/*
 * Starts all. 0; or 77 when a package is missing, or 1; then error (PEER_ERROR_MAX bytes) says what it is.
 * bed_close() is due in any case.
 */
int bed_open(struct bed *bed, const struct known *known, bool reference, char *error);
void bed_close(struct bed *bed);

/* Writes a line of the story. */
void __attribute__((format(printf, 2, 3))) bed_note(struct bed *bed, const char *format, ...);

/* ---- what a frontend does ---- */

/* Rings, nodes, state Connected, and waits for the backend to say so, too. */
bool bed_connect(struct bed *bed);
/* States 5, 6 and 1, and waits for the backend to follow. The rings have ended. */
bool bed_disconnect(struct bed *bed);
bool bed_backend_is(struct bed *bed, enum xenbus_state state);
enum xenbus_state bed_backend_state(struct bed *bed);
/* Puts a request on the ring and publishes it; the answer is asked for with bed_status(). */
void bed_send(struct bed *bed, const struct usbif_urb_request *request, const char *what);
/* Publishes all requests since bed->hold was set, at once. */
void bed_push(struct bed *bed);
/* A control request with `length` bytes of segments. target is BED_ADDRESS() or BED_PORT(). */
#define BED_ADDRESS(address) ((uint32_t)(address) << 8)
#define BED_PORT(port)       ((uint32_t)(port))
void bed_control(struct bed *bed, uint16_t id, uint32_t target, const uint8_t setup[8], uint32_t length);
/* GET_DESCRIPTOR of the device: 18 bytes, or a status, or BED_NO_ANSWER. */
int bed_descriptor(struct bed *bed, uint16_t id, uint32_t target);
/* SET_ADDRESS, with that id. */
int bed_address(struct bed *bed, uint16_t id, uint32_t port, uint16_t address);
/* Waits for a port to be announced, gives it the address and configures the device. */
bool bed_device(struct bed *bed, uint32_t port, uint16_t address, uint8_t configuration);
/* The same for a keyboard, which then speaks only when a key changes. */
bool bed_keyboard(struct bed *bed, uint32_t port, uint16_t address);
/* A bulk or interrupt transfer of one page at most, IN for ep | 0x80. */
void bed_transfer(struct bed *bed, uint16_t id, uint16_t address, uint32_t type, uint8_t ep, uint16_t length);
void bed_unlink(struct bed *bed, uint16_t id, uint16_t address, uint8_t ep, uint16_t target);
/* Waits for the answer to a request. actual, if not NULL, gets the length. */
int bed_status(struct bed *bed, uint16_t id, uint32_t *actual);
/* Waits for an event of that port and speed, from the from-th event on. Its number + 1; 0: none came. */
unsigned int bed_event(struct bed *bed, unsigned int from, unsigned int port, unsigned int speed);
/* Lets time pass, and takes what comes. */
void bed_listen(struct bed *bed, unsigned int ms);

/* ---- what others do ---- */

void bed_port(struct bed *bed, unsigned int port, const char *busid);
/* A command for the bus: "unplug 1-1", "plug 1-1 keyboard", "type 1-1 x", "halt 1-1 0x81". */
void bed_bus(struct bed *bed, const char *command);

#endif
