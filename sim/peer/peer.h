/* SPDX-License-Identifier: MIT */
/*
 * QEMU's PVUSB backend as a peer: starts Debian's unmodified xen-qemu-system-i386 as the driver domain of a
 * fake machine, fed with simulated devices, and ends it. Three programs become two processes of one process
 * group:
 *
 *   pvusb-usbfs --control FD --device ... -- pvusb exec --dir DIR --domid 0 -- QEMU -M xenpv ...
 *
 * Whatever happens, nothing is left: the group dies with the process that started it, its folder of temporary
 * files goes with peer_stop(), and every wait has a limit.
 *
 * QEMU 7.2 aborts on a port that names a device before it runs, or that names none: write port nodes after
 * peer_qemu_start() has returned, for devices that are there.
 *
 * Threads: one. The processes die with the thread that started them.
 */
#ifndef SIM_PEER_PEER_H
#define SIM_PEER_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <xen/xen.h>

#define PEER_ERROR_MAX   512u
#define PEER_COMMAND_MAX 4096u
#define PEER_DEVICES_MAX 31u
#define PEER_QEMU        "/usr/libexec/xen-qemu-system-i386"
#define PEER_PATIENCE_MS 10000u /* to begin, to answer, to end */

struct peer;

struct peer_config {
    const char *dir; /* of the machine (pvusb host) */
    domid_t guest;
    const char *const *devices; /* BUSID=KIND, as for pvusb-usbfs */
    unsigned int nr_devices;
    const char *trace; /* instead of devices: those of this recording; NULL for none */
    const char *notes; /* with it: the file where pvusb-usbfs notes what they see; NULL for none */
    const char *qemu;  /* NULL: PVUSB_QEMU of the environment, else PEER_QEMU */
    const char *bin;   /* folder of pvusb and pvusb-usbfs; NULL: PVUSB_BIN, else that of this program */
};

/* How a peer ended. */
struct peer_death {
    bool qemu;                 /* QEMU; else pvusb-usbfs around it */
    int signal;                /* 0: it exited */
    int code;                  /* then with this */
    char text[PEER_ERROR_MAX]; /* one line: who, of what, and the last thing it said */
};

/*
 * Returns when QEMU has said in xenstore that it runs, about 50 ms. -ENOPKG: a package is missing, which
 * error (a line, PEER_ERROR_MAX bytes) names; -ETIMEDOUT, -ECHILD it did not begin, or died; or another
 * -errno. Nothing is left then.
 */
int peer_qemu_start(const struct peer_config *config, struct peer **out, char *error);
/* Readable when the peer has ended. */
int peer_fd(const struct peer *peer);
/* Whether it has ended; death tells how. */
bool peer_poll_death(struct peer *peer, struct peer_death *death);
/* The process ids: of pvusb-usbfs, which leads the group, and of QEMU. */
pid_t peer_pid(const struct peer *peer);
pid_t peer_qemu_pid(struct peer *peer);
/*
 * Has pvusb-usbfs do something, such as "unplug 1-1" (see its --help). answer (PEER_ERROR_MAX bytes, may be
 * NULL) gets what it said. -EINVAL it said "error"; -ETIMEDOUT; -EPIPE it is gone.
 */
int peer_command(struct peer *peer, const char *command, char *answer);
/* The command line that starts the same by hand, for reports. PEER_COMMAND_MAX bytes. */
const char *peer_command_line(const struct peer *peer);
/*
 * Ends and frees it; NULL is allowed. 0: it ended when told to; -ECHILD it had died before; -ETIMEDOUT it had
 * to be killed.
 */
int peer_stop(struct peer *peer);

#endif
