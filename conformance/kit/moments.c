// SPDX-License-Identifier: MIT
#include "../moments.h"

#include "kit.h"

static void watch(struct conform *t, const struct peer_watch *watch)
{
    if (!t->peer->ops->watch)
        conform_skip(t, "what peer %s does cannot be watched", t->peer->ops->name);
    t->peer->ops->watch(t->peer, watch);
}

void moments_calls(struct conform *t, moment_seen *seen, void *context)
{
    watch(t, &(struct peer_watch){.seen = seen, .context = context});
}

void moments_accesses(struct conform *t, grant_ref_t ref, moment_seen *seen, void *context)
{
    watch(t, &(struct peer_watch){.seen = seen, .context = context, .page = true, .ref = ref});
}
