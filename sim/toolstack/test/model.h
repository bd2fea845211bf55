/* SPDX-License-Identifier: MIT */
/*
 * What a world should be like: which device is where on the bus, which controllers the guests have and what
 * each port is given, and from that what each guest must see. Kept apart from all code that it is compared
 * with.
 */
#ifndef SIM_TOOLSTACK_TEST_MODEL_H
#define SIM_TOOLSTACK_TEST_MODEL_H

#include "toolstack/owner.h"
#include "world.h"

#define MODEL_GUESTS      4u
#define MODEL_CONTROLLERS 3u
#define MODEL_PORTS       4u
#define MODEL_PLACES      14u
#define MODEL_BUSES       3u
#define MODEL_TEXT_MAX    400u
#define MODEL_LIST_AGE    8u /* steps */

extern const char *const model_places[MODEL_PLACES];

struct model_device {
    bool there;
    bool hub;
    bool fast;   /* not for a USB 1.1 controller */
    bool faster; /* nor for an emulated one, which runs what it can at full speed */
    unsigned int bus;
    unsigned int address;
    uint64_t serial;
    uint16_t vendor;
    uint16_t product;
};

struct model_port {
    char busid[SPEC_BUSID_SIZE];
    uint64_t given;  /* which attach it was */
    uint64_t life;   /* of what the guest was last seen to have, see model_life() */
    uint64_t number; /* that the guest gave it then */
};

struct model_controller {
    bool there;
    unsigned int devid;
    unsigned int version;
    unsigned int ports;
    uint64_t made; /* when it was */
    struct model_port port[MODEL_PORTS + 1];
};

/* On the emulated controller of an HVM guest. */
struct model_emulated {
    struct model_port port;
    char spec[64]; /* as usb-add was told */
};

struct model_guest {
    bool there;
    bool runs;
    bool hvm;
    uint64_t life; /* of its process */
    struct model_controller controller[MODEL_CONTROLLERS];
    struct model_emulated emulated[EMULATED_PORTS + 1];
};

struct model {
    struct model_device device[MODEL_PLACES];
    struct model_guest guest[MODEL_GUESTS];
    unsigned int owner[MODEL_BUSES + 1];    /* of the whole bus: 1 + the guest, 0 for nobody */
    struct model_port passed[MODEL_PLACES]; /* what the owner sees; no busid */
    bool backend;
    uint64_t backend_life;
    uint64_t count; /* for given, made and lives */
    uint64_t found; /* devices that guests found */
    /* The bus, as it was read last; to be read again after what may change it, and now and then. */
    struct hostbus_device *list;
    unsigned int nr_list;
    unsigned int list_age;
};

/* The place's number, MODEL_PLACES for none. */
unsigned int model_place(const char *path);
/* Whose port has the busid; NULL for nobody's. */
struct model_port *model_holder(struct model *model, const char *busid);
/* Whether it is on an emulated controller, or on a bus that a guest has as a whole. */
bool model_owned(const struct model *model, const char *busid);
unsigned int model_bus(const char *busid);

/*
 * Compare, and say what is different; true when nothing is. The first: bus, controllers, ports and what is
 * assignable, which are right at once. The second: what the guests see, and that what was not touched was not
 * disturbed; it takes them a moment.
 */
bool model_compare_now(struct model *model, struct world *world, char what[MODEL_TEXT_MAX]);
bool model_compare_guests(struct model *model, struct world *world, char what[MODEL_TEXT_MAX]);

/* ---- between model.c and model_older.c ---- */

/* Of a port, as the guest has it. */
struct model_seen {
    bool is;
    uint64_t number; /* another one whenever it was found anew */
    unsigned int vendor;
    unsigned int product;
};

/* Changes with any of the parts; never 0. */
uint64_t model_hash(const uint64_t *parts, unsigned int count);
/* life 0: there must be nothing. what begins with the port's name. */
bool model_compare_seen(struct model *model, struct model_port *port, uint64_t life,
                        const struct model_device *device, const struct model_seen *seen, char *what);
/* The same two of what guests have without PVUSB. */
bool model_compare_owners(const struct model *model, struct world *world, char *what);
bool model_compare_older(struct model *model, struct world *world, unsigned int g, char *what);

#endif
