/* SPDX-License-Identifier: MIT */
/* Texts as REQUIREMENTS.md is written, and texts that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../run/requirements.h"

extern const char conform_requirements[];

static void two(void **state)
{
    static const char text[] =
        "# Title\n\n## 1. One\n\n### a.b\n*MUST* · backend · XS-01\n\nDoes it.\n\nDiffers: x.\n\n"
        "## 2. Two\n\ntext\n\n### c.d\n*OBSERVED* · both · usbif.h \"x\", B-02\n\nDoes not.\n";
    struct requirements r;
    char error[REQUIREMENTS_ERROR_MAX];

    (void)state;
    assert_int_equal(requirements_parse(text, &r, error), 0);
    assert_int_equal(r.count, 2);
    assert_string_equal(r.list[0].id, "a.b");
    assert_int_equal(r.list[0].level, LEVEL_MUST);
    assert_string_equal(r.list[0].who, "backend");
    assert_string_equal(r.list[0].sources, "XS-01");
    assert_string_equal(r.list[0].text, "Does it.\n\nDiffers: x.");
    assert_string_equal(r.list[1].id, "c.d");
    assert_int_equal(r.list[1].level, LEVEL_OBSERVED);
    assert_string_equal(r.list[1].sources, "usbif.h \"x\", B-02");
    assert_string_equal(r.list[1].text, "Does not.");
    assert_ptr_equal(requirements_find(&r, "c.d e.f", 3), &r.list[1]);
    assert_null(requirements_find(&r, "c.", 2));
    requirements_free(&r);
}

static void malformed(void **state)
{
    static const struct {
        const char *text, *error;
    } tries[] = {
        {"### \n*MUST* · both · x\n\nt\n", ": not an id"},
        {"### a b\n*MUST* · both · x\n\nt\n", "a b: not an id"},
        {"### ab\n*MUST* · both · x\n\nt\n", "ab: not an id"},
        {"### a.B\n*MUST* · both · x\n\nt\n", "a.B: not an id"},
        {"### a..b\n*MUST* · both · x\n\nt\n", "a..b: not an id"},
        {"### a.b.\n*MUST* · both · x\n\nt\n", "a.b.: not an id"},
        {"### a.b", "a.b: ends within a requirement"},
        {"### a.b\n", "a.b: no level, who and source"},
        {"### a.b\n*MUST* · both\n\nt\n", "a.b: no level, who and source"},
        {"### a.b\n*MUST* · both · \n\nt\n", "a.b: no level, who and source"},
        {"### a.b\n*MAY* · both · x\n\nt\n", "a.b: no such level"},
        {"### a.b\nMUST · both · x\n\nt\n", "a.b: no such level"},
        {"### a.b\n*MUST* · all · x\n\nt\n", "a.b: binds nobody there is"},
        {"### a.b\n*MUST* · both · x\n\nDiffers: t\n", "a.b: no statement before what else it says"},
        {"### a.b\n*MUST* · both · x\n\nNot observable: t\n", "a.b: no statement before what else it says"},
        {"### a.b\n*MUST* · both · x\n\n| t |\n", "a.b: no statement before what else it says"},
        {"### a.b\n · both · x\n\nt\n", "a.b: no such level"},
        {"### a.b\n*MUST* · both · x", "a.b: no blank line before the text"},
        {"### a.b\n*MUST* · both · x\nt\n", "a.b: no blank line before the text"},
        {"### a.b\n*MUST* · both · x\n\n", "a.b: no text"},
        {"### a.b\n*MUST* · both · x\n\n### c.d\n", "a.b: no text"},
        {"### a.b\n*MUST* · both · x\n\nt\n### a.b\n*MUST* · both · x\n\nt\n", "a.b: is there twice"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        struct requirements r;
        char error[REQUIREMENTS_ERROR_MAX] = "";

        assert_int_equal(requirements_parse(tries[i].text, &r, error), -1);
        assert_string_equal(error, tries[i].error);
    }
}

/* Every end that a text can have: a result or an error, never a read beyond it. */
static void cut_anywhere(void **state)
{
    static const char text[] = "## 1. One\n\n### a.b\n*SHOULD* · backend · XS-01\n\nDoes it.\n\n### c.d\n";

    (void)state;
    for (size_t n = 0; n < sizeof(text); n++) {
        char *part = strndup(text, n), error[REQUIREMENTS_ERROR_MAX];
        struct requirements r;

        assert_non_null(part);
        if (requirements_parse(part, &r, error) == 0) {
            assert_true(r.count <= 1);
            requirements_free(&r);
        }
        free(part);
    }
}

static void built_in(void **state)
{
    struct requirements r;
    char error[REQUIREMENTS_ERROR_MAX] = "";

    (void)state;
    assert_int_equal(requirements_parse(conform_requirements, &r, error), 0);
    assert_true(r.count > 200);
    assert_non_null(requirements_find(&r, "node.frontend-dir", strlen("node.frontend-dir")));
    requirements_free(&r);
}

/* Eighteen numbered chapters, and every requirement in one of them. */
static void chapters(void **state)
{
    const char *first = strstr(conform_requirements, "\n### ");
    unsigned int chapter = 0;

    (void)state;
    for (const char *p = conform_requirements; (p = strstr(p, "\n## ")) != NULL; p++) {
        char *end;
        unsigned long number = strtoul(p + 4, &end, 10);

        if (end == p + 4)
            continue;
        assert_int_equal(number, ++chapter);
        assert_int_equal(*end, '.');
        assert_true(chapter > 1 || p < first);
    }
    assert_int_equal(chapter, 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(two), cmocka_unit_test(malformed),
                                       cmocka_unit_test(cut_anywhere), cmocka_unit_test(built_in),
                                       cmocka_unit_test(chapters)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
