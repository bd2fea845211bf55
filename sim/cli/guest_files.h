/* SPDX-License-Identifier: MIT */
/*
 * The processes of guests: DIR/guest/NAME.pid has the process of a guest, which holds a lock on the file
 * while it lives; DIR/guest/NAME.log has what it says, and DIR/guest/NAME.usb what went through its ports. Names are those of spec_guest_name().
 */
#ifndef SIM_CLI_GUEST_FILES_H
#define SIM_CLI_GUEST_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "vm/vm.h"

#define GUEST_USAGES_MAX 256u

enum guest_file { GUEST_PID, GUEST_LOG, GUEST_USAGE };

/* -ENAMETOOLONG. */
int guest_file_name(const char *dir, const char *name, enum guest_file which, char out[PATH_MAX]);
/* Makes DIR/guest. */
int guest_files_begin(const char *dir);
/* For the guest's process itself: takes the lock and writes the pid; the descriptor stays open. -EBUSY. */
int guest_pid_take(const char *dir, const char *name);
/* The living process of a guest, 0 for none. */
pid_t guest_pid(const char *dir, const char *name);
/*
 * Starts argv as the guest's process, a session of its own, with its log as stdout and stderr. Returns when
 * it has written a byte to descriptor 3, that is, serves. -ECHILD: it ended before; the log says why.
 */
int guest_process_start(const char *dir, const char *name, const char *const *argv);
/* Waits until the process has ended; after timeout_ms it is killed. */
void guest_process_end(const char *dir, const char *name, uint64_t timeout_ms);

struct guest_usage {
    uint64_t time_ns; /* when, by the clock of loop_now_ns() */
    unsigned int count;
    struct vm_usage port[GUEST_USAGES_MAX];
};

/* For the guest's process itself; who reads sees all of it or nothing. */
int guest_usage_write(const char *dir, const char *name, const struct guest_usage *usage);
/* -ENOENT: there is none yet. What is no usage ends it. */
int guest_usage_read(const char *dir, const char *name, struct guest_usage *out);

#endif
