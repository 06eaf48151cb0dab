// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/container.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "lib/agent-calls.h"
#include "shim/times.h"

static void free_disk(gpointer disk) { kata__v1__disk_state__free_unpacked(disk, NULL); }

Container *container_new(Kata__V1__ContainerInfo *info, Process *init) {
  Container *container = g_new0(Container, 1);
  g_atomic_ref_count_init(&container->refs);
  g_mutex_init(&container->lock);
  g_mutex_init(&container->starting);
  container->info = info;
  container->init = init;
  container->execs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)process_unref);
  container->shares = g_ptr_array_new_with_free_func(g_free);
  container->disks = g_ptr_array_new_with_free_func(free_disk);
  container->copies = g_ptr_array_new_with_free_func((GDestroyNotify)copy_tree_free);
  return container;
}

Container *container_ref(Container *container) {
  g_atomic_ref_count_inc(&container->refs);
  return container;
}

void container_unref(Container *container) {
  if (container == NULL || !g_atomic_ref_count_dec(&container->refs)) return;
  protobuf_c_message_free_unpacked(&container->info->base, NULL);
  process_unref(container->init);
  hooks_free(container->hooks);
  g_hash_table_unref(container->execs);
  g_ptr_array_unref(container->shares);
  g_ptr_array_unref(container->disks);
  g_ptr_array_unref(container->copies);
  g_strfreev(container->cgroups);
  g_free(container->guest_id);
  g_mutex_clear(&container->lock);
  g_mutex_clear(&container->starting);
  g_free(container);
}

const char *container_get_status(Container *container) {
  ProcessStatus status = process_get_status(container->init);
  if (status == PROCESS_STOPPED) return "stopped";
  g_mutex_lock(&container->lock);
  gboolean paused = container->paused;
  g_mutex_unlock(&container->lock);
  if (paused) return "paused";
  return status == PROCESS_CREATED ? "created" : "running";
}

Process *container_find_process(Container *container, const char *exec_id, GError **error) {
  if (exec_id == NULL || *exec_id == '\0') return process_ref(container->init);
  g_mutex_lock(&container->lock);
  Process *process = g_hash_table_lookup(container->execs, exec_id);
  if (process != NULL) process_ref(process);
  g_mutex_unlock(&container->lock);
  if (process == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "process '%s' of container '%s' does not exist", exec_id,
                container->info->id);
  return process;
}

gboolean container_add_exec(Container *container, Process *process, GError **error) {
  const char *exec_id = process_get_exec_id(process);
  g_mutex_lock(&container->lock);
  gboolean is_new = !g_hash_table_contains(container->execs, exec_id);
  if (is_new) g_hash_table_insert(container->execs, g_strdup(exec_id), process_ref(process));
  g_mutex_unlock(&container->lock);
  if (!is_new)
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "process '%s' of container '%s' already exists", exec_id,
                container->info->id);
  return is_new;
}

void container_remove_exec(Container *container, const char *exec_id) {
  g_mutex_lock(&container->lock);
  g_hash_table_remove(container->execs, exec_id);
  g_mutex_unlock(&container->lock);
}

GPtrArray *container_get_processes(Container *container) {
  GPtrArray *processes = g_ptr_array_new_with_free_func((GDestroyNotify)process_unref);
  g_mutex_lock(&container->lock);
  GHashTableIter iter;
  gpointer process;
  g_hash_table_iter_init(&iter, container->execs);
  while (g_hash_table_iter_next(&iter, NULL, &process)) g_ptr_array_add(processes, process_ref(process));
  g_mutex_unlock(&container->lock);
  g_ptr_array_add(processes, process_ref(container->init));
  return processes;
}

static Kata__V1__ContainerInfo *copy_info(const Kata__V1__ContainerInfo *info) {
  gsize size = kata__v1__container_info__get_packed_size(info);
  g_autofree guint8 *packed = g_malloc(size);
  kata__v1__container_info__pack(info, packed);
  return kata__v1__container_info__unpack(NULL, size, packed);
}

static void set_word(char **field, const char *word) {
  if (*field != (char *)protobuf_c_empty_string) free(*field);
  *field = strdup(word);
}

Kata__V1__ContainerInfo *container_describe(Container *container, guint32 hypervisor_pid) {
  Kata__V1__ContainerInfo *info = copy_info(container->info);
  const char *status = container_get_status(container);
  set_word(&info->status, status);
  guint32 host_pid = process_get_host_pid(container->init);
  info->pid = host_pid != 0 ? host_pid : hypervisor_pid;
  if (strcmp(status, "stopped") == 0) {
    info->pid = 0;
    info->exit_status = process_get_exit_status(container->init);
    info->exited_at = time_new_message(process_get_exited_at(container->init));
  }
  return info;
}

