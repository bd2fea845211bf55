// SPDX-License-Identifier: MIT
#include "toolstack/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at;
    const char *end;
    unsigned int line;
    char *error;
    struct config *config;
};

int tool_refuse(char *error, int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, TOOL_ERROR_MAX, format, args);
    va_end(args);
    for (char *p = error; *p; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?'; /* of what somebody wrote: a refusal is one line, and no terminal's command */
    }
    return rc;
}

static int wrong(struct reader *r, const char *what)
{
    return tool_refuse(r->error, -EINVAL, "line %u: %s", r->line, what);
}

static int no_memory(struct reader *r)
{
    return tool_refuse(r->error, -ENOMEM, "out of memory");
}

static int peek(const struct reader *r)
{
    return r->at < r->end ? (unsigned char)*r->at : -1;
}

static bool is_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Blanks and comments, and with lines also the ends of lines. */
static void skip(struct reader *r, bool lines)
{
    int c;
    while ((c = peek(r)) != -1) {
        if (c == '#') {
            while (r->at < r->end && *r->at != '\n')
                r->at++;
        } else if (c == '\n' && lines) {
            r->line++;
            r->at++;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            r->at++;
        } else {
            return;
        }
    }
}

static int escape(struct reader *r, char *out)
{
    static const char from[] = "ntr\\\"'";
    static const char to[] = "\n\t\r\\\"'";
    const char *found = peek(r) > 0 ? strchr(from, peek(r)) : NULL;
    if (!found)
        return wrong(r, "an escape that is none of \\n \\t \\r \\\\ \\\" \\'");
    r->at++;
    *out = to[found - from];
    return 0;
}

/* At a quote. The item is what is between it and the next one. */
static int read_string(struct reader *r, char **out)
{
    const char quote = *r->at++;
    char *text = malloc((size_t)(r->end - r->at) + 1);
    size_t n = 0;
    int rc = 0;
    if (!text)
        return no_memory(r);
    for (;;) {
        int c = peek(r);
        if (c == -1 || c == '\n' || c == '\0') {
            rc = wrong(r, c == '\0' ? "a zero byte in a string" : "a string without its closing quote");
            break;
        }
        r->at++;
        if (c == quote)
            break;
        text[n] = (char)c;
        if (c == '\\' && (rc = escape(r, &text[n])))
            break;
        n++;
    }
    text[n] = '\0';
    if (rc) {
        free(text);
        return rc;
    }
    *out = realloc(text, n + 1);
    *out = *out ? *out : text;
    return 0;
}

/* A number, decimal or 0x; as in xl, a bare word is no value. */
static int read_number(struct reader *r, char **out)
{
    const char *from = r->at;
    if (peek(r) == '-')
        r->at++;
    const char *digits = r->at;
    while (is_name(peek(r)))
        r->at++;
    const size_t length = (size_t)(r->at - digits);
    const bool hex = length > 2 && digits[0] == '0' && digits[1] == 'x';
    bool number = length > 0;
    for (size_t i = hex ? 2 : 0; i < length; i++)
        number = number && (hex ? isxdigit((unsigned char)digits[i]) : isdigit((unsigned char)digits[i]));
    if (!number)
        return wrong(r, "a value is a number, a string in quotes, or a list in [ ]");
    *out = strndup(from, (size_t)(r->at - from));
    return *out ? 0 : no_memory(r);
}

static int add_item(struct reader *r, struct config_value *value)
{
    char *item;
    int rc = peek(r) == '"' || peek(r) == '\'' ? read_string(r, &item) : read_number(r, &item);
    if (rc)
        return rc;
    char **grown = realloc(value->items, (value->nr_items + 1) * sizeof(*grown));
    if (!grown) {
        free(item);
        return no_memory(r);
    }
    value->items = grown;
    value->items[value->nr_items++] = item;
    return 0;
}

/* Behind '['. */
static int read_list(struct reader *r, struct config_value *value)
{
    for (;;) {
        skip(r, true);
        if (peek(r) == ']')
            break;
        int rc = peek(r) == -1 ? wrong(r, "a list without its ]") : add_item(r, value);
        if (rc)
            return rc;
        skip(r, true);
        if (peek(r) == ',')
            r->at++;
        else if (peek(r) != ']')
            return wrong(r, "a list without its ], or without a , between two values");
    }
    r->at++;
    return 0;
}

static void drop_items(struct config_value *value)
{
    for (unsigned int i = 0; i < value->nr_items; i++)
        free(value->items[i]);
    free(value->items);
    value->items = NULL;
    value->nr_items = 0;
}

/* The value of that name, a new one if there is none; NULL without memory. */
static struct config_value *value_of(struct config *config, const char *name, size_t length)
{
    for (unsigned int i = 0; i < config->nr_values; i++) {
        const char *have = config->values[i].name;
        if (strlen(have) == length && memcmp(have, name, length) == 0)
            return &config->values[i];
    }
    struct config_value *grown = realloc(config->values, (config->nr_values + 1) * sizeof(*grown));
    if (!grown)
        return NULL;
    config->values = grown;
    struct config_value *value = &grown[config->nr_values++];
    *value = (struct config_value){0};
    memcpy(value->name, name, length);
    return value;
}

static int read_statement(struct reader *r)
{
    const char *name = r->at;
    while (is_name(peek(r)))
        r->at++;
    const size_t length = (size_t)(r->at - name);
    if (length == 0 || (*name >= '0' && *name <= '9') || length > CONFIG_NAME_MAX)
        return wrong(r, "a line is NAME = VALUE");
    skip(r, false);
    const bool add = peek(r) == '+';
    r->at += add;
    if (peek(r) != '=')
        return wrong(r, "a line is NAME = VALUE");
    r->at++;
    skip(r, false);
    struct config_value *value = value_of(r->config, name, length);
    if (!value)
        return no_memory(r);
    if (!add)
        drop_items(value);
    value->line = r->line;
    value->is_list = add || peek(r) == '[';
    if (peek(r) == '[') {
        r->at++;
        return read_list(r, value);
    }
    return add_item(r, value);
}

int config_parse(const char *text, size_t length, struct config *out, char *error)
{
    struct reader r = {.at = text, .end = text + length, .line = 1, .error = error, .config = out};
    int rc = 0;
    *out = (struct config){0};
    error[0] = '\0';
    if (length > CONFIG_TEXT_MAX)
        return tool_refuse(error, -EINVAL, "longer than %u bytes, which no config of a guest is",
                           CONFIG_TEXT_MAX);
    for (;;) {
        skip(&r, true);
        if (peek(&r) == ';') {
            r.at++;
            continue;
        }
        if (peek(&r) == -1)
            return 0;
        rc = read_statement(&r);
        skip(&r, false);
        if (!rc && peek(&r) != -1 && peek(&r) != '\n' && peek(&r) != ';')
            rc = wrong(&r, "something behind the value");
        if (rc) {
            config_dispose(out);
            return rc;
        }
    }
}

void config_dispose(struct config *config)
{
    for (unsigned int i = 0; i < config->nr_values; i++)
        drop_items(&config->values[i]);
    free(config->values);
    *config = (struct config){0};
}

const struct config_value *config_find(const struct config *config, const char *name)
{
    for (unsigned int i = 0; i < config->nr_values; i++) {
        if (strcmp(config->values[i].name, name) == 0)
            return &config->values[i];
    }
    return NULL;
}
