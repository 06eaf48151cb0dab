/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/container.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent/attributes.h"
#include "agent/cgroup.h"
#include "agent/container-private.h"
#include "agent/cover-mount.h"
#include "agent/device-spec.h"
#include "agent/mount.h"
#include "agent/shared-mount.h"
#include "agent/spec-resources.h"
#include "agent/spec.h"
#include "agent/termination-log.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/protobuf-json.h"

static Container *container_new(Sandbox *sandbox, const char *id, const char *exec_id) {
  Container *container = g_new0(Container, 1);
  container->sandbox = sandbox;
  container->id = g_strdup(id);
  container->init_exec_id = g_strdup(exec_id);
  container->bundle = g_build_filename(MOUNT_ROOT, id, NULL);
  container->storages = g_ptr_array_new_with_free_func(g_free);
  container->covers = covers_new();
  container->devices = g_ptr_array_new_with_free_func((GDestroyNotify)device_found_free);
  g_queue_init(&container->execs);
  g_queue_init(&container->pausers);
  g_queue_init(&container->removers);
  return container;
}

void container_free(Container *container) {
  if (!container) return;
  if (container->cgroup_timer) g_source_remove(container->cgroup_timer);
  process_free(container->init);
  while (!g_queue_is_empty(&container->execs)) process_free(g_queue_pop_head(&container->execs));
  g_ptr_array_unref(container->storages);
  g_ptr_array_unref(container->devices);
  g_hash_table_unref(container->covers);
  g_free(container->cgroup_path);
  g_free(container->bundle);
  g_free(container->name);
  g_free(container->termination_log);
  g_free(container->init_exec_id);
  g_free(container->id);
  g_free(container);
}

gboolean container_is_stopped(const Container *container) { return container->init && container->init->ended; }

Process *container_find_process(const Container *container, const char *exec_id) {
  if (!*exec_id || strcmp(exec_id, container->id) == 0 || strcmp(exec_id, container->init_exec_id) == 0)
    return container->init;
  for (GList *link = container->execs.head; link; link = link->next) {
    Process *process = link->data;
    if (strcmp(process->id, exec_id) == 0) return process;
  }
  return NULL;
}

/* ---- create ---- */

gboolean container_check_ports(guint32 in, guint32 out, guint32 err, GError **error) {
  if (in == 0 && out == 0 && err == 0) return TRUE;
  g_set_error(
      error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
      "%s %u: streams do not go over ports of their own here, but through WriteStdin, ReadStdout and ReadStderr",
      in    ? "stdin_port"
      : out ? "stdout_port"
            : "stderr_port",
      in    ? in
      : out ? out
            : err);
  return FALSE;
}

static gboolean check_ids(const Grpc__CreateContainerRequest *request, GError **error) {
  return id_check(request->container_id, "container", error) &&
         (!*request->exec_id || id_check(request->exec_id, "exec", error));
}

static gboolean check_request(const Sandbox *sandbox, const Grpc__CreateContainerRequest *request, GError **error) {
  const char *id = request->container_id;
  if (!check_ids(request, error)) return FALSE;
  if (strcmp(id, "shared") == 0 || strcmp(id, "sandbox") == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "container id '%s' is reserved", id);
    return FALSE;
  }
  if (g_hash_table_contains(sandbox->containers, id)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "container '%s' exists already", id);
    return FALSE;
  }
  if (sandbox->is_destroying) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot create container '%s': the sandbox is ending", id);
    return FALSE;
  }
  if (g_hash_table_size(sandbox->containers) >= SANDBOX_CONTAINERS_MAX || request->n_storages > STORAGE_LIST_MAX ||
      request->n_devices > DEVICE_LIST_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "too many %s for container '%s'",
                request->n_storages > STORAGE_LIST_MAX ? "storages"
                : request->n_devices > DEVICE_LIST_MAX ? "devices"
                                                       : "containers",
                id);
    return FALSE;
  }
  if (!container_check_ports(request->stdin_port, request->stdout_port, request->stderr_port, error) ||
      !spec_check(request->oci, error) || !shared_mounts_check(request, error))
    return FALSE;
  for (gsize i = 0; i < request->n_devices; i++)
    if (!device_spec_check(request->devices[i], request->oci, error)) return FALSE;
  return TRUE;
}

