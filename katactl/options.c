// SPDX-License-Identifier: LGPL-2.1-or-later
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"

static const Option *find_option(const Option *options, const char *name, gsize length) {
  for (const Option *option = options; option->name != NULL; option++) {
    if (strlen(option->name) == length && strncmp(option->name, name, length) == 0) return option;
    if (length == 1 && option->letter == name[0]) return option;
  }
  return NULL;
}

/* The spellings of Go's strconv.ParseBool. */
static gboolean parse_bool(const char *text, gboolean *ret) {
  static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True", NULL};
  static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False", NULL};
  gboolean value = g_strv_contains(yes, text);
  if (!value && !g_strv_contains(no, text)) return FALSE;
  *ret = value;
  return TRUE;
}

static gboolean parse_number(const char *text, int *ret) {
  char *end = NULL;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || value < 0 || value > G_MAXINT) return FALSE;
  *ret = (int)value;
  return TRUE;
}

static gboolean set_target(const Option *option, const char *value, GError **error) {
  gboolean flag = FALSE;
  int number = 0;
  switch (option->kind) {
    case OPTION_FLAG:
      if (!parse_bool(value, &flag)) {
        g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid boolean value \"%s\" for -%s: parse error",
                    value, option->name);
        return FALSE;
      }
      if (option->target != NULL) *(gboolean *)option->target = flag;
      return TRUE;
    case OPTION_NUMBER:
      if (!parse_number(value, &number)) {
        g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid value \"%s\" for flag -%s: parse error",
                    value, option->name);
        return FALSE;
      }
      if (option->target != NULL) *(int *)option->target = number;
      return TRUE;
    case OPTION_TEXTS:
      if (option->target != NULL) {
        GPtrArray **list = option->target;
        if (*list == NULL) *list = g_ptr_array_new();
        g_ptr_array_add(*list, (gpointer)value);
      }
      return TRUE;
    case OPTION_TEXT:
      if (option->target != NULL) *(const char **)option->target = value;
      return TRUE;
  }
  return TRUE;
}

/* Takes the option at *argv and leaves *argv at the last argument it used. */
static gboolean take_option(const Option *options, char ***argv, gboolean *help, GError **error) {
  const char *name = **argv + (g_str_has_prefix(**argv, "--") ? 2 : 1);
  const char *equals = strchr(name, '=');
  gsize length = equals != NULL ? (gsize)(equals - name) : strlen(name);
  const Option *option = find_option(options, name, length);
  if (option == NULL) {
    if (strcmp(name, "help") == 0 || strcmp(name, "h") == 0) {
      *help = TRUE;
      return TRUE;
    }
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "flag provided but not defined: -%.*s", (int)length,
                name);
    return FALSE;
  }
  if (equals != NULL) return set_target(option, equals + 1, error);
  if (option->kind == OPTION_FLAG) return set_target(option, "true", error);
  if ((*argv)[1] == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "flag needs an argument: -%.*s", (int)length, name);
    return FALSE;
  }
  *argv += 1;
  return set_target(option, **argv, error);
}

gboolean options_parse(const Option *options, OptionsOrder order, char **argv, char ***ret_operands, gboolean *ret_help,
                       GError **error) {
  g_autoptr(GPtrArray) operands = g_ptr_array_new();
  gboolean help = FALSE, ended = FALSE;
  for (; *argv != NULL && !help; argv++) {
    const char *argument = *argv;
    if (ended || argument[0] != '-' || argument[1] == '\0') {
      g_ptr_array_add(operands, *argv);
      if (order == OPTIONS_BEFORE_OPERANDS) ended = TRUE;
    } else if (strcmp(argument, "--") == 0) {
      ended = TRUE;
    } else if (!take_option(options, &argv, &help, error)) {
      return FALSE;
    }
  }
  g_ptr_array_add(operands, NULL);
  *ret_operands = (char **)g_ptr_array_free(g_steal_pointer(&operands), FALSE);
  *ret_help = help;
  return TRUE;
}

void options_print(const Option *options, FILE *out) {
  for (const Option *option = options; option->name != NULL; option++) {
    if (option->help == NULL) continue;
    g_autoptr(GString) left = g_string_new(NULL);
    g_string_append_printf(left, "--%s", option->name);
    if (option->letter != 0) g_string_append_printf(left, ", -%c", option->letter);
    if (option->value != NULL) g_string_append_printf(left, " %s", option->value);
    fprintf(out, "   %-27s  %s\n", left->str, option->help);
  }
  fprintf(out, "   %-27s  %s\n", "--help, -h", "show this text");
}
