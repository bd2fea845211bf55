/* SPDX-License-Identifier: MIT */
#include "requirements.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOT " \xc2\xb7 " /* U+00B7 between the parts of the second line */

static const char *const names[LEVELS] = {"MUST", "SHOULD", "OBSERVED"};

const char *requirement_hidden(const struct requirement *requirement)
{
    const char *line = strstr(requirement->text, "\nNot observable: ");

    return line ? line + 1 : NULL;
}

const char *level_name(enum level level)
{
    return names[level];
}

const struct requirement *requirements_find(const struct requirements *requirements, const char *id, size_t length)
{
    for (size_t i = 0; i < requirements->count; i++)
        if (strlen(requirements->list[i].id) == length && !memcmp(requirements->list[i].id, id, length))
            return &requirements->list[i];
    return NULL;
}

/* Ends the line at p and returns the next one, NULL at the end. */
static char *cut_line(char *p)
{
    char *end = strchr(p, '\n');

    if (!end)
        return NULL;
    *end = 0;
    return end + 1;
}

/* Words of small letters, digits and hyphens, with a dot between each two; at least two. */
static bool is_id(const char *id)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    unsigned int words = 0;
    size_t n;

    for (; (n = strspn(id, letters)) > 0; id += n + 1) {
        words++;
        if (!id[n])
            return words > 1;
        if (id[n] != '.')
            return false;
    }
    return false;
}

static bool is_somebody(const char *who)
{
    return !strcmp(who, "backend") || !strcmp(who, "frontend") || !strcmp(who, "both") ||
           !strcmp(who, "toolstack");
}

/* What stands where the statement should: a remark, a table, a list. */
static bool is_no_statement(const char *text)
{
    return strchr("#*|", *text) || !strncmp(text, "Differs: ", 9) || !strncmp(text, "Not observable: ", 16);
}

/* "*LEVEL* . who . sources", cut into its parts. */
static const char *parse_head(char *line, struct requirement *r)
{
    char *who = strstr(line, DOT);
    char *sources = who ? strstr(who + strlen(DOT), DOT) : NULL;
    size_t n = who ? (size_t)(who - line) : 0;

    if (!sources || !sources[strlen(DOT)])
        return "no level, who and source";
    *sources = 0;
    r->who = who + strlen(DOT);
    r->sources = sources + strlen(DOT);
    if (!is_somebody(r->who))
        return "binds nobody there is";
    for (int i = 0; i < LEVELS; i++)
        if (n == strlen(names[i]) + 2 && line[0] == '*' && line[n - 1] == '*' &&
            !memcmp(line + 1, names[i], n - 2)) {
            r->level = (enum level)i;
            return NULL;
        }
    return "no such level";
}

static bool heading(const char *p)
{
    return !strncmp(p, "## ", 3) || !strncmp(p, "### ", 4);
}

/* The text from p, which is a line's end, up to the next heading: that is returned, or NULL at the end. */
static char *cut_text(char *p, struct requirement *r)
{
    char *end = p;

    while (end && !heading(end + 1))
        end = strchr(end + 1, '\n');
    if (end)
        *end = 0;
    p += strspn(p, "\n");
    r->text = p;
    for (size_t n = strlen(p); n && p[n - 1] == '\n'; n--)
        p[n - 1] = 0;
    return end ? end + 1 : NULL;
}

static const char *parse_one(char **at, struct requirement *r)
{
    char *line = cut_line(*at);
    const char *wrong;

    r->id = *at + 4;
    *at = NULL;
    if (!is_id(r->id))
        return "not an id";
    if (!line)
        return "ends within a requirement";
    *at = cut_line(line);
    wrong = parse_head(line, r);
    if (wrong)
        return wrong;
    if (!*at || **at != '\n')
        return "no blank line before the text";
    *at = cut_text(*at, r);
    if (!*r->text)
        return "no text";
    return is_no_statement(r->text) ? "no statement before what else it says" : NULL;
}

static int parse_all(char *at, struct requirements *out, char error[REQUIREMENTS_ERROR_MAX])
{
    while (at) {
        struct requirement *r = &out->list[out->count];
        const char *wrong;

        if (strncmp(at, "### ", 4) != 0) {
            at = cut_line(at);
            continue;
        }
        wrong = parse_one(&at, r);
        if (!wrong && requirements_find(out, r->id, strlen(r->id)))
            wrong = "is there twice";
        if (wrong) {
            snprintf(error, REQUIREMENTS_ERROR_MAX, "%.60s: %s", r->id, wrong);
            return -1;
        }
        out->count++;
    }
    return 0;
}

int requirements_parse(const char *text, struct requirements *out, char error[REQUIREMENTS_ERROR_MAX])
{
    size_t most = 1;

    for (const char *p = text; (p = strstr(p, "### ")) != NULL; p++)
        most++;
    *out = (struct requirements){.copy = strdup(text), .list = calloc(most, sizeof(*out->list))};
    if (!out->copy || !out->list)
        snprintf(error, REQUIREMENTS_ERROR_MAX, "no memory");
    else if (parse_all(out->copy, out, error) == 0)
        return 0;
    requirements_free(out);
    return -1;
}

void requirements_free(struct requirements *requirements)
{
    free(requirements->copy);
    free(requirements->list);
    *requirements = (struct requirements){0};
}
