/* SPDX-License-Identifier: MIT */
/* --out DIR: DIR/CASE/ with case.pcap, events.txt, xenstore.txt and failure.txt. */
#ifndef CONFORMANCE_RUN_KEEP_H
#define CONFORMANCE_RUN_KEEP_H

#include "result.h"

/* Makes the folder, if it is not there. False with one line in error. */
bool keep_open(const char *dir, char error[256]);
/*
 * What an earlier run left of the case goes; with an outcome the new files come. False with one line in error.
 */
bool keep_case(const char *dir, const struct result *r, const struct outcome *outcome, char error[256]);

#endif
