/* SPDX-License-Identifier: MIT */
/* Consecutive addresses in which foreign pages appear. */
#ifndef FAKEXEN_GRANT_WINDOW_H
#define FAKEXEN_GRANT_WINDOW_H

#include <fakexen/xen_ops.h>

/* Addresses for count pages, all of which fault. */
int window_reserve(unsigned int count, void **out);
/* Puts count pages of fd, from frame on, at page `at` of the window. */
int window_map(void *window, unsigned int at, int fd, uint32_t frame, unsigned int count, bool writable);
/* Turns all pages into private zeroed ones, so that a stale pointer does no harm. */
void window_detach(void *window, unsigned int count);
void window_release(void *window, unsigned int count);

#endif
