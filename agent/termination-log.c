/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/termination-log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/mount.h"
#include "common/fds.h"

#define ANNOTATION_PATH "io.kubernetes.container.terminationMessagePath"

char *termination_log_find(const OciSpec *spec) {
  const char *path = oci_spec_get_annotation(spec, ANNOTATION_PATH);
  for (gsize i = 0; path && i < spec->n_mounts; i++)
    if (strcmp(spec->mounts[i]->destination, path) == 0) return g_strdup(spec->mounts[i]->source);
  return NULL;
}

char *termination_log_read(const char *path) {
  char text[TERMINATION_LOG_MAX];
  struct stat info;
  /* The container writes it, and could put anything there. */
  autofd int fd = path ? mount_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, NULL) : -1;
  ssize_t length = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? fd_read_all(fd, text, sizeof text) : 0;
  return g_utf8_make_valid(text, MAX(length, 0));
}
