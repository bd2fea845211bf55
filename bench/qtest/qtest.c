// SPDX-License-Identifier: MIT
/* A QEMU, its controller and our driver together; see qtest.h. */
#include "qtest/qtest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "qtest/drivers.h"
#include "qtest/process.h"
#include "qtest/wire.h"

#define MIB         (1024u * 1024u)
#define DRIVER_BASE (16u * MIB) /* of the driver's part of the guest's memory */
#define DRIVER_SIZE (32u * MIB)
#define SLOT        4u /* of the controller on the PCI bus */
#define BRIDGE      1u /* that of the PIIX3, which routes interrupts */
#define IRQ         10u
#define IO_BASE     0xc000u
#define MEMORY_BASE 0xe0000000u
#define NS_PER_MS   UINT64_C(1000000)

struct qtest {
    struct hc_bus bus;
    struct qtest_process process;
    struct qtest_wire wire;
    enum qtest_clock clock;
    enum qtest_controller controller;
    uint64_t clock_ns; /* QEMU's, where it is virtual */
    bool io;
    const struct qtest_driver *driver;
    void *state; /* of it */
};

/* ---- the bus ---- */

static struct qtest *qtest_of(struct hc_bus *bus)
{
    return (struct qtest *)bus;
}

static uint32_t bus_read(struct hc_bus *bus, uint32_t offset, unsigned int size)
{
    struct qtest *q = qtest_of(bus);
    bus->counters.reads++;
    return qtest_read(&q->wire, q->io, (q->io ? IO_BASE : MEMORY_BASE) + offset, size);
}

static void bus_write(struct hc_bus *bus, uint32_t offset, unsigned int size, uint32_t value)
{
    struct qtest *q = qtest_of(bus);
    bus->counters.writes++;
    qtest_write(&q->wire, q->io, (q->io ? IO_BASE : MEMORY_BASE) + offset, size, value);
}

static bool bus_interrupt(struct hc_bus *bus)
{
    struct qtest *q = qtest_of(bus);
    qtest_listen(&q->wire);
    bool was = q->wire.raised || q->wire.level;
    q->wire.raised = false;
    return was || q->wire.dead; /* the driver then reads ones, and knows */
}

static const struct hc_bus_ops bus_ops = {.read = bus_read, .write = bus_write, .interrupt = bus_interrupt};

/* ---- the machine, as firmware leaves it ---- */

static void set_up(struct qtest *q)
{
    struct qtest_wire *wire = &q->wire;
    (void)qtest_ask(wire, "irq_intercept_in ioapic");
    /* The timer of the PC would tick for nobody. */
    qtest_write(wire, true, 0x43, 1, 0x30);
    qtest_pci_write(wire, BRIDGE, 0x60, IRQ | IRQ << 8 | IRQ << 16 | IRQ << 24);
    q->io = q->controller == QTEST_UHCI;
    if (q->io) {
        qtest_pci_write(wire, SLOT, 0x20, IO_BASE);
    } else {
        qtest_pci_write(wire, SLOT, 0x10, MEMORY_BASE);
        if (q->controller == QTEST_XHCI)
            qtest_pci_write(wire, SLOT, 0x14, 0);
    }
    qtest_pci_write(wire, SLOT, 0x04, 0x07); /* I/O, memory, bus master */
}

/* ---- lifetime ---- */

static int fail(struct qtest *q, int rc, char *error, size_t size)
{
    char said[256];
    qtest_process_said(&q->process, said, sizeof(said));
    if (said[0])
        snprintf(error, size, "%s", said);
    else
        snprintf(error, size, "%s", q->wire.dead ? "QEMU does not answer" : "the controller does not behave");
    qtest_process_end(&q->process);
    free(q);
    return rc;
}

int qtest_create(const struct qtest_config *config, struct qtest **out, char *error, size_t size)
{
    size_t memory = config->memory ? (config->memory + MIB - 1) / MIB * MIB : DRIVER_SIZE;
    struct qtest *q = calloc(1, sizeof(*q));
    int rc;

    if (!q)
        return -ENOMEM;
    q->clock = config->clock;
    q->controller = config->controller;
    q->driver = qtest_driver(config->controller);
    rc = qtest_process_start(config, DRIVER_BASE + memory, &q->process, error, size);
    if (rc) {
        free(q);
        return rc;
    }
    q->wire = (struct qtest_wire){.fd = q->process.socket, .irq = IRQ};
    q->bus = (struct hc_bus){
        .ops = &bus_ops, .memory = q->process.memory + DRIVER_BASE, .address = DRIVER_BASE, .size = memory};
    set_up(q);
    rc = q->wire.dead ? -ENODEV : q->driver->create(&q->bus, config->polled, &q->state);
    if (rc)
        return fail(q, rc, error, size);
    q->bus.counters = (struct hc_bus_counters){.reads = 0};
    *out = q;
    return 0;
}

void qtest_destroy(struct qtest *q)
{
    if (!q)
        return;
    q->driver->destroy(q->state);
    qtest_process_end(&q->process);
    free(q);
}

/* ---- running ---- */

struct hcd *qtest_hcd(struct qtest *q)
{
    return q->driver->hcd(q->state);
}

void qtest_step(struct qtest *q, uint64_t now_ns)
{
    while (q->clock == QTEST_VIRTUAL && q->clock_ns < now_ns && !q->wire.dead) {
        uint64_t n = now_ns - q->clock_ns < NS_PER_MS ? now_ns - q->clock_ns : NS_PER_MS;
        (void)qtest_ask(&q->wire, "clock_step %llu", (unsigned long long)n);
        q->clock_ns += n;
        if (q->clock_ns < now_ns)
            q->driver->step(q->state, q->clock_ns);
    }
    q->driver->step(q->state, now_ns);
}

uint64_t qtest_deadline(const struct qtest *q)
{
    uint64_t due = q->driver->deadline(q->state);
    if (q->wire.raised || q->wire.level)
        return 0;
    return q->clock == QTEST_VIRTUAL && q->clock_ns + NS_PER_MS < due ? q->clock_ns + NS_PER_MS : due;
}

int qtest_fd(const struct qtest *q)
{
    return q->process.socket;
}

pid_t qtest_pid(const struct qtest *q)
{
    return q->process.pid;
}

bool qtest_alive(const struct qtest *q)
{
    return !q->wire.dead;
}

void qtest_counters(const struct qtest *q, struct hc_bus_counters *out)
{
    *out = q->bus.counters;
    out->interrupts = q->wire.interrupts;
}

struct hc_bus *qtest_bus(struct qtest *q)
{
    return &q->bus;
}

uint16_t qtest_frame(struct qtest *q)
{
    return q->controller == QTEST_UHCI ? uhci_driver_frame(q->state) : 0;
}
