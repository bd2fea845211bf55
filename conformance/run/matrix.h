/* SPDX-License-Identifier: MIT */
/*
 * Cases by implementations, from results that --json wrote: a page for people, as HTML that needs nothing
 * else and as Markdown. The same files give the same pages, to the byte.
 */
#ifndef CONFORMANCE_RUN_MATRIX_H
#define CONFORMANCE_RUN_MATRIX_H

#include <stdbool.h>
#include <stdio.h>

enum cell_state {
    CELL_NONE, /* not run with this implementation */
    CELL_PASS,
    CELL_KNOWN,
    CELL_DIFFERS,
    CELL_FAIL,
    CELL_DIED,
    CELL_SKIP,
    CELL_NA,
    CELL_STATES
};

struct matrix_cell {
    enum cell_state state;
    char *note; /* why, "" for a pass */
};

struct matrix_row {
    char *id, *title, *level;
    char *requirements; /* ids with blanks between them */
    struct matrix_cell *cells; /* one for each column */
};

struct matrix {
    char **columns; /* their titles */
    unsigned int nr_columns, nr_rows, room;
    struct matrix_row
        *rows; /* grouped by the first two words of the id, groups in the order of their first case */
};

/* Cases of one group: the same first word of their id, or the same first two. */
struct matrix_part {
    const char *name; /* length characters of an id */
    int length;
    unsigned int first, end; /* rows */
};

/*
 * Reads "FILE" or "TITLE=FILE"; files of the same title make one column, without one the name of the peer is
 * it. False with one line in error, matrix_free() is needed all the same. out is zeroed by the caller.
 */
bool matrix_read(struct matrix *m, char *const files[], unsigned int nr_files, char error[256]);
void matrix_free(struct matrix *m);

/* The next part, from row `first` on, of ids with the same first `words` words; false after the last. */
bool matrix_part(const struct matrix *m, unsigned int first, int words, struct matrix_part *out);
void matrix_count(const struct matrix *m, const struct matrix_part *part, unsigned int column,
                  unsigned int count[CELL_STATES]);
/* "pass", "known", ...; "" for CELL_NONE. */
const char *matrix_word(enum cell_state state);
/* What is behind the word, in a sentence. */
const char *matrix_legend(enum cell_state state);
/* The same as one small word of letters. */
const char *matrix_class(enum cell_state state);
/* True of what somebody should look at: neither a pass nor without a verdict. */
bool matrix_is_trouble(enum cell_state state);
/* True when a cell of the row is trouble. */
bool matrix_is_interesting(const struct matrix *m, unsigned int row);

void matrix_write_html(const struct matrix *m, FILE *out);
void matrix_write_markdown(const struct matrix *m, FILE *out);
/* --matrix DIR FILE...: writes DIR/index.html and DIR/MATRIX.md. Returns the exit code, having said what is
 * wrong. */
int matrix_main(const char *dir, char *const files[], unsigned int nr_files);

#endif
