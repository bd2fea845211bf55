/* SPDX-License-Identifier: MIT */
/* Results for people, and as TAP 13. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "block.h"
#include "explain.h"
#include "result.h"

#define UNEXPECTED_MAX 12u /* cases named again at the end */

static const char *const verdict_names[] = {"pass", "FAIL", "skip", "DIED", "ERROR"};

char *report_block(const struct run *run, const struct result *r, const struct outcome *outcome)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fprintf(out, "  %s\n", r->test->title);
    explain_short(&run->requirements, r->test, out);
    block_print(outcome, out);
    if (run->options.out)
        fprintf(out, "  files: %s/%s/case.pcap, events.txt, xenstore.txt\n", run->options.out, r->test->id);
    fputs("  reproduce: ", out);
    options_print_again(&run->options, r->seed, r->test->id, out);
    fputc('\n', out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static void report_tap(const struct run *run, const struct result *r, unsigned int n)
{
    printf("%sok %u - %s", r->standing == AS_WANTED ? "" : "not ", n, r->test->id);
    if (r->verdict == KIT_SKIP)
        printf(" # SKIP %s", r->message);
    if (r->standing == DIFFERS ||
        r->standing == KNOWN) /* TAP's word; in two, for who looks for marks in the source */
        printf(" # TO" "DO %s, %s", r->standing == KNOWN ? "known" : "differs",
               level_name(case_level(&run->requirements, r->test)));
    putchar('\n');
    if (r->standing != AS_WANTED)
        printf("# %s\n", r->message);
}

static void print_line(const struct result *r)
{
    static const char *const names[] = {
        [DIFFERS] = "differs", [KNOWN] = "known", [XPASS] = "XPASS", [WRONG] = NULL};
    const char *name = r->inapplicable        ? "n/a"
                       : names[r->standing] ? names[r->standing]
                                            : verdict_names[r->verdict];

    printf("%-5s %s%s%s\n", name, r->test->id, *r->message ? ": " : "", r->message);
}

static void report_text(const struct run *run, const struct result *r)
{
    if (run->options.quiet && r->standing == AS_WANTED)
        return;
    print_line(r);
    if ((r->standing == DIFFERS || r->standing == WRONG) && r->block)
        fputs(r->block, stdout);
}

void report_begin(const struct run *run)
{
    if (run->options.format == FORMAT_TAP)
        printf("TAP version 13\n1..%u\n", run->selected);
}

void report_case(const struct run *run, const struct result *r, unsigned int n)
{
    if (run->options.format == FORMAT_TAP)
        report_tap(run, r, n);
    else if (run->options.format == FORMAT_TEXT)
        report_text(run, r);
}

/* Once more, for who sees the end only. */
static void print_unexpected(const struct run *run)
{
    unsigned int all = run->standing[WRONG] + run->standing[XPASS], told = 0;

    if (all > 0)
        puts("unexpected:");
    for (unsigned int i = 0; i < run->reported && told < UNEXPECTED_MAX; i++) {
        if (!result_bad(&run->results[i]))
            continue;
        fputs("  ", stdout);
        print_line(&run->results[i]);
        told++;
    }
    if (told < all)
        printf("  and %u more\n", all - told);
}

void report_end(const struct run *run, int rc)
{
    const unsigned int *count = run->count;

    if (run->options.format != FORMAT_TEXT)
        return;
    printf("pass %u  fail %u  skip %u  died %u  error %u  of %u, seed 0x%" PRIx64 "\n", count[KIT_PASS],
           count[KIT_FAIL], count[KIT_SKIP], count[KIT_DIED], count[KIT_ERROR], run->selected, run->options.seed);
    if (run->inapplicable)
        printf("not applicable %u: peer %s lacks what they need\n", run->inapplicable, run->options.peer->name);
    if (run->standing[DIFFERS])
        printf("differs %u: from a SHOULD or an OBSERVED\n", run->standing[DIFFERS]);
    if (run->options.known)
        printf("known %u  XPASS %u: by %s\n", run->standing[KNOWN], run->standing[XPASS], run->options.known);
    if ((run->standing[WRONG] || run->standing[DIFFERS]) && !run->options.out)
        puts("recordings of what failed: with --out DIR");
    print_unexpected(run);
    if (rc == EXIT_SKIPPED)
        printf("skip: %s\n", run->results[run->reported - 1].message);
}
