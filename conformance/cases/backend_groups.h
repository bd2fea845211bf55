/* SPDX-License-Identifier: MIT */
/* The cases with a backend under test; groups.c lists them. */
#ifndef CONFORMANCE_CASES_BACKEND_GROUPS_H
#define CONFORMANCE_CASES_BACKEND_GROUPS_H

#include "../conform.h"

extern const struct conform_case backend_transfer_cases[];
extern const struct conform_case backend_plug_cases[];
extern const struct conform_case backend_unlink_cases[];
extern const struct conform_case hostile_backend_request_cases[];
extern const struct conform_case hostile_backend_ring_cases[];
extern const struct conform_case xenbus_backend_state_cases[];
extern const struct conform_case backend_iso_cases[];
extern const struct conform_case backend_control_cases[];
extern const struct conform_case backend_hotplug_cases[];
extern const struct conform_case backend_life_cases[];
extern const struct conform_case xenbus_backend_node_cases[];
extern const struct conform_case backend_more_cases[];
extern const struct conform_case backend_layout_cases[];
extern const struct conform_case hostile_backend_read_cases[];
extern const struct conform_case backend_order_cases[];
extern const struct conform_case hostile_random_cases[];
extern const struct conform_case backend_which_cases[];
extern const struct conform_case extension_backend_cases[];
extern const struct conform_case extension_ring_backend_cases[];
extern const struct conform_case hostile_backend_store_cases[];

#endif