/* Devices have weights once the kernel's cost model is on for them. */
static gboolean set_device_weight(const Container *container, const char *line, GError **error) {
  if (cgroup_write(container->cgroup_path, "io.weight", line, NULL)) return TRUE;
  g_autofree char *enable = g_strdup_printf("%.*s enable=1", (int)strcspn(line, " "), line);
  cgroup_write("", "io.cost.qos", enable, NULL);
  return cgroup_write(container->cgroup_path, "io.weight", line, error);
}

static gboolean set_device_weights(const Container *container, char *const *weights, GError **error) {
  for (; weights && *weights; weights++)
    if (!set_device_weight(container, *weights, error)) return FALSE;
  return TRUE;
}

/* Of one creation, while it is prepared or finished. */
typedef struct {
  Container *container;
  const Grpc__CreateContainerRequest *request;
  ContainerFunc func;
  gpointer user_data;
} Creation;

/* The last step: what it shares of others is there as well. */
static void mounts_shared(const GError *share_error, gpointer user_data) {
  g_autofree Creation *creation = user_data;
  Container *container = creation->container;
  container->runs--;
  if (share_error) {
    g_autoptr(GError) error = g_error_copy(share_error);
    g_prefix_error(&error, "cannot create container '%s': ", container->id);
    container_undo_create(container, error, creation->func, creation->user_data);
  } else {
    storage_table_keep(container->sandbox->storages, container->storages);
    if (container->state == CONTAINER_CREATING) container->state = CONTAINER_CREATED;
    creation->func(NULL, creation->user_data);
  }
  container_continue_pause(container);
  container_continue_removal(container);
}

static void create_done(ContainerRun *run, const GError *crun_error, pid_t pid) {
  Container *container = run->container;
  g_autoptr(GError) error = crun_error ? g_error_copy(crun_error) : NULL;
  if (error || (run->console && !process_open_terminal(container->init, run->console, &error))) {
    g_prefix_error(&error, "cannot create container '%s': ", container->id);
    container_undo_create(container, error, run->func, run->user_data);
    return;
  }
  process_set_started(container->init, pid);
  oom_monitor_add(container->sandbox->oom, container->id, container->cgroup_path);
  if (!attributes_apply(run->description, pid, FALSE, &error) ||
      !set_device_weights(container, run->device_weights, &error)) {
    g_prefix_error(&error, "cannot create container '%s': ", container->id);
    container_undo_create(container, error, run->func, run->user_data);
    return;
  }
  Creation *creation = g_new(Creation, 1);
  *creation = (Creation){container, run->request, run->func, run->user_data};
  container->runs++;
  shared_mounts_start(container, run->request, mounts_shared, creation);
}

static void take_sandbox_part(Container *container, const Grpc__CreateContainerRequest *request) {
  Sandbox *sandbox = container->sandbox;
  /* As upstream: the first one's is the one that others share, though it does not ask for that itself. */
  if (!sandbox->pid_namespace_owner) sandbox->pid_namespace_owner = g_strdup(container->id);
  if (spec_has_own(request->oci, "uts")) return;
  g_autoptr(GError) error = NULL;
  if (!sandbox_set_names(container->sandbox, request->oci->hostname, request->oci->domainname, &error))
    g_warning("%s", error->message);
}

/* crun gets none of them: cgroup version 2 has them in a file that it does not know. */
static char **device_weights(Container *container, const OciResources *resources) {
  if (!resources) return spec_get_device_weights(NULL);
  g_autoptr(OciResources) own = oci_resources_copy(resources);
  device_spec_apply_to_resources(container->devices, own);
  return spec_get_device_weights(own);
}

