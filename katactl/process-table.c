// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process-table.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"

/* A column's text of one process; to be freed with g_free(). */
typedef char *(*ColumnFunc)(json_object *process, gint64 now);

typedef struct {
  const char *names; /* ps(1)'s words for it, each between blanks */
  const char *title;
  gboolean to_the_left;
  ColumnFunc print;
} Column;

typedef struct {
  const Column *column;
  char *title;
} Shown;

struct ProcessTable {
  GArray *shown; /* Shown */
};

/* The guest's numbers are not to be trusted: sums of two and hundredfold ones are within a gint64 up to here. */
#define NUMBER_MAX (G_MAXINT64 / 200)

/* ---- columns ---- */

static gint64 get_number(json_object *process, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(process, key, &value) ? CLAMP(json_object_get_int64(value), 0, NUMBER_MAX) : 0;
}

static const char *get_text(json_object *process, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(process, key, &value) ? json_object_get_string(value) : "";
}

static char *print_number(json_object *process, const char *key) {
  return g_strdup_printf("%" G_GINT64_FORMAT, get_number(process, key));
}

static char *print_pid(json_object *process, gint64 now) { return print_number(process, "pid"); }
static char *print_parent(json_object *process, gint64 now) { return print_number(process, "parent_pid"); }
static char *print_inner_pid(json_object *process, gint64 now) { return print_number(process, "container_pid"); }
static char *print_uid(json_object *process, gint64 now) { return print_number(process, "uid"); }
static char *print_gid(json_object *process, gint64 now) { return print_number(process, "gid"); }
static char *print_threads(json_object *process, gint64 now) { return print_number(process, "threads"); }
static char *print_zero(json_object *process, gint64 now) { return g_strdup("0"); }

/* The guest's users are not the host's: only root has a name that means the same. */
static char *print_user(json_object *process, gint64 now) {
  return get_number(process, "uid") == 0 ? g_strdup("root") : print_uid(process, now);
}

static char *print_group(json_object *process, gint64 now) {
  return get_number(process, "gid") == 0 ? g_strdup("root") : print_gid(process, now);
}

/* Texts are the guest's too, and could tell the caller's terminal what to do. */
static char *print_state(json_object *process, gint64 now) { return error_clean_text(get_text(process, "state")); }

static char *print_command(json_object *process, gint64 now) { return error_clean_text(get_text(process, "command")); }

static char *print_arguments(json_object *process, gint64 now) {
  json_object *arguments = NULL;
  GString *line = g_string_new(NULL);
  gsize length = json_object_object_get_ex(process, "arguments", &arguments) ? json_object_array_length(arguments) : 0;
  for (gsize i = 0; i < length; i++)
    g_string_append_printf(line, "%s%s", i > 0 ? " " : "",
                           json_object_get_string(json_object_array_get_idx(arguments, i)));
  if (length == 0) g_string_append_printf(line, "[%s]", get_text(process, "command"));
  char *clean = error_clean_text(line->str);
  g_string_free(line, TRUE);
  return clean;
}

static char *print_terminal(json_object *process, gint64 now) {
  const char *name = get_text(process, "terminal");
  return error_clean_text(*name != '\0' ? name : "?");
}

static gint64 get_cpu_seconds(json_object *process) {
  return (get_number(process, "user_ms") + get_number(process, "system_ms")) / 1000;
}

