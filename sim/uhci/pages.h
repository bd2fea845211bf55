/* SPDX-License-Identifier: MIT */
/*
 * The pages of a bus' memory: for a driver's structures and for buffers. First fit; meant for a few large
 * buffers that live long.
 *
 * Threads: one.
 */
#ifndef SIM_UHCI_PAGES_H
#define SIM_UHCI_PAGES_H

#include "uhci/bus.h"

struct hc_pages {
    uint8_t *memory;
    uint8_t *used; /* a byte for each page */
    size_t n;
};

/* -ENOMEM. The bus' memory must outlive it. */
int hc_pages_open(struct hc_pages *pages, const struct hc_bus *bus);
void hc_pages_close(struct hc_pages *pages);
/* Contiguous, page aligned, zeroed; NULL when there is no such run. size > 0. */
void *hc_pages_alloc(struct hc_pages *pages, size_t size);
/* What hc_pages_alloc(size) has returned. */
void hc_pages_free(struct hc_pages *pages, void *memory, size_t size);
/* Whether all of it is memory of the bus, in use. True for no bytes. */
bool hc_pages_hold(const struct hc_pages *pages, const void *memory, size_t size);
size_t hc_pages_used(const struct hc_pages *pages);

#endif
