// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/console.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "lib/paths.h"

/* What of the console goes into an error, and how far back a panic is looked for: its call trace is long. */
#define TAIL_BYTES 2048
#define PANIC_BYTES 16384
#define PANIC_WORDS "Kernel panic"
#define LIMIT_BYTES (4 << 20)
#define LOOK_EVERY_SECONDS 5

static int open_console(const char *sandbox_dir, int flags) {
  g_autofree char *path = g_build_filename(sandbox_dir, PATHS_CONSOLE_LOG, NULL);
  return open(path, flags | O_CLOEXEC | O_NOFOLLOW);
}

/* The end of text, beginning with a whole line; a panic's first line is in it. */
static const char *find_tail(const char *text, gsize length) {
  const char *start = length > TAIL_BYTES ? text + length - TAIL_BYTES : text;
  if (start > text && start[-1] != '\n') {
    const char *line = strchr(start, '\n');
    if (line != NULL) start = line + 1;
  }
  const char *panic = strstr(text, PANIC_WORDS);
  if (panic != NULL && panic < start)
    for (start = panic; start > text && start[-1] != '\n';) start--;
  return start;
}

static char *console_tail(const char *sandbox_dir) {
  autofd int fd = open_console(sandbox_dir, O_RDONLY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0) return NULL;
  if (st.st_size > PANIC_BYTES) lseek(fd, -PANIC_BYTES, SEEK_END);
  char text[PANIC_BYTES + 1];
  ssize_t got = fd_read_all(fd, text, PANIC_BYTES);
  if (got <= 0) return NULL;
  text[got] = '\0';
  /* Carriage returns and other control characters are the terminal's, not the reader's. */
  for (ssize_t i = 0; i < got; i++)
    if (g_ascii_iscntrl(text[i]) && text[i] != '\n') text[i] = ' ';
  const char *tail = find_tail(text, (gsize)got);
  return g_strchomp(g_utf8_make_valid(tail, (gssize)strnlen(tail, TAIL_BYTES)));
}

void console_explain(const char *sandbox_dir, GError *error) {
  g_autofree char *tail = error != NULL ? console_tail(sandbox_dir) : NULL;
  if (tail == NULL) return;
  error_append_detail(error, "last lines of the guest's console:");
  error_append_detail(error, tail);
}

void console_explain_loss(const char *sandbox_dir, GError *error) {
  if (g_error_matches(error, KATA_ERROR, KATA_ERR_UNAVAILABLE)) console_explain(sandbox_dir, error);
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
