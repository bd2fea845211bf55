// SPDX-License-Identifier: MIT
/*
 * Makes the broken halves: mutate ROOT OUT FAULTS... -- SOURCES...
 *
 * Applies all faults of the FAULTS files (README.md has their format) to copies of the SOURCES below OUT, and writes
 * OUT/faults.c, the table of their names. Every old text is looked for in the original and must be there once; two
 * faults may not change the same text. A mistake is one line that names the fault, and exit code 1.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_MAX 512u
#define EDITS_MAX  1024u
#define TEXT_MAX   2048u

struct fault {
    char name[64];
    char what[160];
    bool used; /* some new text asks for it */
};

struct edit {
    unsigned int fault; /* whose block it stands in */
    char file[96];
    char old[TEXT_MAX];
    char new[TEXT_MAX];
    size_t at; /* in the original */
    bool done;
};

static struct fault faults[FAULTS_MAX];
static struct edit edits[EDITS_MAX];
static unsigned int nr_faults, nr_edits, nr_wrong;

__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *format, ...)
{
    va_list args;
    fputs("mutate: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* All faults that do not fit the sources are named before the end. */
__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list args;
    fputs("mutate: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    nr_wrong++;
}

/* ---- reading faults ---- */

static void copy(char *to, size_t size, const char *text, const char *where)
{
    if (strlen(text) >= size)
        die("%s: longer than %zu bytes: %.40s...", where, size - 1, text);
    memcpy(to, text, strlen(text) + 1);
}

static void append(char to[TEXT_MAX], const char *line, const char *where)
{
    size_t n = strlen(to);
    if (n + strlen(line) + 2 > TEXT_MAX)
        die("%s: more than %u bytes of text", where, TEXT_MAX);
    snprintf(to + n, TEXT_MAX - n, "%s%s", n ? "\n" : "", line);
}

static unsigned int find_fault(const char *name)
{
    unsigned int i = 0;
    while (i < nr_faults && strcmp(faults[i].name, name) != 0)
        i++;
    return i;
}

static struct edit *new_edit(const char *file, const char *where)
{
    if (nr_edits == EDITS_MAX)
        die("%s: more than %u edits", where, EDITS_MAX);
    struct edit *edit = &edits[nr_edits++];
    edit->fault = nr_faults - 1;
    copy(edit->file, sizeof(edit->file), file, where);
    return edit;
}

static void read_line(const char *line, const char *where, char file[96], char *last)
{
    struct edit *edit = nr_edits ? &edits[nr_edits - 1] : NULL;
    char kind = line[0];
    if (strncmp(line, "fault ", 6) == 0) {
        if (nr_faults == FAULTS_MAX)
            die("%s: more than %u faults", where, FAULTS_MAX);
        if (find_fault(line + 6) < nr_faults)
            die("%s: fault %s: there is another of that name", where, line + 6);
        copy(faults[nr_faults++].name, sizeof(faults[0].name), line + 6, where);
        file[0] = '\0';
    } else if (kind == '#' || kind == '\0') {
        /* a remark */
    } else if (nr_faults == 0) {
        die("%s: no fault has begun", where);
    } else if (strncmp(line, "what  ", 6) == 0) {
        copy(faults[nr_faults - 1].what, sizeof(faults[0].what), line + 6, where);
    } else if (strncmp(line, "with  ", 6) == 0) {
        if (find_fault(line + 6) >= nr_faults - 1)
            die("%s: fault %s: there is no %s before it", where, faults[nr_faults - 1].name, line + 6);
    } else if (strncmp(line, "file  ", 6) == 0) {
        copy(file, 96, line + 6, where);
    } else if (strncmp(line, "- ", 2) == 0 && file[0]) {
        if (*last != '-')
            edit = new_edit(file, where);
        append(edit->old, line + 2, where);
    } else if (strncmp(line, "+ ", 2) == 0 && (*last == '-' || *last == '+')) {
        append(edit->new, line + 2, where);
    } else {
        die("%s: not understood: %s", where, line);
    }
    *last = kind;
}

static void read_faults(const char *path)
{
    char line[TEXT_MAX], where[256], file[96] = "", last = '\0';
    FILE *in = fopen(path, "r");
    if (!in)
        die("%s: cannot be read", path);
    for (unsigned int n = 1; fgets(line, sizeof(line), in); n++) {
        line[strcspn(line, "\n")] = '\0';
        snprintf(where, sizeof(where), "%s:%u", path, n);
        read_line(line, where, file, &last);
    }
    fclose(in);
}

/* ---- applying them ---- */

static char *slurp(const char *root, const char *path)
{
    char name[1024];
    snprintf(name, sizeof(name), "%s/%s", root, path);
    FILE *in = fopen(name, "r");
    char *text = calloc(1, (size_t)1 << 20);
    if (!in || !text)
        die("%s: cannot be read", name);
    if (fread(text, 1, ((size_t)1 << 20) - 1, in) == 0)
        die("%s: is empty", name);
    fclose(in);
    return text;
}

/* New text, with the number of each fault for its name. */
static void put_new(FILE *out, const struct edit *edit)
{
    static const char mark[] = "BROKEN(\"";
    const char *at = edit->new, *next;
    while ((next = strstr(at, mark))) {
        char name[sizeof(faults[0].name)];
        const char *begin = next + strlen(mark);
        size_t n = strcspn(begin, "\"");
        snprintf(name, sizeof(name), "%.*s", (int)n, begin);
        unsigned int fault = find_fault(name);
        if (fault == nr_faults)
            die("fault %s: asks for %s, which is not there", faults[edit->fault].name, name);
        faults[fault].used = true;
        fprintf(out, "%.*sBROKEN(%u", (int)(next - at), at, fault + 1);
        at = begin + n + 1;
    }
    fputs(at, out);
}

static int by_place(const void *a, const void *b)
{
    const struct edit *const *x = a, *const *y = b;
    return (*x)->at < (*y)->at ? -1 : (*x)->at > (*y)->at;
}

static unsigned int edits_of(const char *path, const char *text, struct edit **list)
{
    unsigned int n = 0;
    for (unsigned int i = 0; i < nr_edits; i++) {
        struct edit *edit = &edits[i];
        const char *name = faults[edit->fault].name;
        if (strcmp(edit->file, path) != 0)
            continue;
        const char *found = strstr(text, edit->old);
        edit->done = true;
        if (!found) {
            wrong("fault %s: its old text is not in %s", name, path);
            continue;
        }
        if (strstr(found + 1, edit->old))
            wrong("fault %s: its old text is more than once in %s", name, path);
        edit->at = (size_t)(found - text);
        list[n++] = edit;
    }
    qsort(list, n, sizeof(*list), by_place);
    for (unsigned int i = 1; i < n; i++) {
        if (list[i - 1]->at + strlen(list[i - 1]->old) > list[i]->at)
            wrong("fault %s: changes the same text as %s in %s", faults[list[i]->fault].name,
                faults[list[i - 1]->fault].name, path);
    }
    return n;
}

static FILE *create(const char *dir, const char *path)
{
    char name[1024], flat[256];
    snprintf(flat, sizeof(flat), "%s", path);
    for (char *p = flat; *p; p++)
        *p = *p == '/' ? '-' : *p;
    snprintf(name, sizeof(name), "%s/%s", dir, flat);
    FILE *out = fopen(name, "w");
    if (!out)
        die("%s: cannot be written", name);
    return out;
}

static void mutate(const char *root, const char *dir, const char *path)
{
    static struct edit *list[EDITS_MAX];
    char *text = slurp(root, path);
    unsigned int n = edits_of(path, text, list);
    FILE *out = create(dir, path);
    size_t at = 0;
    fputs("#include \"broken.h\"\n", out);
    for (unsigned int i = 0; i < n; i++) {
        fwrite(text + at, 1, list[i]->at - at, out);
        put_new(out, list[i]);
        at = list[i]->at + strlen(list[i]->old);
    }
    fputs(text + at, out);
    if (fclose(out))
        die("%s: cannot be written", path);
    free(text);
}

static void write_table(const char *dir)
{
    FILE *out = create(dir, "faults.c");
    fputs("#include \"broken.h\"\nconst struct broken_fault broken_faults[] = {\n", out);
    for (unsigned int i = 0; i < nr_faults; i++)
        fprintf(out, "{\"%s\", \"%s\"},\n", faults[i].name, faults[i].what);
    fputs("{0}};\n", out);
    if (fclose(out))
        die("faults.c: cannot be written");
}

int main(int argc, char **argv)
{
    int i = 3;
    if (argc < 5)
        die("usage: mutate ROOT OUT FAULTS... -- SOURCES...");
    for (; i < argc && strcmp(argv[i], "--") != 0; i++)
        read_faults(argv[i]);
    for (i++; i < argc; i++)
        mutate(argv[1], argv[2], argv[i]);
    for (unsigned int e = 0; e < nr_edits; e++) {
        if (!edits[e].done)
            wrong("fault %s: %s is not a source", faults[edits[e].fault].name, edits[e].file);
    }
    for (unsigned int f = 0; f < nr_faults; f++) {
        if (!faults[f].what[0] || strpbrk(faults[f].what, "\"\\"))
            wrong("fault %s: needs a line that says what is wrong, without quotes", faults[f].name);
        if (!faults[f].used && nr_wrong == 0) /* what does not fit has not asked for anything */
            wrong("fault %s: no new text asks for it", faults[f].name);
    }
    write_table(argv[2]);
    return nr_wrong > 0;
}
