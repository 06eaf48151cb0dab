// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/sandbox.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/ids.h"
#include "lib/api.h"
#include "lib/owner-client.h"
#include "lib/paths.h"
#include "proto/kata-v1.pb-c.h"
#include "proto/shim-sandbox.pb-c.h"

#define SANDBOX_SERVICE (&containerd__runtime__sandbox__v1__sandbox__descriptor)
#define OWNER_SERVICE (&kata__v1__owner__descriptor)
/* Beyond what the guest is given: QEMU's end and the owner's own clean-up. */
#define STOP_MARGIN_MS 60000
/* How often a forced removal is tried again while an owner comes or goes. */
#define DELETE_RETRIES 20
#define DELETE_AGAIN_US 50000

kata_sandbox *sandbox_handle_new(kata_context *ctx, const char *id) {
  kata_sandbox *sandbox = g_new0(kata_sandbox, 1);
  g_atomic_ref_count_init(&sandbox->refs);
  sandbox->ctx = kata_context_ref(ctx);
  sandbox->id = g_strdup(id);
  return sandbox;
}

kata_sandbox *kata_sandbox_ref(kata_sandbox *sandbox) {
  if (sandbox != NULL) g_atomic_ref_count_inc(&sandbox->refs);
  return sandbox;
}

void kata_sandbox_unref(kata_sandbox *sandbox) {
  if (sandbox == NULL || !g_atomic_ref_count_dec(&sandbox->refs)) return;
  kata_context_unref(sandbox->ctx);
  g_free(sandbox->id);
  g_free(sandbox);
}

const char *kata_sandbox_get_id(const kata_sandbox *sandbox) { return sandbox != NULL ? sandbox->id : NULL; }

static gboolean call(const kata_context *ctx, const char *id, const char *method, const ProtobufCMessage *request,
                     gint64 timeout_ms, OwnerReply **ret_reply, GError **error) {
  return owner_call(ctx, id, SANDBOX_SERVICE, method, request, timeout_ms, ret_reply, error);
}

static gboolean shut_down(const kata_context *ctx, const char *id, GError **error) {
  Containerd__Runtime__Sandbox__V1__ShutdownSandboxRequest request =
      CONTAINERD__RUNTIME__SANDBOX__V1__SHUTDOWN_SANDBOX_REQUEST__INIT;
  request.sandbox_id = (char *)id;
  g_autoptr(GError) problem = NULL;
  if (call(ctx, id, "ShutdownSandbox", &request.base, STOP_MARGIN_MS, NULL, &problem)) return TRUE;
  /* An owner may be gone before its answer arrives, or have nothing left to take over: both are what was asked for. */
  if (g_error_matches(problem, KATA_ERROR, KATA_ERR_UNAVAILABLE) ||
      g_error_matches(problem, KATA_ERROR, KATA_ERR_NOT_FOUND))
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&problem));
  return FALSE;
}

gboolean sandbox_shut_down(const kata_context *ctx, const char *id, GError **error) {
  return shut_down(ctx, id, error) && owner_wait_gone(ctx, id, error);
}

/* ---- create, open, list ---- */

static gboolean create(kata_context *ctx, const char *id, const kata_settings *settings, uint32_t flags,
                       GError **error) {
  if (!api_check_argument(id, "id", error) || !id_check(id, "sandbox", error)) return FALSE;
  /* A wrong settings file is told here, before anything is started. */
  g_autoptr(kata_settings) loaded = context_load_settings(ctx, error);
  if (loaded == NULL || !owner_start(ctx, id, settings, error)) return FALSE;
  Containerd__Runtime__Sandbox__V1__CreateSandboxRequest request =
      CONTAINERD__RUNTIME__SANDBOX__V1__CREATE_SANDBOX_REQUEST__INIT;
  request.sandbox_id = (char *)id;
  Kata__V1__SandboxOptions own = KATA__V1__SANDBOX_OPTIONS__INIT;
  own.bound = (flags & KATA_SANDBOX_CREATE_BOUND) != 0;
  guint8 packed[8]; /* a truth value with its tag takes 2 bytes */
  Google__Protobuf__Any options = GOOGLE__PROTOBUF__ANY__INIT;
  options.type_url = (char *)"kata.v1.SandboxOptions";
  options.value.len = kata__v1__sandbox_options__pack(&own, packed);
  options.value.data = packed;
  request.options = &options;
  if (call(ctx, id, "CreateSandbox", &request.base, OWNER_QUICK_MS, NULL, error)) return TRUE;
  sandbox_shut_down(ctx, id, NULL);
  return FALSE;
}

