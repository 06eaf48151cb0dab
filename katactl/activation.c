// SPDX-License-Identifier: LGPL-2.1-or-later
#include "activation.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

static gint64 get_number(const char *name) {
  const char *text = g_getenv(name);
  return text != NULL ? g_ascii_strtoll(text, NULL, 10) : 0;
}

gboolean activation_check_descriptors(int preserve_fds, GError **error) {
  if (preserve_fds > 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "cannot pass %d descriptors into the container: a guest cannot hold descriptors of the host; leave "
                "--preserve-fds out",
                preserve_fds);
    return FALSE;
  }
  if (get_number("LISTEN_FDS") <= 0 || get_number("LISTEN_PID") != getpid()) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "cannot pass %" G_GINT64_FORMAT
              " sockets (LISTEN_FDS) into the container: a guest cannot hold descriptors of the host",
              get_number("LISTEN_FDS"));
  return FALSE;
}

/* A name that begins with "@" is in the abstract name space, unix(7). */
static gboolean make_address(const char *name, struct sockaddr_un *ret, socklen_t *ret_length) {
  gsize length = strlen(name);
  if (length < 2 || length >= sizeof ret->sun_path || (*name != '/' && *name != '@')) return FALSE;
  *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(ret->sun_path, name, length);
  if (*name == '@') ret->sun_path[0] = '\0';
  *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*name == '/' ? 1 : 0));
  return TRUE;
}

void activation_notify_ready(pid_t pid) {
  const char *name = g_getenv("NOTIFY_SOCKET");
  struct sockaddr_un address;
  socklen_t length = 0;
  if (name == NULL || *name == '\0') return;
  autofd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_autofree char *text = g_strdup_printf("MAINPID=%d\nREADY=1", (int)pid);
  if (fd >= 0 && make_address(name, &address, &length) &&
      sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, length) >= 0)
    return;
  g_autofree char *shown = error_clean_text(name);
  g_warning("cannot tell the service manager at '%s' that the container runs: %s", shown, g_strerror(errno));
}
