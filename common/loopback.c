// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/loopback.h"

#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/fds.h"

gboolean loopback_set_up(GError **error) {
  autofd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {.ifr_name = "lo"};
  if (fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) == 0) return TRUE;
  }
  error_set_errno(error, errno, "cannot set up the loopback device of a network namespace");
  return FALSE;
}
