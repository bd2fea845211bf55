/* SPDX-License-Identifier: MIT */
#include "keep.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block.h"
#include "pcap.h"

enum file { PCAP, EVENTS, STORE, FAILURE, FILES };

static const char *const names[FILES] = {"case.pcap", "events.txt", "xenstore.txt", "failure.txt"};

struct place {
    char dir[PATH_MAX / 2];
    char file[FILES][PATH_MAX];
};

static bool make_dir(const char *dir, char error[256])
{
    if (mkdir(dir, 0777) == 0 || errno == EEXIST)
        return true;
    snprintf(error, 256, "%.200s: %s", dir, strerror(errno));
    return false;
}

bool keep_open(const char *dir, char error[256])
{
    struct stat stat_of;

    if (!make_dir(dir, error))
        return false;
    if (stat(dir, &stat_of) == 0 && !S_ISDIR(stat_of.st_mode))
        errno = ENOTDIR;
    else if (access(dir, W_OK | X_OK) == 0)
        return true;
    snprintf(error, 256, "%.200s: %s", dir, strerror(errno));
    return false;
}

static bool find_place(const char *dir, const char *id, struct place *out, char error[256])
{
    int n = snprintf(out->dir, sizeof(out->dir), "%s/%s", dir, id);

    if (n < 0 || (size_t)n >= sizeof(out->dir)) {
        snprintf(error, 256, "%.200s: path too long", dir);
        return false;
    }
    for (unsigned int i = 0; i < FILES; i++)
        snprintf(out->file[i], sizeof(out->file[i]), "%s/%s", out->dir, names[i]);
    return true;
}

static void print_file(enum file which, const struct result *r, const struct outcome *outcome, FILE *out)
{
    if (which == EVENTS)
        block_print_events(&outcome->log, KIT_EVENTS, "", out);
    else if (which == STORE)
        fputs(outcome->log.store, out);
    else
        fprintf(out, "%s: %s\n%s", r->test->id, r->message, r->block ? r->block : "");
}

static bool write_file(const char *path, enum file which, const struct result *r, const struct outcome *outcome,
                       char error[256])
{
    FILE *out = fopen(path, "we");
    bool good = out != NULL;

    if (out) {
        print_file(which, r, outcome, out);
        good = !ferror(out);
        good = fclose(out) == 0 && good;
    }
    if (!good)
        snprintf(error, 256, "%.200s: %s", path, strerror(errno));
    return good;
}

bool keep_case(const char *dir, const struct result *r, const struct outcome *outcome, char error[256])
{
    static struct place place;

    if (!find_place(dir, r->test->id, &place, error))
        return false;
    for (unsigned int i = 0; i < FILES; i++)
        unlink(place.file[i]);
    rmdir(place.dir);
    if (!outcome)
        return true;
    if (!make_dir(place.dir, error) || !pcap_write(place.file[PCAP], &outcome->log, error))
        return false;
    for (enum file i = EVENTS; i < FILES; i++)
        if (((i != STORE || *outcome->log.store) && (i != FAILURE || r->block)) &&
            !write_file(place.file[i], i, r, outcome, error))
            return false;
    return true;
}
