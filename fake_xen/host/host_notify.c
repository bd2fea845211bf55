// SPDX-License-Identifier: MIT
/*
 * What a client asked to be done when a page is unmapped (UNMAP_NOTIFY_* of Linux's gntdev and gntalloc). It
 * is done here and not by the client, which may be dead by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "host.h"

/* The port of the client's domain, as a descriptor of its own: the event arrives even if the port closes
 * first. */
static int port_reference(const struct host_client *client, uint32_t number, int *out)
{
    const struct evtchn *evtchn = evtchn_find(&client->domain->ports, number);
    if (!evtchn)
        return -EINVAL;
    int fd = fcntl(((const struct host_port *)evtchn)->notify, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    *out = fd;
    return 0;
}

void host_notify_clear(const struct host_notify *notify, const struct host_granter *granter, uint32_t frame)
{
    static const uint8_t zero;
    if (notify->offset != CONTROL_NONE)
        (void)!pwrite(granter->granter.fd, &zero, 1, (off_t)frame * XEN_PAGE_SIZE_BYTES + notify->offset);
}

void host_notify_send(struct host_notify *notify)
{
    if (notify->event < 0)
        return;
    host_evtchn_raise_fd(notify->event);
    close(notify->event);
    notify->event = -1;
}

/* Takes the place of what was asked for before. */
static int set(const struct host_client *client, struct host_notify *notify, uint32_t offset, uint32_t port)
{
    int event = -1;
    int rc = port == CONTROL_NONE ? 0 : port_reference(client, port, &event);
    if (rc)
        return rc;
    if (notify->event >= 0)
        close(notify->event);
    *notify = (struct host_notify){.offset = offset, .event = event};
    return 0;
}

/* ---- maps ---- */

static int set_map(const struct host_client *client, uint32_t id, uint32_t offset, uint32_t port)
{
    struct host_map *map = client->maps;
    while (map && map->id != id)
        map = map->next;
    if (!map || map->count != 1 || (offset != CONTROL_NONE && !map->writable))
        return -EINVAL;
    return set(client, &map->notify, offset, port);
}

/* ---- pages of its own ---- */

static struct host_share **share_find(struct host_client *client, uint32_t frame)
{
    struct host_share **at = &client->shares;
    while (*at && (*at)->frame != frame)
        at = &(*at)->next;
    return at;
}

static int set_share(struct host_client *client, uint32_t frame, uint32_t offset, uint32_t port)
{
    struct host_share **at = share_find(client, frame);
    if (frame >= ARENA_PAGES)
        return -EINVAL;
    if (*at)
        return set(client, &(*at)->notify, offset, port);
    struct host_share *share = calloc(1, sizeof(*share));
    if (!share)
        return -ENOMEM;
    *share = (struct host_share){.frame = frame, .notify = HOST_NOTIFY_NONE};
    int rc = set(client, &share->notify, offset, port);
    if (rc) {
        free(share);
        return rc;
    }
    *at = share;
    return 0;
}

static void end_share(struct host_client *client, struct host_share **at)
{
    struct host_share *share = *at;
    *at = share->next;
    host_notify_clear(&share->notify, client->granter, share->frame);
    host_notify_send(&share->notify);
    free(share);
}

int host_share_end(struct host_client *client, uint32_t frame)
{
    struct host_share **at = share_find(client, frame);
    if (!*at)
        return -EINVAL;
    end_share(client, at);
    return 0;
}

void host_share_end_all(struct host_client *client)
{
    while (client->shares)
        end_share(client, &client->shares);
}

int host_notify_set(struct host_client *client, const struct control_request *request)
{
    if (request->count != 2 || request->flag > 1)
        return -EINVAL;
    uint32_t offset = request->refs[0];
    uint32_t port = request->refs[1];
    if (offset != CONTROL_NONE && offset >= XEN_PAGE_SIZE_BYTES)
        return -EINVAL;
    return request->flag ? set_share(client, request->value, offset, port)
                         : set_map(client, request->value, offset, port);
}
