// SPDX-License-Identifier: MIT
/*
 * What each type of message asks for, and who may ask it: wire_funcs[] and the functions named
 * there in xenstored_core.c, xenstored_domain.c, xenstored_watch.c and xenstored_transaction.c of Xen 4.17.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind errno.h, as its table of errors is there only then. */
#include <xen/io/xs_wire.h>

#include "path.h"
#include "wire_private.h"

/* ---- payloads ---- */

/* The payload if it is one string and nothing else, NULL otherwise: onearg(). */
static const char *only(const struct wire_request *r)
{
    return r->length && memchr(r->payload, '\0', r->length) == r->payload + r->length - 1 ? r->payload : NULL;
}

/* How many strings there are, and the first `size` of them. What follows the last NUL is nothing. */
static unsigned int strings(const struct wire_request *r, const char *vector[], unsigned int size)
{
    unsigned int count = 0;
    const char *end = r->payload + r->length;
    for (const char *at = r->payload; at < end; count++) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        if (!nul)
            break;
        if (count < size)
            vector[count] = at;
        at = nul + 1;
    }
    return count;
}

/* Numbers are what atoi() makes of them, as in xenstored: of nonsense 0. */
static unsigned int number_of(const char *text)
{
    return (unsigned int)strtol(text, NULL, 10);
}

/* A domain that xenstored could know. It compares more bits than a domid has. */
static bool is_domid(unsigned int number)
{
    return number < DOMID_FIRST_RESERVED;
}

static int answer_text(struct wire_request *r, const char *text)
{
    r->answer_length = strlen(text) + 1;
    memcpy(r->answer, text, r->answer_length);
    return 0;
}

static int answer_ok(struct wire_request *r, int rc)
{
    return rc ? rc : answer_text(r, "OK");
}

static int answer_bytes(struct wire_request *r, ssize_t rc)
{
    if (rc < 0)
        return (int)rc;
    r->answer_length = (size_t)rc;
    return 0;
}

/* ---- nodes ---- */

static int serve_directory(struct wire_request *r)
{
    const char *path = only(r);
    return path ? answer_bytes(r, store_directory(r->conn, r->t, path, r->answer, XENSTORE_PAYLOAD_MAX))
                : -EINVAL;
}

/* The generation is in front, so that a client can tell whether it has parts of one list. */
static int serve_directory_part(struct wire_request *r)
{
    char list[XENSTORE_PAYLOAD_MAX];
    char number[24];
    const char *vector[2];
    uint64_t generation;
    if (strings(r, vector, 2) != 2)
        return -EINVAL;
    ssize_t length = store_directory_part(r->conn, r->t, vector[0], number_of(vector[1]), list,
                                          XENSTORE_PAYLOAD_MAX, &generation);
    if (length < 0)
        return (int)length;
    snprintf(number, sizeof(number), "%" PRIu64, generation);
    answer_text(r, number);
    memcpy(r->answer + r->answer_length, list, (size_t)length);
    r->answer_length += (size_t)length;
    return 0;
}

static int serve_read(struct wire_request *r)
{
    const char *path = only(r);
    return path ? answer_bytes(r, store_read(r->conn, r->t, path, r->answer, XENSTORE_PAYLOAD_MAX + 1))
                : -EINVAL;
}

static int serve_write(struct wire_request *r)
{
    const char *path;
    if (!strings(r, &path, 1))
        return -EINVAL;
    size_t path_size = strlen(path) + 1;
    return answer_ok(r, store_write(r->conn, r->t, path, path + path_size, r->length - path_size));
}

static int serve_mkdir(struct wire_request *r)
{
    const char *path = only(r);
    return path ? answer_ok(r, store_mkdir(r->conn, r->t, path)) : -EINVAL;
}

static int serve_rm(struct wire_request *r)
{
    const char *path = only(r);
    return path ? answer_ok(r, store_rm(r->conn, r->t, path)) : -EINVAL;
}

