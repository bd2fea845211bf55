// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "devices/faulty_private.h"

#define WORDS_MAX 10u
#define WORD_SIZE 24u
#define SEPARATOR ";\n"

struct words {
    char word[WORDS_MAX][WORD_SIZE];
    unsigned int n, at;
};

static const struct {
    const char *name;
    enum fault fault;
    unsigned int numbers;
    bool endpoint, in_only, descriptor;
} faults[] = {
    {"stall", FAULT_STALL, 0, true, false, true},
    {"nak", FAULT_NAK, 0, true, false, true},
    {"error", FAULT_ERROR, 0, true, false, false},
    {"babble", FAULT_BABBLE, 0, true, true, false},
    {"short", FAULT_SHORT, 1, true, true, false},
    {"long", FAULT_LONG, 1, true, true, false},
    {"disconnect", FAULT_DISCONNECT, 0, true, false, false},
    {"truncated", FAULT_TRUNCATED, 1, false, false, true},
    {"too-long", FAULT_TOO_LONG, 1, false, false, true},
    {"wTotalLength", FAULT_TOTAL, 1, false, false, true},
    {"bLength", FAULT_LENGTH, 1, false, false, true},
    {"byte", FAULT_BYTE, 2, false, false, true},
};

/* Blanks separate, a colon is a word of its own. Returns what follows the rule, NULL for too many words. */
static const char *split(const char *p, struct words *words)
{
    *words = (struct words){0};
    while (*p && !strchr(SEPARATOR, *p)) {
        size_t n = *p == ':' ? 1 : strcspn(p, " :" SEPARATOR);
        if (n == 0) {
            p++;
            continue;
        }
        if (words->n == WORDS_MAX || n >= WORD_SIZE)
            return NULL;
        memcpy(words->word[words->n++], p, n);
        p += n;
    }
    return *p ? p + 1 : p;
}

static bool next_is(struct words *words, const char *what)
{
    if (words->at == words->n || strcmp(words->word[words->at], what) != 0)
        return false;
    words->at++;
    return true;
}

static bool next_number(struct words *words, uint32_t *out)
{
    char *end;
    if (words->at == words->n)
        return false;
    const char *word = words->word[words->at++];
    unsigned long value = strtoul(word, &end, 0);
    if (*word < '0' || *word > '9' || *end != '\0' || value >= UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool parse_subject(struct words *words, struct fault_rule *rule)
{
    static const char *const kinds[] = {"device", "config", "string"};
    uint32_t address;
    if (next_is(words, "ep")) {
        if (!next_number(words, &address) || (address & ~0x8fu) || address == 0x80)
            return false;
        rule->address = (uint8_t)address;
        return true;
    }
    if (!next_is(words, "descriptor"))
        return false;
    for (unsigned int i = 0; i < 3 && !rule->descriptor; i++) {
        if (next_is(words, kinds[i]))
            rule->descriptor = (uint8_t)(i + 1);
    }
    return rule->descriptor != 0;
}

static bool parse_fault(struct words *words, struct fault_rule *rule)
{
    for (unsigned int i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (!next_is(words, faults[i].name))
            continue;
        rule->fault = faults[i].fault;
        for (unsigned int n = 0; n < faults[i].numbers; n++) {
            if (!next_number(words, &rule->number[n]))
                return false;
        }
        bool out = !rule->descriptor && rule->address > 0 && rule->address < 0x80;
        return rule->descriptor ? faults[i].descriptor : faults[i].endpoint && !(out && faults[i].in_only);
    }
    return false;
}

static bool parse_rule(struct words *words, struct fault_rule *rule)
{
    *rule = (struct fault_rule){.times = 1};
    if (!parse_subject(words, rule))
        return false;
    if (next_is(words, "after") && !next_number(words, &rule->after))
        return false;
    if (next_is(words, "times") && !next_number(words, &rule->times))
        return false;
    if (rule->times == 0)
        rule->times = UINT32_MAX;
    return next_is(words, ":") && parse_fault(words, rule) && words->at == words->n;
}

int faulty_parse(const char *script, struct fault_rule *rules, unsigned int *nr_rules)
{
    *nr_rules = 0;
    while (*script) {
        struct words words;
        script = split(script, &words);
        if (!script)
            return -EINVAL;
        if (words.n == 0)
            continue;
        if (*nr_rules == FAULTY_RULES_MAX)
            return -ENOSPC;
        if (!parse_rule(&words, &rules[*nr_rules]))
            return -EINVAL;
        ++*nr_rules;
    }
    return 0;
}
