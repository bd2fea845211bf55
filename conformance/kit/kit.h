/* SPDX-License-Identifier: MIT */
/* The inside of a running case, for kit/ and run/. */
#ifndef CONFORMANCE_KIT_KIT_H
#define CONFORMANCE_KIT_KIT_H

#include <setjmp.h>
#include <stdint.h> /* Xen's headers need it first */

#include <xen/io/usbif.h>

#include "../conform.h"
#include "../peers/peer.h"
#include "../store.h"

enum kit_verdict {
    KIT_PASS,
    KIT_FAIL,
    KIT_SKIP,
    KIT_DIED,  /* the peer died */
    KIT_ERROR, /* the peer never came, or the kit could not do its part */
};

struct kit_log; /* events of rings, xenbus and notes, the newest kept: kit/log.c */
struct front;
struct kit_back;

#define KIT_CREATED 16u

struct conform {
    const struct conform_case *test;
    struct peer *peer;
    uint64_t seed;
    uint64_t random;
    jmp_buf leave;
    enum kit_verdict verdict;
    bool applicable; /* false: the peer lacks what the case needs */
    char message[512]; /* one line: what was expected, what came, or why not */
    struct kit_log *log; /* NULL: nothing is kept */
    void (*failed)(struct conform *t); /* NULL, or called when a verdict is not a pass and all is still there */
    struct xen *dom0; /* toolstack, NULL without */
    struct front *front[4];
    unsigned int nr_fronts;
    struct kit_back *back;
    struct store_controller created[KIT_CREATED]; /* on a machine that outlives the case */
    unsigned int nr_created;
};

/*
 * Runs one case with a peer that was opened for it, from start() to the last cleanup. The verdict and message are in
 * t. Never leaves anything open; the caller closes the peer.
 */
void kit_run(struct conform *t);

/* Ends the case with a verdict; the message is in t. */
_Noreturn void kit_leave(struct conform *t, enum kit_verdict verdict);

/* front*.c: what CONFORM_CONNECTED and CONFORM_READY ask for, and the end. */
void kit_front_start(struct conform *t);
void kit_front_finish(struct conform *t); /* also after a failure: gives up what is left */
/* After a pass: responses and events that nobody expected fail the case. */
void kit_front_check(struct conform *t);
/* back*.c: the same. */
void kit_back_start(struct conform *t);
void kit_back_finish(struct conform *t);
void kit_back_check(struct conform *t);

/* store.c: has the peer close the controllers that the case made, where the machine outlives it, and removes them. */
void kit_store_finish(struct conform *t);
/* conform.c: conform_try() with a bound of its own. */
bool kit_try(struct conform *t, bool (*holds)(struct conform *t, void *context), void *context, uint64_t ns);

/* ---- log.c ---- */

/* A line for the log; `what` is "ring", "xenbus", "case". */
void kit_log_line(struct conform *t, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A slot as it stands in the ring; bus is the frontend's number, from 1. Each is a line, too. */
void kit_log_request(struct conform *t, uint16_t bus, uint32_t index, const struct usbif_urb_request *request);
void kit_log_response(struct conform *t, uint16_t bus, uint32_t index, const struct usbif_urb_response *response);
void kit_log_plug(struct conform *t, uint32_t index, const struct usbif_conn_response *event);
/* The response that is about to be judged; NULL: one that has not come yet. */
void kit_log_checked(struct conform *t, const struct usbif_urb_response *response);
/* The newest request of that id that is in the log, or NULL. */
const struct usbif_urb_request *kit_log_find(struct conform *t, uint16_t bus, uint16_t id);
/* The payload of that request, or its beginning: of OUT at once, of IN before its response is logged. */
void kit_log_payload(struct conform *t, uint16_t bus, uint16_t id, const void *data, uint32_t size);
/* The same of isochronous packets: offset, length, actual_length, status of each. */
void kit_log_packets(struct conform *t, uint16_t bus, uint16_t id, uint32_t (*words)[4], uint32_t count);

/* ---- store.c ---- */

/* store_write(), or with value NULL store_remove(), without a line in the log. */
void kit_store_set(struct conform *t, struct xen *xen, const char *path, const char *value);

/* ---- dump.c ---- */

/* Both ends of every controller of the case, from xenstore into the log. Never fails the case. */
void kit_dump_store(struct conform *t);

#endif
