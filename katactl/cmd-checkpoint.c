// SPDX-License-Identifier: LGPL-2.1-or-later
/* checkpoint and restore: understood as runc does, and refused for the reason that holds. */
#include <string.h>

#include "commands.h"
#include "common/error.h"
#include "common/ids.h"

const Option checkpoint_options[] = {{"image-path", 0, OPTION_TEXT, NULL, "DIR", "where to keep the image"},
                                     {"work-path", 0, OPTION_TEXT, NULL, "DIR", "where to work"},
                                     {"parent-path", 0, OPTION_TEXT, NULL, "DIR", "an earlier image"},
                                     {"leave-running", 0, OPTION_FLAG, NULL, NULL, "let the container go on"},
                                     {"tcp-established", 0, OPTION_FLAG, NULL, NULL, "accepted"},
                                     {"tcp-skip-in-flight", 0, OPTION_FLAG, NULL, NULL, "accepted"},
                                     {"link-remap", 0, OPTION_FLAG, NULL, NULL, "accepted"},
                                     {"ext-unix-sk", 0, OPTION_FLAG, NULL, NULL, "accepted"},
                                     {"shell-job", 0, OPTION_FLAG, NULL, NULL, "accepted"},
                                     {"lazy-pages", 0, OPTION_FLAG, NULL, NULL, "accepted"},
                                     {"status-fd", 0, OPTION_NUMBER, NULL, "N", "accepted"},
                                     {"page-server", 0, OPTION_TEXT, NULL, "ADDRESS:PORT", "accepted"},
                                     {"file-locks", 0, OPTION_FLAG, NULL, NULL, "accepted"},
                                     {"pre-dump", 0, OPTION_FLAG, NULL, NULL, "accepted"},
                                     {"manage-cgroups-mode", 0, OPTION_TEXT, NULL, "MODE", "accepted"},
                                     {"empty-ns", 0, OPTION_TEXTS, NULL, "NAMESPACE", "accepted"},
                                     {"auto-dedup", 0, OPTION_FLAG, NULL, NULL, "accepted"},
                                     OPTIONS_END};

const Option restore_options[] = {
    {"console-socket", 0, OPTION_TEXT, NULL, "PATH", "unix socket that gets the terminal's master"},
    {"image-path", 0, OPTION_TEXT, NULL, "DIR", "where the image is"},
    {"work-path", 0, OPTION_TEXT, NULL, "DIR", "where to work"},
    {"bundle", 'b', OPTION_TEXT, NULL, "DIR", "directory with config.json"},
    {"detach", 'd', OPTION_FLAG, NULL, NULL, "leave it running and return"},
    {"pid-file", 0, OPTION_TEXT, NULL, "FILE", "where to write the process's id on the host"},
    {"tcp-established", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"ext-unix-sk", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"shell-job", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"file-locks", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"manage-cgroups-mode", 0, OPTION_TEXT, NULL, "MODE", "accepted"},
    {"no-subreaper", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"no-pivot", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"empty-ns", 0, OPTION_TEXTS, NULL, "NAMESPACE", "accepted"},
    {"auto-dedup", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"lazy-pages", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"lsm-profile", 0, OPTION_TEXT, NULL, "PROFILE", "accepted"},
    {"lsm-mount-context", 0, OPTION_TEXT, NULL, "CONTEXT", "accepted"},
    OPTIONS_END};

int cmd_checkpoint(App *app, char **operands, GError **error) {
  g_autoptr(kata_container) container = app_open_container(app, operands[0], error);
  int status = container != NULL ? app_get_status(container, error) : -1;
  if (status < 0) return 1;
  if (status != KATA_CONTAINER_RUNNING && status != KATA_CONTAINER_PAUSED) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "Container cannot be checkpointed in %s state",
                status == KATA_CONTAINER_CREATED ? "created" : "stopped");
    return 1;
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "cannot checkpoint container '%s': its files are on virtio-fs, and QEMU cannot save a machine that has a "
              "virtio-fs device",
              operands[0]);
  return 1;
}

int cmd_restore(App *app, char **operands, GError **error) {
  if (!id_check(operands[0], "container", error)) return 1;
  g_autoptr(kata_container) container = kata_container_open(app->context, operands[0], 0, NULL);
  if (container != NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "container with given ID already exists");
  else
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "cannot restore container '%s': no container of this runtime can be checkpointed, for QEMU cannot save "
                "a machine that has a virtio-fs device",
                operands[0]);
  return 1;
}
