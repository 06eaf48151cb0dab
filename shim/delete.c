// SPDX-License-Identifier: LGPL-2.1-or-later
/* The actions "delete", with which containerd cleans up when the owner has gone, and "-info". */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ttrpc.h"
#include "kata/version.h"
#include "lib/paths.h"
#include "proto/shim-info.pb-c.h"
#include "proto/shim-task.pb-c.h"
#include "shim/rootfs-layers.h"
#include "shim/sandbox-dir.h"
#include "shim/start-input.h"
#include "shim/start.h"
#include "shim/store.h"
#include "shim/times.h"

/* containerd waits 5 s for it all: one attempt to reach the owner and three calls. */
#define DIAL_MS 500
#define CALL_MS 1400
/* Killed, as containerd's own shim answers. */
#define STATUS_KILLED 137

typedef struct {
  guint32 pid;
  guint32 exit_status;
  gint64 exited_at;
} Result;

static gboolean print_message(const ProtobufCMessage *message) {
  gsize size = protobuf_c_message_get_packed_size(message);
  g_autofree guint8 *packed = g_malloc(MAX(size, 1));
  protobuf_c_message_pack(message, packed);
  return fd_write_all(STDOUT_FILENO, packed, size);
}

/* ---- delete ---- */

/* What a container that had ended before said; the others are killed now. state: may be NULL. */
static Result read_result(const Kata__V1__SandboxState *state, const char *id) {
  Result result = {0, STATUS_KILLED, g_get_real_time()};
  for (size_t i = 0; state != NULL && i < state->n_containers; i++) {
    const Kata__V1__ContainerState *container = state->containers[i];
    if (container->info == NULL || container->init == NULL || strcmp(container->info->id, id) != 0) continue;
    result.pid = container->init->host_pid != 0 ? container->init->host_pid : state->qemu_pid;
    if (strcmp(container->init->status, "stopped") != 0) continue;
    result.exit_status = container->init->exit_status;
    result.exited_at = time_from_message(container->init->exited_at);
  }
  return result;
}

static gboolean has_others(const Kata__V1__SandboxState *state, const char *id) {
  for (size_t i = 0; state != NULL && i < state->n_containers; i++)
    if (state->containers[i]->info != NULL && strcmp(state->containers[i]->info->id, id) != 0) return TRUE;
  return FALSE;
}

/* It may have ended by itself; only one that is not heard is an error here. */
static gboolean end_container(TtrpcClient *owner, const char *id, GError **error) {
  g_autoptr(GError) why = NULL;
  Containerd__Task__V2__KillRequest kill_request = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
  Containerd__Task__V2__WaitRequest wait_request = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
  kill_request.id = wait_request.id = (char *)id;
  kill_request.signal = SIGKILL;
  kill_request.all = TRUE;
  const ProtobufCServiceDescriptor *task = &containerd__task__v2__task__descriptor;
  if (!ttrpc_client_invoke(owner, task, "Kill", &kill_request.base, CALL_MS, NULL, &why) &&
      error_get_code(why) == KATA_ERR_TIMEOUT) {
    g_propagate_error(error, g_steal_pointer(&why));
    return FALSE;
  }
  ttrpc_client_invoke(owner, task, "Wait", &wait_request.base, CALL_MS, NULL, NULL);
  return TRUE;
}

static gboolean delete_by_owner(const char *dir, const char *id, GError **error) {
  g_autofree char *address = g_strdup_printf("unix://%s/%s", dir, PATHS_OWNER_SOCKET);
  int fd = ttrpc_dial(address, DIAL_MS, error);
  if (fd < 0) return FALSE;
  g_autoptr(TtrpcClient) owner = ttrpc_client_new(fd, TTRPC_STREAM_SOCKET);
  g_autoptr(GError) why = NULL;
  Containerd__Task__V2__DeleteRequest request = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
  request.id = (char *)id;
  if (!end_container(owner, id, error)) return FALSE;
  if (ttrpc_client_invoke(owner, &containerd__task__v2__task__descriptor, "Delete", &request.base, CALL_MS, NULL,
                          &why) ||
      error_get_code(why) == KATA_ERR_NOT_FOUND)
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}

static gboolean owner_lives(const char *dir) {
  g_autoptr(GError) why = NULL;
  autofd int lock = sandbox_dir_lock(dir, &why);
  return lock < 0 && error_get_code(why) == KATA_ERR_ALREADY_EXISTS;
}

/* An owner that lives could put back what is removed. */
static gboolean remove_sandbox(const char *root, const char *dir, GError **error) {
  pid_t owner = sandbox_dir_read_owner(dir);
  if (owner > 1 && owner_lives(dir)) kill(owner, SIGKILL);
  return sandbox_dir_remove(root, dir, error);
}

