/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S 5u

static const char usage[] =
    "usage: pvusb-conform [OPTION...] [SELECTOR...]\n"
    "\n"
    "A selector is a case, what its id begins with (backend.unlink), a shell glob, or a level:\n"
    "@MUST @SHOULD @OBSERVED. None: all cases.\n"
    "  -x, --exclude SEL      leave these out; may be given several times\n"
    "      --role ROLE        only cases with a backend, frontend or toolstack under test\n"
    "\n"
    "What is under test:\n"
    "      --peer NAME        inproc, process, qemu\n"
    "      --peer COMMAND     a program of your own, of the --role (backend); has a blank or a slash in it\n"
    "      --attach DIR       what runs already on the fake machine in DIR, of the --role (backend)\n"
    "      --xen real         what runs already on the Xen that this domain is on: README.md says how\n"
    "      --guest N          the frontend's domain (1); with --xen real and 0, both halves are in domain 0\n"
    "      --without LIST     what it cannot: device, iso, guests ... (conform.h); such cases do not apply\n"
    "\n"
    "What is asked:\n"
    "      --list             print the selected cases and end; with --format json as JSON\n"
    "      --explain ID       print a case or a requirement in full and end\n"
    "      --coverage         print which cases check which requirement and end; 1 when there are gaps\n"
    "\n"
    "How it is judged:\n"
    "      --strict           a SHOULD or OBSERVED that is not met is a failure too, not just \"differs\"\n"
    "      --known FILE       of cases that are known to fail; one that passes is a failure then\n"
    "      --write-known FILE write such a file: what failed, with its reason\n"
    "\n"
    "How it is run:\n"
    "      --timeout S        bound of one wait (5); a whole case gets ten times that\n"
    "      --case-limit S     bound of a whole case\n"
    "      --seed N           of random numbers (1); printed\n"
    "      --repeat N         N rounds of each case, each with the next seed, up to the first failure\n"
    "      --jobs N           so many cases at a time (1); results keep their order\n"
    "      --fail-fast        end at the first case that fails\n"
    "\n"
    "What is reported:\n"
    "      --format text|tap|json\n"
    "                         of the results on stdout\n"
    "  -q, --quiet            as text only what is not as it should be, and the sums\n"
    "      --json FILE        write the results as JSON, too\n"
    "      --junit FILE       and for CI, as JUnit\n"
    "      --out DIR          write DIR/CASE/ for each case that fails: its transfers as case.pcap, all\n"
    "                         its events, xenstore\n"
    "      --keep             and for those that pass, too\n"
    "      --matrix DIR       write pages of cases by implementations, DIR/index.html and MATRIX.md, and\n"
    "                         end; instead of selectors: files that --json wrote, or TITLE=FILE, those\n"
    "                         of one title in one column\n"
    "      --help             print this\n"
    "\n"
    "Exit codes: 0 as expected, 1 a case failed or died, 2 usage or nothing selected, 3 the peer never\n"
    "came, 77 everything skipped.\n";

/* again: what a case comes to depends on it. The seed is told apart. */
static const struct {
    const char *name;
    int has_arg, c;
    bool again;
} table[] = {
    {"exclude", 1, 'x', false},   {"explain", 1, 'E', false},    {"known", 1, 'K', false},
    {"coverage", 0, 'C', false},  {"strict", 0, 'S', true},      {"list", 0, 'l', false},
    {"peer", 1, 'p', true},       {"timeout", 1, 't', true},     {"case-limit", 1, 'L', true},
    {"seed", 1, 's', false},      {"format", 1, 'f', false},     {"fail-fast", 0, 'F', false},
    {"help", 0, 'h', false},      {"out", 1, 'o', false},        {"keep", 0, 'k', false},
    {"json", 1, 'j', false},      {"junit", 1, 'u', false},      {"write-known", 1, 'w', false},
    {"repeat", 1, 'r', false},    {"jobs", 1, 'J', false},       {"role", 1, 'R', true},
    {"without", 1, 'W', true},    {"attach", 1, 'A', true},      {"xen", 1, 'X', true},
    {"guest", 1, 'G', true},      {"matrix", 1, 'M', false},     {"quiet", 0, 'q', false},
};

