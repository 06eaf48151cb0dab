/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kata.v1.Guest: what our owner asks beyond upstream's protocol. */
#include <fcntl.h>
#include <string.h>

#include "agent/cgroup.h"
#include "agent/cover-mount.h"
#include "agent/process-list.h"
#include "agent/rpc.h"
#include "agent/task.h"
#include "common/fds.h"
#include "common/mount-table.h"
#include "common/safe-path.h"

static void name_known_process(const Container *container, Kata__V1__GuestProcess *process) {
  process->is_init = container->init && container->init->pid == (pid_t)process->pid;
  for (GList *link = container->execs.head; link; link = link->next) {
    const Process *exec = link->data;
    if (exec->pid != (pid_t)process->pid) continue;
    process->exec_id = g_strdup(exec->id);
    return;
  }
}

/* The arguments of a process are in its memory, which may be a file that somebody serves. */
#define LIST_TIMEOUT_MS 10000

typedef struct {
  TtrpcCall *call;
  Sandbox *sandbox;
  char *container_id;
  char *cgroup_path;
} Listing;

static void listing_free(Listing *listing) {
  g_free(listing->container_id);
  g_free(listing->cgroup_path);
  g_free(listing);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Listing, listing_free)

/* In the helper. Base 64, as a result is text. */
static gboolean list(gpointer data, GString *result, GError **error) {
  const Listing *listing = data;
  Kata__V1__ListProcessesResponse *response = process_list_of_cgroup(listing->cgroup_path, error);
  if (!response) return FALSE;
  gsize size = protobuf_c_message_get_packed_size(&response->base);
  g_autofree guint8 *bytes = g_malloc(size + 1);
  protobuf_c_message_pack(&response->base, bytes);
  g_autofree char *text = g_base64_encode(bytes, size);
  g_string_append(result, text);
  return TRUE;
}

static void listed(const char *result, const GError *error, gpointer user_data) {
  g_autoptr(Listing) listing = user_data;
  gsize size = 0;
  g_autofree guint8 *bytes = error ? NULL : g_base64_decode(result, &size);
  ProtobufCMessage *message =
      bytes ? protobuf_c_message_unpack(&kata__v1__list_processes_response__descriptor, NULL, size, bytes) : NULL;
  Kata__V1__ListProcessesResponse *response = (Kata__V1__ListProcessesResponse *)message;
  if (!response) {
    if (error)
      ttrpc_call_fail_error(listing->call, error);
    else
      ttrpc_call_fail(listing->call, TTRPC_INTERNAL, "the helper process's list of processes cannot be read");
    return;
  }
  const Container *container = sandbox_find_container(listing->sandbox, listing->container_id);
  for (gsize i = 0; container && i < response->n_processes; i++) name_known_process(container, response->processes[i]);
  ttrpc_call_reply(listing->call, message);
  protobuf_c_message_free_unpacked(message, NULL);
}

void rpc_list_processes(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Kata__V1__ListProcessesRequest *asked = (const Kata__V1__ListProcessesRequest *)request;
  Sandbox *sandbox = user_data;
  Container *container = rpc_find_container(call, sandbox, asked->container_id, TTRPC_INVALID_ARGUMENT);
  if (!container) return;
  if (!container->cgroup_path) {
    ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container '%s' has no cgroup yet", container->id);
    return;
  }
  Listing *listing = g_new(Listing, 1);
  *listing = (Listing){call, sandbox, g_strdup(container->id), g_strdup(container->cgroup_path)};
  TaskRequest task = {.work = list, .data = listing, .timeout_ms = LIST_TIMEOUT_MS};
  task_start(sandbox->reaper, &task, listed, listing);
}

void rpc_close_output(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Kata__V1__CloseOutputRequest *asked = (const Kata__V1__CloseOutputRequest *)request;
  Process *process = rpc_find_process(call, user_data, asked->container_id, asked->exec_id);
  if (!process) return;
  if (!process->out) {
    ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "process '%s' has not started yet", process->id);
    return;
  }
  process_close_output(process, asked->is_stderr);
  Kata__V1__CloseOutputResponse reply = KATA__V1__CLOSE_OUTPUT_RESPONSE__INIT;
  ttrpc_call_reply(call, &reply.base);
}

