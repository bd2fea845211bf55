// SPDX-License-Identifier: MIT
/* usage: make_domains DIR DOMID...: makes these domains of a machine; -DOMID ends one. */
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
    for (int i = 2; !rc && i < argc; i++) {
        long domid = strtol(argv[i], NULL, 10);
        rc = domid < 0 ? machine->ops->domain_destroy(machine, (domid_t)-domid)
                       : machine->ops->domain_create(machine, (domid_t)domid);
    }
    if (rc)
        fprintf(stderr, "make_domains: %s: %s\n", argv[1], strerror(-rc));
    fakexen_client_machine_destroy(machine);
    return rc ? 1 : 0;
}
