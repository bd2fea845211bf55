/* SPDX-License-Identifier: MIT */
#include "matrix.h"

#include <string.h>

#include "text.h"

static const char style[] =
    ":root{color-scheme:light}\n"
    "body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 4rem;background:#fff;color:#1b1f24;\n"
    " font:15px/1.45 system-ui,-apple-system,\"Segoe UI\",\"Liberation Sans\",Arial,sans-serif}\n"
    "h1{font-size:1.6rem;margin:0 0 .3rem}\n"
    "h2{font-size:1.2rem;margin:2.2rem 0 .5rem}\n"
    "p{margin:.3rem 0 1rem}\n"
    "code,.id{font-family:ui-monospace,\"DejaVu Sans Mono\",\"Liberation Mono\",monospace;font-size:.88em}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;vertical-align:top;padding:.28rem .6rem;border-bottom:1px solid #e3e6ea}\n"
    "th{font-weight:600;background:#f5f6f8;border-bottom:1px solid #c9ced6}\n"
    "td.s,th.s{width:8.5rem}\n"
    "td.s{white-space:nowrap;border-left:1px solid #eceff2}\n"
    ".t{color:#4a525c}\n"
    ".n{display:block;color:#4a525c;font-size:.9em;padding-left:1rem}\n"
    ".l{font-size:.75em;color:#59616b;border:1px solid #c9ced6;border-radius:3px;padding:0 .3em;\n"
    " margin-left:.4em}\n"
    "details{margin:.35rem 0;border:1px solid #dfe3e8;border-radius:6px;background:#fff}\n"
    "summary{cursor:pointer;padding:.4rem .7rem;background:#fafbfc;border-radius:6px}\n"
    "details[open]>summary{border-bottom:1px solid #dfe3e8;border-radius:6px 6px 0 0}\n"
    "summary .c{float:right;color:#4a525c;font-size:.9em}\n"
    ".pass{color:#17692f}.known{color:#7a4b00}.differs{color:#1c4f9c}\n"
    ".fail,.died{color:#a31515}.skip,.na{color:#6a727c}\n"
    "td.known,td.differs,td.fail,td.died{font-weight:600}\n"
    "td.known{background:#fff6e0}td.differs{background:#eaf1fc}td.fail,td.died{background:#fde9e7}\n"
    ".bar{display:flex;height:.55rem;margin-top:.25rem;border-radius:3px;overflow:hidden;\n"
    " background:#eceff2}\n"
    ".bar i{display:block}\n"
    "i.pass{background:#3f9b5c}i.known{background:#e3a008}i.differs{background:#4f83d1}\n"
    "i.fail,i.died{background:#cf3a32}i.skip{background:#c3c9d1}i.na{background:#e6e9ed}\n"
    "ul.legend{list-style:none;padding:0;margin:.8rem 0;display:flex;flex-wrap:wrap;gap:.2rem 1.6rem}\n"
    "ul.legend b{display:inline-block;min-width:3.6rem}\n"
    "@media print{\n"
    " body{max-width:none;padding:0;font-size:9.5pt}\n"
    " h2,summary{break-after:avoid}\n"
    " tr{break-inside:avoid}\n"
    " th,td{padding:.12rem .35rem}\n"
    " td.s,th.s{width:4.4rem}\n"
    " details{border:0}\n"
    " *{-webkit-print-color-adjust:exact;print-color-adjust:exact}\n"
    "}\n";

static void print_counts(const unsigned int count[CELL_STATES], FILE *out)
{
    unsigned int printed = 0;

    for (enum cell_state s = CELL_PASS; s < CELL_STATES; s++)
        if (count[s])
            fprintf(out, "%s<span class=\"%s\">%u&#160;%s</span>", printed++ ? ", " : "", matrix_class(s),
                    count[s], matrix_word(s));
}

static void print_bar(const unsigned int count[CELL_STATES], FILE *out)
{
    fputs("<div class=\"bar\">", out);
    for (enum cell_state s = CELL_PASS; s < CELL_STATES; s++)
        if (count[s])
            fprintf(out, "<i class=\"%s\" style=\"flex:%u\"></i>", matrix_class(s), count[s]);
    fputs("</div>", out);
}

static void print_totals(const struct matrix *m, const struct matrix_part *part, FILE *out)
{
    for (unsigned int c = 0; c < m->nr_columns; c++) {
        unsigned int count[CELL_STATES];

        matrix_count(m, part, c, count);
        fputs("<td>", out);
        print_counts(count, out);
        if (count[CELL_NONE] != part->end - part->first)
            print_bar(count, out);
        fputs("</td>", out);
    }
    fputs("</tr>\n", out);
}

