// SPDX-License-Identifier: MIT
#include "usbfs/bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/kinds.h"
#include "usbfs/private.h"

static struct node *find(struct bus *bus, const char *busid)
{
    for (struct node *n = bus->nodes; n; n = n->next) {
        if (n->device && strcmp(n->busid, busid) == 0)
            return n;
    }
    return NULL;
}

static bool is_used(const struct node *node)
{
    for (const struct client *c = node->bus->clients; c; c = c->next) {
        if (c->node == node)
            return true;
    }
    return false;
}

/* Frees the nodes that are neither plugged in nor open. */
static void sweep(struct bus *bus)
{
    client_sweep(bus);
    for (struct node **link = &bus->nodes; *link;) {
        struct node *node = *link;
        if (node->device || is_used(node)) {
            link = &node->next;
            continue;
        }
        *link = node->next;
        testbed_release(&node->place);
        free(node);
    }
}

/* ---- plugging in and out ---- */

/* As in sysfs: the device descriptor, then every configuration with all it holds. */
static uint8_t *all_descriptors(const struct usb_descriptors *d, size_t *length)
{
    size_t n = 18;
    for (unsigned int i = 0; i < d->device[17]; i++)
        n += (size_t)(d->configurations[i][2] | d->configurations[i][3] << 8);
    uint8_t *bytes = malloc(n);
    if (!bytes)
        return NULL;
    *length = n;
    memcpy(bytes, d->device, 18);
    n = 18;
    for (unsigned int i = 0; i < d->device[17]; i++) {
        size_t part = (size_t)(d->configurations[i][2] | d->configurations[i][3] << 8);
        memcpy(bytes + n, d->configurations[i], part);
        n += part;
    }
    return bytes;
}

/* The string whose number is at that place in the device descriptor. */
static const char *name_of(const struct usb_descriptors *d, unsigned int at)
{
    unsigned int number = d->device[at];
    return number >= 1 && number <= d->nr_strings ? d->strings[number - 1] : NULL;
}

/* What Linux does when it finds a device: the first configuration. */
static void configure(struct node *node)
{
    const struct usb_descriptors *d = &node->device->descriptors;
    const uint8_t setup[8] = {0x00, 9, d->device[17] ? d->configurations[0][5] : 0};
    if (urb_own(node, setup))
        testbed_set_configuration(node->bus->testbed, &node->place, 0);
}

static int add_node(struct bus *bus, const char *busid)
{
    static const char *const megabits[] = {"", "1.5", "12", "480"};
    struct usb_host *host = bus->host;
    struct node *node = calloc(1, sizeof(*node));
    size_t length = 0;
    uint8_t *descriptors = NULL;
    int rc = -ENOMEM;
    if (!node)
        return rc;
    rc = host->ops->open(host, busid, &node->handle);
    if (rc)
        goto out;
    node->bus = bus;
    node->device = bus_device(bus, busid);
    memcpy(node->busid, busid, strlen(busid));
    descriptors = all_descriptors(&node->device->descriptors, &length);
    const struct testbed_about about = {.megabits = megabits[host->ops->speed(host, node->handle)],
                                        .descriptors = descriptors,
                                        .length = length,
                                        .names = {name_of(&node->device->descriptors, 14),
                                                  name_of(&node->device->descriptors, 15),
                                                  name_of(&node->device->descriptors, 16)}};
    rc = descriptors ? testbed_add(bus->testbed, busid, &about, &node->place) : -ENOMEM;
    free(descriptors);
    if (rc) {
        host->ops->close(host, node->handle);
        goto out;
    }
    node->next = bus->nodes;
    bus->nodes = node;
    configure(node);
    testbed_tell(bus->testbed, &node->place, "add");
    return 0;
out:
    free(node);
    return rc;
}

int bus_plug(struct bus *bus, const char *text, char *error)
{
    char busid[SIM_HOST_BUSID_SIZE];
    if (bus->recorded) {
        snprintf(error, KIND_ERROR_MAX, "the devices are those of the recording");
        return -EOPNOTSUPP;
    }
    int rc = kind_plug(bus->sim, text, busid, error);
    if (rc)
        return rc;
    rc = add_node(bus, busid);
    if (rc) {
        snprintf(error, KIND_ERROR_MAX, "%.200s: %s", text,
                 rc == -EOPNOTSUPP ? "a super-speed device that cannot pass for a high-speed one"
                                   : strerror(-rc));
        (void)sim_host_unplug(bus->sim, busid);
    }
    return rc;
}

