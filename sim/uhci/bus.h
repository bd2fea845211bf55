/* SPDX-License-Identifier: MIT */
/*
 * What a guest's driver of an emulated host controller has from its platform: registers, memory that the
 * controller reads and writes by itself, and an interrupt line. Behind it: our UHCI model (model.h), or a
 * controller of QEMU (bench/qtest).
 *
 * Threads: one. A controller in another process writes to the memory at any moment.
 */
#ifndef SIM_UHCI_BUS_H
#define SIM_UHCI_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hc_bus;

struct hc_bus_ops {
    /* A register of 1, 2 or 4 bytes. What is not there, or a controller that has died, reads as all ones. */
    uint32_t (*read)(struct hc_bus *bus, uint32_t offset, unsigned int size);
    void (*write)(struct hc_bus *bus, uint32_t offset, unsigned int size, uint32_t value);
    /* Whether the line is raised, or was since the last call. Does not block. */
    bool (*interrupt)(struct hc_bus *bus);
};

/* Since the bus was made. Who implements the operations counts what passes. */
struct hc_bus_counters {
    uint64_t reads, writes; /* of registers */
    uint64_t interrupts;    /* times that the line was raised */
};

/* Implementations embed this as their first member. */
struct hc_bus {
    const struct hc_bus_ops *ops;
    uint8_t *memory;  /* page aligned; the driver's own, for its structures and hcd_buffer_alloc() */
    uint32_t address; /* of memory[0], as the controller knows it */
    size_t size;      /* bytes, whole pages */
    struct hc_bus_counters counters;
};

static inline uint32_t hc_read(struct hc_bus *bus, uint32_t offset, unsigned int size)
{
    return bus->ops->read(bus, offset, size);
}

static inline void hc_write(struct hc_bus *bus, uint32_t offset, unsigned int size, uint32_t value)
{
    bus->ops->write(bus, offset, size, value);
}

/* Where the controller finds what lies at p, which is in the bus' memory. */
static inline uint32_t hc_address(const struct hc_bus *bus, const void *p)
{
    return bus->address + (uint32_t)((const uint8_t *)p - bus->memory);
}

#endif
