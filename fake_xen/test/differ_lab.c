// SPDX-License-Identifier: MIT
#include "differ.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const domid_t domids[DIFFER_CLIENTS] = {0, 0, 1, 1, 2, 3};

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    printf("%s: %s\n", what, strerror(errno));
    fflush(stdout);
    abort();
}

/* ---- connections ---- */

static void connect_to(struct differ_lab *lab, const struct differ_client *client, enum differ_side side, int *out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *dir = lab->form[side].dir;
    if (client->domid)
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/domain/%u/xenstored.socket", dir,
                 (unsigned int)client->domid);
    else
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/xenstored.socket", dir);
    *out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(*out >= 0 && !connect(*out, (const struct sockaddr *)&address, sizeof(address)), address.sun_path);
    /* Whoever does not answer for so long will not. */
    const struct timeval patience = {.tv_sec = 20};
    require(!setsockopt(*out, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), "SO_RCVTIMEO");
}

static void send_message(int fd, uint32_t t, const struct differ_message *message)
{
    char whole[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header = {.type = message->type, .req_id = 77, .tx_id = t, .len = message->length};
    memcpy(whole, &header, sizeof(header));
    memcpy(whole + sizeof(header), message->payload, message->length);
    size_t size = sizeof(header) + message->length;
    require(send(fd, whole, size, MSG_NOSIGNAL) == (ssize_t)size, "sending to xenstore");
}

static void receive_message(int fd, struct differ_message *message)
{
    struct xsd_sockmsg header;
    require(recv(fd, &header, sizeof(header), MSG_WAITALL) == sizeof(header), "no answer of xenstore");
    require(header.len <= XENSTORE_PAYLOAD_MAX, "a message that is too long");
    message->type = header.type;
    message->length = header.len;
    if (header.len)
        require(recv(fd, message->payload, header.len, MSG_WAITALL) == (ssize_t)header.len, "half an answer");
    message->payload[header.len] = '\0';
}

static void keep_event(struct differ_events *events, const struct differ_message *message)
{
    require(message->length > 1 && !message->payload[message->length - 1] &&
                strlen(message->payload) + 1 < message->length,
            "an event without token");
    while (events->length + message->length > events->room) {
        events->room = events->room ? 2 * events->room : 4096;
        events->data = realloc(events->data, events->room);
        require(events->data, "memory");
    }
    memcpy(events->data + events->length, message->payload, message->length);
    events->length += message->length;
}

bool differ_event(const struct differ_events *events, size_t *at, const char **path, const char **token)
{
    if (*at >= events->length)
        return false;
    *path = events->data + *at;
    *token = *path + strlen(*path) + 1;
    *at += strlen(*path) + strlen(*token) + 2;
    return true;
}

static void receive_answer(struct differ_connection *connection, struct differ_message *answer)
{
    for (;;) {
        receive_message(connection->fd, answer);
        if (answer->type != XS_WATCH_EVENT)
            return;
        keep_event(&connection->events, answer);
    }
}

void differ_ask(struct differ_lab *lab, const struct differ_op *op, enum differ_side side,
                struct differ_message *answer)
{
    struct differ_client *client = &lab->clients[op->client];
    uint32_t t = op->transaction >= 0 ? client->transactions[op->transaction][side] : op->transaction == -1 ? 0 : 12345;
    send_message(client->side[side].fd, t, &op->ask);
    receive_answer(&client->side[side], answer);
}

void differ_fence(struct differ_lab *lab)
{
    static const struct differ_message fence = {.type = XS_GET_DOMAIN_PATH, .length = 2, .payload = "9"};
    struct differ_message answer;
    for (unsigned int i = 0; i < DIFFER_CLIENTS * SIDES; i++)
        send_message(lab->clients[i / SIDES].side[i % SIDES].fd, 0, &fence);
    for (unsigned int i = 0; i < DIFFER_CLIENTS * SIDES; i++)
        receive_answer(&lab->clients[i / SIDES].side[i % SIDES], &answer);
}

static void client_connect(struct differ_lab *lab, struct differ_client *client)
{
    memset(client->transactions, 0, sizeof(client->transactions));
    for (enum differ_side side = OURS; side < SIDES; side++)
        connect_to(lab, client, side, &client->side[side].fd);
}

static void client_close(struct differ_client *client)
{
    for (enum differ_side side = OURS; side < SIDES; side++)
        close(client->side[side].fd);
}

static void differ_reconnect(struct differ_lab *lab, struct differ_client *client)
{
    client_close(client);
    client_connect(lab, client);
}

void differ_restart(struct differ_lab *lab, domid_t domid)
{
    for (enum differ_side side = OURS; side < SIDES; side++) {
        const struct xen_machine_ops *ops = lab->machine[side]->ops;
        int rc = ops->domain_destroy(lab->machine[side], domid);
        if (!rc)
            rc = ops->domain_create(lab->machine[side], domid);
        errno = -rc;
        require(!rc, side == OURS ? "making a domain anew" : "making a domain of xenstored anew");
    }
    for (unsigned int i = 0; i < DIFFER_CLIENTS; i++) {
        if (lab->clients[i].domid == domid)
            differ_reconnect(lab, &lab->clients[i]);
    }
}

/* ---- beginning and end ---- */

void differ_begin(struct differ_lab *lab, const struct fakexen_xenstored *genuine)
{
    memset(lab, 0, sizeof(*lab));
    for (enum differ_side side = OURS; side < SIDES; side++) {
        struct host_form *form = &lab->form[side];
        strcpy(form->parent, "/tmp/fakexen-test-XXXXXX");
        require(mkdtemp(form->parent), "mkdtemp");
        snprintf(form->dir, sizeof(form->dir), "%s/machine", form->parent);
        host_process_start_with(&form->process, form->dir, form->parent, side == THEIRS ? genuine : NULL);
        require(!fakexen_client_machine_create(form->dir, &lab->machine[side]), "memory");
        for (domid_t domid = 1; domid <= 3; domid++)
            require(!lab->machine[side]->ops->domain_create(lab->machine[side], domid), "making a domain");
    }
    for (unsigned int i = 0; i < DIFFER_CLIENTS; i++) {
        lab->clients[i].domid = domids[i];
        client_connect(lab, &lab->clients[i]);
    }
}

void differ_finish(struct differ_lab *lab)
{
    for (unsigned int i = 0; i < DIFFER_CLIENTS; i++) {
        client_close(&lab->clients[i]);
        for (enum differ_side side = OURS; side < SIDES; side++)
            free(lab->clients[i].side[side].events.data);
    }
    /* The last first: it holds what keeps the other one going. */
    for (unsigned int left = SIDES; left; left--) {
        enum differ_side side = left - 1;
        fakexen_client_machine_destroy(lab->machine[side]);
        require(!host_process_stop(&lab->form[side].process), "the host's end");
    }
}

/* ---- the tree ---- */

/* What one client of domain 0 is told of a path. */
static void look(struct differ_lab *lab, enum differ_side side, uint32_t type, const char *path,
                 struct differ_message *answer)
{
    struct differ_op op = {.transaction = -1};
    op.ask.type = type;
    op.ask.length = (uint32_t)strlen(path) + 1;
    memcpy(op.ask.payload, path, op.ask.length);
    differ_ask(lab, &op, side, answer);
}

/* So that it can be read, and compared as text. */
static void print_bytes(FILE *out, const struct differ_message *message)
{
    for (uint32_t i = 0; i < message->length; i++) {
        unsigned char c = (unsigned char)message->payload[i];
        if (c > ' ' && c < 0x7f)
            fputc(c, out);
        else
            fprintf(out, "\\%02x", (unsigned int)c);
    }
}

static void dump_below(struct differ_lab *lab, enum differ_side side, const char *path, FILE *out)
{
    struct differ_message names;
    struct differ_message answer;
    char child[XENSTORE_PAYLOAD_MAX];
    fprintf(out, "%s = ", path);
    look(lab, side, XS_READ, path, &answer);
    print_bytes(out, &answer);
    look(lab, side, XS_GET_PERMS, path, &answer);
    fputs("  (", out);
    print_bytes(out, &answer);
    fputs(")\n", out);
    look(lab, side, XS_DIRECTORY, path, &names);
    if (names.type != XS_DIRECTORY) {
        fprintf(out, "  children: %s\n", names.payload);
        return;
    }
    for (const char *name = names.payload; name < names.payload + names.length; name += strlen(name) + 1) {
        snprintf(child, sizeof(child), "%s/%.2000s", path[1] ? path : "", name);
        dump_below(lab, side, child, out);
    }
}

char *differ_dump(struct differ_lab *lab, enum differ_side side)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    require(out, "memory");
    dump_below(lab, side, "/", out);
    require(!fclose(out), "memory");
    return text;
}
