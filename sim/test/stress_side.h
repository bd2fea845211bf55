/* SPDX-License-Identifier: MIT */
/* The two sides of a stress run, as its forms with one and with two processes have them. */
#ifndef SIM_TEST_STRESS_SIDE_H
#define SIM_TEST_STRESS_SIDE_H

#include "stress_guest.h"
#include "stress_host.h"

/* Guest and frontend: connects, runs, drains, compares, closes over a last batch. */
struct stress_front_side {
    const struct stress_options *options;
    struct stress_report *report;
    struct front *front;
    struct stress_guest *guest;
    enum {
        SIDE_CONNECTING,
        SIDE_RUNNING,
        SIDE_DRAINING,
        SIDE_CLOSING,
        SIDE_CLOSED
    } phase;
    bool warm;
    uint64_t told; /* so many URBs were done when it last said how far it is */
    uint64_t created_ns; /* 0 before the first step */
    uint64_t begun_ns;
    uint64_t closed_ns;  /* when it was asked to */
    /* Called when it is warm and when it is drained, to see what everybody uses. NULL is allowed. */
    void (*measure)(void *context, struct stress_usage usage[STRESS_PROCESSES]);
    void *context;
};

/* Fill in options, report and measure first. Takes the handle. */
int stress_front_side_init(struct stress_front_side *side, struct xen *xen);
void stress_front_side_dispose(struct stress_front_side *side);
/* -EPROTO when the report has a line. */
int stress_front_side_step(struct stress_front_side *side, uint64_t now_ns);
uint64_t stress_front_side_deadline(const struct stress_front_side *side);

/* Backend and devices. */
struct stress_back_side {
    struct back_driver *driver;
    struct xen *toolstack;
    struct stress_host *host;
    struct stress_report *report;
};

int stress_back_side_init(struct stress_back_side *side, struct xen_machine *machine,
                          const struct stress_options *options, struct stress_report *report);
void stress_back_side_dispose(struct stress_back_side *side);
int stress_back_side_step(struct stress_back_side *side, uint64_t now_ns);
/* 0 when it wants to go on at once. */
uint64_t stress_back_side_deadline(const struct stress_back_side *side);

/* Guest, controller, and a device for each port. */
int stress_make_machine(struct xen_machine *machine);

#endif
