/* SPDX-License-Identifier: MIT */
/*
 * What a library exports but the fake has no meaning for. A call fails with ENOSYS and is counted; with
 * FAKEXEN_LOG=FILE the first call of each and, when the program ends, the number of calls are lines of FILE.
 */
#ifndef FAKEXEN_SHIM_STUB_H
#define FAKEXEN_SHIM_STUB_H

struct stub {
    const char *name;
    unsigned int calls;
    struct stub *next; /* of those that were called */
};

/* Sets errno to ENOSYS. Any thread. */
void stub_called(struct stub *stub);

#define STUB_BODY(symbol, result)                                                                            \
    {                                                                                                        \
        static struct stub stub = {.name = #symbol};                                                         \
        stub_called(&stub);                                                                                  \
        return result;                                                                                       \
    }

/* Called with any arguments, which the callee leaves alone in every ABI that Xen runs on. */
#define STUB_FUNCTION __attribute__((weak))
#define STUB_int(symbol)                                                                                     \
    STUB_FUNCTION long symbol(void);                                                                         \
    long symbol(void) STUB_BODY(symbol, -1)
#define STUB_ptr(symbol)                                                                                     \
    STUB_FUNCTION void *symbol(void);                                                                        \
    void *symbol(void) STUB_BODY(symbol, (void *)0)
#define STUB_DATA(symbol, size)                                                                              \
    STUB_FUNCTION extern char symbol[size];                                                                  \
    char symbol[size] __attribute__((aligned(16)));

#endif
