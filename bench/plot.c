// SPDX-License-Identifier: MIT
#include "bench/plot.h"

#include <math.h>
#include <string.h>

#include "bench/output.h"
#include "bench/sheet.h"

/* In units of the viewBox. */
#define WIDTH     880.0
#define LEFT      150.0
#define RIGHT     765.0 /* values stand right of it */
#define ROW       24.0
#define TOP       14.0
#define AXIS_ROOM 34.0
#define LINE      13.0 /* from one line of text to the next */

void bench_plot_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

/* What a path is: the colours have classes of these names in the page. */
static const char *class_of(const char *path)
{
    static const char *const bare[] = {"memcpy", "eventfd", "cacheline"};
    for (unsigned int i = 0; i < sizeof(bare) / sizeof(bare[0]); i++) {
        if (strcmp(path, bare[i]) == 0)
            return "bound";
    }
    if (bench_is_model(path))
        return "bound";
    return strncmp(path, "pvusb-", 6) == 0 ? "ours" : "other";
}

void bench_plot_legend(FILE *out)
{
    fputs("<p class=\"legend\"><span class=\"key ours\"></span>our PVUSB <span class=\"key "
          "other\"></span>other ways "
          "<span class=\"key bound\"></span>bounds and models; logarithmic scales</p>\n",
          out);
}

/* ---- a logarithmic axis ---- */

struct axis {
    double low, high; /* powers of ten */
};

static void widen(struct axis *axis, double value)
{
    if (!isfinite(value) || value <= 0)
        return;
    double low = floor(log10(value)), high = ceil(log10(value));
    if (high == low)
        high++;
    axis->low = isnan(axis->low) || low < axis->low ? low : axis->low;
    axis->high = isnan(axis->high) || high > axis->high ? high : axis->high;
}

static double place(const struct axis *axis, double value)
{
    double part = value > 0 ? (log10(value) - axis->low) / (axis->high - axis->low) : 0;
    return LEFT + (RIGHT - LEFT) * (part < 0 ? 0 : part > 1 ? 1 : part);
}

/* "0.1", "10", "10 k", "1 M" */
static void format_tick(double value, char out[16])
{
    if (value >= 1e6)
        snprintf(out, 16, "%g M", value / 1e6);
    else
        snprintf(out, 16, "%g%s", value >= 1e4 ? value / 1e3 : value, value >= 1e4 ? " k" : "");
}

static void draw_axis(FILE *out, const struct axis *axis, double bottom, const char *unit)
{
    for (double exponent = axis->low; exponent <= axis->high; exponent++) {
        char tick[16];
        double value = pow(10, exponent), x = place(axis, value);
        format_tick(value, tick);
        fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x, TOP - 6, x,
                bottom);
        fprintf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", x, bottom + 14, tick);
    }
    fprintf(out, "<text class=\"unit\" x=\"%.1f\" y=\"%.1f\">", (LEFT + RIGHT) / 2, bottom + 29);
    bench_plot_text(out, unit);
    fputs("</text>\n", out);
}

static void draw_label(FILE *out, const char *path, double y)
{
    char label[BENCH_CELL_MAX];
    bench_sheet_label(path, label);
    fprintf(out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\">", LEFT - 10, y + 4);
    bench_plot_text(out, label);
    fputs("</text>", out);
}

static void begin(FILE *out, double height)
{
    fprintf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n", WIDTH, height);
}

/* The paths that have a metric. */
static unsigned int paths_with(const struct bench_results *results, const char *metric, const char **out)
{
    const char *all[BENCH_SHEET_PATHS_MAX];
    unsigned int n = 0, nr = bench_sheet_paths(results, all, BENCH_SHEET_PATHS_MAX);
    for (unsigned int i = 0; i < nr; i++) {
        if (bench_spread(bench_results_find(results, all[i], metric), results->rounds).n)
            out[n++] = all[i];
    }
    return n;
}

/* ---- dots ---- */

static void draw_spread(FILE *out, const struct axis *axis, const char *path,
                        const struct bench_spread *spread, double y)
{
    char text[16];
    const char *class = class_of(path);
    bench_format(spread->median, text);
    draw_label(out, path, y);
    fprintf(out, "<line class=\"range %s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class,
            place(axis, spread->min), y, place(axis, spread->max), y);
    fprintf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>", class, place(axis, spread->median),
            y);
    fprintf(out, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", RIGHT + 12, y + 4, text);
}

