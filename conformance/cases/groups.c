// SPDX-License-Identifier: MIT
/* Every group of cases, in the order in which they are listed and run. */
#include "backend_groups.h"
#include "frontend_groups.h"

const struct conform_case *const conform_groups[] = {
    backend_transfer_cases,
    backend_unlink_cases,
    backend_plug_cases,
    hostile_backend_request_cases,
    hostile_backend_ring_cases,
    xenbus_backend_state_cases,
    backend_iso_cases,
    backend_control_cases,
    backend_hotplug_cases,
    backend_life_cases,
    xenbus_backend_node_cases,
    backend_more_cases,
    backend_layout_cases,
    hostile_backend_read_cases,
    backend_order_cases,
    hostile_backend_store_cases,
    cases_frontend_requests,
    cases_frontend_answers,
    cases_frontend_slots,
    cases_frontend_hub,
    cases_hostile_frontend,
    cases_xenbus_frontend,
    cases_toolstack,
    cases_toolstack_orders,
    cases_frontend_results,
    cases_xenbus_frontend_ends,
    cases_frontend_life,
    cases_frontend_layout,
    cases_hostile_frontend_read,
    cases_hostile_frontend_store,
    cases_frontend_orders,
    NULL,
};
