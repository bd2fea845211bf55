// SPDX-License-Identifier: MIT
#include "frontend_groups.h"

const struct conform_case *const frontend_groups[] = {
    cases_frontend_requests, cases_frontend_answers, cases_frontend_slots, cases_frontend_hub,
    cases_hostile_frontend,  cases_xenbus_frontend,  cases_toolstack,      NULL,
};