#define OPTIONS (sizeof(table) / sizeof(table[0]))

int options_bad(const char *what, const char *text)
{
    fprintf(stderr, "pvusb-conform: %s: %s\n", what, text);
    return EXIT_USAGE;
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;

    *out = strtoull(text, &end, 0);
    return *text >= '0' && *text <= '9' && !*end && *out <= max;
}

/* A name, or a command. */
static int set_peer(struct options *o, const struct peer_ops *const peers[], const char *text)
{
    const char *name = strpbrk(text, " /") ? "command" : text;

    o->config.command = name != text ? text : NULL;
    for (; *peers; peers++)
        if (!strcmp((*peers)->name, name)) {
            o->peer = *peers;
            return -1;
        }
    return options_bad("--peer: not built in", text);
}

static int set_role(struct options *o, const char *name)
{
    static const char *const names[] = {
        [CONFORM_BACKEND] = "backend", [CONFORM_FRONTEND] = "frontend", [CONFORM_TOOLSTACK] = "toolstack"};

    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(names[i], name)) {
            o->roles = 1u << i;
            return -1;
        }
    return options_bad("--role: not backend, frontend or toolstack", name);
}

static int set_number(const char *name, const char *text, uint64_t max, uint64_t *out)
{
    return number(text, max, out) && *out ? -1 : options_bad(name, text);
}

static int set_format(struct options *o, const char *name)
{
    static const char *const names[] = {[FORMAT_TEXT] = "text", [FORMAT_TAP] = "tap",
                                        [FORMAT_JSON] = "json"};

    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(names[i], name)) {
            o->format = (enum format)i;
            return -1;
        }
    return options_bad("--format: not text, tap or json", name);
}

/* -1: go on; else the exit code. */
static int set(struct options *o, int c, const struct peer_ops *const peers[])
{
    uint64_t n;
    int rc = -1;

    switch (c) {
    case 'x': o->excludes[o->nr_excludes++] = optarg; break;
    case 'E': o->explain = optarg; break;
    case 'K': o->known = optarg; break;
    case 'C': o->coverage = true; break;
    case 'S': o->strict = true; break;
    case 'l': o->list = true; break;
    case 'R': rc = set_role(o, optarg); break;
    case 'A': o->config.machine = optarg; break;
    case 'X':
        o->config.machine = optarg + (strncmp(optarg, "fake:", 5) ? 0 : 5);
        rc = !strcmp(optarg, "real") || o->config.machine != optarg ? -1 : options_bad("--xen: not real or fake:DIR", optarg);
        break;
    case 'G':
        rc = number(optarg, DOMID_FIRST_RESERVED - 1, &n) ? -1 : options_bad("--guest", optarg);
        o->config.guest = (domid_t)n;
        break;
    case 'W': o->config.without = optarg; break;
    case 'p': rc = set_peer(o, peers, optarg); break;
    case 't':
        rc = set_number("--timeout", optarg, 3600, &n);
        o->config.timeout_ns = n * 1000000000u;
        break;
    case 'L':
        rc = set_number("--case-limit", optarg, 36000, &n);
        o->limit_s = (unsigned int)n;
        break;
    case 's': rc = number(optarg, UINT64_MAX, &o->seed) ? -1 : options_bad("--seed", optarg); break;
    case 'f': rc = set_format(o, optarg); break;
    case 'F': o->fail_fast = true; break;
    case 'o': o->out = optarg; break;
    case 'k': o->keep = true; break;
    case 'q': o->quiet = true; break;
    case 'j': o->json = optarg; break;
    case 'u': o->junit = optarg; break;
    case 'w': o->write_known = optarg; break;
    case 'M': o->matrix = optarg; break;
    case 'r':
        rc = set_number("--repeat", optarg, 1000000, &n);
        o->repeat = (unsigned int)n;
        break;
    case 'J':
        rc = set_number("--jobs", optarg, 256, &n);
        o->jobs = (unsigned int)n;
        break;
    case 'h': fputs(usage, stdout); rc = EXIT_EXPECTED; break;
    default: rc = EXIT_USAGE;
    }
    return rc;
}

