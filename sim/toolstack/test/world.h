/* SPDX-License-Identifier: MIT */
/*
 * A whole host in one process, in virtual time: the machine, the physical bus in a folder of its own, a
 * backend that has its devices, and guests as 'pvusb guest-create' makes them. The toolstack's calls are made
 * on dom0.
 */
#ifndef SIM_TOOLSTACK_TEST_WORLD_H
#define SIM_TOOLSTACK_TEST_WORLD_H

#include <fakexen/fakexen.h>

#include "backend/backend.h"
#include "bus/hostbus.h"
#include "toolstack/store.h"
#include "vm/vm.h"

#define WORLD_GUESTS    16u
#define WORLD_LINES     4096u
#define WORLD_LINE_SIZE 128u
#define WORLD_ROUND_NS  UINT64_C(2000000) /* each round is so long */

struct world_guest {
    struct tstore_domain domain; /* domid 0: no such guest */
    struct vm *vm;               /* NULL: its process is not running */
    bool older;                  /* its process has also what comes without PVUSB */
    struct world *world;
};

struct world {
    char dir[256];
    struct fakexen_local *local;
    struct xen_machine *machine;
    struct xen *dom0;
    struct sim_host *sim; /* these three NULL: no backend runs */
    struct hostbus_follow *follow;
    struct back_driver *driver;
    struct world_guest guest[WORLD_GUESTS];
    domid_t last_domid;
    uint64_t read; /* of each disk, by guests to come */
    uint64_t now_ns;
    unsigned int round;
    char line[WORLD_LINES][WORLD_LINE_SIZE]; /* the last ones, of all */
    unsigned int nr_lines;
};

/* Whatever does not work that always should ends the program with a line. */
void world_check(bool good, const char *what, int rc);

struct world *world_create(uint64_t read);
/* Ends all; the machine must be as it was when it was made. */
void world_destroy(struct world *world);
/* Everybody does what he can, so many times; who goes first changes. */
void world_run(struct world *world, unsigned int rounds);

void world_start_backend(struct world *world);
/* killed: its handles die first, as its process would. */
void world_end_backend(struct world *world, bool killed);

void world_create_guest(struct world *world, unsigned int i);
/* One that can be given whole controllers, too; hvm: and devices on an emulated one (usb = 1). */
void world_create_older_guest(struct world *world, unsigned int i, bool hvm);
void world_destroy_guest(struct world *world, unsigned int i);
void world_start_process(struct world *world, unsigned int i);
/* The process dies; the domain stays. */
void world_kill_process(struct world *world, unsigned int i);

/* A line among those of the logs. */
void world_note(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The last lines of all logs. */
void world_print_log(const struct world *world, unsigned int lines);
/* All of xenstore, to be freed. */
char *world_nodes(struct world *world);

#endif
