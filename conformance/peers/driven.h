/* SPDX-License-Identifier: MIT */
/* The guest above a frontend that is a program: struct peer_guest_ops in lines, as DRIVE.md says. */
#ifndef CONFORMANCE_PEERS_DRIVEN_H
#define CONFORMANCE_PEERS_DRIVEN_H

#include "peer.h"
#include "program.h"

struct driven;

/* The program was started to be talked to; waits for its first line. Both outlive this. 0 or -errno. */
int driven_open(struct peer *peer, struct program *program, struct driven **out, char error[PEER_ERROR_MAX]);
/* NULL is allowed. */
void driven_close(struct driven *driven);
/* Takes what it has said meanwhile. */
void driven_listen(struct driven *driven);
/* Until the frontend has done all it will do by itself now. */
void driven_sync(struct driven *driven);

/* One line when the program broke the protocol; the case fails with it. NULL: it did not. */
const char *driven_wrong(const struct driven *driven);

int driven_submit(struct driven *driven, const struct guest_urb *urb);
int driven_unlink(struct driven *driven, int urb, int reason);
struct guest_result driven_result(struct driven *driven, int urb);
int driven_write(struct driven *driven, uint32_t offset, const void *data, uint32_t size);
int driven_read(struct driven *driven, uint32_t offset, void *data, uint32_t size);
int driven_hub(struct driven *driven, const uint8_t setup[8], void *data, uint16_t size);
int driven_end(struct driven *driven); /* the orderly close */
int driven_reconnect(struct driven *driven);
struct guest_packet driven_packet(struct driven *driven, int urb, unsigned int packet);
uint32_t driven_hub_changes(struct driven *driven);

#endif
