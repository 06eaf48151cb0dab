// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/store.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/protobuf-json.h"
#include "common/safe-path.h"
#include "lib/paths.h"
#include "shim/times.h"

#define STATE_VERSION 1
#define STATE_LIMIT (64u << 20)
#define SETTINGS_COPY "kata.conf"
#define SETTINGS_LIMIT (1u << 20)

static const char *const status_words[] = {"created", "starting", "running", "stopped"};

/* As protobuf-c frees it. */
static char **copy_list(char *const *list, size_t *ret_length) {
  *ret_length = list != NULL ? g_strv_length((char **)list) : 0;
  char **copy = calloc(*ret_length + 1, sizeof *copy);
  for (size_t i = 0; i < *ret_length; i++) copy[i] = strdup(list[i]);
  return copy;
}

Kata__V1__SandboxState *store_describe(Sandbox *sandbox) {
  Kata__V1__SandboxState *state = calloc(1, sizeof *state);
  kata__v1__sandbox_state__init(state);
  state->version = STATE_VERSION;
  state->id = strdup(sandbox->id);
  state->namespace_ = strdup(sandbox->namespace_);
  SandboxStatus status = sandbox_get_status(sandbox);
  state->status = strdup(status_words[status]);
  state->vsock_cid = sandbox->vsock_cid;
  if (status != SANDBOX_STOPPED && sandbox->vm != NULL) state->qemu_pid = (guint32)vm_get_pid(sandbox->vm);
  if (status != SANDBOX_STOPPED && sandbox->share != NULL)
    state->virtiofsd_pid = (guint32)share_get_daemon_pid(sandbox->share);
  if (status != SANDBOX_STOPPED && sandbox->net != NULL) state->network = net_to_state(sandbox->net);
  state->created_at = time_new_message(sandbox->created_at);
  state->uses_kvm = sandbox->accelerator == ACCELERATOR_KVM;
  state->uses_vsock = sandbox->channel == CHANNEL_VSOCK;
  state->bound = sandbox->bound;
  if (sandbox->publisher != NULL) state->events_address = strdup(publisher_get_address(sandbox->publisher));
  state->base_vcpus = sandbox->base_size.vcpus;
  state->base_memory_mib = sandbox->base_size.memory_mib;
  state->vcpus = sandbox->size.vcpus;
  state->memory_mib = sandbox->size.memory_mib;
  state->untaken_vcpus = sandbox->untaken.vcpus;
  state->untaken_memory_mib = sandbox->untaken.memory_mib;
  state->shm_is_free = sandbox->shm_is_free;
  state->cgroups = copy_list(sandbox->cgroups, &state->n_cgroups);
  if (sandbox->pod != NULL) state->pod = oci_linux_copy(sandbox->pod);
  if (sandbox->scope != NULL) state->scope = strdup(sandbox->scope);
  if (sandbox->netns_mount != NULL) state->netns_mount = strdup(sandbox->netns_mount);
  state->home_cgroups = copy_list(sandbox->home_cgroups, &state->n_home_cgroups);
  g_autoptr(GPtrArray) containers = sandbox_get_containers(sandbox);
  state->containers = calloc(containers->len + 1, sizeof *state->containers);
  for (guint i = 0; i < containers->len; i++)
    state->containers[state->n_containers++] = container_to_state(containers->pdata[i]);
  return state;
}

gboolean store_save(Sandbox *sandbox, GError **error) {
  if (!g_file_test(sandbox->dir, G_FILE_TEST_IS_DIR)) return TRUE;
  /* Whoever writes last has looked last. */
  g_mutex_lock(&sandbox->store);
  Kata__V1__SandboxState *state = store_describe(sandbox);
  struct json_object *json = protobuf_to_json(&state->base, PROTOBUF_JSON_PROTO);
  g_autofree char *path = g_build_filename(sandbox->dir, PATHS_STATE, NULL);
  gboolean saved =
      safe_write_file(path, json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN), -1, 0600, FALSE, error);
  json_object_put(json);
  protobuf_c_message_free_unpacked(&state->base, NULL);
  g_mutex_unlock(&sandbox->store);
  return saved;
}

Kata__V1__SandboxState *store_load(const char *sandbox_dir, GError **error) {
  g_autofree char *path = g_build_filename(sandbox_dir, PATHS_STATE, NULL);
  gsize length = 0;
  g_autofree char *text = safe_read_file(path, STATE_LIMIT, &length, error);
  if (text == NULL) return NULL;
  struct json_object *json = json_tokener_parse(text);
  if (json == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "'%s' is not JSON", path);
    return NULL;
  }
  struct json_object *version = NULL;
  gint64 number = json_object_object_get_ex(json, "version", &version) ? json_object_get_int64(version) : 0;
  Kata__V1__SandboxState *state = NULL;
  if (number != STATE_VERSION)
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "'%s' has version %" G_GINT64_FORMAT ", this program knows %d",
                path, number, STATE_VERSION);
  else
    state = (Kata__V1__SandboxState *)protobuf_from_json(json, &kata__v1__sandbox_state__descriptor,
                                                         PROTOBUF_JSON_PROTO, path, error);
  json_object_put(json);
  return state;
}

/* ---- settings ---- */

gboolean store_save_settings(const Sandbox *sandbox, GError **error) {
  g_autofree char *path = g_build_filename(sandbox->dir, SETTINGS_COPY, NULL);
  char *text = kata_settings_to_text(sandbox->settings);
  gboolean saved = safe_write_file(path, text, -1, 0600, FALSE, error);
  kata_free(text);
  return saved;
}

kata_settings *store_load_settings(const char *sandbox_dir, GError **error) {
  g_autofree char *path = g_build_filename(sandbox_dir, SETTINGS_COPY, NULL);
  gsize length = 0;
  g_autofree char *text = safe_read_file(path, SETTINGS_LIMIT, &length, error);
  g_autoptr(kata_settings) settings = settings_new();
  if (text == NULL || !settings_load_text(settings, text, length, path, error)) return NULL;
  return g_steal_pointer(&settings);
}