kata_sandbox *kata_sandbox_create(kata_context *ctx, const char *id, const kata_settings *settings, uint32_t flags,
                                  kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(ctx, "context", flags, KATA_SANDBOX_CREATE_BOUND, &error) || !create(ctx, id, settings, flags, &error))
    return api_fail_null(err, error);
  return sandbox_handle_new(ctx, id);
}

static gboolean get_reply(const kata_context *ctx, const char *id, OwnerReply **ret_reply, GError **error) {
  Containerd__Runtime__Sandbox__V1__SandboxStatusRequest request =
      CONTAINERD__RUNTIME__SANDBOX__V1__SANDBOX_STATUS_REQUEST__INIT;
  request.sandbox_id = (char *)id;
  return owner_ask(ctx, id, SANDBOX_SERVICE, "SandboxStatus", &request.base, OWNER_QUICK_MS, ret_reply, error);
}

kata_sandbox *kata_sandbox_open(kata_context *ctx, const char *id, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(ctx, "context", flags, 0, &error) || !api_check_argument(id, "id", &error) ||
      !id_check(id, "sandbox", &error) || !get_reply(ctx, id, NULL, &error))
    return api_fail_null(err, error);
  return sandbox_handle_new(ctx, id);
}

static int compare_ids(gconstpointer a, gconstpointer b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **kata_sandbox_list(kata_context *ctx, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(ctx, "context", flags, 0, &error)) return api_fail_null(err, error);
  g_autofree char *parent = g_build_filename(ctx->root, PATHS_SANDBOXES, NULL);
  g_autoptr(GDir) dir = g_dir_open(parent, 0, &error);
  if (dir == NULL && error_get_code(error) != KATA_ERR_NOT_FOUND) return api_fail_null(err, error);
  GPtrArray *ids = g_ptr_array_new();
  for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
    g_autofree char *directory = g_build_filename(parent, name, NULL);
    /* One that is just being made or removed has no state file: it is no sandbox yet, or no longer. */
    char *id = owner_read_id(directory, NULL);
    if (id != NULL) g_ptr_array_add(ids, id);
  }
  g_ptr_array_sort(ids, compare_ids);
  g_ptr_array_add(ids, NULL);
  return (char **)g_ptr_array_free(ids, FALSE);
}

/* ---- the network ---- */

static gboolean set_netns(const kata_sandbox *sandbox, const char *path, GError **error) {
  if (!api_check_argument(path, "path", error)) return FALSE;
  Containerd__Runtime__Sandbox__V1__CreateSandboxRequest request =
      CONTAINERD__RUNTIME__SANDBOX__V1__CREATE_SANDBOX_REQUEST__INIT;
  request.sandbox_id = sandbox->id;
  request.netns_path = (char *)path;
  return owner_ask(sandbox->ctx, sandbox->id, SANDBOX_SERVICE, "CreateSandbox", &request.base, OWNER_QUICK_MS, NULL,
                   error);
}

int kata_sandbox_set_netns(kata_sandbox *sandbox, const char *path, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(sandbox, "sandbox", flags, 0, &error) || !set_netns(sandbox, path, &error))
    return api_fail(err, error);
  return 0;
}

static gboolean is_same(const char *path, const struct stat *netns) {
  struct stat st;
  return path != NULL && stat(path, &st) == 0 && st.st_dev == netns->st_dev && st.st_ino == netns->st_ino;
}

/* The hypervisor shows the namespace its guest is connected to, so that nobody need be asked. */
static char *find_netns(const kata_context *ctx, const char *path, GError **error) {
  struct stat netns;
  if (stat(path, &netns) < 0) {
    error_set_errno(error, errno, "cannot look at the network namespace '%s'", path);
    return NULL;
  }
  g_autofree char *parent = g_build_filename(ctx->root, PATHS_SANDBOXES, NULL);
  g_autoptr(GDir) dir = g_dir_open(parent, 0, NULL);
  for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
    g_autofree char *directory = g_build_filename(parent, name, NULL);
    g_autofree char *network = NULL;
    g_autofree char *id = owner_read_network(directory, &network, NULL);
    if (id != NULL && is_same(network, &netns)) return g_steal_pointer(&id);
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "no sandbox is connected to the network namespace '%s'", path);
  return NULL;
}