static void run_create(Creation *creation) {
  Container *container = creation->container;
  take_sandbox_part(container, creation->request);
  g_autoptr(GPtrArray) arguments = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(arguments, g_strdup("create"));
  g_ptr_array_add(arguments, g_strconcat("--bundle=", container->bundle, NULL));
  ContainerRun *run = container_run_new(container, create_done, creation->func, creation->user_data);
  run->process = container->init;
  run->request = creation->request;
  run->description = oci_process_copy(creation->request->oci->process);
  run->device_weights = device_weights(container, creation->request->oci->linux->resources);
  container_run_start_process(run, arguments, NULL, NULL);
}

static void built(const GError *build_error, gpointer user_data) {
  g_autofree Creation *creation = user_data;
  Container *container = creation->container;
  container->runs--;
  if (!build_error) {
    run_create(creation);
    return;
  }
  g_autoptr(GError) error = g_error_copy(build_error);
  g_prefix_error(&error, "cannot create container '%s': ", container->id);
  container_undo_create(container, error, creation->func, creation->user_data);
  container_continue_pause(container);
  container_continue_removal(container);
}

void container_create(Sandbox *sandbox, const Grpc__CreateContainerRequest *request, ContainerFunc func,
                      gpointer user_data) {
  g_autoptr(GError) error = NULL;
  if (!check_request(sandbox, request, &error)) {
    func(error, user_data);
    return;
  }
  Container *container = container_new(sandbox, request->container_id, request->exec_id);
  g_hash_table_insert(sandbox->containers, container->id, container);
  container->init =
      process_new(sandbox->reaper, container->id, request->oci->process->terminal, container_process_ended, container);
  container->name = shared_mounts_get_name(request->oci);
  container->termination_log = termination_log_find(request->oci);
  Creation *creation = g_new(Creation, 1);
  *creation = (Creation){container, request, func, user_data};
  /* What ends the container meanwhile waits for this, as for a run of crun. */
  container->runs++;
  container_build(container, request, built, creation);
}

/* ---- state changes ---- */

static const char *const state_names[] = {
    [CONTAINER_CREATING] = "being created", [CONTAINER_CREATED] = "created",        [CONTAINER_RUNNING] = "running",
    [CONTAINER_PAUSED] = "paused",          [CONTAINER_REMOVING] = "being removed",
};

