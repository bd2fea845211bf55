/* SPDX-License-Identifier: MIT */
#include "explain.h"

#include <stdio.h>
#include <string.h>

/* The next id of a list with blanks; its length, 0 at the end. */
static size_t next_id(const char **at)
{
    *at += strspn(*at, " ");
    return strcspn(*at, " ");
}

enum level case_level(const struct requirements *requirements, const struct conform_case *test)
{
    enum level level = LEVELS;
    size_t n;

    for (const char *p = test->requirements; (n = next_id(&p)) > 0; p += n) {
        const struct requirement *r = requirements_find(requirements, p, n);

        if (r && r->level < level)
            level = r->level;
    }
    return level == LEVELS ? LEVEL_MUST : level;
}

/* How many bytes of a requirement's text are its first sentence. */
static size_t explain_sentence(const char *text)
{
    for (size_t n = 0; text[n]; n++)
        if (!strncmp(text + n, "\n\n", 2) || !strcmp(text + n, "\n"))
            return n;
        else if (text[n] == '.' &&
                 (text[n + 1] == '\n' || !text[n + 1] || (text[n + 1] == ' ' && text[n + 2] < 'a')))
            return n + 1;
    return strlen(text);
}

static void print_sentence(const char *text, FILE *out)
{
    size_t n = explain_sentence(text);

    fputs("    ", out);
    for (size_t i = 0; i < n; i++)
        fputc(text[i] == '\n' ? ' ' : text[i], out);
    fputc('\n', out);
}

void explain_short(const struct requirements *requirements, const struct conform_case *test, FILE *out)
{
    size_t n;

    for (const char *p = test->requirements; (n = next_id(&p)) > 0; p += n) {
        const struct requirement *r = requirements_find(requirements, p, n);

        fprintf(out, "  %s %.*s (%s)\n", r ? level_name(r->level) : "unknown", (int)n, p,
                r ? r->sources : "no such id");
        if (r)
            print_sentence(r->text, out);
    }
}

static bool checks(const struct conform_case *test, const struct requirement *r)
{
    size_t n;

    for (const char *p = test->requirements; (n = next_id(&p)) > 0; p += n)
        if (strlen(r->id) == n && !memcmp(r->id, p, n))
            return true;
    return false;
}

static unsigned int print_cases(const struct conform_case *const groups[], const struct requirement *r)
{
    unsigned int count = 0;

    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            if (checks(c, r)) {
                printf("    %s\n", c->id);
                count++;
            }
    return count;
}

static void print_requirement(const struct requirement *r)
{
    printf("%s: %s, %s (%s)\n\n%s\n", r->id, level_name(r->level), r->who, r->sources, r->text);
}

static void print_case(const struct requirements *requirements, const struct conform_case *test)
{
    size_t n;

    printf("%s: %s\n", test->id, test->title);
    if (test->needs)
        printf("needs: %s\n", test->needs);
    for (const char *p = test->requirements; (n = next_id(&p)) > 0; p += n) {
        const struct requirement *r = requirements_find(requirements, p, n);

        putchar('\n');
        if (r)
            print_requirement(r);
        else
            printf("%.*s: no such requirement\n", (int)n, p);
    }
}

bool explain(const struct requirements *requirements, const struct conform_case *const groups[], const char *id)
{
    const struct requirement *r = requirements_find(requirements, id, strlen(id));

    for (int g = 0; !r && groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            if (!strcmp(c->id, id)) {
                print_case(requirements, c);
                return true;
            }
    if (!r)
        return false;
    print_requirement(r);
    puts("\ncases:");
    print_cases(groups, r);
    return true;
}

static unsigned int unknown_ids(const struct requirements *requirements, const struct conform_case *const groups[])
{
    unsigned int count = 0;
    size_t n;

    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            for (const char *p = c->requirements; (n = next_id(&p)) > 0; p += n)
                if (!requirements_find(requirements, p, n)) {
                    printf("%s: no such requirement: %.*s\n", c->id, (int)n, p);
                    count++;
                }
    return count;
}

bool coverage(const struct requirements *requirements, const struct conform_case *const groups[])
{
    unsigned int gaps = 0, apart = 0, unknown;

    for (size_t i = 0; i < requirements->count; i++) {
        const struct requirement *r = &requirements->list[i];
        const char *why = requirement_hidden(r);

        printf("%s %s\n", level_name(r->level), r->id);
        if (print_cases(groups, r) > 0)
            continue;
        if (why)
            printf("    n%.*s\n", (int)strcspn(why + 1, "\n"), why + 1);
        else
            puts("    no case");
        gaps += !why;
        apart += why != NULL;
    }
    unknown = unknown_ids(requirements, groups);
    printf("%zu requirements: %zu with cases, %u not observable, %u without a case; %u unknown ids\n",
           requirements->count, requirements->count - gaps - apart, apart, gaps, unknown);
    return !gaps && !unknown;
}
