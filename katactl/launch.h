/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a container in a sandbox of its own: what "create" and "run" share. */
#pragma once

#include <glib.h>

#include "app.h"

typedef struct {
  const char *id;
  const char *bundle; /* NULL: the current directory */
  const char *console_socket;
  const char *pidfd_socket;
  const char *pid_file;
  int preserve_fds;
  gboolean start;         /* and let it run */
  gboolean detach;        /* leave a monitor instead of staying */
  const char *checkpoint; /* directory to restore it from, or NULL */
  gboolean keep;          /* staying: do not delete it at the end */
} LaunchOptions;

/* Returns the exit status: of the container if katactl stays with it, else 0. After an error nothing of the container
 * is left. */
int launch_container(App *app, const LaunchOptions *options, GError **error);
