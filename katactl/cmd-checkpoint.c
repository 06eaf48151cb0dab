// SPDX-License-Identifier: LGPL-2.1-or-later
/* checkpoint and restore: of the whole guest. What CRIU needs to know of processes has no meaning then. */
#include <string.h>

#include "commands.h"
#include "common/error.h"
#include "common/ids.h"
#include "launch.h"

/* runc's, below the current directory. */
#define DEFAULT_DIRECTORY "checkpoint"

static struct {
  const char *directory;
  gboolean leave_running, pre_dump, lazy_pages;
  const char *page_server;
} checkpoint = {.directory = DEFAULT_DIRECTORY};

static gboolean restores_lazily;
static LaunchOptions restore = {.checkpoint = DEFAULT_DIRECTORY, .start = TRUE};

const Option checkpoint_options[] = {
    {"image-path", 0, OPTION_TEXT, &checkpoint.directory, "DIR", "where to keep the image (default: ./checkpoint)"},
    {"work-path", 0, OPTION_TEXT, NULL, "DIR", "accepted"},
    {"parent-path", 0, OPTION_TEXT, NULL, "DIR", "accepted"},
    {"leave-running", 0, OPTION_FLAG, &checkpoint.leave_running, NULL, "let the container go on"},
    {"tcp-established", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"tcp-skip-in-flight", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"link-remap", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"ext-unix-sk", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"shell-job", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"lazy-pages", 0, OPTION_FLAG, &checkpoint.lazy_pages, NULL, "refused"},
    {"status-fd", 0, OPTION_NUMBER, NULL, "N", "accepted"},
    {"page-server", 0, OPTION_TEXT, &checkpoint.page_server, "ADDRESS:PORT", "refused"},
    {"file-locks", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"pre-dump", 0, OPTION_FLAG, &checkpoint.pre_dump, NULL, "refused"},
    {"manage-cgroups-mode", 0, OPTION_TEXT, NULL, "MODE", "accepted"},
    {"empty-ns", 0, OPTION_TEXTS, NULL, "NAMESPACE", "accepted"},
    {"auto-dedup", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    OPTIONS_END};

const Option restore_options[] = {
    {"console-socket", 0, OPTION_TEXT, &restore.console_socket, "PATH", "unix socket that gets the terminal's master"},
    {"image-path", 0, OPTION_TEXT, &restore.checkpoint, "DIR", "where the image is (default: ./checkpoint)"},
    {"work-path", 0, OPTION_TEXT, NULL, "DIR", "accepted"},
    {"bundle", 'b', OPTION_TEXT, &restore.bundle, "DIR", "directory with config.json"},
    {"detach", 'd', OPTION_FLAG, &restore.detach, NULL, "leave it running and return"},
    {"pid-file", 0, OPTION_TEXT, &restore.pid_file, "FILE", "where to write the process's id on the host"},
    {"tcp-established", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"ext-unix-sk", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"shell-job", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"file-locks", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"manage-cgroups-mode", 0, OPTION_TEXT, NULL, "MODE", "accepted"},
    {"no-subreaper", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"no-pivot", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"empty-ns", 0, OPTION_TEXTS, NULL, "NAMESPACE", "accepted"},
    {"auto-dedup", 0, OPTION_FLAG, NULL, NULL, "accepted"},
    {"lazy-pages", 0, OPTION_FLAG, &restores_lazily, NULL, "refused"},
    {"lsm-profile", 0, OPTION_TEXT, NULL, "PROFILE", "accepted"},
    {"lsm-mount-context", 0, OPTION_TEXT, NULL, "CONTEXT", "accepted"},
    OPTIONS_END};

static gboolean check_options(GError **error) {
  const char *refused = checkpoint.pre_dump      ? "pre-dump"
                        : checkpoint.lazy_pages  ? "lazy-pages"
                        : checkpoint.page_server ? "page-server"
                                                 : NULL;
  if (refused == NULL) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "cannot checkpoint with --%s: a guest is saved as a whole, at once and to files", refused);
  return FALSE;
}

int cmd_checkpoint(App *app, char **operands, GError **error) {
  g_autoptr(kata_container) container = app_open_container(app, operands[0], error);
  int status = container != NULL ? app_get_status(container, error) : -1;
  if (status < 0 || !check_options(error)) return 1;
  if (status != KATA_CONTAINER_RUNNING && status != KATA_CONTAINER_PAUSED) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "Container cannot be checkpointed in %s state",
                status == KATA_CONTAINER_CREATED ? "created" : "stopped");
    return 1;
  }
  kata_error *err = NULL;
  uint32_t flags = checkpoint.leave_running ? KATA_CHECKPOINT_LEAVE_RUNNING : 0;
  uint32_t all = KATA_CONTAINER_DELETE_FORCE | KATA_CONTAINER_DELETE_SANDBOX;
  if (kata_container_checkpoint(container, checkpoint.directory, flags, &err) == 0 &&
      (checkpoint.leave_running || kata_container_delete(container, all, NULL, &err) == 0))
    return 0;
  app_take_error(err, error);
  return 1;
}

int cmd_restore(App *app, char **operands, GError **error) {
  if (!id_check(operands[0], "container", error)) return 1;
  if (restores_lazily) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "cannot restore with --lazy-pages: a guest is restored as a whole, from files");
    return 1;
  }
  g_autoptr(kata_container) container = kata_container_open(app->context, operands[0], 0, NULL);
  if (container != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "container with given ID already exists");
    return 1;
  }
  restore.id = operands[0];
  int status = launch_container(app, &restore, error);
  if (*error != NULL) g_prefix_error(error, "katactl restore failed: ");
  return status;
}