int bus_unplug(struct bus *bus, const char *busid)
{
    int rc = bus->recorded ? -EOPNOTSUPP : sim_host_unplug(bus->sim, busid);
    sweep(bus);
    return rc;
}

/* Whoever pulls it: the control socket, or the device itself. Its transfers have been completed. */
static void unplugged(void *context, const char *busid)
{
    struct bus *bus = context;
    struct usb_host *host = bus->host;
    struct node *node = find(bus, busid);
    if (!node)
        return;
    node->device = NULL;
    host->ops->close(host, node->handle);
    for (struct client *c = bus->clients; c; c = c->next) {
        if (c->node == node)
            urb_wake(c);
    }
    testbed_tell(bus->testbed, &node->place, "remove");
    testbed_remove(bus->testbed, &node->place);
}

struct usb_device *bus_device(struct bus *bus, const char *busid)
{
    return bus->recorded ? recorded_device(bus->recorded, busid) : sim_host_device(bus->sim, busid);
}

/* ---- running ---- */

static int add_recorded(struct bus *bus)
{
    const char *busid;
    int rc = 0;
    for (uint32_t i = 0; !rc && (busid = recorded_busid(bus->recorded, i)); i++)
        rc = add_node(bus, busid);
    return rc;
}

int bus_create(struct testbed *testbed, struct recorded *recorded, struct bus **out)
{
    struct bus *bus = calloc(1, sizeof(*bus));
    int rc = !bus ? -ENOMEM : recorded ? 0 : sim_host_create(&bus->sim);
    if (rc) {
        free(bus);
        return rc;
    }
    bus->testbed = testbed;
    bus->recorded = recorded;
    bus->host = recorded ? recorded_host(recorded) : sim_host_host(bus->sim);
    bus->hubs = (struct node){.bus = bus, .place = {.listener = testbed_hubs_listener(testbed), .gate = -1}};
    bus->listener = (struct usb_host_listener){.unplugged = unplugged, .context = bus};
    rc = bus->host->ops->listen(bus->host, &bus->listener);
    if (!rc && recorded)
        rc = add_recorded(bus);
    if (rc)
        bus_destroy(bus);
    else
        *out = bus;
    return rc;
}

void bus_destroy(struct bus *bus)
{
    if (!bus)
        return;
    for (struct client *c = bus->clients; c; c = c->next)
        client_drop(c);
    for (struct node *n = bus->nodes; n; n = n->next) {
        if (n->device && bus->recorded)
            unplugged(bus, n->busid);
        else if (n->device)
            (void)sim_host_unplug(bus->sim, n->busid);
    }
    sweep(bus);
    sim_host_destroy(bus->sim);
    free(bus);
}

void bus_wait(struct bus *bus, struct loop *loop)
{
    loop_add(loop, bus->hubs.place.listener);
    for (const struct node *n = bus->nodes; n; n = n->next)
        loop_add(loop, n->place.listener);
    for (const struct client *c = bus->clients; c; c = c->next)
        loop_add(loop, c->fd);
}

uint64_t bus_deadline(struct bus *bus)
{
    struct usb_host *host = bus->host;
    uint64_t first = host->ops->deadline(host);
    for (const struct client *c = bus->clients; c; c = c->next) {
        uint64_t due = urb_deadline(c);
        first = due < first ? due : first;
    }
    return first;
}

void bus_step(struct bus *bus, const struct loop *loop, uint64_t now_ns)
{
    struct usb_host *host = bus->host;
    bus->now_ns = now_ns;
    if (loop_ready(loop, bus->hubs.place.listener))
        client_accept(&bus->hubs);
    for (struct node *n = bus->nodes; n; n = n->next) {
        if (n->place.listener >= 0 && (loop->overfull || loop_ready(loop, n->place.listener)))
            client_accept(n);
    }
    for (struct client *c = bus->clients; c; c = c->next) {
        if (c->fd >= 0 && loop_ready(loop, c->fd))
            client_serve(c);
        urb_expire(c, now_ns);
    }
    host->ops->step(host, now_ns);
    sweep(bus);
}

struct bus_stats bus_stats(const struct bus *bus)
{
    return bus->stats;
}
