/* SPDX-License-Identifier: MIT */
/* REQUIREMENTS.md, as the program has it built in. */
#ifndef CONFORMANCE_RUN_REQUIREMENTS_H
#define CONFORMANCE_RUN_REQUIREMENTS_H

#include <stddef.h>

enum level { LEVEL_MUST, LEVEL_SHOULD, LEVEL_OBSERVED, LEVELS };

struct requirement {
    const char *id;
    const char *who;     /* backend, frontend, both, toolstack */
    const char *sources; /* rules and headers that it comes from */
    const char *text;    /* without blank lines at its ends */
    enum level level;
};

struct requirements {
    char *copy; /* what the strings point into */
    struct requirement *list;
    size_t count;
};

#define REQUIREMENTS_ERROR_MAX 128u

/*
 * 0, and the caller gives it to requirements_free(); or -1, nothing to free and one line in error. Each
 * requirement is
 *
 *     ### topic.detail
 *     *MUST* (middle dot) backend (middle dot) sources
 *     (empty)
 *     The statement, and remarks up to the next heading.
 */
int requirements_parse(const char *text, struct requirements *out, char error[REQUIREMENTS_ERROR_MAX]);
void requirements_free(struct requirements *requirements);
/* NULL when there is none of that id, which needs no end. */
const struct requirement *requirements_find(const struct requirements *requirements, const char *id,
                                            size_t length);
/* "Not observable: why" of a requirement, NULL when a case can see it. */
const char *requirement_hidden(const struct requirement *requirement);
const char *level_name(enum level level);

#endif
