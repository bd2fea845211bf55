/* SPDX-License-Identifier: MIT */
/*
 * Paths of xenstore: what is one (docs/misc/xenstore.txt, "Nodes"), and which is below which.
 */
#ifndef FAKEXEN_XENSTORE_PATH_H
#define FAKEXEN_XENSTORE_PATH_H

#include <fakexen/xen_ops.h>

/* "/local/domain/65535/" with its NUL. */
#define XS_HOME_SIZE 24u

/* "/local/domain/<domid>"; returns its length. */
size_t xs_path_home(domid_t domid, char home[XS_HOME_SIZE]);

/*
 * Writes the absolute form of path to out. With special, all that begins with '@' is
 * a path too. -EINVAL for what is no path; out is then undefined.
 */
int xs_path_resolve(domid_t domid, const char *path, bool special, char out[XEN_XS_PATH_MAX + 1]);

/* True when path is base or below it. Both in the same form; "/" is above every absolute path. */
bool xs_path_within(const char *path, const char *base);

#endif
