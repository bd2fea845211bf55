/* SPDX-License-Identifier: MIT */
/*
 * What a world should be like: which device is where on the bus, which controllers the guests have and what
 * each port is given, and from that what each guest must see. Kept apart from all code that it is compared
 * with.
 */
#ifndef SIM_TOOLSTACK_TEST_MODEL_H
#define SIM_TOOLSTACK_TEST_MODEL_H

#include "world.h"

#define MODEL_GUESTS      4u
#define MODEL_CONTROLLERS 3u
#define MODEL_PORTS       4u
#define MODEL_PLACES      14u
#define MODEL_TEXT_MAX    400u

extern const char *const model_places[MODEL_PLACES];

struct model_device {
    bool there;
    bool hub;
    bool fast; /* not for a USB 1.1 controller */
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

struct model_guest {
    bool there;
    bool runs;
    uint64_t life; /* of its process */
    struct model_controller controller[MODEL_CONTROLLERS];
};

struct model {
    struct model_device device[MODEL_PLACES];
    struct model_guest guest[MODEL_GUESTS];
    bool backend;
    uint64_t backend_life;
    uint64_t count; /* for given, made and lives */
    uint64_t found; /* devices that guests found */
};

/* The place's number, MODEL_PLACES for none. */
unsigned int model_place(const char *path);
/* Whose port has the busid; NULL for nobody's. */
struct model_port *model_holder(struct model *model, const char *busid);

/*
 * Compare, and say what is different; true when nothing is. The first: bus, controllers, ports and what is
 * assignable, which are right at once. The second: what the guests see, and that what was not touched was not
 * disturbed; it takes them a moment.
 */
bool model_compare_now(struct model *model, struct world *world, char what[MODEL_TEXT_MAX]);
bool model_compare_guests(struct model *model, struct world *world, char what[MODEL_TEXT_MAX]);

#endif