static int serve_get_perms(struct wire_request *r)
{
    struct xen_xs_perm perms[XEN_XS_PERMS_MAX];
    const char *path = only(r);
    int count = path ? store_get_perms(r->conn, r->t, path, perms, XEN_XS_PERMS_MAX) : -EINVAL;
    for (int i = 0; i < count; i++)
        r->answer_length += wire_perm_format(&perms[i], r->answer + r->answer_length) + 1;
    return count < 0 ? count : 0;
}

static int serve_set_perms(struct wire_request *r)
{
    struct xen_xs_perm perms[XEN_XS_PERMS_MAX];
    const char *vector[1 + XEN_XS_PERMS_MAX];
    unsigned int count = strings(r, vector, 1 + XEN_XS_PERMS_MAX);
    if (count < 2)
        return -EINVAL;
    if (count > 1 + (store_conn_domid(r->conn) ? STORE_NODE_PERMS_MAX : XEN_XS_PERMS_MAX))
        return -ENOSPC;
    for (unsigned int i = 1; i < count; i++) {
        int rc = wire_perm_parse(vector[i], &perms[i - 1]);
        if (rc)
            return rc;
    }
    return answer_ok(r, store_set_perms(r->conn, r->t, vector[0], perms, count - 1));
}

/* ---- watches and transactions ---- */

static int serve_watch(struct wire_request *r)
{
    const char *vector[2];
    /* A third string, the depth of newer versions, is an error for 4.17. */
    if (strings(r, vector, 2) != 2)
        return -EINVAL;
    return answer_ok(r, store_watch(r->conn, vector[0], vector[1]));
}

static int serve_unwatch(struct wire_request *r)
{
    const char *vector[2];
    if (strings(r, vector, 2) != 2)
        return -EINVAL;
    return answer_ok(r, store_unwatch(r->conn, vector[0], vector[1]));
}

static int serve_reset_watches(struct wire_request *r)
{
    store_reset(r->conn);
    return answer_ok(r, 0);
}

static int serve_transaction_start(struct wire_request *r)
{
    xen_transaction t;
    char text[16];
    /* They do not nest. */
    if (r->t != XEN_XBT_NIL)
        return -EBUSY;
    int rc = store_begin(r->conn, &t);
    if (rc)
        return rc;
    snprintf(text, sizeof(text), "%u", t);
    return answer_text(r, text);
}

static int serve_transaction_end(struct wire_request *r)
{
    const char *verdict = only(r);
    if (!verdict || (strcmp(verdict, "T") != 0 && strcmp(verdict, "F") != 0))
        return -EINVAL;
    return answer_ok(r, store_end(r->conn, r->t, verdict[0] == 'F'));
}

/* ---- domains ---- */

/* Which page and which port a domain has for its ring is of no use here; both have to be there. */
static int serve_introduce(struct wire_request *r)
{
    const char *vector[3];
    if (strings(r, vector, 3) < 3 || (int)number_of(vector[2]) <= 0)
        return -EINVAL;
    unsigned int domid = number_of(vector[0]);
    return is_domid(domid) ? answer_ok(r, store_mark_introduced(r->store, (domid_t)domid, true)) : -EINVAL;
}

/* The one argument, a domain other than 0 that is introduced: onearg_domain(). */
static int introduced_domain(const struct wire_request *r, domid_t *out)
{
    const char *text = only(r);
    unsigned int domid = text ? number_of(text) : 0;
    if (!domid)
        return -EINVAL;
    if (!is_domid(domid) || !store_introduced(r->store, (domid_t)domid))
        return -ENOENT;
    *out = (domid_t)domid;
    return 0;
}

static int serve_release(struct wire_request *r)
{
    domid_t domid;
    int rc = introduced_domain(r, &domid);
    return rc ? rc : answer_ok(r, store_mark_introduced(r->store, domid, false));
}

/* Nothing to do: a domain of ours is never shut down without being gone. */
static int serve_resume(struct wire_request *r)
{
    domid_t domid;
    return answer_ok(r, introduced_domain(r, &domid));
}