void bench_plot_dots(FILE *out, const struct bench_results *results, const char *metric, const char *unit)
{
    const char *paths[BENCH_SHEET_PATHS_MAX];
    struct axis axis = {NAN, NAN};
    unsigned int n = paths_with(results, metric, paths);
    double bottom = TOP + ROW * n;
    for (unsigned int i = 0; i < n; i++) {
        struct bench_spread spread =
            bench_spread(bench_results_find(results, paths[i], metric), results->rounds);
        widen(&axis, spread.min);
        widen(&axis, spread.max);
    }
    if (n == 0 || isnan(axis.low))
        return;
    begin(out, bottom + AXIS_ROOM);
    draw_axis(out, &axis, bottom, unit);
    for (unsigned int i = 0; i < n; i++) {
        struct bench_spread spread =
            bench_spread(bench_results_find(results, paths[i], metric), results->rounds);
        draw_spread(out, &axis, paths[i], &spread, TOP + ROW * (i + 0.5));
    }
    fputs("</svg>\n", out);
}

/* ---- latencies ---- */

static const struct {
    const char *quantity, *mark;
    double radius;
} points[] = {{"p50_us", "p50", 5.5},
              {"p90_us", "p90", 4.5},
              {"p99_us", "p99", 3.8},
              {"p999_us", "p99.9", 3.2},
              {"max_us", "max", 2.6}};

#define NR_POINTS (sizeof(points) / sizeof(points[0]))

static void read_points(const struct bench_results *results, const char *path, const char *prefix,
                        double *out)
{
    for (unsigned int i = 0; i < NR_POINTS; i++) {
        char metric[BENCH_METRIC_MAX];
        snprintf(metric, sizeof(metric), "%.40s.%s", prefix, points[i].quantity);
        out[i] = bench_spread(bench_results_find(results, path, metric), results->rounds).median;
    }
}

static void draw_points(FILE *out, const struct axis *axis, const char *path, const double *values, double y)
{
    char first[16], last[16];
    const char *class = class_of(path);
    draw_label(out, path, y);
    fprintf(out, "<line class=\"range %s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class,
            place(axis, values[0]), y, place(axis, values[NR_POINTS - 1]), y);
    for (unsigned int i = 0; i < NR_POINTS; i++)
        fprintf(
            out, "<circle class=\"%s%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>%s %g us</title></circle>",
            class, i ? " open" : "", place(axis, values[i]), y, points[i].radius, points[i].mark, values[i]);
    bench_format(values[0], first);
    bench_format(values[2], last);
    fprintf(out, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\">%s / %s</text>\n", RIGHT + 12, y + 4, first,
            last);
}

void bench_plot_latencies(FILE *out, const struct bench_results *results, const char *prefix)
{
    const char *paths[BENCH_SHEET_PATHS_MAX];
    char metric[BENCH_METRIC_MAX];
    double values[NR_POINTS];
    struct axis axis = {NAN, NAN};
    snprintf(metric, sizeof(metric), "%.40s.p50_us", prefix);
    unsigned int n = paths_with(results, metric, paths);
    double bottom = TOP + ROW * n;
    for (unsigned int i = 0; i < n; i++) {
        read_points(results, paths[i], prefix, values);
        for (unsigned int k = 0; k < NR_POINTS; k++)
            widen(&axis, values[k]);
    }
    if (n == 0 || isnan(axis.low))
        return;
    begin(out, bottom + AXIS_ROOM);
    draw_axis(out, &axis, bottom,
              "microseconds: p50 (full), p90, p99, p99.9, maximum (ever smaller rings); right: p50 / p99");
    for (unsigned int i = 0; i < n; i++) {
        read_points(results, paths[i], prefix, values);
        draw_points(out, &axis, paths[i], values, TOP + ROW * (i + 0.5));
    }
    fputs("</svg>\n", out);
}

/* ---- scaling ---- */

