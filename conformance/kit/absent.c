/* SPDX-License-Identifier: MIT */
/* Stands in for the halves of the kit that are not linked in; the real ones take their place. */
#include "../front.h"
#include "kit.h"

#define WEAK __attribute__((weak))

WEAK void kit_front_start(struct conform *t)
{
    conform_skip(t, "this build has no frontend kit");
}

WEAK void kit_front_check(struct conform *t)
{
    (void)t;
}

WEAK void kit_front_finish(struct conform *t)
{
    (void)t;
}

WEAK void kit_back_start(struct conform *t)
{
    conform_skip(t, "this build has no backend kit");
}

WEAK void kit_back_check(struct conform *t)
{
    (void)t;
}

WEAK void kit_back_finish(struct conform *t)
{
    (void)t;
}

WEAK struct xen *front_xen(struct front *f)
{
    (void)f;
    return NULL;
}
