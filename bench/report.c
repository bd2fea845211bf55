// SPDX-License-Identifier: MIT
/* The page: one file, no script, nothing from a network. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/output.h"
#include "bench/plot.h"
#include "bench/ratio.h"
#include "bench/sheet.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>pvusb-bench</title>\n<style>\n"
    ":root{--ours:#0a7d55;--other:#3b6ea8;--bound:#8a8a8a}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:#1c1c1c;background:#fff;max-width:66rem;margin:2rem auto;"
    "padding:0 1rem}\n"
    "h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}\n"
    "p.lead,p.legend,figcaption{color:#555}figure{margin:0 0 1rem}section{break-inside:avoid}\n"
    "table{border-collapse:collapse;font-size:.76rem;font-variant-numeric:tabular-nums;margin:.4rem 0 1rem}\n"
    "th,td{padding:.2rem .45rem;text-align:right;border-bottom:1px solid #e4e4e4;white-space:nowrap}\n"
    "th{font-weight:600;vertical-align:bottom}th:first-child,td:first-child{text-align:left;padding-left:0}\n"
    "td.text{text-align:left;white-space:normal}div.wide{overflow-x:auto}\n"
    ".reached{color:#0a7d55}.missed{color:#b3261e;font-weight:600}.absent{color:#777}\n"
    "svg{width:100%;height:auto;font-size:12px}svg text{fill:#1c1c1c}\n"
    ".grid{stroke:#e4e4e4}.tick,.unit{text-anchor:middle;fill:#555}.name{text-anchor:end}\n"
    ".range{stroke-width:2.5;stroke-linecap:round;opacity:.45}circle{stroke-width:1.5}\n"
    "line.ours,polyline.ours,circle.ours{stroke:var(--ours)}circle.ours,.key.ours{fill:var(--ours);"
    "background:var(--ours)}\n"
    "line.other,polyline.other,circle.other{stroke:var(--other)}circle.other,.key.other{fill:var(--other);"
    "background:var(--other)}\n"
    "line.bound,polyline.bound,circle.bound{stroke:var(--bound)}circle.bound,.key.bound{fill:var(--bound);"
    "background:var(--bound)}\n"
    "circle.open{fill:#fff}polyline{fill:none;stroke-width:2}\n"
    ".key{display:inline-block;width:.7rem;height:.7rem;border-radius:50%;margin:0 .3rem 0 1rem}\n"
    "@media print{body{max-width:none;margin:0;font-size:11pt}*{print-color-adjust:exact}}\n"
    "</style></head><body>\n";

static void cell(FILE *out, const char *tag, const char *text)
{
    fprintf(out, "<%s>", tag);
    bench_plot_text(out, text);
    fprintf(out, "</%.2s>", tag);
}

/* ---- gates ---- */

static void write_gate(FILE *out, const struct bench_results *results, const struct bench_gate *gate)
{
    char name[160], text[4][16];
    struct bench_spread value = bench_gate_value(results, gate);
    bool reached = value.n && bench_gate_reached(gate, &value);
    bench_gate_name(gate, name, sizeof(name));
    bench_format(value.median, text[0]);
    bench_format(value.min, text[1]);
    bench_format(value.max, text[2]);
    bench_format(gate->target, text[3]);
    fputs("<tr><td class=\"text\">", out);
    bench_plot_text(out, gate->what);
    fputs("<br><small>", out);
    bench_plot_text(out, name);
    fprintf(out, "</small></td><td><b>%s</b></td><td>%s</td><td>%s</td><td>%s %s</td>", text[0], text[1],
            text[2], gate->at_most ? "&le;" : "&ge;", text[3]);
    fprintf(out, "<td class=\"%s\">%s</td></tr>\n",
            value.n == 0 ? "absent"
            : reached    ? "reached"
                         : "missed",
            value.n == 0 ? "not measured"
            : reached    ? "reached"
                         : "not reached");
}

static void write_gates(FILE *out, const struct bench_results *results)
{
    bool free_wire = strcmp(bench_results_fact_of(results, "wire"), "none") == 0;
    fprintf(out,
            "<h2>Ratios, each taken within one of %u rounds</h2>\n<div class=\"wide\"><table><tr><th></th>"
            "<th>median</th><th>min</th><th>max</th><th>%s</th><th></th></tr>\n",
            results->rounds, free_wire ? "gate" : "gate without a wire");
    for (unsigned int i = 0; i < bench_nr_gates; i++)
        write_gate(out, results, &bench_gates[i]);
    fputs("</table></div>\n", out);
}

/* ---- tables ---- */

/* A column that has nothing in it is left out. */
static bool column_used(const struct bench_results *results, const struct bench_column *column)
{
    for (unsigned int i = 0; i < results->nr_series; i++) {
        if (strcmp(results->series[i].metric, column->metric) == 0)
            return true;
    }
    return false;
}

static void write_row(FILE *out, const struct bench_results *results, const struct bench_sheet *sheet,
                      const char *path)
{
    char text[BENCH_CELL_MAX];
    bench_sheet_label(path, text);
    fputs("<tr>", out);
    cell(out, "td", text);
    for (unsigned int c = 0; sheet->columns[c].heading; c++) {
        if (!column_used(results, &sheet->columns[c]))
            continue;
        bench_sheet_cell(results, &sheet->columns[c], path, text);
        cell(out, "td", text);
    }
    fputs("</tr>\n", out);
}

