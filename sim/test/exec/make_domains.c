// SPDX-License-Identifier: MIT
/* usage: make_domains DIR DOMID...: the domains of a machine that a test needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fakexen/fakexen.h>

int main(int argc, char **argv)
{
    struct xen_machine *machine;
    if (argc < 3 || fakexen_client_machine_create(argv[1], &machine))
        return 2;
    int rc = 0;
    for (int i = 2; !rc && i < argc; i++)
        rc = machine->ops->domain_create(machine, (domid_t)strtoul(argv[i], NULL, 10));
    if (rc)
        fprintf(stderr, "make_domains: %s: %s\n", argv[1], strerror(-rc));
    fakexen_client_machine_destroy(machine);
    return rc ? 1 : 0;
}