/* [DD-]HH:MM:SS */
static char *print_span(gint64 seconds) {
  gint64 days = seconds / 86400;
  g_autofree char *clock = g_strdup_printf("%02" G_GINT64_FORMAT ":%02" G_GINT64_FORMAT ":%02" G_GINT64_FORMAT,
                                           seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
  return days > 0 ? g_strdup_printf("%" G_GINT64_FORMAT "-%s", days, clock) : g_steal_pointer(&clock);
}

static char *print_time(json_object *process, gint64 now) { return print_span(get_cpu_seconds(process)); }

static gint64 get_age(json_object *process, gint64 now) { return MAX(now - get_number(process, "started_at"), 0); }

static char *print_elapsed(json_object *process, gint64 now) {
  gint64 age = get_age(process, now);
  g_autofree char *span = print_span(age);
  return g_strdup(age < 3600 ? span + strlen("00:") : span);
}

static char *print_elapsed_seconds(json_object *process, gint64 now) {
  return g_strdup_printf("%" G_GINT64_FORMAT, get_age(process, now));
}

/* The hour of the last day, else the date. */
static char *print_start(json_object *process, gint64 now) {
  gint64 started = get_number(process, "started_at");
  g_autoptr(GDateTime) when = g_date_time_new_from_unix_local(started);
  return when != NULL ? g_date_time_format(when, now - started < 86400 ? "%H:%M" : "%b%d") : g_strdup("?");
}

/* In hundredths of one processor over its whole life. */
static gint64 get_cpu_percent(json_object *process, gint64 now, gint64 scale) {
  gint64 ms = get_number(process, "user_ms") + get_number(process, "system_ms");
  return ms * scale / (MAX(get_age(process, now), 1) * 10);
}

static char *print_c(json_object *process, gint64 now) {
  return g_strdup_printf("%" G_GINT64_FORMAT, MIN(get_cpu_percent(process, now, 1), 99));
}

static char *print_percent(json_object *process, gint64 now) {
  gint64 tenths = get_cpu_percent(process, now, 10);
  return g_strdup_printf("%" G_GINT64_FORMAT ".%" G_GINT64_FORMAT, tenths / 10, tenths % 10);
}

static char *print_resident(json_object *process, gint64 now) {
  return g_strdup_printf("%" G_GINT64_FORMAT, get_number(process, "resident_bytes") / 1024);
}

static const Column columns[] = {
    {" pid tgid ", "PID", FALSE, print_pid},
    {" ppid ", "PPID", FALSE, print_parent},
    {" cpid ", "CPID", FALSE, print_inner_pid},
    {" user euser uname ruser ", "USER", TRUE, print_user},
    {" uid euid ruid ", "UID", FALSE, print_uid},
    {" group egroup rgroup ", "GROUP", TRUE, print_group},
    {" gid egid rgid ", "GID", FALSE, print_gid},
    {" stat state s ", "STAT", TRUE, print_state},
    {" comm ucmd ucomm ", "COMMAND", TRUE, print_command},
    {" args cmd command ", "COMMAND", TRUE, print_arguments},
    {" tty tt tname ", "TTY", TRUE, print_terminal},
    {" time cputime ", "TIME", FALSE, print_time},
    {" etime ", "ELAPSED", FALSE, print_elapsed},
    {" etimes ", "ELAPSED", FALSE, print_elapsed_seconds},
    {" stime start bsdstart start_time lstart ", "START", TRUE, print_start},
    {" c ", "C", FALSE, print_c},
    {" pcpu %cpu ", "%CPU", FALSE, print_percent},
    {" rss rssize rsz ", "RSS", FALSE, print_resident},
    {" nlwp thcount ", "NLWP", FALSE, print_threads},
    {" nice ni ", "NI", FALSE, print_zero},
};

static const Column *find_column(const char *name) {
  g_autofree char *word = g_strdup_printf(" %s ", name);
  for (gsize i = 0; i < G_N_ELEMENTS(columns); i++)
    if (strstr(columns[i].names, word) != NULL) return &columns[i];
  return NULL;
}

/* ---- which of them ---- */

static void clear_shown(gpointer data) { g_free(((Shown *)data)->title); }

/* "NAME,NAME=TITLE ...": a title takes the rest, as in ps(1). */
static gboolean add_columns(ProcessTable *table, const char *list, GError **error) {
  while (*list != '\0') {
    gsize length = strcspn(list, ", =");
    g_autofree char *name = g_ascii_strdown(list, (gssize)length);
    const Column *column = find_column(name);
    if (column == NULL) {
      g_set_error(
          error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
          "ps: unknown column '%s': of guest processes pid, ppid, cpid (pid in the container), user, uid, group, "
          "gid, stat, comm, args, tty, time, etime, stime, c, pcpu, rss, nlwp can be shown",
          name);
      return FALSE;
    }
    gboolean titled = list[length] == '=';
    Shown shown = {.column = column, .title = g_strdup(titled ? list + length + 1 : column->title)};
    g_array_append_val(table->shown, shown);
    if (titled) return TRUE;
    list += length;
    list += strspn(list, ", ");
  }
  return TRUE;
}

/* The usual formats, under ps(1)'s titles. */
static void add_format(ProcessTable *table, gboolean bsd) {
  static const char *const full[] = {"user=UID", "pid", "ppid", "c", "stime=STIME", "tty", "time", "args=CMD", NULL};
  static const char *const user[] = {"user", "pid", "pcpu", "rss", "tty", "stat", "stime=START", "time", "args", NULL};
  for (const char *const *name = bsd ? user : full; *name != NULL; name++) add_columns(table, *name, NULL);
}

static gboolean take_option(ProcessTable *table, char *const **at, gboolean *ret_bsd, GError **error) {
  const char *option = **at;
  gboolean dashed = *option == '-';
  const char *letters = option + (dashed ? 1 : 0);
  for (; *letters != '\0'; letters++) {
    if (*letters == 'o' || *letters == 'O') {
      const char *list = letters + 1;
      if (*list == '\0' && (*at)[1] != NULL) list = *++*at;
      if (*list == '\0') {
        g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "ps: option -o needs a list of columns");
        return FALSE;
      }
      return add_columns(table, list, error);
    }
    if (strchr("eAafxwF", *letters) != NULL) continue; /* all processes, whole lines: as is */
    if (*letters == 'u') {
      *ret_bsd = TRUE;
      continue;
    }
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "ps: option '%s' is not known for processes of a guest: use -ef, aux or -o LIST", option);
    return FALSE;
  }
  return TRUE;
}

