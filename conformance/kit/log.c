/* SPDX-License-Identifier: MIT */
/* The newest events of a case, and the last slots, for the failure block. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

void kit_log_line(struct conform *t, const char *what, const char *format, ...)
{
    struct kit_log *log = t->log;
    char text[KIT_LOG_LINE - 24];
    va_list args;

    if (!log)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(log->line[log->count++ % KIT_LOG_LINES], KIT_LOG_LINE, "%-6.6s %s", what, text);
}

void kit_log_request(struct conform *t, uint32_t index, const void *slot148)
{
    if (!t->log)
        return;
    memcpy(t->log->request, slot148, sizeof(t->log->request));
    t->log->request_index = index;
    t->log->has_request = true;
}

void kit_log_response(struct conform *t, uint32_t index, const void *response16)
{
    if (!t->log)
        return;
    memcpy(t->log->response, response16, sizeof(t->log->response));
    t->log->response_index = index;
    t->log->has_response = true;
}

void kit_log_print(const struct kit_log *log, FILE *out)
{
    uint32_t first = log->count > KIT_LOG_LINES ? log->count - KIT_LOG_LINES : 0;

    if (log->has_request) {
        fprintf(out, "  request %u:", log->request_index);
        for (size_t i = 0; i < sizeof(log->request); i++)
            fprintf(out, "%s%02x", i % 16 ? " " : "\n    ", log->request[i]);
        fputc('\n', out);
    }
    if (log->has_response) {
        fprintf(out, "  response %u:\n   ", log->response_index);
        for (size_t i = 0; i < sizeof(log->response); i++)
            fprintf(out, " %02x", log->response[i]);
        fputc('\n', out);
    }
    if (log->count)
        fputs("  last events:\n", out);
    for (uint32_t i = first; i < log->count; i++)
        fprintf(out, "    %s\n", log->line[i % KIT_LOG_LINES]);
}
