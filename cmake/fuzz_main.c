// SPDX-License-Identifier: MIT
/*
 * Runs a libFuzzer entry point over files and folders given as arguments, so
 * that every fuzz target is also a plain program and its corpus a test. Each
 * input is copied to an allocation of exactly its size, so that a sanitizer
 * sees a read past the end. Running no file at all is a failure.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    struct stat st;
    if (fstat(fileno(f), &st)) {
        fclose(f);
        return -1;
    }
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size ? size : 1);
    int rc = -1;
    if (data && fread(data, 1, size, f) == size) {
        LLVMFuzzerTestOneInput(data, size);
        rc = 0;
    }
    free(data);
    fclose(f);
    return rc;
}

static int run_path(const char *path, unsigned *count)
{
    struct stat st;
    if (stat(path, &st)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    if (!S_ISDIR(st.st_mode)) {
        ++*count;
        return run_file(path);
    }
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    int rc = 0;
    for (struct dirent *e; !rc && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        char *child;
        if (asprintf(&child, "%s/%s", path, e->d_name) < 0) {
            rc = -1;
            break;
        }
        rc = run_path(child, count);
        free(child);
    }
    closedir(dir);
    return rc;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        if (run_path(argv[i], &count))
            return 1;
    }
    printf("%u inputs\n", count);
    return count ? 0 : 1;
}