static void refuse(const Container *container, const char *what, ContainerFunc func, gpointer user_data) {
  const char *state = state_names[container->state];
  if (container_is_stopped(container))
    state = "stopped";
  else if (container->runs > 0)
    state = "busy with another request";
  g_autoptr(GError) error =
      g_error_new(KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot %s container '%s': it is %s", what, container->id, state);
  func(error, user_data);
}

static void run_verb(Container *container, const char *verb, ContainerRunFunc done, ContainerFunc func,
                     gpointer user_data) {
  const char *const arguments[] = {verb, NULL};
  CrunRequest request = {.arguments = arguments, .id = container->id};
  container_run_start(container_run_new(container, done, func, user_data), &request);
}

static void set_started(Container *container) {
  container->is_started = TRUE;
  if (container->state == CONTAINER_CREATED) container->state = CONTAINER_RUNNING;
}

static void start_done(ContainerRun *run, const GError *error, pid_t pid) {
  if (!error) set_started(run->container);
  run->func(error, run->user_data);
}

void container_start(Container *container, ContainerFunc func, gpointer user_data) {
  if (container->state != CONTAINER_CREATED || container->runs > 0 || container_is_stopped(container)) {
    refuse(container, "start", func, user_data);
    return;
  }
  if (container->has_start_hooks || !crun_release(container->id)) {
    run_verb(container, "start", start_done, func, user_data);
    return;
  }
  set_started(container);
  func(NULL, user_data);
}

static void set_unpaused(Container *container) {
  if (container->state == CONTAINER_PAUSED)
    container->state = container->is_started ? CONTAINER_RUNNING : CONTAINER_CREATED;
}

static void pause_done(ContainerRun *run, const GError *error, pid_t pid) {
  if (error) set_unpaused(run->container);
  run->func(error, run->user_data);
}

typedef struct {
  ContainerFunc func;
  gpointer user_data;
} Pauser;

void container_pause(Container *container, ContainerFunc func, gpointer user_data) {
  Pauser *pauser = g_new(Pauser, 1);
  *pauser = (Pauser){func, user_data};
  g_queue_push_tail(&container->pausers, pauser);
  container_continue_pause(container);
}

void container_continue_pause(Container *container) {
  /* A run of crun would be put to sleep with the container it works on. */
  while (container->runs == 0 && !g_queue_is_empty(&container->pausers)) {
    g_autofree Pauser *pauser = g_queue_pop_head(&container->pausers);
    gboolean possible = container->state == CONTAINER_CREATED || container->state == CONTAINER_RUNNING;
    if (!possible || container_is_stopped(container)) {
      refuse(container, "pause", pauser->func, pauser->user_data);
      continue;
    }
    container->state = CONTAINER_PAUSED;
    run_verb(container, "pause", pause_done, pauser->func, pauser->user_data);
  }
}

static void resume_done(ContainerRun *run, const GError *error, pid_t pid) {
  if (!error) set_unpaused(run->container);
  run->func(error, run->user_data);
}

void container_resume(Container *container, ContainerFunc func, gpointer user_data) {
  if (container->state != CONTAINER_PAUSED || container_is_stopped(container))
    refuse(container, "resume", func, user_data);
  else
    run_verb(container, "resume", resume_done, func, user_data);
}

static void update_done(ContainerRun *run, const GError *crun_error, pid_t pid) {
  g_autoptr(GError) error = NULL;
  if (!crun_error) set_device_weights(run->container, run->device_weights, &error);
  run->func(crun_error ? crun_error : error, run->user_data);
}

static gboolean check_memory_update(const Container *container, const OciResources *resources, GError **error) {
  g_autofree char *used = cgroup_read(container->cgroup_path, "memory.current");
  return !used || spec_check_memory_update(resources, g_ascii_strtoull(used, NULL, 10), error);
}

static gboolean has_list(const Container *container, const char *file) {
  g_autofree char *list = cgroup_read(container->cgroup_path, file);
  return list && *g_strstrip(list) != '\0';
}

void container_update(Container *container, const OciResources *resources, ContainerFunc func, gpointer user_data) {
  if (container->state == CONTAINER_CREATING || container->state == CONTAINER_REMOVING ||
      container_is_stopped(container)) {
    refuse(container, "update", func, user_data);
    return;
  }
  g_autoptr(GError) error = NULL;
  if (!check_memory_update(container, resources, &error)) {
    func(error, user_data);
    return;
  }
  g_autoptr(OciResources) prepared = oci_resources_copy(resources);
  device_spec_apply_to_resources(container->devices, prepared);
  g_auto(ContainerKernel) kernel = {0};
  container_kernel_look(&kernel);
  kernel.kernel.has_cpus_limit = has_list(container, "cpuset.cpus");
  kernel.kernel.has_mems_limit = has_list(container, "cpuset.mems");
  if (!spec_prepare_resources(prepared, &kernel.kernel, &error)) {
    func(error, user_data);
    return;
  }
  struct json_object *json = protobuf_to_json(&prepared->base, PROTOBUF_JSON_OCI);
  const char *const arguments[] = {"update", NULL};
  CrunRequest request = {.arguments = arguments,
                         .id = container->id,
                         .document_option = "--resources",
                         .document = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN)};
  ContainerRun *run = container_run_new(container, update_done, func, user_data);
  run->device_weights = device_weights(container, resources);
  container_run_start(run, &request);
  json_object_put(json);
}

gboolean container_kill_all(Container *container, GError **error) {
  if (container->cgroup_path && !cgroup_kill(container->cgroup_path, error)) return FALSE;
  if (container->init && process_is_alive(container->init)) kill(container->init->pid, SIGKILL);
  for (GList *link = container->execs.head; link; link = link->next) {
    Process *process = link->data;
    if (process_is_alive(process)) kill(process->pid, SIGKILL);
  }
  return TRUE;
}
