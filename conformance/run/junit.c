/* SPDX-License-Identifier: MIT */
#include "junit.h"

#include <inttypes.h>
#include <string.h>

#include "explain.h"
#include "text.h"

enum kind { PASSED, FAILED, BROKEN, SKIPPED, KINDS };

static enum kind kind_of(const struct result *r)
{
    if (r->verdict == KIT_SKIP || r->standing == KNOWN || r->standing == DIFFERS)
        return SKIPPED;
    if (r->standing == XPASS || r->verdict == KIT_FAIL)
        return FAILED;
    return r->verdict == KIT_PASS ? PASSED : BROKEN;
}

static int group_length(const char *id)
{
    return (int)strcspn(id, ".");
}

static void print_case(const struct run *run, const struct result *r, FILE *out)
{
    static const char *const elements[KINDS] = {[FAILED] = "failure", [BROKEN] = "error", [SKIPPED] = "skipped"};
    enum kind kind = kind_of(r);

    fprintf(out, "    <testcase classname=\"pvusb-conform.%s.%.*s\" name=\"%s\" time=\"%" PRId64 ".%03d\"",
            run->options.peer->name, group_length(r->test->id), r->test->id, r->test->id, r->took_ms / 1000,
            (int)(r->took_ms % 1000));
    if (kind == PASSED) {
        fputs("/>\n", out);
        return;
    }
    fprintf(out, ">\n      <%s message=\"%s", elements[kind],
            r->standing == DIFFERS ? "differs: " : r->standing == KNOWN ? "known: " : "");
    text_print_escaped(r->standing == KNOWN && *r->known ? r->known : r->message, out);
    if (kind == SKIPPED)
        fputs("\"/>\n", out);
    else {
        fprintf(out, "\" type=\"%s\">", level_name(case_level(&run->requirements, r->test)));
        text_print_escaped(r->message, out);
        fputc('\n', out);
        text_print_escaped(r->block ? r->block : "", out);
        fprintf(out, "</%s>\n", elements[kind]);
    }
    fputs("    </testcase>\n", out);
}

static void print_property(const char *name, const char *value, FILE *out)
{
    fprintf(out, "      <property name=\"%s\" value=\"", name);
    text_print_escaped(value, out);
    fputs("\"/>\n", out);
}

static bool same_group(const struct result *a, const struct result *b)
{
    int n = group_length(a->test->id);

    return n == group_length(b->test->id) && !strncmp(a->test->id, b->test->id, (size_t)n);
}

/* Of one group, or of all: NULL. */
static void print_totals(const struct run *run, const struct result *group, FILE *out)
{
    unsigned int count[KINDS] = {0}, all = 0;
    int64_t ms = 0;

    for (unsigned int i = 0; i < run->reported; i++) {
        const struct result *r = &run->results[i];

        if (group && !same_group(group, r))
            continue;
        all++;
        count[kind_of(r)]++;
        ms += r->took_ms;
    }
    fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%" PRId64 ".%03d\">\n", all,
            count[FAILED], count[BROKEN], count[SKIPPED], ms / 1000, (int)(ms % 1000));
}

static void print_suite(const struct run *run, const struct result *group, FILE *out)
{
    const char *id = group->test->id;
    char seed[24];

    snprintf(seed, sizeof(seed), "0x%" PRIx64, run->options.seed);
    fprintf(out, "  <testsuite name=\"pvusb-conform.%s.%.*s\"", run->options.peer->name, group_length(id), id);
    print_totals(run, group, out);
    fputs("    <properties>\n", out);
    print_property("peer", run->options.peer->name, out);
    print_property("seed", seed, out);
    print_property("strict", run->options.strict ? "true" : "false", out);
    print_property("known", run->options.known ? run->options.known : "", out);
    fputs("    </properties>\n", out);
    for (unsigned int i = 0; i < run->reported; i++)
        if (same_group(group, &run->results[i]))
            print_case(run, &run->results[i], out);
    fputs("  </testsuite>\n", out);
}

/* A group is not all in one place of the run. */
static bool is_first(const struct run *run, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        if (same_group(&run->results[i], &run->results[n]))
            return false;
    return true;
}

bool junit_write(const struct run *run, FILE *out)
{
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pvusb-conform\"", out);
    print_totals(run, NULL, out);
    for (unsigned int i = 0; i < run->reported; i++)
        if (is_first(run, i))
            print_suite(run, &run->results[i], out);
    fputs("</testsuites>\n", out);
    return true;
}