static void print_heads(const struct matrix *m, const char *class, FILE *out)
{
    for (unsigned int c = 0; c < m->nr_columns; c++) {
        fprintf(out, "<th%s>", class);
        text_print_escaped(m->columns[c], out);
        fputs("</th>", out);
    }
    fputs("</tr></thead>\n<tbody>\n", out);
}

static void print_summary(const struct matrix *m, FILE *out)
{
    struct matrix_part part = {.end = 0}, all = {"", 0, 0, m->nr_rows};

    fputs("<table>\n<thead><tr><th>Group</th>", out);
    print_heads(m, "", out);
    while (matrix_part(m, part.end, 1, &part)) {
        fprintf(out, "<tr><td><a href=\"#%.*s\">%.*s</a>, %u&#160;case%s</td>", part.length, part.name,
                part.length, part.name, part.end - part.first, part.end - part.first == 1 ? "" : "s");
        print_totals(m, &part, out);
    }
    fprintf(out, "<tr><td><b>all %u</b></td>", m->nr_rows);
    print_totals(m, &all, out);
    fputs("</tbody></table>\n", out);
}

static void print_legend(FILE *out)
{
    fputs("<ul class=\"legend\">\n", out);
    for (enum cell_state s = CELL_PASS; s < CELL_STATES; s++)
        fprintf(out, "<li><b class=\"%s\">%s</b> %s</li>\n", matrix_class(s), matrix_word(s), matrix_legend(s));
    fprintf(out, "<li><b>(empty)</b> %s</li>\n</ul>\n", matrix_legend(CELL_NONE));
}

static void print_row(const struct matrix *m, const struct matrix_row *row, FILE *out)
{
    fputs("<tr><td title=\"", out);
    text_print_escaped(row->requirements, out);
    fputs("\"><span class=\"id\">", out);
    text_print_escaped(row->id, out);
    fputs("</span><span class=\"l\">", out);
    text_print_escaped(row->level, out);
    fputs("</span> <span class=\"t\">", out);
    text_print_escaped(row->title, out);
    fputs("</span>", out);
    for (unsigned int c = 0; c < m->nr_columns; c++) {
        const struct matrix_cell *cell = &row->cells[c];

        if (!matrix_is_trouble(cell->state) || !*cell->note)
            continue;
        fputs("<span class=\"n\">", out);
        text_print_escaped(m->columns[c], out);
        fputs(": ", out);
        text_print_escaped(cell->note, out);
        fputs("</span>", out);
    }
    fputs("</td>", out);
    for (unsigned int c = 0; c < m->nr_columns; c++) {
        const struct matrix_cell *cell = &row->cells[c];

        fprintf(out, "<td class=\"s %s\"", matrix_class(cell->state));
        if (cell->state == CELL_SKIP || cell->state == CELL_NA) {
            fputs(" title=\"", out);
            text_print_escaped(cell->note, out);
            fputc('"', out);
        }
        fprintf(out, ">%s</td>", matrix_word(cell->state));
    }
    fputs("</tr>\n", out);
}

static void print_part(const struct matrix *m, const struct matrix_part *part, FILE *out)
{
    unsigned int interesting = 0;

    for (unsigned int i = part->first; i < part->end; i++)
        interesting += matrix_is_interesting(m, i);
    fprintf(out, "<details%s><summary><b class=\"id\">%.*s</b> <span class=\"c\">%u case%s",
            interesting ? " open=\"\"" : "", part->length, part->name, part->end - part->first,
            part->end - part->first == 1 ? "" : "s");
    if (interesting)
        fprintf(out, ", %u to look at</span></summary>\n", interesting);
    else
        fputs(", nothing fails</span></summary>\n", out);
    fputs("<table>\n<thead><tr><th>Case</th>", out);
    print_heads(m, " class=\"s\"", out);
    for (unsigned int i = part->first; i < part->end; i++)
        print_row(m, &m->rows[i], out);
    fputs("</tbody></table></details>\n", out);
}

void matrix_write_html(const struct matrix *m, FILE *out)
{
    struct matrix_part group = {.end = 0};

    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
          "<title>PVUSB: cases by implementations</title>\n<style>\n",
          out);
    fputs(style, out);
    fputs("</style>\n</head>\n<body>\n<h1>PVUSB: cases by implementations</h1>\n"
          "<p>Made by <code>pvusb-conform --matrix</code> of results. What a case asks, "
          "<code>pvusb-conform --explain CASE</code> says in full.</p>\n",
          out);
    print_summary(m, out);
    print_legend(out);
    while (matrix_part(m, group.end, 1, &group)) {
        struct matrix_part part = {.end = group.first};

        fprintf(out, "<h2 id=\"%.*s\">%.*s</h2>\n", group.length, group.name, group.length, group.name);
        while (part.end < group.end && matrix_part(m, part.end, 2, &part))
            print_part(m, &part, out);
    }
    fputs("</body>\n</html>\n", out);
}
