/* SPDX-License-Identifier: MIT */
#include "schedule.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "explain.h"
#include "json.h"
#include "keep.h"
#include "text.h"

#define TURN_MS     200
#define PATIENCE_MS 2000 /* until a terminal is told how far it is */

struct schedule {
    struct run *run;
    struct isolated *process; /* options.jobs of them, each with the result that it is for */
    struct result **of;
    unsigned int started;
    struct timespec since;
    bool shown; /* a line of progress is on the terminal */
};

/* ---- one case ---- */

static enum standing judge(const struct run *run, const struct result *r)
{
    if (r->verdict == KIT_PASS || r->verdict == KIT_SKIP)
        return r->known && r->verdict == KIT_PASS ? XPASS : AS_WANTED;
    if (r->known && r->verdict != KIT_ERROR)
        return KNOWN;
    if (r->verdict == KIT_FAIL && !run->options.strict && case_level(&run->requirements, r->test) != LEVEL_MUST)
        return DIFFERS;
    return WRONG;
}

static void start(const struct run *run, struct result *r, struct isolated *process)
{
    struct isolate_config config = {.ops = run->options.peer, .config = run->options.config,
                                    .seed = run->options.seed + r->rounds, .limit_s = run->options.limit_s};

    config.config.role = r->test->role;
    r->seed = config.seed;
    r->rounds++;
    isolate_start(process, r->test, &config);
}

static void keep(struct run *run, const struct result *r, const struct outcome *outcome)
{
    bool wanted = run->options.keep || (r->verdict != KIT_PASS && r->verdict != KIT_SKIP);
    char error[256];

    if (keep_case(run->options.out, r, wanted ? outcome : NULL, error))
        return;
    fprintf(stderr, "%s: --out: %s\n", run->options.program, error);
    run->io_error = true;
}

static void add_message(struct result *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_message(struct result *r, const char *format, ...)
{
    size_t n = strlen(r->message);
    va_list args;

    va_start(args, format);
    vsnprintf(r->message + n, sizeof(r->message) - n, format, args);
    va_end(args);
}

/* What the process left is taken over. */
static void conclude(struct run *run, struct result *r, struct outcome *outcome)
{
    r->over = true;
    r->verdict = outcome ? outcome->verdict : KIT_ERROR;
    r->inapplicable = r->verdict == KIT_SKIP && !outcome->applicable;
    snprintf(r->message, sizeof(r->message), "%s", outcome ? outcome->message : "no memory for the case");
    text_clean(r->message);
    r->known = known_why(&run->known, r->test);
    r->standing = judge(run, r);
    if (r->rounds > 1 && r->standing != AS_WANTED)
        add_message(r, " (round %u)", r->rounds);
    if (outcome && r->verdict != KIT_PASS && r->verdict != KIT_SKIP) {
        r->block = report_block(run, r, outcome);
        if (r->block)
            text_clean(r->block);
        if (run->options.json || run->options.format == FORMAT_JSON)
            r->failure = json_failure(outcome);
    }
    if (run->options.out)
        keep(run, r, outcome);
    if (r->standing == XPASS)
        snprintf(r->message, sizeof(r->message), "passes, but is listed in %.300s", run->options.known);
}

/* ---- all of them ---- */

static unsigned int passed_ms(const struct schedule *s)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned int)((now.tv_sec - s->since.tv_sec) * 1000 + (now.tv_nsec - s->since.tv_nsec) / 1000000);
}

static void show_progress(struct schedule *s)
{
    const struct run *run = s->run;
    const struct result *next = &run->results[run->reported];

    if (!isatty(STDERR_FILENO) || passed_ms(s) < PATIENCE_MS)
        return;
    fprintf(stderr, "\r%u of %u done, %u not as expected; now %s\033[K", run->reported, run->selected,
            run->standing[WRONG] + run->standing[XPASS], next->test->id);
    s->shown = true;
}

static void hide_progress(struct schedule *s)
{
    if (s->shown)
        fputs("\r\033[K", stderr);
    s->shown = false;
}

static void count(struct run *run, const struct result *r)
{
    if (r->inapplicable)
        run->inapplicable++;
    else if (r->standing == AS_WANTED || r->standing == WRONG)
        run->count[r->verdict]++;
    run->standing[r->standing]++;
}

/* Reports what is over, as far as its turn has come. False when the run ends here. */
static bool report(struct schedule *s)
{
    struct run *run = s->run;

    while (run->reported < s->started && run->results[run->reported].over) {
        const struct result *r = &run->results[run->reported++];

        hide_progress(s);
        count(run, r);
        report_case(run, r, run->reported);
        if (run->options.fail_fast && result_bad(r))
            return false;
    }
    return true;
}

static void fill(struct schedule *s)
{
    struct run *run = s->run;

    for (unsigned int i = 0; i < run->options.jobs; i++)
        while (!s->process[i].out && s->started < run->selected) {
            struct result *r = &run->results[s->started++];

            start(run, r, &s->process[i]);
            s->of[i] = r;
            if (!s->process[i].out)
                conclude(run, r, NULL);
        }
}

/* One process is over: its case has another round before it, or is over too. */
static void finish(struct schedule *s, unsigned int i)
{
    struct isolated *process = &s->process[i];
    struct result *r = s->of[i];

    r->took_ms += isolate_took(process);
    if (process->out->verdict == KIT_PASS && r->rounds < s->run->options.repeat) {
        isolate_free(process);
        start(s->run, r, process);
        if (!process->out)
            conclude(s->run, r, NULL);
        return;
    }
    conclude(s->run, r, process->out);
    isolate_free(process);
}

static void run_all(struct schedule *s)
{
    struct run *run = s->run;

    do {
        int i;

        fill(s);
        i = isolate_wait(s->process, run->options.jobs, TURN_MS);
        if (i >= 0)
            finish(s, (unsigned int)i);
        else
            show_progress(s);
    } while (report(s) && run->reported < run->selected);
    hide_progress(s);
    for (unsigned int i = 0; i < run->options.jobs; i++)
        isolate_free(&s->process[i]);
}

bool schedule(struct run *run)
{
    struct schedule s = {.run = run, .process = calloc(run->options.jobs, sizeof(*s.process)),
                         .of = calloc(run->options.jobs, sizeof(struct result *))};
    bool good = s.process && s.of;

    clock_gettime(CLOCK_MONOTONIC, &s.since);
    if (good)
        run_all(&s);
    free(s.process);
    free(s.of);
    return good;
}
