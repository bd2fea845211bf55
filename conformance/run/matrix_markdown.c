/* SPDX-License-Identifier: MIT */
#include "matrix.h"

#include <string.h>

static void print_escaped(const char *text, FILE *out)
{
    for (; *text; text++)
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '\n')
            fputc(' ', out);
        else
            fprintf(out, "%s%c", strchr("\\|*_[]`>", *text) ? "\\" : "", *text);
}

static void print_head(const struct matrix *m, const char *first, FILE *out)
{
    fprintf(out, "| %s |", first);
    for (unsigned int c = 0; c < m->nr_columns; c++) {
        fputc(' ', out);
        print_escaped(m->columns[c], out);
        fputs(" |", out);
    }
    fputs("\n|---|", out);
    for (unsigned int c = 0; c < m->nr_columns; c++)
        fputs("---|", out);
    fputc('\n', out);
}

/* "40 pass, 5 known" */
static void print_counts(const struct matrix *m, const struct matrix_part *part, unsigned int column, FILE *out)
{
    unsigned int count[CELL_STATES], printed = 0;

    matrix_count(m, part, column, count);
    for (enum cell_state s = CELL_PASS; s < CELL_STATES; s++)
        if (count[s])
            fprintf(out, "%s%u %s", printed++ ? ", " : "", count[s], matrix_word(s));
}

static void print_summary(const struct matrix *m, FILE *out)
{
    struct matrix_part part = {.end = 0}, all = {"", 0, 0, m->nr_rows};

    print_head(m, "Group", out);
    while (matrix_part(m, part.end, 1, &part)) {
        fprintf(out, "| %.*s, %u case%s |", part.length, part.name, part.end - part.first,
                part.end - part.first == 1 ? "" : "s");
        for (unsigned int c = 0; c < m->nr_columns; c++) {
            fputc(' ', out);
            print_counts(m, &part, c, out);
            fputs(" |", out);
        }
        fputc('\n', out);
    }
    fprintf(out, "| **all %u** |", m->nr_rows);
    for (unsigned int c = 0; c < m->nr_columns; c++) {
        fputs(" **", out);
        print_counts(m, &all, c, out);
        fputs("** |", out);
    }
    fputs("\n\n", out);
}

static void print_row(const struct matrix *m, const struct matrix_row *row, FILE *out)
{
    fprintf(out, "| `%s`: ", row->id);
    print_escaped(row->title, out);
    for (unsigned int c = 0; c < m->nr_columns; c++)
        if (matrix_is_trouble(row->cells[c].state) && *row->cells[c].note) {
            fputs(" <br>*", out);
            print_escaped(m->columns[c], out);
            fputs(": ", out);
            print_escaped(row->cells[c].note, out);
            fputc('*', out);
        }
    fputs(" |", out);
    for (unsigned int c = 0; c < m->nr_columns; c++) {
        enum cell_state state = row->cells[c].state;
        const char *bold = matrix_is_trouble(state) ? "**" : "";

        fprintf(out, " %s%s%s |", bold, matrix_word(state), bold);
    }
    fputc('\n', out);
}

static void print_part(const struct matrix *m, const struct matrix_part *part, FILE *out)
{
    bool open = false;

    for (unsigned int i = part->first; i < part->end; i++)
        open |= matrix_is_interesting(m, i);
    fprintf(out, "<details%s><summary><b>%.*s</b>, %u case%s%s</summary>\n\n", open ? " open" : "",
            part->length, part->name, part->end - part->first, part->end - part->first == 1 ? "" : "s",
            open ? "" : ": nothing fails");
    print_head(m, "Case", out);
    for (unsigned int i = part->first; i < part->end; i++)
        print_row(m, &m->rows[i], out);
    fputs("\n</details>\n\n", out);
}

void matrix_write_markdown(const struct matrix *m, FILE *out)
{
    struct matrix_part group = {.end = 0};

    fputs("# PVUSB: cases by implementations\n\n"
          "Made by `pvusb-conform --matrix` of results; what a case asks, `pvusb-conform --explain CASE` "
          "says in full.\n\n",
          out);
    print_summary(m, out);
    for (enum cell_state s = CELL_PASS; s < CELL_STATES; s++)
        fprintf(out, "* %s: %s\n", matrix_word(s), matrix_legend(s));
    fputs("* an empty cell: ", out);
    fprintf(out, "%s\n", matrix_legend(CELL_NONE));
    while (matrix_part(m, group.end, 1, &group)) {
        struct matrix_part part = {.end = group.first};

        fprintf(out, "\n## %.*s\n\n", group.length, group.name);
        while (part.end < group.end && matrix_part(m, part.end, 2, &part))
            print_part(m, &part, out);
    }
}
