/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the guest share: a world of host, controller and guest in virtual time, and a disk that
 * lies.
 */
#ifndef SIM_TEST_GUEST_UTIL_H
#define SIM_TEST_GUEST_UTIL_H

#include "devices/disk.h"
#include "guest/storage.h"
#include "guest/loop_hcd.h"
#include "test/test_device_util.h"

#define DISK_BYTES (4u * 1024 * 1024)
#define BUFFER     (512u * 1024)

struct world {
    struct sim_host *sim;
    struct loop_hcd *loop;
    struct guest *guest;
    uint64_t now_ns;
    struct guest_device *device; /* the last one that became ready */
    unsigned int ready, gone, failed;
    int error;
    struct storage *storage;
    unsigned int started, finished;
    int start_status;
};

/* What the device of new_liar() does wrong; all zero for nothing. */
struct lie {
    uint16_t value;       /* of the GET_DESCRIPTOR to answer otherwise */
    const uint8_t *bytes; /* NULL: never answers */
    uint32_t n;
    unsigned int stall_at;   /* the how-manieth bulk IN transfer stalls, from 1; 0 for none */
    unsigned int spoil_from; /* CSWs with a wrong tag: from this one to the next */
    unsigned int spoil_to;
    unsigned int error_at; /* the how-manieth bulk IN transfer fails, and the next one gets no answer */
    uint8_t residue;       /* that CSWs claim */
    unsigned int ins, csws;
};

extern struct lie lie;

void world_open(struct world *w);
void world_plug(struct world *w, unsigned int port, const char *busid, struct usb_device *device);
/* One round; false when nothing will ever happen again. */
bool world_step(struct world *w);
/* Until then. */
void world_run(struct world *w);
/* Closes the guest and checks that nothing is left. */
void world_close(struct world *w);
/* The same with a disk on port 1 and a buffer of BUFFER bytes. */
void world_open_disk(struct world *w, struct usb_device *device, uint8_t **buffer);
void world_close_disk(struct world *w, uint8_t *buffer);

struct usb_device *new_disk(uint8_t speed);
struct usb_device *new_liar(void);

/* For requests with a struct world as context: counts. */
void on_finished(struct storage_request *request);
/* Submits, runs, and returns the status. */
int run_request(struct world *w, uint64_t lba, uint32_t blocks, bool write, void *buffer);

#endif
