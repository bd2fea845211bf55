/* SPDX-License-Identifier: MIT */
/* Who rewrites shared memory while the half under test reads it, for the cases of double fetches. */
#ifndef CONFORMANCE_CASES_REWRITER_H
#define CONFORMANCE_CASES_REWRITER_H

#include <string.h>

#include "../moments.h"

struct rewriter {
    uint8_t *page;         /* as the case sees it */
    unsigned int at;       /* of the two bytes to rewrite */
    bool second;           /* half of a number of four bytes */
    unsigned int from, to; /* what belongs to the request */
    uint16_t value;
    bool half, touched, done;
    unsigned int nth, reads; /* of rewrite_at_read() */
};

static inline void rewrite(struct rewriter *r)
{
    memcpy(r->page + r->at, &r->value, sizeof(r->value));
    r->done = true;
}

/* For readers of two bytes and of four: as soon as it was read; for readers of more at the next call. */
static inline void rewrite_when_read(void *context, const struct moment *moment)
{
    struct rewriter *r = context;
    if (r->done)
        return;
    if (moment->kind == MOMENT_CALL) {
        if (r->touched)
            rewrite(r);
        return;
    }
    if (moment->kind == MOMENT_READ && moment->offset == r->at) {
        rewrite(r);
    } else if (r->half) {
        rewrite(r);
    } else if (moment->kind == MOMENT_READ && moment->offset >= r->from && moment->offset < r->to) {
        r->touched = true;
        r->half = r->second && moment->offset + 2 == r->at;
    }
}

static inline void rewrite_at_read(void *context, const struct moment *moment)
{
    struct rewriter *r = context;
    if (moment->kind == MOMENT_READ && moment->offset >= r->from && moment->offset < r->to &&
        r->reads++ == r->nth)
        rewrite(r);
}

/* How often each byte was the first of a reading. */
struct counter {
    unsigned int from, to;
    uint8_t reads[4096];
};

static inline void count(void *context, const struct moment *moment)
{
    struct counter *c = context;
    if (moment->kind == MOMENT_READ && moment->offset >= c->from && moment->offset < c->to)
        c->reads[moment->offset]++;
}

#endif
