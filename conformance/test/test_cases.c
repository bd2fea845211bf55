/* SPDX-License-Identifier: MIT */
/*
 * What the cases say of themselves holds: ids are unique and begin with their group, and every requirement
 * that a case names exists, can be observed, and is owed by the half that the case judges. What is observed
 * (OBSERVED) of one half is a matter of the other. Cases that the contract names exist. Which
 * requirements have no case, `pvusb-conform --coverage` says.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../run/explain.h"

static struct requirements requirements;
static unsigned int wrong;

static void complain(const struct conform_case *test, const char *what, const char *name)
{
    printf("%s: %s%s\n", test->id, what, name);
    wrong++;
}

static const char *role_name(enum conform_role role)
{
    return role == CONFORM_BACKEND ? "backend" : role == CONFORM_FRONTEND ? "frontend" : "toolstack";
}

static void check_name(const struct conform_case *test, const char *id)
{
    const struct requirement *r = requirements_find(&requirements, id, strlen(id));
    if (!r)
        complain(test, "no such requirement: ", id);
    else if (requirement_hidden(r))
        complain(test, "not observable: ", id);
    else if (r->level != LEVEL_OBSERVED && strcmp(r->who, "both") != 0 &&
             strcmp(r->who, role_name(test->role)) != 0)
        complain(test, "owed by another half: ", id);
}

static void check_case(const struct conform_case *test)
{
    static const char *const groups[] = {"backend.", "frontend.", "xenbus.", "hostile.", "toolstack."};
    char list[512], *rest = list, *word;
    bool grouped = false;
    for (unsigned int i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        grouped |= !strncmp(test->id, groups[i], strlen(groups[i]));
    if (!grouped)
        complain(test, "begins with no group", "");
    if (!test->title || !*test->title || !test->run)
        complain(test, "no title or nothing to run", "");
    snprintf(list, sizeof(list), "%s", test->requirements);
    while ((word = strsep(&rest, " ")))
        check_name(test, word); /* an empty list is an empty name, which does not exist */
    for (const struct conform_case *const *group = conform_groups; *group; group++)
        for (const struct conform_case *other = *group; other->id; other++)
            if (other < test && !strcmp(other->id, test->id))
                complain(test, "is there twice", "");
}

static bool is_case(const char *id, size_t length)
{
    for (const struct conform_case *const *group = conform_groups; *group; group++)
        for (const struct conform_case *test = *group; test->id; test++)
            if (strlen(test->id) == length && !memcmp(test->id, id, length))
                return true;
    return false;
}

/* `backend.which.iso` and the like, where the contract says who shows a difference. */
static void check_citations(const char *text)
{
    static const char *const groups[] = {"`backend.", "`frontend.", "`xenbus.", "`hostile.", "`toolstack."};
    for (unsigned int i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        for (const char *at = text; (at = strstr(at, groups[i])); at++) {
            size_t n = strcspn(at + 1, "`");
            if (memchr(at + 1, '*', n) || is_case(at + 1, n))
                continue;
            printf("REQUIREMENTS.md: %.*s: no such case\n", (int)n, at + 1);
            wrong++;
        }
    }
}

int main(void)
{
    char error[REQUIREMENTS_ERROR_MAX];
    unsigned int cases = 0;
    if (requirements_parse(conform_requirements, &requirements, error)) {
        printf("REQUIREMENTS.md: %s\n", error);
        return 1;
    }
    for (const struct conform_case *const *group = conform_groups; *group; group++)
        for (const struct conform_case *test = *group; test->id; test++, cases++)
            check_case(test);
    check_citations(conform_requirements);
    printf("%u cases, %zu requirements, %u mistakes\n", cases, requirements.count, wrong);
    requirements_free(&requirements);
    return wrong > 0;
}
