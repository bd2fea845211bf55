// SPDX-License-Identifier: MIT
#include <stdlib.h>

#include "machine.h"

bool (*const machine_waiting)(const struct xen *xen) = fakexen_local_handle_pending;

const bool machine_own_store = true;

void machine_begin(struct test_machine *test)
{
    struct fakexen_local *local;
    if (fakexen_local_create(&local))
        abort();
    test->form = local;
    test->machine = fakexen_local_machine(local);
}

struct fakexen_balance machine_balance(struct test_machine *test)
{
    return fakexen_local_balance(test->form);
}

void machine_finish(struct test_machine *test)
{
    fakexen_local_destroy(test->form);
}
