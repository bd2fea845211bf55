// SPDX-License-Identifier: MIT
#include <string.h>

#include "bench/output.h"
#include "bench/path.h"
#include "bench/ratio.h"
#include "bench/sheet.h"

/* ---- gates ---- */

/* With time on a bus they would be about that. */
static bool gates_apply(const struct bench_results *results)
{
    return strcmp(bench_results_fact_of(results, "wire"), "none") == 0;
}

static const char *verdict_of(const struct bench_gate *gate, const struct bench_spread *value)
{
    return bench_gate_reached(gate, value) ? "reached" : "NOT REACHED";
}

static void wanted_of(const struct bench_gate *gate, char *out, size_t size)
{
    char target[16], aim[16];
    bench_format(gate->target, target);
    bench_format(gate->aim, aim);
    snprintf(out, size, "%s %s%s%s", gate->at_most ? "at most" : "at least", target,
             aim[0] == '-' ? "" : ", aim ", aim[0] == '-' ? "" : aim);
}

static void print_gate(FILE *out, const struct bench_results *results, const struct bench_gate *gate,
                       bool markdown)
{
    char name[160], median[16], min[16], max[16], wanted[64];
    struct bench_spread value = bench_gate_value(results, gate);
    bench_gate_name(gate, name, sizeof(name));
    bench_format(value.median, median);
    bench_format(value.min, min);
    bench_format(value.max, max);
    fprintf(out, markdown ? "| %s | %s | %s | %s |" : "  %-52s %8s %8s %8s", name, median, min, max);
    if (gates_apply(results)) {
        wanted_of(gate, wanted, sizeof(wanted));
        fprintf(out, markdown ? " %s | %s |" : "  %-22s %s", wanted, verdict_of(gate, &value));
    }
    fputc('\n', out);
}

static void print_ratios(FILE *out, const struct bench_results *results, bool markdown)
{
    bool judged = gates_apply(results);
    if (markdown)
        fprintf(out, "| ratio, within a round | median | min | max |%s\n|---|---|---|---|%s\n",
                judged ? " gate | |" : "", judged ? "---|---|" : "");
    else
        fprintf(out,
                "Ratios, each taken within one of %u rounds; wire: %s\n"
                "  %-52s %8s %8s %8s%s\n",
                results->rounds, bench_results_fact_of(results, "wire"), "", "median", "min", "max",
                judged ? "  gate" : "");
    unsigned int others = 0;
    for (unsigned int i = 0; i < bench_nr_gates; i++) {
        bool measured = bench_gate_value(results, &bench_gates[i]).n > 0;
        if (measured)
            print_gate(out, results, &bench_gates[i], markdown);
        others += !measured;
    }
    if (others && !markdown)
        fprintf(out, "  %u more are about what was not measured.\n", others);
    fputc('\n', out);
}

/* ---- sheets ---- */

static int width_of(const struct bench_results *results, const struct bench_column *column,
                    const char *const *paths, unsigned int n)
{
    size_t width = strlen(column->heading);
    for (unsigned int p = 0; p < n; p++) {
        char cell[BENCH_CELL_MAX];
        bench_sheet_cell(results, column, paths[p], cell);
        width = strlen(cell) > width ? strlen(cell) : width;
    }
    return (int)width;
}

/* A column that has nothing in it is left out. */
static bool column_used(const struct bench_results *results, const struct bench_column *column,
                        const char *const *paths, unsigned int n)
{
    for (unsigned int p = 0; p < n; p++) {
        if (bench_results_find(results, paths[p], column->metric))
            return true;
    }
    return false;
}

static void print_row(FILE *out, const struct bench_results *results, const struct bench_sheet *sheet,
                      const char *path, const int *widths, bool markdown)
{
    char text[BENCH_CELL_MAX] = "";
    if (path)
        bench_sheet_label(path, text);
    if (markdown)
        fprintf(out, "| %s", text);
    else
        fprintf(out, "  %-18s", text);
    for (unsigned int c = 0; sheet->columns[c].heading; c++) {
        if (widths[c] == 0)
            continue;
        if (path)
            bench_sheet_cell(results, &sheet->columns[c], path, text);
        else
            snprintf(text, sizeof(text), "%s", sheet->columns[c].heading);
        if (markdown)
            fprintf(out, " | %s", text);
        else
            fprintf(out, "  %*s", widths[c], text);
    }
    fputs(markdown ? " |\n" : "\n", out);
}

