/* SPDX-License-Identifier: MIT */
/* Where the programs of this project are. */
#ifndef SIM_PROCESS_SELF_H
#define SIM_PROCESS_SELF_H

#include <stddef.h>

/* The folder of the running program, without a slash at its end; "." when the kernel does not tell or size is too small. */
void self_folder(char *out, size_t size);
/* Where its siblings are: PVUSB_BIN of the environment, else self_folder(). */
void self_bin(char *out, size_t size);

#endif
