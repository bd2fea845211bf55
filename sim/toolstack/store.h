/* SPDX-License-Identifier: MIT */
/*
 * What toolstack commands find in xenstore and change there. The handle is domain 0's. Only struct xen_ops is
 * used, so that a real xenstore serves as well.
 *
 * Two commands at once: everything that depends on what is there (a free port, a device that nobody has, the
 * next number of a controller) is read and written in one transaction, which is tried again when somebody
 * else changed it.
 *
 * Nothing that a guest can write is believed: controllers are those that backend domains have directories of
 * (rule SEC-12). What a guest says is used to end a wait, and printed without control characters.
 *
 * Errors: 0 or -errno, with a line in error (TOOL_ERROR_MAX bytes). -EINVAL: an argument is wrong in itself;
 * any other: the machine is not so that it could be done. What is refused has changed nothing.
 */
#ifndef SIM_TOOLSTACK_STORE_H
#define SIM_TOOLSTACK_STORE_H

#include "toolstack/spec.h"
#include "toolstack/vusb.h"

#define STORE_NAME_MAX    SPEC_DOMAIN_SIZE
#define STORE_DOMAINS_MAX 512u
#define STORE_ANY         UINT32_MAX

/* ---- domains ---- */

struct tstore_domain {
    domid_t domid;
    char name[STORE_NAME_MAX];
};

/* By name or number. */
int tstore_find_domain(struct xen *xen, const char *text, struct tstore_domain *out, char *error);
/* All, ascending; returns how many are in out (STORE_DOMAINS_MAX), or -errno. */
int tstore_domains(struct xen *xen, xen_transaction t, struct tstore_domain *out);
/* Gives a domain a name and the nodes that guests have, if no other has that name (-EEXIST). */
int tstore_name_domain(struct xen *xen, const struct tstore_domain *domain, bool hvm, char *error);
/*
 * Removes what a domain that is about to end leaves in other places: its backends' directories, /libxl, /vm. From
 * here on no command gives it anything.
 */
int tstore_forget_domain(struct xen *xen, domid_t domid);

/* ---- controllers ---- */

struct tstore_controller {
    struct vusb_controller c;                        /* kind is static text */
    char port[PVUSB_PORTS_MAX + 1][SPEC_BUSID_SIZE]; /* "" for none; names that are no places are "?" */
};

struct tstore_controllers {
    struct tstore_controller *list; /* by guest, then number */
    unsigned int count;
};

/* Those of a guest, or of all (STORE_ANY). Free with tstore_controllers_free(). */
int tstore_controllers(struct xen *xen, xen_transaction t, unsigned int frontend,
                       struct tstore_controllers *out);
void tstore_controllers_free(struct tstore_controllers *controllers);
/* NULL: there is none. */
struct tstore_controller *tstore_controller_of(const struct tstore_controllers *controllers,
                                               unsigned int frontend, unsigned int devid);
/* Whose port has the device, NULL if nobody's; port is set. */
const struct tstore_controller *tstore_holder_of(const struct tstore_controllers *controllers,
                                                 const char *busid, unsigned int *port);

/* Makes a controller with the next number; devid is set. ports: names for its ports, or NULL. */
int tstore_add_controller(struct xen *xen, struct vusb_controller *controller, char (*ports)[SPEC_BUSID_SIZE],
                          char *error);
/* Ports empty, online 0, state Closing: the backend is asked to close it (rule BUS-11). -ENODEV: it is gone. */
int tstore_close_controller(struct xen *xen, const struct vusb_controller *controller, char *error);
/* That was done, and it is neither gone since nor a new one with its number. */
bool tstore_is_closing(struct xen *xen, xen_transaction t, const struct vusb_controller *controller);
/* All its nodes. */
int tstore_remove_controller(struct xen *xen, const struct vusb_controller *controller);
/* The same while it is closing; else somebody else has done so, and it is no error. */
int tstore_remove_closed(struct xen *xen, const struct vusb_controller *controller);
/* For a controller that only a backend of an other domain serves: it announces so (rule XS-16). */
bool tstore_serves_qusb(struct xen *xen, domid_t backend, domid_t frontend);

/* ---- ports ---- */

struct tstore_port {
    struct vusb_controller
        c;             /* frontend and devid are asked for; devid STORE_ANY: the first with a free port */
    unsigned int port; /* STORE_ANY: the first that is free */
    char busid[SPEC_BUSID_SIZE];
    const char *guest; /* its name, for messages */
    bool low_or_full;  /* the device may be on a USB 1.1 controller (rule CONN-13) */
    bool xl;           /* refuse in xl's words, else in xm's */
};

/* Puts busid on a port; fills in the rest of c and port. */
int tstore_attach(struct xen *xen, struct tstore_port *port, char *error);
/* Takes whatever is on a port away; busid is set. -ENXIO when nothing is. */
int tstore_detach(struct xen *xen, struct tstore_port *port, char *error);
/* Takes it away if it is still busid. */
int tstore_take_back(struct xen *xen, const struct tstore_port *port);

/* ---- waiting ---- */

/*
 * Until done() says so, at each change of one of the paths (absolute), at most timeout_ms. -ETIMEDOUT;
 * -EPIPE; or what a negative done() said.
 */
int tstore_wait(struct xen *xen, const char *const *paths, unsigned int count, int (*done)(void *context),
                void *context, uint64_t timeout_ms);

#endif
