/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls about what is mounted, copied and measured. */
#include <string.h>

#include "agent/copy-file.h"
#include "agent/device-kind.h"
#include "agent/rpc.h"
#include "agent/task.h"
#include "agent/termination-log.h"
#include "agent/volume.h"
#include "common/error.h"

/* Slots that a swap disk's PCI path may have; one more is refused with the path. */
#define SWAP_PATH_MAX 9
/* A file system that a container serves, or a host that does not, may never answer. */
#define LOOK_TIMEOUT_MS 30000
/* The kernel writes the tables of what was added to a file system. */
#define RESIZE_TIMEOUT_MS 300000

/* A file server of the host's that does not answer holds up its caller only. */
static gboolean touch(gpointer storages, GString *result, GError **error) {
  storage_table_touch(storages);
  return TRUE;
}

static void touched(const char *result, const GError *error, gpointer call) {
  if (error) g_warning("cannot look at the mount points: %s", error->message);
  rpc_reply_empty(call);
}

void rpc_remove_stale_mounts(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Sandbox *sandbox = user_data;
  TaskRequest task = {.work = touch, .data = sandbox->storages, .timeout_ms = LOOK_TIMEOUT_MS};
  task_start(sandbox->reaper, &task, touched, call);
}

typedef struct {
  TtrpcCall *call;
  const Grpc__UpdateEphemeralMountsRequest *request;
  const StorageTable *storages;
} Update;

/* A container may have mounted something of its own over the storage. */
static gboolean update_mounts(gpointer data, GString *result, GError **error) {
  const Update *update = data;
  if (update->request->n_storages > STORAGE_LIST_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "%zu storages are more than %d",
                update->request->n_storages, STORAGE_LIST_MAX);
    return FALSE;
  }
  for (gsize i = 0; i < update->request->n_storages; i++)
    if (!storage_table_update(update->storages, update->request->storages[i], error)) return FALSE;
  return TRUE;
}

static void updated(const char *result, const GError *error, gpointer user_data) {
  g_autofree Update *update = user_data;
  rpc_answer(error, update->call);
}

void rpc_update_ephemeral_mounts(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Sandbox *sandbox = user_data;
  Update *update = g_new(Update, 1);
  *update = (Update){call, (const Grpc__UpdateEphemeralMountsRequest *)request, sandbox->storages};
  TaskRequest task = {.work = update_mounts, .data = update, .timeout_ms = LOOK_TIMEOUT_MS};
  task_start(sandbox->reaper, &task, updated, update);
}

/* ---- volumes ---- */

static gboolean measure(gpointer data, GString *result, GError **error) {
  const Grpc__VolumeStatsRequest *asked = data;
  return volume_measure(asked->volume_guest_path, result, error);
}

static void measured(const char *result, const GError *error, gpointer call) {
  Grpc__VolumeUsage bytes = GRPC__VOLUME_USAGE__INIT;
  Grpc__VolumeUsage inodes = GRPC__VOLUME_USAGE__INIT;
  Grpc__VolumeCondition condition = GRPC__VOLUME_CONDITION__INIT;
  Grpc__VolumeUsage *usages[] = {&bytes, &inodes};
  Grpc__VolumeStatsResponse reply = GRPC__VOLUME_STATS_RESPONSE__INIT;
  if (error) {
    ttrpc_call_fail_error(call, error);
    return;
  }
  if (!volume_parse(result, &bytes, &inodes)) {
    ttrpc_call_fail(call, TTRPC_INTERNAL, "the helper process did not say how full the volume is");
    return;
  }
  condition.message = (char *)"OK";
  reply.usage = usages;
  reply.n_usage = G_N_ELEMENTS(usages);
  reply.volume_condition = &condition;
  ttrpc_call_reply(call, &reply.base);
}

void rpc_get_volume_stats(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Sandbox *sandbox = user_data;
  TaskRequest task = {.work = measure, .data = (gpointer)request, .timeout_ms = LOOK_TIMEOUT_MS};
  task_start(sandbox->reaper, &task, measured, call);
}

/* ---- copied files ---- */

static gboolean copy(gpointer request, GString *result, GError **error) { return copy_file_take(request, error); }

static void copied(const char *result, const GError *error, gpointer call) { rpc_answer(error, call); }

/* What is on the way may be a container's file system, or a directory that it has filled and that must go first: not
 * for PID 1 to walk. */
void rpc_copy_file(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Sandbox *sandbox = user_data;
  TaskRequest task = {.work = copy, .data = (gpointer)request, .timeout_ms = LOOK_TIMEOUT_MS};
  task_start(sandbox->reaper, &task, copied, call);
}

