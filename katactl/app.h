/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all commands share: the global options, the library's context, how errors reach the caller. */
#pragma once

#include <glib.h>

#include "common/log.h"
#include "kata/kata.h"
#include "options.h"

typedef struct {
  kata_context *context;
  gboolean root_given; /* --root or KATA_ROOT, not the default */
} App;

typedef struct {
  const char *name;
  const char *operands; /* for the usage line: "ID [SIGNAL]" */
  const char *help;     /* one line */
  const Option *options;
  OptionsOrder order;
  int min_operands;
  int max_operands; /* -1: any number */
  /* Returns the exit status; with error set it is what the program ends with after the error was reported. */
  int (*run)(App *app, char **operands, GError **error);
} Command;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_context, kata_context_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_sandbox, kata_sandbox_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_container, kata_container_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_process, kata_process_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_settings, kata_settings_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_error, kata_error_free)

/* A local of this type is released with kata_free() when it goes out of scope. */
#define autokatafree __attribute__((cleanup(app_free_text)))
void app_free_text(char **text);

/* Turns the library's error into ours and frees it. */
void app_take_error(kata_error *err, GError **error);

/* Opens the log: file NULL is standard error. */
gboolean app_open_log(const char *file, const char *format, gboolean debug, GError **error);

/* To the log, and to standard error if the log is elsewhere. */
void app_report(const GError *error);

/* A container by its id, with runc's text when there is none. */
kata_container *app_open_container(App *app, const char *id, GError **error);

/* The sandbox of this id, or the one that holds the container of this id. */
kata_sandbox *app_open_sandbox_of(App *app, const char *id, GError **error);

/* A kata_container_status, or -1. */
int app_get_status(kata_container *container, GError **error);
