/* SPDX-License-Identifier: MIT */
#include "matrix.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keep.h"
#include "options.h"
#include "text.h"

/* ---- reading ---- */

static bool no_memory(char error[256])
{
    snprintf(error, 256, "no memory");
    return false;
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text ? text : "");

    if (copy)
        text_clean(copy);
    return copy;
}

/* The column of that title, made if it is new; -1 without memory. */
static int find_column(struct matrix *m, const char *title)
{
    char **more;

    for (unsigned int i = 0; i < m->nr_columns; i++)
        if (!strcmp(m->columns[i], title))
            return (int)i;
    more = realloc(m->columns, (m->nr_columns + 1) * sizeof(*more));
    if (!more)
        return -1;
    m->columns = more;
    more[m->nr_columns] = copy_text(title);
    return more[m->nr_columns] ? (int)m->nr_columns++ : -1;
}

static char *join_requirements(const json_t *list)
{
    char *text = NULL;
    size_t size, i;
    FILE *out = open_memstream(&text, &size);
    const json_t *one;

    if (!out)
        return NULL;
    json_array_foreach(list, i, one) {
        const char *id = json_string_value(json_object_get(one, "id"));

        fprintf(out, "%s%s", i ? " " : "", id ? id : "?");
    }
    return fclose(out) == 0 ? text : NULL;
}

static char *copy(const json_t *object, const char *key)
{
    return copy_text(json_string_value(json_object_get(object, key)));
}

static bool is_id(const char *text)
{
    return text && *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-")];
}

static struct matrix_row *add_row(struct matrix *m, const json_t *test, unsigned int columns)
{
    struct matrix_row *row;

    if (m->nr_rows == m->room) {
        unsigned int room = m->room ? 2 * m->room : 256;
        struct matrix_row *more = realloc(m->rows, room * sizeof(*more));

        if (!more)
            return NULL;
        m->rows = more;
        m->room = room;
    }
    row = &m->rows[m->nr_rows++];
    *row = (struct matrix_row){copy(test, "id"), copy(test, "title"), copy(test, "level"),
                               join_requirements(json_object_get(test, "requirements")),
                               calloc(columns, sizeof(*row->cells))};
    return row->id && row->title && row->level && row->requirements && row->cells ? row : NULL;
}

static struct matrix_row *find_row(struct matrix *m, const json_t *test, unsigned int columns)
{
    const char *id = json_string_value(json_object_get(test, "id"));

    for (unsigned int i = 0; i < m->nr_rows; i++)
        if (!strcmp(m->rows[i].id, id))
            return &m->rows[i];
    return add_row(m, test, columns);
}