static void write_sheet(FILE *out, const struct bench_results *results, const struct bench_sheet *sheet)
{
    const char *paths[BENCH_SHEET_PATHS_MAX];
    unsigned int nr = bench_sheet_paths(results, paths, BENCH_SHEET_PATHS_MAX);
    fputs("<div class=\"wide\"><table><tr><th></th>", out);
    for (unsigned int c = 0; sheet->columns[c].heading; c++) {
        if (column_used(results, &sheet->columns[c]))
            cell(out, "th", sheet->columns[c].heading);
    }
    fputs("</tr>\n", out);
    for (unsigned int p = 0; p < nr; p++) {
        if (bench_sheet_has(results, sheet, paths[p]))
            write_row(out, results, sheet, paths[p]);
    }
    fputs("</table></div>\n", out);
}

static bool sheet_used(const struct bench_results *results, const struct bench_sheet *sheet)
{
    const char *paths[BENCH_SHEET_PATHS_MAX];
    unsigned int nr = bench_sheet_paths(results, paths, BENCH_SHEET_PATHS_MAX);
    for (unsigned int p = 0; p < nr; p++) {
        if (bench_sheet_has(results, sheet, paths[p]))
            return true;
    }
    return false;
}

/* The plots that go with a sheet, by its first metric. */
static void write_plots(FILE *out, const struct bench_results *results, const char *metric)
{
    if (strcmp(metric, "seq-read.mib_per_s") == 0) {
        bench_plot_dots(out, results, metric,
                        "MiB/s: median, and minimum to maximum of the rounds; more is better");
        bench_plot_dots(out, results, "seq-read.cpu_us_per_mib",
                        "microseconds of CPU per MiB, all processes together; less is better");
    } else if (strcmp(metric, "full-queue-bulk.mib_per_s") == 0) {
        bench_plot_dots(out, results, metric, "MiB/s; more is better");
    } else if (strcmp(metric, "small-urb.urbs_per_s") == 0) {
        bench_plot_dots(out, results, metric, "URBs per second; more is better");
    } else if (strcmp(metric, "ctrl-rtt.p50_us") == 0) {
        bench_plot_latencies(out, results, "ctrl-rtt");
    } else if (strcmp(metric, "int-lat.p50_us") == 0) {
        bench_plot_latencies(out, results, "int-lat");
    } else if (strcmp(metric, "scale-1x1.mib_per_s") == 0) {
        bench_plot_scale(out, results, false);
        bench_plot_scale(out, results, true);
    }
}

/* ---- the rest ---- */

static void write_absences(FILE *out, const struct bench_results *results)
{
    if (results->nr_absences == 0)
        return;
    fputs("<h2>Not measured</h2>\n<table>\n", out);
    for (unsigned int i = 0; i < results->nr_absences; i++) {
        const struct bench_absence *absence = &results->absences[i];
        fputs("<tr>", out);
        cell(out, "td", absence->path);
        cell(out, "td", absence->profile);
        fputs(absence->failed ? "<td class=\"missed\">failed</td><td class=\"text\">"
                              : "<td class=\"absent\">not here</td><td class=\"text\">",
              out);
        bench_plot_text(out, absence->why);
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n", out);
}

static void write_machine(FILE *out, const struct bench_results *results)
{
    fputs("<h2>Machine</h2>\n<table>\n", out);
    for (unsigned int i = 0; i < results->nr_facts; i++) {
        fputs("<tr>", out);
        cell(out, "td", results->facts[i].name);
        fputs("<td class=\"text\">", out);
        bench_plot_text(out, results->facts[i].value);
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n", out);
}

static void write_page(FILE *out, const struct bench_results *results)
{
    fputs(head, out);
    fputs("<h1>PVUSB and every other way to a device</h1>\n<p class=\"lead\">", out);
    bench_plot_text(out, bench_results_fact_of(results, "cpu"));
    fprintf(out,
            ", %s CPUs, %s; wire: %s. %u alternating rounds, the same device behind every path. Figures are "
            "medians of the rounds, with minimum and maximum. CPU is that of all processes together.</p>\n",
            bench_results_fact_of(results, "cpus"), bench_results_fact_of(results, "date"),
            bench_results_fact_of(results, "wire"), results->rounds);
    write_gates(out, results);
    bench_plot_legend(out);
    for (unsigned int i = 0; i < bench_nr_sheets; i++) {
        if (!sheet_used(results, &bench_sheets[i]))
            continue;
        fputs("<section><h2>", out);
        bench_plot_text(out, bench_sheets[i].title);
        fputs("</h2>\n", out);
        write_plots(out, results, bench_sheets[i].columns[0].metric);
        write_sheet(out, results, &bench_sheets[i]);
        fputs("</section>\n", out);
    }
    write_absences(out, results);
    write_machine(out, results);
    fputs("</body></html>\n", out);
}

int bench_report_write(const char *dir, const struct bench_results *results, char error[BENCH_ERROR_MAX])
{
    char path[4096];
    int rc = 0;
    if ((size_t)snprintf(path, sizeof(path), "%s/index.html", dir) >= sizeof(path))
        rc = -ENAMETOOLONG;
    if (!rc && mkdir(dir, 0777) && errno != EEXIST)
        rc = -errno;
    FILE *out = rc ? NULL : fopen(path, "we");
    if (!rc && !out)
        rc = -errno;
    if (out) {
        write_page(out, results);
        bool bad = ferror(out) != 0;
        if (fclose(out) || bad)
            rc = -EIO;
    }
    if (rc)
        snprintf(error, BENCH_ERROR_MAX, "%.400s: %s", dir, strerror(-rc));
    return rc;
}
