/* SPDX-License-Identifier: MIT */
/*
 * What is under test, and the machine it is on. One struct peer serves one case: made, started, perhaps killed and
 * started again, closed. Errors before the case runs are one line in error, and the run then says "the
 * peer never came".
 *
 * Implementations: inproc.c (our halves on a local machine, virtual time), process.c (our halves, or any command, and
 * the machine as processes), attach.c (what runs somewhere already), qemu.c (QEMU's backend).
 */
#ifndef CONFORMANCE_PEERS_PEER_H
#define CONFORMANCE_PEERS_PEER_H

#include <fakexen/fakexen.h>

#include "../back.h"
#include "../conform.h"
#include "../moments.h"

#define PEER_ERROR_MAX 256u
#define PEER_PROBE     "1-1" /* where the probe device is; more are at 1-2 ... */
#define PEER_HUB       0xffu /* instead of a speed: what is plugged in says that it is a hub */

/* A backend under test is in domain 0, a frontend in domain `guest`. Strings live longer than any peer. */
struct peer_config {
    enum conform_role role;
    uint64_t timeout_ns;
    const char *command; /* the half under test, as a command line; NULL: what the peer's name says */
    const char *machine; /* of peer attach: a folder, or "real"; else NULL */
    const char *without; /* abilities that the half under test has not, with blanks between them, or NULL */
    domid_t guest;       /* usually 1 */
};

struct peer;

/* What is to be seen of the half under test: see moments.h. */
struct peer_watch {
    moment_seen *seen; /* NULL: nothing */
    void *context;
    bool page; /* accesses to the page with that reference, too */
    grant_ref_t ref;
};

struct peer_ops {
    const char *name;
    const char *abilities; /* see conform_has(); may depend on the role: then abilities_for() */
    const char *(*abilities_for)(const struct peer_config *config); /* NULL of it: the peer does not play that role */
    int (*open)(const struct peer_config *config, struct peer **out, char error[PEER_ERROR_MAX]);
    void (*close)(struct peer *peer);
    /*
     * The peer's half begins; the machine is there, and for a frontend its guest. -ENOPKG: a package is missing, which
     * error names; the case is skipped then.
     */
    int (*start)(struct peer *peer, char error[PEER_ERROR_MAX]);
    void (*kill)(struct peer *peer);
    /* True with one line ("signal 6, Aborted") when it has died by itself. */
    bool (*died)(struct peer *peer, char line[PEER_ERROR_MAX]);
    /*
     * Lets the peer work until something may have changed, at most until `until_ns` of now(). fd is what the case's own
     * half waits on, -1 on a local machine. False when nothing will change before that by itself: the peer is idle.
     * In virtual time a call may first move the clock to the peer's next deadline, when `advance` says so.
     */
    bool (*turn)(struct peer *peer, int fd, uint64_t until_ns, bool advance);
    /*
     * Until the peer has done all that it will do by itself now, for peers in other processes that can tell. NULL: the
     * case waits for a quiet time.
     */
    void (*settle)(struct peer *peer);
    /*
     * Until the peer's processes sleep, which a wait that is over gives to who is only slow. NULL: it does not.
     */
    void (*rest)(struct peer *peer);
    uint64_t (*now)(struct peer *peer);
    struct xen_machine *(*machine)(struct peer *peer);
    /* Device side, for a backend under test. speed: USBIF_SPEED_* of the probe device. -ENOTSUP. */
    int (*plug)(struct peer *peer, const char *busid, uint8_t speed);
    int (*unplug)(struct peer *peer, const char *busid);
    /* Guest side, for a frontend under test; see back.h. NULL without "guest". */
    const struct peer_guest_ops *guest;
    /* The same of a toolstack; see toolstack.h. NULL without "attach". */
    const struct peer_toolstack_ops *toolstack;
    /* What is open on the machine, for "inproc". */
    struct fakexen_balance (*balance)(struct peer *peer);
    /* For "moments" and "accesses". */
    void (*watch)(struct peer *peer, const struct peer_watch *watch);
};

/* Returns of int: -errno; -EOPNOTSUPP when the guest cannot do that at all, and the case is skipped. */
struct peer_guest_ops {
    int (*submit)(struct peer *peer, const struct guest_urb *urb);
    int (*unlink)(struct peer *peer, int urb, int reason);
    struct guest_result (*result)(struct peer *peer, int urb);
    int (*write)(struct peer *peer, uint32_t offset, const void *data, uint32_t size);
    int (*read)(struct peer *peer, uint32_t offset, void *data, uint32_t size);
    int (*hub)(struct peer *peer, const uint8_t setup[8], void *data, uint16_t size);
    int (*close)(struct peer *peer); /* the orderly one */
    int (*reconnect)(struct peer *peer);
    struct guest_packet (*packet)(struct peer *peer, int urb, unsigned int packet);
    uint32_t (*hub_changes)(struct peer *peer);
};

/*
 * What an administrator orders for guest 1 of a toolstack under test, for "attach". Nothing is waited for. 0 or -errno: it
 * was refused.
 */
struct peer_toolstack_ops {
    int (*create)(struct peer *peer, unsigned int usb_ver, unsigned int num_ports, unsigned int *devid);
    int (*attach)(struct peer *peer, const char *busid, unsigned int devid, unsigned int port); /* 0: the first free */
    int (*attach_address)(struct peer *peer, unsigned int bus, unsigned int address, unsigned int devid);
    int (*detach)(struct peer *peer, unsigned int devid, unsigned int port);
    /* Who has that device. -ENODEV: nobody. */
    int (*holder)(struct peer *peer, const char *busid, unsigned int *devid, unsigned int *port);
    int (*close)(struct peer *peer, unsigned int devid);
    int (*remove)(struct peer *peer, unsigned int devid); /* once it is closed, or the time for that is over */
    /* The physical bus that it looks at. */
    int (*plug)(struct peer *peer, const char *busid, bool hub);
    int (*unplug)(struct peer *peer, const char *busid);
};

/* Implementations embed this as their first member. */
struct peer {
    const struct peer_ops *ops;
    struct peer_config config;
};

extern const struct peer_ops peer_inproc, peer_process, peer_program, peer_attach, peer_qemu;

#endif
