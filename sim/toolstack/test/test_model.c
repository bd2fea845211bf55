// SPDX-License-Identifier: MIT
/*
 * Goal: whatever is plugged, attached, added, passed through, created, destroyed, killed and restarted, in
 * whatever order and under traffic: the bus, the controllers, the assignable devices and what each guest sees,
 * by PVUSB, on an emulated controller or a whole one of its own, are as a model says after every step, a guest
 * is not disturbed by what is none of its affairs, and nothing is left at the end.
 *
 * usage: test_model [--seed N] [--steps N]
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_ops.h"

#define SETTLE_ROUNDS 8000u /* 16 s of the world */
#define READ_BYTES    4096u
/* After so many it says how far it is. */
#define TELL_STEPS 10000u

/* Until the guests see what the model says. */
static bool settle(struct play *play)
{
    unsigned int pause = 4;
    for (unsigned int rounds = 0; rounds < SETTLE_ROUNDS; rounds += pause) {
        world_run(play->world, pause);
        if (model_compare_guests(&play->model, play->world, play->wrong)) {
            play->settled = true;
            return true;
        }
        pause = rounds > 64 ? 16 : 8;
    }
    return false;
}

static bool step(struct play *play)
{
    if (!play_operation(play) || !model_compare_now(&play->model, play->world, play->wrong))
        return false;
    if (play_random(play, 4) == 0) { /* the next one comes in between */
        play->settled = false;
        world_run(play->world, play_random(play, 4));
        return true;
    }
    return settle(play);
}

/* Counts of what was given and the lock stay. */
static bool bus_is_empty(const struct world *world)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/bus", world->dir);
    DIR *dir = opendir(path);
    bool empty = true;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' && strncmp(entry->d_name, ".disk", 5) != 0)
            continue;
        printf("left on the bus: %s\n", entry->d_name);
        empty = false;
    }
    if (dir)
        closedir(dir);
    return empty;
}

static bool nothing_left(struct play *play, const char *before)
{
    play_end(play);
    char *after = world_nodes(play->world);
    const bool same = strcmp(before, after) == 0;
    if (!same)
        printf("xenstore before:\n%sand after:\n%s", before, after);
    free(after);
    return bus_is_empty(play->world) && same;
}

static int run(unsigned long long seed, unsigned long steps)
{
    struct play play = {.world = world_create(READ_BYTES), .random = seed, .settled = true};
    char *before = world_nodes(play.world);
    unsigned long done = 0;
    bool good = true;
    printf("seed %llu, %lu steps\n", seed, steps);
    fflush(stdout);
    world_start_backend(play.world);
    play.model.backend = true;
    while (good && done < steps) {
        good = step(&play);
        done += good;
        if (good && done % TELL_STEPS == 0) {
            printf("%lu of %lu steps\n", done, steps);
            fflush(stdout);
        }
    }
    if (!good) {
        world_print_log(play.world, 60);
        printf("FAILED: seed %llu step %lu: %s\n", seed, done + 1, play.wrong);
    }
    if (good && !nothing_left(&play, before)) {
        printf("FAILED: seed %llu: something is left after %lu steps\n", seed, done);
        good = false;
    }
    free(before);
    free(play.model.list);
    const double seconds = (double)play.world->now_ns / 1e9;
    world_destroy(play.world);
    printf("seed %llu: %lu steps in %.0f s of the world, %llu devices found%s\n", seed, done, seconds,
           (unsigned long long)play.model.found, good ? "" : ", FAILED");
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    unsigned long long seed = 1;
    unsigned long steps = 2000;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[i + 1], NULL, 0);
        } else if (i + 1 < argc && strcmp(argv[i], "--steps") == 0) {
            steps = strtoul(argv[i + 1], NULL, 0);
        } else {
            fprintf(stderr, "usage: test_model [--seed N] [--steps N]\n");
            return 2;
        }
    }
    return run(seed, steps);
}
