/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Command-line options the way runc takes them (Go's flag package): --name value,
 * --name=value, the same with one dash, booleans as --flag or --flag=false.
 */
#pragma once

#include <glib.h>
#include <stdio.h>

typedef enum {
  OPTION_FLAG,   /* target: gboolean */
  OPTION_TEXT,   /* target: const char *, stays argv's */
  OPTION_TEXTS,  /* may come more than once; target: GPtrArray *, made at the first one, texts stay argv's */
  OPTION_NUMBER, /* target: int, from 0 up */
} OptionKind;

typedef struct {
  const char *name; /* without dashes; NULL ends a table */
  char letter;      /* short name, or 0 */
  OptionKind kind;
  void *target;      /* NULL: taken and forgotten */
  const char *value; /* word for the value in the help; NULL for flags */
  const char *help;  /* NULL: not shown */
} Option;

/* clang-format off */
#define OPTIONS_END { NULL, 0, OPTION_FLAG, NULL, NULL, NULL }
/* clang-format on */

typedef enum {
  OPTIONS_ANYWHERE,       /* before, between and after the other arguments */
  OPTIONS_BEFORE_OPERANDS /* the first other argument ends them: the rest belongs to another program */
} OptionsOrder;

/* Sets the targets from argv (NULL-terminated, without the command's name). "--" ends the options.
 * ret_operands: the other arguments, to be freed with g_free(), its texts stay argv's.
 * ret_help: set when -h or --help is there; everything else is then left unread. */
gboolean options_parse(const Option *options, OptionsOrder order, char **argv, char ***ret_operands, gboolean *ret_help,
                       GError **error);

/* One line for each option. */
void options_print(const Option *options, FILE *out);
