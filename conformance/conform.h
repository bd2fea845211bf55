/* SPDX-License-Identifier: MIT */
/*
 * What a conformance case is written against. A case plays one half of PVUSB, byte by byte from Xen's own
 * headers, against a peer that is the other half, and says what is wrong with it.
 *
 *     static void short_in(struct conform *t)
 *     {
 *         probe_script(t, 0x81, PROBE_SHORT, 100);
 *         struct usbif_urb_request request = front_bulk(t, 0x81, 0, 512);
 *         front_send(t, &request);
 *         front_expect(t, request.id, 0, 100);
 *     }
 *
 *     {"backend.bulk.short", "transfer.short", "a short IN transfer reports what arrived", short_in},
 *
 * front.h is for cases with a backend under test (the case is the frontend and the guest), back.h for
 * those with a frontend under test (the case is the backend and the device), store.h for what both need of
 * xenstore, probe.h for the device that answers as it is told.
 *
 * The peer may be in this process on a machine in virtual time, a process of its own, or on a real Xen host: a
 * case cannot tell. So a case never sleeps and never counts on an order that the contract does not promise: it
 * waits for what must come (front_expect() and others, bounded), and uses conform_settle() before it says
 * that something did not come.
 *
 * Each case runs in a process of its own, on a machine of its own where the peer allows it. A case ends by
 * returning (pass), or inside any function here that finds something wrong (fail), or in conform_skip().
 * What it opened is cleaned up by the kit.
 */
#ifndef CONFORMANCE_CONFORM_H
#define CONFORMANCE_CONFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fakexen/xen_ops.h>

struct conform;

enum conform_role {
    CONFORM_BACKEND,  /* the peer under test is a backend */
    CONFORM_FRONTEND, /* the peer under test is a frontend */
    CONFORM_TOOLSTACK /* the nodes that a toolstack wrote */
};

/* What the kit does before run(), by default everything: */
enum conform_start {
    CONFORM_READY,     /* connected, probe device at port 1 with address CONFORM_ADDRESS and configured */
    CONFORM_CONNECTED, /* connected, all ports empty */
    CONFORM_NODES,     /* the controller's nodes are there, states 1 and 1; nothing else */
    CONFORM_NOTHING    /* guest and peer are there, no controller */
};

#define CONFORM_ADDRESS 3u

struct conform_case {
    const char *id;           /* dotted, stable, unique; begins with its group: backend frontend xenbus hostile
                                 toolstack */
    const char *requirements; /* ids of REQUIREMENTS.md with blanks between them */
    const char *title;        /* what a correct peer does, one line */
    void (*run)(struct conform *t);
    enum conform_role role;
    enum conform_start start;
    uint8_t num_ports; /* 0: 4 */
    uint8_t usb_ver;   /* 0: 2 */
    const char *needs; /* abilities of the peer, with blanks between them, or the case is skipped: see
                          conform_has() */
};

/* A group ends with an entry without id. All groups are listed in cases/groups.c. */
extern const struct conform_case *const conform_groups[];

/* ---- verdicts ---- */

/*
 * The case failed: one line that says what was expected and what came. Does not return. Of "FIELD: expected
 * A, it is B" the reports tell the three parts apart; the name of the field is that of usbif.h, ring.h or
 * xenstore.
 */
_Noreturn void conform_fail(struct conform *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The case cannot be run with this peer, and why. Does not return. */
_Noreturn void conform_skip(struct conform *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Fails unless equal; the name is that of the field in usbif.h, ring.h or xenstore: "rsp.status", "rsp_prod". */
void conform_equal(struct conform *t, const char *field, int64_t expected, int64_t actual);
/* Fails unless the bytes are the same; says at which offset they first differ. */
void conform_bytes(struct conform *t, const char *what, const void *expected, const void *actual, size_t n);
void conform_true(struct conform *t, bool holds, const char *what);
/* What a case that passes has to say of the peer, one line behind its verdict. */
void conform_say(struct conform *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line for the event log that a failure prints. */
void conform_note(struct conform *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- time and the peer ---- */

/*
 * Lets the peer work until holds(), and fails with "waited for WHAT" when it has not come to pass within the
 * bounded wait of the run (virtual time in one process, real time else; a peer that still works then may end that).
 */
void conform_wait(struct conform *t, bool (*holds)(struct conform *t, void *context), void *context,
                  const char *what);
/* The same, but says whether it came to pass. */
bool conform_try(struct conform *t, bool (*holds)(struct conform *t, void *context), void *context);
/*
 * Until the peer has done all it will do by itself now: when it is idle, if the peer can tell; when its processes have
 * slept for 50 ms, if they are known; else when a quiet time of 50 ms has passed. What such a peer does later than that is
 * not seen, nor what it does when a longer timer of its own ends.
 */
void conform_settle(struct conform *t);
/*
 * Lets that much of the peer's time pass. Free in virtual time, so for rules that name a time only; in real time the
 * case is skipped when it is more than the bound of a wait.
 */
void conform_pass(struct conform *t, uint64_t ns);
/* Fails with "the peer died" if it did; every wait does that by itself. */
void conform_alive(struct conform *t);
/*
 * Ends the peer as kill -9 does, and starts a new one. Needs "restart".
 */
void conform_kill_peer(struct conform *t);
void conform_start_peer(struct conform *t);

/*
 * Abilities: "inproc" (same process: deterministic, grants and maps can be counted), "device" (the probe device is
 * behind the peer), "replug" (physical plug and unplug), "speeds" (probe devices of every speed), "hub",
 * "iso",
 * "guest" (URBs can be submitted at the frontend), "toolstack" (this run writes the controller's nodes),
 * "restart", "guests" (more than one guest), "attach" (devices can be attached by the toolstack under test), "lasting"
 * (the machine was there before the case, and stays), "gntalloc" (grants as the kernel has them for a program: writable,
 * never withdrawn, and nobody sees whether they are mapped), "moments" and "accesses" (what the half does can be seen while it does
 * it: moments.h).
 */
bool conform_has(const struct conform *t, const char *ability);
/* The domain of the frontend, whichever half is under test: 1 but on machines that were there before. */
domid_t conform_guest(const struct conform *t);
/* A random number of the run's seed: the same for the same case and seed. */
uint64_t conform_random(struct conform *t);

#endif
