/* SPDX-License-Identifier: MIT */
/* Text that holds bytes of a peer, for terminals, JSON and XML. */
#ifndef CONFORMANCE_RUN_TEXT_H
#define CONFORMANCE_RUN_TEXT_H

/* Puts '?' for each byte that is not of UTF-8 or that controls a terminal; line ends stay. */
void text_clean(char *text);

#endif
