/* SPDX-License-Identifier: MIT */
/* Text that holds bytes of a peer, for terminals, JSON and XML. */
#ifndef CONFORMANCE_RUN_TEXT_H
#define CONFORMANCE_RUN_TEXT_H

#include <stdio.h>

/* Puts '?' for each byte that is not of UTF-8 or that controls a terminal; line ends stay. */
void text_clean(char *text);
/* For XML and HTML, within an element or an attribute in double quotes. The text is clean already. */
void text_print_escaped(const char *text, FILE *out);

#endif
