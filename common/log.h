/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Log lines of our programs: g_debug() to g_warning() go where log_open() says, in runc's
 * and containerd's form: time="..." level=... msg="..." or one JSON object a line.
 * libkata itself never logs.
 */
#pragma once

#include <glib.h>

typedef enum { LOG_FORMAT_TEXT, LOG_FORMAT_JSON } LogFormat;

/* fd stays the caller's and must outlive the log; level: lines less grave are dropped. */
void log_open(int fd, LogFormat format, GLogLevelFlags level);

/* Every line also goes to fd, which must outlive the log; what its reader does not take in time is lost. */
void log_copy_to(int fd);

/* For a program that nothing may hold up: lines that the reader, at a descriptor that does not block, does not take at
 * once wait in a queue of max bytes; those beyond it are lost, which is said later. The default main loop writes them.
 * No other thread may log. */
void log_set_queue(gsize max);

/* Where in the sources a line comes from. */
typedef struct {
  const char *file; /* of this tree */
  const char *line;
  const char *function;
} LogPlace;

/* One line of level "error", whatever log_open() was told. */
#define log_error(message) log_error_at(message, &(LogPlace){__FILE__, G_STRINGIFY(__LINE__), G_STRFUNC})
void log_error_at(const char *message, const LogPlace *place);

/* Each line whose place is known tells it, as runc's do with --debug. */
void log_tell_places(gboolean tells);

/* The line itself, with its newline; for tests and for writers of their own. time_us: as g_get_real_time(); place may
 * be NULL. */
char *log_format_line(LogFormat format, const char *level, const char *message, gint64 time_us, const LogPlace *place);
