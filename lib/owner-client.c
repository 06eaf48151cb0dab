// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/owner-client.h"

#include <errno.h>
#include <json-c/json.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/safe-path.h"
#include "common/ttrpc.h"
#include "lib/owner-start.h"
#include "lib/paths.h"

/* A sandbox's state file may be this long. */
#define STATE_LIMIT (16u << 20)
/* An owner that has told its address listens already. */
#define DIAL_NEW_OWNER_MS 5000
/* Mounts, QEMU and virtiofsd may take this long to go. */
#define GONE_MS 30000
#define GONE_POLL_MS 5
/* How often a question is put again to a new owner, and how long an old one gets to end meanwhile: until it has, its
 * socket takes connections and resets them. */
#define ASK_RETRIES 8
#define ASK_AGAIN_US 20000

void owner_reply_free(OwnerReply *reply) {
  if (reply != NULL) protobuf_c_message_free_unpacked(reply, NULL);
}

gboolean owner_exists(const kata_context *ctx, const char *sandbox_id) {
  g_autofree char *directory = paths_sandbox_dir(ctx->root, sandbox_id);
  return access(directory, F_OK) == 0 || errno != ENOENT;
}

gboolean owner_start(const kata_context *ctx, const char *sandbox_id, const kata_settings *overrides, GError **error) {
  return owner_start_program(ctx, sandbox_id, overrides, FALSE, error);
}

static gboolean set_no_sandbox(const char *sandbox_id, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "sandbox '%s' does not exist", sandbox_id);
  return FALSE;
}

static gboolean nobody_answers(const GError *error) {
  return g_error_matches(error, KATA_ERROR, KATA_ERR_NOT_FOUND) ||
         g_error_matches(error, KATA_ERROR, KATA_ERR_UNAVAILABLE);
}

int owner_connect(const kata_context *ctx, const char *sandbox_id, GError **error) {
  if (!owner_exists(ctx, sandbox_id)) return set_no_sandbox(sandbox_id, error), -1;
  g_autofree char *directory = paths_sandbox_dir(ctx->root, sandbox_id);
  g_autofree char *address = g_strconcat("unix://", directory, "/", PATHS_OWNER_SOCKET, NULL);
  g_autoptr(GError) dial_error = NULL;
  int fd = ttrpc_dial(address, 0, &dial_error);
  if (fd >= 0) return fd;
  if (!nobody_answers(dial_error)) {
    g_propagate_prefixed_error(error, g_steal_pointer(&dial_error), "sandbox '%s': ", sandbox_id);
    return -1;
  }
  if (!owner_exists(ctx, sandbox_id)) return set_no_sandbox(sandbox_id, error), -1;
  if (!owner_start_program(ctx, sandbox_id, NULL, TRUE, error)) return -1;
  return ttrpc_dial(address, DIAL_NEW_OWNER_MS, error);
}

gboolean owner_call(const kata_context *ctx, const char *sandbox_id, const ProtobufCServiceDescriptor *service,
                    const char *method, const ProtobufCMessage *request, gint64 timeout_ms, OwnerReply **ret_reply,
                    GError **error) {
  int fd = owner_connect(ctx, sandbox_id, error);
  if (fd < 0) return FALSE;
  g_autoptr(TtrpcClient) client = ttrpc_client_new(fd, TTRPC_STREAM_SOCKET);
  return ttrpc_client_invoke(client, service, method, request, timeout_ms, ret_reply, error);
}

gboolean owner_ask(const kata_context *ctx, const char *sandbox_id, const ProtobufCServiceDescriptor *service,
                   const char *method, const ProtobufCMessage *request, gint64 timeout_ms, OwnerReply **ret_reply,
                   GError **error) {
  gint64 deadline = g_get_monotonic_time() + timeout_ms * 1000;
  for (int tries = 1;; tries++) {
    gint64 left = timeout_ms == 0 ? 0 : MAX((deadline - g_get_monotonic_time()) / 1000, 1);
    g_autoptr(GError) problem = NULL;
    if (owner_call(ctx, sandbox_id, service, method, request, left, ret_reply, &problem)) return TRUE;
    if (g_error_matches(problem, KATA_ERROR, KATA_ERR_UNAVAILABLE) && tries < ASK_RETRIES) {
      g_usleep(ASK_AGAIN_US);
      continue;
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
  }
}

gboolean owner_wait_gone(const kata_context *ctx, const char *sandbox_id, GError **error) {
  gint64 deadline = g_get_monotonic_time() + GONE_MS * 1000;
  while (owner_exists(ctx, sandbox_id)) {
    if (g_get_monotonic_time() > deadline) {
      g_autofree char *directory = paths_sandbox_dir(ctx->root, sandbox_id);
      g_set_error(error, KATA_ERROR, KATA_ERR_TIMEOUT,
                  "sandbox '%s' has been told to end, but '%s' is still there after %d s (see %s in it)", sandbox_id,
                  directory, GONE_MS / 1000, PATHS_OWNER_LOG);
      return FALSE;
    }
    g_usleep(GONE_POLL_MS * 1000);
  }
  return TRUE;
}

/* A machine is in the namespace, or has it mounted. */
static char *find_network(struct json_object *state) {
  struct json_object *member = NULL;
  gint64 hypervisor = json_object_object_get_ex(state, "qemu_pid", &member) ? json_object_get_int64(member) : 0;
  if (hypervisor <= 0) return NULL;
  const char *mount = json_object_object_get_ex(state, "netns_mount", &member) ? json_object_get_string(member) : NULL;
  return mount != NULL && *mount == '/' ? g_strdup_printf("/proc/%" G_GINT64_FORMAT "/root%s", hypervisor, mount)
                                        : g_strdup_printf("/proc/%" G_GINT64_FORMAT "/ns/net", hypervisor);
}

char *owner_read_network(const char *directory, char **ret_path, GError **error) {
  g_autofree char *path = g_build_filename(directory, PATHS_STATE, NULL);
  g_autofree char *text = safe_read_file(path, STATE_LIMIT, NULL, error);
  if (text == NULL) return NULL;
  struct json_object *json = json_tokener_parse(text), *member = NULL;
  g_autofree char *id = NULL;
  if (json_object_object_get_ex(json, "id", &member) && json_object_is_type(member, json_type_string))
    id = g_strdup(json_object_get_string(member));
  g_autofree char *network = find_network(json);
  if (json != NULL) json_object_put(json);
  /* The directory's own name tells whether it is the right one. */
  g_autofree char *name = g_path_get_basename(directory);
  g_autofree char *key = id != NULL && id_check(id, "sandbox", NULL) ? id_key(id) : NULL;
  if (g_strcmp0(name, key) != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_IO, "the state file '%s' does not name the sandbox it belongs to", path);
    return NULL;
  }
  *ret_path = g_steal_pointer(&network);
  return g_steal_pointer(&id);
}

char *owner_read_id(const char *directory, GError **error) {
  g_autofree char *network = NULL;
  return owner_read_network(directory, &network, error);
}
