// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/boot-slot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "common/fds.h"

#define LOOK_EVERY_MS 20

/* -1 with errno: EWOULDBLOCK if all are taken. */
static int take_free(const char *directory, guint n_slots) {
  for (guint i = 0; i < n_slots; i++) {
    g_autofree char *path = g_strdup_printf("%s/%u", directory, i);
    autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd_steal(&fd);
    if (errno != EWOULDBLOCK) return -1;
  }
  errno = EWOULDBLOCK;
  return -1;
}

int boot_slot_take(const char *directory, guint n_slots, guint patience_ms, BootSlotCancelled is_cancelled,
                   gpointer data) {
  if (g_mkdir_with_parents(directory, 0711) < 0) return -1;
  gint64 end = g_get_monotonic_time() + (gint64)patience_ms * 1000;
  for (;;) {
    int fd = take_free(directory, n_slots);
    if (fd >= 0 || errno != EWOULDBLOCK) return fd;
    if (is_cancelled(data) || g_get_monotonic_time() >= end) return -1;
    g_usleep(LOOK_EVERY_MS * 1000);
  }
}
