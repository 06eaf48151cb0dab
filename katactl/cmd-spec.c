// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "common/error.h"
#include "common/fds.h"

static const char *bundle;
static gboolean rootless;

const Option spec_options[] = {{"bundle", 'b', OPTION_TEXT, &bundle, "DIR", "where to write it (default: here)"},
                               {"rootless", 0, OPTION_FLAG, &rootless, NULL, "for a user without rights on the host"},
                               OPTIONS_END};

int cmd_spec(App *app, char **operands, GError **error) {
  g_autofree char *path = g_build_filename(bundle != NULL ? bundle : "", "config.json", NULL);
  kata_error *err = NULL;
  autokatafree char *text = kata_oci_spec(rootless ? KATA_OCI_SPEC_ROOTLESS : 0, &err);
  if (text == NULL) {
    app_take_error(err, error);
    return 1;
  }
  autofd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
  if (fd < 0 && errno == EEXIST) {
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "File %s exists. Remove it first", path);
    return 1;
  }
  if (fd < 0) {
    error_set_errno(error, errno, "cannot write '%s'", path);
    return 1;
  }
  if (fd_write_all(fd, text, strlen(text))) return 0;
  error_set_errno(error, errno, "cannot write '%s'", path);
  unlink(path);
  return 1;
}