/* ---- larger volumes ---- */

typedef struct {
  TtrpcCall *call;
  const Grpc__ResizeVolumeRequest *request;
  guint wait_ms;
} Resize;

static gboolean resize(gpointer data, GString *result, GError **error) {
  const Resize *asked = data;
  return volume_resize(asked->request->volume_guest_path, asked->request->size, asked->wait_ms, error);
}

static void resized(const char *result, const GError *error, gpointer user_data) {
  g_autofree Resize *asked = user_data;
  rpc_answer(error, asked->call);
}

void rpc_resize_volume(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Sandbox *sandbox = user_data;
  Resize *asked = g_new(Resize, 1);
  *asked = (Resize){call, (const Grpc__ResizeVolumeRequest *)request, (guint)sandbox->config->hotplug_timeout_ms};
  TaskRequest task = {.work = resize, .data = asked, .timeout_ms = RESIZE_TIMEOUT_MS};
  task_start(sandbox->reaper, &task, resized, asked);
}

/* ---- swap ---- */

/* Of a call that waits for its disk first. */
typedef struct {
  TtrpcCall *call;
  Sandbox *sandbox;
  char *node;
} Swap;

static gboolean swap_on(gpointer node, GString *result, GError **error) { return volume_swap_on(node, error); }

static void swap_added(const char *result, const GError *error, gpointer user_data) {
  g_autofree Swap *swap = user_data;
  g_free(swap->node);
  rpc_answer(error, swap->call);
}

static void swap_disk_came(const char *found, const GError *error, gpointer user_data) {
  Swap *swap = user_data;
  if (error) {
    swap_added(NULL, error, swap);
    return;
  }
  swap->node = g_strdup(found);
  TaskRequest task = {.work = swap_on, .data = swap->node};
  task_start(swap->sandbox->reaper, &task, swap_added, swap);
}

static void add_swap(TtrpcCall *call, Sandbox *sandbox, const char *kind_name, const char *address) {
  const DeviceKind *kind = device_kind_find(kind_name);
  g_autoptr(GError) error = NULL;
  if (!kind->check(address, &error)) {
    rpc_answer(error, call);
    return;
  }
  Swap *swap = g_new(Swap, 1);
  *swap = (Swap){call, sandbox, NULL};
  device_kind_wait(kind, address, sandbox->uevents, sandbox->reaper, sandbox->config->hotplug_timeout_ms,
                   swap_disk_came, swap);
}

void rpc_add_swap(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__AddSwapRequest *asked = (const Grpc__AddSwapRequest *)request;
  g_autoptr(GString) path = g_string_new(NULL);
  for (gsize i = 0; i < asked->n_pcipath && i < SWAP_PATH_MAX; i++)
    g_string_append_printf(path, "%s%02x", i > 0 ? "/" : "", asked->pcipath[i]);
  add_swap(call, user_data, "blk", path->str);
}

void rpc_add_swap_path(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__AddSwapPathRequest *asked = (const Grpc__AddSwapPathRequest *)request;
  add_swap(call, user_data, "mmioblk", asked->path);
}

/* ---- last words ---- */

static gboolean read_words(gpointer path, GString *result, GError **error) {
  g_autofree char *text = termination_log_read(path);
  g_string_append(result, text);
  return TRUE;
}

typedef struct {
  TtrpcCall *call;
  char *path; /* the container may go meanwhile */
} Words;

static void words_read(const char *text, const GError *error, gpointer user_data) {
  g_autofree Words *words = user_data;
  g_free(words->path);
  Grpc__GetDiagnosticDataResponse reply = GRPC__GET_DIAGNOSTIC_DATA_RESPONSE__INIT;
  reply.data = (char *)text;
  if (error)
    ttrpc_call_fail_error(words->call, error);
  else
    ttrpc_call_reply(words->call, &reply.base);
}

void rpc_get_diagnostic_data(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__GetDiagnosticDataRequest *asked = (const Grpc__GetDiagnosticDataRequest *)request;
  Sandbox *sandbox = user_data;
  if (strcmp(asked->log_type, "termination_log") != 0) {
    g_autofree char *shown = error_clean_text(asked->log_type);
    ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "unknown log_type '%s': there is 'termination_log'", shown);
    return;
  }
  Container *container = rpc_find_container(call, sandbox, asked->container_id, TTRPC_INVALID_ARGUMENT);
  if (!container) return;
  Words *words = g_new(Words, 1);
  *words = (Words){call, g_strdup(container->termination_log)};
  TaskRequest task = {.work = read_words, .data = words->path, .timeout_ms = LOOK_TIMEOUT_MS};
  task_start(sandbox->reaper, &task, words_read, words);
}