char *kata_sandbox_find_netns(kata_context *ctx, const char *path, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  char *id = api_check(ctx, "context", flags, 0, &error) && api_check_argument(path, "path", &error)
                 ? find_netns(ctx, path, &error)
                 : NULL;
  return id != NULL ? id : api_fail_null(err, error);
}

/* ---- start, stop, wait ---- */

int kata_sandbox_start(kata_sandbox *sandbox, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  Containerd__Runtime__Sandbox__V1__StartSandboxRequest request =
      CONTAINERD__RUNTIME__SANDBOX__V1__START_SANDBOX_REQUEST__INIT;
  if (!api_check(sandbox, "sandbox", flags, 0, &error)) return api_fail(err, error);
  request.sandbox_id = sandbox->id;
  /* No limit of ours: the owner has one for the guest. */
  if (!call(sandbox->ctx, sandbox->id, "StartSandbox", &request.base, 0, NULL, &error)) return api_fail(err, error);
  return 0;
}

static gboolean stop(const kata_sandbox *sandbox, uint32_t timeout_ms, GError **error) {
  Containerd__Runtime__Sandbox__V1__StopSandboxRequest request =
      CONTAINERD__RUNTIME__SANDBOX__V1__STOP_SANDBOX_REQUEST__INIT;
  request.sandbox_id = sandbox->id;
  request.timeout_secs = timeout_ms / 1000 + (timeout_ms % 1000 != 0);
  gint64 limit = (gint64)request.timeout_secs * 1000 + STOP_MARGIN_MS;
  return call(sandbox->ctx, sandbox->id, "StopSandbox", &request.base, limit, NULL, error);
}

int kata_sandbox_stop(kata_sandbox *sandbox, uint32_t timeout_ms, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(sandbox, "sandbox", flags, 0, &error) || !stop(sandbox, timeout_ms, &error))
    return api_fail(err, error);
  return 0;
}

int kata_sandbox_wait(kata_sandbox *sandbox, uint32_t timeout_ms, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  Containerd__Runtime__Sandbox__V1__WaitSandboxRequest request =
      CONTAINERD__RUNTIME__SANDBOX__V1__WAIT_SANDBOX_REQUEST__INIT;
  if (!api_check(sandbox, "sandbox", flags, 0, &error)) return api_fail(err, error);
  request.sandbox_id = sandbox->id;
  if (!owner_ask(sandbox->ctx, sandbox->id, SANDBOX_SERVICE, "WaitSandbox", &request.base, timeout_ms, NULL, &error))
    return api_fail(err, error);
  return 0;
}

/* ---- status and end ---- */

/* containerd knows no such state. */
static gboolean is_paused(const Containerd__Runtime__Sandbox__V1__SandboxStatusResponse *status) {
  for (gsize i = 0; i < status->n_info; i++) {
    if (strcmp(status->info[i]->key, "status") == 0) return strcmp(status->info[i]->value, "paused") == 0;
  }
  return FALSE;
}

/* -1: an error. */
static int get_status(const kata_sandbox *sandbox, GError **error) {
  g_autoptr(OwnerReply) reply = NULL;
  if (!get_reply(sandbox->ctx, sandbox->id, &reply, error)) return -1;
  const Containerd__Runtime__Sandbox__V1__SandboxStatusResponse *status =
      (Containerd__Runtime__Sandbox__V1__SandboxStatusResponse *)reply;
  if (strcmp(status->state, "SANDBOX_READY") == 0)
    return is_paused(status) ? KATA_SANDBOX_PAUSED : KATA_SANDBOX_RUNNING;
  return status->exited_at != NULL && status->exited_at->seconds != 0 ? KATA_SANDBOX_STOPPED : KATA_SANDBOX_CREATED;
}

int kata_sandbox_get_status(kata_sandbox *sandbox, kata_error **err) {
  g_autoptr(GError) error = NULL;
  int status = api_check(sandbox, "sandbox", 0, 0, &error) ? get_status(sandbox, &error) : -1;
  return status < 0 ? api_fail(err, error) : status;
}