static int serve_set_target(struct wire_request *r)
{
    const char *vector[2];
    if (strings(r, vector, 2) < 2)
        return -EINVAL;
    unsigned int domid = number_of(vector[0]);
    unsigned int target = number_of(vector[1]);
    if (!is_domid(domid) || !is_domid(target))
        return -ENOENT;
    return answer_ok(r, store_set_target(r->store, (domid_t)domid, (domid_t)target));
}

static int serve_get_domain_path(struct wire_request *r)
{
    char home[32];
    const char *text = only(r);
    if (!text)
        return -EINVAL;
    snprintf(home, sizeof(home), "/local/domain/%u", number_of(text));
    return answer_text(r, home);
}

static int serve_is_domain_introduced(struct wire_request *r)
{
    const char *text = only(r);
    if (!text)
        return -EINVAL;
    unsigned int domid = number_of(text);
    bool known = domid == DOMID_SELF || (is_domid(domid) && store_introduced(r->store, (domid_t)domid));
    return answer_text(r, known ? "T" : "F");
}

/* What xenstore-control sends. There is no log to switch and no store on disk to check. */
static int serve_control(struct wire_request *r)
{
    const char *vector[2];
    unsigned int count = strings(r, vector, 2);
    if (!count)
        return -EINVAL;
    if (strcmp(vector[0], "check") == 0)
        return count == 1 ? answer_ok(r, 0) : -EINVAL;
    if (strcmp(vector[0], "log") == 0)
        return count == 2 && (strcmp(vector[1], "on") == 0 || strcmp(vector[1], "off") == 0) ? answer_ok(r, 0)
                                                                                             : -EINVAL;
    if (strcmp(vector[0], "print") == 0)
        return count == 2 ? answer_ok(r, 0) : -EINVAL;
    if (strcmp(vector[0], "help") == 0)
        return answer_text(r, "Supported commands:\ncheck\nlog on|off\nprint <string>\nhelp\n");
    return -EINVAL;
}

/* ---- the table ---- */

/* Types without a function are not for clients to send, or are not there at all (XS_RESTRICT). */
static const struct request_type {
    int (*serve)(struct wire_request *r);
    bool any_transaction; /* tx_id is not looked at */
    bool privileged;      /* for domain 0 only */
} types[XS_TYPE_COUNT] = {
    [XS_CONTROL] = {.serve = serve_control, .privileged = true},
    [XS_DIRECTORY] = {.serve = serve_directory},
    [XS_READ] = {.serve = serve_read},
    [XS_GET_PERMS] = {.serve = serve_get_perms},
    [XS_WATCH] = {.serve = serve_watch, .any_transaction = true},
    [XS_UNWATCH] = {.serve = serve_unwatch, .any_transaction = true},
    [XS_TRANSACTION_START] = {.serve = serve_transaction_start},
    [XS_TRANSACTION_END] = {.serve = serve_transaction_end},
    [XS_INTRODUCE] = {.serve = serve_introduce, .privileged = true},
    [XS_RELEASE] = {.serve = serve_release, .privileged = true},
    [XS_GET_DOMAIN_PATH] = {.serve = serve_get_domain_path},
    [XS_WRITE] = {.serve = serve_write},
    [XS_MKDIR] = {.serve = serve_mkdir},
    [XS_RM] = {.serve = serve_rm},
    [XS_SET_PERMS] = {.serve = serve_set_perms},
    [XS_IS_DOMAIN_INTRODUCED] = {.serve = serve_is_domain_introduced, .privileged = true},
    [XS_RESUME] = {.serve = serve_resume, .privileged = true},
    [XS_SET_TARGET] = {.serve = serve_set_target, .privileged = true},
    [XS_RESET_WATCHES] = {.serve = serve_reset_watches},
    [XS_DIRECTORY_PART] = {.serve = serve_directory_part},
};

int wire_serve(struct wire_request *r)
{
    const struct request_type *type = r->type < XS_TYPE_COUNT ? &types[r->type] : NULL;
    if (!type || !type->serve)
        return -ENOSYS;
    if (type->privileged && store_conn_domid(r->conn))
        return -EACCES;
    if (!type->any_transaction && r->t != XEN_XBT_NIL && !store_transaction_open(r->conn, r->t))
        return -ENOENT;
    return type->serve(r);
}
