/* SPDX-License-Identifier: MIT */
/* Lists of virtual controllers and of devices, in the columns of xm and of xl. */
#ifndef SIM_CLI_USB_LIST_H
#define SIM_CLI_USB_LIST_H

#include "cli/tool_cli.h"
#include "toolstack/attach.h"

/* The controllers of a domain. An exit code. */
int usb_list_controllers(const struct tool *tool, const struct tstore_domain *domain);
/* Every device that is no hub and nobody's. An exit code. */
int usb_list_assignable(const struct tool *tool);

#endif
