// SPDX-License-Identifier: MIT
/*
 * Where our store is known to be other than xenstored, and why. What these are about is not asked, or only of ours, as
 * the two would be different from then on, or xenstored gone.
 */
#include <string.h>

#include "differ.h"

/*
 * get_node_canonicalized() of no string leaves errno as it was, and the answer is that error. When it is 0, none is sent,
 * and xenstored fails an assertion ("conn->in == NULL") and is gone, whoever asked.
 */
static bool no_string(const struct differ_message *ask, domid_t domid)
{
    (void)domid;
    switch (ask->type) {
    case XS_READ:
    case XS_DIRECTORY:
    case XS_GET_PERMS:
    case XS_MKDIR:
    case XS_RM:
        return !ask->length || memchr(ask->payload, '\0', ask->length) != ask->payload + ask->length - 1;
    default:
        return false;
    }
}

/* do_set_perms() gives errno, which was not set, in place of what set_perms_special() returned. */
static bool special_refused(const struct differ_message *ask, domid_t domid)
{
    return ask->type == XS_SET_PERMS && ask->payload[0] == '@' &&
           (domid || (strcmp(ask->payload, "@releaseDomain") != 0 && strcmp(ask->payload, "@introduceDomain") != 0));
}

/* When the domain goes that owns "/", xenstored removes "/" and has no store any more. Ours keeps it. */
static bool root_given(const struct differ_message *ask, domid_t domid)
{
    return ask->type == XS_SET_PERMS && !domid &&
           (strcmp(ask->payload, "/") == 0 || strcmp(ask->payload, "/local") == 0 ||
            strcmp(ask->payload, "/local/domain") == 0);
}

/* The limit of a token is ours; and behind a ring it has a prefix, for which the payload must have room. */
static bool long_token(const struct differ_message *ask, domid_t domid)
{
    (void)domid;
    return ask->type == XS_WATCH && ask->length > XEN_XS_TOKEN_MAX;
}

struct differ_known differ_known[] = {
    {"no string where one has to be: xenstored's answer is an old error, or its end", no_string, true, 0},
    {"refused permissions of @releaseDomain and the like: the same", special_refused, false, 0},
    {"the root given to a domain: xenstored removes it with the domain", root_given, false, 0},
    {"tokens of more than 3072 bytes: ours refuses them", long_token, false, 0},
    {"a transaction in which not all nodes are of one moment: ours are of its beginning", NULL, false, 0},
    {NULL, NULL, false, 0},
};

struct differ_known *differ_find_known(const struct differ_message *ask, domid_t domid)
{
    for (struct differ_known *known = differ_known; known->reason; known++) {
        if (known->matches && known->matches(ask, domid)) {
            known->hits++;
            return known;
        }
    }
    return NULL;
}
