// SPDX-License-Identifier: LGPL-2.1-or-later
#include "boot-chart.h"

/* Lengths in the picture's units. */
enum { NAME_WIDTH = 120, CHART_WIDTH = 600, TIME_WIDTH = 90, ROW = 24, BAR = 16, HEAD = 40, FOOT = 34 };
enum { MARKS = 8 }; /* on the axis, at most */

typedef struct {
  const char *name;
  gint64 begin, end;
} Bar;

/* ---- what there is to draw ---- */

static gint64 get_time(json_object *step, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(step, key, &value) ? json_object_get_int64(value) : 0;
}

static GArray *collect(json_object *steps) {
  GArray *bars = g_array_new(FALSE, FALSE, sizeof(Bar));
  for (gsize i = 0; i < json_object_array_length(steps); i++) {
    json_object *step = json_object_array_get_idx(steps, i), *name = NULL;
    Bar bar = {NULL, get_time(step, "begin_us"), get_time(step, "end_us")};
    if (!json_object_object_get_ex(step, "name", &name) || bar.begin < 0 || bar.end < bar.begin || bar.end == 0)
      continue;
    bar.name = json_object_get_string(name);
    g_array_append_val(bars, bar);
  }
  return bars;
}

static gint64 find_end(const GArray *bars) {
  gint64 end = 1;
  for (guint i = 0; i < bars->len; i++) end = MAX(end, g_array_index(bars, Bar, i).end);
  return end;
}

/* 1, 2 or 5 times a power of ten, so that there are no more marks than fit. */
static gint64 choose_distance(gint64 end) {
  static const gint64 factors[] = {1, 2, 5};
  for (gint64 power = 1; power < G_MAXINT64 / 100; power *= 10)
    for (guint i = 0; i < G_N_ELEMENTS(factors); i++)
      if (end / (power * factors[i]) <= MARKS) return power * factors[i];
  return end;
}

/* ---- drawing ---- */

/* Hundredths: a decimal comma of the user's language has no place here. */
static void append_length(GString *svg, const char *name, gint64 time, gint64 end, gint64 offset) {
  gint64 hundredths = (gint64)((gdouble)time / (gdouble)end * CHART_WIDTH * 100) + offset * 100;
  g_string_append_printf(svg, " %s=\"%" G_GINT64_FORMAT ".%02d\"", name, hundredths / 100, (int)(hundredths % 100));
}

static char *print_seconds(gint64 us) {
  return g_strdup_printf("%" G_GINT64_FORMAT ".%03d s", us / G_USEC_PER_SEC, (int)(us % G_USEC_PER_SEC / 1000));
}

static void draw_text(GString *svg, int y, const char *attributes, const char *text) {
  g_autofree char *clean = g_markup_escape_text(text, -1);
  g_string_append_printf(svg, "<text y=\"%d\" %s>%s</text>\n", y, attributes, clean);
}

static void draw_axis(GString *svg, gint64 end, int bottom) {
  gint64 distance = choose_distance(end);
  for (gint64 at = 0; at <= end; at += distance) {
    g_autofree char *text = print_seconds(at);
    g_string_append(svg, "<line stroke=\"#ddd\"");
    append_length(svg, "x1", at, end, NAME_WIDTH);
    append_length(svg, "x2", at, end, NAME_WIDTH);
    g_string_append_printf(svg, " y1=\"%d\" y2=\"%d\"/>\n<text fill=\"#777\" text-anchor=\"middle\"", HEAD, bottom);
    append_length(svg, "x", at, end, NAME_WIDTH);
    g_string_append_printf(svg, " y=\"%d\">%s</text>\n", bottom + 18, text);
  }
}

static void draw_bar(GString *svg, const Bar *bar, gint64 end, int y) {
  g_autofree char *took = print_seconds(bar->end - bar->begin);
  draw_text(svg, y + 13, "x=\"8\" fill=\"#222\"", bar->name);
  g_string_append_printf(svg, "<rect y=\"%d\" height=\"%d\" fill=\"#4477aa\"", y, BAR);
  append_length(svg, "x", bar->begin, end, NAME_WIDTH);
  append_length(svg, "width", bar->end - bar->begin, end, 0);
  g_autofree char *name = g_markup_escape_text(bar->name, -1);
  g_string_append_printf(svg, "><title>%s: %s</title></rect>\n<text fill=\"#222\"", name, took);
  append_length(svg, "x", bar->end, end, NAME_WIDTH + 6);
  g_string_append_printf(svg, " y=\"%d\">%s</text>\n", y + 13, took);
}

char *boot_chart_draw(const char *title, json_object *steps) {
  g_autoptr(GArray) bars = collect(steps);
  gint64 end = find_end(bars);
  int bottom = HEAD + (int)bars->len * ROW + 6, width = NAME_WIDTH + CHART_WIDTH + TIME_WIDTH;
  g_autofree char *took = print_seconds(end), *heading = g_strdup_printf("%s: %s", title, took);
  GString *svg = g_string_new("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
  g_string_append_printf(svg,
                         "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
                         "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" "
                         "fill=\"#fff\"/>\n",
                         width, bottom + FOOT, width, bottom + FOOT);
  draw_text(svg, 24, "x=\"8\" font-size=\"15\" fill=\"#222\"", heading);
  draw_axis(svg, end, bottom);
  for (guint i = 0; i < bars->len; i++) draw_bar(svg, &g_array_index(bars, Bar, i), end, HEAD + 6 + (int)i * ROW);
  g_string_append(svg, "</svg>\n");
  return g_string_free(svg, FALSE);
}
