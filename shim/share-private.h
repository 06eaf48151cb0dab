/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of share*.c know of a share. */
#pragma once

#include "shim/share.h"

struct Share {
  char *directory;
  int plain_fd; /* the directory without the mounts below it, writable: where mount points are made */
  pid_t daemon_pid;
  int daemon_pidfd;
  gboolean has_caught_up;
  int daemon_log; /* what virtiofsd writes to its standard error */
};

void share_unfollow(Share *share, const char *name);
void share_unfollow_all(Share *share);
