// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/console.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fds.h"
#include "lib/paths.h"

/* What of the console goes into an error. */
#define TAIL_BYTES 2048
#define LIMIT_BYTES (4 << 20)
#define LOOK_EVERY_SECONDS 10

static int open_console(const char *sandbox_dir, int flags) {
  g_autofree char *path = g_build_filename(sandbox_dir, PATHS_CONSOLE_LOG, NULL);
  return open(path, flags | O_CLOEXEC | O_NOFOLLOW);
}

char *console_tail(const char *sandbox_dir) {
  autofd int fd = open_console(sandbox_dir, O_RDONLY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0) return NULL;
  if (st.st_size > TAIL_BYTES) lseek(fd, -TAIL_BYTES, SEEK_END);
  char buffer[TAIL_BYTES];
  ssize_t got = fd_read_all(fd, buffer, sizeof buffer);
  if (got <= 0) return NULL;
  char *text = g_utf8_make_valid(buffer, got);
  /* Carriage returns and other control characters are the terminal's, not the reader's. */
  for (char *at = text; *at != '\0'; at++)
    if (g_ascii_iscntrl(*at) && *at != '\n') *at = ' ';
  return g_strchomp(text);
}

static gboolean on_look(gpointer sandbox_dir) {
  autofd int fd = open_console(sandbox_dir, O_WRONLY);
  struct stat st;
  if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > LIMIT_BYTES && ftruncate(fd, 0) == 0)
    g_message("the guest's console log had grown to %" G_GINT64_FORMAT " bytes and was emptied", (gint64)st.st_size);
  return G_SOURCE_CONTINUE;
}

guint console_watch(const char *sandbox_dir) {
  return g_timeout_add_seconds_full(G_PRIORITY_LOW, LOOK_EVERY_SECONDS, on_look, g_strdup(sandbox_dir), g_free);
}
