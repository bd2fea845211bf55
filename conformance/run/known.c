/* SPDX-License-Identifier: MIT */
#include "result.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct conform_case *find(const struct conform_case *const groups[], const char *id)
{
    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            if (!strcmp(c->id, id))
                return c;
    return NULL;
}

static bool add(struct known *known, const struct conform_case *test, const char *why)
{
    struct known_case *more = realloc(known->cases, (known->count + 1) * sizeof(*more));

    if (!more)
        return false;
    known->cases = more;
    more[known->count] = (struct known_case){test, strdup(why)};
    return more[known->count++].why != NULL;
}

/* Ends the id at its blank and returns what follows it. */
static char *cut(char *line)
{
    char *why = line + strcspn(line, " \t\r\n");

    if (*why)
        *why++ = 0;
    why += strspn(why, " \t#");
    why[strcspn(why, "\r\n")] = 0;
    return why;
}

static bool read_lines(FILE *file, const char *path, const struct conform_case *const groups[], struct known *out,
                       char error[256])
{
    char line[1024];

    for (unsigned int n = 1; fgets(line, sizeof(line), file); n++) {
        const struct conform_case *test;
        const char *why;

        if (!strchr(line, '\n') && !feof(file)) {
            snprintf(error, 256, "%.100s:%u: line too long", path, n);
            return false;
        }
        why = cut(line);
        if (!*line || *line == '#')
            continue;
        test = find(groups, line);
        if (!test || known_why(out, test)) {
            snprintf(error, 256, "%.100s:%u: %s: %.100s", path, n, test ? "a second time" : "no such case", line);
            return false;
        }
        if (!add(out, test, why)) {
            snprintf(error, 256, "%.100s: no memory", path);
            return false;
        }
    }
    if (!ferror(file))
        return true;
    snprintf(error, 256, "%.100s: %s", path, strerror(errno));
    return false;
}

bool known_read(const char *path, const struct conform_case *const groups[], struct known *out, char error[256])
{
    FILE *file = fopen(path, "r");
    bool good;

    *out = (struct known){0};
    if (!file) {
        snprintf(error, 256, "%.100s: %s", path, strerror(errno));
        return false;
    }
    good = read_lines(file, path, groups, out, error);
    fclose(file);
    if (!good)
        known_free(out);
    return good;
}

void known_free(struct known *known)
{
    for (size_t i = 0; i < known->count; i++)
        free(known->cases[i].why);
    free(known->cases);
    *known = (struct known){0};
}

const char *known_why(const struct known *known, const struct conform_case *test)
{
    for (size_t i = 0; i < known->count; i++)
        if (known->cases[i].test == test)
            return known->cases[i].why;
    return NULL;
}

/* The first id of a list with blanks. */
static int first(const char *requirements)
{
    return (int)strcspn(requirements, " ");
}

bool known_write(const struct run *run, FILE *out)
{
    fprintf(out, "# Known failures of peer %s, for pvusb-conform --known.\n# ID # requirement: what came\n",
            run->options.peer->name);
    for (int g = 0; run->groups[g]; g++)
        for (const struct conform_case *c = run->groups[g]; c->id; c++) {
            const char *why = known_why(&run->known, c);
            const struct result *r = NULL;

            for (unsigned int i = 0; i < run->reported && !r; i++)
                r = run->results[i].test == c ? &run->results[i] : NULL;
            if (why && (!r || r->verdict == KIT_SKIP || r->standing == KNOWN))
                fprintf(out, "%s # %s\n", c->id, why);
            else if (!why && r && r->standing == WRONG && r->verdict != KIT_ERROR)
                fprintf(out, "%s # %.*s: %s\n", c->id, first(c->requirements), c->requirements, r->message);
        }
    return true;
}
