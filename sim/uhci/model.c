// SPDX-License-Identifier: MIT
/* Registers, ports and time of the UHCI model; see model.h. */
#include <errno.h>
#include <stdlib.h>

#include "uhci/model_private.h"

/* What the guest cannot write, and what it clears by writing ones. */
#define PORT_READ_ONLY                                                                                       \
    (PORT_CONNECT | PORT_CONNECT_CHANGE | PORT_ENABLED_CHANGE | PORT_LINE | PORT_ALWAYS_ONE | PORT_LOW_SPEED)
#define PORT_WRITE_CLEAR (PORT_CONNECT_CHANGE | PORT_ENABLED_CHANGE)
#define SOF_DEFAULT      64
#define FRAME_LIST_MASK  0xfffff000u

/* ---- guest memory ---- */

static uint8_t *guest_at(const struct uhci_model *model, uint32_t address, uint32_t n)
{
    const struct uhci_model_config *c = &model->config;
    uint32_t offset = address - c->address;
    return address >= c->address && offset < c->size && n <= c->size - offset ? c->memory + offset : NULL;
}

void model_copy_in(const struct uhci_model *model, uint32_t address, void *to, uint32_t n)
{
    const uint8_t *from = guest_at(model, address, n);
    if (from)
        memcpy(to, from, n);
    else
        memset(to, 0, n);
}

void model_copy_out(struct uhci_model *model, uint32_t address, const void *from, uint32_t n)
{
    uint8_t *to = guest_at(model, address, n);
    if (to)
        memcpy(to, from, n);
}

uint32_t model_load(const struct uhci_model *model, uint32_t address)
{
    const uint8_t *at = guest_at(model, address & ~3u, 4);
    return at ? __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE) : LINK_END;
}

void model_store(struct uhci_model *model, uint32_t address, uint32_t value)
{
    uint8_t *at = guest_at(model, address & ~3u, 4);
    if (at)
        __atomic_store_n((uint32_t *)(void *)at, value, __ATOMIC_RELEASE);
}

/* ---- registers ---- */

void model_update_line(struct uhci_model *model)
{
    bool raised = (model->cause & INTR_IOC && model->enable & INTR_IOC) ||
                  (model->cause & INTR_SHORT && model->enable & INTR_SHORT) ||
                  (model->status & STS_ERROR && model->enable & INTR_TIMEOUT_CRC) ||
                  (model->status & STS_RESUME && model->enable & INTR_RESUME) ||
                  model->status & (STS_SYSTEM | STS_PROCESS);
    if (raised == model->line)
        return;
    model->line = raised;
    if (raised) {
        model->was_raised = true;
        model->bus.counters.interrupts++;
    }
    if (model->config.line)
        model->config.line(model->config.context, raised);
}

static void reset_port(struct uhci_model *model, struct model_port *port)
{
    struct usb_host *host = model->config.host;
    model_cancel_all(model, port);
    port->address = 0;
    port->stage = STAGE_IDLE;
    port->toggles = 0;
    if (port->device)
        (void)host->ops->reset(host, port->device);
}

static void show_connection(struct uhci_model *model, struct model_port *port)
{
    struct usb_host *host = model->config.host;
    port->status = (uint16_t)((port->status & ~PORT_LOW_SPEED) | PORT_CONNECT | PORT_CONNECT_CHANGE);
    if (host->ops->speed(host, port->device) == USBIF_SPEED_LOW)
        port->status |= PORT_LOW_SPEED;
}

static void reset(struct uhci_model *model)
{
    model->command = model->status = model->enable = model->frame = 0;
    model->cause = model->pending_cause = 0;
    model->frame_list = 0;
    model->sof = SOF_DEFAULT;
    model->status |= STS_HALTED;
    for (unsigned int i = 0; i < UHCI_PORTS; i++) {
        struct model_port *port = &model->ports[i];
        port->status = PORT_ALWAYS_ONE;
        reset_port(model, port);
        if (port->device)
            show_connection(model, port);
    }
    model_update_line(model);
}

static void write_command(struct uhci_model *model, uint16_t value)
{
    if (value & (CMD_GRESET | CMD_HCRESET)) {
        reset(model);
        return;
    }
    if (value & CMD_RUN && !(model->command & CMD_RUN)) {
        model->starting = true;
        model->status &= (uint16_t)~STS_HALTED;
    } else if (!(value & CMD_RUN) && model->command & CMD_RUN) {
        model->status |= STS_HALTED;
        model_cancel_all(model, NULL);
    }
    model->command = value;
}

