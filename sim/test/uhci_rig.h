/* SPDX-License-Identifier: MIT */
/* A guest, the UHCI driver, the UHCI model and simulated devices, in virtual time. */
#ifndef SIM_TEST_UHCI_RIG_H
#define SIM_TEST_UHCI_RIG_H

#include "guest/guest.h"
#include "guest/storage.h"
#include "test/test_device_util.h"
#include "uhci/driver.h"
#include "uhci/model.h"

#define RIG_ADDRESS 0x10000000u /* of the guest's memory */
#define RIG_MEMORY  (4u * 1024 * 1024)

struct uhci_rig {
    struct sim_host *sim;
    struct usb_host *host;
    uint8_t *memory;
    struct uhci_model *model;
    struct uhci_driver *driver;
    struct guest *guest;
    uint64_t now_ns;
    struct guest_device *device; /* the last one that became ready, NULL when it is gone */
    unsigned int ready, gone, failed;
    int error;
    struct storage
        *storage; /* of the last disk; finished and status are those of its start, then of requests */
    unsigned int finished;
    int status;
    bool line; /* as the model has told it */
    bool spoilt; /* the controller was, so toggles may be wrong */
    /* Set after rig_open(); may be NULL. */
    void (*on_ready)(struct uhci_rig *rig, struct guest_device *device);
    void (*on_gone)(struct uhci_rig *rig, struct guest_device *device);
};

void uhci_rig_open(struct uhci_rig *rig);
/* Plugs the device into the host and into the port. */
void uhci_rig_plug(struct uhci_rig *rig, unsigned int port, const char *busid, struct usb_device *device);
/* One round: what is due now, then on to what is due next. */
void uhci_rig_step(struct uhci_rig *rig);
/* Until *count is n, which it has to be within ten seconds. */
void uhci_rig_until(struct uhci_rig *rig, const unsigned int *count, unsigned int n);
void uhci_rig_run_for(struct uhci_rig *rig, uint64_t ns);
/* Runs a request of the disk. */
int uhci_rig_request(struct uhci_rig *rig, uint64_t lba, uint32_t blocks, bool write, void *buffer);
/* Closes all, and checks that nothing is left. */
void uhci_rig_close(struct uhci_rig *rig);

#endif