static void print_sheet(FILE *out, const struct bench_results *results, const struct bench_sheet *sheet,
                        bool markdown)
{
    const char *all[BENCH_SHEET_PATHS_MAX], *paths[BENCH_SHEET_PATHS_MAX];
    int widths[BENCH_COLUMNS_MAX] = {0};
    unsigned int n = 0, nr = bench_sheet_paths(results, all, BENCH_SHEET_PATHS_MAX);
    for (unsigned int i = 0; i < nr; i++) {
        if (bench_sheet_has(results, sheet, all[i]))
            paths[n++] = all[i];
    }
    if (n == 0)
        return;
    for (unsigned int c = 0; sheet->columns[c].heading; c++) {
        if (column_used(results, &sheet->columns[c], paths, n))
            widths[c] = width_of(results, &sheet->columns[c], paths, n);
    }
    fprintf(out, markdown ? "%s:\n\n" : "%s\n", sheet->title);
    print_row(out, results, sheet, NULL, widths, markdown);
    if (markdown) {
        fputs("|---", out);
        for (unsigned int c = 0; sheet->columns[c].heading; c++)
            fputs(widths[c] ? "|---" : "", out);
        fputs("|\n", out);
    }
    for (unsigned int p = 0; p < n; p++)
        print_row(out, results, sheet, paths[p], widths, markdown);
    fputc('\n', out);
}

/* ---- what is missing ---- */

/* All profiles that a path misses for the same reason; "" when an earlier one has said it. */
static void join_profiles(const struct bench_results *results, unsigned int i, char *out, size_t size)
{
    const struct bench_absence *absence = &results->absences[i];
    out[0] = '\0';
    for (unsigned int j = 0; j < results->nr_absences; j++) {
        const struct bench_absence *other = &results->absences[j];
        if (strcmp(other->path, absence->path) != 0 || strcmp(other->why, absence->why) != 0)
            continue;
        if (j < i) {
            out[0] = '\0';
            return;
        }
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s", used ? ", " : "", other->profile);
    }
}

static void print_absences(FILE *out, const struct bench_results *results, bool markdown)
{
    for (unsigned int i = 0; i < results->nr_absences; i++) {
        const struct bench_absence *absence = &results->absences[i];
        const char *kind = absence->failed ? "FAILED" : "not here";
        char profiles[256];
        join_profiles(results, i, profiles, sizeof(profiles));
        if (!profiles[0])
            continue;
        if (markdown)
            fprintf(out, "* %s: %s: %s: %s\n", absence->path, kind, profiles, absence->why);
        else
            fprintf(out, "  %-18s  %s: %s: %s\n", absence->path, kind, profiles, absence->why);
    }
}

static void print_machine(FILE *out, const struct bench_results *results)
{
    for (unsigned int i = 0; i < results->nr_facts; i++)
        fprintf(out, "  %-18s  %s\n", results->facts[i].name, results->facts[i].value);
}

void bench_print(FILE *out, const struct bench_results *results, bool ratios_only)
{
    print_ratios(out, results, false);
    if (ratios_only)
        return;
    fputs("Figures are medians of the rounds; (min-max) of them. CPU is that of all processes together.\n\n",
          out);
    for (unsigned int i = 0; i < bench_nr_sheets; i++)
        print_sheet(out, results, &bench_sheets[i], false);
    if (results->nr_absences) {
        fputs("Not measured\n", out);
        print_absences(out, results, false);
        fputc('\n', out);
    }
    fputs("Machine\n", out);
    print_machine(out, results);
}

static void print_machine_markdown(FILE *out, const struct bench_results *results)
{
    const char *guest = bench_results_fact_of(results, "guest_cpu");
    bool together = strcmp(guest, bench_results_fact_of(results, "device_cpu")) == 0;
    bool all = strcmp(guest, bench_results_fact_of(results, "device_cpu_spinning")) == 0;
    fprintf(
        out,
        "Measured on %s, %s CPUs, %s GiB, %s, %s; %u rounds of %s ms; wire: %s; guest and device on %s.\n\n",
        bench_results_fact_of(results, "cpu"), bench_results_fact_of(results, "cpus"),
        bench_results_fact_of(results, "memory_gib"), bench_results_fact_of(results, "kernel"),
        bench_results_fact_of(results, "date"), results->rounds, bench_results_fact_of(results, "millis"),
        bench_results_fact_of(results, "wire"),
        !together ? "a CPU each"
        : all     ? "the same CPU"
                  : "the same CPU, where they spin on a CPU each");
}

void bench_print_markdown(FILE *out, const struct bench_results *results, bool ratios_only)
{
    print_machine_markdown(out, results);
    print_ratios(out, results, true);
    for (unsigned int i = 0; i < bench_nr_sheets && !ratios_only; i++) {
        if (bench_sheets[i].main)
            print_sheet(out, results, &bench_sheets[i], true);
    }
    print_absences(out, results, true);
}
