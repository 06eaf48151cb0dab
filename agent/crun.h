/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* crun, the program that makes and changes containers: run beside the main loop, its complaint as the error. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "agent/reap.h"

/* Where crun keeps what it knows of its containers, and we the sockets it answers on. Not below /run/kata-containers,
 * where every name is a container's id. */
#define CRUN_STATE_DIR "/run/kata-agent"
/* How long one run may take before it is killed. */
#define CRUN_TIMEOUT_MS 60000
/* The most of crun's own words that is read. */
#define CRUN_MESSAGE_MAX 65536

/* error: NULL, or what crun said. pid: what crun wrote to its --pid-file, 0 if it was not asked for one. */
typedef void (*CrunFunc)(const GError *error, pid_t pid, gpointer user_data);

typedef struct {
  /* The command and its options, NULL-terminated; the container's id comes last. */
  const char *const *arguments;
  const char *id;
  /* Those of the new process; NULL: none. */
  const int *stdio;
  /* A document to be passed as a file, and the option that names it; NULL: none. */
  const char *document_option;
  const char *document;
  /* Ask for the new process's pid. */
  gboolean wants_pid;
} CrunRequest;

/* Starts crun; func is called once from the main loop, unless this fails. */
gboolean crun_start(Reaper *reaper, const CrunRequest *request, CrunFunc func, gpointer user_data, GError **error);

/* Lets a created container go on to its program, as "crun start" does, but without running a program for that: under an
 * emulated CPU that is most of the time a start takes. FALSE: it did not work that way; crun must do it. */
gboolean crun_release(const char *id);

/* Forgets a container that has no process and no cgroup any more, as "crun delete" does. */
gboolean crun_forget(const char *id, GError **error);

/* crun as if called by hand: "create", "delete". For messages. */
#define CRUN_VERB(request) ((request)->arguments[0])

/* The socket crun sends a terminal's master to. */
typedef struct CrunConsole CrunConsole;
CrunConsole *crun_console_new(GError **error);
void crun_console_free(CrunConsole *console);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CrunConsole, crun_console_free)
const char *crun_console_get_path(const CrunConsole *console);
/* After crun has ended well: the master, close-on-exec. */
int crun_console_receive(CrunConsole *console, GError **error);
