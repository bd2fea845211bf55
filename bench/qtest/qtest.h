/* SPDX-License-Identifier: MIT */
/*
 * A real QEMU whose USB controller is driven by a guest driver of ours, without a guest: registers over
 * QEMU's qtest socket, guest memory shared with us. The program has the machine "pc" with a virtual processor
 * that sleeps for ever.
 *
 * One register access is one round trip over a socket, about as dear as the exit of an HVM guest to its
 * device model; they are counted. Everything else (descriptors, data) is plain memory, as it is for a guest.
 *
 * Time: with QTEST_REAL, QEMU's clock is real time; pass the real monotonic time to qtest_step(). With
 * QTEST_VIRTUAL its clock stands still at 0 and is moved by qtest_step() to what that is given: runs are the
 * same every time and as fast as the machine is, but say nothing about speed. A step that would move it by
 * more than a millisecond moves it in steps of one.
 *
 * Threads: one. Calls wait for QEMU's answers; a QEMU that says nothing for ten seconds counts as dead.
 */
#ifndef BENCH_QTEST_QTEST_H
#define BENCH_QTEST_QTEST_H

#include <sys/types.h>

#include "guest/hcd.h"
#include "uhci/bus.h"

enum qtest_controller {
    QTEST_UHCI, /* piix3-usb-uhci: 2 ports, low and full speed */
    QTEST_EHCI, /* usb-ehci: 6 ports, high speed */
    QTEST_XHCI, /* qemu-xhci: 4 ports, all speeds */
};

enum qtest_clock { QTEST_REAL, QTEST_VIRTUAL };

struct qtest_config {
    enum qtest_controller controller;
    enum qtest_clock clock;
    /* EHCI, xHCI: the driver looks at memory instead of waiting for interrupts; its deadline is now. */
    bool polled;
    /*
     * Further arguments of QEMU, ended by NULL: "-device", "usb-storage,bus=hc.0,drive=d", ... The
     * controller's bus is "hc.0". NULL for none.
     */
    const char *const *arguments;
    const char *program; /* NULL: qtest_program() */
    /*
     * Called in QEMU's process before it becomes QEMU; NULL for nothing. Descriptors that are not closed on
     * exec are there, for chardevs of the arguments.
     */
    void (*before_exec)(void *context);
    void *context;
    uint32_t uhci_bandwidth; /* 0 for QEMU's own */
    size_t memory;           /* bytes for the driver and its buffers; 0 for 32 MiB */
};

struct qtest;

/* The QEMU that can do this clock; NULL where there is none, then *reason names the package. */
const char *qtest_program(enum qtest_clock clock, const char **reason);

/*
 * Starts QEMU and the driver. -errno, with one line of why in error (size bytes, always ended); QEMU's own
 * complaint is in it.
 */
int qtest_create(const struct qtest_config *config, struct qtest **out, char *error, size_t size);
/* Ends QEMU. Nothing may be under way, no buffer allocated. */
void qtest_destroy(struct qtest *qtest);
struct hcd *qtest_hcd(struct qtest *qtest);
/* Takes what QEMU said and runs the driver. */
void qtest_step(struct qtest *qtest, uint64_t now_ns);
uint64_t qtest_deadline(const struct qtest *qtest);
/* Readable when an interrupt has come: the one descriptor to wait on. */
int qtest_fd(const struct qtest *qtest);
/* For the accounting of its time. */
pid_t qtest_pid(const struct qtest *qtest);
/* false once QEMU has died: all URBs come back with -ESHUTDOWN or later with the guest's timeouts. */
bool qtest_alive(const struct qtest *qtest);
void qtest_counters(const struct qtest *qtest, struct hc_bus_counters *out);
/* The bus below the driver; its memory is shared with QEMU. */
struct hc_bus *qtest_bus(struct qtest *qtest);
/* UHCI only: frames that the controller has run, as it says itself, modulo 2048. */
uint16_t qtest_frame(struct qtest *qtest);

#endif
