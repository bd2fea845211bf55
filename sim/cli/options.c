// SPDX-License-Identifier: MIT
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || value < min || value > max)
        return -EINVAL;
    *out = value;
    return 0;
}

int parse_size(const char *text, uint64_t *out)
{
    static const struct {
        char letter;
        unsigned int shift;
    } units[] = {{'K', 10}, {'M', 20}, {'G', 30}};
    char digits[24];
    size_t length = strlen(text);
    unsigned int shift = 0;
    if (length == 0 || length >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, text, length + 1);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (digits[length - 1] == units[i].letter) {
            shift = units[i].shift;
            digits[length - 1] = '\0';
            break;
        }
    }
    int rc = parse_number(digits, 1, UINT64_MAX >> 31, out);
    *out <<= rc ? 0 : shift;
    return rc;
}

static int explain(const char *verb, const char *dir, domid_t domid, int rc)
{
    switch (rc) {
    case -ENXIO:
        return usage_error(verb, "%s: there is no domain %u on this machine", dir, domid);
    case -ENOENT:
    case -ECONNREFUSED:
    case -ENOTDIR:
        return usage_error(verb, "%s: no fake Xen machine here; start one with 'pvusb host --dir %s'", dir, dir);
    default:
        return usage_error(verb, "%s: %s", dir, strerror(-rc));
    }
}

int connect_machine(const char *verb, const char *where, domid_t domid, struct xen_machine **machine,
                    struct xen **xen)
{
    if (!where)
        return usage_error(verb, "--xen fake:DIR is needed: the directory of a 'pvusb host'");
    if (strncmp(where, "fake:", 5) != 0 || !where[5])
        return usage_error(verb, "--xen takes fake:DIR, not '%s'", where);
    int rc = fakexen_client_machine_create(where + 5, machine);
    if (rc) {
        *machine = NULL;
        return explain(verb, where + 5, domid, rc);
    }
    rc = (*machine)->ops->open(*machine, domid, xen);
    if (!rc)
        return 0;
    fakexen_client_machine_destroy(*machine);
    *machine = NULL;
    return explain(verb, where + 5, domid, rc);
}

void print_line(void *context, const char *line)
{
    (void)context;
    printf("%s\n", line);
    fflush(stdout);
}
