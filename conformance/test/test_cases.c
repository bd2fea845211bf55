/* SPDX-License-Identifier: MIT */
/*
 * What the cases say of themselves holds: ids are unique and begin with their group, and every requirement that a
 * case names is in REQUIREMENTS.md, can be observed, and is owed by the half that the case judges. What is
 * observed (OBSERVED) of one half is a matter of the other. Prints the requirements without a case.
 * Usage: test_cases REQUIREMENTS.md
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../conform.h"

#define REQUIREMENTS_MAX 512u
#define WORD_MAX         64u

struct requirement {
    char id[WORD_MAX];
    char level[WORD_MAX];
    char who[WORD_MAX];
    bool hidden; /* Not observable */
    unsigned int cases;
};

static struct requirement requirements[REQUIREMENTS_MAX];
static unsigned int nr_requirements;
static unsigned int wrong;

static void complain(const struct conform_case *test, const char *what, const char *name)
{
    printf("%s: %s%s\n", test->id, what, name);
    wrong++;
}

static bool read_requirements(const char *path)
{
    char line[512];
    struct requirement *last = NULL;
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    while (fgets(line, sizeof(line), file)) {
        if (!strncmp(line, "## ", 3))
            last = NULL;
        if (!strncmp(line, "### ", 4) && nr_requirements < REQUIREMENTS_MAX) {
            last = &requirements[nr_requirements++];
            sscanf(line, "### %63s", last->id);
        } else if (last && line[0] == '*') {
            sscanf(line, "*%63[A-Z]* \u00b7 %63[a-z]", last->level, last->who);
        } else if (last && !strncmp(line, "Not observable: ", 16)) {
            last->hidden = true;
        }
    }
    fclose(file);
    return nr_requirements > 0;
}

static const char *role_name(enum conform_role role)
{
    return role == CONFORM_BACKEND ? "backend" : role == CONFORM_FRONTEND ? "frontend" : "toolstack";
}

static void check_name(const struct conform_case *test, const char *id)
{
    for (unsigned int i = 0; i < nr_requirements; i++) {
        struct requirement *r = &requirements[i];
        if (strcmp(r->id, id) != 0)
            continue;
        r->cases++;
        if (r->hidden)
            complain(test, "not observable: ", id);
        if (strcmp(r->level, "OBSERVED") != 0 && strcmp(r->who, "both") != 0 &&
            strcmp(r->who, role_name(test->role)) != 0)
            complain(test, "owed by another half: ", id);
        return;
    }
    complain(test, "no such requirement: ", id);
}

static void check_case(const struct conform_case *test)
{
    static const char *const groups[] = {"backend.", "frontend.", "xenbus.", "hostile.", "toolstack."};
    char list[512], *rest = list, *word;
    unsigned int names = 0;
    bool grouped = false;
    for (unsigned int i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        grouped |= !strncmp(test->id, groups[i], strlen(groups[i]));
    if (!grouped)
        complain(test, "begins with no group", "");
    if (!test->title || !*test->title || !test->run)
        complain(test, "no title or nothing to run", "");
    snprintf(list, sizeof(list), "%s", test->requirements);
    while ((word = strsep(&rest, " "))) {
        names++;
        check_name(test, word);
    }
    if (names == 0)
        complain(test, "names no requirement", "");
    for (const struct conform_case *const *group = conform_groups; *group; group++)
        for (const struct conform_case *other = *group; other->id; other++)
            if (other < test && !strcmp(other->id, test->id))
                complain(test, "is there twice", "");
}

int main(int argc, char **argv)
{
    unsigned int cases = 0, bare = 0;
    if (argc != 2 || !read_requirements(argv[1])) {
        fprintf(stderr, "usage: test_cases REQUIREMENTS.md, which can be read\n");
        return 2;
    }
    for (const struct conform_case *const *group = conform_groups; *group; group++)
        for (const struct conform_case *test = *group; test->id; test++, cases++)
            check_case(test);
    for (unsigned int i = 0; i < nr_requirements; i++) {
        const struct requirement *r = &requirements[i];
        if (r->cases || r->hidden)
            continue;
        printf("no case: %-8s %-9s %s\n", r->level, r->who, r->id);
        bare++;
    }
    printf("%u cases, %u requirements, %u of them without a case, %u mistakes\n", cases, nr_requirements, bare, wrong);
    return wrong > 0;
}
