/* SPDX-License-Identifier: MIT */
/*
 * A bus between a usb_host and its user: transfers complete when their bytes have been on a wire of 12 or
 * 480 Mbit/s, and not before. For measurements that are to know what a real bus would leave of a difference.
 *
 * The model is that of the tables in chapter 5 of the USB 2.0 specification: a frame (1 ms) has 1500 byte
 * times, a microframe (125 us) 7500; a transaction takes its data and an overhead by its type, and does not
 * begin when it does not fit into the rest of the frame. All devices of the host share one wire. So, at most,
 * in bytes per second
 *
 *   bulk       19 packets of 64 in a frame, 1216000; 13 of 512 in a microframe, 53248000
 *   control    13 transfers of 64 bytes in a frame, 832000; 31 in a microframe, 15872000
 *   interrupt  of an endpoint, a packet each interval: 64 bytes in a frame, 64000; 3072 in a microframe,
 *              24576000; of a low-speed endpoint 8 bytes in 10 frames
 *
 * Isochronous packets have the frames that devices give them (devices/device.h), and take nothing from the
 * others.
 *
 * The device does its part when it is asked, as without a wire; what is delayed is the completion. A transfer
 * that is cancelled while its bytes are on the wire completes at once, with its result. Not modelled: bit
 * stuffing, NAKs (an endpoint that waits costs nothing), the share that periodic transfers must leave, hubs.
 *
 * Time passes only in step(): what is submitted between two steps counts from the second one. No allocation
 * but for more transfers at once than ever before. Threads: one.
 */
#ifndef SIM_HOSTS_WIRE_H
#define SIM_HOSTS_WIRE_H

#include "hosts/usb_host.h"

enum wire_speed { WIRE_FULL, WIRE_HIGH };

struct wire;

/* The inner host must outlive it and is stepped by it. -ENOMEM or what listen() of the inner host said. */
int wire_create(struct usb_host *inner, enum wire_speed speed, struct wire **out);
/* No transfer may be under way and no device open. */
void wire_destroy(struct wire *wire);
struct usb_host *wire_host(struct wire *wire);

#endif
