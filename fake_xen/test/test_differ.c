// SPDX-License-Identifier: MIT
/*
 * Our store against the genuine xenstored of Xen 4.17: the same random requests, and every answer, every watch event and
 * the whole tree compared. Arguments: how many requests, a seed to repeat a run that was seen to fail, and
 * anything to print all requests.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "differ.h"

/* Requests between two plans, two comparisons of the trees, and two ends of domain 3. */
#define REPLAN_OPS  700u
#define TREE_OPS    500u
#define RESTART_OPS 2900u
/* After so many it says how far it is. */
#define TELL_REQUESTS 50000u

struct run {
    struct differ_lab lab;
    struct differ_plan plan;
    uint64_t seed;
    unsigned int number; /* of the op */
    struct differ_op op;
    unsigned int differences;
    unsigned int events;
    unsigned int errors;
    bool verbose;
};

static void print_message(const char *who, const struct differ_message *m)
{
    printf("  %-7s %s %u \"", who, differ_type_name(m->type), m->length);
    for (uint32_t i = 0; i < m->length && i < 300; i++) {
        unsigned char c = (unsigned char)m->payload[i];
        if (c >= ' ' && c < 0x7f)
            putchar(c);
        else
            printf("\\%02x", (unsigned int)c);
    }
    puts(m->length > 300 ? "...\"" : "\"");
}

static void print_all(const struct run *run, const struct differ_message answers[SIDES])
{
    printf("%u: client %u, transaction %d\n", run->number, run->op.client, run->op.transaction);
    print_message("asked", &run->op.ask);
    print_message("ours", &answers[OURS]);
    print_message("theirs", &answers[THEIRS]);
    fflush(stdout);
}

static void begin_difference(struct run *run, const char *what)
{
    run->differences++;
    printf("seed %" PRIu64 ", request %u: %s; domain %u (client %u), transaction %d\n", run->seed, run->number, what,
           (unsigned int)run->lab.clients[run->op.client].domid, run->op.client, run->op.transaction);
    print_message("asked", &run->op.ask);
}

/* A generation is what it is; the rest of the answer is names. */
static size_t skip_generation(const struct differ_message *m)
{
    return m->type == XS_DIRECTORY_PART ? strlen(m->payload) + 1 : 0;
}

static bool same_answer(const struct differ_message *ours, const struct differ_message *theirs)
{
    if (ours->type != theirs->type)
        return false;
    if (ours->type == XS_TRANSACTION_START)
        return true;
    size_t skip[] = {skip_generation(ours), skip_generation(theirs)};
    /* Behind a longer number there is less room. */
    if (skip[OURS] != skip[THEIRS] && ours->length > XENSTORE_PAYLOAD_MAX / 4)
        return true;
    return ours->length - skip[0] == theirs->length - skip[1] &&
           memcmp(ours->payload + skip[0], theirs->payload + skip[1], ours->length - skip[0]) == 0;
}

/* What both sides' answers mean for the client's transactions. */
static void follow_transactions(struct run *run, const struct differ_message answers[SIDES])
{
    struct differ_client *client = &run->lab.clients[run->op.client];
    bool bad = answers[OURS].type == XS_ERROR && strcmp(answers[OURS].payload, "EINVAL") == 0;
    if (run->op.ask.type == XS_TRANSACTION_END && run->op.transaction >= 0 && !bad)
        memset(client->transactions[run->op.transaction], 0, sizeof(client->transactions[0]));
    if (run->op.ask.type == XS_RESET_WATCHES && answers[OURS].type != XS_ERROR)
        memset(client->transactions, 0, sizeof(client->transactions));
    if (answers[OURS].type != XS_TRANSACTION_START || answers[THEIRS].type != XS_TRANSACTION_START)
        return;
    for (unsigned int i = 0; i < DIFFER_TRANSACTIONS; i++) {
        if (client->transactions[i][OURS])
            continue;
        for (enum differ_side side = OURS; side < SIDES; side++)
            client->transactions[i][side] = (uint32_t)strtoul(answers[side].payload, NULL, 10);
        client->stale[i] = false;
        differ_begun(&run->plan, run->op.client, i);
        return;
    }
}

/* Whether the op has changed the tree for others. */
static bool changed(const struct run *run)
{
    switch (run->op.ask.type) {
    case XS_WRITE:
    case XS_MKDIR:
    case XS_RM:
    case XS_SET_PERMS:
        return run->op.transaction < 0;
    case XS_TRANSACTION_END:
        return run->op.ask.payload[0] == 'T';
    default:
        return false;
    }
}

static void follow_change(struct run *run)
{
    for (unsigned int i = 0; i < DIFFER_CLIENTS; i++)
        memset(run->lab.clients[i].stale, 1, sizeof(run->lab.clients[i].stale));
}

static void print_events(const char *who, const struct differ_events *events)
{
    const char *path;
    const char *token;
    size_t at = 0;
    printf("  %-7s", who);
    while (differ_event(events, &at, &path, &token))
        printf(" %.60s|%.20s", path, token);
    puts("");
}