static void write_port(struct uhci_model *model, struct model_port *port, uint16_t value)
{
    if (port->device && value & PORT_RESET && !(port->status & PORT_RESET))
        reset_port(model, port);
    uint16_t writable = value & (uint16_t)~PORT_READ_ONLY;
    if (!port->device)
        writable &= (uint16_t)~PORT_ENABLED;
    port->status = (uint16_t)(((port->status & PORT_READ_ONLY) | writable) & ~(value & PORT_WRITE_CLEAR));
}

static struct model_port *port_at(struct uhci_model *model, uint32_t offset)
{
    uint32_t index = (offset - PORTSC1) / 2;
    return offset >= PORTSC1 && offset % 2 == 0 && index < UHCI_PORTS ? &model->ports[index] : NULL;
}

uint32_t uhci_model_read(struct uhci_model *model, uint32_t offset, unsigned int size)
{
    const struct model_port *port = size == 2 ? port_at(model, offset) : NULL;
    if (port)
        return port->status;
    switch (offset << 4 | size) {
    case USBCMD << 4 | 2:
        return model->command;
    case USBSTS << 4 | 2:
        return model->status;
    case USBINTR << 4 | 2:
        return model->enable;
    case FRNUM << 4 | 2:
        return model->frame;
    case FRBASEADD << 4 | 4:
        return model->frame_list;
    case SOFMOD << 4 | 1:
        return model->sof;
    default:
        return size == 1 ? 0xff : size == 2 ? 0xff7f : 0xffffffff; /* in size 2: a port that is not there */
    }
}

void uhci_model_write(struct uhci_model *model, uint32_t offset, unsigned int size, uint32_t value)
{
    struct model_port *port = size == 2 ? port_at(model, offset) : NULL;
    if (port) {
        write_port(model, port, (uint16_t)value);
        return;
    }
    switch (offset << 4 | size) {
    case USBCMD << 4 | 2:
        write_command(model, (uint16_t)value);
        break;
    case USBSTS << 4 | 2:
        model->status &= (uint16_t)(~value | STS_HALTED);
        if (value & STS_INT)
            model->cause = 0;
        model_update_line(model);
        break;
    case USBINTR << 4 | 2:
        model->enable = (uint16_t)value;
        model_update_line(model);
        break;
    case FRNUM << 4 | 2:
        if (model->status & STS_HALTED)
            model->frame = value & FRNUM_MASK;
        break;
    case FRBASEADD << 4 | 4:
        model->frame_list = value & FRAME_LIST_MASK;
        break;
    case SOFMOD << 4 | 1:
        model->sof = (uint8_t)value;
        break;
    default:
        break;
    }
}

bool uhci_model_line(const struct uhci_model *model)
{
    return model->line;
}

static struct uhci_model *model_of(struct hc_bus *bus)
{
    return (struct uhci_model *)((char *)bus - offsetof(struct uhci_model, bus));
}

static uint32_t bus_read(struct hc_bus *bus, uint32_t offset, unsigned int size)
{
    bus->counters.reads++;
    return uhci_model_read(model_of(bus), offset, size);
}

static void bus_write(struct hc_bus *bus, uint32_t offset, unsigned int size, uint32_t value)
{
    bus->counters.writes++;
    uhci_model_write(model_of(bus), offset, size, value);
}

static bool bus_interrupt(struct hc_bus *bus)
{
    struct uhci_model *model = model_of(bus);
    bool was = model->was_raised || model->line;
    model->was_raised = false;
    return was;
}

static const struct hc_bus_ops bus_ops = {.read = bus_read, .write = bus_write, .interrupt = bus_interrupt};

struct hc_bus *uhci_model_bus(struct uhci_model *model)
{
    return &model->bus;
}

/* ---- ports ---- */

static void disconnect(struct uhci_model *model, struct model_port *port)
{
    struct usb_host *host = model->config.host;
    model_cancel_all(model, port);
    host->ops->close(host, port->device);
    port->device = NULL;
    port->busid[0] = 0;
    port->stage = STAGE_IDLE;
    port->status = (uint16_t)((port->status & ~(PORT_CONNECT | PORT_LOW_SPEED)) | PORT_CONNECT_CHANGE);
    if (port->status & PORT_ENABLED)
        port->status = (uint16_t)((port->status & ~PORT_ENABLED) | PORT_ENABLED_CHANGE);
}

static void on_unplugged(void *context, const char *busid)
{
    struct uhci_model *model = context;
    for (unsigned int i = 0; i < UHCI_PORTS; i++) {
        if (model->ports[i].device && strcmp(model->ports[i].busid, busid) == 0)
            disconnect(model, &model->ports[i]);
    }
}

