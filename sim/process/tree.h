/* SPDX-License-Identifier: MIT */
/* Folders of temporary files. */
#ifndef SIM_PROCESS_TREE_H
#define SIM_PROCESS_TREE_H

#include <stddef.h>

/* A new folder "<TMPDIR or /tmp>/<name>-XXXXXX", mode 0700. -ENAMETOOLONG when size is too small. */
int tree_create(char *path, size_t size, const char *name);
/* Removes a folder with all that is in it; links are not followed. */
void tree_remove(const char *path);

#endif
