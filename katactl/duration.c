// SPDX-License-Identifier: LGPL-2.1-or-later
#include "duration.h"

#include <string.h>

#include "common/error.h"

static const struct {
  const char *name;
  double us;
} units[] = {{"ns", 1e-3}, {"us", 1}, {"\302\265s", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}};

/* The longest name first: "ms" before "m". */
static double take_unit(const char **at) {
  gsize best = 0;
  double us = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
    gsize length = strlen(units[i].name);
    if (length <= best || !g_str_has_prefix(*at, units[i].name)) continue;
    best = length;
    us = units[i].us;
  }
  *at += best;
  return us;
}

/* Digits with at most one point; FALSE if there are none. */
static gboolean take_number(const char **at, double *ret) {
  gsize whole = strspn(*at, "0123456789");
  gsize length = whole;
  if ((*at)[whole] == '.') length += 1 + strspn(*at + whole + 1, "0123456789");
  if (length == 0 || (length == 1 && whole == 0)) return FALSE;
  g_autofree char *digits = g_strndup(*at, length);
  *ret = g_ascii_strtod(digits, NULL);
  *at += length;
  return TRUE;
}

gboolean duration_parse(const char *text, gint64 *ret_us, GError **error) {
  const char *at = text;
  gboolean negative = *at == '-';
  if (*at == '-' || *at == '+') at++;
  double sum = 0, number = 0;
  gboolean good = *at != '\0';
  if (strcmp(at, "0") == 0) at++;
  while (good && *at != '\0') {
    double us = take_number(&at, &number) ? take_unit(&at) : 0;
    good = us > 0;
    sum += number * us;
  }
  if (!good || sum >= (double)G_MAXINT64 / 1000) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "invalid duration \"%s\": expected a number with a unit, such as 5s, 250ms or 1m30s", text);
    return FALSE;
  }
  *ret_us = (gint64)(negative ? -sum : sum);
  return TRUE;
}