int uhci_model_plug(struct uhci_model *model, unsigned int number, const char *busid)
{
    struct usb_host *host = model->config.host;
    struct host_device *device;
    int rc;

    if (number == 0 || number > UHCI_PORTS || strlen(busid) >= BUSID_MAX)
        return -EINVAL;
    struct model_port *port = &model->ports[number - 1];
    if (port->device)
        return -EBUSY;
    rc = host->ops->open(host, busid, &device);
    if (rc)
        return rc;
    if (host->ops->full_speed)
        (void)host->ops->full_speed(host, device);
    if (host->ops->speed(host, device) > USBIF_SPEED_FULL) {
        host->ops->close(host, device);
        return -EPROTOTYPE;
    }
    memcpy(port->busid, busid, strlen(busid) + 1);
    port->device = device;
    reset_port(model, port);
    show_connection(model, port);
    return 0;
}

int uhci_model_unplug(struct uhci_model *model, unsigned int number)
{
    if (number == 0 || number > UHCI_PORTS)
        return -EINVAL;
    if (!model->ports[number - 1].device)
        return -ENODEV;
    disconnect(model, &model->ports[number - 1]);
    return 0;
}

const char *uhci_model_port(const struct uhci_model *model, unsigned int number)
{
    bool there = number > 0 && number <= UHCI_PORTS && model->ports[number - 1].device;
    return there ? model->ports[number - 1].busid : NULL;
}

/* ---- time ---- */

static void tick(struct uhci_model *model)
{
    uint64_t frames = (model->now_ns - model->run_ns) / FRAME_NS;
    if (frames > FRAMES_BEHIND) {
        model->counters.skipped += frames - FRAMES_BEHIND;
        model->run_ns += (frames - FRAMES_BEHIND) * FRAME_NS;
        frames = FRAMES_BEHIND;
    }
    if (frames > FRAMES_PER_TICK)
        frames = FRAMES_PER_TICK;
    for (; frames > 0 && model->command & CMD_RUN; frames--) {
        model->frame_bytes = 0;
        model_age(model);
        model_frame(model);
        model->frame = (model->frame + 1) & FRNUM_MASK;
        model->run_ns += FRAME_NS;
        model->counters.frames++;
    }
    if (model->pending_cause) {
        model->cause |= model->pending_cause;
        model->status |= STS_INT;
        model->pending_cause = 0;
        model_update_line(model);
    }
    model->tick_ns = model->now_ns + FRAME_NS;
}

/* Devices have answered what they were asked earlier. */
static void look_at_news(struct uhci_model *model)
{
    for (unsigned int i = 0; i < PACKETS; i++) {
        if (model->packets[i].state == PACKET_DONE && model->packets[i].iso)
            model_iso_done(model, &model->packets[i]);
    }
    model->completions_only = true;
    model_frame(model);
    model->completions_only = false;
}

void uhci_model_step(struct uhci_model *model, uint64_t now_ns)
{
    model->now_ns = now_ns;
    model->news = false;
    model->config.host->ops->step(model->config.host, now_ns);
    if (!(model->command & CMD_RUN))
        return;
    if (model->starting) {
        model->starting = false;
        model->run_ns = now_ns;
        model->tick_ns = now_ns + FRAME_NS;
    }
    if (model->news)
        look_at_news(model);
    if (now_ns >= model->tick_ns)
        tick(model);
}

uint64_t uhci_model_deadline(const struct uhci_model *model)
{
    uint64_t due = model->config.host->ops->deadline(model->config.host);
    uint64_t frame = !(model->command & CMD_RUN) ? UINT64_MAX
                     : model->starting           ? model->now_ns
                                                 : model->tick_ns;
    return frame < due ? frame : due;
}

void uhci_model_counters(const struct uhci_model *model, struct uhci_model_counters *out)
{
    *out = model->counters;
}

/* ---- lifetime ---- */

int uhci_model_create(const struct uhci_model_config *config, struct uhci_model **out)
{
    struct uhci_model *model = calloc(1, sizeof(*model));
    int rc;

    if (!model)
        return -ENOMEM;
    model->config = *config;
    if (model->config.bandwidth == 0)
        model->config.bandwidth = BANDWIDTH;
    model->bus = (struct hc_bus){
        .ops = &bus_ops, .memory = config->memory, .address = config->address, .size = config->size};
    for (unsigned int i = 0; i < PACKETS; i++)
        model->packets[i].model = model;
    model->listener = (struct usb_host_listener){.unplugged = on_unplugged, .context = model};
    rc = config->host->ops->listen(config->host, &model->listener);
    if (rc)
        goto out;
    reset(model);
    *out = model;
    return 0;
out:
    free(model);
    return rc;
}

void uhci_model_destroy(struct uhci_model *model)
{
    if (!model)
        return;
    for (unsigned int i = 0; i < UHCI_PORTS; i++) {
        if (model->ports[i].device)
            disconnect(model, &model->ports[i]);
    }
    model->config.host->ops->unlisten(model->config.host, &model->listener);
    free(model);
}