static void compare_events(struct run *run)
{
    differ_fence(&run->lab);
    for (unsigned int i = 0; i < DIFFER_CLIENTS; i++) {
        struct differ_client *client = &run->lab.clients[i];
        struct differ_events *ours = &client->side[OURS].events;
        struct differ_events *theirs = &client->side[THEIRS].events;
        const char *path;
        const char *token;
        for (size_t at = 0; differ_event(ours, &at, &path, &token);)
            run->events++;
        if (ours->length != theirs->length || (ours->length && memcmp(ours->data, theirs->data, ours->length) != 0)) {
            begin_difference(run, "events");
            printf("  told to client %u of domain %u:\n", i, (unsigned int)client->domid);
            print_events("ours", ours);
            print_events("theirs", theirs);
        }
        ours->length = theirs->length = 0;
    }
}

static void compare_trees(struct run *run)
{
    char *dump[SIDES];
    for (enum differ_side side = OURS; side < SIDES; side++)
        dump[side] = differ_dump(&run->lab, side);
    size_t at = 0;
    size_t line = 0;
    while (dump[OURS][at] && dump[OURS][at] == dump[THEIRS][at]) {
        at++;
        if (dump[OURS][at - 1] == '\n')
            line = at;
    }
    if (dump[OURS][at] != dump[THEIRS][at]) {
        begin_difference(run, "trees, at this line or before it");
        for (enum differ_side side = OURS; side < SIDES; side++)
            printf("  %-7s %.*s\n", side == OURS ? "ours" : "theirs", (int)strcspn(dump[side] + line, "\n"),
                   dump[side] + line);
    }
    free(dump[OURS]);
    free(dump[THEIRS]);
}

static void step(struct run *run)
{
    struct differ_message answers[SIDES];
    run->number++;
    if (run->number % REPLAN_OPS == 0)
        differ_replan(&run->plan);
    if (run->number % RESTART_OPS == 0) {
        differ_restart(&run->lab, 3);
        follow_change(run);
        compare_events(run);
        compare_trees(run);
    }
    differ_next(&run->plan, &run->lab, &run->op);
    answers[THEIRS] = (struct differ_message){.type = XS_ERROR, .length = sizeof("EINVAL"), .payload = "EINVAL"};
    for (enum differ_side side = OURS; side < (run->op.ours_only ? THEIRS : SIDES); side++)
        differ_ask(&run->lab, &run->op, side, &answers[side]);
    if (run->op.ours_only && answers[OURS].type == XS_ERROR)
        answers[THEIRS] = answers[OURS];
    if (run->verbose)
        print_all(run, answers);
    if (!same_answer(&answers[OURS], &answers[THEIRS])) {
        begin_difference(run, "answers");
        print_message("ours", &answers[OURS]);
        print_message("theirs", &answers[THEIRS]);
    }
    follow_transactions(run, answers);
    if (changed(run) && answers[OURS].type != XS_ERROR)
        follow_change(run);
    run->errors += answers[OURS].type == XS_ERROR;
    /* Only what did something can have been told of; and one change at a time is compared, as xenstored drops an event
     * that is equal to one still to be sent. */
    if (answers[OURS].type != XS_ERROR || answers[THEIRS].type != XS_ERROR)
        compare_events(run);
    if (run->number % TREE_OPS == 0)
        compare_trees(run);
}

/* A line for each of what is not compared; false if there is one that does not even come up any more. */
static bool print_known(void)
{
    bool all = true;
    puts("not compared:");
    for (const struct differ_known *known = differ_known; known->reason; known++) {
        printf("%8u %s%s\n", known->hits, known->reason, known->hits ? "" : " -- STALE");
        all = all && known->hits;
    }
    return all;
}

/*
 * The xenstored of Debian 12 without its security updates (seen: 4.17.5+72) fails an assertion of its own where a connection
 * ends that has a transaction open, and takes the machine with it.
 */
static void need_sound_xenstored(void)
{
    static const char *const is_older = "v=$(dpkg-query -W -f='${Version}' xen-utils-4.17 2>/dev/null) && "
                                        "dpkg --compare-versions \"$v\" lt 4.17.7";
    if (system(is_older) == 0) {
        puts("skip: xen-utils-4.17 is older than 4.17.7, whose xenstored ends at a transaction that is left open");
        exit(77);
    }
}

int main(int argc, char **argv)
{
    static struct run run;
    need_sound_xenstored();
    unsigned int count = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 20000;
    run.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
    run.verbose = argc > 3;
    printf("%u requests, seed %" PRIu64 "\n", count, run.seed);
    fflush(stdout);
    run.plan.random.state = run.seed;
    differ_begin(&run.lab, machine_xenstored());
    differ_replan(&run.plan);
    while (run.number < count && run.differences < 12) {
        run.plan.late = run.number > count / 5 * 4;
        step(&run);
        if (run.number % TELL_REQUESTS == 0) {
            printf("\n%u of %u requests\n", run.number, count); /* xenstored ends no line of its own */
            fflush(stdout);
        }
    }
    compare_trees(&run);
    differ_finish(&run.lab);
    printf("%u requests, %u of them refused, %u events: %u differences\n", run.number, run.errors, run.events,
           run.differences);
    bool all_known = print_known();
    return run.differences || (!all_known && count >= 20000) ? 1 : 0;
}