static const unsigned int device_steps[] = {1, 4, 16, 31}, guest_steps[] = {1, 4, 16};

static double scale_value(const struct bench_results *results, const char *path, bool guests,
                          unsigned int step)
{
    char metric[BENCH_METRIC_MAX];
    snprintf(metric, sizeof(metric), "scale-%ux%u.mib_per_s", guests ? step : 1, guests ? 1 : step);
    return bench_spread(bench_results_find(results, path, metric), results->rounds).median;
}

/* Upwards, from the bottom line. */
static double height_of(const struct axis *axis, double value, double bottom)
{
    return bottom - (place(axis, value) - LEFT) / (RIGHT - LEFT) * (bottom - TOP);
}

struct label {
    const char *text;
    double x, y;
};

/* Returns where its name would stand. */
static struct label draw_curve(FILE *out, const struct bench_results *results, const struct axis *axis,
                               const char *path, bool guests, double bottom)
{
    const unsigned int *steps = guests ? guest_steps : device_steps;
    unsigned int n = guests ? 3 : 4;
    double x = 0, y = 0;
    fprintf(out, "<polyline class=\"%s\" points=\"", class_of(path));
    for (unsigned int i = 0; i < n; i++) {
        double value = scale_value(results, path, guests, steps[i]);
        if (!isfinite(value))
            continue;
        x = LEFT + (RIGHT - LEFT - 120) * log2(steps[i]) / 5;
        y = height_of(axis, value, bottom);
        fprintf(out, "%.1f,%.1f ", x, y);
    }
    fputs("\"/>", out);
    return (struct label){path, x + 8, y + 4};
}

/* From the top down, each below the one before it. */
static void draw_names(FILE *out, struct label *labels, unsigned int n)
{
    double above = -LINE;
    for (unsigned int i = 0; i < n; i++) {
        unsigned int top = i;
        for (unsigned int k = i + 1; k < n; k++)
            top = labels[k].y < labels[top].y ? k : top;
        struct label label = labels[top];
        labels[top] = labels[i];
        above = label.y < above + LINE ? above + LINE : label.y;
        fprintf(out, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\">", label.x, above);
        bench_plot_text(out, label.text);
        fputs("</text>\n", out);
    }
}

static void draw_scale_axes(FILE *out, const struct axis *axis, bool guests, double bottom)
{
    const unsigned int *steps = guests ? guest_steps : device_steps;
    for (double exponent = axis->low; exponent <= axis->high; exponent++) {
        double y = height_of(axis, pow(10, exponent), bottom);
        fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", LEFT - 10, y,
                RIGHT, y);
        char tick[16];
        format_tick(pow(10, exponent), tick);
        fprintf(out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\">%s MiB/s</text>\n", LEFT - 16, y + 4, tick);
    }
    for (unsigned int i = 0; i < (guests ? 3u : 4u); i++)
        fprintf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%u</text>\n",
                LEFT + (RIGHT - LEFT - 120) * log2(steps[i]) / 5, bottom + 16, steps[i]);
    fprintf(out, "<text class=\"unit\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", (LEFT + RIGHT) / 2, bottom + 32,
            guests ? "guests with one device each" : "devices of one guest");
}

void bench_plot_scale(FILE *out, const struct bench_results *results, bool guests)
{
    const char *paths[BENCH_SHEET_PATHS_MAX];
    struct label labels[BENCH_SHEET_PATHS_MAX];
    struct axis axis = {NAN, NAN};
    unsigned int n = paths_with(results, "scale-1x1.mib_per_s", paths);
    double bottom = TOP + 200;
    for (unsigned int i = 0; i < n; i++) {
        for (unsigned int k = 0; k < (guests ? 3u : 4u); k++)
            widen(&axis, scale_value(results, paths[i], guests, (guests ? guest_steps : device_steps)[k]));
    }
    if (n == 0 || isnan(axis.low))
        return;
    begin(out, bottom + AXIS_ROOM + 4);
    draw_scale_axes(out, &axis, guests, bottom);
    for (unsigned int i = 0; i < n; i++)
        labels[i] = draw_curve(out, results, &axis, paths[i], guests, bottom);
    draw_names(out, labels, n);
    fputs("</svg>\n", out);
}
