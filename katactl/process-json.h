/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process object of an exec: a template changed by what the command line says. */
#pragma once

#include <glib.h>

/* NULL, 0 or FALSE: not given. */
typedef struct {
  const char *const *args;    /* the command; always given */
  const char *cwd;            /* replaces */
  const char *user;           /* UID[:GID] */
  const char *apparmor;       /* replaces */
  const char *process_label;  /* replaces */
  const GPtrArray *env;       /* NAME=VALUE each, added */
  const GPtrArray *gids;      /* numbers as texts, added */
  const GPtrArray *caps;      /* with CAP_, added */
  gboolean no_new_privileges; /* set */
  gboolean terminal;          /* replaces, always */
} ProcessChanges;

/* Returns the changed object's JSON, to be freed with g_free(). */
char *process_json_change(const char *template_json, const ProcessChanges *changes, GError **error);

/* Whether a process object that a caller wrote asks for a terminal; where names it in the error. */
gboolean process_json_get_terminal(const char *process_json, const char *where, gboolean *ret_terminal, GError **error);
