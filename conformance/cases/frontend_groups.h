/* SPDX-License-Identifier: MIT */
/* The groups of cases for the frontend and toolstack roles; groups.c takes them in. */
#ifndef CONFORMANCE_CASES_FRONTEND_GROUPS_H
#define CONFORMANCE_CASES_FRONTEND_GROUPS_H

#include "../conform.h"

extern const struct conform_case cases_frontend_requests[], cases_frontend_answers[], cases_frontend_slots[],
    cases_frontend_hub[], cases_hostile_frontend[], cases_xenbus_frontend[], cases_toolstack[],
    cases_frontend_results[], cases_xenbus_frontend_ends[], cases_frontend_life[],
    cases_frontend_layout[], cases_hostile_frontend_read[],
    cases_hostile_frontend_store[], cases_frontend_orders[], cases_toolstack_orders[], cases_extension_frontend[],
    cases_extension_ring_frontend[];

#endif
