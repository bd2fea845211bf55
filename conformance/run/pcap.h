/* SPDX-License-Identifier: MIT */
/* The transfers of a case as a recording that Wireshark reads. */
#ifndef CONFORMANCE_RUN_PCAP_H
#define CONFORMANCE_RUN_PCAP_H

#include "../kit/log.h"

/*
 * Writes path: link type 220, a submission for each request and a completion for each response to one.
 * Unlinks have no record there; ids and buses are the log's. False with one line in error; 0 transfers are no
 * error.
 */
bool pcap_write(const char *path, const struct kit_log *log, char error[256]);

#endif
