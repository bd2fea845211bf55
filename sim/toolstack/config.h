/* SPDX-License-Identifier: MIT */
/*
 * The syntax of the config files of guests, as xl and xm read them:
 *
 *   # a comment
 *   name = "guest_A"                     also in single quotes; \n \t \\ \" \' inside
 *   usb = 1
 *   vusb = [ 'usbver=2,numports=8',      a list, over as many lines as it takes
 *            'usbver=1' ]
 *   vusb += [ 'numports=2' ]             adds to what is there
 *
 * Statements end with the line or with ';'. Of two values of a name the later one counts, as in xl. Lists do
 * not nest. Nothing is known here of what the names mean.
 *
 * The text need not end with a zero and may hold anything: what is no config is -EINVAL with a line that
 * says where and why. Memory is bounded by the size of the text.
 */
#ifndef SIM_TOOLSTACK_CONFIG_H
#define SIM_TOOLSTACK_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#define TOOL_ERROR_MAX  512u /* a line that explains a refusal, with its zero and without newline */
#define CONFIG_TEXT_MAX (1u << 20)
#define CONFIG_NAME_MAX 63u

struct config_value {
    char name[CONFIG_NAME_MAX + 1];
    unsigned int line; /* where it was given last */
    bool is_list;
    char **items; /* one if it is no list */
    unsigned int nr_items;
};

struct config {
    struct config_value *values;
    unsigned int nr_values;
};

/* -EINVAL with error (TOOL_ERROR_MAX bytes) filled in, -ENOMEM with it, too; out is empty then. */
int config_parse(const char *text, size_t length, struct config *out, char *error);
void config_dispose(struct config *config);
/* NULL when the name was not given. */
const struct config_value *config_find(const struct config *config, const char *name);

/* Writes the line and returns rc. */
int tool_refuse(char *error, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