void rpc_signal(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Kata__V1__SignalRequest *asked = (const Kata__V1__SignalRequest *)request;
  if (asked->signal > RPC_SIGNAL_MAX) {
    ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "signal %u does not exist", asked->signal);
    return;
  }
  Process *process = rpc_find_process(call, user_data, asked->container_id, asked->exec_id);
  if (!process) return;
  g_autoptr(GError) error = NULL;
  const Container *container = sandbox_find_container(user_data, asked->container_id);
  gboolean done = asked->all && container->cgroup_path
                      ? cgroup_signal(container->cgroup_path, (int)asked->signal, &error)
                      : process_signal(process, (int)asked->signal, SIGNAL_AS_IT_IS, &error);
  if (!done) {
    ttrpc_call_fail_error(call, error);
    return;
  }
  Kata__V1__SignalResponse reply = KATA__V1__SIGNAL_RESPONSE__INIT;
  ttrpc_call_reply(call, &reply.base);
}

/* ---- mounts ---- */

/* The host answers, or does not. */
#define LOOK_TIMEOUT_MS 10000

typedef struct {
  TtrpcCall *call;
  pid_t pid;
} Look;

/* In the helper: with the process's root and mounts. */
static gboolean look(gpointer data, GString *result, GError **error) {
  const Look *self = data;
  g_autofree char *path = g_strdup_printf("/proc/%d/root", (int)self->pid);
  g_autoptr(GPtrArray) table = mount_table_read(self->pid, error);
  if (!table) return FALSE;
  autofd int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (guint i = 0; i < table->len && root >= 0; i++) {
    const MountEntry *entry = table->pdata[i];
    if (strcmp(entry->type, "virtiofs") != 0) continue;
    autofd int fd = safe_open(root, entry->point, O_PATH, 0, NULL);
    (void)fd;
  }
  return TRUE;
}

static void looked(const char *result, const GError *error, gpointer user_data) {
  g_autofree Look *self = user_data;
  Kata__V1__LookAtMountsResponse reply = KATA__V1__LOOK_AT_MOUNTS_RESPONSE__INIT;
  if (error)
    ttrpc_call_fail_error(self->call, error);
  else
    ttrpc_call_reply(self->call, &reply.base);
}

static Process *find_running(TtrpcCall *call, Sandbox *sandbox, const char *container_id) {
  Process *process = rpc_find_process(call, sandbox, container_id, "");
  if (!process || process_is_alive(process)) return process;
  ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container '%s' does not run", container_id);
  return NULL;
}

void rpc_look_at_mounts(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Kata__V1__LookAtMountsRequest *asked = (const Kata__V1__LookAtMountsRequest *)request;
  Sandbox *sandbox = user_data;
  Process *process = find_running(call, sandbox, asked->container_id);
  if (!process) return;
  Look *self = g_new(Look, 1);
  *self = (Look){call, process->pid};
  TaskRequest task = {.work = look, .data = self, .timeout_ms = LOOK_TIMEOUT_MS};
  task_start(sandbox->reaper, &task, looked, self);
}

static void cover_done(const GError *error, gpointer call) {
  Kata__V1__CoverMountResponse reply = KATA__V1__COVER_MOUNT_RESPONSE__INIT;
  if (error)
    ttrpc_call_fail_error(call, error);
  else
    ttrpc_call_reply(call, &reply.base);
}

void rpc_cover_mount(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Kata__V1__CoverMountRequest *asked = (const Kata__V1__CoverMountRequest *)request;
  if (!find_running(call, user_data, asked->container_id)) return;
  Container *container = sandbox_find_container(user_data, asked->container_id);
  cover_mount_start(container, asked->source, asked->cover, cover_done, call);
}
