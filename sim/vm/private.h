/* SPDX-License-Identifier: MIT */
/* What the files of a vm share. The contract is vm.h. */
#ifndef SIM_VM_PRIVATE_H
#define SIM_VM_PRIVATE_H

#include <fakexen/waitset.h>

#include "frontend/frontend.h"
#include "guest/storage.h"
#include "vm/vm.h"

#define VM_CHUNK_BYTES 65536u

struct vm_controller;
struct vm_local;

struct vm_disk {
    struct vm_controller *controller;
    unsigned int port;
    struct storage *storage;
    struct storage_request request;
    uint8_t *buffer;
    uint64_t end; /* how much of it is read */
    uint64_t done;
    uint64_t sum;
    bool said;
};

struct vm_controller {
    struct vm *vm;
    unsigned int devid;
    char name[48]; /* in the log */
    char backend[256]; /* its directory, as the frontend found it */
    struct front *front; /* NULL for those of local.h */
    struct guest *guest;
    uint64_t connection; /* whose guest this is, as front_stats counts them */
    uint64_t lost;       /* backends that died, as far as told */
    bool leaving;        /* the connection has ended, its guest is closing */
    bool unwanted;       /* the toolstack took the controller, or the vm closes */
    unsigned int devices;
    uint64_t now_ns; /* of the last step */
    struct front_tap tap; /* counts: */
    uint64_t urbs[PVUSB_PORTS_MAX + 1];
    uint64_t bytes[PVUSB_PORTS_MAX + 1];
    struct vm_controller *next;
};

struct vm {
    struct vm_config config;
    struct xen *xen;
    struct vm_controller *controllers;
    struct xen *xen0; /* domain 0's, for what is there without PVUSB; NULL without */
    struct vm_local *locals;
    bool look_local;
    bool look; /* at the directory of controllers */
    bool closing;
    uint64_t sequence;
    struct vm_stats stats;
};

void vm_log(struct vm *vm, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* data/usb/<devid>/<port>; what NULL: nothing is there. */
void vm_tell_port(struct vm_controller *controller, unsigned int port, const char *what);
/* data/usb/<devid> */
void vm_tell_controller(const struct vm_controller *controller, bool there);

/* Takes the handle's watch events, if it may have some; *any is set when it had. 0 or -EPIPE. */
int vm_take_watches(struct xen *xen, bool *any);

/* controller.c */
/* A USB core on the hcd, which finds devices, tells of them and reads disks. */
int vm_controller_guest(struct vm_controller *controller, struct hcd *hcd);
int vm_controller_create(struct vm *vm, unsigned int devid, const char *backend);
/* Returns -EPIPE, or 1 when it is done with and can be destroyed. */
int vm_controller_step(struct vm_controller *controller, uint64_t now_ns);
uint64_t vm_controller_deadline(const struct vm_controller *controller);
void vm_controller_leave(struct vm_controller *controller);
void vm_controller_destroy(struct vm_controller *controller);

/* disk.c */
void vm_disk_create(struct vm_controller *controller, struct guest_device *device);
void vm_disk_destroy(struct vm_disk *disk);

#endif
