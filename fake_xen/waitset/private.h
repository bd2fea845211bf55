/* SPDX-License-Identifier: MIT */
/* The inside of a set, for implementations of xen_ops.h that can join one. */
#ifndef FAKEXEN_WAITSET_PRIVATE_H
#define FAKEXEN_WAITSET_PRIVATE_H

#include <fakexen/waitset.h>

struct xen_waitset {
    int epoll;
    int timer;
    struct xen_source timer_source;
    bool rang;
    uint64_t armed_ns;  /* UINT64_MAX: not armed */
    uint32_t looks;     /* counts them */
    unsigned int held;   /* events that were found and not taken: none must be waited for */
};

/* Calls source->found() whenever fd is ready: as long as it is, or each time that it becomes so. */
int waitset_watch(struct xen_waitset *set, int fd, struct xen_source *source, bool each_time);
/* To be called before fd is closed, as another process may have it, too. */
void waitset_forget(struct xen_waitset *set, int fd);
/* One look without waiting. */
int waitset_look(struct xen_waitset *set);

#endif