void container_run_last_hooks(Container *container, pid_t place) {
  HookSubject subject = {.info = container->info, .status = "stopped", .place = place};
  subject.outside_network = process_get_host_pid(container->init) == (guint32)place;
  g_mutex_lock(&container->lock);
  gboolean is_first = !container->hooked_last;
  container->hooked_last = TRUE;
  g_mutex_unlock(&container->lock);
  if (is_first) hooks_run_all(container->hooks, HOOK_POSTSTOP, &subject);
}

static Kata__V1__DiskState *copy_disk(const Kata__V1__DiskState *disk) {
  gsize size = kata__v1__disk_state__get_packed_size(disk);
  g_autofree guint8 *packed = g_malloc(size + 1);
  kata__v1__disk_state__pack(disk, packed);
  return kata__v1__disk_state__unpack(NULL, size, packed);
}

Kata__V1__ContainerState *container_to_state(Container *container) {
  Kata__V1__ContainerState *state = calloc(1, sizeof *state);
  kata__v1__container_state__init(state);
  state->info = container_describe(container, 0);
  state->init = process_to_state(container->init);
  state->hooks = hooks_copy(container->hooks);
  g_mutex_lock(&container->lock);
  state->execs = calloc(g_hash_table_size(container->execs) + 1, sizeof *state->execs);
  GHashTableIter iter;
  gpointer process;
  g_hash_table_iter_init(&iter, container->execs);
  while (g_hash_table_iter_next(&iter, NULL, &process)) state->execs[state->n_execs++] = process_to_state(process);
  state->bound = container->bound;
  state->milli_vcpus = (guint64)(container->demand.vcpus * 1000);
  state->memory_mib = container->demand.memory_mib;
  state->cpu_shares = container->demand.shares;
  state->named_cpus = container->demand.named_cpus;
  state->huge_page_mib = container->demand.huge_page_mib;
  guint n_cgroups = container->cgroups != NULL ? g_strv_length(container->cgroups) : 0;
  state->cgroups = calloc(n_cgroups + 1, sizeof *state->cgroups);
  for (guint i = 0; i < n_cgroups; i++) state->cgroups[state->n_cgroups++] = strdup(container->cgroups[i]);
  state->shares = calloc(container->shares->len + 1, sizeof *state->shares);
  for (guint i = 0; i < container->shares->len; i++)
    state->shares[state->n_shares++] = strdup(container->shares->pdata[i]);
  state->disks = calloc(container->disks->len + 1, sizeof *state->disks);
  for (guint i = 0; i < container->disks->len; i++)
    state->disks[state->n_disks++] = copy_disk(container->disks->pdata[i]);
  if (container->guest_id != NULL) state->guest_id = strdup(container->guest_id);
  state->copies = calloc(container->copies->len + 1, sizeof *state->copies);
  for (guint i = 0; i < container->copies->len; i++)
    state->copies[state->n_copies++] = copy_tree_to_state(container->copies->pdata[i]);
  g_mutex_unlock(&container->lock);
  return state;
}

void container_set_guest_id(Container *container, const char *guest_id) {
  g_free(container->guest_id);
  container->guest_id = g_strdup(guest_id);
  agent_calls_set_alias(container->info->id, guest_id);
}

Container *container_restore(const Kata__V1__ContainerState *state, Publisher *publisher, ProcessEndedFunc ended,
                             gpointer user_data) {
  const char *id = state->info->id;
  Container *container =
      container_new(copy_info(state->info), process_restore(id, state->init, publisher, ended, user_data));
  container->hooks = hooks_copy(state->hooks);
  container->paused = strcmp(state->info->status, "paused") == 0;
  container->bound = state->bound;
  if (*state->guest_id != '\0') container_set_guest_id(container, state->guest_id);
  container->demand = (VmDemand){(double)state->milli_vcpus / 1000, state->memory_mib, state->cpu_shares,
                                 state->named_cpus, state->huge_page_mib};
  if (state->n_cgroups > 0) container->cgroups = g_new0(char *, state->n_cgroups + 1);
  for (size_t i = 0; i < state->n_cgroups; i++) container->cgroups[i] = g_strdup(state->cgroups[i]);
  for (size_t i = 0; i < state->n_execs; i++)
    g_hash_table_insert(container->execs, g_strdup(state->execs[i]->exec_id),
                        process_restore(id, state->execs[i], publisher, ended, user_data));
  for (size_t i = 0; i < state->n_shares; i++) g_ptr_array_add(container->shares, g_strdup(state->shares[i]));
  for (size_t i = 0; i < state->n_disks; i++) g_ptr_array_add(container->disks, copy_disk(state->disks[i]));
  for (size_t i = 0; i < state->n_copies; i++) {
    CopyTree *copy = copy_tree_restore(state->copies[i]);
    if (copy != NULL) g_ptr_array_add(container->copies, copy);
  }
  return container;
}