static void note_again(struct options *o, int c)
{
    for (unsigned int i = 0; i < OPTIONS; i++)
        if (table[i].c == c && table[i].again) {
            o->again[o->nr_again].name = table[i].name;
            o->again[o->nr_again++].value = table[i].has_arg ? optarg : NULL;
        }
}

static int parse(struct options *o, int argc, char **argv, const struct peer_ops *const peers[])
{
    struct option options[OPTIONS + 1] = {{NULL, 0, NULL, 0}};
    int c, rc;

    for (unsigned int i = 0; i < OPTIONS; i++)
        options[i] = (struct option){table[i].name, table[i].has_arg, NULL, table[i].c};
    while ((c = getopt_long(argc, argv, "x:q", options, NULL)) != -1) {
        if ((rc = set(o, c, peers)) >= 0)
            return rc;
        note_again(o, c);
    }
    if (o->keep && !o->out)
        return options_bad("--keep", "there is no --out to keep it in");
    o->selectors = argv + optind;
    o->nr_selectors = (unsigned int)(argc - optind);
    if (!o->roles) /* a program plays one role */
        o->roles = o->config.command || o->config.machine ? 1u << CONFORM_BACKEND : ~0u;
    if (o->config.machine && !o->config.command && (rc = set_peer(o, peers, "attach")) >= 0)
        return rc;
    if (o->config.machine)
        o->jobs = 1; /* they would meet there */
    else if (o->peer && !strcmp(o->peer->name, "attach"))
        return options_bad("--peer attach", "--attach DIR says where");
    if (!o->limit_s)
        o->limit_s = (unsigned int)(o->config.timeout_ns / 1000000000u * 10);
    return -1;
}

int options_parse(struct options *o, int argc, char **argv, const struct peer_ops *const peers[])
{
    const char *slash = strrchr(argv[0], '/');
    int rc;

    *o = (struct options){.program = slash ? slash + 1 : argv[0],
                          .peer = peers[0],
                          .seed = 1,
                          .repeat = 1,
                          .jobs = 1,
                          .config = {.guest = 1, .timeout_ns = TIMEOUT_S * UINT64_C(1000000000)}};
    o->excludes = calloc((size_t)argc + 1, sizeof(*o->excludes));
    o->again = calloc((size_t)argc + 1, sizeof(*o->again));
    rc = o->excludes && o->again ? parse(o, argc, argv, peers) : options_bad("the command line", "no memory");
    if (rc >= 0)
        options_free(o);
    return rc;
}

void options_free(struct options *o)
{
    free(o->excludes);
    free(o->again);
    *o = (struct options){0};
}

static void print_quoted(const char *text, FILE *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,=@+";

    if (*text && !text[strspn(text, plain)]) {
        fputs(text, out);
        return;
    }
    fputc('\'', out);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    fputc('\'', out);
}

static bool has_again(const struct options *o, const char *name)
{
    for (unsigned int i = 0; i < o->nr_again; i++)
        if (!strcmp(o->again[i].name, name))
            return true;
    return false;
}

void options_print_again(const struct options *o, uint64_t seed, const char *id, FILE *out)
{
    const char *broken = getenv("PVUSB_BROKEN"); /* broken/: which fault the halves of that program have */

    if (broken && *broken) {
        fputs("PVUSB_BROKEN=", out);
        print_quoted(broken, out);
        fputc(' ', out);
    }
    print_quoted(o->program, out);
    if (!has_again(o, "peer"))
        fprintf(out, " --peer %s", o->peer->name);
    for (unsigned int i = 0; i < o->nr_again; i++) {
        fprintf(out, " --%s", o->again[i].name);
        if (o->again[i].value) {
            fputc(' ', out);
            print_quoted(o->again[i].value, out);
        }
    }
    fprintf(out, " --seed 0x%" PRIx64 " %s", seed, id);
}
