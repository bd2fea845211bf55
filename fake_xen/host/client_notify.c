// SPDX-License-Identifier: MIT
#include <errno.h>

#include "client.h"

static int ask(struct client *client, uint32_t value, bool share, uint32_t offset, uint32_t port)
{
    struct control_request request = client_request(CONTROL_NOTIFY, 0, value);
    struct control_reply reply;
    request.flag = share;
    request.count = 2;
    request.refs[0] = offset;
    request.refs[1] = port;
    return client_call(client, &request, &reply, NULL, NULL);
}

int client_map_notify(struct client *client, const void *addr, uint32_t offset, uint32_t port)
{
    const struct client_map *map = client->maps;
    while (map && map->addr != addr)
        map = map->next;
    if (!map || map->count != 1)
        return -EINVAL;
    return ask(client, map->ids[0], false, offset, port);
}

int client_share_notify(struct client *client, const void *page, uint32_t offset, uint32_t port)
{
    uint32_t frame;
    int rc = arena_frame(client->arena, page, &frame);
    return rc ? rc : ask(client, frame, true, offset, port);
}

int client_share_end(struct client *client, const void *page)
{
    struct control_reply reply;
    uint32_t frame;
    int rc = arena_frame(client->arena, page, &frame);
    if (rc)
        return rc;
    struct control_request request = client_request(CONTROL_SHARE_END, 0, frame);
    return client_call(client, &request, &reply, NULL, NULL);
}
