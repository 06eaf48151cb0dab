/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>

#include "common/error.h"
#include "common/fds.h"

gboolean entropy_add(const void *data, gsize size, GError **error) {
  if (size == 0 || size > ENTROPY_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "random data must be 1 to %u bytes, not %zu", ENTROPY_MAX,
                size);
    return FALSE;
  }
  autofd int fd = open("/dev/random", O_WRONLY | O_CLOEXEC);
  int bits = (int)size * 8;
  if (fd >= 0 && fd_write_all(fd, data, size) && ioctl(fd, RNDADDTOENTCNT, &bits) == 0 &&
      ioctl(fd, RNDRESEEDCRNG, 0) == 0)
    return TRUE;
  error_set_errno(error, errno, "cannot reseed '/dev/random'");
  return FALSE;
}