ProcessTable *process_table_new(char *const *options, GError **error) {
  g_autoptr(ProcessTable) table = g_new0(ProcessTable, 1);
  table->shown = g_array_new(FALSE, FALSE, sizeof(Shown));
  g_array_set_clear_func(table->shown, clear_shown);
  gboolean bsd = FALSE;
  for (char *const *at = options; *at != NULL; at++)
    if (!take_option(table, &at, &bsd, error)) return NULL;
  if (table->shown->len == 0) add_format(table, bsd);
  return g_steal_pointer(&table);
}

void process_table_free(ProcessTable *table) {
  if (table == NULL) return;
  g_array_unref(table->shown);
  g_free(table);
}

/* ---- printing ---- */

static void append_cell(GString *line, const char *text, gsize width, gboolean to_the_left, gboolean is_last) {
  gsize length = (gsize)g_utf8_strlen(text, -1);
  gsize padding = width > length ? width - length : 0;
  if (!to_the_left) g_string_append_printf(line, "%*s", (int)padding, "");
  g_string_append(line, text);
  if (to_the_left && !is_last) g_string_append_printf(line, "%*s", (int)padding, "");
  g_string_append_c(line, is_last ? '\n' : ' ');
}

char *process_table_print(const ProcessTable *table, json_object *processes, gint64 now) {
  gsize n_rows = json_object_array_length(processes) + 1, n_columns = table->shown->len;
  g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
  for (gsize r = 0; r < n_rows; r++) {
    for (gsize c = 0; c < n_columns; c++) {
      const Shown *shown = &g_array_index(table->shown, Shown, c);
      json_object *process = r > 0 ? json_object_array_get_idx(processes, r - 1) : NULL;
      g_ptr_array_add(cells, r > 0 ? shown->column->print(process, now) : g_strdup(shown->title));
    }
  }
  g_autofree gsize *widths = g_new0(gsize, n_columns);
  for (gsize i = 0; i < cells->len; i++)
    widths[i % n_columns] = MAX(widths[i % n_columns], (gsize)g_utf8_strlen(cells->pdata[i], -1));
  GString *text = g_string_new(NULL);
  for (gsize i = 0; i < cells->len; i++) {
    const Shown *shown = &g_array_index(table->shown, Shown, i % n_columns);
    append_cell(text, cells->pdata[i], widths[i % n_columns], shown->column->to_the_left,
                i % n_columns == n_columns - 1);
  }
  return g_string_free(text, FALSE);
}

static int compare_numbers(const void *a, const void *b) {
  gint64 left = json_object_get_int64(*(json_object *const *)a),
         right = json_object_get_int64(*(json_object *const *)b);
  return left < right ? -1 : left > right;
}

char *process_table_list_host_pids(json_object *processes) {
  json_object *pids = json_object_new_array();
  for (gsize i = 0; i < json_object_array_length(processes); i++) {
    gint64 pid = get_number(json_object_array_get_idx(processes, i), "host_pid");
    if (pid != 0) json_object_array_add(pids, json_object_new_int64(pid));
  }
  json_object_array_sort(pids, compare_numbers);
  gboolean is_empty = json_object_array_length(pids) == 0;
  char *text = g_strdup(is_empty ? "null" : json_object_to_json_string_ext(pids, JSON_C_TO_STRING_PLAIN));
  json_object_put(pids);
  return text;
}
