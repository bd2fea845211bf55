/* SPDX-License-Identifier: MIT */
/*
 * Results for programs, {"schema": "pvusb-conform/1", ...}; README.md names the members. New ones may come,
 * none goes or changes its meaning without another schema.
 */
#ifndef CONFORMANCE_RUN_JSON_H
#define CONFORMANCE_RUN_JSON_H

#include "result.h"

struct json_t;

/* What a failure is made of, or NULL without memory; json_free() ends it. */
struct json_t *json_failure(const struct outcome *outcome);
void json_free(struct json_t *json);
bool json_write(const struct run *run, FILE *out);
/* The selected cases, not run. */
bool json_list(const struct run *run, FILE *out);

#endif
