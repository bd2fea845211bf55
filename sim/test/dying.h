/* SPDX-License-Identifier: MIT */
/*
 * A driver whose process dies at a chosen call to Xen: the call before was its last. What the rest of
 * its code still does has no effect on anybody. One at a time.
 */
#ifndef SIM_TEST_DYING_H
#define SIM_TEST_DYING_H

#include <fakexen/fakexen.h>

/*
 * The handle's n-th call from now on calls die(context) first, which ends the handle in its way. It returns to what
 * it was when it is closed.
 */
void dying_begin(struct xen *xen, unsigned int n, void (*die)(void *context, struct xen *xen), void *context);
/* Whether it has died. */
bool dying_dead(void);
/* It lives on. */
void dying_spare(void);

#endif