/* A sandbox that has other containers is its owner's as long as that lives, however slow it is. Without its owner
 * nobody can say anything of it: containerd takes all its containers for dead. */
static gboolean remove_from_pod(const char *root, const char *dir, const char *id, GError **error) {
  if (!owner_lives(dir)) return remove_sandbox(root, dir, error);
  g_autoptr(GError) why = NULL;
  if (delete_by_owner(dir, id, &why)) return TRUE;
  if (!owner_lives(dir)) return remove_sandbox(root, dir, error); /* it was just ending */
  g_set_error(error, KATA_ERROR, error_get_code(why),
              "cannot delete container '%s': the owner of its sandbox (process %d) lives, and did not delete it: %s; "
              "nothing was removed, try again",
              id, (int)sandbox_dir_read_owner(dir), why->message);
  return FALSE;
}

static gboolean is_directory(const char *path) { return g_file_test(path, G_FILE_TEST_IS_DIR); }

/* Of the sandbox that holds a container, by its link; NULL if there is none, or none any more. */
static char *find_container_dir(const char *root, const char *id) {
  g_autofree char *link = paths_container_link(root, id);
  g_autofree char *target = g_file_read_link(link, NULL);
  g_autofree char *key = target != NULL ? g_path_get_basename(target) : NULL;
  g_autofree char *place = key != NULL ? g_build_filename(root, PATHS_SANDBOXES, key, NULL) : NULL;
  if (place == NULL) return NULL;
  if (!is_directory(place)) {
    unlink(link);
    return NULL;
  }
  char *outside = g_file_read_link(place, NULL);
  return outside != NULL ? outside : g_steal_pointer(&place);
}

static gboolean delete_all_of(const char *root, const char *id, Result *ret, GError **error) {
  g_autofree char *own = sandbox_dir_find(root, id);
  gboolean is_own = is_directory(own);
  g_autofree char *dir = is_own ? g_steal_pointer(&own) : find_container_dir(root, id);
  g_autoptr(Kata__V1__SandboxState) state = dir != NULL ? store_load(dir, NULL) : NULL;
  *ret = read_result(state, id);
  if (dir == NULL) return TRUE;
  return is_own && !has_others(state, id) ? remove_sandbox(root, dir, error) : remove_from_pod(root, dir, id, error);
}

int action_delete(const ShimOptions *options) {
  g_autofree char *root = start_get_root(options);
  g_autoptr(GError) error = NULL;
  Result result;
  if (!start_check_options(options, root, &error) || !delete_all_of(root, options->id, &result, &error))
    return action_report(options, error);
  Google__Protobuf__Timestamp when = time_to_message(result.exited_at);
  Containerd__Task__V2__DeleteResponse reply = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
  reply.pid = result.pid;
  reply.exit_status = result.exit_status;
  reply.exited_at = &when;
  return print_message(&reply.base) ? 0 : 1;
}

/* ---- -info ---- */

/* Layers that are to be plugged in are left to us, unless the settings (which may be wrong: the start says so) forbid
 * it. */
static gboolean may_plug(const StartInput *input) {
  g_autoptr(kata_settings) settings = start_input_load_settings(input, NULL);
  return settings == NULL || !settings_get_bool(settings, "hypervisor.qemu", "disable_block_device_use");
}

int action_info(const ShimOptions *options) {
  g_auto(StartInput) input = {0};
  g_autoptr(GError) error = NULL;
  if (!start_input_read(&input, options->id, &error)) return action_report(options, error);
  Containerd__Types__RuntimeInfo__AnnotationsEntry types = CONTAINERD__TYPES__RUNTIME_INFO__ANNOTATIONS_ENTRY__INIT;
  Containerd__Types__RuntimeInfo__AnnotationsEntry *annotations[] = {&types};
  Containerd__Types__RuntimeVersion version = CONTAINERD__TYPES__RUNTIME_VERSION__INIT;
  Containerd__Types__RuntimeInfo info = CONTAINERD__TYPES__RUNTIME_INFO__INIT;
  version.version = (char *)KATA_VERSION;
  info.name = (char *)"io.containerd.kata.v2";
  info.version = &version;
  info.options = input.any;
  types.key = (char *)"containerd.io/runtime-allow-mounts";
  types.value = (char *)ROOTFS_LAYERS_TYPES;
  info.annotations = annotations;
  info.n_annotations = may_plug(&input) ? 1 : 0;
  return print_message(&info.base) ? 0 : 1;
}