static gboolean delete_sandbox(const kata_sandbox *sandbox, gboolean force, GError **error) {
  gboolean existed = owner_exists(sandbox->ctx, sandbox->id);
  g_autoptr(GError) problem = NULL;
  int status = get_status(sandbox, &problem);
  if (status < 0) {
    /* The guest had died with its owner: asking has removed what was left. */
    if (existed && g_error_matches(problem, KATA_ERROR, KATA_ERR_NOT_FOUND))
      return owner_wait_gone(sandbox->ctx, sandbox->id, error);
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
  }
  if ((status == KATA_SANDBOX_RUNNING || status == KATA_SANDBOX_PAUSED) && !force) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE,
                "cannot delete sandbox '%s' while it runs: stop it first, or force it", sandbox->id);
    return FALSE;
  }
  if (force && !stop(sandbox, 0, error)) return FALSE;
  return sandbox_shut_down(sandbox->ctx, sandbox->id, error);
}

/* An owner that ends just now, or is only beginning, refuses calls: what counts is that it is gone in the end. */
static gboolean force_delete_sandbox(const kata_sandbox *sandbox, GError **error) {
  gboolean existed = owner_exists(sandbox->ctx, sandbox->id);
  for (int tries = 1;; tries++) {
    g_autoptr(GError) problem = NULL;
    if (delete_sandbox(sandbox, TRUE, &problem)) return TRUE;
    gboolean is_passing = g_error_matches(problem, KATA_ERROR, KATA_ERR_UNAVAILABLE) ||
                          g_error_matches(problem, KATA_ERROR, KATA_ERR_NOT_FOUND);
    gboolean is_there = owner_exists(sandbox->ctx, sandbox->id);
    if (is_passing && existed && !is_there) return TRUE;
    if (!is_passing || !is_there || tries == DELETE_RETRIES) {
      g_propagate_error(error, g_steal_pointer(&problem));
      return FALSE;
    }
    g_usleep(DELETE_AGAIN_US);
  }
}

int kata_sandbox_delete(kata_sandbox *sandbox, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  gboolean force = (flags & KATA_SANDBOX_DELETE_FORCE) != 0;
  if (!api_check(sandbox, "sandbox", flags, KATA_SANDBOX_DELETE_FORCE, &error) ||
      !(force ? force_delete_sandbox(sandbox, &error) : delete_sandbox(sandbox, FALSE, &error)))
    return api_fail(err, error);
  return 0;
}

/* ---- what the owner knows beside ---- */

char *kata_sandbox_get_domain_xml(kata_sandbox *sandbox, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(OwnerReply) reply = NULL;
  Kata__V1__DomainXmlRequest request = KATA__V1__DOMAIN_XML_REQUEST__INIT;
  if (!api_check(sandbox, "sandbox", flags, 0, &error) ||
      !owner_ask(sandbox->ctx, sandbox->id, OWNER_SERVICE, "DomainXml", &request.base, OWNER_QUICK_MS, &reply, &error))
    return api_fail_null(err, error);
  return g_strdup(((Kata__V1__DomainXmlResponse *)reply)->xml);
}

static char *timeline_to_json(const Kata__V1__BootTimelineResponse *timeline) {
  struct json_object *json = json_object_new_array();
  for (gsize i = 0; i < timeline->n_steps; i++) {
    struct json_object *step = json_object_new_object();
    json_object_object_add(step, "name", json_object_new_string(timeline->steps[i]->name));
    json_object_object_add(step, "begin_us", json_object_new_uint64(timeline->steps[i]->begin_us));
    json_object_object_add(step, "end_us", json_object_new_uint64(timeline->steps[i]->end_us));
    json_object_array_add(json, step);
  }
  return api_take_json(json);
}

char *kata_sandbox_get_boot_timeline(kata_sandbox *sandbox, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(OwnerReply) reply = NULL;
  Kata__V1__BootTimelineRequest request = KATA__V1__BOOT_TIMELINE_REQUEST__INIT;
  if (!api_check(sandbox, "sandbox", flags, 0, &error) ||
      !owner_ask(sandbox->ctx, sandbox->id, OWNER_SERVICE, "BootTimeline", &request.base, OWNER_QUICK_MS, &reply,
                 &error))
    return api_fail_null(err, error);
  return timeline_to_json((Kata__V1__BootTimelineResponse *)reply);
}