static enum cell_state state_of(const char *verdict, const char *standing)
{
    static const struct {
        const char *word;
        enum cell_state state;
    } words[] = {{"known", CELL_KNOWN}, {"differs", CELL_DIFFERS}, {"pass", CELL_PASS}, {"fail", CELL_FAIL},
                 {"died", CELL_DIED},   {"error", CELL_DIED},      {"skip", CELL_SKIP}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (!strcmp(words[i].word, standing) || !strcmp(words[i].word, verdict))
            return words[i].state;
    return CELL_NONE;
}

/* "" when the case is as pvusb-conform writes it. */
static const char *add_case(struct matrix *m, const json_t *test, unsigned int column, unsigned int columns)
{
    const char *id = json_string_value(json_object_get(test, "id"));
    const char *verdict = json_string_value(json_object_get(test, "verdict"));
    const char *standing = json_string_value(json_object_get(test, "standing"));
    const char *known = json_string_value(json_object_get(test, "known"));
    const char *message = json_string_value(json_object_get(test, "message"));
    struct matrix_cell *cell;
    struct matrix_row *row;

    if (!is_id(id) || !verdict || !standing || state_of(verdict, standing) == CELL_NONE)
        return "a case without id, verdict or standing";
    row = find_row(m, test, columns);
    if (!row)
        return "no memory";
    cell = &row->cells[column];
    if (cell->state != CELL_NONE)
        return "a case that another file has for the same implementation";
    cell->state = state_of(verdict, standing);
    if (cell->state == CELL_SKIP && json_is_false(json_object_get(test, "applicable")))
        cell->state = CELL_NA;
    if (cell->state == CELL_KNOWN && known && *known)
        cell->note = copy_text(known);
    else
        cell->note = copy_text(cell->state != CELL_PASS ? message : "");
    return cell->note ? "" : "no memory";
}

/* "TITLE=FILE", or NULL for the title. */
static const char *file_of(const char *argument, char title[128])
{
    const char *equal = strchr(argument, '=');

    *title = 0;
    if (!equal)
        return argument;
    snprintf(title, 128, "%.*s", (int)(equal - argument), argument);
    return equal + 1;
}

static bool read_file(struct matrix *m, const char *argument, unsigned int columns, char error[256])
{
    char title[128];
    const char *path = file_of(argument, title), *schema, *peer, *wrong = "";
    json_error_t place;
    json_t *json = json_load_file(path, 0, &place), *test;
    int column;
    size_t i;

    if (!json) {
        snprintf(error, 256, "%.100s: %.100s", path, place.text);
        return false;
    }
    schema = json_string_value(json_object_get(json, "schema"));
    peer = json_string_value(json_object_get(json, "peer"));
    if (!schema || strcmp(schema, "pvusb-conform/1") != 0 || !peer) {
        snprintf(error, 256, "%.100s: no results of pvusb-conform --json", path);
        json_decref(json);
        return false;
    }
    column = find_column(m, *title ? title : peer);
    json_array_foreach(json_object_get(json, "cases"), i, test) {
        wrong = column < 0 ? "no memory" : add_case(m, test, (unsigned int)column, columns);
        if (*wrong)
            break;
    }
    json_decref(json);
    if (*wrong)
        snprintf(error, 256, "%.100s: case %zu: %s", path, i + 1, wrong);
    return !*wrong;
}

/* Characters of the first `words` words. */
static int prefix(const char *id, int words)
{
    int n = 0;

    while (id[n] && (id[n] != '.' || --words > 0))
        n++;
    return n;
}

static bool same(const char *a, const char *b, int words)
{
    int n = prefix(a, words);

    return n == prefix(b, words) && !strncmp(a, b, (size_t)n);
}

/* Brings the cases of a group together, in the order of their first; what has the same first word, too. */
static bool group(struct matrix *m, int words)
{
    struct matrix_row *sorted = calloc(m->nr_rows + 1, sizeof(*sorted));
    unsigned int n = 0;

    if (!sorted)
        return false;
    for (unsigned int i = 0; i < m->nr_rows; i++) {
        const char *id = m->rows[i].id;

        for (unsigned int j = i; id && j < m->nr_rows; j++)
            if (m->rows[j].id && same(id, m->rows[j].id, words)) {
                sorted[n++] = m->rows[j];
                if (j != i)
                    m->rows[j].id = NULL;
            }
        m->rows[i].id = NULL;
    }
    free(m->rows);
    m->rows = sorted;
    m->room = m->nr_rows;
    return true;
}

bool matrix_read(struct matrix *m, char *const files[], unsigned int nr_files, char error[256])
{
    for (unsigned int i = 0; i < nr_files; i++)
        if (!read_file(m, files[i], nr_files, error))
            return false;
    return (group(m, 2) && group(m, 1)) || no_memory(error);
}

void matrix_free(struct matrix *m)
{
    for (unsigned int i = 0; i < m->nr_rows; i++) {
        struct matrix_row *row = &m->rows[i];

        for (unsigned int c = 0; row->cells && c < m->nr_columns; c++)
            free(row->cells[c].note);
        free(row->id);
        free(row->title);
        free(row->level);
        free(row->requirements);
        free(row->cells);
    }
    for (unsigned int c = 0; c < m->nr_columns; c++)
        free(m->columns[c]);
    free(m->columns);
    free(m->rows);
    *m = (struct matrix){0};
}

/* ---- what the pages ask ---- */

bool matrix_part(const struct matrix *m, unsigned int first, int words, struct matrix_part *out)
{
    if (first >= m->nr_rows)
        return false;
    *out = (struct matrix_part){m->rows[first].id, prefix(m->rows[first].id, words), first, first + 1};
    while (out->end < m->nr_rows && same(out->name, m->rows[out->end].id, words))
        out->end++;
    return true;
}

void matrix_count(const struct matrix *m, const struct matrix_part *part, unsigned int column,
                  unsigned int count[CELL_STATES])
{
    memset(count, 0, CELL_STATES * sizeof(*count));
    for (unsigned int i = part->first; i < part->end; i++)
        count[m->rows[i].cells[column].state]++;
}

bool matrix_is_trouble(enum cell_state state)
{
    return state == CELL_KNOWN || state == CELL_DIFFERS || state == CELL_FAIL || state == CELL_DIED;
}

const char *matrix_class(enum cell_state state)
{
    return state == CELL_NA ? "na" : matrix_word(state);
}

bool matrix_is_interesting(const struct matrix *m, unsigned int row)
{
    for (unsigned int c = 0; c < m->nr_columns; c++)
        if (matrix_is_trouble(m->rows[row].cells[c].state))
            return true;
    return false;
}

const char *matrix_word(enum cell_state state)
{
    static const char *const words[CELL_STATES] = {"", "pass", "known", "differs", "fail", "died", "skip", "n/a"};

    return words[state];
}

const char *matrix_legend(enum cell_state state)
{
    static const char *const texts[CELL_STATES] = {
        [CELL_NONE] = "not run with this implementation",
        [CELL_PASS] = "as required",
        [CELL_KNOWN] = "fails, as its list of known failures says",
        [CELL_DIFFERS] = "does otherwise than a SHOULD or OBSERVED requirement says",
        [CELL_FAIL] = "breaks a requirement",
        [CELL_DIED] = "the implementation, or the case, ended or hung",
        [CELL_SKIP] = "could not be run this time",
        [CELL_NA] = "needs what this implementation, or the place where it runs, does not have",
    };

    return texts[state];
}

/* ---- the files ---- */

static bool write_page(const struct matrix *m, const char *dir, const char *name,
                       void (*write)(const struct matrix *, FILE *))
{
    char path[PATH_MAX];
    FILE *out;

    snprintf(path, sizeof(path), "%.4000s/%s", dir, name);
    out = fopen(path, "we");
    if (out) {
        bool good;

        write(m, out);
        good = !ferror(out);
        if (fclose(out) == 0 && good)
            return true;
    }
    options_bad(path, strerror(errno));
    return false;
}

int matrix_main(const char *dir, char *const files[], unsigned int nr_files)
{
    struct matrix m = {0};
    char error[256];
    int rc = EXIT_EXPECTED;

    if (!nr_files)
        return options_bad("--matrix", "no files with results");
    if (!matrix_read(&m, files, nr_files, error) || !keep_open(dir, error))
        rc = options_bad("--matrix", error);
    else if (!write_page(&m, dir, "index.html", matrix_write_html) ||
             !write_page(&m, dir, "MATRIX.md", matrix_write_markdown))
        rc = EXIT_USAGE;
    matrix_free(&m);
    return rc;
}
